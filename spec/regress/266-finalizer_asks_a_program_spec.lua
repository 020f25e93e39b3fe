-- SPDX-License-Identifier: MIT
-- The number of a program that its state had let go of, asked for in a finalizer, ended the server.
local helper = require "spec.helper"

local APP = [[
local held = {}
app:get("/", function()
  local program = require("spate.process").spawn({ "sleep", "60" }).program
  held.program = program
  held.last = setmetatable({}, { __gc = function() spate.shared("seen"):set("pid", tostring(program:pid())) end }) -- finalized first
  return tostring(program:pid() > 1)
end)
app:get("/seen", function() return spate.shared("seen"):get "pid" end)
]]

it("a program that is let go of has no number", function()
  local server = helper.serve(APP)
  assert.equal("true", (server:get("/"):body()))
  assert(server:reload(APP))
  server:turn()
  assert.equal("nil", (server:get("/seen"):body()))
  server:wait(function() return server:stats().processes == 0 end)
  server:close()
end)
