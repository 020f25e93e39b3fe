-- SPDX-License-Identifier: MIT
-- Durable streams had limits of their appends and bytes, and none of how many there are: who may PUT could make as many as limits.channels
-- lets be, which are then nobody else's; and behind that limit the answer was 500.
local helper = require "spec.helper"

local APP = [[
app:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })
spate.durable.streams({ streams = 2 }):serve(app, "/s")]]

describe("durable streams are so many and no more:", function()
  local server

  local function serve(source, options) server = helper.serve(source or APP, options) end

  local function ask(method, path, headers)
    headers = headers or {}
    headers["Content-Type"] = "text/plain"
    local res = server:request(method, "/s/" .. path, { headers = headers, body = method == "PUT" and "x" or nil })
    server:turn()
    return res:status(), (res:body())
  end

  local function refused()
    local res = server:get "/-/api/stats"
    return res:json().refused_durable_streams_total
  end

  after_each(function() server:close { tasks = 1, timers = 1 } end)

  it("a PUT above that is refused and counted, until another has gone", function()
    serve()
    assert.same({ 201, 201 }, { (ask("PUT", "a")), (ask("PUT", "b")) })
    assert.same({ 507, "there are 2 streams already\n" }, { ask("PUT", "c") })
    assert.same({ 404, 200, 1 }, { (ask("GET", "c")), (ask("PUT", "a")), refused() })
    assert.equal(2, server:stats().channels)
    assert.equal(204, (ask("DELETE", "a")))
    assert.same({ 201, 507, 2 }, { (ask("PUT", "c")), (ask("PUT", "d")), refused() })
  end)

  it("a fork is one, and leaves nothing where there is no room", function()
    serve()
    assert.same({ 201, 201 }, { (ask("PUT", "a")), (ask("PUT", "f", { ["Stream-Forked-From"] = "/s/a" })) })
    assert.equal(507, (ask("PUT", "g", { ["Stream-Forked-From"] = "/s/a" })))
    assert.same({ 404, 2 }, { (ask("GET", "g")), server:stats().channels })
  end)

  it("one that was deleted and has forks counts", function()
    serve()
    ask("PUT", "a")
    ask("PUT", "f", { ["Stream-Forked-From"] = "/s/a" })
    assert.equal(204, (ask("DELETE", "a")))
    assert.equal(1, server:stats().channels)
    assert.equal(507, (ask("PUT", "c")))
    assert.equal(204, (ask("DELETE", "f")))
    assert.same({ 201, 201, 507 }, { (ask("PUT", "c")), (ask("PUT", "d")), (ask("PUT", "e")) })
  end)

  it("one that has expired goes with the next minute", function()
    serve()
    ask("PUT", "a", { ["Stream-TTL"] = "10" })
    ask("PUT", "b", { ["Stream-TTL"] = "10" })
    server:advance(130)
    assert.same({ 201, 201 }, { (ask("PUT", "c")), (ask("PUT", "d")) })
  end)

  it("where the server has no channel left the answer says so, and nothing stays", function()
    serve((APP:gsub("streams = 2", "streams = 10")), { settings = { limits = { channels = 2 } } })
    assert.same({ 201, 201 }, { (ask("PUT", "a")), (ask("PUT", "b")) })
    for _ = 1, 3 do assert.same({ 503, "full\n" }, { ask("PUT", "c") }) end
    assert.same({ 503, "full\n" }, { ask("PUT", "g", { ["Stream-Forked-From"] = "/s/a" }) })
    assert.same({ 404, 204, 201 }, { (ask("GET", "c")), (ask("DELETE", "a")), (ask("PUT", "c")) })
  end)
end)

it("durable.streams says what its number is", function()
  helper.refuses { ["spate.durable.streams { streams = 0.5 }"] = "durable.streams: streams: expected an integer of 0 or more, got 0.5" }
end)
