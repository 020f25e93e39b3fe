-- SPDX-License-Identifier: MIT
-- For busted --helper. With $MUTANTS_TRACE, a file: writes which blocks of the traced harness each spec enters. With
-- $MUTANTS_ONLY, a file of names: runs these only, and stops at the first that fails.
local busted = require "busted"

local around = {} -- the names of the describe blocks that are open

busted.subscribe({ "describe", "start" }, function(element)
  around[#around + 1] = element.name or element.descriptor
  return nil, true
end)
busted.subscribe({ "describe", "end" }, function()
  around[#around] = nil
  return nil, true
end)

local function full_name(name)
  local prefix = table.concat(around, " ")
  return ((prefix .. " " .. name):gsub("%s+", " "):gsub("^ ", ""))
end

-- A set of numbers up to `max` as hexadecimal digits, four of them each.
local function bitmap(set, max)
  local digits = {}
  for i = 0, max // 4 do
    local base, digit = i * 4, 0
    for bit = 0, 3 do
      if set[base + bit] then digit = digit | 1 << bit end
    end
    digits[i + 1] = ("%x"):format(digit)
  end
  return table.concat(digits)
end

local function trace(path)
  local build = os.getenv "BUILD"
  local take = assert(package.loadlib(("./%s/lib/spate/harness.so"):format(build), "luaopen_spate_trace"))()
  local index, max = {}, 0
  for offset in io.lines(build .. "/sites") do
    max = max + 1
    index[math.tointeger(offset)] = max
  end
  local out = assert(io.open(path, "w"))
  local last, shared, before, began = nil, {}, {}, nil
  local function add(set, offsets)
    for _, offset in ipairs(offsets) do set[index[offset] or 0] = true end
  end
  local function merge(set, other)
    for id in pairs(other) do set[id] = true end
  end
  local function flush()
    if not last then return end
    merge(last.blocks, shared)
    out:write(("%s\t%.3f\t%s\t%s\n"):format(last.status, last.seconds, last.name, bitmap(last.blocks, max)))
    last = nil
  end
  busted.subscribe({ "file", "start" }, function()
    shared = nil
    return nil, true
  end)
  -- What happens between two specs belongs to both, and what comes before the first of a file to all.
  busted.subscribe({ "test", "start" }, function(element)
    before = {}
    add(before, take())
    shared = shared or before
    if last then merge(last.blocks, before) end
    flush()
    began = os.clock()
    last = { name = full_name(element.name) }
    return nil, true
  end)
  busted.subscribe({ "test", "end" }, function(_, _, status)
    last.status, last.seconds, last.blocks = status, os.clock() - began, {}
    add(last.blocks, take())
    merge(last.blocks, before)
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    flush()
    out:close()
    return nil, true
  end)
end

local function only(list)
  local names = {}
  for line in io.lines(list) do names[line] = true end
  busted.subscribe({ "register", "it" }, function(name) return nil, names[full_name(name)] or false end, { priority = 1 })
  local file
  busted.subscribe({ "file", "start" }, function(element)
    file = element.name
    return nil, true
  end)
  local function stop(element, _, message)
    io.stdout:write("\nKILLED ", tostring(file), "\t", tostring(element and element.name), "\n", tostring(message), "\n")
    io.stdout:flush()
    os.exit(9, false)
  end
  busted.subscribe({ "failure" }, stop)
  busted.subscribe({ "error" }, stop)
end

if os.getenv "MUTANTS_TRACE" then trace(os.getenv "MUTANTS_TRACE") end
if os.getenv "MUTANTS_ONLY" then only(os.getenv "MUTANTS_ONLY") end
