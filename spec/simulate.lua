-- SPDX-License-Identifier: MIT
-- `make simulate [SEED=n] [SEEDS=1000] [HOURS=1]`: whole days of faults, each decided by a number. The seeds that ever
-- failed (simulate/seeds.lua) come first, then SEEDS of the date; or SEEDS from SEED on, or SEED alone. One that fails
-- is printed: what the model expected, and the shortest schedule that still fails, as a spec. A worker process runs them;
-- what it dies of is told by another.
--   BUILD=build lua5.4 spec/simulate.lua            by SEED, SEEDS, SECONDS, HOURS, CLIENTS of the environment
--   BUILD=build lua5.4 spec/simulate.lua find N S   the first seed from N on that fails within S CPU seconds, and how
--   BUILD=build lua5.4 spec/simulate.lua digest N [COUNT]   digests of seeds' runs: the same in each process
--   BUILD=build lua5.4 spec/simulate.lua digests N...       those of these seeds, in this order
-- Exits with 1 at the first failure.
package.path = "./?.lua;" .. package.path
local plan = require "spec.simulate.plan"
local print_plan = require "spec.simulate.print"
local failed = require "spec.simulate.seeds"

local BUILD = os.getenv "BUILD" or "build"
local HANG_SECONDS = 120 -- of one seed
local FAILED_SECONDS = 600 -- of all that have failed, where others have the machine: ten of CPU
local NAME = ("%s/simulate.%s"):format(BUILD, os.getenv "NAME" or "0")
local AT, OUTPUT, CANDIDATE = NAME .. ".at", NAME .. ".out", NAME .. ".lua"
local REDUCE_SECONDS = tonumber(os.getenv "REDUCE" or "") or 90

local function number(name) return math.tointeger(tonumber(os.getenv(name) or "")) end

local HOURS, CLIENTS = tonumber(os.getenv "HOURS" or ""), number "CLIENTS" or 200

local function write(path, text)
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
end

local function read(path)
  local f <close> = io.open(path)
  return f and f:read "a" or ""
end

local function program(seed)
  if HOURS then return plan.of_hours(seed, HOURS, CLIENTS) end
  return plan.of_seed(seed)
end

-- glibc counts what it keeps at hand for threads as allocated, and not blocks that it maps; without these the count of
-- spec.simulate.checked is exact.
local EXACT = "GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0:glibc.malloc.mmap_max=0"

local MAKE_ONCE = { 1, 49 } -- a thread, and what libcrypto keeps: a day need not be repeated for these

local FAILED = "failed" -- the first of those that have, in the order in which they lie there

local function seed_at(first, n) return first == FAILED and failed[n][1] or math.tointeger(first) + n - 1 end

-- The worker: one seed after the other.
local function work(first, count, deadline, cpu_seconds)
  local checked = require "spec.simulate.checked"
  for _, seed in ipairs(HOURS and MAKE_ONCE or {}) do checked(plan.of_seed(seed)) end
  local seconds, requests, ran, excused = 0, 0, 0, {}
  for n = 1, count do
    if os.time() >= deadline or cpu_seconds and os.clock() >= cpu_seconds then break end
    local seed = seed_at(first, n)
    write(AT, tostring(seed))
    local result = checked(program(seed))
    seconds, requests, ran = seconds + result.seconds, requests + result.requests, ran + 1
    for name, times in pairs(result.excuses) do excused[name] = (excused[name] or 0) + times end
  end
  print(("%d seeds, %.1f hours of virtual time, %d requests, %.1f s of CPU"):format(ran, seconds / 3600, requests, os.clock()))
  print(require("spec.simulate.excuses").line(excused))
end

-- Runs a worker; true, or nil and its output.
local function start(seconds, ...)
  local command = ("%s timeout -s ABRT %d lua5.4 spec/simulate.lua %s > %s 2>&1"):format(EXACT, seconds + HANG_SECONDS, table.concat({ ... }, " "), OUTPUT)
  if os.execute(command) then return true end
  return nil, read(OUTPUT)
end

local function save(p) write(CANDIDATE, "return " .. print_plan.program(p)) end

