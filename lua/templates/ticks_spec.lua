-- spate test
local t = require "spate.test"

describe("GET /ticks", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  it("sends a numbered tick each second, until the client leaves", function()
    local res = app:get "/ticks"
    assert.status(200, res)
    assert.events(res, {}) -- no time has passed yet
    t.advance(3)           -- seconds, in no time
    assert.events(res, { { event = "tick", id = "1", data = "1" }, { data = "2" }, { data = "3" } })
    res:close()
    t.advance(60)
    assert.equal("client_closed", res.close_reason)
    assert.equal(3, #res:events())
  end)
end)
