-- SPDX-License-Identifier: MIT
-- Seed 513 of the simulator: who came back to a finished channel with all of it got a stream that ended at once where Lua transforms the
-- subscription, so browsers came again and again.
local helper = require "spec.helper"

local APP = [[
local news = sse.channel("news", { history = 10 })
local function same(event) return event end
local WAYS = {
  plain = function(s) return s end, map = function(s) return s:map(same) end, both = function(s) return s:filter(same):map(same) end,
  take = function(s) return s:take(100) end, skip = function(s) return s:skip(1) end, on_close = function(s) return s:on_close(function() closed = true end) end,
  start_with = function(s) return s:start_with "first" end,
}
app:get("/:way", function(req)
  return sse.reply(WAYS[req.params.way](news:subscribe { after = req.last_event_id, replay = "all" }))
end)
app:post("/", function() news:publish "one" return news:publish "two" end)
app:post("/finish", function() news:finish() return "" end)
]]

describe("a finished channel that has been read to its end", function()
  local server, last

  local function get(way, after)
    return server:get("/" .. way, { headers = { ["Last-Event-ID"] = after } })
  end

  before_each(function()
    server = helper.serve(APP)
    last = server:post("/"):body()
  end)

  after_each(function() server:close() end)

  for _, way in ipairs { "plain", "map", "both", "take", "skip", "on_close" } do
    it("is answered with 204 as " .. way, function()
      server:post "/finish"
      assert.equal(204, get(way, last):status())
    end)

    it("is a stream before that as " .. way, function()
      assert.equal(200, get(way, last):status())
    end)
  end

  it("has its functions of on_close run", function()
    server:post "/finish"
    get("on_close", last)
    assert.equal("true", server.core:run "return tostring(closed)")
  end)

  it("is a stream where there is something to read", function()
    server:post "/finish"
    assert.same({ "one", "two" }, get("map"):data())
    assert.same({ "first" }, get("start_with", last):data())
  end)
end)
