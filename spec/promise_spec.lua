-- SPDX-License-Identifier: MIT
-- Waiting for what another request brings: sse.promise, spate.promise.
local helper = require "spec.helper"

local APP = [[
local mine = sse.promise()
local function reply_of(value, why, code) return value ~= nil and { value = value } or { why = why, code = code } end
app:post("/kick/:name", function(req)
  spate.kick { channel = "promise:" .. req.params.name, reason = req:json() }
  return reply.status(204)
end)
app:get("/await", function(req) return reply_of(mine:await(tonumber(req.query.seconds))) end)
app:get("/stream", function() return sse.reply(function(send) send(mine:await()) end) end)
app:post("/fulfil", function(req) return { first = mine:fulfil(req:json()) } end)
app:get("/named/:name", function(req)
  return reply_of(spate.promise(req.params.name):await(tonumber(req.query.seconds)))
end)
app:post("/named/:name", function(req)
  local ok, why = spate.promise(req.params.name):fulfil(req:json())
  return { first = ok, why = why }
end)]]

describe("sse.promise", function()
  local server
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  it("has all who await it go on with what another request brings", function()
    local one, two = server:get "/await", server:get "/await"
    assert.is_false((select(2, one:body())))
    assert.same({ first = true }, server:post("/fulfil", { json = { answer = 42 } }):json())
    assert.same({ value = { answer = 42 } }, one:json())
    assert.same({ value = { answer = 42 } }, two:json())
    assert.same({ value = { answer = 42 } }, server:get("/await"):json())
  end)

  it("is fulfilled once", function()
    assert.same({ first = true }, server:post("/fulfil", { json = 1 }):json())
    assert.same({ first = false }, server:post("/fulfil", { json = 2 }):json())
    assert.same({ value = 1 }, server:get("/await"):json())
  end)

  it("is awaited for so long", function()
    local res = server:get "/await?seconds=5"
    server:advance(4.9)
    assert.equal("", (res:body()))
    server:advance(0.2)
    assert.same({ why = "timeout" }, res:json())
  end)

  it("leaves nothing of a client that has gone", function()
    server:get("/stream"):close()
    assert.equal(0, server:stats().tasks)
  end)
end)

describe("spate.promise", function()
  local one, two
  before_each(function()
    local settings = { log = { access = false } }
    one = helper.serve(APP, { settings = settings })
    two = helper.serve(APP, { with = one.core, worker = 1, settings = settings })
  end)
  after_each(function()
    two:advance(400) -- past what a value is kept for
    one:advance(400)
    two:close()
    one:close()
  end)

  it("brings a value from one worker to another", function()
    local res = one:get "/named/7"
    assert.same({ first = true }, two:post("/named/7", { json = { ok = true } }):json())
    one:turn()
    assert.same({ value = { ok = true } }, res:json())
  end)

  it("keeps a value that comes before it is awaited", function()
    two:post("/named/8", { json = "early" })
    assert.same({ value = "early" }, one:get("/named/8"):json())
    assert.same({ value = "early" }, two:get("/named/8"):json())
  end)

  it("is fulfilled once, whichever worker does", function()
    one:post("/named/9", { json = 1 })
    assert.same({ first = false }, two:post("/named/9", { json = 2 }):json())
    assert.same({ value = 1 }, two:get("/named/9"):json())
  end)

  it("is awaited for so long, and may be awaited again", function()
    local res = one:get "/named/10?seconds=1"
    one:advance(1.1)
    assert.same({ why = "timeout" }, res:json())
    res = one:get "/named/10"
    two:post("/named/10", { json = false })
    one:turn()
    assert.same({ value = false }, res:json())
  end)

  it("ends for all who await it where it is kicked, with the reason", function()
    local here, there, other = one:get "/named/12", two:get "/named/12?seconds=100", one:get "/named/13?seconds=200"
    two:post("/kick/12", { json = "the bank is closed\nuntil May" })
    one:turn()
    for _, res in ipairs { here, there } do assert.same({ why = "the bank is closed\nuntil May", code = "kicked" }, res:json()) end
    one:post("/kick/13", { json = "" })
    assert.same({ why = "kicked", code = "kicked" }, other:json())
    local again = one:get "/named/12"
    two:post("/named/12", { json = 1 })
    one:turn()
    assert.same({ value = 1 }, again:json())
  end)

  it("forgets a value behind its time", function()
    two:post("/named/11", { json = 1 })
    two:advance(301)
    one:advance(301)
    local res = one:get "/named/11?seconds=1"
    one:advance(1.1)
    assert.same({ why = "timeout" }, res:json())
  end)

  it("has a name of up to 247 bytes", function()
    local name = ("n"):rep(247)
    two:post("/named/" .. name, { json = 1 })
    assert.same({ value = 1 }, one:get("/named/" .. name):json())
  end)

  it("keeps other names apart", function()
    local res = one:get "/named/a?seconds=1"
    two:post("/named/b", { json = 1 })
    one:advance(1.1)
    assert.same({ why = "timeout" }, res:json())
  end)
end)

it("says what is no promise", function()
  helper.refuses {
    ["spate.promise()"] = "spate.promise: expected a name as a string, got nil",
    ["spate.promise(('n'):rep(248))"] = "spate.promise: expected a name of at most 247 bytes, got 248",
    ["spate.promise('a\\n')"] = "spate.promise: a name must not contain control characters",
    ["spate.promise('a', { tll = 1 })"] = "spate.promise: unknown option 'tll'; did you mean 'ttl'?",
    ["spate.promise('a', { ttl = 0 })"] = "spate.promise: ttl: expected more than 0 seconds, got 0",
    ["sse.promise().await()"] = "promise:await: write it with a colon",
    ["sse.promise():await(0)"] = "promise:await: expected more than 0 seconds, got 0",
    ["sse.promise():fulfil()"] = "promise:fulfil: expected a value, got nil",
    ["spate.promise('a'):fulfil(print)"] = "promise:fulfil: cannot encode a function",
  }
end)
