-- SPDX-License-Identifier: MIT
-- Bodies of requests by HTTP/2: their windows, their limits, the time that they have.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local APP = [[
app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return n end)) end)
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
]]

describe("HTTP/2", function()
  local server, client

  local function serve(settings, announced)
    server = helper.serve(APP, { settings = settings })
    client = http2.connect(server, announced)
  end

  after_each(function() server:close() end)

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

  it("has time to keep for a body of which half of the window waits, to the byte", function()
    for i, status in ipairs { 408, 200 } do
      local waiting = 32766 + i
      if i == 2 then server:close() end
      serve { timeouts = { body = 2 } }
      client:send(client.request(1, "POST", "/unread", nil, { open = true })) -- answers after 5 seconds
      for _ = 1, 2 do client:frame("DATA", 0, 1, ("x"):rep(16000)) end
      client:frame("DATA", 0, 1, ("x"):rep(waiting - 32000))
      server:advance(6)
      assert.equal(status, client:stream(1).status, waiting)
    end
  end)

  it("refuses a body of which nothing comes, although nobody has asked for it", function()
    serve { timeouts = { body = 3 } }
    client:send(client.request(1, "POST", "/hesitant", nil, { open = true })) -- asks after 5 seconds
    server:advance(2.9)
    assert.is_nil(client:stream(1).status)
    server:advance(0.2)
    assert.equal(408, client:stream(1).status)
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

  it("drops the fields behind a body", function()
    serve()
    client:send(client.request(1, "POST", "/echo", nil, { open = true }), frames.frame("DATA", 0, 1, "hal"), frames.frame("DATA", 0, 1, "lo"), frames.frame("HEADERS", 5, 1, frames.head { { "x-trailer", "1" } }))
    assert.same({ 200, "hallo" }, { client:stream(1).status, client:stream(1).body })
    client:post(3, "/echo", "more")
    assert.equal("more", client:stream(3).body)
    assert.is_nil(client.goaway)
  end)

  it("passes over what comes for a request that it has refused", function()
    serve(nil, { [4] = 5 })
    client:send(client.request(1, "POST", "/echo", { { "expect", "more" } }, { open = true }))
    for _ = 1, 10 do client:frame("DATA", 0, 1, ("x"):rep(10000)) end
    client:window(1, 100)
    assert.same({ 417, "unknown expectation\n", 0 }, { client:stream(1).status, client:stream(1).body, client:stream(1).reset })
    client:post(3, "/echo", "more")
    assert.same({ "more", nil }, { client:stream(3).body, client.goaway })
  end)

  it("gives back the window of what is not read once, not twice", function()
    serve { http2 = { connection_window = 100000 } }
    local sent = 0
    local function leave(id)
      client:send(client.request(id, "POST", "/unread", nil, { open = true }))
      for _ = 1, 2 do client:frame("DATA", 0, id, ("x"):rep(8000)) end
      sent = sent + 16000
    end
    local function window()
      local n = 65535 - sent
      for _, frame in ipairs(client:read().list) do
        if frame.kind == "WINDOW_UPDATE" and frame.id == 0 then n = n + string.unpack(">I4", frame.payload) end
      end
      return n
    end
    for id = 1, 11, 2 do leave(id) end
    assert.equal(4000, window())
    server:advance(6) -- they are answered
    assert.is_true(window() > 50000 and window() <= 100000, window())
    for id = 13, 23, 2 do leave(id) end
    assert.is_true(window() <= 4000, window())
  end)

  it("has its time from when there was room for it: half a window of a stream", function()
    for room = 9999, 10000 do
      serve { timeouts = { body = 5, body_total = 12 }, http2 = { window = 20000, connection_window = 150000 } }
      local left, id = 150000 - room, 1
      while left > 0 do
        local size = math.min(left, 16000)
        client:send(client.request(id, "POST", "/hesitant", nil, { open = true }), frames.frame("DATA", 0, id, ("x"):rep(size)))
        left, id = left - size, id + 2
      end
      client:send(client.request(id, "POST", "/size", nil, { open = true }))
      server:advance(4.9)
      assert.is_nil(client:stream(id).status)
      server:advance(0.3)
      assert.equal(room == 10000 and 408 or nil, client:stream(id).status, room)
      if room == 9999 then server:close() end
    end
  end)
end)
