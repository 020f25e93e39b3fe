-- SPDX-License-Identifier: MIT
-- Events against what a spec expects of them: which fields agree, and both lists side by side.
local harness = require "spate.harness"
local mistake = require "spate.test.mistake"

local WIDTH, CONTEXT, ROWS_MAX, CELLS_MAX = 56, 2, 40, 1000000
local FIELDS = { "event", "id", "retry", "data", "json" }
local known = { event = true, id = true, retry = true, data = true, json = true }

-- Objects may have more members than are expected of them, lists as many as are.
local function contains(actual, expected)
  if type(expected) ~= "table" or type(actual) ~= "table" then return actual == expected end
  if #expected ~= #actual then return false end
  for key, value in pairs(expected) do
    if not contains(actual[key], value) then return false end
  end
  return true
end

local function encode(value)
  local ok, text = pcall(harness.json.encode, value)
  return ok and text or tostring(value)
end

-- A value as it is told of where another was expected: "3" is not 3.
local function describe(value)
  if value == nil then return "nothing" end
  if type(value) == "table" then return encode(value) end
  return ("%s (%s)"):format(type(value) == "string" and ("%q"):format(value) or tostring(value), type(value))
end

-- Where the first value is that is not as expected: its path, then what is there and what was expected.
local function difference(actual, expected, path)
  if contains(actual, expected) then return nil end
  if type(expected) ~= "table" or type(actual) ~= "table" or #expected ~= #actual then return path, actual, expected end
  local keys = {}
  for key in pairs(expected) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    local at, there, wanted = difference(actual[key], expected[key], ("%s%s"):format(path, type(key) == "string" and "." .. key or ("[%s]"):format(key)))
    if at then return at, there, wanted end
  end
end

-- A list of expected events as tables; a string or a number is an event's data. Raises where it is none.
local function check(expected)
  if type(expected) == "string" or type(expected) == "number" then return { data = tostring(expected) } end
  if type(expected) ~= "table" then mistake("expected the fields of an event, got " .. type(expected)) end
  for name in pairs(expected) do
    if not known[name] then
      mistake(("unknown field '%s' of an event; it has event, id, retry, data and json"):format(tostring(name)))
    end
  end
  return expected
end

-- Each field that is expected is as expected; what a browser takes for "message" may have no name.
local function matches(expected, event)
  for name, value in pairs(expected) do
    local actual = event[name]
    if name == "event" and actual == nil then actual = "message" end
    if name == "json" then
      if event.data == nil or not contains(actual, value) then return false end
    elseif tostring(value) ~= tostring(actual) and value ~= actual then return false end
  end
  return true
end

local function show(event, with_json)
  local parts = {}
  for _, name in ipairs(FIELDS) do
    local value = rawget(event, name)
    if name == "json" then value = with_json and event.json ~= nil and encode(event.json) or nil
    elseif name == "data" and with_json and event.json ~= nil then value = nil end
    if value ~= nil then
      parts[#parts + 1] = ("%s: %s"):format(name, (tostring(value):gsub("%c", function(c) return ("%q"):format(c):sub(2, -2):gsub("\\\n", "\\n") end)))
    end
  end
  return table.concat(parts, "  ")
end

-- The longest rows that agree, by the usual table; beyond CELLS_MAX the lists are laid side by side as they are.
local function align(expected, events)
  local n, m, rows = #expected, #events, {}
  if n * m > CELLS_MAX then
    for i = 1, math.max(n, m) do rows[i] = { expected[i], events[i], expected[i] and events[i] and matches(expected[i], events[i]) } end
    return rows
  end
  local length, same = {}, {}
  for i = n + 1, 1, -1 do
    length[i], same[i] = {}, {}
    for j = m + 1, 1, -1 do
      if i > n or j > m then length[i][j] = 0
      else
        same[i][j] = matches(expected[i], events[j])
        length[i][j] = same[i][j] and length[i + 1][j + 1] + 1 or math.max(length[i + 1][j], length[i][j + 1])
      end
    end
  end
  local i, j = 1, 1
  while i <= n or j <= m do
    if i <= n and j <= m and same[i][j] then
      rows[#rows + 1] = { expected[i], events[j], true }
      i, j = i + 1, j + 1
    elseif i <= n and j <= m and length[i + 1][j + 1] == length[i][j] then -- neither has a partner: one row
      rows[#rows + 1] = { expected[i], events[j], false }
      i, j = i + 1, j + 1
    elseif j > m or i <= n and length[i + 1][j] >= length[i][j + 1] then
      rows[#rows + 1], i = { expected[i], nil, false }, i + 1
    else rows[#rows + 1], j = { nil, events[j], false }, j + 1 end
  end
  return rows
end

-- Pieces of at most WIDTH characters.
local function wrap(text)
  local pieces = {}
  for at = 1, math.max(#text, 1), WIDTH do pieces[#pieces + 1] = text:sub(at, at + WIDTH - 1) end
  return pieces
end

local function add_row(lines, mark, number, left, right)
  left, right = wrap(left), wrap(right)
  for k = 1, math.max(#left, #right) do
    local text = ("%s %4s  %-" .. WIDTH .. "s | %s"):format(mark, k == 1 and number or "", left[k] or "", right[k] or "")
    lines[#lines + 1] = (text:gsub("%s+$", ""))
  end
end

-- Beneath a row that differs: which value of the JSON it is.
local function add_difference(lines, want, got)
  if want.json == nil or got.data == nil then return end
  local path, there, wanted = difference(got.json, want.json, "json")
  if path then lines[#lines + 1] = ("       %s: expected %s, got %s"):format(path, describe(wanted), describe(there)) end
end

-- Both lists side by side; rows that differ are marked with *, and those far from any such row are left out.
local function side_by_side(expected, events)
  local rows, lines, near, shown, gap = align(expected, events), {}, {}, 0, false
  for i, row in ipairs(rows) do
    if not row[3] then
      for k = i - CONTEXT, i + CONTEXT do near[k] = true end
    end
  end
  add_row(lines, " ", "", "expected", "actual")
  for i = 1, #rows do
    local row = rows[i]
    local want, got = row[1], row[2]
    if near[i] and shown < ROWS_MAX then
      local with_json = want and want.json ~= nil
      add_row(lines, row[3] and " " or "*", i, want and show(want, true) or "(none)", got and show(got, with_json) or "(none)")
      if want and got and not row[3] then add_difference(lines, want, got) end
      shown, gap = shown + 1, false
    elseif not gap then lines[#lines + 1], gap = "    ...", true end
  end
  return table.concat(lines, "\n")
end

return { check = check, describe = describe, matches = matches, side_by_side = side_by_side, show = show }
