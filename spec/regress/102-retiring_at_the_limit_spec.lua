-- SPDX-License-Identifier: MIT
-- What old code does at its end is not new work: limits.tasks does not refuse it.
local helper = require "spec.helper"

local SETTINGS = { limits = { tasks = 2 }, reload = { max_age = 5 } }

it("on_stop functions run while there are as many tasks as may be", function()
  local server = helper.serve([[
    app:on_stop(function() spate.log.info "stopped" end)
    app:get("/", function() sse.sleep(1) return "late" end)
  ]], { settings = SETTINGS })
  local first, second = server:get "/", server:get "/"
  server:reload [[app:get("/", function() return "new" end)]]
  assert.matches("stopped", server:log())
  server:advance(1)
  assert.equal("late", (first:body()))
  assert.equal("late", (second:body()))
  server:close()
end)

it("nor does a derived channel keep its state then", function()
  local server = helper.serve([[
    local upper = sse.channel("news"):derive(function(event) return { data = event.data:upper() } end)
    app:get("/", function() return sse.reply(upper:subscribe()) end)
    app:get("/other", function() return sse.reply(sse.interval(1):map(function(n) return n end)) end)
  ]], { settings = SETTINGS })
  local res, other = server:get "/", server:get "/other"
  assert.equal(2, server:stats().tasks)
  server:reload [[app:get("/", function() return "new" end)]]
  res:close()
  other:close()
  server:advance(10)
  assert.equal(1, server:stats().generations)
  server:close()
end)
