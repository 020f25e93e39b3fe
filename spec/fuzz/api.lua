-- SPDX-License-Identifier: MIT
-- `make fuzz-lua [SEED=n] [SECONDS=60]`: random applications and schedules, each from a seed, under the address
-- sanitizer. Without SEED the seeds that ever failed (api_seeds.lua) come first, then those of the date. A program that
-- fails is printed, and can be run again by its seed. Each run of many is one process; what it dies of is told by
-- another.
--   lua5.4 spec/fuzz/api.lua                 as above, by SEED and SECONDS of the environment
--   lua5.4 spec/fuzz/api.lua reduce SEED     the same program, cut down
--   lua5.4 spec/fuzz/api.lua collect         goes on after failures, and counts them by kind
package.path = "./?.lua;" .. package.path
local program = require "spec.fuzz.api.program"
local signature = require "spec.fuzz.api.signature"

local BUILD = os.getenv "BUILD" or "build"
local SECONDS = tonumber(os.getenv "SECONDS") or 60
local HANG_SECONDS = 600 -- of one process beyond its time, in which some programs sort for long
local AT, OUTPUT, CANDIDATE = BUILD .. "/fuzz-lua.at", BUILD .. "/fuzz-lua.out", BUILD .. "/fuzz-lua.lua"

local function write(path, text)
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
end

local function read(path)
  local f <close> = io.open(path)
  return f and f:read "a" or ""
end

-- How many are open, and what they lead to.
local function descriptors()
  local pipe <close> = io.popen "readlink /proc/$PPID/fd/* | sort"
  local text = pipe:read "a"
  return select(2, text:gsub("\n", "")), text
end

-- Bytes that are allocated after a run.
local function allocated_after(run, harness, p)
  local loaded = run(p)
  for _ = 1, 2 do collectgarbage() end
  return harness.allocated(), loaded
end

-- The worker: runs programs until the time is over; the one at work is in the file AT.
local function work(next_program)
  local run, harness = require "spec.fuzz.api.run", require "spec.helper".harness
  local ran, loaded, fds = 0, 0, descriptors()
  local bytes = allocated_after(run, harness, program.of_seed(0)) -- what is made once, with the first use
  for p in next_program do
    write(AT, ("%s %d"):format(p.seed, ran))
    local before, has_loaded = bytes
    bytes, has_loaded = allocated_after(run, harness, p)
    if bytes > before and allocated_after(run, harness, p) > bytes and harness.leaks() then
      error(("FAIL: %d bytes are lost"):format(bytes - before), 0)
    end
    ran, loaded = ran + 1, loaded + (has_loaded and 1 or 0)
  end
  local left, where = descriptors()
  if left ~= fds then error(("FAIL: %d descriptors are left open, of these:\n%s"):format(left - fds, where), 0) end
  print(("%d programs, %d of them did not load"):format(ran, ran - loaded))
end

local function seeds_from(seed, deadline)
  return function()
    if os.time() >= deadline then return nil end
    seed = seed + 1
    return program.of_seed(seed - 1)
  end
end

local function once(p)
  return function()
    local it = p
    p = nil
    return it
  end
end

-- Buffers that Lua's own library loses where it unwinds without memory.
local function is_lua_s_own(output)
  if not output:find "bytes are lost" then return false end
  for leak in output:gmatch "Direct leak.-\n\n" do
    if not leak:find "#1 [^\n]* in allocate " then return false end
  end
  return true
end

-- Runs a worker; true, or nil and its output.
local function start(seconds, ...)
  local command = ("timeout -s ABRT %d lua5.4 spec/fuzz/api.lua work %s > %s 2>&1"):format(seconds + HANG_SECONDS, table.concat({ ... }, " "), OUTPUT)
  if os.execute(command) then return true end
  return nil, read(OUTPUT)
end

local function tell(p, output)
  print(program.text(p))
  print(output:sub(1, 12000))
  print(("seed %s fails: %s\nmake fuzz-lua SEED=%s runs it again"):format(p.seed, signature(output), p.seed))
end

local function failed_seed() return math.tointeger(read(AT):match "%d+") end

local function fuzz(seed)
  local deadline = os.time() + SECONDS
  print(("seeds from %d, for %d s"):format(seed, SECONDS))
  while true do
    local ok, output = start(SECONDS, "from", seed, deadline)
    if ok then return print(read(OUTPUT)) or true end
    if not is_lua_s_own(output) then return tell(program.of_seed(failed_seed()), output) end
    seed = failed_seed() + 1
  end
end

local function run_seed(seed)
  local ok, output = start(0, "seed", seed)
  ok = ok or is_lua_s_own(output)
  if not ok then tell(program.of_seed(seed), output) end
  return ok
end

local function collect(seed)
  local deadline, kinds = os.time() + SECONDS, {}
  while os.time() < deadline do
    local ok, output = start(SECONDS, "from", seed, deadline)
    io.write(ok and read(OUTPUT) or "")
    if ok then break end
    local failed = failed_seed()
    local kind = is_lua_s_own(output) and "Lua's own" or signature(output)
    kinds[kind] = (kinds[kind] or 0) + 1
    if kinds[kind] <= 3 then
      write(("%s/fuzz-lua.%d.out"):format(BUILD, failed), output)
      print(failed, kind)
    end
    seed = failed + 1
  end
  for kind, count in pairs(kinds) do print(count, kind) end
end

local function reduce(from)
  local p = tonumber(from) and program.of_seed(math.tointeger(tonumber(from))) or program.load(from)
  local function kind()
    program.save(p, CANDIDATE)
    local ok, output = start(0, "file", CANDIDATE)
    return not ok and signature(output) or nil, output
  end
  local first = assert(kind(), "it does not fail")
  print(first)
  require "spec.fuzz.api.reduce"(p, function() return kind() == first end)
  local _, output = kind()
  tell(p, output)
end

local MODES = {
  work = function(what, value, deadline)
    if what == "seed" then work(once(program.of_seed(math.tointeger(value))))
    elseif what == "file" then work(once(program.load(value)))
    else work(seeds_from(math.tointeger(value), tonumber(deadline))) end
    return true
  end,
  collect = function(seed) collect(math.tointeger(seed or os.date "%Y%m%d0000")) return true end,
  reduce = function(seed) reduce(seed) return true end,
}

local function default()
  local seed = math.tointeger(tonumber(os.getenv "SEED"))
  if seed then return run_seed(seed) end
  for _, known in ipairs(dofile "spec/fuzz/api_seeds.lua") do
    if not run_seed(known) then return false end
  end
  return fuzz(math.tointeger(os.date "%Y%m%d0000"))
end

local mode = MODES[arg[1]] or default
os.exit(mode(table.unpack(arg, 2)) and 0 or 1, true)
