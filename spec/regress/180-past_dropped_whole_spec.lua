-- SPDX-License-Identifier: MIT
-- A task that was behind lost all of the past that it was to replay for one live event too many: what was dropped made the
-- bound as much smaller as it made room.
local channels = require "spec.channels"
local helper = require "spec.helper"

it("one event too many costs a subscriber's task one of the oldest, not all of the past", function()
  local server = helper.serve(channels.APP .. [[
    app:get("/late", function(req)
      local sub = sse.channel("a", { history = 10 }):subscribe { replay = "all" }
      sse.sleep(1)
      local list = {}
      for event in sub do
        if event.event == "end" then return table.concat(list, " ") end
        list[#list + 1] = event.data
      end
    end)]])
  channels.run(server, "ch = sse.channel('a', { queue = 3, history = 10, on_full = 'drop_oldest' }) for i = 1, 10 do ch:publish(i) end")
  local res = server:get "/late"
  channels.run(server, "for i = 11, 13 do ch:publish(i) end ch:publish { event = 'end', data = 'x' }")
  server:advance(1)
  assert.equal("2 3 4 5 6 7 8 9 10 11 12 13", (res:body()))
  assert.equal(1, channels.run(server, "return spate.stats().dropped_total"))
  server:close()
end)
