-- SPDX-License-Identifier: MIT
-- http.events comes back to a URL as a browser does; channel:relay reads one for all who subscribe.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/events"

local APP = [[
local http = require "spate.http"
local URL = "]] .. URL .. [["
local opened, errors = {}, {}
local function options(req)
  return { reconnect = true, last_event_id = req.query.since, headers = { ["X-Key"] = "k" }, on_open = function(res) opened[#opened + 1] = res.status end,
    on_error = function(message, code, seconds) errors[#errors + 1] = { message = message, code = code, seconds = seconds } end }
end
local function answer(way)
  return function(req)
    local events, message, code = http.events(URL, options(req))
    if not events then return reply.error(502, message .. " / " .. code) end
    return sse.reply(way(events), { keep_alive = false })
  end
end
app:get("/carried", answer(function(events) return events end))
app:get("/mapped", answer(function(events) return events:map(function(e) return e end) end))
app:get("/once", function()
  local events, message, code = http.events(URL)
  if not events then return reply.error(502, message .. " / " .. code) end
  return events
end)
app:get("/seen", function()
  local result = { opened = json.array(opened), errors = json.array(errors) }
  opened, errors = {}, {}
  return result
end)
]]

local function serve(source, options)
  options = options or {}
  options.stubs = session.stubs
  return helper.serve(source or APP, options)
end

local function stub(answer) return t.http.stub("GET", URL, answer) end

local WAYS = { "/carried", "/mapped" }

describe("http.events", function()
  it("asks for events, and gives them", function()
    local server, up = serve(), stub { events = { "a", { after = 1, data = "b" } } }
    for _, way in ipairs { "/carried", "/mapped", "/once" } do
      local res = server:get(way)
      server:advance(1)
      assert.same({ "a", "b" }, res:data(), way)
      assert.same({ "text/event-stream", "no-cache" }, { up.requests[1].headers.accept, up.requests[1].headers["cache-control"] })
      assert.equal(way == "/once", res:has_ended(), way)
      res:close()
    end
    server:close()
  end)

  it("comes back after the retry time with the last id, and ends at 204", function()
    for _, way in ipairs(WAYS) do
      local server, up = serve(), stub { { events = { { id = "1", retry = 10, data = "a" } } }, { events = { { data = "b" }, { id = "3", data = "c" } } },
        { status = 204 } }
      local res = server:get(way .. "?since=0")
      assert.same({ "0" }, { up.requests[1].headers["last-event-id"] })
      server:advance(9.9)
      assert.equal(1, #up.requests, way)
      server:advance(5.2) -- at most half of it later
      assert.equal(2, #up.requests, way)
      assert.equal("1", up.requests[2].headers["last-event-id"])
      assert.equal("k", up.requests[2].headers["x-key"])
      server:advance(15)
      assert.equal("3", up.requests[3].headers["last-event-id"])
      assert.same({ "a", "b", "c" }, res:data(), way)
      assert.is_true(res:has_ended(), way)
      assert.equal("finished", res.client:reason())
      assert.same({ 200, 200 }, server:get("/seen"):json().opened)
      server:close()
    end
  end)

  it("waits longer after each failure, up to a minute, and begins anew with a connection", function()
    for _, way in ipairs(WAYS) do
      local server = serve()
      local up = stub { { error = "refused" }, { error = "timeout" }, { status = 503 }, { error = "closed" }, { error = "closed" }, { error = "closed" },
        { events = { "a" }, error = "closed" }, { events = { "b" }, open = true } }
      local res = server:get(way)
      server:advance(400)
      assert.same({ "a", "b" }, res:data(), way)
      local least, seen = { 3, 6, 12, 24, 48, 60, 3 }, server:get("/seen"):json()
      for i, each in ipairs(seen.errors) do
        assert(each.seconds >= least[i] and each.seconds <= least[i] * 1.5, ("%s %d: %g"):format(way, i, each.seconds))
      end
      assert.equal(7, #seen.errors)
      assert.same({ "refused", "timeout", "status", "closed" }, { seen.errors[1].code, seen.errors[2].code, seen.errors[3].code, seen.errors[4].code })
      assert.equal(8, #up.requests)
      res:close()
      assert.is_true(up.closed)
      server:close()
    end
  end)

  it("is nil, message and code where there is no stream, and would not come about", function()
    local server = serve()
    for _, each in ipairs { { { status = 404 }, "http://up.example/events: status 404 / status" },
      { { body = "x" }, "expected Content-Type text/event-stream, got text/plain / status" }, { { error = "redirects" }, " / redirects" },
      { { error = "private" }, " / private" } } do
      local up = stub(each[1])
      for _, way in ipairs { "/carried", "/once" } do
        local res = server:get(way)
        assert.equal(502, res:status())
        assert.truthy((res:body()):find(each[2], 1, true), (res:body()))
      end
      assert.equal(2, #up.requests)
    end
    stub { error = "refused" }
    assert.equal(502, server:get("/once"):status())
    server:close()
  end)

  it("answers 204 where the other server does", function()
    local server, up = serve(), stub { status = 204 }
    assert.equal(204, server:get("/carried"):status())
    assert.equal(1, #up.requests)
    server:close()
  end)

  it("ends by an error where a later answer is none of events", function()
    for _, way in ipairs(WAYS) do
      local server, up = serve(), stub { { events = { "a" } }, { status = 410 } }
      local res = server:get(way)
      server:advance(10)
      assert.same({ "a" }, res:data())
      assert.equal("error", res.client:reason())
      assert.truthy(server:log():find "http.events: http://up.example/events: status 410")
      assert.equal(2, #up.requests)
      server:close()
    end
  end)

  it("is not silent for too long, unless a timeout is given", function()
    local server = serve()
    local up = stub { events = { "a" }, open = true }
    local res = server:get "/carried"
    server:advance(86400)
    assert.same({ "a" }, res:data())
    assert.is_false(up.closed)
    server:close()
  end)

  it("may be silent where another time than that is limited", function()
    local server = helper.serve([[
      local http = require "spate.http"
      app:get("/", function() return sse.reply(assert(http.events("http://up.example/events", { timeout = { connect = 5 } }))) end)
    ]], { stubs = session.stubs, settings = { timeouts = { http_idle = 2 } } })
    local up = stub { events = { "a" }, open = true }
    local res = server:get "/"
    server:advance(3600)
    assert.same({ "a" }, res:data())
    assert.equal("open", res.client:state())
    assert.is_false(up.closed)
    server:close()
  end)

  it("lets go of the other server with its client, connected or waiting", function()
    for _, way in ipairs(WAYS) do
      local server, up = serve(), stub { { events = { "a" }, open = true } }
      server:get(way):close()
      assert.is_true(up.closed, way)
      up = stub { error = "refused" }
      local res = server:get(way)
      server:advance(1)
      res:close()
      server:advance(100)
      assert.equal(1, #up.requests)
      server:close()
    end
  end)

  it("says what is wrong with its arguments", function()
    for given, message in pairs { ["1"] = "http.events: url: expected a string", ['"http://a", 1'] = "expected a table of options",
      ['"http://a", { reconect = true }'] = "unknown option 'reconect'", ['"http://a", { on_open = 1 }'] = "http.events: on_open: expected a function",
      ['"http://a", { last_event_id = 1 }'] = "http.events: last_event_id: expected a string", ['"http://a", { reconnect = 1 }'] = "expected true or false",
      ['"http://a", { headers = 1 }'] = "headers: expected a table", ['"http://a", { method = "a b" }'] = "method: expected a name" } do
      local server = serve(('local http = require "spate.http"\napp:get("/", function() return http.events(%s) end)'):format(given))
      assert.equal(500, server:get("/"):status())
      assert.truthy(server:log():find(message, 1, true), given)
      server:close()
    end
  end)
end)

describe("channel:relay", function()
  local RELAY = [[
local prices = sse.channel("prices", { history = 10 }):relay("]] .. URL .. [[", { linger = 5 })
app:get("/prices", function(req) return sse.reply(prices:subscribe { after = req.last_event_id }) end)
app:get("/late", function() return sse.reply(sse.channel("prices"):subscribe()) end)
app:get("/snapshot", function() return sse.reply(prices:snapshot(function() return "now" end)) end)
local double = prices:derive(function(e) return e.data .. e.data end)
app:get("/double", function() return sse.reply(double:subscribe()) end)
app:post("/end", function() prices:finish() return "ok" end)
]]

  local function ended(server) server:advance(40) server:close() end

  it("reads one stream for all who subscribe, while there is one", function()
    local server, up = serve(RELAY), stub { events = { { after = 1, id = "x", data = "a" }, { after = 1, event = "e", data = "b" } }, open = true }
    server:advance(10)
    assert.equal(0, #up.requests)
    local a, b, c = server:get "/prices", server:get "/late", server:get "/snapshot"
    server:advance(1)
    server:advance(1)
    assert.equal(1, #up.requests)
    assert.same({ { "a", "b" }, { "a", "b" }, { "now", "a", "b" } }, { a:data(), b:data(), c:data() })
    assert.equal("e", a:events()[2].event)
    assert.matches("^%d+%-1$", a:events()[1].id) -- the channel's own
    for _, res in ipairs { a, b, c } do res:close() end
    server:advance(4.9)
    assert.is_false(up.closed)
    server:advance(0.2)
    assert.is_true(up.closed)
    server:advance(100)
    assert.equal(1, #up.requests)
    ended(server)
  end)

  it("is read for a derived channel as well", function()
    local server, up = serve(RELAY), stub { events = { { after = 1, data = "a" } }, open = true }
    local res = server:get "/double"
    server:advance(1)
    assert.same({ "aa" }, res:data())
    assert.equal(1, #up.requests)
    res:close()
    server:post "/end"
    ended(server)
  end)

  it("goes on with the last id, after a break and after a pause", function()
    local server = serve(RELAY)
    local up = stub { { events = { { id = "7", data = "a" } }, error = "closed" }, { events = { { id = "8", data = "b" } }, open = true }, { events = { "c" }, open = true } }
    local res = server:get "/prices"
    server:advance(5)
    assert.same({ "a", "b" }, res:data())
    assert.equal("7", up.requests[2].headers["last-event-id"])
    res:close()
    server:advance(6)
    assert.is_true(up.closed)
    res = server:get "/prices"
    server:advance(1)
    assert.same({ "c" }, res:data())
    assert.equal("8", up.requests[3].headers["last-event-id"])
    res:close()
    ended(server)
  end)

  it("stays where the last has left and another comes", function()
    local server, up = serve(RELAY), stub { events = { "a" }, open = true }
    for _ = 1, 5 do
      local res = server:get "/prices"
      res:close()
      server:advance(4)
    end
    assert.equal(1, #up.requests)
    assert.is_false(up.closed)
    ended(server)
  end)

  it("is read by one worker for all", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write('local spate, sse = require "spate", require "spate.sse"\nlocal app = spate.app()\n', RELAY, "\nreturn app\n")
    f:close()
    finally(function() os.remove(path) end)
    local app = t.load(path, { workers = 3 })
    local up = stub { events = { { after = 1, data = "a" } }, open = true }
    local readers = {}
    for i = 1, 6 do readers[i] = app:get("/prices", { worker = i % 3 }) end
    t.advance(1)
    assert.equal(1, #up.requests)
    for _, res in ipairs(readers) do assert.events(res, { { data = "a" } }) end
    for i, res in ipairs(readers) do
      if i ~= 2 then res:close() end
    end
    t.advance(100)
    assert.is_false(up.closed) -- one of another worker is left
    readers[2]:close()
    t.advance(6)
    assert.is_true(up.closed)
    local again = app:get("/prices", { worker = 2 })
    assert.equal(2, #up.requests)
    again:close()
    t.advance(40)
  end)

  it("is left to another worker that has the claim", function()
    local server = serve(RELAY .. [[
local claims = require("spate.core").shared "spate relays"
app:post("/taken", function() claims:set("prices", 7, { ttl = 20 }) return "ok" end)
app:get("/claim", function() return tostring(claims:get "prices") end)
]])
    local up = stub { events = { "a" }, open = true }
    local res = server:get "/prices"
    server:post "/taken"
    server:advance(6)
    assert.is_true(up.closed)
    assert.equal("7", (server:get("/claim"):body()))
    res:close()
    assert.equal(1, #up.requests)
    ended(server)
  end)

  it("ends the channel where the other server says that this is the end", function()
    local server = serve(RELAY)
    stub { { events = { "a" } }, { status = 204 } }
    local res = server:get "/prices"
    server:advance(5)
    assert.same({ "a" }, res:data())
    assert.is_true(res:has_ended())
    ended(server)
  end)

  it("tries again after what should not have been, and says so", function()
    local server, up = serve(RELAY), stub { { status = 401 }, { events = { "a" }, open = true } }
    local res = server:get "/prices"
    local line = server:log():match "warn  channel:relay: http://up.example/events: status 401 [^\n]*" or ""
    assert.truthy(line:find(" channel=prices", 1, true))
    server:advance(60)
    assert.equal(2, #up.requests)
    assert.same({ "a" }, res:data())
    res:close()
    ended(server)
  end)

  it("goes on over a reload", function()
    local server, up = serve(RELAY), stub { events = { { after = 5, data = "a" } }, open = true }
    local res = server:get "/prices"
    assert(server:reload(RELAY))
    local new = server:get "/prices"
    server:advance(5)
    assert.same({ { "a" }, { "a" } }, { res:data(), new:data() })
    assert.equal(1, #up.requests)
    res:close()
    new:close()
    server:advance(6)
    assert.is_true(up.closed)
    ended(server)
  end)

  it("says what is wrong with its arguments", function()
    for given, message in pairs { ["1"] = "channel:relay: expected a URL, pg:listen(...), or a function that returns a stream, got number", ["sse.never()"] = "a stream that cannot be read again", ["function() end, { headers = {} }"] = "option 'headers' is of a URL's", ['"http://a", 1'] = "expected a table of options",
      ['"http://a", { linger = -1 }'] = "channel:relay: linger" } do
      assert.truthy(helper.load_error(('sse.channel("x"):relay(%s)'):format(given)):find(message, 1, true), given)
    end
  end)
end)
