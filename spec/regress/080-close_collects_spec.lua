-- SPDX-License-Identifier: MIT
-- A client that is too slow is cut while its channel hands out an event. What is set off by that must not run Lua
-- there: a collection frees subscriptions, which the channel is about to come to.
local helper = require "spec.helper"

local APP = [[
  collectgarbage "stop"
  local ch, dropped = sse.channel("a", { queue = 1 }), {}
  function _G.publish() ch:publish "x" end
  function _G.collect_at_each_allocation()
    dropped = nil
    collectgarbage("incremental", 1, 1000, 31)
    collectgarbage "restart"
  end
  app:get("/slow", function(req)
    req:on_close(function(reason) spate.log.info("closed: " .. reason) end)
    return sse.reply(ch:subscribe())
  end)
  app:get("/dropped", function()
    for _ = 1, 3 do dropped[#dropped + 1] = ch:subscribe() end
    return "ok"
  end)
]]

describe("a slow client with on_close, beside subscriptions that were dropped", function()
  it("ends alone, and its on_close functions run", function()
    local server = helper.serve(APP)
    local clients = {}
    for i = 1, 4 do
      clients[i] = server:connect()
      server:send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", clients[i]):raw()
      clients[i]:window(0)
      server:get("/dropped"):close()
    end
    server.core:run "publish()"
    server:turn()
    server.core:run "publish() collect_at_each_allocation()"
    server:turn()
    assert.equal(4, select(2, server:log():gsub("closed: slow_consumer", "")))
    for i = 1, 4 do assert.equal("slow_consumer", clients[i]:reason()) end
    server:close()
  end)

  it("may end together with the server", function()
    local server = helper.serve(APP)
    local res = server:get "/slow"
    assert.equal(200, res:status())
    server.core:close()
  end)
end)
