-- SPDX-License-Identifier: MIT
-- The settings, of the section of the README that has their file and their tables.
local markdown = require "spate.manual.markdown"

local settings = { SECTION = "Settings and limits" }

local function default_of(defaults, name)
  local value = defaults
  for key in name:gmatch "[^.]+" do
    if type(value) ~= "table" then return nil end
    value = value[key]
  end
  return value
end

local function show(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, each in ipairs(value) do parts[i] = ("%q"):format(each) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- The paragraph that tells of a setting which has no line in a table; nil where none does.
function settings.paragraph(readme, name)
  local section = assert(markdown.section(readme, settings.SECTION)):gsub("```.-```", "")
  for paragraph in (section .. "\n\n"):gmatch "(.-)\n\n" do
    if paragraph:find("`" .. name, 1, true) and not paragraph:find "^|" then return (paragraph:gsub("\n", " ")) end
  end
end

-- A list of { name = "limits.head", default = "16384", text = }, in their order; and the file of defaults as it stands there.
function settings.read(readme)
  local section = assert(markdown.section(readme, settings.SECTION))
  local file = section:match "```lua\n(%-%- spate%.conf%.lua.-)```"
  local defaults, list = assert(load(file, "=spate.conf.lua", "t", {}))(), {}
  for line in section:gmatch "[^\n]+" do
    local cells = markdown.cells(line)
    local name = cells and cells[1]:match "^`([%w_]+%.[%w_]+)`$"
    if name then
      list[#list + 1] = { name = name, default = show(default_of(defaults, name)), text = cells[2] }
    end
  end
  for line in file:gmatch "\n(  [%l_]+ = [^\n]*)" do -- those of the file alone, with what stands behind them there
    local pairs_, text = line:match "^(.-)%s*%-%- (.*)$"
    for name in (pairs_ or line):gsub("%b{}", "{}"):gsub("{.*", ""):gmatch "([%l_]+) = " do
      if type(defaults[name]) ~= "table" or #defaults[name] > 0 or not next(defaults[name]) then
        list[#list + 1] = { name = name, default = show(defaults[name]), text = text or settings.paragraph(readme, name) or "see spate.conf(5)" }
      end
    end
  end
  return list, file
end

return settings
