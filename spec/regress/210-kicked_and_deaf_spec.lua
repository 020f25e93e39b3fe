-- SPDX-License-Identifier: MIT
-- Who is kicked and takes nothing had all of timeouts.send, and counted as slow.
local helper = require "spec.helper"

local APP = [[
app:get("/firehose", function(req)
  req:tag "deaf"
  return sse.reply(function(send) while true do send(("x"):rep(1000)) end end)
end)
app:get("/text", function(req) req:tag "deaf" return ("x"):rep(2000000) end)
app:get("/short", function(req)
  req:tag "deaf"
  return sse.reply(function(send) send(("x"):rep(20000)) end)
end)
app:get("/late", function(req) req:tag "deaf" sse.sleep(1) return sse.reply(sse.never()) end)
app:get("/kick", function() spate.kick { tag = "deaf" } return "" end)
app:get("/stats", function() return spate.stats() end)]]

describe("a kicked client that takes nothing", function()
  local server
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  local function stalled(target)
    local client = server:connect()
    client:window(4096)
    local res = server:get(target, { client = client })
    client:window(0)
    return res
  end

  it("goes five seconds later, as kicked", function()
    local res = stalled "/firehose"
    server:advance(1)
    server:get "/kick"
    server:advance(4.9)
    assert.equal("open", res.client:state())
    server:advance(0.2)
    assert.equal("reset", res.client:state())
    local stats = server:get("/stats"):json()
    assert.same({ 0, 1, 0 }, { stats.slow_total, stats.closed_kicked_total, stats.closed_slow_consumer_total })
  end)

  it("has no more time by being kicked again, nor by taking a little", function()
    local res = stalled "/firehose"
    server:get "/kick"
    server:advance(3)
    res.client:window(1000)
    server:get "/kick"
    server:advance(2.1)
    assert.equal("reset", res.client:state())
  end)

  it("goes as soon if its stream was over before", function()
    local res = stalled "/short"
    server:advance(1)
    server:get "/kick"
    server:advance(5.1)
    assert.equal("reset", res.client:state())
    assert.equal(0, server:stats().slow_total)
  end)

  it("has the time of others for an answer that is no event stream", function()
    local res = stalled "/text"
    server:get "/kick"
    server:advance(10)
    assert.equal("open", res.client:state())
  end)

  it("goes before timeouts.send where that is shorter", function()
    server:close()
    server = helper.serve(APP, { settings = { timeouts = { send = 2 } } })
    local res = stalled "/firehose"
    server:get "/kick"
    server:advance(2.1)
    assert.equal("reset", res.client:state())
    assert.equal(0, server:stats().slow_total)
    assert.equal(1, server:get("/stats"):json().closed_kicked_total)
  end)
end)

describe("a stream that is kicked before it begins", function()
  it("counts as kicked", function()
    local server = helper.serve(APP)
    local res = server:get "/late"
    server:get "/kick"
    server:advance(2)
    assert.is_true(res:has_ended())
    assert.equal(1, server:get("/stats"):json().closed_kicked_total)
    server:close()
  end)
end)
