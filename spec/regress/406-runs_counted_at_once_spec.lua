-- SPDX-License-Identifier: MIT
-- One of nine runs of the simulator, and each second day, was made once more, as its process had more or fewer bytes of the C heap after
-- it: a thread's variables, which the C library frees where the next thread begins, and a table of Lua's that had been mapped.
local BUILD = os.getenv "BUILD" or "build"
local SEEDS, AGAIN_MAX = 40, 2 -- a block may be 16 bytes larger than asked for

-- Prints how many runs there were of so many seeds.
local COUNT = [[
package.path = "./?.lua;" .. package.path
local checked, plan, run = require "spec.simulate.checked", require "spec.simulate.plan", require "spec.simulate.run"
local runs = 0
local function play(p)
  runs = runs + 1
  return run(p)
end
for _, seed in ipairs { 1, 49 } do checked(plan.of_seed(seed)) end
for seed = 203401010000, 203401010000 + %d do checked(plan.of_seed(seed), play) end
print(runs)]]

describe("a run of the simulator", function()
  if os.getenv "LD_PRELOAD" then return end -- sanitizers have a heap of their own
  it("is made once", function()
    local main <close> = assert(io.open "spec/simulate.lua")
    local exact = main:read("a"):match 'EXACT = "(%g+)"'
    local pipe <close> = assert(io.popen(("%s BUILD=%s lua5.4 -e '%s'"):format(exact, BUILD, COUNT:format(SEEDS - 1))))
    local runs = tonumber(pipe:read "a")
    assert.is_true(runs <= SEEDS + AGAIN_MAX, ("%d runs of %d seeds"):format(runs, SEEDS))
  end)
end)
