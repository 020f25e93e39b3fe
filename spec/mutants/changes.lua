-- SPDX-License-Identifier: MIT
-- All small changes of a C source that can be told from its tokens: in bodies of functions, outside of assertions,
-- never across a line's end, so that line numbers stay. list(text) gives { line, first, last, to, what, text, within } each:
-- the bytes from first to last are replaced by `to`; `what` says so to a reader, `text` is the line. `within` is the function:
-- { line, first, last, name, result, parameters, has_sign }, where `result` goes before its name, and `has_sign` is whether it returns
-- a negative number somewhere.
local changes = {}

local SWAPS = {
  ["<"] = "<=", ["<="] = "<", [">"] = ">=", [">="] = ">", ["=="] = "!=", ["!="] = "==", ["&&"] = "||", ["||"] = "&&",
  ["+="] = "-=", ["-="] = "+=", ["|="] = "&=", ["&="] = "|=", ["++"] = "--", ["--"] = "++", ["<<"] = ">>", [">>"] = "<<",
  ["%"] = "/", ["/"] = "*", ["true"] = "false", ["false"] = "true", MIN = "MAX", MAX = "MIN",
}
local BINARY = { ["+"] = "-", ["-"] = "+", ["*"] = "/", ["&"] = "|", ["|"] = "&" } -- behind an operand only
local ASSIGNS = { ["="] = true, ["+="] = true, ["-="] = true, ["|="] = true, ["&="] = true, ["++"] = true, ["--"] = true }
local KEYWORDS = {}
for word in ("return goto break continue case default if else while for do switch struct enum union const static sizeof int char long unsigned "
  .. "size_t ssize_t bool double float void assert static_assert"):gmatch("%S+") do KEYWORDS[word] = true end

local function blank(text) return (text:gsub("[^\n]", " ")) end

