-- spate test
local t = require "spate.test"

describe("the hub", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  local HUB = "/.well-known/mercure"

  it("is named by the resources", function()
    assert.equal('</.well-known/mercure>; rel="mercure", </books/1>; rel="self"', app:get("/books/1").headers.Link)
    assert.equal(2, #app:get("/books"):json())
  end)

  it("brings changes to who has subscribed to them, and to nobody else", function()
    local one, all = app:get(HUB .. "?topic=/books/1"), app:get(HUB .. "?topic=/books/%7Bid%7D")
    assert.status(200, app:put("/books/2", { json = { price = 7 } }))
    assert.events(one, {})
    assert.has_event(all, { json = { id = "2", price = 7 } })
    one:close()
    all:close()
  end)

  it("goes on where a reader lost it", function()
    local res = app:get(HUB .. "?topic=*")
    app:put("/books/1", { json = { price = 1 } })
    local last = res:events()[1].id
    res:close()
    app:put("/books/1", { json = { price = 2 } })
    local again = app:get(HUB .. "?topic=*", { headers = { ["Last-Event-ID"] = last } })
    assert.events(again, { { json = { price = 2 } } })
    again:close()
  end)

  it("takes updates from tokens only", function()
    assert.status(401, app:post(HUB, { form = { topic = "/books/1", data = "x" } }))
    assert.status(400, app:put("/books/1", { json = { price = "much" } }))
    assert.status(404, app:put("/books/9", { json = { price = 1 } }))
    assert.status(200, app:get "/")
  end)
end)
