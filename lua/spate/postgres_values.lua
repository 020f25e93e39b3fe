-- SPDX-License-Identifier: MIT
-- Values of PostgreSQL: what a parameter is as text, and what a text is that Lua has no type of its own for: JSON, and
-- arrays. Integers, floats, booleans and bytes come from below as what they are.
local core = require "spate.core"
local json = require "spate.json"

local values = {}

local Value = { __name = "postgres.value" }
Value.__index = Value

local function number(n)
  if math.type(n) == "integer" then return tostring(n) end
  if n ~= n then return "NaN" end
  if n == math.huge or n == -math.huge then return n > 0 and "Infinity" or "-Infinity" end
  return ("%.17g"):format(n)
end

-- A parameter as text; nil where it is NULL. False: it cannot be one.
local function text_of(value)
  local kind = type(value)
  if value == nil or value == json.null then return nil end
  if kind == "string" then return value end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if getmetatable(value) == Value then return value.text end
  return false
end

-- The parameters as texts; raises at the user's line.
function values.parameters(what, ...)
  local list = table.pack(...)
  for i = 1, list.n do
    local text = text_of(list[i])
    if text == false then
      core.raise(("%s: parameter %d: expected a string, a number, a boolean, nil, postgres.json, postgres.array or postgres.bytea, got %s")
        :format(what, i, type(list[i])))
    end
    if text and text:find("\0", 1, true) then core.raise(("%s: parameter %d has a NUL in it; postgres.bytea has any bytes"):format(what, i)) end
    list[i] = text
  end
  return list
end

-- What a spec sees of them.
function values.plain(...)
  local list = table.pack(...)
  for i = 1, list.n do
    if getmetatable(list[i]) == Value then list[i] = list[i].value end
  end
  return list
end

function values.json(value)
  if value == nil then core.raise "postgres.json: expected a value, got nil; json.null is its null" end
  return setmetatable({ text = json.encode(value), value = value }, Value)
end

function values.bytea(bytes)
  if type(bytes) ~= "string" then core.raise("postgres.bytea: expected a string, got " .. type(bytes)) end
  return setmetatable({ text = "\\x" .. core.hex(bytes), value = bytes }, Value)
end

local function element(value, i)
  if type(value) == "table" and value ~= json.null and getmetatable(value) ~= Value then return values.array(value).text end
  if getmetatable(value) == Value and value.is_array then return value.text end
  local text = text_of(value)
  if text == false then core.raise(("postgres.array[%d]: expected a string, a number, a boolean or a list, got %s"):format(i, type(value))) end
  if text == nil then return "NULL" end
  if type(value) == "number" or type(value) == "boolean" then return text end
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

-- A list; json.null is NULL in it, a list in it a further dimension.
function values.array(list)
  if type(list) ~= "table" then core.raise("postgres.array: expected a list, got " .. type(list)) end
  local texts, n = {}, 0
  for key in pairs(list) do
    if math.type(key) ~= "integer" then core.raise(("postgres.array: expected a list, got a table with '%s'"):format(tostring(key))) end
    n = n + 1
  end
  if n ~= #list then core.raise "postgres.array: expected a list without gaps; json.null is NULL in it" end
  for i = 1, n do texts[i] = element(list[i], i) end
  return setmetatable({ text = "{" .. table.concat(texts, ",") .. "}", value = list, is_array = true }, Value)
end

local function same(text) return text end

local function bytes(text) return core.hex_decode(text:sub(3)) end

local function boolean(text) return text == "t" end

local function float(text)
  if text == "NaN" then return 0 / 0 end
  if text:find "Infinity$" then return text:sub(1, 1) == "-" and -math.huge or math.huge end
  return tonumber(text) + 0.0
end

local function decode(text) return (json.decode(text)) end

-- By the type's OID (pg_type.dat): of an array its elements'.
local ELEMENTS = {
  [1000] = boolean, [1001] = bytes, [1005] = math.tointeger, [1007] = math.tointeger, [1016] = math.tointeger, [1028] = math.tointeger,
  [1021] = float, [1022] = float, [199] = decode, [3807] = decode,
  [1002] = same, [1003] = same, [1009] = same, [1014] = same, [1015] = same, [1115] = same, [1182] = same, [1183] = same, [1185] = same,
  [1187] = same, [1231] = same, [1270] = same, [1041] = same, [651] = same, [2951] = same,
}

-- From the brace at `at`: the list, and where what follows it begins.
local function read_array(text, at, of)
  local list, n = {}, 0
  at = at + 1
  if text:sub(at, at) == "}" then return list, at + 1 end
  while true do
    local c = text:sub(at, at)
    local value
    if c == "{" then
      value, at = read_array(text, at, of)
    elseif c == '"' then
      local from = at + 1
      at = from
      while text:sub(at, at) ~= '"' do at = at + (text:sub(at, at) == "\\" and 2 or 1) end
      value = of((text:sub(from, at - 1):gsub("\\(.)", "%1")))
      at = at + 1
    else
      local word = text:match("^[^,}]*", at)
      at = at + #word
      if word == "NULL" then value = json.null else value = of(word) end
    end
    n = n + 1
    if value == nil then value = json.null end
    list[n] = value
    if text:sub(at, at) == "}" then return list, at + 1 end
    at = at + 1
  end
end

local function integer(text) return math.tointeger(tonumber(text)) end

local function reader_of(oid)
  if oid == 114 or oid == 3802 then return decode end
  local of = ELEMENTS[oid]
  if not of then return nil end
  if of == math.tointeger then of = integer end
  return function(text) return (read_array(text, text:find("{", 1, true), of)) end
end

-- Reads, in all rows, the columns that `types` has by their types' OIDs.
function values.read(rows, types)
  for name, oid in pairs(types or {}) do
    local read = reader_of(oid)
    for _, row in ipairs(read and rows or {}) do
      if row[name] ~= nil then row[name] = read(row[name]) end
    end
  end
  return rows
end

return values
