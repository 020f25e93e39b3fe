-- SPDX-License-Identifier: MIT
-- Where a handler held a subscription for a while, and more came than its queue holds, "drop_oldest" dropped the `event: reset` in front as
-- well: who had come back to a history that no longer had it was not told. Seed 15 of the simulator, with two hours.
local helper = require "spec.helper"

describe("a subscription that drops the oldest", function()
  for _, policy in ipairs { "drop_oldest", "conflate" } do
    it("keeps the reset in front of what it holds, by " .. policy, function()
      local server = helper.serve(([[
        local ch = sse.channel("c", { history = 2, queue = 3, on_full = %q, key = function(event) return event.data end })
        app:post("/", function(req) return ch:publish { data = req:body() } end)
        app:get("/", function(req)
          local sub = ch:subscribe { after = req.last_event_id }
          sse.sleep(1)
          return sse.reply(sub)
        end)]]):format(policy))
      local first = server:post("/", { body = "0" }):body()
      for i = 1, 3 do server:post("/", { body = tostring(i) }) end
      local res = server:get("/", { headers = { ["Last-Event-ID"] = first } })
      for i = 4, 20 do server:post("/", { body = tostring(i) }) end
      server:advance(1)
      local data = {}
      for i, event in ipairs(res:events()) do data[i] = event.event or event.data end
      assert.equal("reset 16 17 18 19 20", table.concat(data, " "))
      server:close()
    end)
  end
end)
