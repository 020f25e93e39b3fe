-- SPDX-License-Identifier: MIT
-- t.postgres: what stands for PostgreSQL in an application's specs.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
require "spec.helper"
local t = require "spate.test"

local function load(source)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(([[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local postgres = require "spate.postgres"
local app, reply = spate.app(), spate.reply
local pg = postgres.open("postgres://nowhere/db", { timeout = 5 })
%s
return app]]):format(source))
  f:flush()
  local app = t.load(path)
  os.remove(path)
  return app
end

local ONE = [[app:get("/:id", function(req)
  local rows, message, code = pg:query("select *\n  from t where id = $1", tonumber(req.params.id))
  if not rows then return reply.error(503, code .. ": " .. message) end
  return json.array(rows)
end)]]

describe("t.postgres.stub", function()
  it("answers with rows, and remembers what it was asked", function()
    local app, stub = load(ONE), t.postgres.stub("from t where id =", { { id = 7, name = "a" } })
    assert.same({ { id = 7, name = "a" } }, app:get("/7"):json())
    assert.equal(1, #stub.queries)
    assert.equal("select * from t where id = $1", stub.queries[1].sql)
    assert.same({ 7, n = 1 }, stub.queries[1].params)
  end)

  it("answers by a function, with an error, and late", function()
    local app = load(ONE)
    t.postgres.stub("from t", function(_, id)
      if id == 1 then return { { id = id } } end
      return nil, "there is none", "sql"
    end)
    assert.same({ { id = 1 } }, app:get("/1"):json())
    assert.matches("sql: pg:query: there is none", app:get("/2"):body(), 1, true)
    t.postgres.stub("from t", { error = "duplicate key", code = "constraint" })
    assert.matches("constraint: pg:query: duplicate key", app:get("/2"):body(), 1, true)
    t.postgres.stub("from t", { rows = { { id = 3 } }, after = 2 })
    local res = app:get "/3"
    t.advance(1.9)
    assert.is_nil(res.status)
    t.advance(0.2)
    assert.same({ { id = 3 } }, res:json())
    t.postgres.stub("from t", { rows = {}, after = 60 })
    res = app:get "/3"
    t.advance(5)
    assert.matches("timeout: pg:query: it has taken too long (timeout)", res:body(), 1, true)
  end)

  it("answers at the time at which it was asked", function()
    local app = load [[app:get("/", function() return sse.reply(function(send)
      for i = 1, 3 do
        sse.sleep(1)
        send(("%d at %.1f"):format(pg:query("select $1", i)[1].n, sse.now()))
      end
    end) end)]]
    t.postgres.stub("select", function(_, n) return { rows = { { n = n } }, after = 0.5 } end)
    local res = app:get "/"
    t.advance(10)
    assert.events(res, { { data = "1 at 1.5" }, { data = "2 at 3.0" }, { data = "3 at 4.5" } })
  end)

  it("sees JSON, arrays and bytes as they were", function()
    local app = load [[app:get("/", function()
      pg:query("select $1, $2, $3, $4", postgres.json { a = 1 }, postgres.array { 1, 2 }, postgres.bytea "\0x", nil)
      return "x"
    end)]]
    local stub = t.postgres.stub("select", {})
    app:get "/"
    assert.same({ { a = 1 }, { 1, 2 }, "\0x", nil, n = 4 }, stub.queries[1].params)
  end)

  it("is for rows one by one, and in a transaction", function()
    local app = load [[app:get("/", function()
      local list = {}
      local said = pg:transaction(function()
        for row in pg:rows "select n from many" do list[#list + 1] = row.n end
        local _, changed = pg:query "update t"
        return changed
      end)
      return { n = #list, last = list[#list], said = said }
    end)]]
    local rows = {}
    for i = 1, 250 do rows[i] = { n = i } end
    t.postgres.stub("select n from many", rows)
    t.postgres.stub("update", { count = 5 })
    assert.same({ n = 250, last = 250, said = 5 }, app:get("/"):json())
  end)

  it("is asked for where there is none", function()
    local session = require "spate.test.session"
    local app = load(ONE)
    assert.matches("unavailable: pg:query: no stub is for it: select * from t where id = $1: t.postgres.stub(pattern, answer)", app:get("/1"):body(), 1, true)
    assert.equal("asked without a stub (t.postgres.stub): select * from t where id = $1", session.postgres.keep(#session.postgres.stubs))
  end)

  it("refuses what is no answer", function()
    assert.has_error(function() t.postgres.stub("a", { row = {} }) end,
      "t.postgres.stub: unknown 'row'; an answer is a list of rows, or has rows, count, error, code, sqlstate, after")
    assert.has_error(function() t.postgres.stub("a", 1) end, "t.postgres.stub: expected rows, { error = ... } or a function, got number")
    assert.has_error(function() t.postgres.stub(1) end, "t.postgres.stub: expected a part of a statement, got number")
  end)
end)

describe("t.postgres.notify", function()
  local LISTEN = [[
app:get("/", function() return sse.reply(pg:listen "orders") end)
local orders = sse.channel("orders"):relay(pg:listen "orders", { linger = 1 })
app:get("/relayed", function() return sse.reply(orders:subscribe()) end)]]

  it("reaches who listens, behind a reset", function()
    local app = load(LISTEN)
    local res = app:get "/"
    assert.equal(1, t.postgres.notify("orders", "one"))
    assert.equal(0, t.postgres.notify("other", "x"))
    t.postgres.lose()
    t.postgres.stub("", {}):notify("orders", "two")
    assert.events(res, { { event = "reset", data = "messages before this one may have been lost" }, { event = "orders", data = "one" }, { event = "reset", data = "messages before this one may have been lost" }, { event = "orders", data = "two" } })
    res:close()
    assert.equal(0, t.postgres.notify("orders", "three"))
  end)

  it("reaches a channel that relays it, in each worker, by one listener", function()
    t.workers(2)
    local app = load(LISTEN)
    local a, b = app:get("/relayed", { worker = 0 }), app:get("/relayed", { worker = 1 })
    assert.equal(1, t.postgres.notify("orders", "one"))
    assert.has_event(a, { event = "orders", data = "one" })
    assert.has_event(b, { event = "orders", data = "one" })
    a:close()
    b:close()
    t.advance(10)
    assert.equal(0, t.postgres.notify("orders", "two"))
    local again = app:get("/relayed", { worker = 1 })
    assert.equal(1, t.postgres.notify("orders", "three"))
    assert.has_event(again, { event = "orders", data = "three" })
    again:close()
    t.advance(10)
  end)
end)
