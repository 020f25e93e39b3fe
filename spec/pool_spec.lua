-- SPDX-License-Identifier: MIT
-- Work that a few threads do, and what waits for them.
local helper = require "spec.helper"

describe("a pool", function()
  local pool
  local function open(...) pool = helper.harness.pool(...) end
  after_each(function() pool:close() end)

  it("runs work elsewhere, and has it come home", function()
    open(2, 10)
    assert.equal(0, pool:threads())
    assert.is_true(pool:submit(1))
    pool:await_begun(1)
    pool:open(1)
    assert.equal("1 done 1 freed ", pool:await(1))
    assert.equal(1, pool:threads())
  end)

  it("has no more threads than work, and no more than its limit", function()
    open(2, 10)
    for n = 1, 4 do assert.is_true(pool:submit(n)) end
    pool:await_begun(2)
    assert.equal(2, pool:threads())
    for n = 4, 1, -1 do pool:open(n) end
    local log = pool:await(4)
    for n = 1, 4 do assert.matches(n .. " done " .. n .. " freed ", log, 1, true) end
    assert.is_true(pool:submit(5))
    pool:open(5)
    assert.equal("5 done 5 freed ", pool:await(1))
    assert.equal(2, pool:threads())
  end)

  it("is full where its threads are at work and its queue is long", function()
    open(1, 1)
    assert.is_true(pool:submit(1))
    assert.is_true(pool:submit(2))
    assert.is_false(pool:submit(3))
    pool:await_begun(1)
    assert.is_false(pool:submit(3))
    pool:open(1)
    assert.equal("1 done 1 freed ", pool:await(1))
    assert.is_true(pool:submit(3))
    pool:open(2)
    pool:open(3)
    assert.equal("2 done 2 freed 3 done 3 freed ", pool:await(2))
  end)

  it("takes as much as it has threads where it has no queue", function()
    open(2, 0)
    assert.is_true(pool:submit(1))
    assert.is_true(pool:submit(2))
    assert.is_false(pool:submit(3))
    pool:open(1)
    pool:open(2)
    pool:await(2)
  end)

  it("never does what was left before it began, and has room for more then", function()
    open(1, 1)
    pool:submit(1)
    pool:await_begun(1)
    pool:submit(2)
    pool:abandon(2)
    assert.equal("2 freed untouched ", pool:await(1))
    assert.is_true(pool:submit(3))
    pool:open(1)
    pool:open(3)
    assert.equal("1 done 1 freed 3 done 3 freed ", pool:await(2))
  end)

  it("frees what was left as it ran when that is over", function()
    open(1, 1)
    pool:submit(1)
    pool:await_begun(1)
    pool:abandon(1)
    pool:open(1)
    assert.equal("1 freed ", pool:await(1))
  end)

  it("has its threads end where there is nothing to do, and others start when there is", function()
    open(2, 10, 0)
    for round = 1, 3 do
      for n = 1, 2 do pool:submit(n) end
      for n = 1, 2 do pool:open(n) end
      pool:await(2)
      assert.equal(0, pool:threads(0), round)
    end
  end)

  it("waits at its end for what runs, and leaves what has not begun", function()
    open(1, 3)
    for n = 1, 3 do pool:submit(n) end
    pool:await_begun(1)
    pool:abandon(3)
    pool:open(1)
    pool:open(2) -- may have begun meanwhile
    local log = pool:close()
    assert.matches("3 freed untouched ", log, 1, true)
    assert.matches("1 done 1 freed ", log, 1, true)
    assert.matches("2 freed", log, 1, true)
  end)

  describe("without threads", function()
    before_each(function() open(0, 2) end)

    it("does the work in the next turn", function()
      assert.is_true(pool:submit(1))
      assert.is_true(pool:submit(2))
      assert.is_false(pool:submit(3))
      assert.equal("", pool:turn())
      assert.equal("1 done 1 freed 2 done 2 freed ", pool:turn())
      assert.is_true(pool:submit(3))
      pool:turn()
      assert.equal("3 done 3 freed ", pool:turn())
    end)

    it("never does what was left before", function()
      pool:submit(1)
      pool:submit(2)
      pool:abandon(1)
      assert.equal("1 freed untouched ", pool:turn())
      assert.equal("2 done 2 freed ", pool:turn())
    end)

    it("leaves at its end what has not begun", function()
      pool:submit(1)
      assert.equal("1 freed untouched ", pool:close())
    end)
  end)
end)
