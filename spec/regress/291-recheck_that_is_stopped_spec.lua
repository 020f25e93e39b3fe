-- SPDX-License-Identifier: MIT
-- A recheck that limits.burst stopped took the task that asks along with it: the client stayed, and nobody asked again.
local helper = require "spec.helper"

describe("a recheck that is stopped", function()
  local server

  local function serve(more)
    server = helper.serve(([[
local calls = 0
app:get("/", function()
  return sse.reply(sse.never(), { every = 30, recheck = function() calls = calls + 1 while true do end end%s })
end)
app:get("/calls", function() return tostring(calls) end)]]):format(more), { watch = true, settings = { limits = { burst = 0.05 } } })
    return server:get "/"
  end
  after_each(function() server:close() end)

  it("has failed, so the stream ends", function()
    local res = serve ""
    server:advance(37)
    assert.is_true(res:has_ended())
    local events = res:events()
    assert.equal("kick", events[#events].event)
    assert.truthy(server:log():find "limits.burst")
    server:advance(100)
    assert.equal("1", (server:get("/calls"):body()))
    assert.equal(0, server:stats().tasks)
  end)

  it("is asked again where failures keep the stream, until that ends", function()
    local res = serve ", recheck_error = 'keep'"
    server:advance(37)
    assert.is_false(res:has_ended())
    server:advance(37)
    assert.is_false(res:has_ended())
    assert.equal("2", (server:get("/calls"):body()))
    res:close()
    server:advance(100)
    assert.equal("2", (server:get("/calls"):body()))
    assert.equal(0, server:stats().tasks)
  end)
end)
