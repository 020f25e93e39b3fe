-- SPDX-License-Identifier: MIT
-- Who may stay on a stream, how many, and how one gets there without a token in the URL: recheck, spate.stream_limit,
-- spate.ticket.
local helper = require "spec.helper"

local function farewell(res)
  local events = res:events()
  local last = events[#events]
  return last and last.event, last and last.data
end

describe("sse.reply's recheck", function()
  local server

  local function serve(fn, more)
    server = helper.serve(([[
local calls, allowed = 0, true
app:get("/", function(req)
  return sse.reply(sse.never(), { every = 30, recheck = %s%s })
end)
app:get("/calls", function() return tostring(calls) end)
app:post("/revoke", function() allowed = false return "" end)]]):format(fn, more or ""))
    return server:get "/"
  end
  after_each(function() server:close() end)

  local COUNTED = "function(r) assert(r == req) calls = calls + 1 return allowed, 'signed out' end"

  it("asks again and again, each time about then", function()
    local res = serve(COUNTED)
    server:advance(24)
    assert.equal("0", (server:get("/calls"):body()))
    server:advance(12.1)
    assert.equal("1", (server:get("/calls"):body()))
    server:advance(360)
    local calls = tonumber((server:get("/calls"):body()))
    assert.is_true(calls >= 11 and calls <= 15, calls)
    assert.is_false(res:has_ended())
    res:close()
  end)

  it("ends the stream where it is refused, with the reason", function()
    local res = serve(COUNTED)
    server:post "/revoke"
    server:advance(37)
    assert.is_true(res:has_ended())
    assert.same({ "kick", "signed out" }, { farewell(res) })
  end)

  it("may wait", function()
    local res = serve("function() sse.sleep(30) return false end")
    server:advance(37)
    assert.is_false(res:has_ended())
    server:advance(30)
    assert.is_true(res:has_ended())
    assert.same({ "kick", "" }, { farewell(res) })
  end)

  it("ends the stream where it fails, or keeps it, as it is told, and logs", function()
    local res = serve("function() error 'no database' end")
    server:advance(37)
    assert.same({ "kick", "" }, { farewell(res) })
    assert.truthy(server:log():find "no database")
    server:close()
    res = serve("function() error 'no database' end", ", recheck_error = 'keep'")
    server:advance(37)
    assert.is_false(res:has_ended())
    assert.truthy(server:log():find "no database")
    res:close()
  end)

  it("ends with its stream", function()
    serve(COUNTED):close()
    server:advance(100)
    assert.equal("0", (server:get("/calls"):body()))
    assert.equal(0, server:stats().tasks)
  end)

  it("goes on after a reload, for the streams of the old code", function()
    local res = serve(COUNTED)
    server:post "/revoke"
    assert.is_true(server:reload "app:get('/', function() return '' end)")
    server:advance(37)
    assert.same({ "kick", "signed out" }, { farewell(res) })
  end)

  it("says what is wrong with it", function()
    server = helper.serve "app:get('/', function() return '' end)"
    helper.refuses {
      ["sse.reply({}, { recheck = 1 })"] = "sse.reply: recheck: expected a function, got number",
      ["sse.reply({}, { recheck = print, every = 0 })"] = "sse.reply: every: expected more than 0 seconds, got 0",
      ["sse.reply({}, { every = 5 })"] = "sse.reply: every: goes with recheck",
      ["sse.reply({}, { recheck = print, recheck_error = 'x' })"] = 'sse.reply: recheck_error: expected "end" or "keep", got x',
    }
  end)
end)

describe("spate.stream_limit", function()
  local one, two
  local APP = [[
local limit = spate.stream_limit { max = 2, key = function(req) return req.query.user end }
app:get("/", limit, function() return sse.reply(sse.never()) end)
app:get("/plain", limit, function() return "x" end)]]

  before_each(function()
    one = helper.serve(APP)
    one:get("/?user=z"):close()
    two = helper.serve(APP, { with = one.core, worker = 1, settings = { log = { access = false } } })
  end)
  after_each(function()
    two:close()
    one:close()
  end)

  it("refuses one too many, on whichever worker, until another has gone", function()
    local first = one:get "/?user=a"
    local second = two:get "/?user=a"
    assert.same({ 200, 200 }, { first:status(), second:status() })
    local res = one:get "/?user=a"
    assert.equal(429, res:status())
    assert.equal("too many streams\n", (res:body()))
    assert.equal(200, one:get("/?user=b"):status())
    second:close()
    assert.equal(200, one:get("/?user=a"):status())
    assert.equal(429, two:get("/?user=a"):status())
  end)

  it("does not count where there is no key, nor what is no stream when it is over", function()
    for _ = 1, 5 do assert.equal(200, one:get("/"):status()) end
    for _ = 1, 5 do assert.equal(200, one:get("/plain?user=a"):status()) end
  end)

  it("counts keys of any length", function()
    for _, key in ipairs { "", ("a"):rep(200), ("a"):rep(256), ("a"):rep(3000) .. "b", ("a"):rep(3000) .. "c" } do
      local first, second = one:get("/?user=" .. key), two:get("/?user=" .. key)
      assert.same({ 200, 200, 429 }, { first:status(), second:status(), one:get("/?user=" .. key):status() }, #key)
      first:close()
      assert.equal(200, two:get("/?user=" .. key):status())
    end
  end)

  it("counts addresses unless told otherwise", function()
    local server = helper.serve "app:get('/', spate.stream_limit { max = 1 }, function() return sse.reply(sse.never()) end)"
    assert.equal(200, server:get("/"):status())
    assert.equal(429, server:get("/"):status())
    assert.equal(200, server:get("/", { client = server:connect "10.0.0.9" }):status())
    server:close()
  end)

  it("says what is wrong with it", function()
    helper.refuses {
      ["spate.stream_limit()"] = "spate.stream_limit: expected a table of options, got nil",
      ["spate.stream_limit { max = 0 }"] = "spate.stream_limit: max: expected a whole number of 1 or more, got 0",
      ["spate.stream_limit { max = 1, key = 1 }"] = "spate.stream_limit: key: expected a function, got number",
    }
  end)
end)

describe("spate.ticket", function()
  local one, two
  local APP = [[
local tickets = spate.ticket { ttl = 30 }
app:post("/ticket", function(req) return { ticket = tickets:issue(req:json()) } end)
app:get("/events", function(req)
  local who, why = tickets:redeem(req.query.ticket)
  if not who then return reply.error(401, why) end
  return sse.reply { who.user }
end)]]

  before_each(function()
    one = helper.serve(APP)
    two = helper.serve(APP, { with = one.core, worker = 1, settings = { log = { access = false } } })
  end)
  after_each(function()
    two:close()
    one:close()
  end)

  local function issue() return one:post("/ticket", { json = { user = "ann" } }):json().ticket end

  it("lets in once, on whichever worker", function()
    local ticket = issue()
    assert.truthy(ticket:find "^[%w_-]+$" and #ticket >= 22)
    assert.same({ "ann" }, two:get("/events?ticket=" .. ticket):data())
    local res = one:get("/events?ticket=" .. ticket)
    assert.equal(401, res:status())
    assert.equal("no such ticket, or it was used or is too old\n", (res:body()))
  end)

  it("is good for its time, and no other text is one", function()
    local ticket = issue()
    one:advance(31)
    assert.equal(401, one:get("/events?ticket=" .. ticket):status())
    for _, other in ipairs { "", "x", ("x"):rep(1000) } do assert.equal(401, one:get("/events?ticket=" .. other):status()) end
    assert.equal(401, one:get("/events"):status())
  end)

  it("is not written to the log", function()
    local ticket = issue()
    local server = helper.serve("app:get('/', function() return '' end)", { settings = { log = { level = "info" } } })
    server:get("/?ticket=" .. ticket)
    local log = server:log()
    server:close()
    assert.truthy(log:find("ticket=***", 1, true), log)
    assert.is_nil(log:find(ticket, 1, true))
  end)

  it("say what cannot be in one, at the script's line alone", function()
    helper.refuses {
      ["spate.ticket():issue(print)"] = "tickets:issue: cannot encode a function",
      ["spate.ticket():issue(('x'):rep(5000))"] = "tickets:issue: the value has 5002 bytes of JSON, at most 4096 are kept",
    }
  end)
end)
