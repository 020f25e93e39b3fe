-- SPDX-License-Identifier: MIT
-- Streams that were cut because their channel's store had lost events were logged and counted as those of slow clients.
local helper = require "spec.helper"

local APP = [[
app:get("/read", function(req)
  local sub = sse.channel("a", { history = 100 }):subscribe()
  return sse.reply(req.query.lua and sub:map(function(event) return event end) or sub)
end)
app:post("/publish", function(req) return sse.channel("a", { history = 100 }):publish(req:body()) end)
]]

for _, query in ipairs { "", "?lua=1" } do
  describe("a subscriber of what its store has lost " .. query, function()
    local server, store

    before_each(function()
      server = helper.serve(APP, { store = true })
      store = server.core:store()
    end)
    after_each(function() server:close() end)

    local function run_all()
      repeat
        local done = store:carry_out()
        server:turn()
      until done == 0
    end

    it("is cut, and is not told to be slow", function()
      local res = server:get("/read" .. query)
      run_all()
      server:post("/publish", { body = "1" })
      run_all()
      assert.same({ "1" }, res:data())
      store:put("a", "never comes")
      store:give_up "a"
      server:turn()
      server:turn()
      assert.is_false(select(2, res:body()))
      assert.not_equal("open", res.client:state())
      assert.match("reason=error", server:log(), 1, true)
      assert.is_nil(server:log():find("slow", 1, true))
      assert.equal(0, server:stats().slow_total)
    end)
  end)
end
