-- SPDX-License-Identifier: MIT
-- limits.tasks refuses what begins: not the task in which a stream goes on, nor the one that cleans up behind it.
local helper = require "spec.helper"

describe("where there are as many tasks as limits.tasks allows", function()
  local server
  before_each(function()
    server = helper.serve([[
      local function fill() while pcall(sse.spawn, sse.sleep, 3600) do end end
      app:get("/fill", fill)
      app:on_stop(function() spate.log.info "stopped" end)
      app:get("/stream", function(req)
        req:on_close(function(reason) spate.log.info("closed: " .. reason) end)
        return sse.reply(function(send) send "one" sse.sleep(1) send "two" end)
      end)
      app:get("/raw", function() return reply.stream(function(write) write "raw" end) end)
      app:get("/late", function(req)
        sse.spawn(function()
          sse.sleep(1)
          fill()
          req:on_close(function(reason) spate.log.info("late: " .. reason) end)
        end)
        return "over"
      end)
    ]], { settings = { limits = { tasks = 5 } } })
  end)
  after_each(function() server.core:close() end)

  it("a function streams to its end, and its on_close functions run", function()
    server:get "/fill"
    local res = server:get "/stream"
    server:advance(2)
    assert.same({ "one", "two" }, res:data())
    assert.is_true(res:has_ended())
    assert.matches("closed: finished", server:log())
  end)

  it("a client may leave, and on_close functions run", function()
    server:get "/fill"
    server:get("/stream"):close()
    assert.matches("closed: client_closed", server:log())
  end)

  it("a raw stream is written", function()
    server:get "/fill"
    local res = server:get "/raw"
    assert.equal("raw", (res:body()))
    assert.is_true(res:has_ended())
  end)

  it("on_stop functions run", function()
    server:get "/fill"
    assert(server:reload 'app:get("/", function() return "new" end)')
    assert.matches("stopped", server:log())
  end)

  it("on_close runs what comes after the end", function()
    server:get("/late"):close()
    server:advance(2)
    assert.matches("late: finished", server:log())
  end)
end)
