-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local APP = [[
local function guard(name)
  return setmetatable({}, { __close = function() spate.log.info(name .. " let go") end })
end
app:get("/", function() return "root" end)
app:get("/slow", function() sse.sleep(10) return "slept" end)
app:post("/", function(req) return "got " .. req:body() end)
app:get("/huge", function() return ("y"):rep(1 << 20) end)
app:get("/stream", function(req)
  req:on_close(function(reason) spate.log.info("on_close " .. reason) end)
  return sse.reply(function(send)
    local held <close> = guard "producer"
    while true do sse.sleep(1) send "tick" end
  end)
end)
app:get("/firehose", function()
  return sse.reply(function(send)
    local held <close> = guard "firehose"
    while true do send(("x"):rep(1000)) end
  end)
end)
app:get("/breaks", function() return sse.reply(function(send) send "x" sse.sleep(0.001) error "broken" end, { keep_alive = false }) end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/late", function() sse.sleep(2) return sse.reply(function(send) while true do send "tick" sse.sleep(1) end end) end)
app:on_stop(function() spate.log.info "stop 1" sse.sleep(3) spate.log.info "stop 1 done" end)
app:on_stop(function() spate.log.info "stop 2" end)
]]

local server

local function retry_of(res)
  local events = res:events()
  return tonumber(events[#events].retry)
end

local function state(res) return res.client:state() end

describe("drain", function()
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  it("answers the request that has come on a kept connection just now", function()
    local res = server:get "/"
    res.client:send "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    server.core:drain()
    server:advance(10)
    assert.matches("root.*\r\nConnection: close\r\n.*slept$", res:raw())
  end)

  it("cuts a stream that fails meanwhile once", function()
    local list = {}
    for i = 1, 20 do list[i] = server:get "/breaks" end
    server.core:drain()
    server:advance(0.01)
    for _, res in ipairs(list) do assert.equal("closed", state(res)) end
    assert.equal(0, server:stats().connections)
  end)

  it("that is asked for again puts off no end", function()
    local streams = {}
    for i = 1, 100 do streams[i] = server:get "/never" end
    server.core:drain()
    server:advance(2.5)
    server.core:drain()
    server:advance(2.5)
    for _, res in ipairs(streams) do assert.is_true(res:has_ended()) end
  end)

  it("ends each stream cleanly within shutdown.window, with a jittered retry", function()
    local streams, ended_at, retries = {}, {}, {}
    for i = 1, 200 do streams[i] = server:get(i % 2 == 0 and "/stream" or "/never") end
    server.core:drain()
    for step = 1, 51 do
      for i, res in ipairs(streams) do
        if not ended_at[i] and res:has_ended() then ended_at[i] = step end
      end
      server:advance(0.1)
    end
    local per_second = {}
    for i, res in ipairs(streams) do
      assert(ended_at[i], "a stream has outlived the window")
      assert.is_not.equal("open", state(res))
      local retry = retry_of(res)
      assert.is_true(retry >= 1000 and retry <= 2000, retry)
      retries[retry] = true
      local second = ended_at[i] // 10
      per_second[second] = (per_second[second] or 0) + 1
    end
    for second = 0, 4 do assert.is_true(per_second[second] > 15, "the ends are bunched") end
    local different = 0
    for _ in pairs(retries) do different = different + 1 end
    assert.is_true(different > 100, "the retries are bunched")
    assert.equal(0, server:stats().streams)
  end)

  it("goes on with a stream until its turn comes", function()
    local res = server:get "/stream"
    server.core:drain()
    while not res:has_ended() do server:advance(0.25) end
    local ticks, now = #res:data(), server.core:now()
    assert.is_true(ticks >= math.floor(now - 0.25) and ticks <= math.floor(now), ticks)
  end)

  it("tells producers: reason shutdown, <close> and on_close run", function()
    local res = server:get "/stream"
    server.core:drain()
    server:advance(5)
    local log = server:log()
    assert.matches("producer let go", log)
    assert.matches("on_close shutdown", log)
    assert.matches("close [^\n]*reason=shutdown", log)
    assert.equal(1, select(2, log:gsub("reason=", "")))
    assert.equal(1, select(2, log:gsub("on_close ", "")))
    assert.is_true(res:has_ended())
  end)

  it("ends a stream of HTTP/1.0 with the connection", function()
    local res = server:get("/never", { version = "1.0" })
    server.core:drain()
    server:advance(5)
    assert.matches("\n\nretry: %d+\n\n$", "\n\n" .. res:body())
    assert.is_true(state(res) == "ended" or state(res) == "closed")
  end)

  it("obeys the settings", function()
    server:close()
    server = helper.serve(APP, { settings = { shutdown = { window = 1, retry = 10 } } })
    local streams = {}
    for i = 1, 20 do streams[i] = server:get "/never" end
    server.core:drain()
    server:advance(1)
    for _, res in ipairs(streams) do
      assert.is_true(res:has_ended())
      assert.is_true(retry_of(res) >= 10000 and retry_of(res) <= 20000)
    end
  end)

  it("a plain request finishes, with Connection: close", function()
    local res = server:get "/slow"
    server.core:drain()
    server:advance(9)
    assert.equal("", res:raw())
    server:advance(1)
    assert.equal("slept", (res:body()))
    assert.equal("close", res:header "Connection")
    assert.equal("ended", state(res))
  end)

  it("a plain request that is still arriving finishes too", function()
    local head, body = server:send "GET / HT", server:send "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"
    server.core:drain()
    server:send("TP/1.1\r\nHost: a\r\n\r\n", head.client)
    server:send("llo", body.client)
    assert.equal("root", (head:body()))
    assert.equal("close", head:header "Connection")
    assert.equal("got hello", (body:body()))
    assert.equal("close", body:header "Connection")
  end)

  it("so does one that has begun to arrive on a kept connection", function()
    local res = server:get "/"
    server:send("GET / HT", res.client)
    server.core:drain()
    assert.equal("open", state(res))
    server:send("TP/1.1\r\nHost: a\r\n\r\n", res.client)
    assert.matches("root.*\r\nConnection: close\r\n.*root$", res:raw())
    assert.equal("ended", state(res))
  end)

  it("an answer under way is delivered, and the connection not used again", function()
    local client = server:connect()
    client:window(1000)
    local res = server:get("/huge", { client = client })
    server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    server.core:drain()
    client:window()
    server:turn()
    assert.equal(1 << 20, #res:body())
    assert.is_true(res:has_ended())
    assert.equal("ended", state(res))
  end)

  it("of pipelined requests the first is answered", function()
    local res = server:send(("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3))
    server.core:drain()
    server:advance(30)
    assert.equal(1, select(2, res:raw():gsub("HTTP/1.1 200", "")))
    assert.equal("closed", state(res))
  end)

  it("idle connections close at once, and silent ones after a second", function()
    local silent, used = server:connect(), server:get "/"
    server.core:drain()
    assert.same({ "open", "closed" }, { silent:state(), state(used) })
    server:advance(1.01)
    assert.equal("closed", silent:state())
    assert.equal(0, server:stats().connections)
  end)

  it("an answer that is on its way to a lingering client is not cut", function()
    local res = server:get("/", { headers = { Connection = "close" } })
    server.core:drain()
    assert.equal("ended", state(res))
    server:advance(2.1)
    assert.equal("closed", state(res))
  end)

  it("a stream that opens late ends as it opens", function()
    local res = server:get "/late"
    server.core:drain()
    server:advance(2)
    server:advance(0)
    assert.equal(200, res:status())
    assert.is_true(res:has_ended())
    assert.is_truthy(retry_of(res))
    assert.equal(0, server:stats().streams)
  end)

  it("a producer that waits for room is let go, and does not run on", function()
    local client = server:connect()
    client:window(1000)
    server:get("/firehose", { client = client })
    server.core:drain()
    server:advance(5)
    assert.matches("firehose let go", server:log())
    assert.equal(0, server:stats().tasks)
    client:window(300 << 10)
    server:turn()
    assert.matches("\nretry: %d+\n\n\r\n0\r\n\r\n$", client:take())
  end)

  it("a client that takes nothing is not waited for beyond timeouts.send", function()
    local client = server:connect()
    client:window(1000)
    server:get("/firehose", { client = client })
    server.core:drain()
    server:advance(30.1)
    assert.equal("reset", client:state())
    assert.matches("reason=slow_consumer", server:log())
  end)

  it("a client that leaves before its turn", function()
    local streams = {}
    for i = 1, 20 do streams[i] = server:get "/stream" end
    server.core:drain()
    for _, res in ipairs(streams) do res:close() end
    server:advance(6)
    assert.equal(0, server:stats().streams)
  end)

  it("on_stop functions run, and may wait", function()
    server.core:drain()
    assert.matches("stop 1\n.*stop 2\n", server:log())
    server:advance(3)
    assert.matches("stop 1 done", server:log())
  end)

  it("streams that are cut where the server ends hear of it", function()
    local res = server:get "/stream"
    server.core:close()
    assert.equal("closed", state(res))
    assert.is_false(res:has_ended())
    server = helper.serve(APP)
  end)
end)
