-- SPDX-License-Identifier: MIT
-- Traces: a request's traceparent goes on to other servers, and its ids are in the log.
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"
local t = require "spate.test"

local TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
local TRACEPARENT = ("00-%s-%s-01"):format(TRACE, PARENT)

describe("the log", function()
  it("has the trace, the span and its parent of a request that says so", function()
    local server = helper.serve("app:get('/', function() return '' end) app:get('/s', function() return sse.reply { 'a' } end)",
      { settings = { log = { format = "json" } } })
    server:get("/", { headers = { traceparent = TRACEPARENT } })
    server:advance(0.001)
    server:get("/s", { headers = { traceparent = TRACEPARENT } })
    server:get "/"
    local lines = {}
    for line in server:log():gmatch "[^\n]+" do lines[#lines + 1] = helper.json.decode(line) end
    assert.equal(4, #lines)
    for i = 1, 3 do
      assert.equal(TRACE, lines[i].trace_id)
      assert.equal(PARENT, lines[i].parent_id)
      assert.truthy(lines[i].span_id:find "^%x+$" and #lines[i].span_id == 16)
    end
    assert.equal(lines[2].span_id, lines[3].span_id) -- of one stream
    assert.are_not.equal(lines[1].span_id, lines[2].span_id)
    assert.is_nil(lines[4].trace_id)
    server:close()
  end)
end)

describe("a request to another server", function()
  local function serve(code)
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write("local spate, sse = require 'spate', require 'spate.sse'\nlocal app, reply = spate.app(), spate.reply\n",
      "app:get('/', function(req)\n", code, "\nend)\nreturn app\n")
    f:close()
    local app = t.load(path)
    os.remove(path)
    return app
  end

  it("carries the trace on, with a span of its own, unless it has one", function()
    local stub = t.http.stub("GET", "http://other/")
    local app = serve [[
spate.http.get "http://other/"
spate.http.get "http://other/"
spate.http.get("http://other/", { headers = { traceparent = "mine" } })
return ""]]
    assert.equal(200, app:get("/", { headers = { traceparent = TRACEPARENT } }).status)
    local function seen(i) return stub.requests[i].headers.traceparent end
    local first, second = seen(1), seen(2)
    for _, each in ipairs { first, second } do assert.truthy(each:find("^00%-" .. TRACE .. "%-%x+%-01$"), each) end
    assert.are_not.equal(first, second)
    assert.is_nil(first:find(PARENT, 1, true))
    assert.equal("mine", seen(3))
    assert.equal(200, app:get("/").status)
    assert.is_nil(seen(4))
  end)

  it("is told in the log without the query, nor whom it logs in as", function()
    t.http.stub("GET", "http://bob:hunter2@other/a@b?key=c")
    local app = serve [[spate.http.get "http://bob:hunter2@other/a@b?key=c" return ""]]
    assert.equal(200, app:get("/", { headers = { traceparent = TRACEPARENT } }).status)
    local log = app:log()
    assert.truthy(log:find("url=http://other/a@b ", 1, true) or log:find("url=http://other/a@b\n", 1, true), log)
    assert.is_nil(log:find("hunter2", 1, true), log)
  end)
end)

describe("a publish", function()
  local APP = [[
local ch = sse.channel("a", { history = 5 })
app:post("/publish", function(req) return { ch:publish(req.query.own and { data = "x", traceparent = req.query.own } or req:body()) } end)
app:post("/later", function(req) sse.spawn(function() ch:publish "later" end) return "" end)
app:get("/raw", function() return sse.reply(ch:subscribe()) end)
app:get("/seen", function(req)
  return sse.reply(ch:subscribe { after = req.last_event_id }:map(function(event) return { data = event.traceparent or "none" } end))
end)
app:get("/passed", function()
  return sse.reply(function(send) for event in ch:subscribe():each() do send(event) end end)
end)
app:post("/again", function() local last = ch:history()[1] last.id = nil return { ch:publish(last) ~= nil, ch:history()[2].traceparent } end)]]

  local function ids_of(server)
    local line = helper.json.decode(server:log():match "[^\n]*target[^\n]*/publish[^\n]*")
    return ("00-%s-%s-01"):format(TRACE, line.span_id)
  end

  local function publish(server, query, with_trace)
    return server:post("/publish" .. (query or ""), { body = "one", headers = with_trace and { traceparent = TRACEPARENT } or nil })
  end

  it("keeps the trace of its request for who reads the channel, and sends it to no client", function()
    local server = helper.serve(APP, { settings = { log = { format = "json" } } })
    local raw, seen, passed = server:get "/raw", server:get "/seen", server:get "/passed"
    publish(server, nil, true)
    local expected = ids_of(server)
    publish(server)
    assert.same({ expected, "none" }, seen:data())
    assert.same({ "one", "one" }, passed:data())
    assert.falsy((raw:raw() .. passed:raw()):find(TRACE, 1, true))
    server:close()
  end)

  it("keeps that of an event that somebody publishes again, or gives it", function()
    local server = helper.serve(APP, { settings = { log = { format = "json" } } })
    local seen = server:get "/seen"
    publish(server, nil, true)
    local expected = ids_of(server)
    assert.same({ true, expected }, server:post("/again"):json())
    local own = ("00-%s-%s-00"):format(PARENT .. PARENT, PARENT)
    publish(server, "?own=" .. own)
    assert.same({ expected, expected, own }, seen:data())
    assert.equal(500, publish(server, "?own=short"):status())
    assert.truthy(server:log():find("event field 'traceparent': expected 55 bytes, got 5", 1, true))
    server:close()
  end)

  it("with a store in a file keeps it for who is there, not for who reads the past", function()
    local folder = sqlite_files.folder()
    local server = sqlite_files.serve(APP, folder .. "/1.db", { settings = { log = { format = "json" } } })
    local seen = server:get "/seen"
    sqlite_files.settle(server)
    local res = publish(server, nil, true)
    sqlite_files.settle(server)
    assert.equal(200, res:status())
    assert.same({ ids_of(server) }, seen:data())
    server:close()
    server = sqlite_files.serve(APP, folder .. "/1.db", {})
    seen = server:get("/seen", { headers = { ["Last-Event-ID"] = res:json()[1]:gsub("%d+$", "0") } })
    sqlite_files.settle(server)
    assert.same({ "none" }, seen:data())
    server:close()
    sqlite_files.remove(folder)
  end)
end)
