-- SPDX-License-Identifier: MIT
-- A subscription that fell behind where a task of a combinator read it ended without a word, as if the channel had.
local helper = require "spec.helper"

describe("a subscription that falls behind", function()
  local STREAMS = {
    each = "function(send) for event in ch:subscribe():each() do send(event) sse.sleep(30) end end",
    map = "ch:subscribe():map(function(event) sse.sleep(30) return event end)",
    merge = "sse.merge(ch:subscribe(), sse.never()):map(function(event) sse.sleep(30) return event end)",
    batch = "ch:subscribe():batch(2):map(function(list) sse.sleep(30) return list[1] end)",
    debounce = "ch:subscribe():debounce(1):map(function(event) sse.sleep(30) return event end)",
    timeout = "ch:subscribe():timeout(60):map(function(event) sse.sleep(30) return event end)",
    chain = "sse.merge(ch:subscribe():map(function(event) return event end)):chain(sse.once('end')):map(function(e) sse.sleep(30) return e end)",
  }
  for name, stream in pairs(STREAMS) do
    it("has its client cut as slow, behind " .. name, function()
      local server = helper.serve(([[
        local ch = sse.channel("a", { queue = 4 })
        app:post("/publish", function() for i = 1, 3 do ch:publish(i) end return reply.status(204) end)
        app:get("/", function() return sse.reply(%s) end)]]):format(stream))
      local client = server:connect()
      local res = server:get("/", { client = client })
      for _ = 1, 20 do
        server:post "/publish"
        server:advance(2)
      end
      server:advance(1200)
      assert.is_false(res:has_ended())
      assert.not_equal("open", client:state())
      assert.is_true(server:log():find("reason=slow_consumer", 1, true) ~= nil, server:log())
      assert.is_nil(server:log():find("level=error", 1, true), server:log())
      assert.equal(1, server:stats().slow_total)
      server:close()
    end)
  end

  it("raises in a task of its own, which can go on", function()
    local server = helper.serve [[
      local ch = sse.channel("a", { queue = 4 })
      app:on_start(function()
        sse.spawn(function()
          local sub = ch:subscribe()
          sse.sleep(1)
          local ok, err = pcall(function() for _ in sub:each() do end end)
          said = tostring(ok) .. " " .. tostring(err)
        end)
      end)
      app:post("/publish", function() for i = 1, 5 do ch:publish(i) end return reply.status(204) end)
      app:get("/said", function() return said end)]]
    server:turn()
    server:post "/publish"
    server:advance(1)
    local said = server:get("/said"):body()
    assert.is_truthy(said:find("false ", 1, true))
    assert.is_truthy(said:find("more than 4 events wait", 1, true), said)
    server:close()
  end)
end)
