-- SPDX-License-Identifier: MIT
-- A finalizer that publishes may run after the channel's handle has been finalized in the same collection.
local helper = require "spec.helper"

it("a finalizer that uses a channel collected before it gets an error", function()
  local server = helper.serve [[
    app:get("/", function()
      do
        local last = setmetatable({}, { __gc = function(o) o.channel:publish "bye" end })
        last.channel = sse.channel "news" -- made later, so finalized earlier
      end
      collectgarbage() collectgarbage()
      return "alive"
    end)
  ]]
  assert.equal("alive", (server:get("/"):body()))
  assert.matches("the channel has been collected", server:log())
  server:close()
end)
