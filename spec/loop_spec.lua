-- SPDX-License-Identifier: MIT
-- A loop's turns: what runs in them and in which order, how long they take, and how the loop sleeps between them.
local helper = require "spec.helper"
local harness = helper.harness

describe("a turn", function()
  local turns
  before_each(function() turns = harness.turns() end)
  after_each(function() turns:close() end)

  local function run(...) return (turns:turn(...)) end

  it("fires timers, then runs hooks in the order in which they were added", function()
    for n = 3, 1, -1 do turns:hook(n) end
    turns:arm(7, 2)
    turns:arm(8, 1)
    assert.equal("3 2 1 ", run(0.5))
    assert.equal("t8 t7 3 2 1 ", run(2))
    assert.equal("3 2 1 ", run())
  end)

  it("has its time from its beginning", function()
    assert.same({ "", false, 5 }, { turns:turn(5) })
    assert.same({ "", false, 5 }, { turns:turn() })
  end)

  it("says that there is more where a hook does", function()
    turns:hook(1)
    assert.same({ "1 ", false, 0 }, { turns:turn() })
    turns:hook(2, "more")
    turns:hook(3)
    assert.is_true(select(2, turns:turn()))
    turns:unhook(2)
    assert.is_false(select(2, turns:turn()))
  end)

  it("asks once more behind all hooks where one wants to be asked", function()
    turns:hook(1, "ready")
    turns:hook(2)
    assert.is_true(select(2, turns:turn()))
    turns:hook(1)
    assert.is_false(select(2, turns:turn()))
  end)

  it("runs a hook that is added during it, also by the last", function()
    turns:hook(1, "add", 2)
    assert.equal("1 2 ", run())
    turns:unhook(2)
    turns:hook(3)
    assert.equal("1 3 2 ", run())
    turns:unhook(1)
    assert.equal("3 2 ", run())
  end)

  it("leaves out what is removed during it", function()
    for n = 1, 4 do turns:hook(n) end
    turns:hook(1, "remove", 2)
    assert.equal("1 3 4 ", run())
    turns:hook(3, "remove", 1)
    assert.equal("1 3 4 ", run())
    assert.equal("3 4 ", run())
    turns:hook(3, "remove", 3)
    assert.equal("3 4 ", run())
    assert.equal("4 ", run())
    turns:hook(4, "remove", 4)
    assert.equal("4 ", run())
    assert.equal("", run())
  end)

  it("leaves out who is next and last", function()
    for n = 1, 2 do turns:hook(n) end
    turns:hook(1, "remove", 2)
    assert.equal("1 ", run())
    assert.equal("1 ", run())
  end)

  it("that takes longer than its limit says how long", function()
    turns:hook(1, "slow", 2)
    assert.equal("1 ", run())
    turns:limit(2)
    assert.equal("1 ", run())
    turns:hook(2, "slow", 1)
    assert.same({ "1 2 took:3 ", false, 7 }, { turns:turn() })
    turns:unhook(1)
    assert.equal("2 ", run(100))
  end)
end)

