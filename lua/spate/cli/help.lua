-- SPDX-License-Identifier: MIT
-- spate help TOPIC: what the manual has of a command, a setting, a function, or a section of the README. --page prints a page
-- of the manual as man(1) reads it.
local editor_files = require "spate.editor_files"
local functions = require "spate.manual.functions"
local markdown = require "spate.manual.markdown"
local pages = require "spate.manual.pages"
local settings = require "spate.manual.settings"

local OK, USAGE = 0, 2

local function say(...) io.write(string.format(...), "\n") end

local function command_of(sources, name)
  for _, command in ipairs(sources.parser._commands) do
    if command._name == name then return command end
  end
end

local function print_command(sources, name)
  local command = command_of(sources, name)
  if not command then return false end
  io.write((sources.helps[name] or command:get_help() .. "\n"))
  return true
end

local function print_setting(each) say("%s (%s)\n    %s", each.name, each.default, each.text) end

-- A setting, or all of a group.
local function print_settings(sources, name)
  local found = false
  for _, each in ipairs((settings.read(sources.readme))) do
    if each.name == name or each.name:match "^[^.]+" == name or name == "settings" then
      print_setting(each)
      found = true
    end
  end
  return found
end

-- What stands near the settings and is none in their tables, such as log.format.
local function print_paragraph(sources, name)
  local paragraph = name:find "^%l[%l_]*[.%l_]*$" and settings.paragraph(sources.readme, name)
  if paragraph then say("%s", paragraph) end
  return paragraph
end

local function print_function(each)
  say("%s%s", each.name, each.arguments)
  if each.doc ~= "" then say("    %s", each.doc) end
  for _, line in ipairs(each.param) do say("    @param %s", line) end
  for _, line in ipairs(each["return"]) do say("    @return %s", line) end
end

local function print_functions(sources, name, without_fields)
  local list, fields = functions.read(sources.types)
  if name == "functions" then
    for _, each in ipairs(list) do say("%-40s %s", each.name .. each.arguments, functions.brief(each)) end
    return true
  end
  local found = functions.find(list, name)
  for _, each in ipairs(found) do print_function(each) end
  if #found > 0 or without_fields then return true end
  for _, each in ipairs(fields) do
    if each.name and each.name:lower() == name:lower() then
      say("%s  %s", each.name, each.doc)
      return true
    end
  end
  return false
end

local function print_section(sources, name)
  local section = markdown.section(sources.readme, name)
  if section then say("%s", section) end
  return section ~= nil
end

local function print_topics(sources)
  local names = {}
  for i, command in ipairs(sources.parser._commands) do names[i] = command._name end
  say("spate help TOPIC prints what the manual has of\n\n  a command:   %s", table.concat(names, " "))
  say("  a setting:   settings, or limits, limits.body ...")
  say("  a function:  functions, or sse.channel, app:get, req:json ...")
  say("  a section:   %s", table.concat(markdown.names(sources.readme), "\n               "))
  return true
end

-- All names that are topics, for the nearest to one that is none.
local function all_topics(sources)
  local names = { "commands", "settings", "functions" }
  for _, command in ipairs(sources.parser._commands) do names[#names + 1] = command._name end
  for _, each in ipairs((settings.read(sources.readme))) do names[#names + 1] = each.name end
  for _, each in ipairs((functions.read(sources.types))) do names[#names + 1] = each.name end
  return names
end

local function print_topic(sources, topic)
  if not topic then return print_topics(sources) end
  if topic == "commands" then
    say("%s", sources.parser:get_help())
    return true
  end
  if print_command(sources, topic) or print_settings(sources, topic) then return true end
  local is_section = markdown.section(sources.readme, topic) ~= nil
  local is_known = print_functions(sources, topic, is_section)
  return print_section(sources, topic) or is_known or print_paragraph(sources, topic)
end

return function(arguments, native)
  local sources = { parser = arguments.parser, readme = assert(native.embedded "README.md"), types = editor_files.types(native),
    version = native.version, helps = { test = require("spate.cli.test_help") } }
  if arguments.page then
    io.write(pages.FILES[arguments.page](sources))
    return OK
  end
  if print_topic(sources, arguments.topic) then return OK end
  local near = native.nearest(arguments.topic, all_topics(sources))
  return USAGE, ("nothing is known of '%s'%s; see spate help"):format(arguments.topic, near and ("; did you mean '%s'?"):format(near) or "")
end
