-- spate test
local t = require "spate.test"

describe("POST /generate", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  it("answers token by token", function()
    local res = app:post("/generate", { json = { prompt = "to be" } })
    assert.status(200, res)
    assert.events(res, { { json = { token = "to" } } })
    t.advance(0.05) -- seconds, in no time
    assert.equal('{"token":" be"}', res:events()[2].data)
    t.advance(0.05)
    assert.equal("[DONE]", res:events()[3].data)
  end)

  it("takes nothing without a prompt", function()
    assert.status(400, app:post("/generate", { json = {} }))
  end)
end)
