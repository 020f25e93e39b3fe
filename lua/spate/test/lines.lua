-- SPDX-License-Identifier: MIT
-- The lines of a Lua file that have code, read from what Lua 5.4 compiles it to: a hook can see these, and no others.
local ABSOLUTE = -128 -- a difference of lines that stands elsewhere, in the list of absolute ones

local function reader(bytes, at)
  local self = { at = at }
  function self.byte()
    self.at = self.at + 1
    return bytes:byte(self.at - 1)
  end
  -- Seven bits a byte, the highest first; the last one is marked.
  function self.size()
    local n = 0
    repeat
      local b = self.byte()
      n = n << 7 | b & 0x7f
    until b & 0x80 ~= 0
    return n
  end
  function self.skip(n) self.at = self.at + n end
  function self.string()
    local n = self.size()
    if n > 0 then self.skip(n - 1) end
  end
  return self
end

local NUMBER, INTEGER, SHORT, LONG = 0x13, 0x03, 0x04, 0x14

local function skip_constants(r)
  for _ = 1, r.size() do
    local kind = r.byte()
    if kind == NUMBER or kind == INTEGER then r.skip(8)
    elseif kind == SHORT or kind == LONG then r.string() end
  end
end

-- The line of each instruction. The last is a return that the end of the function adds, the first of a function
-- with `...` sets these up: neither is anything that a person wrote.
local function add_lines(lines, differences, absolute, first, is_vararg)
  local line = first
  for i, difference in ipairs(differences) do
    if difference == ABSOLUTE then line = absolute[i - 1]
    else line = line + difference end
    if i < #differences and not (is_vararg and i == 1) then lines[line] = true end
  end
end

local function read_function(r, lines)
  r.string() -- its source
  local first = r.size()
  r.size() -- its last line
  r.byte() -- parameters
  local is_vararg = r.byte() ~= 0
  r.byte() -- registers
  r.skip(r.size() * 4)
  skip_constants(r)
  r.skip(r.size() * 3) -- upvalues
  for _ = 1, r.size() do read_function(r, lines) end
  local differences, absolute = {}, {}
  for i = 1, r.size() do
    local b = r.byte()
    differences[i] = b < 128 and b or b - 256
  end
  for _ = 1, r.size() do
    local at = r.size()
    absolute[at] = r.size()
  end
  add_lines(lines, differences, absolute, first, is_vararg)
  for _ = 1, r.size() do -- local variables
    r.string()
    r.size()
    r.size()
  end
  for _ = 1, r.size() do r.string() end -- names of upvalues
end

local HEADER = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1 -- up to and with the number of upvalues

-- { [line] = true }; nil where the file does not load.
return function(path)
  local chunk = loadfile(path, "t")
  if not chunk then return nil end
  local lines = {}
  read_function(reader(string.dump(chunk), HEADER + 1), lines)
  return lines
end
