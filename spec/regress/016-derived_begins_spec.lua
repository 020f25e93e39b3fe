-- SPDX-License-Identifier: MIT
-- A derived channel was there before its task was, and an event that its function makes nothing of was an error of
-- each subscriber until it had left the history.
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("a derived channel", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function serve(fn, limits)
    server = helper.serve(channels.APP .. ([[
      source = sse.channel("a", { history = 10 })
      local derived = source:derive(%s)
      app:get("/d", function(req) return sse.reply(derived:subscribe { after = req.last_event_id, replay = "all" }) end)
      app:post("/task", function() task = sse.spawn(sse.sleep, 1000) return "" end)
      app:post("/cancel", function() task:cancel() return "" end)]]):format(fn), { watch = true, settings = { limits = limits } })
  end

  after_each(function()
    run "source:finish()"
    server:close()
  end)

  it("that cannot start its task begins with the next subscriber", function()
    serve("function(e) return e.data end", { tasks = 2 })
    run "source:publish 'a'"
    server:post "/task"
    assert.equal(500, server:get("/d"):status())
    assert.is_truthy(server:log():find("limits.tasks", 1, true))
    assert.equal(0, run "return source:count()")
    server:post "/cancel"
    local res = server:get "/d"
    run "source:publish 'b'"
    assert.same({ "a", "b" }, res:data())
  end)

  it("leaves out what its function makes that is no event, before and after it begins", function()
    serve "function(e) return e.data == 'bad' and { no_field = 1 } or e.data end"
    run "source:publish 'a' source:publish 'bad' source:publish 'b'"
    local res = server:get "/d"
    assert.equal(200, res:status())
    run "source:publish 'bad' source:publish 'c'"
    assert.same({ "a", "b", "c" }, res:data())
    local log = server:log()
    assert.equal(2, select(2, log:gsub("channel:derive", "")))
    assert.is_truthy(log:find("no_field", 1, true), log)
  end)

  it("leaves out what its function does not end for, before and after it begins", function()
    serve("function(e) while e.data == 'bad' do end return e.data end", { burst = 0.02 })
    run "source:publish 'a' source:publish 'bad' source:publish 'b'"
    local res = server:get "/d"
    assert.equal(200, res:status())
    run "source:publish 'bad' source:publish 'c'"
    assert.same({ "a", "b", "c" }, res:data())
    assert.is_false(res:has_ended())
    assert.same({ "a", "b", "c" }, server:get("/d"):data())
    local log = server:log()
    assert.equal(2, select(2, log:gsub("channel:derive: an event is left out by the function at [^:]+:%d+: it was stopped", "")), log)
  end)

  it("has a second subscriber wait for the same beginning", function()
    serve "function(e) sse.sleep(1) calls = (calls or 0) + 1 return e.data end"
    run "source:publish 'a' source:publish 'b'"
    local one, two = server:get "/d", server:get "/d"
    assert.is_nil(one:status())
    server:advance(2)
    assert.same({ "a", "b" }, one:data())
    assert.same({ "a", "b" }, two:data())
    assert.equal(2, run "return calls")
  end)
end)
