-- SPDX-License-Identifier: MIT
-- Events of another server that a script held were let go of with its state only, which is after its worker's loop, on another
-- thread: what its client had freed by then was used.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local APP = [[
local http = require "spate.http"
local held = {}
app:get("/", function()
  held.events = http.get("http://up.example/x"):events()
  held.last = setmetatable({}, { __gc = function() spate.shared("seen"):set("open", spate.stats().http_requests) end }) -- finalized first
  return tostring(spate.stats().http_requests)
end)
app:get("/seen", function() return tostring(spate.shared("seen"):get "open") end)
]]

it("events that are held are closed before their state leaves its loop", function()
  local up = t.http.stub("GET", "http://up.example/x", { events = { "a" }, open = true })
  local server = helper.serve(APP, { stubs = session.stubs })
  assert.equal("1", (server:get("/"):body()))
  assert.is_false(up.closed)
  assert(server:reload(APP))
  server:turn()
  assert.is_true(up.closed)
  assert.equal("0", (server:get("/seen"):body()))
  server:close()
end)
