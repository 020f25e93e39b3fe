-- SPDX-License-Identifier: MIT
-- `make simulate-faults [FAULT=name] [MINUTES=10]`: puts each fault of faults.lua back, in a build of its own, and lets the
-- simulator look for it, seed by seed, until it fails or the time is over. Prints a table: the fault, the seed that shows
-- it and the CPU seconds that took, and what the model says. Sources are left as they are; $BUILD has to be made.
--   BUILD=build lua5.4 spec/simulate/put_back.lua [NAME ...]    by MINUTES of the environment
-- Exits with 1 where a fault is not found.
package.path = "./?.lua;" .. package.path
local altered = require "spec.altered_build"
local faults = require "spec.simulate.faults"

local BUILD = os.getenv "BUILD" or "build"
local SECONDS = (tonumber(os.getenv "MINUTES" or "") or 10) * 60 // 1
local TICKS = 100 -- of the kernel's clock in a second

-- CPU seconds of all processes that this one has started and that have ended.
local function spent()
  local f <close> = assert(io.open "/proc/self/stat")
  local user, system = f:read "a":match("%) %a" .. (" %S+"):rep(12) .. " (%d+) (%d+)")
  return (user + system) / TICKS
end

local function build(fault)
  return altered.build(("%s/faults/%s"):format(BUILD, fault.name), { { (fault.file:gsub("^server/", "")), fault.from, fault.to } })
end

-- The first seed from `first` on that fails in that build, and what it says; nil where none does in time.
local function look(dir, first, seconds, count)
  local pipe <close> = assert(io.popen(("BUILD=%s lua5.4 spec/simulate.lua find %d %d %s 2>&1"):format(dir, first, seconds, count or "")))
  local seed, said = pipe:read "a":match "seed (%d+): ([^\n]*)"
  return math.tointeger(tonumber(seed)), said and (said:match "expected: (.-) stack traceback" or said:sub(1, 100))
end

-- The same where the sources as they are do not fail with that seed.
local function find(dir, began)
  local seed, said = 0
  repeat
    seed, said = look(dir, seed + 1, math.max(SECONDS - (spent() - began) // 1, 0) // 1)
  until not seed or look(BUILD, seed, SECONDS, 1) ~= seed
  return seed, said
end

local function row(fault)
  local dir, err = build(fault)
  if not dir then error(("%s does not compile: %s"):format(fault.name, err), 0) end
  local before = spent()
  local seed, said = find(dir, before)
  local seconds = ("%.1f"):format(spent() - before)
  print(("| %s | %s | %s | %s | %s |"):format(fault.name, seed and "found" or "not found", seed or "", seconds, said or fault.what))
  return seed
end

local function wanted(names)
  if #names == 0 then return faults end
  local list, by_name = {}, {}
  for _, fault in ipairs(faults) do by_name[fault.name] = fault end
  for i, name in ipairs(names) do list[i] = by_name[name] or error("no such fault: " .. name, 0) end
  return list
end

io.stdout:setvbuf "line"
print "| fault | | seed | s | |\n|---|---|---|---|---|"
local found, list = 0, wanted(arg)
for _, fault in ipairs(list) do found = found + (row(fault) and 1 or 0) end
print(("%d of %d faults are found"):format(found, #list))
os.exit(found == #list, true)
