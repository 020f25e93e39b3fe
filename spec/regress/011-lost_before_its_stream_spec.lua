-- SPDX-License-Identifier: MIT
-- A subscription that fell behind before a stream took it over stayed open, subscribed to nothing.
local helper = require "spec.helper"

describe("a subscription that fell behind before its reply", function()
  local server

  local function serve(handler)
    server = helper.serve([[
      local ch = sse.channel("a", { queue = 4, history = 2 })
      app:post("/publish", function() for i = 1, 5 do ch:publish(i) end return reply.status(204) end)
      app:get("/", function() ]] .. handler .. " end)")
  end

  for what, stream in pairs { ["a subscription"] = "ch:subscribe()", ["a snapshot"] = "ch:snapshot(function() return 'all' end)" } do
    it("is cut as any slow client: " .. what, function()
      serve(("local s = %s sse.sleep(1) return sse.reply(s)"):format(stream))
      local client = server:connect()
      local res = server:get("/", { client = client })
      server:post "/publish"
      server:advance(1)
      assert.equal(200, res:status())
      assert.is_false(res:has_ended())
      assert.not_equal("open", client:state())
      assert.equal(1, server:stats().slow_total)
      assert.is_true(server:log():find("reason=slow_consumer", 1, true) ~= nil)
      server:close()
    end)
  end
end)
