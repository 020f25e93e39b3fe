-- SPDX-License-Identifier: MIT
-- What the benchmark takes for a disturbance: what others have used of the cores, and what the machine's host has taken of
-- them; not its own servers and clients, nor the kernel's threads.
local loaded = dofile "spec/bench/process.lua"

local KERNEL_THREAD = 0x00200000

local function stat(pid, name, parent, ticks, flags)
  return ("%d (%s) S %d 1 1 0 -1 %d 0 0 0 0 %d %d %d %d 20 0 1 0 55 1000 10\n"):format(pid, name, parent, flags or 4194304, table.unpack(ticks))
end

describe("a benchmark's look at what else runs", function()
  it("counts neither its own processes nor the kernel's threads", function()
    local text = stat(1, "init", 0, { 1, 2, 3, 4 }) .. stat(2, "kthreadd", 0, { 500, 0, 0, 0 }, KERNEL_THREAD) ..
      stat(9, "ksoftirqd/0", 2, { 0, 700, 0, 0 }, KERNEL_THREAD) .. stat(100, "lua5.4", 90, { 50, 0, 60, 0 }) .. stat(90, "sh", 1, { 10, 0, 0, 0 }) ..
      stat(101, "spate) S 1 (x", 100, { 1000, 0, 0, 0 }) .. stat(102, "worker", 101, { 2000, 0, 0, 0 }) .. stat(103, "a (b) c", 90, { 100, 200, 0, 0 }) .. "\n7 (odd)\n"
    assert.equal(320, loaded.foreign_ticks(text, 100))
  end)

  it("knows the busy and the stolen time of some cores", function()
    local text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 4000 5 6 7 8 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\ncpu10 1000 0 0 0 0 0 0 50 0 0\n"
    assert.same({ 1150, 58 }, { loaded.core_ticks(text, { 0, 10 }) })
  end)

  local function part(foreign, busy, stolen, seconds)
    return loaded.part({ foreign = 0, busy = 0, stolen = 0 }, { foreign = foreign, busy = busy, stolen = stolen }, seconds)
  end

  it("tells the part of a core that was lost to others", function()
    assert.equal(0, part(0, 400, 0, 2))
    assert.equal(0.5, part(100, 400, 0, 2))
    assert.equal(0.75, part(100, 400, 50, 2))
    assert.equal(0.2, part(1000, 40, 0, 2)) -- they ran elsewhere for most of it
    assert.equal(0, part(-500, 400, 0, 2))  -- who has ended took its count with it
  end)
end)
