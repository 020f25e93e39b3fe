-- SPDX-License-Identifier: MIT
-- The tokens of a Lua 5.4 source: { kind, text, line } each, kind one of name, number, string, op. What cannot be read is
-- passed over byte by byte: whether the source is right is for load to say.
local function lines_in(text) return select(2, text:gsub("\n", "")) end

-- The end of the long bracket that begins at `at`, and where its text begins; nil where none does.
local function long_bracket(source, at)
  local level, from = source:match("^%[(=*)%[()", at)
  if not level then return nil end
  local _, stop = source:find("]" .. level .. "]", from, true)
  return stop or #source, from, #level
end

local function quoted_end(source, at)
  local quote, i = source:sub(at, at), at + 1
  while i <= #source do
    local byte = source:sub(i, i)
    if byte == quote or byte == "\n" then return i end
    i = i + (byte == "\\" and 2 or 1)
  end
  return #source
end

-- Kind, text and end of the token at `at`; the kind is nil for a comment.
local function token(source, at)
  if source:find("^%-%-", at) then
    return nil, nil, long_bracket(source, at + 2) or (source:find("\n", at, true) or #source + 1) - 1
  end
  local name = source:match("^[%a_][%w_]*", at)
  if name then return "name", name, at + #name - 1 end
  local number = source:match("^0[xX][%x.]*[pP][+-]%d+", at) or source:match("^%.?%d[%w.]*[eE][+-]%d+", at) or source:match("^%.?%d[%w.]*", at)
  if number then return "number", number, at + #number - 1 end
  if source:find("^[\"']", at) then
    local stop = quoted_end(source, at)
    return "string", source:sub(at + 1, stop - 1), stop
  end
  local stop, from, level = long_bracket(source, at)
  if stop then return "string", source:sub(from, stop - level - 2), stop end
  local op = source:match("^%.%.%.?", at) or source:sub(at, at)
  return "op", op, at + #op - 1
end

return function(source)
  local list, line, at = {}, 1, source:match("^#[^\n]*()") or 1
  while true do
    local from = source:find("%S", at)
    if not from then return list end
    line = line + lines_in(source:sub(at, from - 1))
    local kind, text, stop = token(source, from)
    if kind then list[#list + 1] = { kind = kind, text = text, line = line } end
    line = line + lines_in(source:sub(from, stop))
    at = stop + 1
  end
end
