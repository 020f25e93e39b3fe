-- SPDX-License-Identifier: MIT
-- The transport that specs stand on, as its user sees it: what a client in memory does is told when it is asked for, one call at
-- a time.
local certificates = require "spec.certificates"
local helper = require "spec.helper"

local harness = helper.harness

describe("a transport in memory", function()
  local directory, cert, key, path, server
  setup(function()
    directory = certificates.directory()
    cert, key = certificates.make(directory, "a.example")
    path = directory .. "/file"
    local f <close> = assert(io.open(path, "w"))
    f:write "0123456789"
  end)
  teardown(function() certificates.remove(directory) end)
  before_each(function() server = harness.tls_server(cert, key) end)
  after_each(function()
    collectgarbage() -- before what they stand on
    server:close()
  end)

  local function accept(options)
    options = options or {}
    options.plain = true
    return server:accept(options)
  end

  local function open()
    local carried, client = accept()
    assert.equal("open", carried:log())
    return carried, client
  end

  describe("opens", function()
    it("at once, or once where it was closed at first", function()
      open()
      local carried, client = accept { closed = true }
      assert.same({ "", false }, { carried:poll() })
      client:open():open()
      assert.equal("open", carried:log())
    end)

    it("not where it has been closed before, nor where its client has cut it off", function()
      local carried, client = accept { closed = true }
      carried:shut()
      client:open()
      assert.equal("", carried:log())
      client:reset()
      assert.same({ "", false }, { carried:poll() })
      carried, client = accept { closed = true }
      client:reset()
      assert.same({ "error:-1", true }, { carried:poll() })
    end)
  end)

  describe("reads", function()
    it("what is wished, a piece at a time, and then the end", function()
      local carried, client = open()
      client:send "0123456789"
      assert.same({ "", false }, { carried:poll() })
      carried:want_read(4)
      client:finish()
      for _, told in ipairs { "bytes:0123", "bytes:4567", "bytes:89", "end" } do assert.same({ told, true }, { carried:poll() }) end
      client:pieces(3)
      client:send "abcd"
      assert.same({ "bytes:abc", true }, { carried:poll() })
      carried:want_read(0)
      assert.same({ "", false }, { carried:poll() })
    end)

    it("nothing of who has cut it off", function()
      local carried, client = open()
      carried:want_read(4)
      client:send "x"
      client:reset()
      assert.same({ "error:-1", true }, { carried:poll() })
    end)

    it("nothing in a call that is interrupted, or that fails", function()
      local carried, client = open()
      carried:want_read(4)
      client:send "xyz"
      client:fail("recv", true)
      assert.same({ "", true }, { carried:poll() })
      client:fail("recv", true, 1)
      carried:want_read(1)
      for _, told in ipairs { "bytes:x", "", "bytes:y" } do assert.same({ told, true }, { carried:poll() }) end
      client:fail "recv"
      assert.same({ "error:-1", true }, { carried:poll() })
    end)

    it("now all that has come, and says whether there was anything", function()
      local carried, client = open()
      assert.is_false(carried:read_now())
      client:send "xyz"
      client:fail("recv", true)
      assert.is_false(carried:read_now())
      assert.equal(3, client:unread())
      assert.is_true(carried:read_now())
      assert.equal("bytes:xyz", carried:log())
      assert.equal(0, client:unread())
      assert.is_false(carried:read_now())
    end)
  end)

  describe("sends", function()
    it("several pieces, in steps", function()
      local carried, client = open()
      client:step(5)
      assert.equal(5, (carried:send("abc", "", "defgh", "i")))
      assert.equal("abcde", client:take())
      assert.same({ "sent:4", true }, { carried:poll() })
      assert.equal("fghi", client:take())
      assert.equal(2, client:writes())
      assert.same({ "", false }, { carried:poll() })
    end)

    it("as far as its client's window is open", function()
      local carried, client = open()
      client:window(2)
      assert.equal(2, (carried:send "abcde"))
      assert.same({ "", false }, { carried:poll() })
      client:window(1)
      assert.same({ "sent:1", true }, { carried:poll() })
      client:window()
      assert.same({ "sent:2", true }, { carried:poll() })
      assert.equal("abcde", client:take())
    end)

    it("a part of a file and no more, in steps", function()
      local carried, client = open()
      for step = 1, 4 do
        client:step(step)
        local sent = carried:send_file(path, 2, 6)
        assert.equal(step, sent)
        while sent < 6 do
          local told = carried:poll()
          sent = sent + tonumber(told:match "^sent:(%d)$")
        end
        assert.equal("234567", client:take())
      end
      client:window(0)
      assert.equal(0, carried:send_file(path, 2, 6))
      assert.same({ "", false }, { carried:poll() })
    end)

    it("a file that ends before its part as far as that goes, and says so", function()
      local carried, client = open()
      assert.equal(2, carried:send_file(path, 8, 5))
      assert.same({ "error:-2", true }, { carried:poll() })
      assert.equal("89", client:take())
      assert.equal(-2, carried:send_file(path, 10, 1))
    end)

    it("in vain where its client takes nothing any more", function()
      for _, how in ipairs { "leave", "reset" } do
        local carried, client = open()
        client[how](client)
        assert.equal(-1, (carried:send "x"))
        carried, client = open()
        client:step(1)
        assert.equal(1, (carried:send "xy"))
        client[how](client)
        assert.same({ "error:-1", true }, { carried:poll() })
        carried, client = open()
        carried:send "x"
        client[how](client)
        assert.same({ "", false }, { carried:poll() }) -- who reads nothing and has nothing to send does not know
      end
    end)

    it("nothing in a call that is interrupted, or that fails", function()
      local carried, client = open()
      client:fail("send", true)
      assert.equal(0, (carried:send "abcd"))
      assert.same({ "sent:4", true }, { carried:poll() })
      client:step(2):fail("send", true, 1)
      assert.equal(2, (carried:send "efgh"))
      assert.same({ "", true }, { carried:poll() })
      assert.same({ "sent:2", true }, { carried:poll() })
      assert.equal("abcdefgh", client:take())
      client:fail "send"
      assert.equal(-1, (carried:send "x"))
      client:fail("send", false, 1)
      assert.equal(2, (carried:send "xyz"))
      assert.same({ "error:-1", true }, { carried:poll() })
    end)

    it("nothing at once where it is late", function()
      local carried, client = open()
      client:late()
      assert.equal(0, (carried:send "abcd"))
      assert.same({ "sent:4", true }, { carried:poll() })
    end)

    it("by calls that take their time, where they take anything", function()
      local carried, client = open()
      client:delay(2):step(1)
      carried:send "ab"
      assert.equal(2, server:now())
      carried:poll()
      assert.equal(4, server:now())
      client:window(0)
      carried:send "x"
      carried:poll()
      assert.equal(4, server:now())
    end)

    it("by a batch, and tells what has become of it once", function()
      local carried, client = open()
      server:open_batch()
      assert.same({ 0, true }, { carried:send "abc" })
      assert.equal("", client:take())
      server:close_batch()
      assert.equal("sent:3", carried:log())
      assert.is_false(carried:is_queued())
      client:fail "send"
      server:open_batch()
      assert.same({ 0, true }, { carried:send "abc" })
      server:close_batch()
      assert.equal("error:-1", carried:log())
      server:open_batch()
      carried:send "abc"
      carried:shut()
      server:close_batch()
      assert.equal("", carried:log())
    end)
  end)

  it("leaves nothing behind", function()
    assert.is_true(helper.comes_to_rest(function()
      local bytes = ("x"):rep(300)
      for _ = 1, 20 do
        local carried, client = open()
        client:send(bytes)
        carried:read_now()
        client:send(bytes)
        carried:send(bytes)
      end
    end))
  end)
end)
