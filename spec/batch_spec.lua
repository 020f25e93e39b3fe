-- SPDX-License-Identifier: MIT
-- The sends of a turn, handed to the kernel by one call: sockets whose both ends are here.
local helper = require "spec.helper"

local harness = helper.harness

local available, why = harness.batch()
if available then available:free() end

-- Where the system has none there is nothing to look at but why.
if not available then
  it("a batch says why there is none", function()
    assert.is_true(#why > 0)
    assert.is_false(harness.has_rings())
  end)
  return
end

local batch, descriptors

local function open()
  collectgarbage()
  descriptors = harness.descriptors()
  batch = assert(harness.batch())
end

local function close()
  batch:free()
  assert.equal(descriptors, harness.descriptors())
end

-- Sends until nothing more goes in; what has gone, and the rest of the last.
local function fill(i)
  local piece, sent = ("f"):rep(100000), 0
  for _ = 1, 100 do
    batch:open()
    batch:send(i, piece)
    local n = tonumber(batch:close():match ":(%-?%d+)/")
    if n == 0 then return sent end
    sent = sent + n
  end
  error "it is never full"
end

describe("a batch", function()
  before_each(open)
  after_each(close)

  it("goes by a library that says which it is", function() assert.matches("^2%.%d+$", (select(2, harness.loop_libraries()))) end)

  it("takes nothing while it is closed", function()
    assert.is_false(batch:send(1, "one"))
    assert.equal("", (batch:close()))
    assert.equal("", batch:take(1))
  end)

  it("sends all that it has taken by one call, and tells each in order", function()
    assert.is_true(batch:open())
    for i = 1, 3 do assert.is_true(batch:send(i, "to " .. i)) end
    assert.is_true(batch:send(4, "ab", 3))
    assert.equal("", batch:take(1))
    assert.same({ "1:4/4 2:4/4 3:4/4 4:6/6", 4 }, { batch:close() })
    for i = 1, 3 do assert.equal("to " .. i, batch:take(i)) end
    assert.equal("ababab", batch:take(4))
    assert.same({ "", 0 }, { batch:close() })
  end)

  it("is used again and again", function()
    for round = 1, 3000 do
      batch:open()
      for i = 1, 3 do batch:send(i, tostring(round)) end
      assert.matches("^1:%d/%d 2:%d/%d 3:%d/%d$", (batch:close()))
      for i = 1, 3 do assert.equal(tostring(round), batch:take(i)) end
    end
  end)

  it("takes so many sends, and so many pieces, and no more", function()
    batch:open()
    for i = 0, 1023 do assert.is_true(batch:send(i, tostring(i))) end
    assert.is_false(batch:send(1024, "x"))
    local _, told = batch:close():gsub("%d+:%d+/%d+", "")
    assert.equal(1024, told)
    for i = 0, 1023 do assert.equal(tostring(i), batch:take(i)) end
    assert.equal("", batch:take(1024))
    batch:open()
    for i = 1, 4 do assert.is_true(batch:send(i, "x", 1000)) end
    assert.is_false(batch:send(5, "x", 97))
    assert.is_true(batch:send(5, "x", 96))
    assert.is_false(batch:send(6, "x"))
    batch:close()
    assert.equal(("x"):rep(96), batch:take(5))
  end)

  it("takes so many bytes, and no more", function()
    local piece = ("x"):rep(1 << 20)
    batch:open()
    assert.is_true(batch:send(1, piece, 3))
    assert.is_false(batch:send(2, piece .. "x"))
    assert.is_true(batch:send(2, piece))
    assert.is_false(batch:send(3, "x"))
    batch:close()
    batch:open()
    assert.is_false(batch:send(3, piece, 5))
    assert.is_true(batch:send(3, piece, 4))
    assert.is_false(batch:send(4, "x"))
    batch:close()
    batch:open()
    assert.is_true(batch:send(4, "x"))
    assert.equal("4:1/1", (batch:close()))
  end)

  it("tells of what was cut short, and of what found no room, beside others", function()
    for _, pieces in ipairs { 1, 2 } do
      batch:open()
      batch:send(1, "before")
      batch:send(2, ("x"):rep(1 << 20), pieces)
      batch:send(3, "behind")
      local len = pieces << 20
      local sent = tonumber(batch:close():match("^1:6/6 2:(%d+)/" .. len .. " 3:6/6$"))
      assert.is_true(sent > 0 and sent < len)
      assert.equal(sent, #batch:take(2))
      local kept = fill(2)
      batch:open()
      batch:send(1, "before")
      batch:send(2, "no room", pieces)
      batch:send(3, "behind")
      assert.equal(("1:6/6 2:0/%d 3:6/6"):format(7 * pieces), (batch:close()))
      assert.equal(kept, #batch:take(2))
    end
  end)

  it("tells of who has left, and goes on with the others", function()
    batch:leave(2)
    batch:open()
    for i = 1, 3 do batch:send(i, "x") end
    assert.equal("1:1/1 2:-1/1 3:1/1", (batch:close()))
  end)

  it("sends at once what belongs to one who closes, and tells nobody", function()
    batch:open()
    for i = 1, 3 do batch:send(i, "bytes", 2) end
    batch:withdraw(2)
    assert.equal("bytesbytes", batch:take(2))
    batch:withdraw(2) -- there is nothing any more
    assert.equal("1:10/10 3:10/10", (batch:close()))
    assert.equal("bytesbytes", batch:take(1))
    assert.equal("", batch:take(2))
    assert.equal("bytesbytes", batch:take(3))
  end)

  it("sends what is another's, where one closes who was told before", function()
    batch:open()
    batch:send(1, "x")
    batch:close()
    batch:open()
    batch:send(2, "y")
    batch:withdraw(1)
    assert.equal("", batch:take(2))
    assert.equal("2:1/1", (batch:close()))
    assert.equal("y", batch:take(2))
  end)

  it("does not tell who closes because of what another was told", function()
    batch:on_done(1, 3)
    batch:on_done(2, 2)
    batch:on_done(4, 1)
    batch:open()
    for i = 1, 4 do batch:send(i, "x") end
    assert.equal("1:1/1 2:1/1 4:1/1", (batch:close()))
    assert.equal("x", batch:take(3)) -- it had left
    batch:open()
    for i = 1, 4 do batch:send(i, "y") end
    batch:withdraw(1)
    assert.equal("2:1/1 3:1/1 4:1/1", (batch:close()))
  end)

  -- A ring belongs to the thread that made it, so this is a batch of the thread's own.
  it("sends one by one what the kernel does not take, tries again later, and tells of it once", function()
    local other = assert(harness.batch())
    for i, error in ipairs { "ENOMEM", "EAGAIN", "EPERM" } do
      local told = harness.refused("io_uring_enter", error, function()
        assert.is_true(other:open(11))
        for j = 1, 3 do other:send(j, "kept") end
        other:withdraw(2)
        return other:close()
      end)
      assert.equal(i == 1, told:find("the kernel does not take what it is given; sends go one by one, and it is tried again every 10 s", 1, true) ~= nil)
      assert.matches("1:4/4 3:4/4$", told)
      for j = 1, 3 do assert.equal("kept", other:take(j)) end
      assert.is_false(other:open(9.5))
      assert.is_false(other:send(1, "x"))
      other:close()
      assert.is_true(other:open(0.5))
      assert.is_true(other:send(1, "again"))
      assert.equal("1:5/5", (other:close()))
      assert.equal("again", other:take(1))
    end
    other:free()
  end)

  it("tells of each that it sends one by one what has become of it", function()
    local other = assert(harness.batch())
    other:open()
    for i = 1, 3 do other:send(i, "first") end
    other:close()
    for i = 1, 3 do assert.equal("first", other:take(i)) end
    other:leave(2)
    local told = harness.refused("io_uring_enter", "EPERM", function()
      other:open()
      other:send(1, "again")
      other:send(2, "in vain")
      return other:close()
    end)
    assert.matches(" 1:5/5 2:%-1/7$", told)
    assert.equal("again", other:take(1))
    assert.equal("", other:take(3)) -- was told of before
    other:open(11)
    told = harness.refused("io_uring_enter", "EPERM", function()
      return harness.refused("sendmsg", "EINTR", function()
        other:send(1, "late")
        return other:close()
      end)
    end)
    assert.matches("1:0/4$", told)
    other:open(11)
    told = harness.refused("io_uring_enter", "EPERM", function()
      other:send(2, "in vain")
      other:send(1, "")
      other:send(3, "x")
      return other:close()
    end)
    assert.matches("2:%-1/7 1:0/0 3:1/1$", told)
    other:free()
  end)

  it("never waits for room, nor where it sends one by one", function()
    local other = assert(harness.batch())
    other:send(1, "") -- makes its socket, which blocks
    local full = ("x"):rep(1 << 20)
    other:open()
    other:send(1, full)
    assert.matches("^1:%d+/1048576$", (other:close()))
    local told = harness.refused("io_uring_enter", "EPERM", function()
      other:open()
      other:send(1, full)
      return other:close()
    end)
    assert.matches("1:0/1048576$", told)
    other:free()
  end)

  it("tells once that there is no other ring in a failed one's place", function()
    local other = assert(harness.batch())
    local told = harness.refused("io_uring_enter", "EPERM", function()
      other:open()
      other:send(1, "x")
      return other:close()
    end)
    assert.matches("one by one", told)
    harness.refused("io_uring_setup", "ENOMEM", function()
      for _ = 1, 3 do
        assert.is_false(other:open(11))
        assert.not_matches("one by one", (other:close()))
      end
    end)
    assert.is_false(other:open(9))
    assert.is_true(other:open(2))
    other:free()
  end)

  it("leaves nothing behind, whether there is one or none", function()
    assert.is_true(helper.comes_to_rest(function()
      local other = harness.batch()
      other:open()
      other:send(1, "x")
      other:close()
      other:free()
      harness.refused("io_uring_setup", "EPERM", function() return harness.batch() end)
      harness.refused("io_uring_enter", "EPERM", function() return harness.batch() end)
    end))
  end)

  it("says why there is none", function()
    local reasons = { ENOSYS = "the kernel has none", EPERM = "the system forbids it", EACCES = "the system forbids it", EINVAL = "the kernel is older than 6.1",
      ENOMEM = "Cannot allocate memory" }
    for error, expected in pairs(reasons) do
      local none, said = harness.refused("io_uring_setup", error, function() return harness.batch() end)
      assert.is_nil(none)
      assert.equal(expected, said)
    end
    for _, call in ipairs { "io_uring_enter", "socketpair" } do
      local none, said = harness.refused(call, "EPERM", function() return harness.batch() end)
      assert.is_nil(none)
      assert.equal("the kernel does not tell of what it cuts short", said)
    end
  end)
end)
