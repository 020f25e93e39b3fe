-- spate test
local t = require "spate.test"

describe("the news", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  it("come as pieces of HTML, with nothing in them that a reader wrote as HTML", function()
    local res = app:get "/news"
    assert.status(202, app:post("/news", { body = "a < b" }))
    assert.has_event(res, { event = "item", data = "<li>a &lt; b</li>" })
    res:close()
  end)

  it("have a page", function()
    assert.status(200, app:get "/")
  end)
end)
