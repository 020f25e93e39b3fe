-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local EVENT_LEN = 1024 -- of the firehose's events, with their frame
local HIGH, LOW = 256 << 10, 64 << 10

local APP = [[
sent = 0
local body = ("x"):rep(1024 - 8 - 5 - 2)
app:get("/firehose", function()
  return sse.reply(function(send)
    local guard <close> = setmetatable({}, { __close = function() spate.log.info("firehose let go") end })
    while true do
      send(body)
      sent = sent + 1
    end
  end, { keep_alive = false })
end)
app:get("/mapped", function()
  return sse.reply(sse.from(function() sent = sent + 1 return body end):map(function(v) return v end), { keep_alive = false })
end)
app:get("/small", function()
  return sse.reply(function(send) for n = 1, 1e9 do send(n) sent = n end end, { keep_alive = false })
end)
app:get("/numbered", function()
  return sse.reply(function(send) for n = 1, 1e9 do send(("%09d"):format(n)) sent = n end end, { keep_alive = false })
end)
app:get("/ticks", function() return sse.reply(sse.interval(1)) end)
app:get("/burst/:n", function(req)
  local n = tonumber(req.params.n)
  return sse.reply(function(send)
    while true do
      sse.sleep(1)
      for i = 1, n do send(i) end
    end
  end, { keep_alive = false })
end)
app:get("/sent", function() return tostring(sent) end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/huge", function() return reply.text(("y"):rep(1 << 20)) end)
app:get("/slowly", function() return sse.reply(function(send) while true do send "z" sse.sleep(20) end end, { keep_alive = false }) end)
]]

local server

local function sent() return tonumber((server:get("/sent"):body())) end

-- A response whose client takes no more than `window` bytes.
local function stalled(target, window)
  local client = server:connect()
  client:window(window or 0)
  return server:get(target, { client = client })
end

describe("flow", function()
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  describe("a producer", function()
    it("waits above limits.queue_high", function()
      for _, target in ipairs { "/firehose", "/mapped" } do
        local before = sent()
        stalled(target)
        local queued = (sent() - before) * EVENT_LEN
        assert.is_true(queued > HIGH - 2 * EVENT_LEN, queued)
        assert.is_true(queued <= HIGH + 2 * EVENT_LEN, queued)
        server:advance(20)
        assert.equal(queued, (sent() - before) * EVENT_LEN)
      end
    end)

    it("goes on below limits.queue_low", function()
      local res = stalled "/firehose"
      local before = sent()
      res.client:window(HIGH - LOW - 4 * EVENT_LEN)
      server:turn()
      assert.equal(before, sent())
      res.client:window(8 * EVENT_LEN)
      server:turn()
      local more = (sent() - before) * EVENT_LEN
      assert.is_true(more > HIGH - LOW - 8 * EVENT_LEN, more)
      assert.is_true(more <= HIGH - LOW + 8 * EVENT_LEN, more)
    end)

    it("waits above limits.queue_events", function()
      stalled "/small"
      assert.is_true(sent() >= 999 and sent() <= 1001, sent())
    end)

    it("obeys the settings", function()
      server:close()
      server = helper.serve(APP, { settings = { limits = { queue_high = 10240, queue_low = 2048, queue_events = 5 } } })
      stalled "/firehose"
      assert.is_true(sent() >= 4 and sent() <= 6, sent())
      stalled "/small"
      assert.is_true(sent() >= 4 and sent() <= 6, sent())
    end)

    -- How long the head of /numbered is, and each event with its frame.
    local function lengths()
      local res = stalled("/numbered", 2000)
      local _, head = res:raw():find("\r\n\r\n", 1, true)
      return head, select(2, res:raw():find("\n\n\r\n", head + 1, true)) - head
    end

    it("waits and goes on at the very event, or byte", function()
      local head, len = lengths()
      for _, case in ipairs {
        { { queue_events = 5 }, waits = 4, after = head + 3 * len, then_waits = 8 }, -- 6 with the head, until 2 are left
        { { queue_events = 6 }, waits = 5, after = head + 3 * len, then_waits = 9 },
        { { queue_high = head + 10 * len, queue_low = 3 * len }, waits = 10, after = head + 8 * len },
        { { queue_high = head + 10 * len - 1, queue_low = 3 * len }, waits = 9, after = head + 7 * len },
        { { queue_high = head + 10 * len, queue_low = 3 * len - 1 }, waits = 10, after = head + 8 * len + 1 },
      } do
        server:close()
        server = helper.serve(APP, { settings = { limits = case[1] } })
        local res = stalled "/numbered"
        assert.equal(case.waits, sent())
        res.client:window(case.after - 1)
        server:turn()
        assert.equal(case.waits, sent())
        res.client:window(1)
        server:turn()
        if case.then_waits then assert.equal(case.then_waits, sent()) end
        assert.is_true(sent() > case.waits)
      end
    end)

    it("of a client that takes everything never stops", function()
      local res = stalled("/firehose", 10 * HIGH)
      assert.is_true(sent() > 10 * HIGH / EVENT_LEN, sent())
      res:close()
      assert.equal(0, server:stats().tasks)
    end)

    it("is cancelled while it waits for room", function()
      local res = stalled "/firehose"
      server:log()
      res:close()
      assert.equal(0, server:stats().tasks)
      assert.matches("firehose let go", server:log())
    end)
  end)

  it("what waits comes in order and whole once the client reads on", function()
    local res = stalled("/small", 333)
    for step = 1, 200 do
      res.client:window(step * 7)
      server:turn()
    end
    local data = res:data()
    assert.is_true(#data > 3000)
    for n, value in ipairs(data) do assert.equal(tostring(n), value) end
    res.client:window(20000)
    server:turn()
    local all = res:data()
    assert.is_true(#all > #data + 500)
    for n = #data, #all do assert.equal(tostring(n), all[n]) end
  end)

  it("a slow client of HTTP/1.0 gets the bare events, in order", function()
    local client = server:connect()
    client:window(0)
    local res = server:get("/small", { client = client, version = "1.0" })
    for _ = 1, 500 do
      client:window(101)
      server:turn()
    end
    local data = res:data()
    assert.is_true(#data > 3000)
    for n, value in ipairs(data) do assert.equal(tostring(n), value) end
  end)

  describe("a client that takes nothing", function()
    it("is cut after timeouts.send, as slow_consumer, and counted", function()
      local res = stalled "/firehose"
      server:advance(29.9)
      assert.equal("open", res.client:state())
      server:log()
      server:advance(0.2)
      assert.equal("reset", res.client:state())
      assert.equal(1, server:stats().slow_total)
      assert.equal(0, server:stats().tasks)
      local log = server:log()
      assert.matches("close .*reason=slow_consumer", log)
      assert.matches("firehose let go", log)
    end)

    it("counts from the moment when something waits", function()
      local client = server:connect()
      client:window(4096)
      local res = server:get("/never", { client = client })
      client:window(0)
      server:advance(14.9)
      server:advance(0.2) -- the first comment cannot leave
      server:advance(29.7)
      assert.equal("open", res.client:state())
      server:advance(0.2)
      assert.equal("reset", res.client:state())
    end)

    it("costs the same with a plain reply", function()
      local res = stalled("/huge", 1000)
      server:advance(29.9)
      assert.equal("open", res.client:state())
      server:advance(0.2)
      assert.equal("reset", res.client:state())
      assert.equal(1, server:stats().slow_total)
      assert.matches("request .*status=200 .*reason=slow_consumer", server:log())
    end)

    it("can stall again and again, if not for long", function()
      local res = stalled "/firehose"
      for _ = 1, 5 do
        server:advance(29)
        res.client:window(300 << 10)
        server:turn()
        assert.equal("open", res.client:state())
      end
      res.client:window(0)
      server:advance(30.1)
      assert.equal("reset", res.client:state())
      assert.equal(1, server:stats().slow_total)
    end)

    it("does not delay others", function()
      local slow, fast = stalled "/firehose", server:get "/ticks"
      for n = 1, 29 do
        server:advance(1)
        assert.equal(n, #fast:data())
      end
      assert.equal("open", slow.client:state())
      server:advance(10)
      assert.equal(39, #fast:data())
    end)

    it("obeys the setting", function()
      server:close()
      server = helper.serve(APP, { settings = { timeouts = { send = 2 } } })
      local res = stalled "/firehose"
      server:advance(1.9)
      assert.equal("open", res.client:state())
      server:advance(0.2)
      assert.equal("reset", res.client:state())
    end)
  end)

  describe("a client that takes a byte a second", function()
    local function drip(res, seconds, bytes)
      for n = 1, seconds do
        if res.client:state() ~= "open" then return n - 1 end
        res.client:window(bytes or 1)
        server:advance(1)
      end
      return seconds
    end

    it("is cut as one that takes nothing", function()
      local lasted = drip(stalled "/firehose", 100)
      assert.is_true(lasted >= 29 and lasted <= 31, lasted)
      assert.equal(1, server:stats().slow_total)
      assert.equal(0, server:stats().tasks)
    end)

    it("also where its events are small", function()
      local lasted = drip(stalled("/burst/100", 400), 200)
      assert.is_true(lasted <= 70, lasted)
      assert.equal(1, server:stats().slow_total)
    end)

    it("also of a plain reply", function()
      local lasted = drip(stalled "/huge", 100)
      assert.is_true(lasted >= 29 and lasted <= 31, lasted)
    end)

    it("may, where there is no more to take", function()
      local client = server:connect()
      client:window(400)
      local res = server:get("/slowly", { client = client })
      assert.equal(600, drip(res, 600))
      assert.is_true(#res:data() > 28)
    end)

    it("has its time anew for a fair part, to the byte: 512 a second of timeouts.send", function()
      for _, case in ipairs { { 1024, 0, ends = 3.5 }, { 1023, 0, ends = 2 }, { 512, 512, ends = 3.9 }, { 512, 511, ends = 2 }, { 1023, 1, ends = 3.9 } } do
        server:close()
        server = helper.serve(APP, { settings = { timeouts = { send = 2 } } })
        local res = stalled "/huge"
        server:advance(1.5)
        res.client:window(case[1])
        server:turn()
        server:advance(0.4)
        res.client:window(case[2])
        server:turn()
        server:advance(case.ends - 1.9 - 0.05)
        assert.equal("open", res.client:state(), case[1])
        server:advance(0.1)
        assert.equal("reset", res.client:state(), case[1])
      end
    end)

    it("has its time anew once it has taken all that waited, little as that is", function()
      local len = #"9\r\ndata: 1\n\n\r\n"
      for missing, ends in pairs { [0] = 4, [1] = 3 } do
        server:close()
        server = helper.serve(APP, { settings = { timeouts = { send = 2 } } })
        local client = server:connect()
        server:get("/burst/3", { client = client })
        client:window(0)
        server:advance(1) -- three events wait
        server:advance(1) -- and three more
        client:window(3 * len - missing)
        server:turn()
        server:advance(ends - 2 - 0.05)
        assert.equal("open", client:state(), ends)
        server:advance(0.1)
        assert.equal("reset", client:state(), ends)
      end
    end)

    it("a slow line is no such client", function()
      for _, target in ipairs { "/firehose", "/huge" } do
        local res = stalled(target)
        assert.equal(300, drip(res, 300, 1000))
        assert.equal(0, server:stats().slow_total)
        res.client:reset()
        server:turn()
      end
    end)
  end)

  describe("writes", function()
    it("the head and the first events leave together", function()
      local client = server:connect()
      local res = server:get("/burst/30", { client = client })
      assert.equal(1, client:writes())
      server:advance(1)
      assert.equal(2, client:writes())
      assert.equal(30, #res:data())
      server:advance(3)
      assert.equal(5, client:writes())
      assert.equal(120, #res:data())
    end)

    it("what was queued while the client was blocked leaves together", function()
      local client = server:connect()
      local res = server:get("/burst/10", { client = client })
      client:window(0)
      server:advance(4)
      local before = client:writes()
      assert.equal(0, #res:data())
      client:window()
      server:turn()
      assert.equal(before + 2, client:writes()) -- what was on its way, and the rest
      assert.equal(40, #res:data())
    end)

    it("a page is one", function()
      local client = server:connect()
      server:get("/sent", { client = client })
      assert.equal(1, client:writes())
    end)
  end)

  describe("keep-alive comments", function()
    local function comments(res) return #(select(2, res:events())) end

    it("come after 15 s without an event, each", function()
      local res = server:get "/never"
      server:advance(14.9)
      assert.equal(0, comments(res))
      server:advance(0.2)
      assert.equal(1, comments(res))
      server:advance(30)
      assert.equal(3, comments(res))
      assert.equal(0, #res:events())
    end)

    it("are no events in the count", function()
      local res = server:get "/never"
      server:advance(100)
      res:close()
      assert.matches("close .*events=0 ", server:log())
      assert.equal(0, server:stats().events_total)
    end)

    it("do not come where events do", function()
      local res = server:get "/ticks"
      server:advance(100)
      assert.equal(100, #res:data())
      assert.equal(0, comments(res))
    end)

    it("do not join a queue that is blocked", function()
      local client = server:connect()
      local res = server:get("/never", { client = client })
      client:window(0)
      server:advance(15.1)
      server:advance(29)
      client:window()
      server:turn()
      assert.equal(1, comments(res))
      server:advance(15.1)
      assert.equal(2, comments(res))
      assert.equal("open", client:state())
    end)
  end)

  it("the end of a client is seen while its window is closed", function()
    local res = stalled "/firehose"
    res:close()
    assert.equal("closed", res.client:state())
    assert.equal(0, server:stats().tasks)
    assert.equal(0, server:stats().slow_total)
  end)

  it("a stream that ends behind a stall is delivered to its end", function()
    server:close()
    server = helper.serve [[
      app:get("/", function() return sse.reply(function(send) for n = 1, 100 do send(n) end end) end)
    ]]
    local res = stalled("/", 250)
    assert.equal(0, server:stats().tasks)
    server:advance(10)
    res.client:window()
    server:turn()
    assert.equal(100, #res:data())
    assert.is_true(res:has_ended())
    server:get("/", { client = res.client })
    assert.matches("data: 100\n\n\r\n0\r\n\r\nHTTP/1.1 200 OK", res:raw())
  end)

  it("a spawned task that waits in send learns that the client has left", function()
    server:close()
    server = helper.serve [[
      app:get("/", function()
        return sse.reply(function(send)
          sse.spawn(function()
            print("sent", send(("x"):rep(300 * 1024)))
          end)
          sse.sleep(3600)
        end)
      end)
    ]]
    local res = stalled "/"
    res:close()
    assert.matches("sent\tnil\tclosed", server:log())
    assert.equal(0, server:stats().tasks)
  end)
end)
