-- SPDX-License-Identifier: MIT
-- Streams that old code opens when its streams have been told to end already.
local helper = require "spec.helper"

local OLD = [[
  app:get("/", function() sse.sleep(2) return sse.reply(sse.interval(1)) end)
  app:get("/raw", function()
    sse.sleep(2)
    return reply.stream(function(write) while write "x" do sse.sleep(1) end end)
  end)
]]
local NEW = [[app:get("/", function() return "new" end)]]

local function check(options, wait)
  local server = helper.serve(OLD, options)
  local events, raw = server:get "/", server:get "/raw"
  server:reload(NEW)
  server:advance(wait)
  assert.equal("reload", events.client:reason())
  assert.is_true(events:has_ended())
  assert.matches("retry: %d+\n", (events:body()))
  assert.equal("reload", raw.client:reason())
  assert.is_false(raw:has_ended())
  assert.equal(1, server:stats().generations)
  server:close()
end

describe("a stream that old code opens late", function()
  it("ends at once in development", function() check({ dev = true }, 2) end)

  it("ends at once where the old code's time is over", function()
    check({ settings = { reload = { max_age = 1 }, shutdown = { window = 0.1 } } }, 2)
  end)
end)
