-- SPDX-License-Identifier: MIT
-- spate new DIR: an application to begin with, its spec, settings and what editors need. Writes over nothing.
local editor_files = require "spate.editor_files"
local settings_file = require "spate.settings_file"

local FAILED, DEFAULT = 1, "ticks"

-- The example that some templates are, whose specs are templates/NAME_spec.lua; the others are folders with a page.
local EXAMPLES = { ticks = "ticks", chat = "chat", llm = "tokens", htmx = "htmx" }
local TRY = {
  ticks = "curl -N localhost:8080/ticks", chat = "open http://localhost:8080/#lua in two windows",
  llm = [[curl -N localhost:8080/generate -d '{"prompt":"to be or not"}']], htmx = "open http://localhost:8080, then: curl -d 'It works' localhost:8080/news",
  agent = "open http://localhost:8080 and ask it for 6 * 7", jobs = "open http://localhost:8080",
  mcp = "open http://localhost:8080, and give http://localhost:8080/mcp to a client", livetable = "open http://localhost:8080 in two windows",
  presence = "open http://localhost:8080 in two windows", hub = "open http://localhost:8080 in two windows",
}
local DEV = { livetable = "DATABASE=postgres:///me spate dev" }

-- Path and text of each file of its own.
local function own_files(template, text)
  if not EXAMPLES[template] then
    return { { "app.lua", text(("templates/%s/app.lua"):format(template)) }, { "page.html", text(("templates/%s/page.html"):format(template)) },
      { "spec/app_spec.lua", text(("templates/%s/app_spec.lua"):format(template)) } }
  end
  local app = text("examples/" .. EXAMPLES[template] .. ".lua"):gsub("^%-%- spate serve %S+, then", "-- spate dev, then"):gsub("%-%- SPDX[^\n]*\n", "", 1)
  return { { "app.lua", app }, { "spec/app_spec.lua", text("templates/" .. template .. "_spec.lua") } }
end

-- Path and text of each file, in the order in which they are named.
local function files_of(template, native)
  local function text(name) return assert(native.embedded(name)) end
  local files = own_files(template, text)
  for _, name in ipairs { "spate.conf.lua", ".busted", ".luacheckrc" } do
    files[#files + 1] = { name, text("templates/" .. (name == "spate.conf.lua" and name or name:sub(2) .. ".lua")) }
  end
  for _, file in ipairs(editor_files(native)) do files[#files + 1] = file end
  return files
end

local function existing(directory, files)
  local list = {}
  for _, file in ipairs(files) do
    if settings_file.exists(directory .. "/" .. file[1]) then list[#list + 1] = file[1] end
  end
  return list
end

-- As a word of a shell.
local function quoted(text) return text:find "[^%w._/~+@-]" and "'" .. text:gsub("'", "'\\''") .. "'" or text end

return function(arguments, native)
  local directory = arguments.directory:gsub("(.)/+$", "%1")
  if directory == "" then return FAILED, "the directory has no name; this one is called ." end
  local files = files_of(arguments.template, native)
  local there = existing(directory, files)
  if #there > 0 then
    local some = table.concat(there, ", ", 1, math.min(3, #there)) .. (#there > 3 and (" and %d more"):format(#there - 3) or "")
    return FAILED, ("%s has files that would be written over: %s; another name makes another"):format(directory, some)
  end
  local ok, err = editor_files.write(directory, files, native)
  if not ok then return FAILED, err end
  local template, name = arguments.template, directory:match "[^/]*$"
  if template == DEFAULT and name ~= template and TRY[name] then
    print(("\nIt is of the template %s; of the other: spate new -t %s DIRECTORY"):format(template, name))
  end
  print(("\nNext:%s\n  %s\n  %s\n  spate test"):format(directory ~= "." and "\n  cd " .. quoted(directory) or "", DEV[arguments.template] or "spate dev",
    TRY[arguments.template]))
  return 0
end