-- Without comments, strings, characters and lines of the preprocessor, all at their places.
local function code_of(text)
  local out, at = {}, 1
  while at <= #text do
    local first = text:find("[/\"'#]", at)
    if not first then break end
    out[#out + 1] = text:sub(at, first - 1)
    local c, last = text:sub(first, first)
    if text:find("^//", first) then last = (text:find("\n", first, true) or #text + 1) - 1
    elseif text:find("^/%*", first) then last = select(2, text:find("*/", first, true))
    elseif c == "#" and text:sub(1, first - 1):match("[^\n]*$"):find("^%s*$") then
      last = first
      repeat last = text:find("\n", last + 1, true) until text:sub(last - 1, last - 1) ~= "\\"
    elseif c == '"' or c == "'" then
      last = first
      repeat
        last = last + 1
        local escaped = text:sub(last, last) == "\\"
        if escaped then last = last + 1 end
      until not escaped and text:sub(last, last) == c
    end
    local literal = c == '"' or c == "'"
    out[#out + 1] = not last and c or literal and c .. blank(text:sub(first + 1, last - 1)):gsub(".", "_") .. c or blank(text:sub(first, last))
    at = (last or first) + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function tokens_of(code)
  local list, at, line = {}, 1, 1
  while true do
    local gap, from = code:match("^(%s*)()", at)
    line = line + select(2, gap:gsub("\n", ""))
    if from > #code then return list end
    local text = code:match("^[%a_][%w_]*", from) or code:match("^0[xX]%x+%a*", from) or code:match("^%d+%.?%d*%a*", from)
      or code:match('^"[^"]*"', from) or code:match("^'[^']*'", from)
      or code:match("^<<=", from) or code:match("^>>=", from) or code:match("^%-[%->=]", from) or code:match("^[<>=!+|&*/]=", from)
      or code:match("^%+%+", from) or code:match("^&&", from) or code:match("^||", from) or code:match("^<<", from)
      or code:match("^>>", from) or code:sub(from, from)
    list[#list + 1] = { text = text, first = from, last = from + #text - 1, line = line }
    at = from + #text
  end
end

-- The token that closes the bracket which tokens[i] opens.
local function closing(tokens, i)
  local depth = 0
  for k = i, #tokens do
    local text = tokens[k].text
    if text == "(" or text == "{" or text == "[" then depth = depth + 1
    elseif text == ")" or text == "}" or text == "]" then
      depth = depth - 1
      if depth == 0 then return k end
    end
  end
end

-- Pairs of tokens between which lie bodies of functions.
local function bodies(tokens)
  local list, i = {}, 1
  while i <= #tokens do
    local text = tokens[i].text
    if text == "(" then i = closing(tokens, i)
    elseif text == "{" then
      local last = closing(tokens, i)
      if tokens[i - 1].text == ")" then list[#list + 1] = { i, last } end
      i = last
    end
    i = i + 1
  end
  return list
end

local function opening(tokens, i)
  local depth = 0
  for k = i, 1, -1 do
    if tokens[k].text == ")" then depth = depth + 1 end
    if tokens[k].text == "(" then depth = depth - 1 end
    if depth == 0 then return k end
  end
end

local function function_of(text, tokens, body)
  local bracket = opening(tokens, body[1] - 1)
  local first = bracket - 1
  while first > 1 and tokens[first - 1].text ~= ";" and tokens[first - 1].text ~= "}" do first = first - 1 end
  return {
    line = tokens[first].line, first = tokens[first].first, last = tokens[body[2]].last, name = tokens[bracket - 1].text,
    result = text:sub(tokens[first].first, tokens[bracket - 1].first - 1),
    has_sign = text:sub(tokens[body[1]].first, tokens[body[2]].last):find("%f[%w_]return %-") ~= nil,
    parameters = text:sub(tokens[bracket].last + 1, tokens[body[1] - 1].first - 1),
  }
end

local function is_operand(token) return token.text:find("^[%w_]") and not KEYWORDS[token.text] or token.text == ")" or token.text == "]" end

local function semicolon(tokens, i, last)
  local depth = 0
  for k = i, last do
    local text = tokens[k].text
    if text == "(" or text == "{" or text == "[" then depth = depth + 1
    elseif text == ")" or text == "}" or text == "]" then depth = depth - 1 end
    if text == ";" and depth == 0 then return k end
    if depth < 0 then return nil end
  end
end

-- Whether an expression's statement begins at tokens[i]: what does something, and declares nothing.
local function begins_action(tokens, i)
  local before, first, second = tokens[i - 1].text, tokens[i].text, tokens[i + 1].text
  if not (before == ";" or before == "{" or before == "}" or before == ")" or before == "else" or before == ":" or before == "do") then return false end
  if before == ":" and not tokens[i - 1].ends_label then return false end
  if before == ")" and not tokens[i - 1].closes_condition then return false end
  if first == "*" or first == "++" or first == "--" then return true end
  if not first:find("^[%a_]") or KEYWORDS[first] then return false end
  return second == "(" or second == "." or second == "->" or second == "[" or second == "," or ASSIGNS[second] or false
end

-- What else than 0 a function may return. That of a count is 1 too many, and where a negative number is a sign that callers ask
-- for, it is -1. A function of a signed type that returns no such sign itself may be either.
local function other_zeros(within)
  if within.result:find("unsigned") or within.result:find("%f[%w]u?size_t") or within.result:find("%f[%w]uint") then return { "1" } end
  if within.result:find("%f[%w]bool") or within.result:find("double") or within.result:find("float") then return { "1" } end
  return within.has_sign and { "-1" } or { "-1", "1" }
end

-- A negative number is a sign that callers ask for, and an allocation of more than is needed shows nowhere, nor does a longer array.
local function number_changes(token, before, two_before, after, within)
  local text = token.text
  local digits, suffix = text:match("^(%d+%.?%d*)(%a*)$")
  if not digits or suffix:find("[^uUlL]") then return {} end
  if text == "0" and before.text == "return" and after.text == ";" then return other_zeros(within) end
  local is_octal = digits:find("^0%d") ~= nil
  local value = is_octal and tonumber(digits, 8) or math.tointeger(digits) or tonumber(digits)
  local is_sign = before.text == "-" and not is_operand(two_before)
  local is_ample = is_sign or token.is_length or before.text == "(" and two_before.text == "xcalloc" or token.is_allocated and before.text == "+"
  local list = {}
  local function add(other)
    if other ~= value then list[#list + 1] = (math.type(other) == "float" and ("%.17g"):format(other) or is_octal and ("0%o"):format(other) or other) .. suffix end
  end
  if not is_ample then add(value + 1) end
  if value > 0 then add(value - 1) end
  return list
end

-- Marks the brackets behind if, while and for, the latter two as a loop's, and the colons of labels: after these a statement stands.
local function mark_conditions(tokens)
  local in_label
  for i, token in ipairs(tokens) do
    local word = token.text
    if word == "case" or word == "default" then in_label = true end
    if word == ":" then token.ends_label, in_label = in_label, false end
    if tokens[i + 1] and tokens[i + 1].text == "(" and (word == "if" or word == "while" or word == "for" or word == "switch" or word:find("^list_each")) then
      local last = tokens[closing(tokens, i + 1)]
      last.closes_condition, last.closes_loop = true, word ~= "if" and word ~= "switch"
    end
  end
end

-- Whether a declaration begins at tokens[i].
local function begins_declaration(tokens, i)
  local word, after = tokens[i].text, tokens[i + 1]
  return word:find("^[%a_]") and after and after.text:find("^[%a_*]") and word ~= "return" and word ~= "goto" and word ~= "case" and word ~= "else"
end

-- Marks numbers that say how much room there is or is made: in what is set as something's `cap`, in calls of what makes room in a
-- buffer (more would show nowhere, less costs another step), in the brackets of a local array's declaration, and in allocations. Of
-- the last two only less is looked for.
local function mark_room(tokens, first, last)
  local declares, is_declared, depth = false, false, 0
  for i = first, last do
    local word, before = tokens[i].text, tokens[i - 1].text
    if before == ";" or before == "{" or before == "}" then declares, is_declared, depth = begins_declaration(tokens, i), false, 0 end
    if word == "(" then depth = depth + 1 elseif word == ")" then depth = depth - 1 end
    if word == "=" then is_declared = true elseif word == "," and depth == 0 then is_declared = false end
    local stop
    if word == "[" and declares and not is_declared then stop = closing(tokens, i)
    elseif word:find("cap$") and ASSIGNS[tokens[i + 1].text] then stop = semicolon(tokens, i, last)
    elseif word == "buf_reserve" or word == "buf_reset" then stop = closing(tokens, i + 1) end
    for k = i, stop or i - 1 do
      if word == "[" then tokens[k].is_length = true else tokens[k].is_room = true end
    end
    if word:find("^x[mc]alloc$") or word == "xrealloc" then
      for k = i, closing(tokens, i + 1) do tokens[k].is_allocated = true end
    end
  end
end

-- One line's part of the source, from the token i to the token k, replaced by what stands around it now. What goes over
-- several lines keeps their ends.
local function change(text, tokens, i, k, to, what)
  local first, last = tokens[i].first, tokens[k].last
  local _, ends = text:sub(first, last):gsub("\n", "")
  return { line = tokens[i].line, first = first, last = last, to = to .. ("\n"):rep(ends - select(2, to:gsub("\n", ""))), what = what }
end

-- Whether tokens[i] is the operator or the 0 of a question whether there is a descriptor, which is never 0.
local function is_of_descriptor(tokens, i)
  local at = tokens[i].text == "0" and i - 1 or i
  return (tokens[at].text == "<" or tokens[at].text == ">=") and tokens[at - 1].text:find("fd$") and tokens[at + 1].text == "0"
end

-- What prepares a lock or a condition and gives it back: one of zeros is ready, and it holds nothing.
local function is_of_lock(word)
  return word == "lock_init" or word == "lock_deinit" or word == "pthread_cond_destroy" or word:find("^pthread_%w*attr_destroy$")
end

local function of_token(text, tokens, i, last, within, add)
  local token, before = tokens[i], tokens[i - 1]
  local word = token.text
  if is_of_descriptor(tokens, i) then return end
  if SWAPS[word] then add(i, i, SWAPS[word], word .. " becomes " .. SWAPS[word]) end
  if BINARY[word] and is_operand(before) and text:sub(token.last + 1, token.last + 1):find("%s") then
    add(i, i, BINARY[word], word .. " becomes " .. BINARY[word])
  end
  for _, number in ipairs(token.is_room and {} or number_changes(token, before, tokens[i - 2], tokens[i + 1], within)) do
    add(i, i, number, word .. " becomes " .. number)
  end
  if word == "!" then add(i, i, " ", "! is left out") end
  if word == "?" then add(i, i, "== 0 ?", "? asks for the opposite") end
  if (word == "if" or word == "while") and tokens[i + 1].text == "(" then
    local close = closing(tokens, i + 1)
    local inner = text:sub(tokens[i + 1].first, tokens[close].last)
    add(i + 1, close, "(!" .. inner .. ")", word .. " asks for the opposite")
  end
  if word == "return" and tokens[i + 1].text ~= ";" then
    local stop = semicolon(tokens, i, last)
    local is_number = stop and tokens[stop - 1].text:find("^%d") and (stop == i + 2 or tokens[i + 1].text == "-" and stop == i + 3)
    if stop and not is_number then add(i + 1, stop - 1, "!(" .. text:sub(tokens[i + 1].first, tokens[stop - 1].last) .. ")", "return of the opposite") end
  end
  local is_all_of_loop = word == "continue" and before.closes_loop -- as good as an empty statement
  if word == "break" or word == "continue" and not is_all_of_loop or (word == "return" and tokens[i + 1].text == ";") then add(i, i, "", word .. " is left out") end
  if begins_action(tokens, i) and not is_of_lock(word) then
    local stop = semicolon(tokens, i, last)
    if stop then add(i, stop - 1, "", "left out: " .. text:sub(token.first, tokens[stop - 1].last):gsub("%s+", " ")) end
  end
end

function changes.list(text)
  local code = code_of(text)
  local tokens, list = tokens_of(code), {}
  mark_conditions(tokens)
  local lines = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = line:match("^%s*(.-)%s*$") end
  for _, body in ipairs(bodies(tokens)) do
    local i, seen = body[1] + 1, {}
    local within = function_of(text, tokens, body)
    mark_room(tokens, body[1] + 1, body[2])
    while i < body[2] do
      if tokens[i].text == "assert" or tokens[i].text == "static_assert" then i = closing(tokens, i + 1) + 1 end
      of_token(text, tokens, i, body[2], within, function(a, b, to, what)
        local one = change(text, tokens, a, b, to, what)
        local key = one.line .. what
        seen[key] = (seen[key] or 0) + 1
        if seen[key] > 1 then one.what = ("%s (%d)"):format(what, seen[key]) end
        one.text, one.within = lines[one.line], within
        list[#list + 1] = one
      end)
      i = i + 1
    end
  end
  return list
end

return changes
