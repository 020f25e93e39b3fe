-- SPDX-License-Identifier: MIT
-- The path "*" of OPTIONS was taken for "/" where it is looked up which mounted application answers: its hooks ran for what
-- asks about the server.
local helper = require "spec.helper"

it("what is asked of the whole server is no path of an application that is mounted at /", function()
  local server = helper.serve [[
    local inner = spate.app()
    inner:before(function() return reply.text("inner"):status(418) end)
    inner:get("/", function() return "page" end)
    app:mount("/", inner)]]
  finally(function() server:close() end)
  local res = server:send "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
  assert.equal(204, res:status())
end)
