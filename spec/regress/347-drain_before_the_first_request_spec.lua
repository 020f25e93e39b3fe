-- SPDX-License-Identifier: MIT
-- A server that was stopped, or handed its sockets over, closed connections whose first request was still on its way: one in
-- fifteen upgrades on a busy machine had a client that was refused, which was to refuse nobody.
local helper = require "spec.helper"

local server

describe("a connection that is new when the server stops", function()
  before_each(function() server = helper.serve [[app:get("/", function() return "root" end)]] end)
  after_each(function() server:close() end)

  it("has a second for its first request, which is answered", function()
    local client = server:connect()
    server.core:drain()
    server:advance(0.9)
    local answer = server:get("/", { client = client }):raw()
    assert.matches("[Cc]onnection: close\r\n.*root$", answer)
  end)

  it("has its time for the head that it has begun", function()
    local client = server:connect()
    server.core:drain()
    client:send "GET / HTTP/1.1\r\nHost: a\r\n"
    server:advance(5)
    assert.matches("root$", server:send("\r\n", client):raw())
  end)

  it("is closed behind that second", function()
    local client = server:connect()
    server.core:drain()
    assert.equal("open", client:state())
    server:advance(1.01)
    assert.equal("closed", client:state())
    assert.equal(0, server:stats().connections)
  end)
end)
