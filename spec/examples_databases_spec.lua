-- SPDX-License-Identifier: MIT
-- examples/live_table.lua and examples/outbox.lua as they stand.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local helper = require "spec.helper"
local t = require "spate.test"

describe("examples/live_table.lua", function()
  local app, rows

  before_each(function()
    rows = { { item = "coffee", left_over = 5 }, { item = "tea", left_over = 12 } }
    for _, statement in ipairs { "create table", "insert into stock", "create or replace" } do t.postgres.stub(statement, {}) end
    t.postgres.stub("select * from stock", function() return rows end)
    app = t.load "examples/live_table.lua"
  end)

  it("begins with the table, and follows each row that changes, for all who look", function()
    local one, two = app:get "/stock", app:get "/stock"
    for _, res in ipairs { one, two } do
      assert.same({ event = "all", data = helper.json.encode(rows) }, { event = res:events()[1].event, data = res:events()[1].data })
    end
    assert.equal(1, t.postgres.notify("stock", '{"item":"tea","left_over":11}'))
    for _, res in ipairs { one, two } do assert.has_event(res, { event = "row", data = '{"item":"tea","left_over":11}' }) end
    one:close()
    two:close()
    t.advance(60)
  end)

  it("sends the table again where something may have been missed", function()
    local res = app:get "/stock"
    local before = #res:events()
    rows = { { item = "tea", left_over = 3 } }
    t.postgres.lose()
    assert.equal(before + 1, #res:events())
    assert.has_event(res, { event = "all", data = '[{"item":"tea","left_over":3}]' })
    res:close()
    t.advance(60)
  end)

  it("has a page", function() assert.matches('new EventSource("/stock")', app:get("/"):body(), 1, true) end)
end)

describe("examples/outbox.lua", function()
  local folder, server

  local function serve() server = helper.serve(folder .. "/outbox.lua") end

  local function order(item)
    local res = server:post("/orders", { json = { item = item } })
    return res:status(), res:status() == 201 and res:json().id or nil
  end

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir %s && cp examples/outbox.lua %s"):format(folder, folder)))
    serve()
  end)

  after_each(function()
    server:close { tasks = 1, timers = 1 }
    os.execute("rm -rf " .. folder)
  end)

  it("stores an order, and tells of it", function()
    local res = server:get "/orders"
    assert.same({ 201, 1 }, { order "tea" })
    assert.same({ 201, 2 }, { order "coffee" })
    assert.same({ 422 }, { order "" })
    assert.same({ '{"item":"tea","order":1}', '{"item":"coffee","order":2}' }, res:data())
    res:close()
  end)

  it("tells later of what a crash has left, in order", function()
    order "tea"
    local text = helper.harness.json.encode { item = "left", order = 9 }
    server:close { tasks = 1, timers = 1 }
    local other = helper.serve(([[
      local db = spate.sqlite.open(%q)
      app:get("/", function() return tostring(db:exec("insert into outbox(event) values (?), ('{}')", %q)) end)]]):format(folder .. "/outbox.db", text))
    assert.equal("2", (other:get "/":body()))
    other:close()
    serve()
    local res = server:get "/orders"
    assert.same({}, res:data())
    server:advance(1)
    assert.same({ text, "{}" }, res:data())
    server:advance(2)
    assert.equal(2, #res:data())
    res:close()
  end)
end)