describe("a loop that sleeps", function()
  local loop
  after_each(function()
    if loop then loop:close() end
    loop = nil
  end)

  it("wakes for the earliest timer, and not before", function()
    loop = harness.loop "system"
    local began = harness.seconds()
    local turns = loop:sleep(0.03)
    assert.is_true(harness.seconds() - began >= 0.03)
    assert.is_true(turns < 12, turns)
    assert.is_true(loop:sleep(0) < 12)
    began = harness.seconds()
    for _ = 1, 8 do loop:sleep(0) end
    assert.is_true(harness.seconds() - began < 6) -- much less
  end)

  it("polls for so long as it is told, and less where something comes", function()
    loop = harness.loop "system"
    loop:start "r"
    loop:turn() -- in which there was more to do
    local began = harness.seconds()
    assert.equal("", (loop:poll(0.02)))
    assert.is_true(harness.seconds() - began >= 0.019)
    repeat until harness.seconds() - began > 0.1 -- however long ago it did so last
    began = harness.seconds()
    assert.equal("", (loop:poll(0.02)))
    assert.is_true(harness.seconds() - began >= 0.019)
    loop:write()
    assert.equal("r", (loop:poll(1000)))
    assert.is_true(harness.seconds() - began < 900)
  end)

  it("wakes for what is due before what it was going to wake for, and leaves an earlier end of its sleep as it is", function()
    loop = harness.loop()
    local began = harness.seconds()
    for _, times in ipairs { { 1e6, 0.01 }, { 0.01, 1e6 } } do
      loop:arm(times[1])
      loop:turn()
      loop:arm(times[2])
      loop:poll(1000)
    end
    loop:arm(1e6)
    loop:turn()
    loop:turn(1e6) -- it is due right now, and libev does not know
    loop:arm(1e6 + 0.01)
    loop:poll(1000)
    assert.is_true(harness.seconds() - began < 900)
  end)

  it("leaves nothing behind at its end", function()
    assert.is_true(helper.comes_to_rest(function()
      for _ = 1, 3 do
        local turns, other = harness.turns(), harness.loop()
        turns:arm(1, 5)
        turns:turn()
        other:arm(5)
        other:turn()
        turns:close()
        assert.same({ false, false }, { other:close() })
      end
    end))
  end)

  it("wakes once for what is due, however long the turn before has taken", function()
    loop = harness.loop "system"
    local turns = 0
    for _ = 1, 8 do
      local began = harness.seconds()
      repeat until harness.seconds() - began > 0.03
      turns = turns + loop:sleep(0.01)
    end
    assert.is_true(turns < 8 * 5, turns) -- two numbers for each that begins or ends
  end)

  it("that was woken before its time sleeps on until then", function()
    loop = harness.loop()
    local began = harness.seconds()
    loop:arm(0.01)
    for _ = 1, 10 do loop:poll(1000) end -- its clock stands, as one that libev is ahead of
    assert.is_true(harness.seconds() - began < 8)
  end)

  it("counts its turns, which have odd numbers, and is in none while it sleeps", function()
    loop = harness.loop()
    assert.equal(0, (loop:turns()))
    local before = -1
    for _ = 1, 3 do
      loop:turn()
      local turn = loop:turns()
      assert.equal(1, turn % 2)
      assert.is_true(turn > before)
      assert.equal(0, select(2, loop:turns()))
      before = turn
    end
    loop:poll(0)
    assert.is_true(loop:turns() > before)
    assert.equal(0, select(2, loop:turns()))
    loop:start "w"
    loop:quits()
    for _, way in ipairs { "await", "poll" } do
      assert.equal("w", (loop[way](loop, 1000)))
      assert.equal(0, select(2, loop:turns()), way)
    end
  end)

  it("counts no time between its turns as theirs", function()
    loop = harness.loop()
    assert.equal("", (select(3, loop:turn(100))))
    assert.equal("", (select(3, loop:poll(0, 100))))
    assert.equal("", (select(3, loop:turn(100))))
  end)

  it("counts the time of who is told of a descriptor as its turn's", function()
    loop = harness.loop()
    loop:start "w"
    loop:slow(61)
    loop:turn()
    assert.matches("^61 s ", (select(3, loop:turn())))
  end)

  it("ends the process where the kernel lets it not go on, and says what may help", function()
    local build = os.getenv "BUILD" or "build"
    local code = [[package.cpath = "./]] .. build .. [[/lib/?.so;" .. package.cpath
      local harness = require "spate.harness"
      local loop = harness.loop()
      harness.refused("epoll_wait", "EPERM", function() return loop:turn() end)]]
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    f:write(code)
    f:close()
    local pipe = assert(io.popen(("lua5.4 %s 2>&1 > /dev/null; echo $?"):format(path)))
    local said = pipe:read "a"
    pipe:close()
    os.remove(path)
    assert.matches("spate: event loop: .*epoll_wait: Operation not permitted; where descriptors have run out, raise `ulimit %-n`\n.*134\n$", said)
  end)

  it("says by what library it goes", function()
    local libev, liburing = harness.loop_libraries()
    assert.matches("^4%.%d+$", libev)
    assert.matches("^2%.%d+$", liburing or "2.0")
  end)

  it("is none where the kernel does not watch what wakes it, whatever the environment asks of libev, and leaves nothing behind", function()
    collectgarbage()
    local descriptors = harness.descriptors()
    harness.setenv("LIBEV_FLAGS", "1") -- by select
    assert.is_true(helper.comes_to_rest(function()
      local ok, err = harness.refused("epoll_ctl", "ENOSPC", function() return pcall(harness.loop) end)
      assert.same({ false, "no event loop" }, { ok, err })
    end))
    harness.setenv "LIBEV_FLAGS"
    assert.equal(descriptors, harness.descriptors())
  end)

  it("is none where no descriptor is left to make or to wake it by", function()
    for left = 0, 1 do
      harness.limit_descriptors(left)
      local ok, err = pcall(harness.loop)
      harness.limit_descriptors()
      assert.is_false(ok)
      assert.equal("no event loop", err)
    end
    collectgarbage()
    local descriptors = harness.descriptors()
    for _ = 1, 2 do
      harness.loop():close()
      assert.equal(descriptors, harness.descriptors())
    end
  end)
end)

describe("signals", function()
  local USR1, USR2 = 10, 12

  it("are told to who watches them", function()
    collectgarbage()
    local descriptors = harness.descriptors()
    assert.same({ 0, true, "10 " }, { harness.signals(USR1, USR2) })
    assert.same({ 0, true, "12 " }, { harness.signals(USR2) })
    assert.equal(descriptors, harness.descriptors())
    assert.equal(-1, (harness.refused("signalfd", "EMFILE", function() return harness.signals(USR1) end)))
    assert.equal(descriptors, harness.descriptors())
  end)
end)
