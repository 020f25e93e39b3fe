-- SPDX-License-Identifier: MIT
-- HTTP/2 (RFC 9113): many streams on one connection, each with its window, its backpressure and its end.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local APP = [[
ch = sse.channel("news", { queue = 8, history = 100 })
local gone = {}
app:get("/sub/:n", function(req)
  req:on_close(function(reason) gone[#gone + 1] = req.params.n .. ":" .. reason end)
  return sse.reply(ch:subscribe())
end)
app:get("/count/:n", function(req)
  return sse.reply(function(send)
    for i = 1, tonumber(req.params.n) do send(("%d "):format(i) .. ("x"):rep(100)) end
  end)
end)
app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return n end)) end)
app:get("/fails", function() return sse.reply(function(send) send "a" error "broken" end) end)
app:get("/text", function() return "hello" end)
app:get("/told/:kind", function(req)
  local kind = req.params.kind
  req:on_close(function(reason) gone[#gone + 1] = kind .. ":" .. reason end)
  if kind == "text" then return ("x"):rep(50000) end
  return kind == "events" and sse.reply { "a", "b" } or reply.stream(function(write) write "a" sse.sleep(1) write "b" end)
end)
app:get("/who", function() return (spate.streams()) end)
app:get("/empty", function() return reply.status(204) end)
app:get("/head", function(req) return reply.json { host = req.host, a = req:header_all "x-a", cookies = req.headers.cookie, q = req.query.q } end)
app:get("/file", function() return reply.file(FILE) end)
app:get("/gone", function() return table.concat(gone, " ") end)
app:post("/pub", function(req) for i = 1, 5 do ch:publish(req:body() .. i) end return "" end)
]]

describe("HTTP/2", function()
  local server, client
  local FILE = os.tmpname()

  local function serve(settings, announced)
    server = helper.serve(APP:gsub("FILE", ("%q"):format(FILE)), { settings = settings })
    client = http2.connect(server, announced)
  end

  local function publish(text) server:post("/pub", { body = text }) end

  after_each(function()
    server:close()
    os.remove(FILE)
  end)

  it("begins with the preface on a plain connection, in any pieces", function()
    serve()
    client:get(1, "/text")
    local hello = client:stream(1)
    assert.same({ 200, "hello", true }, { hello.status, hello.body, hello["end"] })
    assert.equal("5", hello.headers["content-length"])
    assert.is_truthy(hello.headers.date)
    assert.is_true(client.has_ack)
    local slow = http2.connect(server, nil, { silent = true })
    local bytes = frames.PREFACE .. frames.frame("SETTINGS", 0, 0) .. slow.request(1, "GET", "/text")
    for i = 1, #bytes do slow:send(bytes:sub(i, i)) end
    assert.equal("hello", slow:stream(1).body)
  end)

  it("is told from HTTP/1 by its first bytes", function()
    serve()
    local res = server:send "PRI * HTTP/1.1\r\nHost: a\r\n\r\n"
    assert.is_truthy(res:status())
    assert.equal("hello", (server:get("/text"):body()))
    local half = server:connect()
    half:send "PRI * HTTP/2.0\r\n\r\nS"
    server:turn()
    assert.equal("", half:take())
    server:advance(11)
    assert.not_equal("open", half:state())
  end)

  it("is not begun on a connection that has spoken HTTP/1", function()
    serve()
    local res = server:get "/text"
    local bytes = #res:raw()
    server:send(frames.PREFACE .. frames.frame("SETTINGS", 0, 0), res.client)
    assert.matches("^HTTP/1.1 505", res:raw():sub(bytes + 1))
  end)

  it("that has come to its end by what is wrong ends its streams at once", function()
    serve()
    client:get(1, "/ticks"):get(3, "/ticks")
    assert.equal(2, server:stats().streams)
    client:frame("DATA", 0, 0, "")
    assert.is_truthy(client:read().goaway)
    assert.equal(0, server:stats().streams)
  end)

  it("that has come to its end by what is wrong lasts two seconds where its client does not end its side", function()
    serve()
    client:get(1, "/ticks")
    client:frame("DATA", 0, 0, "")
    assert.is_truthy(client:read().goaway)
    assert.equal("ended", client:state())
    assert.equal(1, server:stats().connections)
    server:advance(2.1)
    assert.equal(0, server:stats().connections)
  end)

  it("is over once where what it is told last cannot be sent", function()
    serve { timeouts = { head = 5 } }
    client:get(1, "/ticks")
    local other = http2.connect(server, nil, { silent = true })
    other:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0)) -- ours are not acknowledged
    server.core:drain()
    for _, each in ipairs { client, other } do each.raw:fail("send", false) end
    client:frame("DATA", 0, 0, "")
    assert.equal(1, server:stats().connections)
    server:advance(6)
    assert.equal(0, server:stats().connections)
    assert.same({ "closed", "closed" }, { client:state(), other:state() })
  end)

  it("is not spoken where it is switched off", function()
    serve { http2 = false }
    client:read()
    assert.is_nil(client.settings)
    server:advance(3)
    assert.not_equal("open", client:state())
    assert.equal("hello", (server:get("/text"):body()))
    assert.is_truthy(server:log():find('refused remote=127.0.0.1 status=505 why="HTTP/2 is switched off"', 1, true), server:log())
    assert.equal("unknown HTTP version\n", (server:send("GET / HTTP/2.0\r\n\r\n"):body()))
  end)

  it("announces its limits", function()
    serve { http2 = { streams = 33, window = 20000 }, limits = { head = 4000 } }
    client:read()
    assert.same({ [3] = 33, [4] = 20000, [6] = 4000, [9] = 1 }, client.settings)
  end)

  it("answers each request on its own stream, a short answer in two frames", function()
    serve()
    client:send(client.request(1, "GET", "/text"), client.request(3, "GET", "/count/3"), client.request(5, "GET", "/nowhere"),
      client.request(7, "GET", "/empty"), client.request(9, "HEAD", "/text"))
    assert.equal("hello", client:stream(1).body)
    assert.equal(1, client:stream(1).frames)
    assert.equal(3, #client:data(3))
    assert.is_true(client:stream(3)["end"])
    assert.equal("text/event-stream", client:stream(3).headers["content-type"])
    assert.is_nil(client:stream(3).headers["transfer-encoding"])
    assert.equal(404, client:stream(5).status)
    local empty, head = client:stream(7), client:stream(9)
    assert.same({ 204, true, 0 }, { empty.status, empty["end"], empty.frames })
    assert.same({ 200, true, 0, "5" }, { head.status, head["end"], head.frames, head.headers["content-length"] })
    assert.equal("open", client:state())
  end)

  it("hands fields up as HTTP/1 does: Host of :authority, cookies as one", function()
    serve()
    client:get(1, "/head?q=a%20b", { { "x-a", "1" }, { "x-a", "2" }, { "cookie", "a=1" }, { "cookie", "b=2" } })
    local got = helper.json.decode(client:stream(1).body)
    assert.same({ host = "spec", a = { "1", "2" }, cookies = "a=1; b=2", q = "a b" }, got)
  end)

  it("sends a file between the frames of others", function()
    local content = ("0123456789abcdef\n"):rep(20000)
    do
      local f <close> = assert(io.open(FILE, "w"))
      f:write(content)
    end
    serve(nil, { [4] = 1000000 })
    client:window(0, 1000000)
    client:get(1, "/sub/1"):get(3, "/file")
    publish "n"
    assert.equal(#content, #client:stream(3).body)
    assert.is_true(content == client:stream(3).body)
    assert.equal(5, #client:data(1))
  end)

  it("writes what a turn has for its streams at once", function()
    serve()
    for i = 1, 50 do client:get(2 * i - 1, "/sub/" .. i) end
    local before = client.raw:writes()
    publish "n"
    assert.is_true(client.raw:writes() - before <= 2)
    for i = 1, 50 do assert.equal(5, #client:data(2 * i - 1)) end
  end)

  it("ends one that falls behind, and its siblings do not notice", function()
    serve(nil, { [4] = 0 })
    for i = 1, 9, 2 do client:get(i, "/sub/" .. i) end
    for i = 1, 9, 2 do
      if i ~= 5 then client:window(i, 60000) end
    end
    for round = 1, 3 do publish("r" .. round .. "-") end
    assert.equal(8, client:stream(5).reset)
    for i = 1, 9, 2 do
      if i ~= 5 then assert.same({ 15 }, { #client:data(i), client:stream(i).reset }) end
    end
    assert.equal("open", client:state())
    assert.equal(1, server:stats().slow_total)
    assert.equal("5:slow_consumer", (server:get("/gone"):body()))
  end)

  it("holds the producer of a stream without window, and goes on with it when there is some", function()
    serve({ limits = { queue_high = 2000, queue_low = 500 } }, { [4] = 50 })
    client:get(1, "/count/200")
    client:send(client.request(3, "GET", "/count/200"), frames.frame("WINDOW_UPDATE", 0, 3, string.pack(">I4", 40000)))
    assert.equal(200, #client:data(3))
    assert.equal(50, #client:stream(1).body)
    client:window(1, 300)
    assert.equal(350, #client:stream(1).body)
    client:window(1, 40000)
    client:window(0, 100000)
    assert.equal(200, #client:data(1))
    assert.is_true(client:stream(1)["end"])
  end)

  it("ends one whose client takes nothing for timeouts.send, and no other", function()
    serve({ timeouts = { send = 5 } }, { [4] = 100 })
    client:get(1, "/count/2000"):get(3, "/sub/3")
    client:window(3, 60000)
    publish "a"
    server:advance(4)
    publish "b"
    server:advance(2)
    assert.equal(8, client:stream(1).reset)
    assert.equal(10, #client:data(3))
    assert.equal(100, #client:stream(1).body)
  end)

  it("ends the one that keeps the window of the whole connection, and the others go on", function()
    serve({ timeouts = { send = 5 } }, { [4] = 60000 })
    client:get(1, "/sub/1"):get(3, "/count/2000"):get(5, "/count/20")
    assert.equal(60000, #client:stream(3).body)
    publish "a" -- uses up the rest of 65535
    publish(("b"):rep(1000))
    client:get(7, "/text")
    assert.same({ 200, "" }, { client:stream(7).status, client:stream(7).body })
    server:advance(6)
    assert.equal(8, client:stream(3).reset)
    client:window(0, 60000) -- as a browser gives back what a stream that has ended had of it
    assert.equal("hello", client:stream(7).body)
    assert.equal(10, #client:data(1))
    assert.equal(20, #client:data(5))
    server:advance(20)
    assert.is_nil(client:stream(1).reset)
    assert.equal(1, server:stats().slow_total)
  end)

  it("ends the others too where their client gives nothing back for as long again", function()
    serve({ timeouts = { send = 5 } }, { [4] = 60000 })
    client:get(1, "/sub/1"):get(3, "/count/2000"):get(5, "/count/20")
    for _ = 1, 2 do publish(("b"):rep(1000)) end
    server:advance(5.1)
    assert.same({ 8, nil }, { client:stream(3).reset, client:stream(1).reset })
    server:advance(4.8)
    assert.same({ 1, 1 }, { server:stats().streams, server:stats().slow_total })
    server:advance(0.3)
    assert.same({ 0, 2 }, { server:stats().streams, server:stats().slow_total })
    assert.equal(8, client:stream(1).reset)
  end)

  it("cuts one that fails so that its client can tell, and no other", function()
    serve()
    client:get(1, "/sub/1"):get(3, "/fails")
    publish "n"
    assert.equal(2, client:stream(3).reset)
    assert.is_nil(client:stream(3)["end"])
    assert.same({ "a" }, client:data(3))
    assert.equal(5, #client:data(1))
  end)

  it("is what its streams are listed as", function()
    serve()
    client:get(1, "/sub/1")
    local list = server:get("/who"):json()
    assert.same({ 1, "2", "/sub/1" }, { #list, list[1].http, list[1].target })
  end)

  it("lets a client give up one of them", function()
    serve()
    client:get(1, "/sub/1"):get(3, "/sub/3")
    client:reset(1)
    publish "n"
    assert.same({}, client:data(1))
    assert.equal(5, #client:data(3))
    assert.equal("1:client_closed", (server:get("/gone"):body()))
  end)

  it("tells each that has ended how: that it is finished, unless its client has left", function()
    serve()
    client:send(client.request(1, "GET", "/told/text"), client.request(3, "GET", "/told/events"), client.request(5, "GET", "/told/stream"), client.request(7, "GET", "/told/left"))
    client:reset(7)
    server:advance(2)
    for id = 1, 5, 2 do assert.is_true(client:stream(id)["end"]) end
    local gone = {}
    for one in (server:get("/gone"):body()):gmatch "%S+" do gone[#gone + 1] = one end
    table.sort(gone)
    assert.same({ "events:finished", "left:client_closed", "stream:finished", "text:finished" }, gone)
    assert.equal(0, server:stats().streams)
  end)

  it("ends them all with the connection", function()
    serve(nil, { [4] = 10 })
    client:get(1, "/sub/1"):get(3, "/sub/3"):get(5, "/count/100000")
    client.raw:reset()
    server:turn()
    assert.equal("1:client_closed 3:client_closed", (server:get("/gone"):body()))
    assert.equal(0, server:stats().streams)
  end)

  it("carries the same where few bytes leave at a time, and late", function()
    serve()
    client.raw:late():step(11)
    client:get(1, "/count/20"):get(3, "/sub/3"):get(5, "/text")
    publish "n"
    for _ = 1, 100 do server:turn() end
    assert.equal(20, #client:data(1))
    assert.equal(5, #client:data(3))
    assert.equal("hello", client:stream(5).body)
  end)

  it("answers a PING before what streams have", function()
    serve(nil, { [4] = 1000000 })
    client:window(0, 1000000)
    client.raw:step(1000):late()
    client:send(client.request(1, "GET", "/count/2000"), frames.frame("PING", 0, 0, "12345678"))
    client:read()
    assert.same({ "12345678" }, client.pings)
    client.raw:window(0)
    client.raw:window(nil)
    server:turn()
    assert.equal("open", client:state())
  end)

  it("ends each stream when the server stops, serves what comes meanwhile, and says which was the last", function()
    serve { shutdown = { window = 1 } }
    client:get(1, "/sub/1"):get(3, "/sub/3"):get(5, "/text")
    server.core:drain()
    client:read()
    assert.same({ 0x7fffffff, 0 }, { client.goaway.last, client.goaway.code })
    client:get(7, "/text")
    assert.equal("hello", client:stream(7).body)
    server:advance(2)
    for _, id in ipairs { 1, 3 } do
      assert.is_true(client:stream(id)["end"])
      assert.is_truthy(client:stream(id).body:find("retry: ", 1, true))
    end
    assert.same({ 7, 0 }, { client.goaway.last, client.goaway.code })
    server:advance(5)
    assert.not_equal("open", client:state())
  end)

  it("is ended when it has carried nothing for timeouts.idle", function()
    serve { timeouts = { idle = 5 } }
    client:get(1, "/sub/1")
    server:advance(60)
    assert.equal("open", client:state())
    client:reset(1)
    client:get(3, "/text")
    server:advance(4)
    assert.is_nil(client:read().goaway)
    server:advance(2.5)
    assert.same({ 3, 0 }, { client:read().goaway.last, client.goaway.code })
    server:advance(2)
    assert.not_equal("open", client:state())
  end)

  it("is ended after http2.requests", function()
    serve { http2 = { requests = 3 } }
    client:get(1, "/text"):get(3, "/text")
    assert.is_nil(client:read().goaway)
    client:get(5, "/sub/5")
    assert.equal(0x7fffffff, client:read().goaway.last)
    server:advance(2)
    assert.equal(5, client:read().goaway.last)
    publish "n"
    assert.equal(5, #client:data(5))
    client:get(7, "/text")
    assert.is_nil(client:stream(7).status)
    client:reset(5)
    server:advance(3)
    assert.not_equal("open", client:state())
  end)
end)
