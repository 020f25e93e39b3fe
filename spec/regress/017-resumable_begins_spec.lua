-- SPDX-License-Identifier: MIT
-- A resumable stream whose beginning failed left a channel that nobody filled, and a producer that was stopped left
-- its clients waiting for `ttl` seconds.
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("sse.resumable", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function serve(fn, options, limits)
    server = helper.serve(channels.APP .. ([[
      tasks = {}
      app:get("/r", function(req) return sse.reply(sse.resumable("k", %s, %s)) end)
      app:post("/task", function() tasks[#tasks + 1] = sse.spawn(sse.sleep, 1000) return "" end)
      app:post("/cancel", function() for _, task in ipairs(tasks) do task:cancel() end return "" end)]]):format(fn, options or "{}"),
      { watch = true, settings = { limits = limits } })
  end

  after_each(function()
    server:advance(200)
    server:close()
  end)

  for room = 0, 1 do
    it(("leaves nothing behind where %d of its tasks can start"):format(room), function()
      serve("function(send) send 'a' sse.sleep(5) end", "{ linger = 0 }", { tasks = 4 })
      for _ = 1, 3 - room do server:post "/task" end
      assert.equal(500, server:get("/r"):status())
      assert.equal(0, run "return spate.stats().channels")
      server:post "/cancel"
      local res = server:get "/r"
      assert.same({ "a" }, res:data())
      res:close()
    end)
  end

  it("leaves nothing behind where an option is wrong", function()
    serve("function(send) send 'a' end", "{ after = 5 }")
    assert.equal(500, server:get("/r"):status())
    assert.equal(0, run "return spate.stats().channels")
  end)

  it("ends for its clients at once where its producer is stopped", function()
    serve("function(send) send 'a' sse.sleep(1) while true do end end", "{ ttl = 60 }", { burst = 0.02 })
    local res = server:get "/r"
    server:advance(1)
    assert.same({ "a", "error" }, channels.names(res))
    assert.is_true(res:has_ended())
  end)

  it("lingers for less than a second where that is asked for", function()
    serve("function(send) local _ <close> = setmetatable({}, { __close = function() ended = sse.now() end }) sse.sleep(100) end",
      "{ linger = 0.25 }")
    local res = server:get "/r"
    server:advance(10.1)
    res:close()
    server:advance(0.3)
    local ended = run "return ended"
    assert.is_true(ended and ended > 10.34 and ended < 10.4, tostring(ended))
  end)
end)
