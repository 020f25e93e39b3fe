-- SPDX-License-Identifier: MIT
-- A derived channel's task that had no memory to begin with left whoever had begun it waiting for ever.
local helper = require "spec.helper"

local ONCE = 2 -- Lua tries each allocation twice

describe("a derived channel that starts without memory", function()
  it("fails whoever has begun it, and starts with the next", function()
    local n, has_ended = 0, false
    while not has_ended do
      local server = helper.serve [[
        local news = sse.channel("news", { history = 20 })
        local upper = news:derive(function(ev) return { data = ev.data:upper() } end)
        app:on_start(function() news:publish { data = "a" } end)
        app:post("/news", function(req) return news:publish { data = req:body() } end)
        app:get("/upper", function() return sse.reply(upper:subscribe { replay = 5 }) end)
      ]]
      server.core:fail_allocation(n, ONCE)
      local first = server:get "/upper"
      has_ended = server.core:fail_allocation(0, 0) == ONCE
      assert(first:status(), ("allocation %d: no answer\n%s"):format(n, server:log()))
      local second = server:get "/upper"
      server:post("/news", { body = "b" })
      local events = second:events()
      assert.equal("B", events[1] and events[#events].data, ("allocation %d: %s"):format(n, second:raw()))
      server.core:close()
      n = n + 1
    end
    assert.is_true(n > 50)
  end)
end)
