-- SPDX-License-Identifier: MIT
-- Where the functions of a chunk write global variables, read from its bytecode, which is exact: of Lua 5.4 only. The
-- statements of the chunk itself do not count.
local GETUPVAL, LOADK, LOADKX, SETTABUP, SETTABLE = 9, 3, 4, 15, 16
local ABSOLUTE = -128

local Reader = {}
Reader.__index = Reader

function Reader:take(format)
  local value
  value, self.at = string.unpack(format, self.bytes, self.at)
  return value
end

-- A number of variable length: seven bits in each byte, the last one marked.
function Reader:size()
  local n = 0
  while true do
    local byte = self:take "B"
    n = n << 7 | byte & 0x7f
    if byte & 0x80 ~= 0 then return n end
  end
end

function Reader:string()
  local size = self:size()
  return size > 0 and self:take("c" .. size - 1) or nil
end

local function list_of(reader, read)
  local list = {}
  for i = 0, reader:size() - 1 do list[i] = read(reader) end
  return list
end

local function constant(reader)
  local kind = reader:take "B"
  if kind == 0x13 then return reader:take "n"
  elseif kind == 0x03 then return reader:take "j"
  elseif kind == 0x04 or kind == 0x14 then return reader:string() end
end

local function upvalue(reader) return { instack = reader:take "B" ~= 0, index = reader:take "B", kind = reader:take "B" } end

local function instruction(reader) return reader:take "I4" end

local function line_step(reader) return reader:take "b" end

local function absolute_line(reader) return { pc = reader:size(), line = reader:size() } end

local function variable(reader) return { reader:string(), reader:size(), reader:size() } end

local function prototype(reader)
  local p = { source = reader:string(), first_line = reader:size(), last_line = reader:size() }
  reader:take "c3" -- parameters, vararg, stack
  p.code = list_of(reader, instruction)
  p.constants = list_of(reader, constant)
  p.upvalues = list_of(reader, upvalue)
  p.inner = list_of(reader, prototype)
  p.steps = list_of(reader, line_step)
  p.absolute = list_of(reader, absolute_line)
  list_of(reader, variable)
  list_of(reader, Reader.string)
  return p
end

local function lines_of(p)
  local absolute, lines, line = {}, {}, p.first_line
  for _, each in pairs(p.absolute) do absolute[each.pc] = each.line end
  for pc = 0, #p.steps do
    local step = p.steps[pc]
    if not step then break end
    line = step == ABSOLUTE and absolute[pc] or line + step
    lines[pc] = line
  end
  return lines
end

-- Calls found(line, name) for each write. `is_env` tells the function's upvalues that are the globals.
local function each_write(p, is_env, found)
  local lines, registers = lines_of(p), {}
  for pc = 0, #p.code do
    local i = p.code[pc]
    if not i then break end
    local op, a, b, bx = i & 0x7f, i >> 7 & 0xff, i >> 16 & 0xff, i >> 15
    if op == SETTABUP then
      if is_env[a] then found(lines[pc], p.constants[b]) end
    elseif op == SETTABLE then -- of a function with too many constants for the other
      if registers[a] == is_env and type(registers[b]) == "string" then found(lines[pc], registers[b]) end
    else
      registers[a] = nil
      if op == GETUPVAL and is_env[b] then registers[a] = is_env end
      if op == LOADK then registers[a] = p.constants[bx] end
      if op == LOADKX then registers[a] = p.constants[p.code[pc + 1] >> 7] end
    end
  end
end

local function walk(p, is_env, found)
  for i = 0, #p.inner do
    local inner, envs = p.inner[i], {}
    if not inner then break end
    for n, u in pairs(inner.upvalues) do envs[n] = not u.instack and is_env[u.index] or nil end
    each_write(inner, envs, found)
    walk(inner, envs, found)
  end
end

local HEADER = "\27Lua\x54\0\x19\x93\r\n\x1a\n"

-- A list of { line =, name = } for a function that load has returned; empty where the bytecode is not of this version.
local function globals(chunk)
  local bytes, list = string.dump(chunk), {}
  if bytes:sub(1, #HEADER) ~= HEADER then return list end
  local skipped = #HEADER + 3 + 8 + 8 + 1 -- sizes, a sample integer, a sample float, the number of upvalues
  local reader = setmetatable({ bytes = bytes, at = skipped + 1 }, Reader)
  walk(prototype(reader), { [0] = true }, function(line, name) list[#list + 1] = { line = line, name = name } end)
  return list
end

return globals
