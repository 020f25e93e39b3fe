-- spate test
local t = require "spate.test"

describe("the stock", function()
  local app = t.load "app.lua"
  local tea
  before_each(function()
    app:reset() -- a new state, its clock at 0
    tea = 12
    for _, statement in ipairs { "create table", "insert into", "create or replace function", "create or replace trigger" } do
      t.postgres.stub(statement, { rows = {} })
    end
    t.postgres.stub("select * from stock", function() return { rows = { { item = "tea", left_over = tea } } } end)
  end)

  it("is the whole table, then the rows that are changed", function()
    local res = app:get "/stock"
    assert.has_event(res, { event = "all", json = { { item = "tea", left_over = 12 } } })
    t.postgres.notify("stock", '{"item":"tea","left_over":11}')
    assert.has_event(res, { event = "row", json = { item = "tea", left_over = 11 } })
    res:close()
    t.advance(60)
  end)

  it("is the whole table again where the connection was lost", function()
    local res = app:get "/stock"
    tea = 3
    t.postgres.lose()
    assert.has_event(res, { event = "all", json = { { item = "tea", left_over = 3 } } })
    res:close()
    t.advance(60)
  end)

  it("is changed by a click", function()
    t.postgres.stub("update stock", { rows = { { left_over = 11 } } })
    assert.same({ left_over = 11 }, app:post("/stock/tea", { json = { by = -1 } }):json())
    assert.status(400, app:post("/stock/tea", { json = { by = "x" } }))
  end)

  it("says so where the database does not answer", function()
    t.postgres.stub("create table", { error = "connection refused", code = "unavailable" })
    assert.status(503, app:get "/stock")
    assert.status(200, app:get "/")
  end)
end)
