-- SPDX-License-Identifier: MIT
-- A member stayed for ever where memory ran short behind its join, before anything was there to let go of it; or as it was closed, since
-- its leaving took memory, and what had failed once was not tried again. Seed 202611270805 of the simulator.
local helper = require "spec.helper"

local APP = [[
  sse.channel("lost", { history = 0 })
  app:post("/drop", function() sse.channel("lost"):join("f") return "" end)
  app:post("/close", function()
    local _me <close> = sse.channel("lost"):join("f")
    return ""
  end)
  app:get("/members", function()
    for _ = 1, 2 do collectgarbage() end
    local channel = sse.channel.find "lost"
    return tostring(channel and #channel:members() or 0)
  end)]]

describe("a member for whom memory ran short", function()
  for _, path in ipairs { "/drop", "/close" } do
    it("leaves, asked by " .. path, function()
      local server, n, left, has_failed = helper.serve(APP), 0, {}
      server:post(path)
      repeat
        n = n + 1
        server.core:fail_allocation(n, 2)
        server:post(path)
        server:turn()
        has_failed = server.core:fail_allocation(0, 0) < 2
        if server:get("/members"):body() ~= "0" then left[#left + 1] = n end
      until not has_failed
      assert.same({}, left)
      assert.is_true(n > 10)
      server:close()
    end)
  end
end)
