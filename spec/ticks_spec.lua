local helper = require "spec.helper"

describe("examples/ticks.lua", function()
  it("sends one numbered tick a second, until the client goes away", function()
    local server = helper.serve("examples/ticks.lua")
    local res = server:get("/ticks")
    assert.equal(200, res:status())
    assert.same({}, (res:events()))
    server:advance(3)
    assert.same({ { event = "tick", id = "1", data = "1" }, { event = "tick", id = "2", data = "2" },
      { event = "tick", id = "3", data = "3" } }, (res:events()))
    res:close()
    server:advance(60)
    assert.equal(3, #res:events())
    server:close()
  end)
end)
