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

  it("has threads that no signal is for", function()
    open(2, 10)
    local function blocked(thread)
      local f <close> = assert(io.open(("/proc/self/task/%s/status"):format(thread)))
      return f:read "a":match "SigBlk:%s*(%x+)"
    end
    local before, threads = blocked "../", {}
    assert.not_matches("^f+[0-9a-f]f+[0-9a-f]*$", before) -- no pool of another spec has left it so
    for n = 1, 2 do pool:submit(n) end
    assert.equal(before, blocked "../")
    pool:await_begun(2)
    local list = io.popen(("ls /proc/%s/task"):format(assert(io.open "/proc/self/stat"):read "a":match "^%d+"))
    for thread in list:lines() do threads[#threads + 1] = blocked(thread) end
    list:close()
    table.sort(threads)
    assert.equal(3, #threads)
    assert.equal(before, threads[1])
    for i = 2, 3 do assert.matches("^f+[0-9a-f]f+[0-9a-f]*$", threads[i]) end -- but for the library's own
    for n = 1, 2 do pool:open(n) end
    pool:await(2)
  end)

  it("keeps nothing of threads that have ended", function()
    local function size()
      local f <close> = assert(io.open "/proc/self/status")
      return tonumber(f:read "a":match "VmSize:%s*(%d+)")
    end
    open(1, 1, 0)
    local before
    for round = 1, 60 do
      pool:submit(1)
      pool:open(1)
      pool:await(1)
      pool:threads(0)
      if round == 10 then before = size() end
    end
    assert.is_true(size() - before < 100000)
  end)

  it("leaves none of its threads behind", function()
    local function size()
      local f <close> = assert(io.open "/proc/self/status")
      return tonumber(f:read "a":match "VmSize:%s*(%d+)")
    end
    local before
    for round = 1, 40 do
      open(1, 1)
      pool:submit(1)
      pool:open(1)
      pool:await(1)
      pool:close()
      if round == 10 then before = size() end
    end
    assert.is_true(size() - before < 100000)
  end)

  it("goes on with fewer threads where the system has no more, and takes nothing where it has none", function()
    open(1, 1)
    assert.is_false(pool:submit_alone(1))
    assert.equal(0, pool:threads())
    pool:close()
    open(2, 10)
    pool:submit(1)
    pool:await_begun(1)
    assert.is_true(pool:submit_alone(2))
    assert.equal(1, pool:threads())
    assert.is_true(pool:submit(3)) -- while that one is at work, and another waits
    assert.equal(2, pool:threads())
    for n = 1, 3 do pool:open(n) end
    local log = pool:await(3)
    for n = 1, 3 do assert.matches(("%d done %d freed "):format(n, n), log, 1, true) end
  end)

  it("lets its threads wait for work as long as it is told", function()
    open(1, 1, 0.05)
    local began = helper.harness.seconds()
    pool:submit(1)
    pool:open(1)
    pool:await(1)
    assert.equal(1, pool:threads())
    pool:threads(0)
    local took = helper.harness.seconds() - began
    assert.is_true(took >= 0.05)
  end)

  it("does what is left in its queue with the threads that there are", function()
    open(1, 3)
    for n = 1, 3 do pool:submit(n) end
    for n = 1, 3 do pool:open(n) end
    assert.equal("1 done 1 freed 2 done 2 freed 3 done 3 freed ", pool:await(3))
    assert.equal(1, pool:threads())
  end)

  it("that has ended takes nothing any more, has no threads, and nothing to do in a turn", function()
    for threads = 0, 2 do
      open(threads, 1)
      assert.same({ "", 0, false }, { pool:close() })
      assert.is_false(pool:submit(1))
    end
  end)

  describe("without threads", function()
    before_each(function() open(0, 2) end)

    it("does the work in the next turn", function()
      assert.same({ "", false }, { pool:turn() })
      assert.is_true(pool:submit(1))
      assert.is_true(pool:submit(2))
      assert.is_false(pool:submit(3))
      assert.same({ "", true }, { pool:turn() })
      assert.same({ "1 done 1 freed 2 done 2 freed ", false }, { pool:turn() })
      assert.is_true(pool:submit(3))
      pool:turn()
      assert.equal("3 done 3 freed ", (pool:turn()))
    end)

    it("never does what was left before", function()
      pool:submit(1)
      pool:submit(2)
      pool:abandon(1)
      assert.equal("1 freed untouched ", (pool:turn()))
      assert.equal("2 done 2 freed ", (pool:turn()))
    end)

    it("never does what is left by work before it in the same turn", function()
      pool:submit(1, 2)
      pool:submit(2)
      assert.equal("", (pool:turn()))
      assert.equal("2 freed untouched 1 done 1 freed ", (pool:turn()))
      assert.equal("", (pool:turn()))
      assert.is_true(pool:submit(3))
      assert.is_true(pool:submit(4))
      assert.is_false(pool:submit(5))
    end)

    it("does work that is made by work in the turn behind it", function()
      pool:submit(1, 0, 2)
      assert.equal("", (pool:turn()))
      assert.equal("1 done 1 freed ", (pool:turn()))
      assert.equal("2 done 2 freed ", (pool:turn()))
    end)

    it("leaves at its end what has not begun", function()
      pool:submit(1)
      assert.equal("1 freed untouched ", pool:close())
    end)
  end)
end)
