-- SPDX-License-Identifier: MIT
-- Lua runs no finalizer of what other finalizers make while a state is closed.
local helper = require "spec.helper"

local APP = [[
held = setmetatable({}, { __gc = function()
  sse.channel("last", { history = 9 }):publish "words"
  sse.channel.find "last"
  spate.shared "opened"
end })
app:get("/", function() return { channels = spate.stats().channels, bytes = spate.stats().shared_bytes } end)
]]

it("what a finalizer opens while its state is closed is given back", function()
  local events = helper.harness.events()
  local server = helper.serve(APP)
  server:close()
  assert.equal(events, helper.harness.events())
end)

it("also where another state goes on", function()
  local server = helper.serve(APP)
  local before = server:get("/"):json().bytes
  server:reload [[
    app:get("/", function()
      sse.channel "other" -- opening one lets go of those that nobody needs any more
      return { channels = spate.stats().channels, bytes = spate.stats().shared_bytes }
    end)
  ]]
  server:advance(3700) -- the history's ttl
  assert.same({ channels = 1, bytes = before }, server:get("/"):json())
  server:close()
end)
