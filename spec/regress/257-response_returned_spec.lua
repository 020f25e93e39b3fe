-- SPDX-License-Identifier: MIT
-- A handler that returned another server's response heard of a table that is not JSON; sse.reply of one, of a table; and
-- what was to be made of a failure, of nil or of its options.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local APP = [[
local http = require "spate.http"
app:get("/res", function() return http.get "http://up.example/x" end)
app:get("/sse", function() return sse.reply((http.get "http://up.example/x")) end)
app:get("/none", function() return reply.pass(http.get "http://up.example/gone") end)
app:get("/nil", function() return sse.reply(http.events "http://up.example/none") end)
]]

describe("a response that is returned", function()
  for path, message in pairs {
    ["/res"] = "returned a response of another server; reply.pass(res) answers with it",
    ["/sse"] = "sse.reply: expected a stream, got a response; res:events() is one",
    ["/nil"] = "sse.reply: expected a stream, got nil: http://up.example/none: status 404",
    ["/none"] = "reply.pass: expected a response of spate.http, got nil: GET http://up.example/gone: the stub's error: refused",
  } do
    it("is told what to do with it: " .. path, function()
      t.http.stub("GET", "http://up.example/x", { body = "a" })
      t.http.stub("GET", "http://up.example/none", { status = 404 })
      t.http.stub("GET", "http://up.example/gone", { error = "refused" })
      local server = helper.serve(APP, { stubs = session.stubs })
      assert.equal(500, server:get(path):status())
      assert.matches(message, server:log(), 1, true)
      server:close()
    end)
  end
end)
