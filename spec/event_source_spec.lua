-- SPDX-License-Identifier: MIT
-- Event streams of other servers: on their way to a client in C, and as a script reads them.
local helper = require "spec.helper"
local cases = require "spec.event_streams"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/events"

local APP = [[
local http = require "spate.http"
app:get("/carried", function() return sse.reply(assert(http.get("]] .. URL .. [[")):events(), { keep_alive = false }) end)
app:get("/mapped", function()
  return sse.reply(assert(http.get("]] .. URL .. [[")):events():map(function(e) return e end), { keep_alive = false })
end)
app:get("/read", function()
  local list = json.array {}
  local ok, err = pcall(function()
    for e in assert(http.get("]] .. URL .. [[")):events():each() do list[#list + 1] = e end
  end)
  return { list = list, err = not ok and err or nil }
end)
]]

local function serve(source, options)
  options = options or {}
  options.stubs = session.stubs
  return helper.serve(source or APP, options)
end

local function stub(answer, url) return t.http.stub("GET", url or URL, answer) end

local function raw(bytes, more)
  local answer = { headers = { ["Content-Type"] = "text/event-stream" }, chunks = { bytes } }
  for name, value in pairs(more or {}) do answer[name] = value end
  return answer
end

-- Events as the browser of whoever gets these bytes sees them.
local function seen(res) return assert(helper.harness.parse_events({ (res:body()) })) end

describe("an event stream of another server", function()
  it("comes to a client as it was dispatched, in C as by a script", function()
    local server = serve()
    for _, case in ipairs(cases) do
      local name, bytes, events = table.unpack(case, 1, 3)
      stub(raw(bytes))
      for _, way in ipairs { "/carried", "/mapped" } do
        local res = server:get(way)
        assert.same(events, seen(res).events, name .. way)
        assert.is_true(res:has_ended(), name .. way)
      end
      if not name:find "bytes of any kind" then -- which JSON has none of
        local list = server:get("/read"):json().list
        assert.equal(#events, #list, name)
        for i, e in ipairs(events) do
          assert.same({ e.event, e.data, e.id }, { list[i].event or "message", list[i].data, list[i].id or "" }, name)
        end
      end
    end
    server:close()
  end)

  it("is sent on without a task", function()
    local server, up = serve(), stub { events = { "a", { after = 1, data = "b" }, { after = 9, data = "c" } } }
    local res = server:get "/carried"
    assert.same({ "a" }, res:data())
    assert.equal(0, server:stats().tasks)
    server:advance(1)
    assert.same({ "a", "b" }, res:data())
    assert.is_false(up.closed)
    res:close()
    assert.is_true(up.closed)
    server:close()
  end)

  it("is closed in the turn in which its client leaves", function()
    for _, way in ipairs { "/carried", "/mapped" } do
      local server, up = serve(), stub { events = { "a" }, open = true }
      local res = server:get(way)
      res.client:leave()
      local turns = 0
      repeat
        server.core:step()
        turns = turns + 1
      until up.closed or turns > 100
      assert(turns <= (way == "/carried" and 2 or 20), turns) -- a script may be about to go on
      assert.is_true(up.closed, way)
      server:close()
    end
  end)

  it("has the id of its own where the other server says one", function()
    local server = serve()
    stub { headers = { ["Content-Type"] = "text/event-stream" }, chunks = { ": hello\n\n",
      { after = 1, "id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\nid\ndata: d\n\ndata: e\n\n" } } }
    local res = server:get "/carried"
    server:advance(1)
    local ids = {}
    for i, e in ipairs(res:events()) do ids[i] = e.id or "none" end
    assert.same({ "1", "none", "2", "", "none" }, ids)
    server:close()
  end)

  it("that breaks off cuts the client, and raises where a script reads it", function()
    local server = serve()
    stub(raw("data: a\n\ndata: b", { error = "closed" }))
    for _, way in ipairs { "/carried", "/mapped" } do
      local res = server:get(way)
      assert.same({ "a" }, res:data(), way)
      assert.is_false(select(2, res:body()), way)
      assert.equal("error", res.client:reason(), way)
      assert.truthy(server:log():find "GET http://up.example/events: the stub's error: closed", way)
    end
    local read = server:get("/read"):json()
    assert.equal(1, #read.list)
    assert.truthy(read.err:find "res:events: GET http://up.example/events: the stub's error: closed")
    server:close()
  end)

  it("with an event above limits.event is cut there", function()
    local server = serve(nil, { settings = { limits = { event = 100 } } })
    local up = stub(raw("data: a\n\ndata: " .. ("x"):rep(200), { open = true }))
    for _, way in ipairs { "/carried", "/mapped" } do
      local res = server:get(way)
      assert.same({ "a" }, res:data(), way)
      assert.equal("error", res.client:reason(), way)
      assert.is_true(up.closed)
      assert.truthy(server:log():find "an event is larger than limits.event", way)
    end
    server:close()
  end)

  it("ends for a client whose stream is ended otherwise", function()
    local server, up = serve(), stub { events = { "a" }, open = true }
    local res = server:get "/carried"
    server.core:drain()
    server:advance(10)
    assert.is_true(res:has_ended())
    assert.is_true(up.closed)
    server:close()
  end)

  it("waits for a client that reads nothing, and costs its windows", function()
    local chunks, piece = {}, ("data: %s\n\n"):format(("x"):rep(1000))
    for i = 1, 4000 do chunks[i] = piece end
    local server = serve(nil, { settings = { limits = { queue_high = 64 << 10, queue_low = 16 << 10 }, timeouts = { send = 1000 } } })
    stub { headers = { ["content-type"] = "text/event-stream" }, chunks = chunks }
    for _, way in ipairs { "/carried", "/mapped" } do
      local before = server:stats().events
      local res = server:get("/mapped", { client = nil })
      res:close()
      local client = server:connect()
      client:window(0)
      local held = server:send(("GET %s HTTP/1.1\r\nHost: spec\r\n\r\n"):format(way), client)
      server:advance(10)
      local waiting = server:stats().events - before
      assert(waiting > 50 and waiting < 200, ("%s: %d events wait"):format(way, waiting))
      client:window(nil)
      server:turn()
      assert.equal(4000, #held:data(), way)
      held:close()
    end
    server:close()
  end)

  it("that nobody reads waits with its sender", function()
    local chunks = {}
    for i = 1, 4000 do chunks[i] = ("data: %s\n\n"):format(("x"):rep(1000)) end
    local server = serve([[
local http = require "spate.http"
local events
app:get("/begin", function() events = assert(http.get("]] .. URL .. [[")):events() return "ok" end)
app:get("/rest", function() return tostring(#events:collect()) end)]])
    local before = server:stats().events
    stub { headers = { ["content-type"] = "text/event-stream" }, chunks = chunks }
    server:get "/begin"
    local waiting = server:stats().events - before
    assert(waiting > 20 and waiting < 200, waiting)
    assert.equal("4000", (server:get("/rest"):body()))
    server:close()
  end)

  it("is let go of where its stream is not read", function()
    local server, up = serve([[
local http = require "spate.http"
app:get("/head", function() return sse.reply(http.get("]] .. URL .. [["):events()) end)
app:get("/closed", function()
  local events = http.get("]] .. URL .. [["):events()
  events:close()
  return "ok"
end)
app:get("/loop", function()
  for e in http.get("]] .. URL .. [["):events():each() do return e.data end
end)]]), stub { events = { "a" }, open = true }
    server:request("HEAD", "/head")
    assert.is_true(up.closed)
    for _, path in ipairs { "/closed", "/loop" } do
      server:get(path)
      assert.is_true(up.closed, path)
    end
    server:close()
  end)

  it("has on_close functions, and what comes before and behind it", function()
    local server = serve([[
local http = require "spate.http"
app:get("/", function()
  local events = http.get("]] .. URL .. [["):events():on_close(function() spate.log.info "closed" end)
  return sse.reply(sse.merge(events, sse.once "beside"):start_with("first"):chain(sse.once "last"))
end)]])
    stub { events = { "a" } }
    assert.same({ "first", "a", "beside", "last" }, (function()
      local data = server:get("/"):data()
      table.sort(data, function(a, b) return (a == "last" and 2 or a == "first" and 0 or 1) < (b == "last" and 2 or b == "first" and 0 or 1) or
        (a < b and a ~= "last" and b ~= "first" and a ~= "first" and b ~= "last") end)
      return data
    end)())
    assert.truthy(server:log():find "closed")
    server:close()
  end)
end)
