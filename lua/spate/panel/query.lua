-- SPDX-License-Identifier: MIT
-- The parameters of what is asked: each has a kind, which reads its text, or says what was expected in its place. Those that
-- are not known are the business of whoever has mounted this.
local TEXT_MAX, COUNT_MAX, SHOWN = 200, 1000000000, 40 -- bytes, numbers, bytes

local query = {}

function query.whole(most)
  most = most or COUNT_MAX
  return function(text)
    if not text:find "^%d+$" then return nil, "a whole number of 0 or more" end
    local n = tonumber(text)
    if n > most then return nil, most .. " at most" end
    return n
  end
end

function query.seconds(least, most)
  return function(text)
    local n = text:find "^[%d.]+$" and tonumber(text)
    if not n or n < least or n > most then return nil, ("seconds from %g to %g"):format(least, most) end
    return n
  end
end

function query.text(most)
  most = most or TEXT_MAX
  return function(text)
    if #text > most or text:find("\0", 1, true) then return nil, most .. " bytes at most, without NUL" end
    return text
  end
end

function query.choice(...)
  local names, last = { ... }, select(-1, ...)
  local expected = table.concat(names, ", ", 1, #names - 1) .. " or " .. last
  return function(text)
    for _, name in ipairs(names) do
      if text == name then return text end
    end
    return nil, expected
  end
end

local YES_OR_NO = query.choice("0", "1")

function query.yes(text)
  local value, expected = YES_OR_NO(text)
  if value then return value == "1" end
  return nil, expected
end

local function shown(text)
  text = text:gsub("[%c\127-\255]", "?")
  return #text > SHOWN and text:sub(1, SHOWN) .. "..." or text
end

-- The values of those that are given, by the kinds of `parameters`; nil and what is wrong with one. An empty one is not given.
function query.read(given, parameters)
  local values = {}
  for name, kind in pairs(parameters) do
    local text = given[name]
    if text and text ~= "" then
      local value, expected = kind(text)
      if value == nil then return nil, ("%s: expected %s, got '%s'"):format(name, expected, shown(text)) end
      values[name] = value
    end
  end
  return values
end

return query
