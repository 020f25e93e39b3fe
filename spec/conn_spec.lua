-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local APP = [[
app:get("/", function() return reply.text "root" end)
app:get("/slow/:seconds", function(req)
  local guard <close> = setmetatable({}, { __close = function() spate.log.info("slow let go") end })
  sse.sleep(tonumber(req.params.seconds))
  return reply.text("slept " .. req.params.seconds)
end)
app:get("/ticks", function(req)
  req:on_close(function(reason) spate.log.info("on_close " .. reason) end)
  return sse.reply(function(send)
    local guard <close> = setmetatable({}, { __close = function() spate.log.info("producer let go") end })
    send "first"
    while true do sse.sleep(1) send "tick" end
  end)
end)
app:get("/late", function()
  sse.sleep(1)
  return sse.reply(function(send) while true do send "tick" sse.sleep(1) end end)
end)
app:get("/once", function() return sse.reply(sse.once "only") end)
app:get("/hundreds", function() return sse.reply(function(send) for i = 1, 1000 do send(i) end end) end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/fails", function() return sse.reply(function(send) send "one" error "broken" end) end)
app:post("/", function(req)
  local guard <close> = setmetatable({}, { __close = function() spate.log.info("handler ends") end })
  local body, err = req:body()
  return reply.text(body and "got " .. body or "no body: " .. err)
end)
app:post("/nothing/events", function() sse.sleep(1) return sse.reply(sse.never()):status(204) end)
app:post("/nothing/bytes", function() sse.sleep(1) return reply.stream(function() end):status(204) end)
app:post("/unread", function() return reply.text "not read" end)
app:post("/hesitant", function(req) sse.sleep(20) return reply.text("got " .. req:body()) end)
app:post("/slow", function(req) sse.sleep(5) return reply.text "slow" end)
app:post("/open", function() return sse.reply(function(send) send "open" sse.sleep(1000) end) end)
]]

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
local function get(target, fields) return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(target, fields or "") end
local function post(target, fields, body)
  return ("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n%s"):format(target, fields, body or "")
end

local server

local function serve(options) server = helper.serve(APP, options) end

local function statuses(res)
  local list = {}
  for status in res:raw():gmatch "HTTP/1%.1 (%d+)" do list[#list + 1] = tonumber(status) end
  return list
end

local function bodies(res)
  local list = {}
  for body in (res:raw() .. "HTTP"):gmatch "\r\n\r\n(.-)\n?HTTP" do list[#list + 1] = body end
  return list
end

-- The access lines so far.
local function access_lines()
  local list = {}
  for line in server:log():gmatch "[^\n]+" do
    if line:find " method=" or line:find " refused " then list[#list + 1] = line end
  end
  return list
end

local function state(res) return res.client:state() end

-- Both say that no more is to come: the connection lingers, or is gone.
local function has_ended(res) return state(res) == "ended" or state(res) == "closed" end

describe("connection", function()
  before_each(function() serve() end)
  after_each(function() server:close() end)

  describe("keep-alive", function()
    it("serves one request after the other", function()
      local res = server:send(GET)
      for n = 1, 5 do
        assert.equal(n, #statuses(res))
        server:send(GET, res.client)
      end
      assert.equal("open", state(res))
      assert.is_nil(res:header "Connection")
      assert.equal(1, server:stats().connections)
      assert.equal(6, server:stats().requests_total)
    end)

    it("ends with Connection: close, and says so", function()
      local res = server:get("/", { headers = { Connection = "close" } })
      assert.equal("root", (res:body()))
      assert.equal("close", res:header "Connection")
      assert.equal("ended", state(res))
      res:close()
      assert.equal("closed", state(res))
    end)

    it("is off in HTTP/1.0 and on where a 1.0 client asks", function()
      local res = server:get("/", { version = "1.0" })
      assert.equal("root", (res:body()))
      assert.equal("ended", state(res))
      res = server:get("/", { version = "1.0", headers = { Connection = "keep-alive" } })
      assert.equal("keep-alive", res:header "Connection")
      assert.equal("open", state(res))
      server:send(GET, res.client)
      assert.same({ 200, 200 }, statuses(res))
    end)

    it("goes on after an event stream that ended, with nothing behind the last chunk", function()
      local res = server:get "/once"
      assert.equal("open", state(res))
      assert.matches("\r\n0\r\n\r\n$", res:raw())
      server:send(GET, res.client)
      assert.same({ 200, 200 }, statuses(res))
    end)
  end)

  it("does not listen to who goes on behind its last answer, nor waits for longer", function()
    for _, first in ipairs { get("/", "Connection: close\r\n"), "GET / HTTP/1.1\r\n\r\n" } do
      local res = server:send(first)
      local last = res:raw()
      for _ = 1, 3 do
        server:advance(0.5)
        server:send(GET, res.client)
      end
      assert.equal("ended", state(res))
      server:advance(0.6)
      assert.equal("closed", state(res))
      assert.equal(last, res:raw())
    end
  end)

  describe("pipelining", function()
    it("answers in order behind a slow handler", function()
      local res = server:send(get "/slow/3" .. GET .. get "/slow/2" .. get("/x", "Connection: close\r\n") .. GET)
      assert.same({}, statuses(res))
      server:advance(2.9)
      assert.same({}, statuses(res))
      server:advance(0.1)
      assert.same({ 200, 200 }, statuses(res))
      server:advance(2)
      assert.same({ 200, 200, 200, 404 }, statuses(res))
      assert.same({ "slept 3", "root", "slept 2", "Not Found" }, bodies(res))
      assert.is_true(has_ended(res))
    end)

    it("runs one handler at a time", function()
      local res = server:send(get "/slow/1" .. get "/slow/1" .. get "/slow/1")
      assert.equal(1, server:stats().tasks)
      server:advance(1.5)
      assert.equal(1, #statuses(res))
      server:advance(1.5)
      assert.equal(3, #statuses(res))
    end)

    it("takes what arrives while the handler works, in whatever pieces", function()
      local res = server:connect()
      res:pieces(1)
      res = server:send(get "/slow/1" .. GET:sub(1, 5), res)
      server:advance(0.5)
      server:send(GET:sub(6), res.client)
      server:advance(0.5)
      assert.same({ 200, 200 }, statuses(res))
    end)

    it("serves however many there are, where limits.requests allows it", function()
      server:close()
      serve { settings = { limits = { requests = 10000 } } }
      local res = server:send(get "/slow/3")
      for _ = 1, 20 do server:send(GET:rep(400), res.client) end
      server:advance(3)
      for _ = 1, 20 do server:turn() end
      assert.equal(8001, #statuses(res))
    end)

    it("answers what came before bytes that are no request, then those", function()
      local res = server:send(get "/slow/1" .. GET .. "garbage\r\n\r\n")
      server:advance(1)
      assert.same({ 200, 200, 400 }, statuses(res))
      assert.is_true(has_ended(res))
    end)
  end)

  describe("half-close", function()
    it("during a plain request: the full answer, then the end", function()
      local res = server:send(get "/slow/3")
      res:half_close()
      assert.equal("open", state(res))
      server:advance(3)
      assert.equal("slept 3", (res:body()))
      assert.equal("close", res:header "Connection")
      assert.equal("closed", state(res))
    end)

    it("with the request's last bytes", function()
      local client = server:connect()
      client:send(GET)
      client:finish()
      local res = server:send("", client)
      assert.equal("root", (res:body()))
      assert.equal("closed", state(res))
    end)

    it("under a stream: sixteen turns without a byte, and as many behind one", function()
      local late = helper.serve [[
        app:get("/late", function(req)
          return sse.reply(function(send)
            for i = 1, 3 do
              for _ = 1, tonumber(req.query.turns) do sse.sleep(0) end
              send(i)
            end
          end)
        end)]]
      for turns, count in pairs { [16] = 3, [17] = 0 } do
        local client = late:connect()
        client:finish()
        assert.equal(count, #late:send(("GET /late?turns=%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(turns), client):data())
        assert.equal("closed", client:state())
      end
      late:close()
    end)

    it("behind pipelined requests: an answer to each", function()
      local res = server:send(get "/slow/1" .. GET .. get "/slow/1")
      res:half_close()
      server:advance(2)
      assert.same({ 200, 200, 200 }, statuses(res))
      assert.equal("closed", state(res))
    end)

    it("behind half a pipelined request: the end after the first", function()
      local res = server:send(get "/slow/1" .. "GET / HT")
      res:half_close()
      server:advance(1)
      assert.same({ 200 }, statuses(res))
      assert.equal("closed", state(res))
    end)

    it("behind a pipelined request whose body is not whole: the end after the first", function()
      local res = server:send(get "/slow/1" .. post("/", "Content-Length: 5\r\n", "he"))
      res:half_close()
      server:advance(1)
      assert.same({ 200 }, statuses(res))
      assert.equal("closed", state(res))
    end)

    it("within a head or a body, or on an idle connection: closed without an answer", function()
      for _, bytes in ipairs { "", "GET", "GET / HTTP/1.1\r\n", post("/", "Content-Length: 5\r\n", "he") } do
        local res = server:send(bytes)
        res:half_close()
        assert.equal("", res:raw())
        assert.equal("closed", state(res))
      end
    end)

    it("while the answer waits for the client to read", function()
      local client = server:connect()
      client:window(10)
      local res = server:send(GET, client)
      res:half_close()
      assert.equal("open", state(res))
      client:window()
      server:turn()
      assert.equal("root", (res:body()))
      assert.equal("closed", state(res))
    end)

    it("while an answer to an unread body waits for the client to read", function()
      local client = server:connect()
      client:window(10)
      local res = server:send(post("/unread", "Content-Length: 5\r\n", "he"), client)
      res:half_close()
      client:window()
      server:turn()
      assert.equal("not read", (res:body()))
      assert.equal("closed", state(res))
    end)

    it("during a stream: it ends at once and its task is cancelled", function()
      local res = server:get "/ticks"
      server:advance(2.5)
      assert.equal(3, #res:events())
      server:log()
      res:half_close()
      assert.equal("closed", state(res))
      assert.equal(0, server:stats().tasks)
      assert.equal(0, server:stats().streams)
      local log = server:log()
      assert.matches("producer let go", log)
      assert.matches("on_close client_closed", log)
      assert.matches("close .*reason=client_closed", log)
    end)

    it("before a stream opens: it ends as it opens", function()
      local res = server:get "/late"
      res:half_close()
      server:advance(1)
      assert.equal(200, res:status())
      assert.equal("closed", state(res))
      assert.equal(0, server:stats().tasks)
    end)

    it("during a stream without a producer", function()
      local res = server:get "/never"
      res:half_close()
      assert.equal("closed", state(res))
      assert.equal(0, server:stats().streams)
    end)
  end)

  it("keeps little in the kernel for an event stream, and leaves it to that for all else", function()
    server:close()
    serve { settings = { limits = { send_buffer = 12345 } } }
    assert.equal(0, server:get("/").client:bound())
    for _, target in ipairs { "/ticks", "/never", "/once" } do assert.equal(12345, server:get(target).client:bound()) end
    assert.equal(0, server:head("/never").client:bound())
  end)

  it("that is refused and takes that late is told so although it ends its side meanwhile", function()
    local client = server:connect()
    client:window(0)
    local res = server:send("nonsense\r\n\r\n", client)
    client:finish()
    server:turn()
    assert.equal("open", client:state())
    client:window(10)
    server:turn()
    assert.equal("open", client:state())
    client:window()
    server:turn()
    assert.equal(400, res:status())
    assert.equal("closed", client:state())
  end)

  it("that is refused and takes nothing is closed after two seconds", function()
    local client = server:connect()
    client:window(0)
    server:send("nonsense\r\n\r\n", client)
    server:advance(1.9)
    assert.equal("open", client:state())
    server:advance(0.2)
    assert.equal("closed", client:state())
  end)

  it("that is refused and cannot be told is closed at once", function()
    local client = server:connect()
    client:fail("send", false)
    server:send("nonsense\r\n\r\n", client)
    assert.equal("closed", client:state())
    assert.equal(0, server:stats().connections)
  end)

  it("that is refused is not read from any more, and lasts two seconds where the client does not end its side", function()
    local res = server:send "nonsense\r\n\r\n"
    assert.same({ 400 }, statuses(res))
    assert.equal("ended", res.client:state())
    server:send(GET, res.client)
    server:advance(1.9)
    assert.same({ 400 }, statuses(res))
    assert.equal(1, server:stats().connections)
    server:advance(0.2)
    assert.equal(0, server:stats().connections)
  end)

  it("gets all of hundreds of events that come in one turn", function()
    local res = server:get "/hundreds"
    assert.equal(1000, #res:data())
    assert.is_true(res:has_ended())
  end)

  it("does not take a body for the beginning of HTTP/2", function()
    local body = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    local res = server:send(post("/", "Content-Length: " .. #body .. "\r\n"))
    server:send(body, res.client)
    assert.matches("\r\n\r\ngot PRI %* HTTP/2%.0\r\n\r\nSM\r\n\r\n$", res:raw())
    server:send(GET, res.client)
    assert.same({ 200, 200 }, statuses(res))
  end)

  describe("reset", function()
    local dialogue = GET .. post("/", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") .. get "/slow/1" ..
      post("/", "Content-Length: 3\r\nExpect: 100-continue\r\n", "abc") .. get "/ticks" .. "\r\n"

    it("after any byte of a dialogue", function()
      for len = 0, #dialogue do
        local res = server:send(dialogue:sub(1, len))
        server:advance(len % 3 == 0 and 2 or 0)
        res.client:reset()
        server:turn()
        assert.equal("closed", state(res))
      end
      assert.equal(0, server:stats().tasks)
      assert.equal(0, server:stats().connections)
    end)

    it("while the client reads any number of bytes and no more", function()
      for window = 0, 900, 7 do
        local client = server:connect()
        client:window(window)
        local res = server:send(dialogue, client)
        server:advance(3)
        client:reset()
        server:turn()
        assert.equal("closed", state(res))
      end
      assert.equal(0, server:stats().tasks)
      assert.equal(0, server:stats().connections)
    end)

    it("during a plain request cancels its task at once", function()
      local res = server:send(get "/slow/100")
      server:log()
      res.client:reset()
      server:turn()
      assert.equal(0, server:stats().tasks)
      assert.matches("slow let go", server:log())
    end)

    it("found by nothing but a write ends the connection at once", function()
      local res = server:get "/ticks"
      server:log()
      res.client:fail("send", false)
      server:advance(1)
      assert.equal("closed", res.client:state())
      assert.same({ 0, 0, 0 }, { server:stats().connections, server:stats().streams, server:stats().tasks })
      assert.matches("on_close client_closed", server:log())
    end)

    it("found by a write cancels the task at once", function()
      local res = server:get "/ticks"
      res.client:window(0)
      server:advance(3)
      server:log()
      res.client:reset()
      server:turn()
      assert.equal(0, server:stats().tasks)
      assert.matches("producer let go", server:log())
    end)
  end)

  describe("bytes under an open stream", function()
    it("line ends are ignored", function()
      local res = server:get "/ticks"
      for _, bytes in ipairs { "\r\n", "\n", "\r", "\r\n\r\n\r\n", ("\r\n"):rep(40000) } do
        server:send(bytes, res.client)
        server:advance(1)
      end
      assert.equal("open", state(res))
      assert.equal(6, #res:events())
      res:close()
      assert.equal(0, server:stats().tasks)
    end)

    it("anything else is the next request, and waits", function()
      for _, bytes in ipairs { "x", "\0", " ", "\r\nG", GET, ("\r\n"):rep(20000) .. GET } do
        for _, late in ipairs { false, true } do
          local res = late and server:send(get "/late" .. bytes) or server:get "/ticks"
          if not late then server:send(bytes, res.client) end
          server:advance(2)
          assert.same({ 200 }, statuses(res))
          assert.equal("open", state(res))
          res:close()
          assert.equal("closed", state(res))
          assert.equal(0, server:stats().tasks)
          assert.matches("reason=client_closed", server:log())
        end
      end
    end)

    it("line ends that came with the request do not hide the client's end", function()
      local res = server:send(get "/late" .. ("\r\n"):rep(20000))
      server:advance(2)
      assert.equal("open", state(res))
      assert.equal(2, #res:events())
      res:close()
      assert.equal("closed", state(res))
      assert.equal(0, server:stats().tasks)
    end)

    it("the rest of a request body is taken, what follows it waits", function()
      local res = server:send(post("/open", "Content-Length: 5\r\n", "he"))
      assert.same({ "open" }, res:data())
      server:send("llo", res.client)
      assert.equal("open", state(res))
      server:send("\r\n", res.client)
      assert.equal("open", state(res))
      res:close()
      res = server:send(post("/open", "Content-Length: 5\r\n", "he"))
      server:send("llo" .. GET, res.client)
      server:advance(100)
      assert.same({ 200 }, statuses(res))
      res:close()
      assert.equal("closed", state(res))
      assert.equal(0, server:stats().tasks)
    end)

    it("a body that is no chunked body closes", function()
      local res = server:send(post("/open", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"))
      assert.same({ "open" }, res:data())
      server:send("junk\r\n", res.client)
      assert.equal("closed", state(res))
      assert.equal(0, server:stats().tasks)
    end)
  end)

  describe("request bodies", function()
    it("that nobody reads are passed over where they are whole", function()
      local res = server:send(post("/unread", "Content-Length: 5\r\n", "hello") .. GET)
      assert.same({ 200, 200 }, statuses(res))
      assert.equal("open", state(res))
    end)

    it("that nobody reads end the connection where they are still on their way", function()
      local res = server:send(post("/unread", "Content-Length: 500000\r\n", "he"))
      assert.equal("not read", (res:body()))
      assert.equal("close", res:header "Connection")
      server:send(("x"):rep(400000), res.client)
      assert.equal("ended", state(res))
      server:advance(2.1)
      assert.equal("closed", state(res))
      assert.same({ 200 }, statuses(res))
    end)

    it("are read and dropped behind an answer that has no body, whatever was to follow", function()
      for _, target in ipairs { "/nothing/events", "/nothing/bytes" } do
        local client = server:connect()
        client:window(0)
        local res = server:send(post(target, "Content-Length: 300000\r\n", ("x"):rep(10)), client)
        client:send(("x"):rep(299990))
        server:turn()
        assert.is_true(client:unread() > 200000) -- a window waits to be asked for
        server:advance(1)
        assert.equal(0, client:unread())
        client:window()
        server:turn()
        assert.same({ 204 }, statuses(res))
        assert.equal("ended", state(res))
      end
    end)

    it("a connection that said close is not used again, although the body came before the answer was taken", function()
      local client = server:connect()
      client:window(0)
      local res = server:send(post("/unread", "Content-Length: 5\r\n", "he"), client)
      server:send("llo" .. GET, client)
      client:window()
      server:turn()
      assert.equal("close", res:header "Connection")
      assert.same({ 200 }, statuses(res))
      assert.is_true(has_ended(res))
    end)

    it("of GET are taken too", function()
      local res = server:send(get("/slow/1", "Content-Length: 3\r\n") .. "abc" .. GET)
      server:advance(1)
      assert.same({ 200, 200 }, statuses(res))
    end)

    it("above the limit by Content-Length: 413 as soon as the handler asks", function()
      local res = server:send(post("/", "Content-Length: 1048577\r\n", "x"))
      assert.equal(413, res:status())
      assert.equal("close", res:header "Connection")
      assert.is_true(has_ended(res))
      assert.equal(0, server:stats().tasks)
      assert.equal(1, server:stats().refused_total)
      assert.equal(1, #access_lines())
    end)

    it("above the limit by chunks, while the handler waits for it", function()
      local res = server:send(post("/", "Transfer-Encoding: chunked\r\n", "80000\r\n"))
      server:send(("x"):rep(0x80000) .. "\r\n", res.client)
      assert.equal("", res:raw())
      assert.equal(1, server:stats().tasks)
      server:log()
      server:send("80001\r\n", res.client)
      assert.same({ 413 }, statuses(res))
      assert.equal("close", res:header "Connection")
      assert.is_true(has_ended(res))
      assert.equal(0, server:stats().tasks)
      server:send(("x"):rep(0x80001) .. "\r\n0\r\n\r\n", res.client)
      assert.same({ 413 }, statuses(res))
      local log = server:log()
      assert.matches("handler ends", log)
      assert.equal(1, select(2, log:gsub("method=POST", "")))
      assert.equal(2, select(2, log:gsub("\n", "\n")))
      assert.matches("status=413", log)
    end)

    it("that are malformed, while the handler waits: one 400", function()
      local res = server:send(post("/", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"))
      server:send("junk", res.client)
      assert.same({ 400 }, statuses(res))
      assert.is_true(has_ended(res))
      assert.equal(0, server:stats().tasks)
      assert.equal(1, #access_lines())
    end)

    it("that turn out malformed once the answer is under way do not spoil it", function()
      local client = server:connect()
      client:window(5)
      local res = server:send(post("/unread", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"), client)
      server:send("junk", client)
      client:window()
      server:turn()
      assert.same({ 200 }, statuses(res))
      assert.equal("not read", (res:body()))
      assert.is_true(has_ended(res))
    end)
  end)

  describe("Expect: 100-continue", function()
    local CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
    local expecting = "Content-Length: 5\r\nExpect: 100-continue\r\n"

    it("is granted when the handler asks for the body", function()
      local res = server:send(post("/", expecting))
      assert.equal(CONTINUE, res:raw())
      server:send("hello", res.client)
      assert.matches("^HTTP/1.1 200 OK\r\n.*got hello$", res:raw():sub(#CONTINUE + 1))
      assert.equal("open", state(res))
    end)

    it("is not granted where the handler does not ask", function()
      local res = server:send(post("/unread", expecting))
      assert.equal(200, res:status())
      assert.equal("close", res:header "Connection")
      assert.is_true(has_ended(res))
    end)

    it("is not granted where the body has begun to come", function()
      local res = server:send(post("/", expecting, "he"))
      server:send("llo", res.client)
      assert.same({ 200 }, statuses(res))
      assert.equal("got hello", (res:body()))
    end)

    it("the time for the body counts from there", function()
      local res = server:send(post("/hesitant", expecting))
      server:advance(19)
      assert.equal("", res:raw())
      server:advance(1)
      assert.equal(CONTINUE, res:raw())
      server:advance(9)
      server:send("hello", res.client)
      assert.matches("got hello$", res:raw())
    end)

    it("a client that is told to go on has the usual time", function()
      local res = server:send(post("/hesitant", expecting))
      server:advance(29)
      assert.equal(CONTINUE, res:raw())
      server:advance(1)
      assert.same({ 100, 408 }, statuses(res))
    end)
  end)

  describe("HEAD", function()
    it("of a stream: its head, no producer, and the connection goes on", function()
      local res = server:head "/ticks"
      assert.equal(200, res:status())
      assert.equal("text/event-stream", res:header "Content-Type")
      assert.matches("\r\n\r\n$", res:raw())
      assert.equal("", res:raw():match "\r\n\r\n(.*)$")
      assert.equal(0, server:stats().tasks)
      assert.equal(0, server:stats().streams)
      assert.is_nil(server:log():find("producer let go", 1, true))
      server:send(GET, res.client)
      assert.same({ 200, 200 }, statuses(res))
    end)

    it("of a plain page: its length, no body", function()
      local res = server:head "/"
      assert.equal("4", res:header "Content-Length")
      assert.equal("", res:raw():match "\r\n\r\n(.*)$")
    end)

    it("of what is missing", function()
      local res = server:head "/nowhere"
      assert.equal(404, res:status())
      assert.equal("", res:raw():match "\r\n\r\n(.*)$")
    end)
  end)

  describe("streams of HTTP/1.0", function()
    it("are not chunked and end with the connection", function()
      local res = server:get("/once", { version = "1.0", headers = { Connection = "keep-alive" } })
      assert.is_nil(res:header "Transfer-Encoding")
      assert.is_nil(res:header "Connection")
      assert.matches("\r\n\r\ndata: only\n\n$", res:raw())
      assert.is_true(has_ended(res))
    end)

    it("that fail are reset, since no last chunk could be missing", function()
      local res = server:get("/fails", { version = "1.0" })
      assert.matches("data: one\n\n$", res:raw())
      assert.equal("reset", state(res))
    end)
  end)

  it("a stream that fails is cut without its last chunk", function()
    local res = server:get "/fails"
    assert.same({ "one" }, res:data())
    assert.is_false(res:has_ended())
    assert.is_not.equal("open", state(res))
  end)
end)

describe("timeouts", function()
  before_each(function() serve() end)
  after_each(function() server:close() end)

  it("a connection that says nothing is closed after 10 s without a reply", function()
    local res = server:send ""
    server:advance(9.9)
    assert.equal("open", state(res))
    server:advance(0.2)
    assert.equal("closed", state(res))
    assert.equal("", res:raw())
  end)

  it("empty lines are as good as nothing", function()
    for _, step in ipairs { 4, 8 } do
      local res = server:connect()
      server:advance(step)
      server:send("\r", res)
      server:advance(1)
      server:send("\n", res)
      server:advance(9.5 - step)
      assert.equal("closed", res:state())
      assert.equal("", res:take())
    end
  end)

  it("a head has 10 s from its first byte, whatever trickles in", function()
    local res = server:send ""
    server:advance(9)
    server:send("GET /", res.client)
    for _ = 1, 19 do
      server:advance(0.5)
      server:send("x", res.client)
    end
    assert.equal("", res:raw())
    server:advance(0.6)
    assert.equal(408, res:status())
    assert.equal("close", res:header "Connection")
    assert.is_true(has_ended(res))
    assert.equal(1, #access_lines())
    server:advance(2.1)
    assert.equal("closed", state(res))
  end)

  it("so has the head of a later request", function()
    local res = server:send(GET)
    server:advance(14)
    server:send("G", res.client)
    server:advance(9.9)
    assert.same({ 200 }, statuses(res))
    server:advance(0.2)
    assert.same({ 200, 408 }, statuses(res))
  end)

  it("and the head of one that came with the request before", function()
    local res = server:send(get "/slow/100" .. "GET / HT")
    server:advance(109.9)
    assert.same({ 200 }, statuses(res))
    server:advance(0.2)
    assert.same({ 200, 408 }, statuses(res))
  end)

  it("an idle connection is closed after 15 s, without a word", function()
    local res = server:send(GET)
    server:advance(14.9)
    server:send(GET, res.client)
    server:advance(14.9)
    assert.equal("open", state(res))
    server:advance(0.2)
    assert.equal("closed", state(res))
    assert.same({ 200, 200 }, statuses(res))
  end)

  it("a handler may take its time", function()
    local res = server:send(get "/slow/1000")
    server:advance(1000)
    assert.equal(200, res:status())
    server:advance(14.9)
    assert.equal("open", state(res))
    server:advance(0.2)
    assert.equal("closed", state(res))
  end)

  it("a stream lives on", function()
    local res = server:get "/never"
    server:advance(86400)
    assert.equal("open", state(res))
  end)

  it("a body has 10 s between two reads: 408, and the handler is cancelled", function()
    local res = server:send(post("/", "Content-Length: 9\r\n", "a"))
    server:advance(9.9)
    server:send("b", res.client)
    server:advance(9.9)
    assert.equal("", res:raw())
    assert.equal(1, server:stats().tasks)
    server:advance(0.2)
    assert.same({ 408 }, statuses(res))
    assert.equal(0, server:stats().tasks)
    assert.equal(1, #access_lines())
    assert.is_true(has_ended(res))
  end)

  it("a body that never comes is not waited for", function()
    local res = server:send(post("/", "Content-Length: 9\r\n"))
    server:advance(10.1)
    assert.same({ 408 }, statuses(res))
  end)

  it("a body has 60 s in all", function()
    local res = server:send(post("/", "Content-Length: 99\r\n", "a"))
    for _ = 1, 59 do
      server:advance(1)
      server:send("a", res.client)
    end
    assert.equal("", res:raw())
    server:advance(1.1)
    assert.same({ 408 }, statuses(res))
  end)

  it("a body that nobody waits for any more may stay away", function()
    local res = server:send(post("/open", "Content-Length: 9\r\n", "a"))
    server:advance(100)
    assert.equal("open", state(res))
    res:close()
    assert.equal(0, server:stats().tasks)
  end)

  it("a client that does not end its side is not waited for beyond 2 s", function()
    local res = server:get("/", { headers = { Connection = "close" } })
    for _ = 1, 19 do
      server:advance(0.1)
      server:send("more", res.client)
    end
    assert.equal("ended", state(res))
    server:advance(0.2)
    assert.equal("closed", state(res))
  end)

  it("are settings", function()
    server:close()
    serve { settings = { timeouts = { head = 1, idle = 2, body = 3, body_total = 5 } } }
    local silent, idle, head = server:send "", server:send(GET), server:send "GET"
    local body = server:send(post("/", "Content-Length: 9\r\n", "a"))
    server:advance(1.1)
    assert.equal("closed", state(silent))
    assert.equal(408, head:status())
    server:advance(1)
    assert.equal("closed", state(idle))
    assert.equal("", body:raw())
    server:advance(1)
    assert.equal(408, body:status())
  end)
end)
