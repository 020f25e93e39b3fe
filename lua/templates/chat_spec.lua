-- spate test
local t = require "spate.test"

describe("a room", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  local function say(text) return app:post("/rooms/lua/messages", { json = { from = "ann", text = text } }) end

  it("reaches who is in it, and nobody else", function()
    local here, elsewhere = app:get "/rooms/lua/events", app:get "/rooms/c/events"
    assert.status(201, say "hi")
    assert.has_event(here, { event = "message", json = { from = "ann", text = "hi" } })
    assert.has_no_event(elsewhere, { json = { from = "ann", text = "hi" } })
    here:close()
    elsewhere:close()
  end)

  it("goes on where a client lost it", function()
    local first = app:get "/rooms/lua/events"
    say "one"
    local last = first:events()[1].id
    first:close()
    say "two"
    local again = app:get("/rooms/lua/events", { headers = { ["Last-Event-ID"] = last } })
    assert.events(again, { { json = { from = "ann", text = "two" } } })
    again:close()
  end)

  it("takes no message without a text", function()
    assert.status(400, app:post("/rooms/lua/messages", { json = { from = "ann" } }))
  end)
end)
