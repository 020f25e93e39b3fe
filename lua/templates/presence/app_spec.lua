-- spate test
local t = require "spate.test"

describe("a document", function()
  local app = t.load "app.lua"
  before_each(function() app:reset() end) -- a new state, its clock at 0

  local function write(user, text) return app:put("/docs/a/text", { json = { user = user, text = text } }) end

  it("knows who is there, also of who vanishes without a word", function()
    local ann = app:get "/docs/a/live?user=ann"
    assert.has_event(ann, { event = "now", json = { members = { { id = "ann" } }, text = "" } })
    local bob = app:get "/docs/a/live?user=bob"
    assert.has_event(ann, { event = "join", json = { id = "bob" } })
    bob:drop()
    t.advance(60) -- seconds, in no time
    assert.has_event(ann, { event = "leave", json = { id = "bob" } })
    ann:close()
  end)

  it("has one member of two windows", function()
    local ann, first, second = app:get "/docs/a/live?user=ann", app:get "/docs/a/live?user=bob", app:get "/docs/a/live?user=bob"
    first:close()
    assert.has_no_event(ann, { event = "leave" })
    second:close()
    assert.has_event(ann, { event = "leave", json = { id = "bob" } })
    ann:close()
  end)

  it("shows what others write, also to who comes later", function()
    local ann = app:get "/docs/a/live?user=ann"
    assert.status(204, write("bob", "hello"))
    assert.has_event(ann, { event = "edit", json = { user = "bob", text = "hello" } })
    local late = app:get "/docs/a/live?user=late"
    assert.equal("hello", late:events()[1].json.text)
    ann:close()
    late:close()
  end)

  it("takes neither nameless readers nor what is no text", function()
    assert.status(400, app:get "/docs/a/live")
    assert.status(400, app:put("/docs/a/text", { json = { text = 1 } }))
    assert.status(404, app:get("/docs/" .. ("x"):rep(101) .. "/live?user=ann"))
    assert.status(413, write("ann", ("x"):rep(100001)))
    assert.status(200, app:get "/")
  end)
end)
