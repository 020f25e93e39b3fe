-- SPDX-License-Identifier: MIT
-- reply.stream: bodies of any type that are written piece by piece.
local helper = require "spec.helper"

local APP = [[
local function note(text) return setmetatable({}, { __close = function() spate.log.info(text) end }) end
app:get("/hello", function() return reply.stream(function(write)
  write "hel" write "lo" sse.sleep(1) write "" write(42)
end, { type = "text/plain" }) end)
app:get("/length/:said", function(req)
  return reply.stream(function(write) write "abc" write "de" end, { length = tonumber(req.params.said) })
end)
app:get("/over", function()
  return reply.stream(function(write)
    write "abc"
    write "def"
  end, { length = 5 })
end)
app:get("/fails", function() return reply.stream(function(write) write "one" error "broken" end) end)
app:get("/flood", function(req)
  req:on_close(function(reason) spate.log.info("reason " .. reason) end)
  return reply.stream(function(write)
    local let_go <close> = note "let go"
    pcall(function() for i = 1, 100 do write(("x"):rep(100000)) spate.log.info("wrote " .. i) end end)
    spate.log.info "not stopped"
  end)
end)
app:get("/big", function() return reply.stream(function(write)
  local ok, err = write(("x"):rep(10000000))
  spate.log.info("big " .. tostring(ok) .. tostring(err))
end) end)
app:get("/idle", function(req)
  req:on_close(function(reason) spate.log.info("reason " .. reason) end)
  return reply.stream(function(write)
    local let_go <close> = note "let go"
    write "first"
    sse.sleep(86400)
    write "last"
  end)
end)
app:get("/yield", function() return reply.stream(function() coroutine.yield "a" coroutine.yield(1) end) end)
app:get("/spawned", function() return reply.stream(function(write)
  sse.spawn(function() sse.sleep(1) spate.log.info("spawned " .. tostring(write "x") .. " " .. select(2, write "y")) end)
end) end)
app:get("/", function() return "here" end)
]]