-- What went wrong without its numbers, so that a shorter schedule can be compared.
local function kind_of(output)
  local expected = output:match "expected: ([^\n]*)"
  local text = expected or output:match "SUMMARY: ([^\n]*)" or output:match "(%S*Assertion[^\n]*)" or output:match "(spate: [^\n]*)" or output:match "[^\n]*" or ""
  return (text:gsub("0x%x+", "0x"):gsub("%d[%d.]*", "N"):gsub("/tmp/lua_%w+", "app"))
end

local OVER = {} -- raised once enough time has been spent on a shorter schedule

-- The shortest program that fails in the same way, and what it says.
local function reduced(p, output)
  local kind, until_time = kind_of(output), os.time() + REDUCE_SECONDS
  local best, last = print_plan.program(p), output
  local ok, err = pcall(require "spec.simulate.reduce", p, function()
    if os.time() >= until_time then error(OVER) end
    save(p)
    local holds, said = start(10, "file", CANDIDATE)
    local is_same = not holds and kind_of(said) == kind
    if is_same then best, last = print_plan.program(p), said end
    return is_same
  end)
  if not ok and err ~= OVER then error(err, 0) end
  return load("return " .. best)(), last
end

local function tell(seed, output)
  print(output:sub(1, 8000))
  local kind = kind_of(output)
  local p, last = reduced(program(seed), output)
  print(print_plan.spec(p, (last:match "at [%d.]+ s: [^\n]*\n[^\n]*" or last:match "FAIL: ([^\n]*)" or kind)))
  print(("seed %d fails: %s\nmake simulate SEED=%d%s runs it again"):format(seed, kind, seed, HOURS and (" HOURS=%g"):format(HOURS) or ""))
  if not HOURS then print(("for simulate/seeds.lua: { %d, %d, 0x%016x },"):format(seed, plan.version(seed), print_plan.hash(plan.of_seed(seed)))) end
end

local function run_seeds(first, count, seconds, deadline)
  local ok, output = start(seconds, "work", first, count, deadline or os.time() + seconds)
  io.write(ok and read(OUTPUT) or "")
  if ok then return true end
  tell(math.tointeger(read(AT):match "%d+"), output)
  return false
end

-- The first seed that fails within CPU seconds, and how.
local function find(first, seconds, count)
  local patience = seconds * 20 -- where others have the machine
  local ok, output = start(patience, "work", first, count or 1 << 30, os.time() + patience, seconds)
  print(ok and "no seed fails" or ("seed %s: %s"):format(read(AT), output:gsub("%s+", " "):sub(1, 300)))
  return ok
end

local function all()
  local seed, seeds, seconds = number "SEED", number "SEEDS", number "SECONDS"
  if seed and not seeds then return run_seeds(seed, 1, seconds or 3600) end
  if not seed and not HOURS and not run_seeds(FAILED, #failed, FAILED_SECONDS, math.maxinteger) then return false end
  local first = seed or math.tointeger(tonumber(os.date "%Y%m%d0000"))
  print(("seeds from %d"):format(first))
  return run_seeds(first, seeds or (HOURS and 1 or seconds and 1 << 30 or 1000), seconds or 3600)
end

local function print_digest(seed) print(("%016x"):format(require "spec.simulate.run"(program(seed)).digest)) end

local MODES = {
  work = function(first, count, deadline, cpu_seconds) work(first, math.tointeger(count), tonumber(deadline), tonumber(cpu_seconds)) return true end,
  find = function(first, seconds, count) return find(math.tointeger(first), math.tointeger(tonumber(seconds)), count) end,
  file = function(path) require "spec.simulate.checked"(assert(loadfile(path))()) return true end,
  digest = function(first, count)
    for seed = math.tointeger(first), math.tointeger(first) + (math.tointeger(count or 1)) - 1 do print_digest(seed) end
    return true
  end,
  digests = function(...)
    for _, seed in ipairs { ... } do print_digest(math.tointeger(seed)) end
    return true
  end,
}

local mode = arg[1] and assert(MODES[arg[1]], "unknown: " .. arg[1]) or all
os.exit(mode(table.unpack(arg, 2)) == true, true)
