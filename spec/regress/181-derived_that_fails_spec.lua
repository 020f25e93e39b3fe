-- SPDX-License-Identifier: MIT
-- A derived channel whose task had failed ended as one whose source is finished: its streams had a clean end, and whoever
-- had waited for what history had got a stream without events. They are cut now, as those of one who falls behind.
local helper = require "spec.helper"

local ONCE = 2 -- Lua tries each allocation twice

local APP = [[
  local news = sse.channel("news", { history = 20 })
  local upper = news:derive(function(ev) return { data = ev.data:upper() } end)
  app:post("/news", function(req) return news:publish { data = req:body() } end)
  app:get("/upper", function(req) return sse.reply(upper:subscribe { after = req.last_event_id, replay = 5 }) end)
  app:post("/finish", function() news:finish() return "" end)
]]

describe("a derived channel whose task fails", function()
  it("cuts its streams, whatever allocation fails, and starts with the next", function()
    local n, has_ended, cuts = 0, false, 0
    while not has_ended do
      local server = helper.serve(APP)
      local reader = server:get "/upper"
      server:post("/news", { body = "a" })
      assert.equal("A", reader:events()[1].data)
      server.core:fail_allocation(n, 2 * ONCE) -- that it failed cannot be told either
      server:post("/news", { body = "b" })
      has_ended = server.core:fail_allocation(0, 0) == 2 * ONCE
      assert.is_false(reader:has_ended(), ("allocation %d: a clean end\n%s"):format(n, server:log()))
      if reader.client:state() ~= "open" then cuts = cuts + 1 end
      local second = server:get "/upper"
      server:post("/news", { body = "c" })
      local events = second:events()
      assert.equal("C", events[1] and events[#events].data, ("allocation %d: %s"):format(n, second:raw()))
      server.core:close()
      n = n + 1
    end
    assert.is_true(cuts > 0)
  end)

  it("ends them as before once its source is finished", function()
    local server = helper.serve(APP)
    local reader = server:get "/upper"
    server:post "/finish"
    assert.is_true(reader:has_ended())
    server.core:close()
  end)
end)
