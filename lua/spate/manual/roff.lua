-- SPDX-License-Identifier: MIT
-- Text as man(7) pages have it: a sentence begins a line, no line is longer than 78 bytes where it can be broken, and nothing in
-- it is taken for a request.
local roff = {}

local WIDTH = 78

-- Backslashes, and the signs that would be typeset otherwise.
local ESCAPES = { ["\\"] = "\\e", ["-"] = "\\-", ["'"] = "\\(aq", ["`"] = "\\(ga", ["^"] = "\\(ha", ["~"] = "\\(ti" }
local function escape(text) return (text:gsub("[-\\'`^~]", ESCAPES)) end

local function plain(text) return (text:gsub("%[([^%]]*)%]%([^)]*%)", "%1")) end

-- Markdown inside of a line: code and what is between two stars is bold, a link is its text.
local function inline(text)
  local parts, rest = {}, plain(text)
  while true do
    local before, mark, inner, after = rest:match "^(.-)(`+)([^`]+)%2(.*)$"
    local outer, strong, behind = rest:match "^(.-)%*%*([^*]+)%*%*(.*)$"
    if outer and (not before or #outer < #before) then before, inner, after, mark = outer, strong, behind, nil end
    if not before then break end
    parts[#parts + 1] = escape(before)
    parts[#parts + 1] = "\\fB" .. escape(mark and inner:gsub("^ ", ""):gsub(" $", "") or inner) .. "\\fR"
    rest = after
  end
  parts[#parts + 1] = escape(rest)
  return table.concat(parts)
end

-- A line that begins with a dot or an apostrophe would be a request.
local function guard(line) return line:find "^[.']" and "\\&" .. line or line end

-- Lines of text; each sentence begins one.
local function fill(text, out)
  local line = ""
  for word in text:gmatch "%S+" do
    if line ~= "" and (#line + 1 + #word > WIDTH or line:find "[.?!][)\"]?$" or line:find "[.?!]\\fR$") then
      out[#out + 1], line = guard(line), ""
    end
    line = line == "" and word or line .. " " .. word
  end
  if line ~= "" then out[#out + 1] = guard(line) end
end

roff.escape = escape

function roff.text(text, out) fill(inline(text), out) end

function roff.heading(macro, text, out) out[#out + 1] = ("%s %s"):format(macro, escape(plain(text))) end

-- Lines as they are.
function roff.literal(text, out)
  out[#out + 1] = ".nf"
  for line in (text:gsub("\n$", "") .. "\n"):gmatch "([^\n]*)\n" do
    out[#out + 1] = line == "" and "\\&" or guard(escape(line))
  end
  out[#out + 1] = ".fi"
end

-- An indented entry: its name, and what is said of it.
function roff.entry(name, text, out)
  out[#out + 1] = ".TP"
  out[#out + 1] = guard(inline(name))
  if text ~= "" then roff.text(text, out) else out[#out + 1] = "\\&" end
end

return roff
