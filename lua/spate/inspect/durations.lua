-- SPDX-License-Identifier: MIT
-- Durations in a source that were probably meant as milliseconds: a literal number above 600 where seconds are taken.
local MAX = 600
local FUNCTIONS = { sleep = true, interval = true, every = true }
local METHODS = { retry = true, interval = true }

local function is(token, text) return token ~= nil and token.kind ~= "string" and token.text == text end

-- The names that the source has for the module spate.sse.
local function names_of_sse(tokens)
  local names = { sse = true }
  for i, token in ipairs(tokens) do
    if is(token, "require") and i > 2 and is(tokens[i - 1], "=") then
      local module = is(tokens[i + 1], "(") and tokens[i + 2] or tokens[i + 1]
      if module and module.kind == "string" and module.text == "spate.sse" then names[tokens[i - 2].text] = true end
    end
  end
  return names
end

-- The number that is a whole argument or value at `i`, where it is too large.
local function too_large(tokens, i)
  local token, after = tokens[i], tokens[i + 1]
  local n = token and token.kind == "number" and tonumber(token.text)
  local is_suspicious = n and n > MAX and (n % 60 ~= 0 or n % 1000 == 0) -- whole minutes are meant
  if is_suspicious and (is(after, ")") or is(after, ",") or is(after, "}") or is(after, ";")) then return token.text end
end

-- A list of { line =, what =, number = }.
return function(tokens)
  local sse, list = names_of_sse(tokens), {}
  for i, token in ipairs(tokens) do
    local number, what
    local before, after = tokens[i - 1], tokens[i + 1]
    if token.kind == "name" and is(after, "(") then
      local owner = tokens[i - 2]
      if FUNCTIONS[token.text] and is(before, ".") and owner and sse[owner.text] then
        number, what = too_large(tokens, i + 2), owner.text .. "." .. token.text
      elseif METHODS[token.text] and is(before, ":") then
        number, what = too_large(tokens, i + 2), ":" .. token.text
      end
    elseif is(token, "retry") and is(after, "=") and (is(before, "{") or is(before, ",")) then
      number, what = too_large(tokens, i + 2), "retry ="
    end
    if number then list[#list + 1] = { line = token.line, what = what, number = number } end
  end
  return list
end
