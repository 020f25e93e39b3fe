-- SPDX-License-Identifier: MIT
-- Request bodies that are read as they come, and what they may cost.
local helper = require "spec.helper"

local WINDOW = 64 * 1024

local APP = [[
app:post("/count", function(req)
  local pieces, bytes = 0, 0
  for piece in req:chunks(math.huge) do pieces, bytes = pieces + 1, bytes + #piece end
  return { pieces = pieces, bytes = bytes }
end)
app:post("/echo", function(req)
  local all = {}
  for piece in req:chunks() do all[#all + 1] = piece end
  return table.concat(all)
end)
app:post("/four", function(req)
  local note <close> = setmetatable({}, { __close = function() spate.log.info "let go" end })
  local bytes = 0
  pcall(function() for piece in req:chunks(4) do bytes = bytes + #piece end end)
  spate.log.info("went on with " .. bytes)
  return "read " .. bytes
end)
app:post("/slow", function(req)
  local bytes = 0
  for piece in req:chunks(math.huge) do
    bytes = bytes + #piece
    sse.sleep(100)
  end
  return "read " .. bytes
end)
app:post("/late", function(req) sse.sleep(100) return "read " .. #req:body() end)
app:post("/first", function(req)
  for piece in req:chunks() do return piece end
  return "nothing"
end)
app:post("/body", function(req) return req:body() end)
app:post("/json", function(req) return req:json() end)
app:get("/", function() return "here" end)
]]

local function post(target, fields, body)
  return ("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s"):format(target, fields, body or "")
end

local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end

describe("request body", function()
  local server

  local function serve(source, options) server = helper.serve(source or APP, options) end

  after_each(function()
    local s = server
    server = nil
    if s then s:close() end
  end)

  describe("in chunks", function()
    it("comes as it arrives, in order, to its end", function()
      serve()
      local client = server:connect()
      local res = server:send(post("/count", "Transfer-Encoding: chunked\r\n"), client)
      for i = 1, 10 do server:send(chunk(("x"):rep(i)), client) end
      assert.equal("", res:raw())
      server:send("0\r\n\r\n", client)
      assert.same({ pieces = 10, bytes = 55 }, res:json())
      assert.equal("here", (server:get("/", { client = client }):body():match "here$"))
    end)

    it("is the same however it is split", function()
      serve()
      local text = ("abcdefghij"):rep(2000)
      for _, piece in ipairs { 1, 7, 4096, math.maxinteger } do
        local client = server:connect()
        client:pieces(piece)
        local res = server:send(post("/echo", "Content-Length: 20000\r\n", text), client)
        for _ = 1, 50 do server:turn() end
        assert.equal(text, (res:body()))
        client:finish()
        server:turn()
      end
    end)

    it("of no bytes, or of a request without one, has none", function()
      serve()
      assert.equal("nothing", (server:post("/first", { body = "" }):body()))
      assert.equal("nothing", (server:post("/first"):body()))
      assert.equal("nothing", (server:send(post("/first", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n")):body()))
    end)

    it("may be larger than limits.body where that is asked for", function()
      serve(APP, { settings = { limits = { body = 10 } } })
      local text = ("x"):rep(WINDOW * 3)
      assert.equal(#text, server:post("/count", { body = text }):json().bytes)
      assert.equal(413, server:post("/echo", { body = text }):status())
      assert.equal("0123456789", (server:post("/echo", { body = "0123456789" }):body()))
      assert.equal(413, server:post("/echo", { body = "0123456789a" }):status())
    end)

    it("above max is a 413 that ends the task: a loop could not tell it from the end", function()
      serve()
      assert.equal("read 4", (server:post("/four", { body = "four" }):body()))
      server:log()
      for _, bytes in ipairs { post("/four", "Content-Length: 5\r\n", "five!"), post("/four", "Content-Length: 5\r\nExpect: 100-continue\r\n"),
        post("/four", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\n"), post("/four", "Transfer-Encoding: chunked\r\n", "5\r\nfive!\r\n0\r\n\r\n"),
        post("/four", "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n") } do
        local res = server:send(bytes)
        assert.equal(413, res:status())
        assert.equal("close", res:header "Connection")
        local log = server:log()
        assert.matches("let go", log)
        assert.not_matches("went on", log)
        assert.equal(0, server:stats().tasks)
      end
    end)

    it("that is slow behind a window has the time of a window, and no more", function()
      serve(APP, { settings = { timeouts = { body = 3, body_total = 5 } } })
      local client = server:connect()
      local res = server:send(post("/count", "Content-Length: 1000000\r\n", ("x"):rep(WINDOW)), client)
      for _ = 1, 2 do
        for _ = 1, 2 do
          server:advance(2)
          assert.equal("", res:raw())
          server:send("x", client)
        end
        server:send(("x"):rep(WINDOW - 2), client)
      end
      for _ = 1, 2 do
        server:advance(2)
        assert.equal("", res:raw())
        server:send("x", client)
      end
      server:advance(1.1)
      assert.equal(408, res:status())
    end)

    it("is read no further than its reader has come", function()
      serve()
      local client = server:connect()
      local res = server:send(post("/slow", "Content-Length: 1000000\r\n", ("x"):rep(300000)), client)
      -- One piece is taken, one window waits; the rest stays with the client.
      client:finish()
      server:turn()
      assert.equal(1, server:stats().tasks)
      server:advance(99)
      assert.equal(1, server:stats().tasks)
      for _ = 1, 5 do server:advance(100) end
      assert.equal(0, server:stats().tasks)
      assert.equal("", res:raw())
    end)

    it("has no time to keep while its reader does not read", function()
      serve()
      local client = server:connect()
      local size = WINDOW * 2 + 10
      local res = server:send(post("/slow", ("Content-Length: %d\r\n"):format(size), ("x"):rep(size)), client)
      server:advance(1000)
      assert.equal("read " .. size, (res:body()))
    end)

    it("is late after 10 s without a byte", function()
      serve()
      local res = server:send(post("/count", "Content-Length: 10\r\n", "abc"))
      server:advance(9)
      assert.equal("", res:raw())
      server:advance(1.1)
      assert.equal(408, res:status())
      assert.equal(0, server:stats().tasks)
    end)

    it("may take long as a whole, but 60 s for each 64 KiB", function()
      serve()
      local client = server:connect()
      local res = server:send(post("/count", "Content-Length: 10000000\r\n"), client)
      for _ = 1, 100 do -- 13 KB a second
        server:advance(5)
        server:send(("x"):rep(WINDOW), client)
      end
      assert.equal("", res:raw())
      for _ = 1, 11 do
        server:advance(5)
        server:send("x", client)
      end
      assert.equal("", res:raw())
      server:advance(5.1)
      assert.equal(408, res:status())
    end)

    it("has the time anew with the last byte of a window, and not before", function()
      for missing, late_at in pairs { [0] = 9, [1] = 5 } do
        local bytes = WINDOW - missing
        if server then server:close() end
        serve(APP, { settings = { timeouts = { body = 100, body_total = 5 } } })
        local res = server:send(post("/count", "Content-Length: 10000000\r\n"))
        server:advance(4)
        server:send(("x"):rep(bytes), res.client)
        server:advance(late_at - 4 - 0.1)
        assert.equal("", res:raw(), bytes)
        server:advance(0.2)
        assert.equal(408, res:status(), bytes)
      end
    end)

    it("that is left unread ends the connection after the answer", function()
      serve()
      local res = server:send(post("/first", "Content-Length: 300000\r\n", "abc"))
      assert.equal("abc", (res:body()))
      assert.equal("close", res:header "Connection")
      server:send(("x"):rep(299997), res.client)
      assert.equal("ended", res.client:state())
      res = server:send(post("/first", "Content-Length: 3\r\n", "abc"))
      assert.is_nil(res:header "Connection")
    end)

    it("that a full window stands in the way of is still dropped behind the answer", function()
      serve [[ app:post("/x", function(req) sse.sleep(1) return "done" end) ]]
      local client = server:connect()
      local res = server:send(post("/x", "Content-Length: 1000000\r\n", ("x"):rep(1000000)), client)
      server:advance(1)
      assert.equal("done", (res:body()))
      client:finish()
      server:turn()
      assert.equal("closed", client:state())
    end)

    it("asks with 100 Continue", function()
      serve()
      local client = server:connect()
      local res = server:send(post("/echo", "Content-Length: 2\r\nExpect: 100-continue\r\n"), client)
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", res:raw())
      server:send("hi", client)
      assert.matches("\r\n\r\nhi$", res:raw())
    end)

    it("of a client that leaves ends the task", function()
      serve()
      local res = server:send(post("/count", "Content-Length: 10\r\n", "abc"))
      assert.equal(1, server:stats().tasks)
      res:close()
      assert.equal(0, server:stats().tasks)
    end)

    it("in another task is nil and 'closed' once it is gone", function()
      serve [[
        app:post("/x", function(req)
          sse.spawn(function()
            local read = req:chunks()
            spate.log.info("got " .. tostring(read()))
            local piece, err = read()
            spate.log.info(("then %s %s"):format(piece, err))
          end)
          sse.sleep(100)
        end)
        app:post("/refused", function(req)
          local job = sse.spawn(function() return req:chunks(1)() end)
          local piece, err = job:join()
          spate.log.info("not here")
        end)
      ]]
      local res = server:send(post("/x", "Content-Length: 10\r\n", "abc"))
      res:close()
      assert.matches("got abc.*then nil closed", server:log())
      res = server:send(post("/refused", "Content-Length: 10\r\n", "abc"))
      assert.equal(413, res:status())
      assert.not_matches("not here", server:log())
    end)

    it("and whole: one after the other, but not the other way round", function()
      serve [[
        app:post("/whole", function(req)
          local body, list = req:body(), {}
          for piece in req:chunks() do list[#list + 1] = piece end
          return { body, list, req:body() }
        end)
        app:post("/pieces", function(req)
          for _ in req:chunks() do break end
          return req:body()
        end)
      ]]
      assert.same({ "abc", { "abc" }, "abc" }, server:post("/whole", { body = "abc" }):json())
      assert.equal(500, server:post("/pieces", { body = "abc" }):status())
      assert.matches(":10: req:body: the body is read in pieces already", server:log())
    end)

    it("is read before the reply begins, with a colon, up to a number of bytes", function()
      serve [[
        app:post("/late", function(req) return sse.reply(function(send)
          for piece in req:chunks() do send(piece) end end) end)
        app:post("/dot", function(req) return req.chunks() end)
        app:post("/:max", function(req)
          return req:chunks(({ text = "x", negative = -1, nan = 0/0 })[req.params.max]) end)
      ]]
      for path, message in pairs { late = ":4: req:chunks: the reply has begun; read the body before it", dot = ":5: .*with a colon",
        text = ":7: req:chunks: expected a number of bytes, got string", negative = ":7: req:chunks: expected 0 or more bytes, got %-1",
        nan = ":7: req:chunks: expected 0 or more bytes, got %-?nan" } do
        server:post("/" .. path, { body = "abc" })
        assert.matches(message, server:log())
      end
    end)
  end)

  describe("that nobody has asked for", function()
    it("waits with the client beyond 64 KiB, and has no time to keep", function()
      serve()
      local size = 500000
      local res = server:send(post("/late", ("Content-Length: %d\r\n"):format(size), ("x"):rep(size)))
      server:advance(101)
      assert.equal("read " .. size, (res:body()))
    end)

    it("may be as long as it likes: a handler that does not read it answers", function()
      serve()
      local res = server:send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\nabc")
      assert.equal(200, res:status())
      assert.equal("close", res:header "Connection")
      assert.equal(404, server:send(post("/none", "Content-Length: 99999999\r\nExpect: 100-continue\r\n")):status())
    end)
  end)

  describe("with a content coding", function()
    it("is refused with 415 by whatever reads it", function()
      serve()
      for _, path in ipairs { "/body", "/json", "/echo", "/count" } do
        for _, coding in ipairs { "gzip", "identity, br", "GZIP", "x" } do
          local res = server:post(path, { body = "abc", headers = { ["Content-Encoding"] = coding } })
          assert.equal(415, res:status())
          assert.equal("identity", res:header "Accept-Encoding")
          assert.equal("close", res:header "Connection")
        end
        assert.equal(0, server:stats().tasks)
      end
      local res = server:send(post("/body", "Content-Encoding: gzip\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"))
      assert.equal(415, res:status())
    end)

    it("that is none is served", function()
      serve()
      for _, coding in ipairs { "identity", "Identity", "" } do
        assert.equal("abc", (server:post("/body", { body = "abc", headers = { ["Content-Encoding"] = coding } }):body()))
      end
      assert.equal("", (server:send(post("/body", "Content-Encoding: gzip\r\n")):body()))
    end)
  end)
end)
