-- SPDX-License-Identifier: MIT
-- Edges of HTTP/2 that nothing else comes near: priorities in all their forms, numbers as large as they may be, limits to
-- the last frame.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local APP = [[
app:get("/", function() return "hello" end)
app:get("/big", function() return ("x"):rep(200000) end)
app:get("/:len[%d]", function(req) return ("x"):rep(tonumber(req.params.len)) end)
app:get("/count/:n", function(req)
  return sse.reply(function(send)
    for i = 1, tonumber(req.params.n) do send(("%d "):format(i) .. ("x"):rep(100)) end
  end)
end)
app:get("/slow", function() sse.sleep(1) return "late" end)
app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return n end)) end)
app:post("/echo", function(req) return req:body() end)
app:get("/seen", function(req) return { req.host, req.path, req.query.q, req:header_all "x-a", req.headers.cookie or "none", req.headers["x-last"] or "none" } end)
]]

local server, client

local function serve(settings, announced, options)
  server = helper.serve(APP, { settings = settings })
  client = http2.connect(server, announced, options)
end

describe("a connection of HTTP/2", function()
  after_each(function() server:close() end)

  it("knows its streams by all of their bits", function()
    serve()
    for _, id in ipairs { 1, 0x101, 0x10101, 0x1010101, 0x7fffffff } do
      client:get(id, "/")
      assert.equal("hello", client:stream(id).body, id)
    end
    client:frame("DATA", 0, 0x1010101, "x")
    assert.equal(5, client:read().goaway.code)
    assert.equal(0x7fffffff, client.goaway.last)
  end)

  it("is told of a stream that is over by each of its numbers", function()
    for _, id in ipairs { 0x101, 0x10101, 0x1010101 } do
      serve()
      client:get(id, "/")
      client:frame("DATA", 0, id, "x")
      assert.equal(5, client:read().goaway.code, id)
      if id ~= 0x1010101 then server:close() end
    end
  end)

  it("ends with a frame of its own that is one: its length, no flags, no stream, the reason in words", function()
    serve()
    client:get(0x1020305, "/")
    client.raw:take()
    client:frame("PRIORITY", 0, 0, string.pack(">I4B", 5, 1))
    local bytes = client.raw:take()
    assert.equal(string.pack(">I3BBI4I4I4", #bytes - 9, 7, 0, 0, 0x1020305, 1) .. "PROTOCOL_ERROR", bytes)
  end)

  it("knows the last thirty-two streams that are over", function()
    for i, back in ipairs { 0, 31, 32 } do
      if i > 1 then server:close() end
      serve()
      for k = 0, 39 do client:get(2 * k + 1, "/") end
      client:frame("DATA", 0, 2 * (39 - back) + 1, "x")
      assert.equal(back < 32, client:read().goaway ~= nil, back)
    end
  end)

  it("takes as many frames that bring nothing as http2.frames says, and a tenth of that every second", function()
    serve { http2 = { frames = 50 } }
    local function ping(n) client:send(frames.frame("PING", 0, 0, "12345678"):rep(n)):read() end
    ping(48) -- beside two of SETTINGS
    assert.is_nil(client.goaway)
    server:advance(2)
    ping(10)
    assert.is_nil(client.goaway)
    server:advance(1)
    ping(6)
    assert.is_truthy(client.goaway)
  end)

  it("counts a new priority as one frame", function()
    serve { http2 = { frames = 50 } }
    local function tell(n) client:send(frames.frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", 1) .. "u=1"):rep(n)):read() end
    tell(48) -- beside two of SETTINGS
    assert.is_nil(client.goaway)
    tell(1)
    assert.is_truthy(client.goaway)
  end)

  it("takes as many resets as http2.resets says, and a tenth of that every second", function()
    serve { http2 = { resets = 20 } }
    local at = -1
    local function reset(n)
      for _ = 1, n do
        at = at + 2
        client:get(at, "/ticks")
        client:read()
      end
      return n
    end
    local function refuse(n)
      for _ = 1, n do
        at = at + 2
        client:get(at, "/", { { "connection", "close" } })
      end
      client:read()
    end
    assert.equal(1, reset(1))
    refuse(20)
    assert.is_nil(client.goaway)
    server:advance(1)
    refuse(2)
    assert.is_nil(client.goaway)
    refuse(1)
    assert.is_truthy(client.goaway)
  end)

  it("keeps fields of any number and size, in order, and what follows the cookies", function()
    serve()
    local fields, list = {}, {}
    for i = 1, 60 do fields[i] = { "x-a", ("v"):rep(i) } end
    table.insert(fields, 30, { "cookie", "a=1" })
    table.insert(fields, 2, { "cookie", "b=2" })
    fields[#fields + 1] = { "x-last", "" }
    client:get(1, "/seen?q=1", fields)
    for i = 1, 60 do list[i] = ("v"):rep(i) end
    assert.same({ "spec", "/seen", "1", list, "b=2; a=1", "" }, helper.json.decode(client:stream(1).body))
  end)

  it("answers with every field of an answer that has many", function()
    server = helper.serve [[
      app:get("/:n[%d]", function(req)
        local r = reply.text("x")
        for i = 1, tonumber(req.params.n) do r:header("X-" .. i, ("v"):rep(i)) end
        return r
      end)
    ]]
    client = http2.connect(server)
    for i, n in ipairs { 25, 26, 27, 28, 29, 30, 31, 32, 33, 60 } do
      client:get(2 * i - 1, "/" .. n)
      local stream = client:stream(2 * i - 1)
      for k = 1, n do assert.equal(("v"):rep(k), stream.headers["x-" .. k], n) end
      assert.same({ 200, "x", "1" }, { stream.status, stream.body, stream.headers["content-length"] })
      assert.is_truthy(stream.headers.date)
    end
  end)

  it("says a status and a length of any digits", function()
    server = helper.serve [[
      app:get("/s/:n[%d]", function(req) return reply.status(tonumber(req.params.n)) end)
      app:get("/:n[%d]", function(req) return ("x"):rep(tonumber(req.params.n)) end)
    ]]
    client = http2.connect(server, { [4] = 1000000 })
    client:window(0, 1000000)
    local id = -1
    for _, status in ipairs { 200, 204, 299, 304, 307, 418, 451, 500, 599 } do
      id = id + 2
      client:get(id, "/s/" .. status)
      assert.equal(status, client:stream(id).status)
      assert.equal(status ~= 204 and status ~= 304, client:stream(id).headers["content-length"] ~= nil, status)
    end
    for _, len in ipairs { 1, 9, 10, 99, 100, 1234, 56789, 100000 } do
      id = id + 2
      client:get(id, "/" .. len)
      assert.equal(tostring(len), client:stream(id).headers["content-length"])
      assert.equal(len, #client:stream(id).body)
    end
  end)

  it("is refused a body in words, in pieces where the window has that", function()
    serve(nil, { [4] = 5 })
    client:get(1, "/", { { "expect", "more" } })
    assert.same({ 417, "unkno" }, { client:stream(1).status, client:stream(1).body })
    client:window(1, 14)
    assert.equal("unknown expectation", client:stream(1).body)
    assert.is_nil(client:stream(1)["end"])
    client:window(1, 1)
    assert.same({ "unknown expectation\n", true }, { client:stream(1).body, client:stream(1)["end"] })
    assert.equal("20", client:stream(1).headers["content-length"])
  end)

  it("counts no time in which nothing came in a client's favour", function()
    serve { http2 = { frames = 50 } }
    server:advance(9)
    client:send(frames.frame("PING", 0, 0, "12345678"):rep(51)):read()
    assert.is_truthy(client.goaway)
  end)

  it("has as many answers waiting as a thousand and four for each stream, and none more", function()
    local function most(streams)
      local other = helper.serve(APP, { settings = { http2 = { streams = streams } } })
      local flooding, n = http2.connect(other, nil, { silent = true }), 0
      flooding.raw:window(5)
      flooding:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0))
      for i = 1, streams do flooding:get(2 * i - 1, "/slow") end
      repeat
        n = n + 1
        flooding:get(2 * (streams + n) - 1, "/slow") -- is refused
      until n == 2000 or other:log():find("answers that are not read", 1, true)
      other:close()
      return n
    end
    serve()
    assert.same({ 1041, 1081 }, { most(10), most(20) })
  end)

  it("takes frames in any pieces, byte by byte", function()
    serve()
    local function pieces(bytes) for i = 1, #bytes do client:send(bytes:sub(i, i)) end end
    local priority = frames.frame("PRIORITY", 0, 5, string.pack(">I4B", 3, 1))
    pieces(priority .. client.request(1, "POST", "/echo", nil, { open = true }) .. priority .. frames.frame("DATA", 0, 1, ("abc"):rep(100)) .. frames.frame("DATA", 8, 1, "\3de\0\0\0")
      .. frames.frame(0xbe, 0, 0, "unknown") .. frames.frame("DATA", frames.END_STREAM, 1, "f"))
    assert.equal(("abc"):rep(100) .. "def", client:stream(1).body)
    pieces(client.request(3, "GET", "/") .. frames.frame("PING", 0, 0, "12345678"))
    assert.same({ "hello", "12345678" }, { client:stream(3).body, client.pings[1] })
    pieces(frames.frame("PRIORITY", 0, 5, string.pack(">I4B", 5, 1)))
    assert.equal(1, client:read().goaway.code)
  end)

  it("begins each head anew, however many there are and whatever became of the one before", function()
    serve()
    for i = 1, 300 do
      client:get(2 * i - 1, "/seen?q=" .. i, { { "x-last", "a" .. i }, { "cookie", "c=" .. i } })
      assert.same({ "spec", "/seen", tostring(i), {}, "c=" .. i, "a" .. i }, helper.json.decode(client:stream(2 * i - 1).body))
    end
    client:get(601, "/", { { "expect", "more" } })
    client:get(603, "/" .. ("x"):rep(9000))
    client:get(605, "/seen?q=")
    assert.same({ 417, 414 }, { client:stream(601).status, client:stream(603).status })
    assert.same({ "spec", "/seen", "", {}, "none", "none" }, helper.json.decode(client:stream(605).body))
    client:send(frames.frame("HEADERS", 5, 607, frames.head { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" } }))
    assert.same({ nil, 1 }, { client:stream(607).status, client:stream(607).reset }) -- which names no host
  end)

  it("takes a head, a target, a method and a number of fields at their limits", function()
    serve { limits = { head = 5000, target = 1000, fields = 20 } }
    local id = -1
    local function status(method, path, fields)
      id = id + 2
      client:send(client.request(id, method, path, fields))
      return client:stream(id).status
    end
    local function of_size(size) -- each field costs 32 bytes beside its own
      local pseudo = #":methodGET" + #":schemehttp" + #":path/" + #":authorityspec" + 4 * 32
      return { { "x", ("y"):rep(size - pseudo - 33) } }
    end
    assert.same({ 200, 431 }, { status("GET", "/", of_size(5000)), status("GET", "/", of_size(5001)) })
    assert.same({ 200, 414 }, { status("GET", "/?" .. ("x"):rep(998)), status("GET", "/?" .. ("x"):rep(999)) })
    assert.same({ 501, 501 }, { status(("X"):rep(24), "/"), status(("X"):rep(25), "/") })
    assert.is_truthy(client:stream(id).body:find "unknown method")
    local fields = {}
    for i = 1, 20 do fields[i] = { "x" .. i, "" } end
    table.insert(fields, 7, { "cookie", "a=b" })
    assert.equal(200, status("GET", "/", fields))
    fields[#fields + 1] = { "x", "" }
    assert.equal(431, status("GET", "/", fields))
  end)

  it("is told to go on where a body is to come, and only there", function()
    serve()
    client:get(1, "/", { { "expect", "100-continue" } })
    assert.same({ 200, nil }, { client:stream(1).status, client:stream(1).interim })
    client:send(client.request(3, "POST", "/echo", { { "expect", "100-continue" } }, { open = true }))
    assert.equal(100, client:stream(3).status)
    client:frame("DATA", frames.END_STREAM, 3, "x")
    assert.same({ 200, 100, "x" }, { client:stream(3).status, client:stream(3).interim, client:stream(3).body })
  end)

  it("has the host of :authority where that is all there is, and the one of both without regard to case and blanks", function()
    serve()
    local function host(id, authority, field)
      local list = { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/seen?q=" } }
      if authority then list[#list + 1] = { ":authority", authority } end
      if field then list[#list + 1] = { "host", field } end
      client:send(frames.frame("HEADERS", 5, id, frames.head(list)))
      local stream = client:stream(id)
      return stream.status == 200 and helper.json.decode(stream.body)[1] or stream.status or stream.reset
    end
    assert.same({ "a.example", "b.example:80", "B.example" }, { host(1, "a.example"), host(3, nil, "b.example:80"), host(5, "b.example", "B.example") })
    assert.same({ 400, 400 }, { host(7, "a", "b"), host(9, "a:80", "a") })
  end)

  it("does not count what the server itself ends as resets of the client's", function()
    server = helper.serve([[
      app:get("/big", function() return ("x"):rep(100) end)
      app:get("/fails", function() return sse.reply(function(send) send "a" error "broken" end) end)
    ]], { settings = { http2 = { resets = 5 }, timeouts = { send = 5 } } })
    client = http2.connect(server, { [4] = 50 })
    for i = 0, 9 do client:get(2 * i + 1, "/big") end
    server:advance(6)
    for i = 0, 9 do assert.equal(8, client:stream(2 * i + 1).reset) end -- which take nothing
    for i = 10, 19 do
      client:get(2 * i + 1, "/fails")
      assert.equal(2, client:stream(2 * i + 1).reset)
    end
    assert.is_nil(client.goaway)
  end)

  it("ends the stream that has the most of its window, whoever waits the longest for it", function()
    serve({ timeouts = { send = 5 } }, { [4] = 1000000 })
    client:get(1, "/count/20"):get(3, "/count/2000", { { "priority", "u=0" } }):get(5, "/count/2000", { { "priority", "u=5" } }):get(7, "/count/20", { { "priority", "u=5" } })
    local had = #client:stream(3).body
    assert.same({ 20, 0, 0 }, { #client:data(1), #client:stream(5).body, #client:stream(7).body })
    server:advance(3)
    client:window(0, 1000)
    assert.equal(had + 1000, #client:stream(3).body)
    server:advance(1.9)
    assert.is_nil(client:stream(3).reset)
    server:advance(0.2)
    assert.same({ 8, nil, nil }, { client:stream(3).reset, client:stream(5).reset, client:stream(7).reset })
    server:advance(4.8)
    client:window(0, 300000)
    assert.same({ 2000, 20 }, { #client:data(5), #client:data(7) })
    assert.equal(1, server:stats().slow_total)
  end)

  it("answers a head that is none, or has its stream reset, and goes on", function()
    serve()
    local id = -1
    local function outcome(method, path, authority, ...)
      id = id + 2
      client:send(frames.frame("HEADERS", 5, id, frames.head { { ":method", method }, { ":scheme", "http" }, { ":path", path }, { ":authority", authority }, ... }))
      local stream = client:stream(id)
      return stream.status and ("%d %s"):format(stream.status, stream.body:match "^[^\n]*") or "reset " .. stream.reset
    end
    assert.equal("200 hello", outcome("GET", "/", "a"))
    assert.equal("200 hello", outcome("GET", "/", "a", { "x", "" }, { "y!#$%&'*+-.^_`|~9z", "~\t\xff !" }, { "te", "trailers" }))
    for path, expected in pairs { ["/a#b"] = "400 bad request target", ["/%zz"] = "400 malformed path", ["/nowhere"] = "404 Not Found", ["/a\xe4"] = "400 bad request target", ["/\xff"] = "400 bad request target" } do
      assert.equal(expected, outcome("GET", path, "a"), path)
    end
    for _, authority in ipairs { "a,b", "a:b", "a:65536", "[a", "[", "a%zz", "u@a" } do assert.equal("reset 1", (outcome("GET", "/", authority):gsub("^400 bad Host$", "reset 1")), authority) end
    for _, wrong in ipairs { { "", "/", "a" }, { "G(T", "/", "a" }, { "GET", "", "a" }, { "GET", "x", "a" }, { "GET", "*", "a" }, { "GET", "/a b", "a" }, { "GET", "/", "a\1" }, { "GET", "/", "a", { "x\1", "" } }, { "GET", "/", "a", { "x", "\1" } },
      { "GET", "/", "a", { "", "x" } }, { "GET", "/", "a", { "x", "\127" } } } do
      assert.equal("reset 1", outcome(table.unpack(wrong)))
    end
    assert.equal("204 ", outcome("OPTIONS", "*", "a"))
    assert.equal("405 method not allowed", outcome("TRACE", "/", "a"))
    assert.equal("501 Not Implemented", outcome(("X"):rep(24), "/", "a"))
    assert.equal("501 unknown method", outcome(("X"):rep(25), "/", "a"))
    assert.equal("200 hello", outcome("GET", "/", "a"))
  end)

  it("counts what was sent in a client's favour once", function()
    serve { http2 = { frames = 50 } }
    client:get(1, "/ticks")
    server:advance(30) -- thirty events, each of them whole
    client:read()
    for _ = 1, 50 do client:frame("PING", 0, 0, "12345678"):read() end
    assert.is_nil(client.goaway)
    client:frame("PING", 0, 0, "12345678"):read()
    assert.is_truthy(client.goaway)
  end)

  it("keeps its bytes in order where large batches leave in parts", function()
    server = helper.serve [[
      local list = {}
      for i = 1, 20000 do list[i] = ("%07d\n"):format(i) end
      local text = table.concat(list)
      app:get("/", function() return text end)
      app:get("/ticks", function() return sse.reply(sse.interval(1)) end)
    ]]
    client = http2.connect(server, { [4] = 1000000 })
    client:window(0, 1000000)
    client.raw:late():step(3001)
    client:get(1, "/"):get(3, "/ticks")
    for _ = 1, 200 do
      client:read()
      server:turn()
    end
    local n = 0
    for line in client:stream(1).body:gmatch "(%d+)\n" do
      n = n + 1
      if tonumber(line) ~= n then error(("%s at line %d"):format(line, n)) end
    end
    assert.same({ 20000, true }, { n, client:stream(1)["end"] })
  end)

  it("says the length of what has one, and no fields of a connection", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    do
      local f <close> = assert(io.open(path, "w"))
      f:write "12345"
    end
    server = helper.serve(([[
      app:get("/text/:n", function(req) return reply.text("hello", tonumber(req.params.n)) end)
      app:get("/none/:n", function(req) return reply.status(tonumber(req.params.n)) end)
      app:get("/file/:n", function(req) return reply.file(%q, { status = tonumber(req.params.n) }) end)
      app:get("/stream", function() return reply.stream(function(write) write "x" end) end)
      app:get("/fields", function() return reply.text("x"):header("Proxy-Connection", "a"):header("X-Kept", "b"):header("Proxy-Connections", "c") end)
    ]]):format(path))
    client = http2.connect(server)
    local id = -1
    local function length(method, target)
      id = id + 2
      client:send(client.request(id, method, target))
      assert.is_true(client:stream(id)["end"])
      return client:stream(id).headers["content-length"]
    end
    for status, expected in pairs { [200] = "5", [203] = "5", [204] = false, [205] = false, [206] = "5", [303] = "5", [304] = false, [305] = "5", [599] = "5" } do
      for _, method in ipairs { "GET", "HEAD" } do
        assert.equal(expected or nil, length(method, "/text/" .. status), status)
        assert.equal(status, client:stream(id).status)
      end
    end
    for status, expected in pairs { [200] = "5", [203] = "5", [204] = false, [304] = false, [303] = "5", [305] = "5" } do assert.equal(expected or nil, length("GET", "/file/" .. status), status) end
    assert.same({ "0", nil, nil }, { length("GET", "/none/404"), (length("HEAD", "/none/404")) })
    assert.same({}, { length("GET", "/stream"), (length("HEAD", "/stream")) })
    length("GET", "/fields")
    local headers = client:stream(id).headers
    assert.same({ nil, "b", "c" }, { headers["proxy-connection"], headers["x-kept"], headers["proxy-connections"] })
  end)
end)
