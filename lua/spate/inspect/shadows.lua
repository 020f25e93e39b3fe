-- SPDX-License-Identifier: MIT
-- Routes that can never match because another takes every path of theirs first. The router tries a literal segment, then
-- :name[set] in the order of definition, then :name, then *rest, and goes back where a path does not fit further on.
local RANK = { literal = 1, set = 2, any = 3, rest = 4 }

-- The bytes that the segments of a path may have.
local function is_text(byte) return byte >= 0x20 and byte ~= 0x7f end

local function bytes_of(set)
  local bytes = {}
  for byte = 0, 255 do bytes[byte + 1] = is_text(byte) and string.char(byte):find("^" .. set .. "$") and "1" or "0" end
  return table.concat(bytes)
end

local EVERY = bytes_of "[%z\1-\255]"

-- Where the set that begins at `at` ends: its first byte is never the end.
local function set_end(path, at)
  at = path:match("^%[%^?()", at)
  repeat at = at + (path:sub(at, at) == "%" and 2 or 1) until at > #path or path:sub(at, at) == "]"
  return at
end

-- The segment that begins at `at`, and where it ends.
local function segment_at(path, at)
  local name_end = path:match("^:[%w_]+()", at)
  if name_end and path:sub(name_end, name_end) == "[" then
    local stop = set_end(path, name_end)
    return { kind = "set", text = bytes_of(path:sub(name_end, stop)) }, stop
  end
  local text = path:match("^[^/]*", at)
  local kind = text:find("^:") and "any" or text:find("^%*") and "rest" or "literal"
  return { kind = kind, text = kind == "literal" and text or kind }, at + #text - 1
end

local function segments_of(path)
  local list, at = {}, 1
  while at <= #path do
    list[#list + 1], at = segment_at(path, at + 1) -- after the '/'
    at = at + 1
  end
  return list
end

local function set_covers(set, other)
  for i = 1, #other do
    if other:byte(i) == 49 and set:byte(i) ~= 49 then return false end
  end
  return true
end

-- True where `a` takes every segment that `b` takes.
local function covers(a, b)
  if a.kind == b.kind and a.text == b.text then return true end
  if a.kind == "any" then return b.kind == "set" or b.kind == "literal" and b.text ~= "" end
  if a.kind ~= "set" then return false end
  if b.kind == "any" then return set_covers(a.text, EVERY) end
  if b.kind == "set" then return set_covers(a.text, b.text) end
  if b.kind ~= "literal" or b.text == "" then return false end
  for i = 1, #b.text do
    if a.text:byte(b.text:byte(i) + 1) ~= 49 then return false end
  end
  return true
end

local function covers_from(a, b, at)
  for i = at, #b do
    if not a[i] then return false end
    if a[i].kind == "rest" then return b[i].kind == "rest" or i < #b or b[i].text ~= "" end
    if not covers(a[i], b[i]) then return false end
  end
  return #a == #b
end

-- Where sets stand in the order of their definition, below the segments before them.
local function order_of(parsed)
  local order, count = {}, 0
  for _, segments in ipairs(parsed) do
    local key = ""
    for _, segment in ipairs(segments) do
      key = key .. "/" .. segment.kind .. " " .. segment.text
      if segment.kind == "set" and not order[key] then
        count = count + 1
        order[key] = count
      end
      segment.order = order[key]
    end
  end
end

local function is_shadowed(b, a)
  for i = 1, #b do
    if not a[i] then return false end
    if a[i].kind ~= b[i].kind or a[i].text ~= b[i].text then
      local first, second = RANK[a[i].kind], RANK[b[i].kind]
      local is_tried_first = first < second or first == second and a[i].kind == "set" and a[i].order < b[i].order
      return is_tried_first and covers_from(a, b, i)
    end
  end
  return false
end

-- A list of { route =, by = } for routes with method and path.
return function(routes)
  local parsed, list = {}, {}
  for i, route in ipairs(routes) do parsed[i] = segments_of(route.path) end
  order_of(parsed)
  for i, route in ipairs(routes) do
    for j, other in ipairs(routes) do
      if i ~= j and route.method == other.method and is_shadowed(parsed[i], parsed[j]) then
        list[#list + 1] = { route = route, by = other }
        break
      end
    end
  end
  return list
end
