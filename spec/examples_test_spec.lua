-- SPDX-License-Identifier: MIT
-- Specs as they look for an application: two of the examples. In a project of your own, without the first lines:
--   spate test
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = "./" .. (os.getenv("BUILD") or "build") .. "/lib/?.so;" .. package.cpath
local t = require "spate.test"

describe("GET /ticks", function()
  local app = t.load "examples/ticks.lua"

  before_each(function() app:reset() end) -- fresh state, clock at 0

  it("sends one numbered tick a second, until the client goes away", function()
    local res = app:get "/ticks"
    assert.status(200, res)
    assert.sse_headers(res)
    assert.events(res, {}) -- no virtual time has passed
    t.advance(3)
    assert.events(res, { { event = "tick", id = "1", data = "1" }, { data = "2" }, { data = "3" } })
    res:close()
    t.advance(60)
    assert.closed(res, "client_closed")
    assert.equal(3, #res:events())
  end)
end)

describe("chat room", function()
  local app = t.load "examples/chat.lua"

  before_each(function() app:reset() end)

  local function say(text) return app:post("/rooms/lua/messages", { json = { from = "ann", text = text } }) end

  it("reaches everyone in the room and nobody else", function()
    local a, c = app:get "/rooms/lua/events", app:get "/rooms/c/events"
    assert.status(201, say "hi")
    assert.has_event(a, { event = "message", json = { from = "ann", text = "hi" } })
    assert.has_no_event(c, { json = { text = "hi" } })
    a:close()
    c:close()
  end)

  it("resumes after Last-Event-ID without loss or repeat", function()
    local a = app:get "/rooms/lua/events"
    say "one"
    a:close()
    say "two"
    local again = a:reconnect() -- as a browser does
    assert.events(again, { { json = { text = "two" } } })
    assert.equal(1, t.channel "room:lua":count()) -- the first one has left
    again:close()
  end)
end)
