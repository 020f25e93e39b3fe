-- SPDX-License-Identifier: MIT
-- What is written at the end of a turn: how many connections have their share of it, and how many a call.
local helper = require "spec.helper"

local APP = [[
local news = sse.channel "news"
app:get("/news", function() return sse.reply(news:subscribe()) end)
app:post("/news", function() news:publish "event" return "" end)
app:get("/tagged", function(req) req:tag "all" return sse.reply(sse.never()) end)
app:post("/kick", function() spate.kick { tag = "all" } return "" end)
app:get("/stats", function() return reply.json(spate.stats()) end)
]]

local server, clients

local function subscribe(count)
  clients = {}
  for i = 1, count do clients[i] = server:get "/news" end
end

local function stats() return server:get("/stats"):json() end

-- How many have got the event by now.
local function reached()
  local count = 0
  for _, res in ipairs(clients) do count = count + #res:data() end
  return count
end

describe("at the end of a turn", function()
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  for subscribers, calls in pairs { [15] = 1, [16] = 1, [31] = 2, [32] = 2, [33] = 3 } do
    it(("an event for %d leaves by %d calls"):format(subscribers, calls), function()
      subscribe(subscribers)
      local publisher = server:connect()
      local before = stats()
      publisher:send "POST /news HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
      server:turn()
      assert.equal(subscribers, reached())
      local now = stats()
      -- Whoever has published, and who has asked before, have a call each.
      assert.equal(subscribers + 2, now.batched_sends_total - before.batched_sends_total)
      assert.equal(calls + 2, now.batches_total - before.batches_total)
    end)
  end

  -- How many of 200 have the event after the turn that brings it to the first of them.
  local function reached_at_first(delay)
    subscribe(200)
    for _, res in ipairs(clients) do res.client:delay(delay) end
    local publisher = server:connect()
    publisher:send "POST /news HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    while reached() == 0 do server.core:step() end
    for _, res in ipairs(clients) do res.client:delay(0) end
    return reached()
  end

  -- The kernel takes its time: 1.6 ms for each call, and 5 ms are what a turn has behind the first.
  it("those who cost more have the fewer in a turn", function()
    assert.equal(80, reached_at_first(0.0001))
  end)

  it("two calls are made, however long they take", function()
    assert.equal(32, reached_at_first(1))
  end)

  it("1024 that are to end at once are told so, and with them goes what others have", function()
    local kicked = {}
    for i = 1, 1100 do kicked[i] = server:get "/tagged" end
    local function ended()
      local count = 0
      for _, res in ipairs(kicked) do count = count + (res:has_ended() and 1 or 0) end
      return count
    end
    local res = server:connect()
    res:send "POST /kick HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    while ended() == 0 do server.core:step() end
    assert.equal(1024, ended())
    server:turn()
    assert.equal(1100, ended())
    assert.matches("^HTTP/1.1 200", res:take())
  end)

  it("who has not had a share yet has one at once, with nothing else to do", function()
    subscribe(300)
    server:post "/news"
    assert.equal(300, reached())
    for i = 1, 1100 do clients[i] = server:get "/tagged" end
    server:post "/kick"
    for i = 1, 1100 do assert.is_true(clients[i]:has_ended(), i) end
  end)

  it("128 have their share, and neither who comes then nor the others wait for both", function()
    subscribe(300)
    local publisher = server:connect()
    publisher:send "POST /news HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    while reached() == 0 do server.core:step() end
    assert.equal(128, reached())
    local late = server:connect()
    late:send "GET /stats HTTP/1.1\r\nHost: a\r\n\r\n"
    server.core:step()
    assert.equal(256, reached())
    assert.matches("^HTTP/1.1 200", late:take())
    server.core:step()
    assert.equal(300, reached())
  end)
end)

describe("connections", function()
  it("are written to one by one without io_uring", function()
    local before = os.getenv "SPATE_IO_URING"
    helper.harness.setenv("SPATE_IO_URING", "off")
    server = helper.serve(APP)
    helper.harness.setenv("SPATE_IO_URING", before)
    subscribe(40)
    server:post "/news"
    assert.equal(40, reached())
    assert.equal(0, stats().batches_total)
    server:close()
  end)

  it("are closed with their server, and not reset", function()
    server = helper.serve(APP)
    subscribe(3)
    server.core:close()
    for _, res in ipairs(clients) do assert.equal("closed", res.client:state()) end
  end)
end)
