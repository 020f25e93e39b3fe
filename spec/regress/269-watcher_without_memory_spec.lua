-- SPDX-License-Identifier: MIT
-- The channel of a resumable stream stayed for ever where the task that was to drop it had no memory to do so.
local helper = require "spec.helper"

local APP = [[
app:get("/r", function()
  return sse.reply(sse.resumable("key", function(send) send "a" sse.sleep(1) send "b" end, { linger = 1, ttl = 1 }))
end)
]]

local ONCE, FOR_GOOD = 2, 1000000 -- Lua tries each allocation twice

describe("a resumable stream for which there is no memory", function()
  -- `count` allocations fail from the n-th on: of the request, or of what goes on behind it.
  local function run(n, count, at_start)
    local server = helper.serve(APP)
    if at_start then server.core:fail_allocation(n, count) end
    local res = server:get "/r"
    local has_ended = at_start and server.core:fail_allocation(0, 0) == count
    server:advance(0.5)
    if not at_start then server.core:fail_allocation(n, count) end
    res:close()
    server:advance(10)
    has_ended = has_ended or not at_start and server.core:fail_allocation(0, 0) == count
    server:advance(10)
    local stats = server.core:run [[local s = require("spate").stats() return s.channels .. " channels, " .. s.tasks .. " tasks"]]
    assert.equal("0 channels, 0 tasks", stats, ("allocation %d"):format(n))
    server.core:close()
    return has_ended
  end

  for what, count in pairs { ["once"] = ONCE, ["from there on"] = FOR_GOOD } do
    it("leaves no channel, wherever it is missing " .. what .. " as it begins", function()
      local n = 0
      while not run(n, count, true) do n = n + 1 end
      assert(n > 20, n)
    end)

    it("leaves no channel, wherever it is missing " .. what .. " later", function()
      local n = 0
      while not run(n, count, false) do n = n + 1 end
      assert(n > 5, n)
    end)
  end
end)
