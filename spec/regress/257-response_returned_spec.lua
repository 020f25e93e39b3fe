-- SPDX-License-Identifier: MIT
-- A handler that returned another server's response heard of a table that is not JSON; sse.reply of one, of a table.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local APP = [[
local http = require "spate.http"
app:get("/res", function() return http.get "http://up.example/x" end)
app:get("/sse", function() return sse.reply((http.get "http://up.example/x")) end)
app:get("/nil", function() return sse.reply(http.events "http://up.example/none") end)
]]

describe("a response that is returned", function()
  for path, message in pairs {
    ["/res"] = "returned a response of another server; reply.pass(res) answers with it",
    ["/sse"] = "sse.reply: expected a stream, got a response; res:events() is one",
    ["/nil"] = "sse.reply: expected a stream, got nil; what asks other servers returns nil, message and code where they fail",
  } do
    it("is told what to do with it: " .. path, function()
      t.http.stub("GET", "http://up.example/x", { body = "a" })
      t.http.stub("GET", "http://up.example/none", { status = 404 })
      local server = helper.serve(APP, { stubs = session.stubs })
      assert.equal(500, server:get(path):status())
      assert.matches(message, server:log(), 1, true)
      server:close()
    end)
  end
end)
