-- SPDX-License-Identifier: MIT
-- A recheck that waited for ever let its client stay for ever: nobody asked again.
local helper = require "spec.helper"

describe("a recheck that does not answer", function()
  local server

  local function serve(more)
    server = helper.serve(([[
local calls = 0
app:get("/", function()
  return sse.reply(sse.never(), { every = 30, recheck = function() calls = calls + 1 sse.sleep(1e6) return true end%s })
end)
app:get("/calls", function() return tostring(calls) end)]]):format(more))
    return server:get "/"
  end
  after_each(function() server:close() end)

  it("has failed after a minute, so the stream ends", function()
    local res = serve ""
    server:advance(83)
    assert.is_false(res:has_ended())
    server:advance(15)
    assert.is_true(res:has_ended())
    local events = res:events()
    assert.equal("kick", events[#events].event)
    assert.truthy(server:log():find("recheck has not answered within 60 s", 1, true))
    assert.equal(0, server:stats().tasks)
  end)

  it("is asked again where failures keep the stream, and ends with that", function()
    local res = serve ", recheck_error = 'keep'"
    server:advance(193)
    assert.is_false(res:has_ended())
    assert.equal("2", (server:get("/calls"):body()))
    res:close()
    server:advance(1)
    assert.equal(0, server:stats().tasks)
  end)
end)
