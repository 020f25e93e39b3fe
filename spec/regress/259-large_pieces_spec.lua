-- SPDX-License-Identifier: MIT
-- What an iterator returned for a body was copied whole into the buffer of what waits to be sent, whatever its size, and
-- moved there with each piece that the server took.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

it("a large piece of a body waits in pieces", function()
  local up = t.http.stub("POST", "http://up.example/x", { body = "ok" })
  local server = helper.serve([[
local http = require "spate.http"
local core = require "spate.core"
local largest, send = 0, core.http_send
core.http_send = function(handle, piece, later)
  largest = math.max(largest, #piece)
  return send(handle, piece, later)
end
app:get("/", function()
  local pieces = { ("x"):rep(1000000), "", "y" }
  local i = 0
  assert(http.post("http://up.example/x", { body = function() i = i + 1 return pieces[i] end }))
  return tostring(largest)
end)]], { stubs = session.stubs })
  assert.same({ tostring(64 * 1024), true }, { server:get("/"):body() })
  assert.equal(("x"):rep(1000000) .. "y", up.requests[1].body)
  server:close()
end)
