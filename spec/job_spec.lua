-- SPDX-License-Identifier: MIT
-- Work that completes on another thread, and whoever waits for it.
local helper = require "spec.helper"

describe("a job", function()
  local loop
  before_each(function() loop = helper.harness.loop() end)
  after_each(function() loop:close() end)

  local function turn() return (select(3, loop:turn())) end

  it("tells of its end on the thread where it began, and is freed", function()
    loop:begin(1)
    assert.equal("", turn())
    loop:finish(1)
    assert.equal("1 done 1 freed ", turn())
    assert.equal("", turn())
  end)

  it("comes home in the order in which jobs are finished", function()
    for n = 1, 3 do loop:begin(n) end
    loop:finish(3)
    loop:finish(1)
    assert.equal("3 done 3 freed 1 done 1 freed ", turn())
    loop:finish(2)
    assert.equal("2 done 2 freed ", turn())
  end)

  it("wakes a loop that sleeps", function()
    loop:turn() -- what there is to do at first is done
    loop:begin(1)
    loop:finish_asleep(1)
    assert.equal("1 done 1 freed ", (select(3, loop:await())))
  end)

  it("that nobody waits for any more is freed when it ends, and not before", function()
    loop:begin(1)
    loop:abandon(1)
    assert.equal("", turn())
    loop:finish(1)
    assert.equal("1 freed ", turn())
  end)

  it("may have been finished when it is left", function()
    loop:begin(1)
    loop:finish(1)
    loop:abandon(1)
    assert.equal("1 freed ", turn())
  end)
end)
