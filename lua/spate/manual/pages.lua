-- SPDX-License-Identifier: MIT
-- The pages of the manual, spate(1), spate.conf(5) and spate-lua(7), of what the program has of each: the commands' parser, the
-- README, the types.
local functions = require "spate.manual.functions"
local markdown = require "spate.manual.markdown"
local roff = require "spate.manual.roff"
local settings = require "spate.manual.settings"

local DATE = "2026-11-27"

local pages = {}

local function begin(name, section, what, version)
  return { ('.TH %s %d %s "spate %s"'):format(name:upper(), section, DATE, version), ".SH NAME", ("%s \\- %s"):format(roff.escape(name), what) }
end

-- A paragraph begins behind a heading by itself.
local function without_first_paragraphs(out)
  local lines = {}
  for i, line in ipairs(out) do
    if line ~= ".PP" or not (out[i - 1] or ""):find "^%.S[HS] " then lines[#lines + 1] = line end
  end
  return lines
end

local function finish(out, others)
  out[#out + 1] = ".SH SEE ALSO"
  roff.text(others, out)
  return table.concat(without_first_paragraphs(out), "\n") .. "\n"
end

-- Options and arguments of a command, as its --help has them.
local function add_elements(list, out)
  for _, element in ipairs(list) do
    local label = element:_get_label_lines()
    roff.entry(("`%s`"):format(table.concat(label, ", "):gsub("`", "'")), element:_get_description(), out)
  end
end

local function add_command(command, others, out)
  roff.heading(".SS", "spate " .. command._name, out)
  roff.text(command._description or "", out)
  out[#out + 1] = ".PP"
  local help = others[command._name]
  if help then
    roff.literal(help, out)
    return
  end
  roff.text("`" .. command:get_usage():gsub("^Usage: ", ""):gsub("%s+", " ") .. "`", out)
  add_elements(command._arguments, out)
  add_elements(command._options, out)
end

-- `sources`: parser, readme, version, and helps: texts of commands that take apart their options by themselves.
function pages.commands(sources)
  local out = begin("spate", 1, "a server for Server\\-Sent Events whose endpoints are Lua scripts", sources.version)
  local section = assert(markdown.section(sources.readme, "Command line"))
  out[#out + 1] = ".SH SYNOPSIS"
  markdown.to_man(section:match "^(.-\n)\n", out)
  out[#out + 1] = ".SH DESCRIPTION"
  markdown.to_man(section:match "^.-\n\n(.*)$", out)
  out[#out + 1] = ".SH OPTIONS"
  add_elements(sources.parser._options, out)
  out[#out + 1] = ".SH COMMANDS"
  for _, command in ipairs(sources.parser._commands) do add_command(command, sources.helps, out) end
  return finish(out, "spate.conf(5), spate-lua(7); `spate help TOPIC` prints what these pages have of a topic.")
end

function pages.settings(sources)
  local out = begin("spate.conf", 5, "settings of spate", sources.version)
  out[#out + 1] = ".SH DESCRIPTION"
  markdown.to_man(assert(markdown.section(sources.readme, settings.SECTION)), out)
  return finish(out, "spate(1), spate-lua(7)")
end

local function add_function(each, out)
  roff.entry(("`%s%s`"):format(each.name, each.arguments), each.doc, out)
  if #each.param + #each["return"] == 0 then return end
  out[#out + 1] = ".RS"
  for _, line in ipairs(each.param) do roff.entry("`" .. line:match "^%S+" .. "`", line:match "^%S+ ?(.*)$", out) end
  for _, line in ipairs(each["return"]) do roff.entry("returns", "`" .. line:gsub("`", "'") .. "`", out) end
  out[#out + 1] = ".RE"
end

function pages.functions(sources)
  local out = begin("spate-lua", 7, "what scripts of spate can call", sources.version)
  local list, fields = functions.read(sources.types)
  out[#out + 1] = ".SH DESCRIPTION"
  roff.text("An application names `spate`, `spate.sse`, `spate.json` and further modules by `require`. Durations are seconds, sizes bytes.", out)
  local owner
  out[#out + 1] = ".SH FUNCTIONS"
  for _, each in ipairs(list) do
    if each.owner ~= owner then roff.heading(".SS", each.owner, out) end
    owner = each.owner
    add_function(each, out)
  end
  out[#out + 1] = ".SH FIELDS"
  owner = nil
  for _, each in ipairs(fields) do
    if each.owner ~= owner then roff.heading(".SS", each.owner, out) end
    owner = each.owner
    roff.entry(("`%s`"):format(each.name or each.owner), each.doc, out)
  end
  return finish(out, "spate(1), spate.conf(5)")
end

-- The pages by their files' names.
pages.FILES = { ["spate.1"] = pages.commands, ["spate.conf.5"] = pages.settings, ["spate-lua.7"] = pages.functions }

return pages
