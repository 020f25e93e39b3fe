-- SPDX-License-Identifier: MIT
-- A state's last finalizers run when no task of it can any more.
local helper = require "spec.helper"

it("a finalizer that spawns when its state is closed is told so", function()
  local server = helper.serve [[
    held = setmetatable({}, { __gc = function() sse.spawn(print, "never") end })
  ]]
  server:reload [[app:get("/", function() return "new" end)]]
  assert.matches("no task can start: its application has ended", server:log())
  server:close()
end)