describe("reply.stream", function()
  local server

  local function serve(source, options) server = helper.serve(source or APP, options) end

  local function get(target, options) return server:get(target, options) end

  after_each(function()
    local s = server
    server = nil
    if s then s:close() end
  end)

  it("sends bytes as they are written, chunked, and keeps the connection", function()
    serve()
    local client = server:connect()
    local res = get("/hello", { client = client })
    assert.equal(200, res:status())
    assert.equal("text/plain", res:header "Content-Type")
    assert.equal("chunked", res:header "Transfer-Encoding")
    assert.is_nil(res:header "Cache-Control")
    assert.equal("hello", (res:body()))
    assert.is_false(res:has_ended())
    server:advance(1)
    assert.matches("\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n2\r\n42\r\n0\r\n\r\n$", res:raw())
    assert.equal("open", client:state())
    assert.equal("here", (get("/", { client = client }):body()))
  end)

  it("has a status, a type and headers", function()
    serve [[
      app:get("/a", function() return reply.stream(function(write) write "x" end) end)
      app:get("/b", function()
        return reply.stream(function(write) write "x" end, { status = 201, headers = { ["Content-Type"] = "a/b", ["X-A"] = "b" } })
      end)
      app:get("/c", function() return reply.stream(function(write) write "x" end, { type = "a/b", status = 404 }):header("X-C", "d"):status(203) end)
      app:get("/d", function() return reply.stream(function(write) spate.log.info "ran" write "x" end):status(204) end)
      app:after(function(req, answer) answer:header("X-After", "yes") end)
    ]]
    local a, b, c = get "/a", get "/b", get "/c"
    assert.same({ 200, "application/octet-stream", "yes", "x" }, { a:status(), a:header "Content-Type", a:header "X-After", (a:body()) })
    assert.same({ 201, "a/b", "b", "x" }, { b:status(), b:header "Content-Type", b:header "X-A", (b:body()) })
    assert.same({ 203, "a/b", "d", "x" }, { c:status(), c:header "Content-Type", c:header "X-C", (c:body()) })
    assert.equal(204, get "/d":status())
    assert.not_matches("ran", server:log())
  end)

  it("to HTTP/1.0 is delimited by the end of the connection", function()
    serve()
    local res = get("/hello", { version = "1.0", headers = { Connection = "keep-alive" } })
    server:advance(1)
    assert.is_nil(res:header "Transfer-Encoding")
    assert.is_nil(res:header "Connection")
    assert.matches("\r\n\r\nhello42$", res:raw())
    assert.equal("ended", res.client:state())
  end)

  it("with a length says so, to HTTP/1.0 as well", function()
    serve()
    for _, version in ipairs { "1.1", "1.0" } do
      local client = server:connect()
      local res = get("/length/5", { client = client, version = version, headers = { Connection = "keep-alive" } })
      assert.equal("5", res:header "Content-Length")
      assert.is_nil(res:header "Transfer-Encoding")
      assert.matches("\r\n\r\nabcde$", res:raw())
      assert.equal("here", (get("/", { client = client }):body()))
    end
  end)

  it("of a length that was not kept is cut: too few", function()
    serve()
    local res = get "/length/6"
    assert.equal("abcde", (res:body()))
    assert.is_true(res.client:state() == "closed" or res.client:state() == "reset")
    assert.matches("the function of reply.stream at .*:%d+ has written 1 bytes less than the length it announced", server:log())
  end)

  it("of a length that was not kept is cut: too many, none of which are sent", function()
    serve()
    local res = get "/over"
    assert.equal("abc", (res:body()))
    assert.is_true(res.client:state() == "closed" or res.client:state() == "reset")
    assert.matches(":13: write: 3 bytes, but only 2 are left of the length", server:log())
    res = get "/length/0"
    assert.equal("", (res:body()))
  end)

  it("to HEAD is the head alone, and the function does not run", function()
    serve()
    local res = server:head "/flood"
    assert.equal(200, res:status())
    assert.matches("\r\n\r\n$", res:raw())
    assert.equal("5", server:head "/length/5":header "Content-Length")
    assert.is_nil(server:head "/hello":header "Content-Length")
    assert.not_matches("let go", server:log())
    assert.equal(0, server:stats().tasks)
  end)

  it("that fails behind its head is cut without the last chunk", function()
    serve()
    local res = get "/fails"
    assert.equal("one", (res:body()))
    assert.is_false(res:has_ended())
    assert.equal("closed", res.client:state())
    local log = server:log()
    assert.matches("broken", log)
    assert.matches("reason=error", log)
    res = get("/fails", { version = "1.0" })
    assert.equal("reset", res.client:state())
  end)

  it("waits while the client is behind", function()
    serve()
    local client = server:connect()
    client:window(1000)
    local res = get("/flood", { client = client })
    local wrote = select(2, server:log():gsub("wrote", ""))
    assert.is_true(wrote < 4)
    client:window()
    for _ = 1, 50 do server:turn() end
    assert.equal(10000000, #(res:body()))
    assert.matches("not stopped", server:log())
  end)

  it("queues a large string in slices", function()
    serve()
    local client = server:connect()
    client:window(0)
    local bytes = server:stats().lua_bytes
    local res = get("/big", { client = client })
    assert.is_true(server:stats().events < 10)
    assert.not_matches("big", server:log())
    client:window()
    for _ = 1, 50 do server:turn() end
    assert.equal(10000000, #(res:body()))
    assert.matches("big truenil", server:log())
    assert.is_true(server:stats().lua_bytes < bytes + 25000000)
  end)

  it("ends where it waits when the client leaves; pcall does not stop that", function()
    serve()
    local client = server:connect()
    client:window(1000)
    get("/flood", { client = client })
    client:reset()
    server:turn()
    local log = server:log()
    assert.matches("let go", log)
    assert.not_matches("not stopped", log)
    assert.matches("reason client_closed", log)
    assert.matches("method=GET target=/flood status=200 bytes=%d+ ms=%d+ reason=client_closed", log)
    for _, way in ipairs { "finish", "reset" } do
      local res = get "/idle"
      assert.equal("first", (res:body()))
      res.client[way](res.client)
      server:turn()
      assert.matches("let go.*reason client_closed", server:log())
      assert.equal(0, server:stats().tasks)
    end
  end)

  it("ends where the client has ended its side before it began: that one has left", function()
    serve()
    local client = server:connect()
    client:send "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n"
    client:finish()
    server:turn()
    assert.equal(0, server:stats().tasks)
  end)

  it("is cut where the client takes nothing for timeouts.send", function()
    serve()
    local client = server:connect()
    client:window(1000)
    get("/flood", { client = client })
    server:advance(29)
    assert.equal(1, server:stats().tasks)
    server:advance(2)
    assert.equal(0, server:stats().tasks)
    assert.matches("reason slow_consumer", server:log())
  end)

  it("has no comments in it, however long it is idle", function()
    serve()
    local client = server:connect()
    local res = get("/idle", { client = client })
    server:advance(86400)
    assert.equal("firstlast", (res:body()))
    assert.is_true(res:has_ended())
    assert.equal(0, server:stats().streams)
  end)

  it("lets pipelined requests wait, and answers them behind it", function()
    serve()
    local client = server:connect()
    local res = server:send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    assert.not_matches("here", res:raw())
    server:advance(1)
    assert.equal(2, select(2, res:raw():gsub("here", "")))
    assert.equal("open", client:state())
  end)

  it("is not ended by a stop: it finishes, and the connection closes", function()
    serve()
    local before, idle = get "/hello", get "/idle"
    server.core:drain()
    server:advance(1)
    assert.equal("hello42", (before:body()))
    assert.is_true(before:has_ended())
    assert.equal("ended", before.client:state())
    server:advance(20)
    assert.equal("open", idle.client:state())
    assert.equal(1, server:stats().tasks)
  end)

  it("that begins when the server has been told to stop is sent in full", function()
    serve [[app:get("/late", function()
      sse.sleep(1)
      return reply.stream(function(write) write "one " sse.sleep(1) write "two" end)
    end)]]
    local res = get "/late"
    server.core:drain()
    server:advance(2)
    assert.equal("one two", (res:body()))
    assert.is_true(res:has_ended())
  end)

  it("takes yielded values as written ones", function()
    serve()
    assert.equal("a1", (get "/yield":body()))
  end)

  it("is closed for who writes after its end", function()
    serve()
    get "/spawned"
    server:advance(1)
    assert.matches("spawned nil closed", server:log())
  end)

  it("has one line in the access log, at its end", function()
    serve()
    get "/hello"
    assert.equal("", server:log())
    server:advance(1)
    assert.matches("^[^\n]* request remote=127.0.0.1 method=GET target=/hello status=200 bytes=%d+ ms=1000\n$", server:log())
  end)

  it("says what it expects, at the user's line", function()
    serve [[
      app:get("/fn", function() return reply.stream("x") end)
      app:get("/self", function() return reply:stream(print) end)
      app:get("/options", function() return reply.stream(print, 1) end)
      app:get("/unknown", function() return reply.stream(print, { lenght = 1 }) end)
      app:get("/length", function() return reply.stream(print, { length = -1 }) end)
      app:get("/status", function() return reply.stream(print, { status = 99 }) end)
      app:get("/type", function() return reply.stream(print, { type = "a\nb" }) end)
      app:get("/framing", function() return reply.stream(print, { headers = { ["Content-Length"] = 1 } }) end)
      app:get("/write", function() return reply.stream(function(write)
        write {} end) end)
      app:get("/sort", function() return reply.stream(function(write)
        table.sort({ 1, 2 }, function() write "x" end) end) end)
    ]]
    for path, message in pairs {
      fn = ":3: reply.stream: expected a function%(write%), got string", self = ":4: reply.stream%(...%): write it with a dot",
      options = ":5: reply.stream: expected a table of options, got number", unknown = ":6: reply.stream: unknown option 'lenght'; did you mean 'length'?",
      length = ":7: reply.stream: length: expected a number of bytes, got %-1", status = ":8: status: expected an integer from 200 to 599, got 99",
      type = ":9: header 'Content%-Type': the value must not contain control characters", framing = ":10: header 'Content%-Length': the server sets this one itself",
      write = ":12: write: expected a string, got table", sort = ":14: write: cannot wait inside table.sort",
    } do
      get("/" .. path)
      assert.matches(message, server:log(), path)
    end
  end)
end)

it("a stream whose status allows no body has none, and its connection goes on", function()
  local server = helper.serve [[
    app:get("/raw/:status", function(req) return reply.stream(function(write) write "abc" sse.sleep(1000) end, { status = tonumber(req.params.status) }) end)
    app:get("/events/:status", function(req) return sse.reply(sse.from { "a" }:chain(sse.never()), { status = tonumber(req.params.status) }) end)
    app:get("/next", function() return "next" end)]]
  for _, kind in ipairs { "raw", "events" } do
    for _, status in ipairs { 204, 205, 304 } do
      local res = server:get(("/%s/%d"):format(kind, status))
      assert.equal(status, res:status())
      assert.matches("\r\n\r\n$", res:raw())
      assert.is_nil(res:header "Transfer-Encoding")
      assert.equal("next", (server:get("/next", { client = res.client }):body()))
    end
  end
  server:close()
end)
