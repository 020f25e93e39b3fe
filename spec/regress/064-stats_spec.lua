-- SPDX-License-Identifier: MIT
-- spate.stats() is the process's: what its workers count is summed, and generations are those whose states are not
-- closed yet.
local helper = require "spec.helper"

local APP = [[
app:get("/", function() return "x" end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/hold", function() return sse.reply(function(send) send "a" sse.sleep(1000) end) end)
app:get("/stats", function() return spate.stats() end)
]]

it("spate.stats sums what the workers of a process have counted", function()
  local first = helper.serve(APP)
  local second = helper.serve(APP, { worker = 1, with = first.core })
  local before = first:get("/stats"):json()
  second:get "/"
  second:get "/"
  local never = second:get "/never"
  first:get "/"
  local stats = first:get("/stats"):json()
  assert.equal(before.requests_total + 5, stats.requests_total)
  assert.equal(1, stats.streams)
  assert.truthy(stats.lua_bytes > 1.5 * first:stats().lua_bytes)
  assert.same(stats.requests_total + 1, second:get("/stats"):json().requests_total)
  never:close()
  second:close()
  first:close()
end)

it("spate.stats counts the generations whose states are not closed yet", function()
  local server = helper.serve(APP)
  local hold = server:get "/hold"
  for n = 2, 3 do
    assert.is_true(server:reload(APP))
    assert.equal(n == 2 and 2 or 2, server:get("/stats"):json().generations)
  end
  local again = server:get "/hold"
  assert.is_true(server:reload(APP))
  local stats = server:get("/stats"):json()
  assert.same({ 3, 4 }, { stats.generations, stats.generation })
  assert.truthy(stats.tasks >= 2)
  hold:close()
  again:close()
  assert.equal(1, server:get("/stats"):json().generations)
  server:close()
end)

it("spate.stats of old code tells the generation that is served", function()
  local server = helper.serve [[
    app:get("/wait", function() sse.sleep(1) return spate.stats() end)
  ]]
  local res = server:get "/wait"
  server:reload(APP)
  server:advance(1)
  assert.equal(2, res:json().generation)
  server:close()
end)
