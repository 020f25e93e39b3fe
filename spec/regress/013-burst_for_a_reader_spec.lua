-- SPDX-License-Identifier: MIT
-- A burst of more than `queue` events in one turn cut readers in Lua that had kept up, where those in C were not.
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("a burst of more events than the queue holds", function()
  it("reaches a reader in Lua that has kept up", function()
    local server = helper.serve(channels.APP)
    channels.run(server, 'ch = sse.channel("a", { queue = 4 })')
    local mapped = channels.subscribe(server, "a", { query = "?lua=1" })
    local plain = channels.subscribe(server, "a")
    for _ = 1, 3 do channels.run(server, "for i = 1, 100 do ch:publish(i) end") end
    assert.equal(300, #plain:data())
    assert.same(plain:data(), mapped:data())
    assert.equal(0, server:stats().slow_total)
    server:close()
  end)

  it("does not help one that has not read what came before", function()
    local server = helper.serve(channels.APP .. [[
      app:get("/slow", function()
        return sse.reply(sse.channel("a"):subscribe():map(function(event) sse.sleep(1) return event end))
      end)]])
    channels.run(server, 'ch = sse.channel("a", { queue = 4 })')
    local client = server:connect()
    local res = server:get("/slow", { client = client })
    channels.run(server, "for i = 1, 10 do ch:publish(i) end")
    server:advance(3)
    assert.equal("open", client:state())
    channels.run(server, "for i = 1, 5 do ch:publish(i) end")
    server:advance(30)
    assert.not_equal("open", client:state())
    assert.is_false(res:has_ended())
    server:close()
  end)
end)
