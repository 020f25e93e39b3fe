-- SPDX-License-Identifier: MIT
-- What a loop says of a descriptor that it watches.
local helper = require "spec.helper"

describe("a watch", function()
  local loop
  before_each(function() loop = helper.harness.loop() end)
  after_each(function() loop:close() end)

  it("tells what it was asked for, and nothing else", function()
    loop:write()
    loop:start ""
    assert.equal("", (loop:turn()))
    loop:set "r"
    assert.equal("r", (loop:turn()))
    loop:set "rw"
    assert.equal("rw", (loop:turn()))
    loop:set "w"
    assert.equal("w", (loop:turn()))
    loop:fill()
    assert.equal("", (loop:turn()))
    loop:set "r"
    assert.equal("r", (loop:turn()))
  end)

  it("that is stopped tells nothing, and can be started again", function()
    loop:stop()
    loop:start "w"
    assert.equal("w", (loop:turn()))
    loop:stop()
    loop:stop()
    assert.equal("", (loop:turn()))
    loop:start "w"
    assert.equal("w", (loop:turn()))
  end)

  it("can be stopped as it is told", function()
    loop:start "rw"
    loop:write()
    loop:stop(true)
    assert.same({ "rw", 1, "" }, { loop:turn() })
    assert.same({ "", 0, "" }, { loop:turn() })
  end)

  describe("that the kernel refuses", function()
    before_each(function() loop:turn() end) -- has what wakes the loop watched

    local function refused(...) return (loop:refused_turn(...)) end

    it("is taken for ready for what it was asked, and asked again ten times a second", function()
      loop:start "rw"
      assert.equal("rw", refused())
      for _ = 1, 3 do
        assert.equal("", refused())
        assert.equal("", refused(0.09))
        assert.equal("rw", refused(0.02))
      end
      loop:set "w"
      assert.equal("", refused())
      assert.equal("w", refused(0.11))
    end)

    it("says so at once to a loop that sleeps", function()
      loop:start "r"
      assert.equal("r", refused(0, true))
    end)

    it("works as others once it is not", function()
      loop:start "r"
      assert.equal("r", refused())
      assert.equal("", (loop:turn()))
      loop:write()
      assert.equal("", (loop:turn()))
      assert.equal("r", (loop:turn(0.11)))
      assert.equal("r", (loop:turn()))
      loop:set "rw"
      assert.equal("rw", (loop:turn()))
    end)

    it("is left in peace where nothing is asked of it, and begins anew then", function()
      loop:start "r"
      assert.equal("r", refused())
      loop:set ""
      assert.equal("", refused(1))
      loop:set "w"
      assert.equal("w", refused())
      loop:set ""
      loop:set "w"
      assert.equal("w", (loop:turn()))
      assert.equal("w", (loop:turn()))
    end)

    it("can be stopped", function()
      loop:start "r"
      loop:stop(true)
      assert.equal("r", refused())
      assert.equal("", (loop:turn(1)))
      loop:start "w"
      assert.equal("w", (loop:turn()))
    end)
  end)
end)
