-- SPDX-License-Identifier: MIT
-- What scripts can call, of the types for editors: functions by their names, each with its signature and what is said of it.
local functions = {}

-- What scripts call the values of these classes.
local USUAL = { App = "app", Request = "req", Reply = "reply", Stream = "stream", Channel = "channel", HttpResponse = "res", Task = "task" }

local function describe(line, entry)
  local tag, rest = line:match "^%-%-%-@(%l+) ?(.*)$"
  if not tag then entry.doc[#entry.doc + 1] = line:match "^%-%-%- ?(.*)$"
  elseif tag == "param" or tag == "return" then table.insert(entry[tag], rest)
  elseif tag == "overload" then entry.arguments, entry.result = rest:match "^fun(%b()):? ?(.*)$" end
end

local function fresh() return { doc = {}, param = {}, ["return"] = {} } end

local function add(list, entry, class, name, arguments)
  entry.owner, entry.name, entry.arguments, entry.doc = class, name, arguments, table.concat(entry.doc, " ")
  if entry.result and entry.result ~= "" and #entry["return"] == 0 then entry["return"][1] = entry.result end
  list[#list + 1] = entry
end

-- A list of { name = "sse.channel", owner =, arguments =, doc =, param =, ["return"] = }, of a text of types; doc is a text, the
-- others are lists of lines. And the list of fields { name = "req.method", doc = "string" }.
function functions.read(text)
  local list, fields, entry, class, names = {}, {}, fresh(), nil, {}
  for line in text:gmatch "([^\n]*)\n" do
    local named, owner, sep, name, arguments = line:match "^%-%-%-@class ([%w_.]+)", line:match "^function ([%w_.]+)([.:])([%w_]+)(%b())"
    local variable, field, rest = line:match "^local ([%w_]+) = {}" or line:match "^([%w_.]+) = {}", line:match "^%-%-%-@field ([%w_]+)(.*)$"
    if named then class, entry = named, fresh()
    elseif field then fields[#fields + 1] = { class = class, name = field, doc = rest:gsub("^%?", ""):gsub("^ ", "") }
    elseif variable then
      if entry.arguments then add(list, entry, class, variable, entry.arguments) end -- a table that is called as well
      names[class], entry = USUAL[variable] or variable, fresh()
    elseif owner then
      add(list, entry, class, (USUAL[owner] or owner) .. sep .. name, arguments)
      entry = fresh()
    elseif line:find "^%-%-%-" then describe(line, entry)
    else entry = fresh() end
  end
  for _, each in ipairs(fields) do each.owner, each.name = each.class, names[each.class] and names[each.class] .. "." .. each.name end
  return list, fields
end

local function normal(name) return (name:lower():gsub(":", "."):gsub("^spate%.(%a+%.)", "%1")) end

-- Those that are meant by a name: "sse.channel", "stream:map", or the last part of it alone.
function functions.find(list, name)
  local wanted, exact, last = normal(name), {}, {}
  for _, each in ipairs(list) do
    local own = normal(each.name)
    if own == wanted then exact[#exact + 1] = each
    elseif own:match "[^.]*$" == wanted then last[#last + 1] = each end
  end
  return #exact > 0 and exact or last
end

-- The first sentence, for lists.
function functions.brief(each) return each.doc:match "^(.-%.) " or each.doc end

return functions
