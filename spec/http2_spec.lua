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
app:get("/empty", function() return reply.status(204) end)
app:get("/head", function(req) return reply.json { host = req.host, a = req:header_all "x-a", cookies = req.headers.cookie, q = req.query.q } end)
app:get("/file", function() return reply.file(FILE) end)
app:get("/download", function() return ("x"):rep(100000) end)
app:get("/gone", function() return table.concat(gone, " ") end)
app:post("/pub", function(req) for i = 1, 5 do ch:publish(req:body() .. i) end return "" end)
app:post("/echo", function(req) return req:body() end)
app:post("/size", function(req) return tostring(#req:body(1000000)) end)
app:post("/pieces", function(req)
  local n = 0
  for piece in req:chunks() do n = n + #piece end
  return tostring(n)
end)
app:post("/unread", function(req) sse.sleep(5) return "late" end)
app:post("/hesitant", function(req) sse.sleep(5) return tostring(#req:body(1000000)) end)
app:post("/later", function(req) sse.sleep(5) return req:body() end)
app:post("/ignored", function(req) return "no" end)
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

  it("takes bodies, of a length that is said or not", function()
    serve()
    client:post(1, "/echo", "hallo")
    client:post(3, "/echo", "hallo", { { "content-length", "5" } })
    assert.equal("hallo", client:stream(1).body)
    assert.equal("hallo", client:stream(3).body)
    client:send(client.request(5, "POST", "/pieces", nil, { open = true }), frames.frame("DATA", 0, 5, ("x"):rep(16000)))
    client:send(frames.frame("DATA", frames.END_STREAM, 5, ("x"):rep(9000)))
    assert.equal("25000", client:stream(5).body)
    client:post(7, "/echo", "hal", { { "content-length", "5" } }) -- too few bytes
    assert.equal(1, client:stream(7).reset)
    client:post(9, "/echo", "hallohallo", { { "content-length", "5" } }) -- too many
    assert.equal(1, client:stream(9).reset)
    assert.equal("open", client:state())
  end)

  it("opens the windows of body and connection as it is read", function()
    serve { http2 = { connection_window = 300000 } }
    client:send(client.request(1, "POST", "/unread", nil, { open = true }))
    for _ = 1, 3 do client:frame("DATA", 0, 1, ("x"):rep(16384)) end
    client:read()
    local function updates(id)
      local n = 0
      for _, frame in ipairs(client.list) do
        if frame.kind == "WINDOW_UPDATE" and frame.id == id then n = n + string.unpack(">I4", frame.payload) end
      end
      return n
    end
    assert.equal(0, updates(1))
    client:send(client.request(3, "POST", "/size", nil, { open = true }))
    for _ = 1, 20 do client:frame("DATA", 0, 3, ("x"):rep(16384)) end
    client:frame("DATA", frames.END_STREAM, 3, "x")
    assert.equal(tostring(20 * 16384 + 1), client:stream(3).body)
    assert.is_true(updates(3) >= 16 * 16384)
    assert.is_true(updates(0) >= 300000 - 65535 + 16 * 16384)
    server:advance(6)
    assert.equal("late", client:stream(1).body)
    assert.equal(0, client:stream(1).reset) -- the rest is not wanted
  end)

  it("opens the window that is full by the time that its body is asked for", function()
    serve()
    client:send(client.request(1, "POST", "/hesitant", nil, { open = true }))
    for _ = 1, 3 do client:frame("DATA", 0, 1, ("x"):rep(16384)) end
    client:frame("DATA", 0, 1, ("x"):rep(16383))
    server:advance(4)
    local before = #client:read().list
    server:advance(2)
    local opened = 0
    for i = before + 1, #client:read().list do
      local frame = client.list[i]
      if frame.kind == "WINDOW_UPDATE" and frame.id == 1 then opened = opened + string.unpack(">I4", frame.payload) end
    end
    assert.equal(65535, opened)
    client:frame("DATA", frames.END_STREAM, 1, "x")
    assert.equal("65536", client:stream(1).body)
  end)

  it("bounds what a connection's streams have not read, and gives it back with the last of each", function()
    serve { http2 = { connection_window = 100000 } }
    for id = 1, 11, 2 do
      client:send(client.request(id, "POST", "/unread", nil, { open = true }))
      for _ = 1, 2 do client:frame("DATA", 0, id, ("x"):rep(8000)) end
    end
    client:read()
    local function window()
      local n = 65535 - 6 * 16000
      for _, frame in ipairs(client.list) do
        if frame.kind == "WINDOW_UPDATE" and frame.id == 0 then n = n + string.unpack(">I4", frame.payload) end
      end
      return n
    end
    assert.equal(4000, window())
    for id = 1, 7, 2 do client:reset(id) end
    client:read()
    assert.equal(68000, window())
    server:advance(6)
    client:read()
    for id = 13, 17, 2 do client:post(id, "/size", ("x"):rep(10000)) end
    assert.is_true(window() >= 50000, window())
    client:post(19, "/size", ("x"):rep(16000))
    assert.equal("16000", client:stream(19).body)
    assert.is_nil(client.goaway)
  end)

  it("opens the window of who reads in pieces with each of them", function()
    serve()
    client:send(client.request(1, "POST", "/pieces", nil, { open = true }))
    for _ = 1, 20 do client:frame("DATA", 0, 1, ("x"):rep(16384)) end
    client:frame("DATA", frames.END_STREAM, 1, "x")
    assert.equal(tostring(20 * 16384 + 1), client:stream(1).body)
  end)

  it("refuses a body that is too large, and no other", function()
    serve { limits = { body = 1000 } }
    client:get(1, "/ticks")
    client:send(client.request(3, "POST", "/echo", nil, { open = true }), frames.frame("DATA", 0, 3, ("x"):rep(900)))
    client:frame("DATA", 0, 3, ("x"):rep(900))
    assert.same({ 413, 0 }, { client:stream(3).status, client:stream(3).reset })
    client:send(client.request(5, "POST", "/echo", { { "content-length", "2000" } }, { open = true }))
    assert.equal(413, client:stream(5).status)
    server:advance(1)
    assert.same({ "1" }, client:data(1))
  end)

  it("takes a body that came before it was asked for, up to the limit", function()
    serve { limits = { body = 10 } }
    client:post(1, "/later", ("x"):rep(10)):post(3, "/later", ("x"):rep(11))
    server:advance(6)
    assert.same({ 200, ("x"):rep(10) }, { client:stream(1).status, client:stream(1).body })
    assert.equal(413, client:stream(3).status)
  end)

  it("answers 100 where the client waits for it", function()
    serve()
    client:send(client.request(1, "POST", "/echo", { { "expect", "100-continue" } }, { open = true }))
    assert.equal(100, client:stream(1).status)
    client:frame("DATA", frames.END_STREAM, 1, "hallo")
    assert.same({ 200, "hallo" }, { client:stream(1).status, client:stream(1).body })
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

  it("refuses a body that does not come in time, and no other", function()
    serve { timeouts = { body = 5, body_total = 12 } }
    client:get(1, "/ticks")
    client:send(client.request(3, "POST", "/echo", nil, { open = true }), client.request(5, "POST", "/echo", nil, { open = true }))
    for _ = 1, 3 do
      server:advance(4)
      client:frame("DATA", 0, 5, "x")
    end
    assert.same({ 408, 0 }, { client:stream(3).status, client:stream(3).reset }) -- after 5 s without a byte
    assert.same({ 408, 0 }, { client:stream(5).status, client:stream(5).reset }) -- after 12 s in all
    assert.equal(12, #client:data(1))
  end)

  it("has no time to keep for a body that its reader leaves in the window", function()
    serve { timeouts = { body = 2 } }
    client:send(client.request(1, "POST", "/unread", nil, { open = true }))
    for _ = 1, 3 do client:frame("DATA", 0, 1, ("x"):rep(16384)) end
    server:advance(6)
    assert.same({ 200, "late" }, { client:stream(1).status, client:stream(1).body })
  end)

  it("gives who reads in pieces time for each window", function()
    serve { timeouts = { body = 5, body_total = 12 } }
    client:send(client.request(1, "POST", "/pieces", nil, { open = true }))
    for _ = 1, 15 do
      server:advance(3)
      for _ = 1, 2 do client:frame("DATA", 0, 1, ("x"):rep(16000)) end
    end
    client:frame("DATA", frames.END_STREAM, 1, "x")
    assert.equal(tostring(15 * 32000 + 1), client:stream(1).body)
  end)

  it("has the time of a body that is asked for late begin then", function()
    serve { timeouts = { body = 3 } }
    client:send(client.request(1, "POST", "/later", { { "expect", "100-continue" } }, { open = true }))
    server:advance(7) -- it is asked for after 5
    client:frame("DATA", frames.END_STREAM, 1, "there")
    assert.same({ 200, "there" }, { client:stream(1).status, client:stream(1).body })
    client:send(client.request(3, "POST", "/later", { { "expect", "100-continue" } }, { open = true }))
    server:advance(7.9)
    assert.not_equal(408, client:stream(3).status)
    server:advance(0.2)
    assert.equal(408, client:stream(3).status)
  end)

  it("has a window be of 64 KiB, to the byte", function()
    for missing = 0, 1 do
      if missing == 1 then server:close() end
      serve { timeouts = { body = 5, body_total = 12 } }
      client:send(client.request(1, "POST", "/pieces", nil, { open = true }))
      for i = 1, 4 do
        server:advance(2.5)
        client:frame("DATA", 0, 1, ("x"):rep(16384 - (i == 4 and missing or 0)))
      end
      server:advance(2.5)
      if not client:stream(1).status then client:frame("DATA", frames.END_STREAM, 1, "x") end
      assert.equal(missing == 0 and 200 or 408, client:stream(1).status)
    end
  end)

  it("sends what is more urgent first, and by turns what is alike", function()
    serve(nil, { [4] = 1000000 })
    client:get(1, "/count/2000") -- has used up the connection's window
    client:get(3, "/count/2000"):get(5, "/count/2000", { { "priority", "u=1" } })
    local before = {}
    local function grown(id)
      local n = #client:stream(id).body
      local by = n - (before[id] or 0)
      before[id] = n
      return by
    end
    local function more(n)
      client:window(0, n)
      return { grown(1), grown(3), grown(5) }
    end
    assert.equal(65535, grown(1))
    assert.same({ 0, 0, 60000 }, more(60000))
    local function urgency(id, value) client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", id) .. value) end
    urgency(3, "u=0, i")
    assert.same({ 0, 40000, 0 }, more(40000))
    urgency(3, "u=3")
    urgency(5, "u=7")
    local by = more(64000)
    assert.equal(0, by[3])
    assert.is_true(math.abs(by[1] - by[2]) <= 16384)
  end)

  describe("of downloads that are asked for one after the other", function()
    local before

    local function serve_downloads(streams)
      before = {}
      serve(nil, { [4] = streams or 1000000 })
      client:get(1, "/count/20000") -- has used up the connection's window
      client:reset(1)
    end

    local function ask(path, ...)
      for i, priority in ipairs { ... } do client:get(2 * i + 1, path, priority ~= "" and { { "priority", priority } } or nil) end
    end

    local function more(n, count)
      client:window(0, n)
      local grown = {}
      for i = 1, count do
        local len = #client:stream(2 * i + 1).body
        grown[i] = len - (before[i] or 0)
        before[i] = len
      end
      return grown
    end

    it("sends each whole before the next, in the order that they were asked for", function()
      serve_downloads()
      ask("/download", "u=3", "u=3", "u=2", "u=3")
      assert.same({ 0, 0, 60000, 0 }, more(60000, 4))
      assert.same({ 20000, 0, 40000, 0 }, more(60000, 4))
      assert.same({ 80000, 20000, 0, 0 }, more(100000, 4))
      assert.same({ 0, 80000, 0, 20000 }, more(100000, 4))
      assert.same({ 0, 0, 0, 80000 }, more(100000, 4))
    end)

    it("does so with files too, of which it reads a part at a time", function()
      local f <close> = assert(io.open(FILE, "w"))
      f:write(("x"):rep(100000)):flush()
      serve_downloads()
      ask("/file", "u=3", "u=3")
      assert.same({ 60000, 0 }, more(60000, 2))
      assert.same({ 40000, 60000 }, more(100000, 2))
      assert.same({ 0, 40000 }, more(100000, 2))
    end)

    it("has those take turns that say so, or nothing, and one of the others with them", function()
      serve_downloads()
      ask("/download", "u=3", "u=3", "u=3, i", "", "i=?0")
      local grown = more(64000, 5)
      assert.same({ 0, 0 }, { grown[2], grown[5] })
      for _, i in ipairs { 1, 3, 4 } do assert.is_true(math.abs(grown[i] - 21333) < 16384, table.concat(grown, " ")) end
    end)

    it("has streams of events take turns, whatever they are asked for as, since they have no end", function()
      serve_downloads()
      ask("/count/20000", "u=3", "u=3")
      client:get(7, "/download", { { "priority", "u=3" } })
      local grown = more(60000, 3)
      for i = 1, 3 do assert.is_true(grown[i] >= 4000, table.concat(grown, " ")) end
    end)

    it("goes on with the next where the window of the one before is closed", function()
      serve_downloads(30000)
      ask("/download", "u=3", "u=3", "u=3")
      assert.same({ 30000, 30000, 30000 }, more(400000, 3))
      client:window(5, 10000)
      assert.same({ 0, 10000, 0 }, more(1, 3))
      client:window(7, 70000):window(5, 60000):window(3, 70000)
      assert.same({ 70000, 60000, 70000 }, more(1, 3))
      for id = 3, 7, 2 do assert.is_true(client:stream(id)["end"]) end
    end)

    it("goes on with the next where one is given up, or is to take turns from now on", function()
      serve_downloads()
      ask("/download", "u=3", "u=3", "u=3")
      assert.same({ 10000, 0, 0 }, more(10000, 3))
      client:reset(3)
      assert.same({ 0, 10000, 0 }, more(10000, 3))
      client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", 7) .. "u=3, i")
      local grown = more(60000, 3)
      assert.is_true(math.abs(grown[2] - grown[3]) <= 16384, table.concat(grown, " "))
      client:window(0, 200000)
      for id = 5, 7, 2 do assert.same({ 100000, true }, { #client:stream(id).body, client:stream(id)["end"] }) end
    end)
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

  it("lets a client give up one of them", function()
    serve()
    client:get(1, "/sub/1"):get(3, "/sub/3")
    client:reset(1)
    publish "n"
    assert.same({}, client:data(1))
    assert.equal(5, #client:data(3))
    assert.equal("1:client_closed", (server:get("/gone"):body()))
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
