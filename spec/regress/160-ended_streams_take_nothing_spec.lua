-- SPDX-License-Identifier: MIT
-- A stream that had ended stayed subscribed: the next event found its feed freed, took back what waited for a slow client,
-- or cut it.
local helper = require "spec.helper"

local APP = [[
local ch = sse.channel("a", { queue = 2, history = 10 })
local conflating = sse.channel("c", { queue = 8, history = 10, on_full = "conflate" })
app:get("/sub", function() return sse.reply(ch:subscribe()) end)
app:get("/latest", function() return sse.reply(conflating:subscribe()) end)
app:post("/pub", function(req) for i = 1, 5 do ch:publish(req:body() .. i) end return "" end)
app:post("/latest", function(req)
  for i = 1, 5 do conflating:publish { event = req:body(), data = tostring(i) } end
  return ""
end)
app:post("/one", function() ch:publish "one" return "" end)
app:post("/later", function()
  sse.spawn(function()
    for _ = 1, 5 do
      sse.sleep(0.5)
      for _ = 1, 3 do ch:publish "x" end
    end
  end)
  return ""
end)]]

describe("a stream that has ended", function()
  local function pair()
    local settings = { shutdown = { window = 0.01 }, log = { access = false } }
    local one = helper.serve(APP, { settings = settings })
    return one, helper.serve(APP, { with = one.core, worker = 1, settings = settings })
  end

  -- A subscriber of the second worker whose client takes nothing, as the worker stops.
  local function stalled(one, two, path, publish)
    local client = two:connect()
    local res = two:get(path, { client = client })
    one:post("/pub", { body = "a" })
    two:turn()
    client:window(0)
    publish()
    two.core:drain()
    two:advance(0.5)
    return res, client
  end

  it("keeps what waits for a slow client where newer values come", function()
    local one, two = pair()
    local res, client = stalled(one, two, "/latest", function()
      for _, name in ipairs { "first", "k" } do
        one:post("/latest", { body = name })
        two:turn()
      end
    end)
    one:post("/latest", { body = "k" })
    two:turn()
    client:window(nil)
    two:turn()
    local events = res:events()
    local latest = events[#events - 1]
    assert.same({ "k", "5" }, { latest.event, latest.data })
    assert.is_true(res:has_ended())
    two:close()
    one:close()
  end)

  it("is not cut as slow by what is published behind its end", function()
    local one, two = pair()
    local res, client = stalled(one, two, "/sub", function()
      one:post "/one"
      two:turn()
    end)
    one:post("/pub", { body = "k" })
    two:turn()
    client:window(nil)
    two:turn()
    assert.is_true(res:has_ended())
    assert.equal(0, two:stats().slow_total)
    two:close()
    one:close()
  end)

  it("is gone for its channel, however many end at once", function()
    local server = helper.serve(APP, { settings = { shutdown = { window = 0.001 }, log = { access = false } } })
    local all = {}
    for i = 1, 1200 do all[i] = server:get "/sub" end
    server:post "/later"
    server.core:drain()
    server.core:jump(1)
    server:advance(3)
    for _, res in ipairs(all) do assert.is_true(res:has_ended()) end
    assert.equal(0, server:stats().slow_total)
    server:close()
  end)
end)
