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
app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return n end)) end)
app:post("/echo", function(req) return req:body() end)
app:get("/seen", function(req) return { req.host, req.path, req.query.q, req:header_all "x-a", req.headers.cookie or "none", req.headers["x-last"] or "none" } end)
]]

local server, client

local function serve(settings, announced, options)
  server = helper.serve(APP, { settings = settings })
  client = http2.connect(server, announced, options)
end

describe("priorities", function()
  after_each(function() server:close() end)

  -- Clients of 200,000 bytes each, in the order of their numbers; which of them the next 5,000 bytes are for.
  local function ask(...)
    serve(nil, { [4] = 1000000 })
    client:get(1, "/big"):reset(1) -- has used up the connection's window
    for i, priority in ipairs { ... } do client:get(2 * i + 1, "/big", { { "priority", priority } }) end
  end

  local function next_of(count)
    local before = {}
    for i = 1, count do before[i] = #client:stream(2 * i + 1).body end
    client:window(0, 5000)
    for i = 1, count do
      local grown = #client:stream(2 * i + 1).body - before[i]
      if grown == 5000 then return i end
      assert.equal(0, grown)
    end
  end

  it("are of eight kinds, and three where they say nothing that is one", function()
    for urgency = 0, 7 do
      if urgency < 7 then
        ask("u=" .. urgency + 1, "u=" .. urgency)
        assert.equal(2, next_of(2), urgency)
        server:close()
      end
    end
    for _, none in ipairs { "u", "u=", "u=8", "u=/", "u=:", "u=10", "U=1", "x=1", "u 1", "u=-1", "u1", "uu=1", "v=1", "u:1", "uuu" } do
      ask("u=4", none .. ",i=?0", "u=2")
      assert.equal(3, next_of(3), none)
      client:reset(7)
      assert.equal(2, next_of(2), none)
      server:close()
    end
    ask("u=4", "u=3")
    assert.equal(2, next_of(2))
  end)

  it("are members with blanks and parameters, of which the last counts", function()
    for _, first in ipairs { "u=1", "u=1;a=b;c", "x, \tu=1 ,y", "u=1 ;a", "u=5, u=1", "u=1,,", "u=1, u=9" } do
      ask("u=2", first)
      assert.equal(2, next_of(2), first)
      server:close()
    end
    for value, is_queued in pairs { ["u=3"] = true, ["u=3, i"] = false, ["u=3, i=?1"] = false, ["u=3, i=?0"] = true, ["u=3, i, i=?0"] = true, ["u=3, i=?0, i"] = false, ["u=3, i;a"] = false } do
      ask("u=3", value)
      client:window(0, 60000)
      assert.equal(is_queued and 0 or nil, is_queued and #client:stream(5).body or nil, value)
      if not is_queued then assert.is_true(#client:stream(5).body > 0, value) end
      server:close()
    end
    ask("u=3", "u=3")
    assert.equal(1, next_of(2))
  end)

  it("told before their requests are kept of eight, the latest of each", function()
    ask()
    local function tell(id, value) client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", id) .. value) end
    for i = 1, 9 do tell(2 * i + 1, "u=" .. (i == 9 and 0 or 1)) end
    tell(7, "u=6") -- of the third, once more
    for i = 1, 9 do client:get(2 * i + 1, "/big", { { "priority", i == 1 and "u=7" or "u=5" } }) end
    local order = {}
    for turn = 1, 9 do
      order[turn] = next_of(9)
      client:reset(2 * order[turn] + 1)
    end
    assert.same({ 9, 2, 4, 5, 6, 7, 8, 3, 1 }, order)
  end)

  it("wait for a window of one byte", function()
    serve(nil, { [4] = 1 })
    client:get(1, "/10", { { "priority", "u=3" } }):get(3, "/10", { { "priority", "u=3" } })
    assert.same({ 1, 1 }, { #client:stream(1).body, #client:stream(3).body })
    client:window(3, 1):window(1, 1)
    assert.same({ 2, 2 }, { #client:stream(1).body, #client:stream(3).body })
    client:window(1, 8):window(3, 8)
    assert.same({ true, true }, { client:stream(1)["end"], client:stream(3)["end"] })
  end)
end)

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
    client:get(3, "/")
    client.raw:take()
    client:frame("PRIORITY", 0, 0, string.pack(">I4B", 5, 1))
    local bytes = client.raw:take()
    assert.equal(string.pack(">I3BBI4I4I4", #bytes - 9, 7, 0, 0, 3, 1) .. "PROTOCOL_ERROR", bytes)
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
end)
