-- SPDX-License-Identifier: MIT
-- Bytes over the kernel's sockets, both of whose ends are in this process: nothing is waited for. And what listens.
local helper = require "spec.helper"

local TURNS_MAX = 10000

local socket

local harness = helper.harness
local descriptors

local function open(kind, in_batches)
  collectgarbage()
  descriptors = harness.descriptors()
  socket = harness.socket(kind, in_batches)
end

local function close()
  if not socket then return end
  socket:close()
  socket = nil
  collectgarbage()
  assert.equal(descriptors, harness.descriptors())
end

local function temporary(bytes)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(bytes)
  return path
end

local function pattern(len) return (("0123456789abcdef"):rep(len // 16 + 1):sub(1, len):gsub("f0", { f0 = "f\n" })) end

-- What is told in the first turn that tells something: the kernel takes its time over what goes from one end to the other.
local function next_told()
  for _ = 1, TURNS_MAX do
    local log = socket:turn()
    if log ~= "" then return log end
  end
  error "nothing is told"
end

-- Takes all at the far end, piece by piece, until the near end has sent `len` bytes more than `left` at once: what came,
-- and all that the near end was told beside that.
local function drain(left, len, piece)
  local parts, told, sent, came = {}, {}, left, 0
  local function take(max)
    local bytes, state = socket:far_take(max)
    parts[#parts + 1], came = bytes, came + #bytes
    return state
  end
  for turn = 1, TURNS_MAX do
    take(piece)
    for word in socket:turn():gmatch "%S+" do
      local n = word:match "^sent:(%d+)$"
      if n then sent = sent + n else told[#told + 1] = word end
    end
    if sent == len or told[1] then break end
    assert(turn < TURNS_MAX, "it does not go on")
  end
  for _ = 1, TURNS_MAX do -- what the kernel still has
    if came == len or take() ~= "open" then break end
  end
  return table.concat(parts), table.concat(told, " "), sent
end

local ways = { { "unix" }, { "tcp" } }
if harness.batch() then table.move({ { "unix", true }, { "tcp", true } }, 1, 2, 3, ways) end

for _, way in ipairs(ways) do
  local kind, in_batches = way[1], way[2]
  describe(("a transport over a socket of %s%s"):format(kind, in_batches and " that sends in batches" or ""), function()
    before_each(function()
      open(kind, in_batches)
      assert.equal("open", socket:turn())
    end)
    after_each(close)

    it("knows its peer", function() assert.equal(kind == "tcp" and "127.0.0.1" or "unix", socket:peer()) end)

    it("sends nothing where that is all, whatever has failed before", function()
      assert.is_nil((io.open "/nowhere/at/all"))
      assert.equal(0, socket:send "")
      assert.equal("", (socket:far_take()))
      assert.is_true(socket:takes_files())
    end)

    it("is closed before what it gave to a batch is sent", function()
      if not in_batches then return end
      socket:send_and_shut "last"
      assert.same({ "last", "end" }, { socket:far_take() })
      assert.equal("", socket:turn())
    end)

    it("sends what there is room for at once", function()
      assert.equal(5, socket:send "hello")
      assert.equal(10, socket:send(" ", "", "to all", " of"))
      assert.equal("hello to all of", (socket:far_take()))
      assert.equal("", socket:turn())
    end)

    it("sends the rest of what is too much, in order, as it is taken", function()
      for _, sizes in ipairs { { 2000000 }, { 1, 1000000, 0, 700000, 7 }, { 100, 1500000, 100 } } do
        local pieces, len = {}, 0
        for i, size in ipairs(sizes) do pieces[i], len = pattern(size), len + size end
        local left = socket:send(table.unpack(pieces))
        repeat -- until the kernel has all that it takes while nobody else does
          local log = socket:turn()
          for n in log:gmatch "sent:(%d+)" do left = left + n end
        until log == ""
        assert.is_true(left > 0 and left < len, left)
        socket:want_read(#sizes == 3 and 10 or 0) -- who is ready to write is not kept from it by nothing to read
        local got, told, sent = drain(left, len, 70001)
        assert.equal("", told)
        assert.equal(len, sent)
        assert.equal(#got, len)
        assert.is_true(got == table.concat(pieces))
        assert.equal("", socket:turn())
        assert.equal(0, socket:told()) -- nobody asks for room any more
      end
    end)

    it("keeps what the kernel has no room for at all", function()
      local piece, sent, left = pattern(1000), 0
      repeat
        left = socket:send(piece)
        sent = sent + #piece
      until left < #piece
      local got, told = drain(sent - #piece + left, sent, 100000)
      assert.equal("", told)
      assert.equal(sent, #got)
      assert.is_true(got == piece:rep(sent // #piece))
    end)

    it("goes on where it is told of room that is not there", function()
      local left = socket:send(pattern(1000000), pattern(1000000))
      for _ = 1, 3 do
        socket:far_take(500000)
        local log = harness.refused("sendmsg", "EAGAIN", function()
          return harness.refused("sendto", "EAGAIN", function() return socket:turn() end)
        end)
        assert.equal("", log)
      end
      assert.is_true(left < 2000000)
      local _, told, sent = drain(left, 2000000, 100000)
      assert.equal("", told)
      assert.equal(2000000, sent)
    end)

    it("sends a part of a file", function()
      local bytes = pattern(2000000)
      local path = temporary(bytes)
      assert.equal(10, socket:send_file(path, 5, 10))
      assert.equal(bytes:sub(6, 15), (socket:far_take()))
      local left = socket:send_file(path, 100, 1500000)
      assert.is_true(left > 0 and left < 1500000, left)
      local got, told = drain(left, 1500000, 100003)
      assert.equal("", told)
      assert.is_true(got == bytes:sub(101, 1500100))
      assert.equal(3, socket:send "end")
      assert.equal("end", (socket:far_take()))
      os.remove(path)
    end)

    it("tells of a file that ends before its part", function()
      local path = temporary(pattern(1000000))
      local left = socket:send_file(path, 999000, 2000)
      assert.equal(-2, left)
      left = socket:send_file(path, 0, 1100000)
      assert.is_true(left > 0, left)
      local got, told = drain(left, 1100000, 200000)
      assert.equal("error:-2", told)
      assert.is_true(#got >= 999000)
      os.remove(path)
    end)

    it("is not broken by a signal, nor by a kernel that has no room", function()
      for _, error in ipairs { "EINTR", "EAGAIN" } do
        if in_batches then
          assert.equal(4, socket:send "late") -- by no such call
        else
          assert.equal(0, harness.refused("sendto", error, function() return socket:send "late" end))
          assert.equal("sent:4", next_told())
        end
        socket:want_read(10)
        socket:far_send "x"
        assert.equal("", harness.refused("recvfrom", error, function() return socket:turn() end))
        assert.equal("bytes:x", next_told())
        socket:want_read(0)
      end
      assert.equal("latelate", (socket:far_take()))
      if not in_batches then assert.equal(-1, harness.refused("sendto", "EPERM", function() return socket:send "x" end)) end
      socket:want_read(10)
      socket:far_send "x"
      assert.equal("error:-1", harness.refused("recvfrom", "EIO", next_told))
    end)

    it("sends a file piece by piece where the kernel has no such call, and not where it fails", function()
      local path = temporary "0123456789"
      for _, error in ipairs { "EINVAL", "ENOSYS" } do
        assert.equal(4, harness.refused("sendfile", error, function() return socket:send_file(path, 3, 4) end))
        assert.equal("3456", (socket:far_take()))
      end
      assert.equal(0, harness.refused("sendfile", "EAGAIN", function() return socket:send_file(path, 3, 4) end))
      assert.equal("sent:4", socket:turn())
      assert.equal(-1, harness.refused("sendfile", "EIO", function() return socket:send_file(path, 3, 4) end))
      os.remove(path)
    end)

    it("reads a file that the kernel cannot send by itself", function()
      local f <close> = assert(io.open("/proc/self/cmdline", "rb"))
      local line = f:read "a"
      assert.equal(#line, socket:send_file("/proc/self/cmdline", 0, #line))
      assert.equal(line, (socket:far_take()))
      assert.equal(#line - 3, socket:send_file("/proc/self/cmdline", 3, #line - 3))
      assert.equal(line:sub(4), (socket:far_take()))
      assert.equal(-2, socket:send_file("/proc/self/cmdline", 0, #line + 1))
      assert.equal(-1, socket:send_file("/", 0, 10)) -- a folder
      local long <close> = assert(io.open("/proc/kallsyms", "rb"))
      local names = long:read(150000)
      socket:far_take()
      local left = socket:send_file("/proc/kallsyms", 0, #names)
      assert.is_true(left > 0 and left <= #names, left)
      local got = left == #names and (socket:far_take()) or (drain(left, #names, 50000))
      assert.equal(#names, #got)
      assert.is_true(got == names)
    end)

    it("reads as much at a time as is wished", function()
      socket:far_send "0123456789"
      assert.equal("", socket:turn())
      socket:want_read(4)
      assert.equal("bytes:0123", socket:turn())
      assert.equal("bytes:4567", socket:turn())
      socket:want_read(0)
      assert.equal("", socket:turn())
      assert.is_true(socket:read_now())
      assert.is_false(socket:read_now())
      assert.equal("bytes:89", socket:turn())
      assert.is_false(socket:read_now())
      socket:far_send "x"
      assert.is_true(socket:read_now())
      assert.equal("bytes:x", socket:turn())
      socket:far_send "more"
      socket:want_read(1 << 40)
      assert.equal("bytes:more", socket:turn())
      socket:far_send(("x"):rep(100000))
      local log, read = socket:turn(), 0
      while log ~= "" do
        for n in log:gmatch "bytes:(%d+)" do
          assert.is_true(tonumber(n) <= 65536)
          read = read + n
        end
        log = socket:turn()
      end
      assert.equal(100000, read)
    end)

    it("tells of the end of the other side, and sends on", function()
      socket:want_read(100)
      socket:far_send "last"
      socket:far_close "send"
      assert.equal("bytes:last", socket:turn())
      assert.is_false(socket:read_now())
      assert.equal("end", socket:turn())
      assert.equal(2, socket:send "on")
      local got, state = socket:far_take()
      assert.same({ "on", "open" }, { got, state })
    end)

    it("sees that the other side has left while much waits to be sent", function()
      local left = socket:send(pattern(2000000))
      socket:want_read(100)
      socket:far_send "x"
      assert.is_true(left < 2000000)
      socket:far_take(1000000)
      assert.equal("bytes:x", socket:turn())
      socket:far_close()
      local log = socket:turn()
      for _ = 1, 3 do log = log .. " " .. socket:turn() end
      assert.matches("error:%-1%s*$", log)
    end)

    it("that is broken says so", function()
      socket:far_close()
      socket:send "x"
      assert.equal(-1, socket:send("y", "z"))
      assert.equal(-1, socket:send "y")
    end)

    it("ends its own side, and reads on", function()
      socket:send "last"
      socket:finish()
      assert.same({ "last", "end" }, { socket:far_take() })
      socket:far_send "still"
      socket:want_read(10)
      assert.equal("bytes:still", socket:turn())
    end)

    it("leaves nothing behind, whatever it had in flight", function()
      local pieces, short = {}, {}
      for i = 1, 200 do pieces[i], short[i] = ("x"):rep(5000), "x" end
      assert.is_true(helper.comes_to_rest(function()
        for i = 1, 5 do
          socket:close()
          socket = harness.socket(kind, in_batches)
          assert.equal("open", socket:turn())
          assert.equal(200, socket:send(table.unpack(short)))
          assert.equal(200, #socket:far_take())
          local left = socket:send(table.unpack(pieces))
          assert.is_true(left < 1000000)
          if i == 1 then assert.equal(1000000, select(3, drain(left, 1000000, 100000))) end
          if i == 2 then socket:shut(true) end
        end
        for _ = 1, 20 do harness.socket(kind):close() end
      end))
    end)

    it("is closed with all that it had in flight", function()
      socket:send(pattern(2000000))
      socket:shut()
      assert.equal("", socket:turn())
      local got, state = socket:far_take()
      assert.is_true(#got > 0 and #got < 2000000)
      assert.equal("end", state)
    end)

    it("can be bound in what the kernel keeps for it", function()
      socket:bound(20000)
      local left = socket:send(pattern(2000000))
      assert.is_true(left > 0 and left < (kind == "tcp" and 1000000 or 200000), left)
      socket:bound(1 << 50)
    end)
  end)
end

describe("a transport over TCP", function()
  before_each(function() open "tcp" end)
  after_each(close)

  it("is closed by an end, or by an error where that is told", function()
    socket:send "x"
    socket:shut()
    assert.same({ "x", "end" }, { socket:far_take() })
    socket:close()
    open "tcp"
    socket:shut(true)
    assert.same({ "", "reset" }, { socket:far_take() })
  end)

  it("keeps little of a file in the kernel", function()
    assert.is_true(socket:unsent() ~= 131072)
    local path = temporary "file"
    assert.equal(4, socket:send_file(path, 0, 4))
    assert.equal(131072, socket:unsent())
    socket:bound(30000, true)
    socket:send_file(path, 0, 4)
    assert.equal(30000, socket:unsent()) -- as it was told last
    os.remove(path)
  end)

  it("is bound in what is unsent, and not in what is on its way, where many streams share it", function()
    socket:bound(30000, true)
    assert.equal(30000, socket:unsent())
    local buffer = socket:buffer()
    socket:bound(20000)
    assert.equal(30000, socket:unsent())
    assert.is_true(socket:buffer() < buffer)
    socket:bound(1 << 50, true)
    assert.equal(0x3fffffff, socket:unsent())
  end)

  it("gives up who does not acknowledge, and who has silently gone", function()
    assert.same({ 1, 30, 10, 3, 30500 }, { socket:send_timeout(30.5) })
    assert.same({ 1, 30, 10, 3, 1000000000 }, { socket:send_timeout(1e300) })
  end)
end)

describe("sockets", function()
  it("have no name where they are none", function()
    assert.equal("", harness.socket_name(-1))
    assert.equal("-", harness.socket_peer(-1))
  end)

  it("are as many as there may be descriptors", function()
    local before = harness.descriptors_max()
    assert.is_true(before >= 64)
    harness.limit_descriptors(3)
    local fewer = harness.descriptors_max()
    harness.limit_descriptors()
    assert.is_true(fewer < 64 and fewer >= 3, fewer)
    assert.equal(before, harness.descriptors_max())
    assert.equal(1024, harness.refused("prlimit", "EPERM", harness.descriptors_max))
  end)
end)

describe("what listens", function()
  before_each(function() open() socket:turn() end)
  after_each(close)

  it("has the name that it was given, or found", function()
    assert.matches("^127%.0%.0%.1:[1-9]%d+$", (socket:listen "127.0.0.1:0"))
    assert.matches("^0%.0%.0%.0:[1-9]%d+$", (socket:listen ":0"))
    assert.matches("^127%.0%.0%.1:[1-9]%d+$", (socket:listen "localhost:0"))
    assert.matches("^127%.0%.0%.1:[1-9]%d+$", (socket:listen "[127.0.0.1]:0"))
    assert.is_nil((socket:listen "[127.0.0.11:0"))
    assert.is_nil((socket:listen "1127.0.0.1]:0"))
    local six = socket:listen "[::1]:0"
    if six then
      assert.matches("^%[::1%]:[1-9]%d+$", six)
      assert.equal(1, socket:dial())
      assert.equal("accept:::1,1", socket:turn())
    end
  end)

  it("is nothing for programs that we start, and never blocks", function()
    local path = os.tmpname()
    os.remove(path)
    for _, address in ipairs { "127.0.0.1:0", "unix:" .. path } do
      local name, fd, is_ours = socket:listen(address)
      assert.is_true(is_ours, name)
      local other = harness.socket()
      local copy_name, copy, copy_is_ours = other:listen("fd:" .. fd)
      assert.equal(name, copy_name)
      assert.is_true(copy > 2 and copy ~= fd)
      assert.is_true(copy_is_ours)
      other:close()
    end
    os.remove(path)
  end)

  it("opens nothing that is a program's which we start", function()
    local function flags()
      local list = {}
      for name in require("lfs").dir "/proc/self/fdinfo" do
        local f <close> = io.open("/proc/self/fdinfo/" .. name)
        local text = f and name:find "^%d" and f:read "a"
        if text then list[name] = text:match "flags:%s*(%d+)" end
      end
      return list
    end
    local before = flags()
    local other = harness.socket()
    other:listen "127.0.0.1:0"
    other:turn()
    local count = 0
    for name, now in pairs(flags()) do
      if not before[name] and tonumber(name) > 2 then
        count = count + 1
        assert.is_true(tonumber(now, 8) & 0x80000 ~= 0, name) -- O_CLOEXEC
      end
    end
    other:close()
    assert.is_true(count >= 5, count) -- the poll and what wakes it, both ends, what listens, the spare
  end)

  it("accepts each client, and is told who it is", function()
    socket:listen "127.0.0.1:0"
    assert.equal("", socket:turn())
    assert.equal(3, socket:dial(3))
    assert.equal("accept:127.0.0.1,1 accept:127.0.0.1,1 accept:127.0.0.1,1", socket:turn())
    assert.equal("", socket:turn())
    assert.equal(1, socket:dial())
    socket:deafen()
    assert.equal("", socket:turn())
  end)

  it("takes so many in a turn, and all that wait where it is to close", function()
    socket:listen "127.0.0.1:0"
    assert.equal(200, socket:dial(200))
    assert.equal(64, select(2, socket:turn():gsub("accept", "")))
    assert.equal(64, select(2, socket:turn():gsub("accept", "")))
    socket:accept_all()
    assert.equal(72, select(2, socket:turn():gsub("accept", "")))
  end)

  it("turns away and rests where no descriptor is left", function()
    socket:listen "127.0.0.1:0"
    assert.equal(3, socket:dial(3))
    harness.limit_descriptors(0)
    assert.equal("warn full full full", socket:turn())
    harness.limit_descriptors()
    assert.equal(1, socket:dial())
    assert.equal("", socket:turn(0.09)) -- it rests
    assert.equal("accept:127.0.0.1,1", socket:turn(0.02))
  end)

  it("goes on without a spare descriptor, and has one again where it can", function()
    socket:listen "127.0.0.1:0"
    assert.equal(2, socket:dial(2))
    socket:keep(true)
    harness.limit_descriptors(0)
    assert.equal("warn full", socket:turn())
    socket:keep(false)
    harness.limit_descriptors()
    assert.equal("accept:127.0.0.1,1", socket:turn(0.11))
    assert.equal(1, socket:dial())
    harness.limit_descriptors(0)
    assert.equal("warn full", socket:turn(1))
    harness.limit_descriptors()
  end)

  it("rests where it can accept nothing for whatever reason", function()
    socket:listen "127.0.0.1:0"
    socket:turn()
    assert.is_false(socket:rests())
    socket:spoil()
    assert.equal("", socket:turn())
    assert.is_true(socket:rests())
    socket:accept_all()
    assert.equal("", socket:turn(0.09))
    socket:deafen()
    assert.is_false(socket:rests())
  end)

  it("goes on at once where a client has left before it was accepted, and rests where that is not why", function()
    socket:listen "127.0.0.1:0"
    for _, error in ipairs { "ECONNABORTED", "EINTR", "EPROTO", "EAGAIN" } do
      socket:dial()
      assert.equal("", harness.refused("accept4", error, function() return socket:turn() end), error)
      assert.is_false(socket:rests(), error)
      harness.refused("accept4", error, function() socket:accept_all() end)
      assert.equal("accept:127.0.0.1,1", socket:turn(), error)
    end
    for _, error in ipairs { "ENFILE", "EMFILE", "ENOBUFS", "ENOMEM", "EPERM" } do
      socket:dial()
      assert.equal(error == "EPERM" and "" or "warn", harness.refused("accept4", error, function() return socket:turn(1) end), error)
      assert.is_true(socket:rests(), error)
      assert.equal("accept:127.0.0.1,1", socket:turn(0.11), error)
    end
  end)

  it("is refused where the system refuses, whatever it is", function()
    local path = os.tmpname()
    os.remove(path)
    local _, fd = socket:listen "127.0.0.1:0"
    local bound = socket:bind()
    local other = harness.socket()
    for _, case in ipairs { { "listen", "127.0.0.1:0" }, { "listen", "unix:" .. path }, { "listen", "fd:" .. bound }, { "bind", "127.0.0.1:0" },
      { "bind", "unix:" .. path }, { "setsockopt", "127.0.0.1:0" }, { "fcntl", "fd:" .. fd }, { "socket", "127.0.0.1:0" }, { "socket", "unix:" .. path } } do
      local call, address = table.unpack(case)
      collectgarbage()
      local before = harness.descriptors()
      local name, err = harness.refused(call, "EPERM", function() return other:listen(address, call == "setsockopt") end)
      assert.is_nil(name, call)
      if call ~= "socket" or address:find "unix" then
        assert.equal(("cannot listen on %s: Operation not permitted (of the system)"):format(address), err)
      end
      assert.equal(before, harness.descriptors(), call)
      os.remove(path)
    end
    other:close()
  end)

  it("says once in a second that no descriptor is left, and goes on turning away", function()
    socket:listen "127.0.0.1:0"
    for i, seconds in ipairs { 0, 0.5, 0.4, 0.2, 0.5, 0.5 } do
      socket:dial(2)
      harness.limit_descriptors(0)
      local log = socket:turn(seconds)
      harness.limit_descriptors()
      assert.equal((i == 1 or i == 4 or i == 6) and "warn full full" or "full full", log)
    end
  end)

  it("turns away as many in a turn as it would take", function()
    socket:listen "127.0.0.1:0"
    assert.equal(70, socket:dial(70))
    harness.limit_descriptors(0)
    local log = socket:turn()
    harness.limit_descriptors()
    assert.equal(64, select(2, log:gsub("full", "")))
  end)

  it("takes a port again that connections were closed at a moment ago", function()
    local name = socket:listen "127.0.0.1:0"
    assert.equal(1, socket:dial(1, true))
    socket:deafen()
    assert.equal(name, (socket:listen(name)))
  end)

  it("at a path takes the place of one that is gone, and of nothing else", function()
    local path = os.tmpname()
    os.remove(path)
    local name = "unix:" .. path
    assert.equal(name, (socket:listen(name)))
    assert.equal(1, socket:dial())
    assert.equal("accept:unix,-1", socket:turn())
    local other = helper.harness.socket()
    local _, err = other:listen(name)
    assert.equal(("cannot listen on %s: Address already in use (of the system)"):format(name), err)
    other:close()
    socket:turn()
    socket:close()
    open()
    assert.equal(name, (socket:listen(name)))
    os.remove(path)
    local file = temporary "mine"
    _, err = socket:listen("unix:" .. file)
    assert.matches("Address already in use", err)
    assert.equal("mine", assert(io.open(file)):read "a")
    os.remove(file)
  end)

  it("at a path keeps its place where so many wait that it takes no more, and takes as many as may wait at its end", function()
    local path = os.tmpname()
    os.remove(path)
    local name = "unix:" .. path
    local may_wait = math.min(4096, assert(io.open "/proc/sys/net/core/somaxconn"):read "n")
    socket:listen(name)
    assert.equal(may_wait + 1, socket:dial(may_wait + 1)) -- the kernel counts from 0
    local other = harness.socket()
    local _, err = other:listen(name)
    assert.equal(("cannot listen on %s: Address already in use (of the system)"):format(name), err)
    other:close()
    socket:accept_all()
    socket:deafen()
    assert.equal(math.min(may_wait + 1, 4096), select(2, socket:turn():gsub("accept", "")))
    os.remove(path)
  end)

  it("leaves nothing behind of names that it has looked up", function()
    assert.is_true(helper.comes_to_rest(function()
      for _ = 1, 30 do socket:listen "127.0.0.1:0" end
      socket:turn()
    end))
  end)

  it("can share its port where all say so", function()
    local name = socket:listen("127.0.0.1:0", true)
    local other = helper.harness.socket()
    assert.equal(name, (other:listen(name, true)))
    local _, err = other:listen(name)
    assert.equal(("cannot listen on %s: Address already in use (of the system)"):format(name), err)
    other:close()
  end)

  it("can be inherited", function()
    local name, fd = socket:listen "127.0.0.1:0"
    local other = helper.harness.socket()
    local same, copy = other:listen("fd:" .. fd)
    assert.equal(name, same)
    assert.not_equal(fd, copy)
    assert.equal(1, other:dial())
    assert.equal("accept:127.0.0.1,1", (other:turn():gsub("^open ", "")))
    for _, bad in ipairs { "fd:", "fd:x", "fd:1x", "fd:-1", "fd:1048577", "fd:99999999999" } do
      local _, err = other:listen(bad)
      assert.equal(("cannot listen on %s: expected fd:N with the number of an open socket"):format(bad), err)
    end
    local bound = socket:bind()
    local _, here, is_ours = other:listen("fd:" .. bound)
    assert.not_equal(bound, here)
    assert.is_true(is_ours)
    assert.equal(1, other:dial())
    assert.equal("accept:127.0.0.1,0", other:turn())
    local _, err = other:listen "fd:1048576"
    assert.equal("cannot listen on fd:1048576: Bad file descriptor (of the system)", err)
    other:close()
  end)

  it("is never inherited as the standard error, where that is closed", function()
    local _, here = socket:listen "127.0.0.1:0"
    assert.is_true(select(2, socket:listen("fd:" .. here)) > 2)
    local path = temporary([[local second, third = io.open "/dev/null", io.open "/dev/null" -- in its place, and the next
      package.cpath = "./]] .. (os.getenv "BUILD" or "build") .. [[/lib/?.so;" .. package.cpath
      local harness = require "spate.harness"
      local one, other = harness.socket(), harness.socket()
      local _, fd = one:listen "127.0.0.1:0"
      second:close()
      third:close()
      print((select(2, other:listen("fd:" .. fd))))]])
    local pipe = assert(io.popen("lua5.4 " .. path .. " 2>&- 3>&-"))
    local said = pipe:read "a"
    pipe:close()
    os.remove(path)
    assert.equal("3\n", said)
  end)

  it("is refused where no descriptor is left", function()
    for _, address in ipairs { "127.0.0.1:0", "unix:/tmp/none", "fd:0" } do
      harness.limit_descriptors(0)
      local name, err = socket:listen(address)
      harness.limit_descriptors()
      assert.is_nil(name)
      if address ~= "fd:0" then assert.equal(("cannot listen on %s: Too many open files (of the system)"):format(address), err) end
    end
  end)

  it("takes a host of 255 bytes, and no longer one", function()
    assert.is_string((socket:listen(("0"):rep(255) .. ":0")))
    assert.is_nil((socket:listen(("0"):rep(256) .. ":0")))
  end)

  it("takes the last of all ports", function()
    local name, err = socket:listen "127.0.0.1:65535"
    assert.is_true(name ~= nil or not err:find("expected", 1, true), err) -- though another may have it
  end)

  it("is refused an address that is none", function()
    for _, bad in ipairs { "", "8080", "unix1:x", "fdx:x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:-1", ("x"):rep(256) .. ":1" } do
      local _, err = socket:listen(bad)
      assert.equal(("cannot listen on %s: expected HOST:PORT such as 127.0.0.1:8080 (ports go to 65535), unix:PATH, fd:N or systemd:NAME"):format(bad):sub(1, 255), err)
    end
    for _, path in ipairs { "", ("x"):rep(108) } do
      local _, err = socket:listen("unix:" .. path)
      assert.equal(("cannot listen on unix:%s: expected unix:PATH with a path of 1 to 107 bytes"):format(path), err)
    end
    local _, err = socket:listen("unix:/nowhere/" .. ("x"):rep(97))
    assert.matches("No such file or directory %(of the system%)$", err)
    _, err = socket:listen "256.1.1.1.1:80"
    assert.matches("^cannot listen on 256%.1%.1%.1%.1:80: ", err)
    _, err = socket:listen "192.0.2.1:0"
    assert.equal("cannot listen on 192.0.2.1:0: Cannot assign requested address (of the system)", err)
  end)
end)
