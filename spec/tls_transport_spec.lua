-- SPDX-License-Identifier: MIT
-- A transport by TLS, as its user sees it: when it is told what, and what its client gets. Both ends are here, and nothing
-- moves but by the spec.
local certificates = require "spec.certificates"
local helper = require "spec.helper"

local harness = helper.harness

local RECORD = 22 -- bytes of TLS 1.3 around what is in a record

describe("a transport by TLS", function()
  local directory, cert, key, server
  setup(function()
    directory = certificates.directory()
    cert, key = certificates.make(directory, "a.example")
  end)
  teardown(function() certificates.remove(directory) end)
  before_each(function() server = harness.tls_server(cert, key) end)

  local open
  after_each(function()
    for _, one in ipairs(open) do pcall(one.carried.shut, one.carried, true) end
    server:close()
  end)
  before_each(function() open = {} end)

  local One = {}
  One.__index = One

  local function words(list)
    local out = {}
    for _, log in ipairs(list) do
      if log ~= "" then out[#out + 1] = log end
    end
    return table.concat(out, " ")
  end

  -- Moves bytes both ways until none are left; what was told.
  function One:settle()
    local logs, quiet = {}, 0
    for _ = 1, 1000 do
      local moved = self.tls:pump(self.client)
      logs[#logs + 1] = self.carried:turn()
      quiet = (moved or logs[#logs] ~= "") and 0 or quiet + 1
      if quiet == 3 then return words(logs) end
    end
    error("no end of bytes to move", 2)
  end

  function One:write(bytes)
    self.tls:write(bytes)
    self.tls:pump(self.client)
    return self
  end

  function One:got()
    self.tls:pump(self.client)
    return self.tls:take()
  end

  -- One that has begun. `asked`: what it does when it is told something.
  local function begin(options, asked)
    local carried, client = server:accept(asked)
    local one = setmetatable({ carried = carried, client = client, tls = harness.tls(options or {}) }, One)
    open[#open + 1] = one
    return one
  end

  local function connect(options, asked)
    local one = begin(options, asked)
    assert.matches("^open", one:settle())
    one.client:take()
    return one
  end

  local function counts()
    local n = server:counts()
    return { done = n[1], resumed = n[2], refused = n[3], crowded = n[4], truncated = n[5], under_way = n[6] }
  end

  local function assert_counts(wanted)
    for name, n in pairs(counts()) do assert.equal(wanted[name] or 0, n, name) end
  end

  describe("opens", function()
    it("once, when its handshake is done, and reads nothing then before it is to", function()
      local one = begin()
      assert.equal(65536, one.carried:reads())
      assert_counts { under_way = 1 }
      assert.equal("open", one:settle())
      assert.equal(0, one.carried:reads())
      assert_counts { done = 1 }
      one.carried:want_read(100)
      assert.equal(100, one.carried:reads())
    end)

    it("with what both have agreed to speak", function()
      if not harness.hpack then return end
      assert.equal("open:h2", begin({ alpn = { "h2" } }):settle())
      assert.equal("open", begin({ alpn = { "http/1.1" } }):settle())
      assert.equal("open", begin():settle())
    end)

    it("by a ticket", function()
      local first = connect()
      first.carried:send "x"
      first:got()
      local again = begin { session = first.tls:session() }
      assert.equal("open", again:settle())
      assert.is_true(again.tls:state().reused)
      assert_counts { done = 2, resumed = 1 }
    end)

    it("and reads in the next turn what came with the handshake's end", function()
      local one = begin({}, { open = "read" })
      one.tls:pump(one.client)
      one.carried:turn()
      one.tls:pump(one.client) -- its last word
      one:write "early"
      assert.equal("", one.carried:poll())
      assert.equal("open", (server:turn() and one.carried:log()))
      assert.equal("bytes:early", (server:turn() and one.carried:log()))
      assert.is_false(server:turn())
    end)

    it("as many as a turn has time for, in the order in which they came, and one at least", function()
      local list = {}
      for i = 1, 5 do
        list[i] = begin({}, { open = "wait" })
        list[i].tls:pump(list[i].client)
        list[i].carried:turn()
        list[i].tls:pump(list[i].client)
      end
      for _, one in ipairs(list) do one.carried:poll() end
      local function opened()
        local out = {}
        for i, one in ipairs(list) do out[i] = one.carried:log() ~= "" and "open" or "" end
        return table.concat(out, ",")
      end
      assert.is_true(server:turn())
      assert.equal("open,open,,,", opened())
      server:turn()
      assert.equal(",,open,open,", opened())
      server:turn()
      assert.equal(",,,,open", opened())
    end)

    it("one less where its turn's time is over with the one before", function()
      local list = {}
      for i = 1, 3 do
        list[i] = begin({}, { open = "wait half" })
        list[i].tls:pump(list[i].client)
        list[i].carried:turn()
        list[i].tls:pump(list[i].client)
      end
      for _, one in ipairs(list) do one.carried:poll() end
      server:turn()
      assert.equal("open", list[2].carried:log())
      assert.equal("", list[3].carried:log())
    end)

    it("no more at a time than there may be", function()
      server:close()
      server = harness.tls_server(cert, key, 2)
      local first = begin()
      begin()
      local none, client = server:accept()
      assert.is_nil(none)
      assert.equal("closed", client:state())
      assert_counts { under_way = 2, refused = 1, crowded = 1 }
      first:settle()
      assert_counts { under_way = 1, done = 1, refused = 1, crowded = 1 }
      begin()
      assert_counts { under_way = 2, done = 1, refused = 1, crowded = 1 }
    end)

    it("not where its client breaks off, ends, or says what is no TLS, and counts that once", function()
      local one = begin()
      one.client:reset()
      assert.equal("error:-1", one.carried:turn())
      one.carried:shut()
      assert_counts { refused = 1 }
      for _, how in ipairs { "at once", "after a word" } do
        one = begin()
        if how ~= "at once" then one.client:send "\x16\x03\x01\x02\x00\x01" end
        one.client:finish()
        assert.equal("error:-1", one.carried:turn() .. one.carried:turn())
        one.carried:shut()
      end
      assert_counts { refused = 3 }
      one = begin()
      one.client:send "GET / HTTP/1.1\r\n\r\n"
      assert.equal("error:-1", one.carried:turn())
      assert.matches("^HTTP/1.1 400 .*https\n$", one.client:take())
      one = begin()
      one.client:send(("x"):rep(100))
      assert.equal("error:-1", one.carried:turn())
      assert.equal("", one.client:take())
      assert_counts { refused = 5, under_way = 2 }
    end)

    it("not where it is closed before, which counts as a refusal", function()
      local one = begin()
      one.carried:shut()
      assert.equal("closed", one.client:state())
      assert_counts { refused = 1 }
      one = begin()
      one.tls:pump(one.client)
      one.carried:poll() -- its turn would come
      one.carried:shut(true)
      assert.equal("reset", one.client:state())
      assert.is_false(server:turn())
      assert_counts { refused = 2 }
    end)

    it("not where what it answers cannot be sent", function()
      local one = begin()
      one.client:fail("send")
      assert.equal("error:-1", one:settle())
      assert_counts { refused = 1, under_way = 1 }
      one = begin()
      one.client:late()
      one.client:fail("send", false, 1)
      assert.equal("error:-1", one:settle())
    end)
  end)

  describe("reads", function()
    it("as much at a time as is wished, and no more than a record", function()
      local one = connect()
      one:write "0123456789abcdefghijklmnopqrstuvwxyz"
      assert.equal("", one.carried:turn())
      one.carried:want_read(10)
      assert.equal("bytes:0123456789 bytes:abcdefghij bytes:klmnopqrst bytes:uvwxyz", one:settle())
      one:write(("x"):rep(40000))
      one.carried:want_read(1 << 40)
      assert.equal("bytes:16384 bytes:16384 bytes:7232", one:settle())
    end)

    it("nothing where nothing is wished, and what is left of a record later", function()
      local one = connect({}, { bytes = "stop" })
      one:write "0123456789abcde"
      one.carried:want_read(10)
      assert.equal("bytes:0123456789", one:settle())
      assert.equal(0, one.carried:reads())
      assert.equal("", one:settle())
      one.carried:want_read(3)
      assert.equal("bytes:abc", one:settle())
      one.carried:want_read(3)
      assert.equal("bytes:de", one:settle())
      one.carried:want_read(3)
      assert.equal(3, one.carried:reads())
      assert.is_false(server:turn())
    end)

    it("what came in several pieces, each as it is whole", function()
      local one = connect()
      one.carried:want_read(100)
      one.client:pieces(7)
      one:write "first"
      one:write "second"
      assert.equal("bytes:first bytes:second", one:settle())
    end)

    it("records behind one that it has stopped at, when it goes on", function()
      local one = connect({}, { bytes = "stop" })
      one:write "first"
      one:write "second"
      one:write "third"
      one.carried:want_read(100)
      assert.equal("bytes:first", one:settle())
      for _, word in ipairs { "second", "third" } do
        one.carried:want_read(100)
        assert.equal("bytes:" .. word, one:settle())
      end
      one.carried:want_read(100)
      one:write "last"
      assert.equal("bytes:last", one:settle())
    end)

    it("now what has come already, and says whether there was anything", function()
      local one = connect()
      one.carried:want_read(10)
      assert.is_false(one.carried:read_now())
      one:write "0123456789abc"
      assert.is_true(one.carried:read_now())
      assert.equal("bytes:0123456789abc", one.carried:log())
      assert.is_false(one.carried:read_now())
      one.carried:want_read(10)
      one:write "0123456789abc"
      assert.equal("bytes:0123456789 bytes:abc", one:settle())
    end)

    it("now what it had no wish for, or stopped at", function()
      local one = connect({}, { bytes = "stop" })
      one:write "first"
      assert.is_true(one.carried:read_now())
      assert.equal("bytes:first", one.carried:log())
      one:write "second and more"
      one:write "third"
      one.carried:want_read(6)
      assert.equal("bytes:second", one:settle())
      local unread = one.client:unread()
      assert.is_true(unread > 0)
      assert.is_true(one.carried:read_now())
      assert.equal("bytes: and more", one.carried:log())
      assert.equal(unread, one.client:unread()) -- is kept there
      assert.is_true(one.carried:read_now())
      assert.equal("bytes:third", one.carried:log())
      assert.is_false(one.carried:read_now())
    end)

    it("now, and then no more than it was told to meanwhile", function()
      local one = connect({}, { bytes = "stop" })
      one.carried:want_read(100)
      one:write "first"
      assert.is_true(one.carried:read_now())
      one:write "second"
      assert.equal("bytes:first", one:settle())
      assert.equal(0, one.carried:reads())
    end)

    it("what it wished before where there was nothing to read now", function()
      local one = connect()
      assert.is_false(one.carried:read_now())
      assert.equal(0, one.carried:reads())
      one.carried:want_read(4)
      assert.is_false(one.carried:read_now())
      assert.equal(4, one.carried:reads())
      one:write "01234567"
      assert.equal("bytes:0123 bytes:4567", one:settle())
    end)

    it("nothing now before its handshake is done, nor while it is told something", function()
      local one = begin({}, { open = "read now", bytes = "read now" })
      one.tls:pump(one.client)
      assert.is_false(one.carried:read_now())
      assert.equal("open now:0", one:settle())
      one.carried:want_read(10)
      one:write "xy"
      assert.equal("bytes:xy now:0", one:settle())
    end)
  end)

  describe("sends", function()
    it("what there is room for at once, as few records as there may be", function()
      local one = connect()
      for _, sizes in ipairs { { 5 }, { 1, 2, 3 }, { 0, 4, 0 }, { 16384 }, { 16385 }, { 16000, 1000 }, { 20000, 5, 7 }, { 16383, 1, 1 }, { 16384, 16384, 1 },
        { 10, 16384, 10 }, { 1, 50000, 3 } } do
        local pieces, len = {}, 0
        for i, size in ipairs(sizes) do pieces[i], len = (string.char(96 + i)):rep(size), len + size end
        assert.equal(len, (one.carried:send(table.unpack(pieces))))
        local whole = table.concat(pieces)
        local raw = one.client:take()
        assert.equal(len + RECORD * ((len + 16383) // 16384), #raw)
        one.client:send "" -- nothing
        local writes = one.client:writes()
        one.carried:send(table.unpack(pieces))
        assert.equal(writes + (len + 65535) // 65536, one.client:writes())
        one = connect()
        one.carried:send(table.unpack(pieces))
        assert.is_true(one:got() == whole)
      end
    end)

    it("nothing where that is all", function()
      local one = connect()
      assert.equal(0, (one.carried:send ""))
      assert.equal("", one.client:take())
      assert.equal(4, (one.carried:send "more"))
      assert.equal("more", one:got())
    end)

    it("and counts what has left in proportion to what that has become", function()
      local one = connect()
      one.client:window(511)
      assert.equal(500, (one.carried:send(("x"):rep(1000))))
      one.client:window(100)
      assert.equal("sent:97", (one.carried:poll()))
      one.client:window(1)
      assert.equal("sent:1", (one.carried:poll()))
      one.client:window()
      assert.equal("sent:402", (one.carried:poll()))
      assert.equal(1000, #one:got())
      assert.equal(3, (one.carried:send "end"))
    end)

    it("no more ahead than four records", function()
      local one = connect()
      one.client:window(0)
      assert.equal(0, (one.carried:send(("x"):rep(65536), ("y"):rep(100000))))
      one.client:late()
      one.client:window(65536 + 4 * RECORD - 1)
      assert.equal("sent:65535", (one.carried:poll()))
      one.client:window(1)
      assert.equal("sent:1", (one.carried:poll()))
      one.client:window()
      assert.equal("sent:65536", (one.carried:poll()))
      assert.equal("sent:34464", (one.carried:poll()))
      assert.is_false(select(2, one.carried:poll()))
      assert.is_true(one:got() == ("x"):rep(65536) .. ("y"):rep(100000))
    end)

    it("all of much at once where there is room", function()
      local one = connect()
      assert.equal(1000000, (one.carried:send(("x"):rep(1000000))))
      assert.equal(1000000, #one:got())
    end)

    it("the rest of much as soon as the first of it has left", function()
      local one = connect()
      one.client:window(10)
      assert.equal(9, (one.carried:send(("x"):rep(300000))))
      one.client:window()
      assert.equal("sent:299991", (one.carried:poll()))
      assert.equal(300000, #one:got())
    end)

    it("by the batch of a turn, and tells of it behind that, also where nothing has left", function()
      local one = connect()
      server:open_batch()
      assert.same({ 0, true }, { one.carried:send "hello" })
      assert.equal("", one:got())
      server:close_batch()
      assert.equal("sent:5", one.carried:log())
      assert.is_false(one.carried:is_queued())
      assert.equal("hello", one:got())
      assert.same({ 4, false }, { one.carried:send "more" })
      one.client:window(0)
      server:open_batch()
      assert.same({ 0, true }, { one.carried:send "later" })
      server:close_batch()
      assert.equal("sent:0", one.carried:log())
      one.client:window()
      assert.equal("sent:5", (one.carried:poll()))
      server:open_batch()
      assert.same({ 0, true }, { one.carried:send(("x"):rep(100000)) })
      server:close_batch()
      assert.equal("sent:100000", one.carried:log())
      assert.is_false(select(2, one.carried:send "x"))
    end)

    it("and counts no less than what has left at once where the rest has to wait", function()
      local one = connect()
      one.client:window(65536 + 4 * RECORD)
      assert.equal(65536, (one.carried:send(("x"):rep(100000))))
      one.client:window()
      assert.equal("sent:34464", (one.carried:poll()))
    end)

    it("nothing behind its own end", function()
      local one = connect()
      one.carried:finish()
      assert.equal(-1, (one.carried:send "x"))
      assert.equal("", one:got())
    end)

    it("in vain where it is broken", function()
      local one = connect()
      one.client:fail("send")
      assert.equal(-1, (one.carried:send "x"))
      one = connect()
      one.client:window(0)
      one.carried:send(("x"):rep(100000))
      one.client:window(10)
      one.client:fail("send")
      assert.equal("error:-1", (one.carried:poll()))
      one = connect()
      one.client:window(10)
      one.carried:send(("x"):rep(100000))
      one.client:window()
      one.client:fail("send", false, 1)
      assert.equal("error:-1", (one.carried:poll()))
      assert.equal(-1, (one.carried:send "more"))
      assert_counts { done = 3 }
    end)

    it("what it answers to a change of keys behind what is on its way, and tells of that nothing", function()
      local one = connect()
      one.carried:want_read(10)
      one.client:window(0)
      assert.equal(0, (one.carried:send "before"))
      one.tls:update_keys()
      one.tls:pump(one.client)
      assert.equal("", one.carried:turn())
      one.client:window()
      assert.equal("sent:6", one.carried:turn())
      assert.equal("before", one:got())
      assert.equal(6, (one.carried:send "behind"))
      assert.equal("behind", one:got())
      one.tls:update_keys()
      one:write "x"
      assert.equal("bytes:x", one:settle())
      assert.is_nil(one.tls:state().why)
    end)
  end)

  it("is not misled by what others have done wrong on its thread", function()
    local function err() pcall(harness.tls, { ca = "/none" }) end
    local one = begin()
    one.tls:pump(one.client)
    err()
    assert.equal("", one.carried:turn())
    one.tls:pump(one.client)
    err()
    assert.equal("open", one.carried:turn())
    one.carried:want_read(10)
    one:write "x"
    err()
    assert.equal("bytes:x", one.carried:turn())
    err()
    assert.equal(1, (one.carried:send "y"))
  end)

  it("breaks where it cannot answer to a change of keys", function()
    local one = connect()
    one.carried:want_read(10)
    one.client:fail "send"
    for _ = 1, 2 do -- the first is answered with the second
      one.tls:update_keys()
      one.tls:pump(one.client)
    end
    assert.equal("error:-1", one.carried:turn())
  end)

  it("has keys changed 32 times at once, and once a second more", function()
    server:turn(1000) -- and not since there are clocks
    local one = connect()
    one.carried:want_read(10)
    local function update(times)
      for _ = 1, times do
        one.tls:update_keys()
        one.tls:pump(one.client)
      end
      return one:settle()
    end
    assert.equal("", update(32))
    server:turn(3)
    assert.equal("", update(3))
    assert.equal("error:-1", update(1))
    assert.equal("", one:settle())
    one = connect()
    one.carried:want_read(10)
    for _ = 1, 40 do one:write "x" end
    assert.equal(40, select(2, one:settle():gsub("bytes:x", "")))
  end)

  it("reads no more from who takes none of its answers", function()
    local one = connect()
    one.carried:want_read(10)
    one.client:window(0)
    one.carried:send "in its way"
    local times = 0
    repeat
      server:turn(1)
      one.tls:update_keys()
      one.tls:pump(one.client)
      one.carried:turn()
      times = times + 1
    until one.carried:reads() == 0 or times == 5000
    assert.is_true(times > 2000 and times < 4000, times)
    one.client:window()
    one.carried:turn()
    assert.equal(10, one.carried:reads())
    assert.equal("in its way", one:got())
  end)

  it("reads no more from who takes none of its answers, to the byte", function()
    local function reads(len)
      local one = connect()
      one.carried:want_read(10)
      one.client:window(0)
      for _ = 1, 2 do -- the first is answered with the second
        one.tls:update_keys()
        one.tls:pump(one.client)
      end
      one.carried:turn() -- one answer is on its way, and another comes before what is sent
      assert.equal(0, (one.carried:send(("x"):rep(len))))
      one.carried:want_read(10)
      return one.carried:reads()
    end
    local most = 65536 - 27 - 4 * RECORD
    assert.equal(10, reads(most))
    assert.equal(0, reads(most + 1))
  end)

  describe("ends", function()
    it("where its client says so, behind what it has sent", function()
      local one = connect()
      one:write "last"
      one.tls:shutdown()
      one.tls:pump(one.client)
      one.client:finish()
      one.carried:want_read(10)
      assert.equal("bytes:last end", one:settle())
      assert.equal("", one:settle())
      assert.equal(2, (one.carried:send "on"))
      assert.equal("on", one:got())
      assert_counts { done = 1 }
    end)

    it("where its client says so and goes on to read", function()
      local one = connect()
      one.tls:shutdown()
      one.tls:pump(one.client)
      one.carried:want_read(10)
      assert.equal("end", one:settle())
      assert.equal(0, one.carried:reads())
      assert.is_false(one.carried:read_now())
      assert.equal("", one.carried:log())
      one.client:finish()
      assert.equal("", one:settle())
      assert_counts { done = 1 }
    end)

    it("without a word as with one, and counts it", function()
      local one = connect()
      one.carried:want_read(10)
      one:write "last"
      one.client:finish()
      assert.equal("bytes:last end", one:settle())
      assert_counts { done = 1, truncated = 1 }
      assert.equal(0, one.carried:reads())
    end)

    it("once, and behind what was not wished for yet", function()
      for _, is_said in ipairs { true, false } do
        local one = connect({}, { bytes = "stop", ["end"] = "stop" })
        one:write "first"
        one:write "second"
        if is_said then
          one.tls:shutdown()
          one.tls:pump(one.client)
        end
        one.carried:want_read(3)
        assert.equal("bytes:fir", one:settle())
        one.client:finish()
        assert.equal("", one:settle())
        for _, word in ipairs { "bytes:st", "bytes:second", "end", "" } do
          one.carried:want_read(100)
          assert.equal(word, one:settle())
        end
        assert.equal(is_said and 0 or 1, counts().truncated)
      end
    end)

    it("behind what came with the handshake's end", function()
      local one = begin({}, { open = "read" })
      one.tls:pump(one.client)
      one.carried:turn()
      one.tls:pump(one.client)
      one:write "early"
      one.client:finish()
      repeat local _, any = one.carried:poll() until not any
      assert.equal("open", (server:turn() and one.carried:log()))
      assert.equal("bytes:early end", one:settle())
      assert_counts { done = 1, truncated = 1 }
      one.carried:want_read(10)
      assert.is_false(server:turn())
    end)

    it("not before it is to read, whatever was wished meanwhile", function()
      local one = connect({}, { bytes = "stop" })
      one:write "first"
      one:write "second"
      one.carried:want_read(10)
      assert.equal("bytes:first", one:settle())
      one.client:finish()
      one.carried:want_read(10)
      one.carried:want_read(0)
      assert.equal("", one:settle())
      one.carried:want_read(10)
      assert.equal("bytes:second", one:settle())
    end)

    it("its own side by a word, and reads on", function()
      local one = connect()
      one.carried:want_read(10)
      one.carried:send "last"
      one.carried:finish()
      assert.equal("ended", one.client:state())
      assert.equal("last", one:got())
      assert.is_true(one.tls:state().ended)
      one:write "still"
      assert.equal("bytes:still", one:settle())
      local raw = one.client:take()
      one.carried:finish() -- again
      assert.equal("", one.client:take())
      assert.equal("", raw)
    end)

    it("its own side behind all that it was given", function()
      local one = connect()
      one.client:window(10)
      one.carried:send(("x"):rep(1000))
      one.carried:finish()
      assert.equal("open", one.client:state())
      one.client:window(100)
      one.carried:poll()
      assert.equal("open", one.client:state())
      one.client:window(922 - 10)
      one.carried:poll()
      assert.equal("open", one.client:state()) -- the word has not left
      one.client:window()
      assert.equal("", one.carried:turn())
      assert.equal("ended", one.client:state())
      assert.equal(1000, #one:got())
      assert.is_true(one.tls:state().ended)
      assert.is_false(select(2, one.carried:poll()))
    end)

    it("its own side before what is not encrypted yet, which breaks it rather than be lost", function()
      local one = connect()
      one.client:window(10)
      one.carried:send(("x"):rep(100000))
      one.carried:finish()
      one.client:window()
      assert.matches("^error:%-1$", one.carried:turn())
      assert.is_true(#one:got() < 100000)
    end)

    it("its own side behind that word, where there is no room for it", function()
      local one = connect()
      one.client:window(0)
      one.carried:finish()
      assert.equal("open", one.client:state())
      one.client:window()
      assert.equal("", one.carried:turn())
      assert.equal("ended", one.client:state())
    end)

    it("for good by a word, or without one where that is to be an error", function()
      local one = connect()
      one.carried:shut()
      assert.equal("closed", one.client:state())
      one:got()
      assert.is_true(one.tls:state().ended)
      one = connect()
      one.carried:shut(true)
      assert.equal("reset", one.client:state())
      one:got()
      assert.is_false(one.tls:state().ended)
    end)
  end)

  it("breaks on what nobody has encrypted, and says so to its client", function()
    local one = connect()
    one.carried:want_read(10)
    one.client:send("\x17\x03\x03\x00\x20" .. ("x"):rep(32))
    assert.equal("error:-1", one.carried:turn())
    one:got()
    assert.matches("bad record mac", one.tls:state().why)
    assert.equal(-1, (one.carried:send "x"))
    one.carried:finish()
    assert.equal("ended", one.client:state())
    assert_counts { done = 1 }
  end)

  it("breaks with what carries it", function()
    local one = connect()
    one.carried:want_read(10)
    one.client:reset()
    assert.equal("error:-1", one.carried:turn())
    assert_counts { done = 1 }
  end)

  it("hands on what the kernel may keep of it, and what is spoken by it", function()
    local one = connect()
    assert.equal(0, one.carried:bound(5000))
    assert.equal(5000, one.client:bound())
    if not harness.hpack then return end
    one = connect { alpn = { "h2" } }
    assert.equal(1, one.carried:bound(6000))
    assert.equal(6000, one.client:bound())
  end)

  it("leaves nothing behind, whatever was under way, nor do the hosts that it was made to", function()
    local pieces, names = {}, {}
    for i = 1, 200 do pieces[i] = ("x"):rep(700) end
    for i = 1, 60 do names[i] = ("DNS:%d.many.example"):format(i) end
    local many, many_key = certificates.make(directory, "many", { names = names })
    local function round()
      for _, reset in ipairs { false, true } do
        begin() -- nothing has come
        local one = begin()
        one.tls:pump(one.client)
        one.carried:poll() -- its turn would come
        for _, how in ipairs { "reset", "finish" } do
          one = begin()
          one.client[how](one.client)
          assert.equal("error:-1", one.carried:turn())
        end
        one = connect({}, { bytes = "stop" })
        one:write(("x"):rep(5000))
        one:write(("y"):rep(5000))
        one.carried:want_read(20000)
        assert.equal("bytes:5000", one:settle()) -- the rest is kept
        one = connect()
        one.carried:want_read(10)
        one.client:window(0)
        for _ = 1, 2 do one.tls:update_keys() end
        one.tls:pump(one.client)
        one.carried:turn()
        one.carried:send(("x"):rep(5000)) -- behind an answer that is on its way
        one = connect()
        one.client:window(1000)
        one.carried:send(table.unpack(pieces))
        one.client:window(1000)
        assert.matches("^sent:", (one.carried:poll())) -- some has left, some is encrypted, some is not
        one.carried:finish()
        one = connect()
        one.carried:want_read(10)
        one.client:reset()
        assert.equal("error:-1", one.carried:turn())
        one = connect()
        one.carried:want_read(10)
        one.client:finish()
        assert.equal("end", one.carried:turn())
        for _, each in ipairs(open) do each.carried:shut(reset) end
        open = {}
      end
      server:close()
      server = harness.tls_server(many, many_key, 2)
      begin()
      begin()
      for _ = 1, 10 do server:accept() end -- are too many
      for _, each in ipairs(open) do each.carried:shut() end
      open = {}
      server:close()
      for _ = 1, 10 do assert.is_true(harness.tls_server(cert, key):close()) end
      server = harness.tls_server(cert, key)
    end
    assert.is_true(helper.comes_to_rest(round))
  end)

  it("is told of with its client's certificate, of which nothing is left", function()
    server:close()
    server = harness.tls_server(cert, key, nil, true)
    local one = connect { cert = cert, key = key }
    assert.matches("\0subject\0CN=a.example\0issuer\0CN=a.example\0fingerprint\0%x+\0verified\0\0san\0DNS:a.example\0$", one.carried:describe())
    assert.is_true(helper.comes_to_rest(function()
      for _ = 1, 50 do one.carried:describe() end
    end))
  end)

  it("answers a hello by its own and nothing else, whatever name that asks for", function()
    local one = begin { max = "1.2", sni = "other.example" }
    one.tls:pump(one.client)
    one.carried:turn()
    assert.equal(0x16, one.client:take():byte()) -- no warning before it
  end)

  it("keeps no room while it is silent, neither for records nor for what had come and was kept", function()
    local one = connect({}, { bytes = "stop" })
    for _ = 1, 3 do one:write(("x"):rep(16000)) end
    for _ = 1, 3 do
      one.carried:want_read(1 << 16)
      assert.equal("bytes:16000", one:settle())
    end
    one.carried:send "y"
    assert.equal("y", one:got())
    local before = harness.allocated()
    one.carried:shut(true)
    local kept = before - harness.allocated()
    assert.is_true(kept > 0 and kept < 20000, kept) -- a record is 16,384 and more, each way
  end)

  it("keeps no list of pieces that are encrypted already", function()
    local function grows(...)
      local one = connect()
      one.carried:send(...)
      one.client:window(0)
      collectgarbage()
      local before = harness.allocated()
      assert.equal(0, (one.carried:send(...)))
      return harness.allocated() - before
    end
    local pieces = {}
    for i = 1, 250 do pieces[i] = "x" end
local wanted, got = grows(("x"):rep(250)), grows(table.unpack(pieces))
    assert.is_true(got < wanted + 2000, got)
  end)

  for _, how in ipairs { "close", "reset" } do
    it(("may be left (%s) whenever it is told something"):format(how), function()
      local one = begin({}, { open = how })
      assert.equal("open", one:settle())
      one = connect({}, { bytes = how })
      one:write "first"
      one:write "second"
      one.carried:want_read(3)
      assert.equal("bytes:fir", one:settle())
      one = connect({}, { sent = how })
      one.client:window(10)
      one.carried:send(("x"):rep(100000))
      one.client:window(20)
      assert.equal("sent:20", one.carried:turn())
      one = connect({}, { ["end"] = how })
      one.client:finish()
      one.carried:want_read(3)
      assert.equal("end", one:settle())
      one = connect({}, { error = how })
      one.client:send(("x"):rep(100))
      one.carried:want_read(3)
      assert.equal("error:-1", one.carried:turn())
      one = connect({}, { error = how })
      one.client:reset()
      one.carried:want_read(3)
      assert.equal("error:-1", one.carried:turn())
      one = begin({}, { error = how })
      one.client:reset()
      assert.equal("error:-1", one.carried:turn())
      one = connect({}, { error = how })
      one.client:send(("x"):rep(100))
      assert.is_false(one.carried:read_now())
      assert.equal("error:-1", one.carried:log())
      one = connect({}, { bytes = how })
      one:write "x"
      assert.is_true(one.carried:read_now())
      assert.equal("bytes:x", one.carried:log())
      one = connect({}, { sent = how })
      server:open_batch()
      one.carried:send "x"
      server:close_batch()
      assert.equal("sent:1", one.carried:log())
      assert.equal(how == "close" and "closed" or "reset", one.client:state())
    end)
  end
end)

describe("keys of tickets", function()
  local directory, cert, key, server
  setup(function()
    directory = certificates.directory()
    cert, key = certificates.make(directory, "a.example")
  end)
  teardown(function() certificates.remove(directory) end)
  before_each(function() server = harness.tls_server(cert, key) end)
  after_each(function() server:close() end)

  it("are used for an hour, known for three, and have nothing in common", function()
    local list, seen = {}, { [("\0"):rep(32)] = true }
    local function note(...)
      list[#list + 1] = { ... }
      for _, part in ipairs { ... } do
        assert.is_nil(seen[part])
        seen[part] = true
      end
    end
    note(server:key())
    assert.same(list[1], { server:key(3599) })
    note(server:key(1)) -- at 3600
    for _ = 1, 4 do note(server:key(3601)) end -- at 7201, 10802, 14403, 18004
    local function known()
      local out = {}
      for i, one in ipairs(list) do
        local found = { server:find(one[1]) }
        if found[1] then
          assert.same(one, found)
          out[#out + 1] = i
        end
      end
      return table.concat(out, " ")
    end
    assert.equal("4 5 6", known())
    server:turn(10802 + 3 * 3600 - 18004 - 1)
    assert.equal("4 5 6", known())
    server:turn(1)
    assert.equal("5 6", known())
    assert.is_nil((server:find(("\0"):rep(16))))
  end)

  it("are nowhere once their server has ended", function()
    server:key()
    assert.is_true(server:close())
  end)
end)
