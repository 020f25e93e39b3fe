-- SPDX-License-Identifier: MIT
-- A finalizer that fails for lack of memory is not run again.
local helper = require "spec.helper"

it("what its finalizer did not let go of goes with the state", function()
  local server = helper.serve [[
    app:get("/open", function()
      for i = 1, 20 do sse.channel("lost" .. i) end
      coroutine.wrap(function() collectgarbage() end)()
    end)
  ]]
  for n = 0, 200 do
    server.core:fail_allocation(n, 1000)
    server:get("/open"):close()
  end
  server.core:fail_allocation(0, 0)
  server:reload [[
    app:get("/", function()
      sse.channel "other" -- opening one lets go of those that nobody needs any more
      return { channels = spate.stats().channels }
    end)
  ]]
  server:advance(60)
  assert.same({ channels = 1 }, server:get("/"):json())
  server:close()
end)
