-- SPDX-License-Identifier: MIT
-- Who waited for the next event of a stream that a client then got, and was collected, was told of its end.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local APP = [[
local http = require "spate.http"
local task
local seen = {}
app:get("/", function(req)
  local events = http.get("http://up.example/x"):events()
  task = sse.spawn(function() for e in events:each() do seen[#seen + 1] = e.data end seen[#seen + 1] = "over" end)
  sse.sleep(1)
  return sse.reply(events)
end)
app:get("/seen", function()
  collectgarbage()
  collectgarbage()
  return table.concat(seen, ",")
end)
]]

it("events that a client gets leave who waits for them", function()
  t.http.stub("GET", "http://up.example/x", { events = { { data = "a" }, { after = 5, data = "b" } }, open = true })
  local server = helper.serve(APP, { stubs = session.stubs })
  local client = server:get "/"
  server:advance(1)
  assert.same({ "a,over", true }, { server:get("/seen"):body() })
  server:get "/seen"
  server:advance(5)
  assert.same({ "b" }, client:data())
  client:close()
  server:close()
end)
