-- SPDX-License-Identifier: MIT
-- The examples as they stand, in virtual time.
local helper = require "spec.helper"
local lfs = require "lfs"

local json = helper.json

-- The events with the JSON of their data in its place.
local function decoded(res)
  local list = {}
  for i, event in ipairs((res:events())) do
    event.data = json.decode(event.data) or event.data
    list[i] = event
  end
  return list
end

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read("a")
end

local KEEPS = { ["board.lua"] = { tasks = 1, timers = 1 } } -- what runs by itself
local ELSEWHERE = { ["live_table.lua"] = true, ["outbox.lua"] = true } -- they need a database: examples_databases_spec

local function serve(name)
  local server = helper.serve("examples/" .. name)
  finally(function() server:close(KEEPS[name]) end)
  return server
end

describe("examples", function()
  for name in lfs.dir("examples") do
    if name:match("%.lua$") then
      it(name .. " says how to run it, is short, and loads", function()
        local lines = {}
        for line in io.lines("examples/" .. name) do lines[#lines + 1] = line end
        assert.truthy(lines[1]:find("^%-%- [^ ]- ?spate serve examples/" .. name:gsub("%p", "%%%0")))
        assert.is_true(#lines < 60)
        if ELSEWHERE[name] then return end
        assert.equal("", serve(name):log())
      end)
    end
  end
end)

describe("examples/tokens.lua", function()
  it("sends a token each 50 ms with the blank before it, then [DONE], then the end", function()
    local server = serve("tokens.lua")
    local res = server:post("/generate", { json = { prompt = "to be  or" } })
    assert.equal("text/event-stream", res:header("Content-Type"))
    assert.same({ '{"token":"to"}' }, res:data())
    server:advance(0.049)
    assert.equal(1, #res:data())
    server:advance(0.001)
    assert.same({ '{"token":"to"}', '{"token":" be"}' }, res:data())
    server:advance(0.1)
    assert.same({ '{"token":"to"}', '{"token":" be"}', '{"token":"  or"}', "[DONE]" }, res:data())
    assert.is_true(res:has_ended())
  end)

  it("serves its clients side by side", function()
    local server = serve("tokens.lua")
    local one = server:post("/generate", { json = { prompt = "a b c" } })
    server:advance(0.05)
    local two = server:post("/generate", { json = { prompt = "d e" } })
    server:advance(0.05)
    assert.equal(3, #one:data())
    assert.equal(2, #two:data())
    server:advance(0.05)
    assert.equal("[DONE]", one:data()[4])
    assert.equal("[DONE]", two:data()[3])
  end)

  it("stops when the client leaves", function()
    local server = serve("tokens.lua")
    local res = server:post("/generate", { json = { prompt = ("word "):rep(100) } })
    server:advance(0.1)
    assert.equal(1, server:stats().tasks)
    res:close()
    assert.equal(0, server:stats().tasks)
  end)

  for what, body in pairs { ["no prompt"] = "{}", ["a prompt that is no text"] = '{"prompt":1}', ["no object"] = "5" } do
    it("answers 400 to " .. what, function()
      local res = serve("tokens.lua"):post("/generate", { body = body })
      assert.equal(400, res:status())
      assert.equal("prompt is required\n", (res:body()))
    end)
  end

  it("answers 400 with line and column to what is not JSON", function()
    local res = serve("tokens.lua"):post("/generate", { body = '{"prompt"' })
    assert.equal(400, res:status())
    assert.truthy((res:body()):find("line 1"))
  end)
end)

describe("examples/progress.lua", function()
  it("tells each step with its id and the part done, then done, then the end", function()
    local server = serve("progress.lua")
    local res = server:get("/build")
    assert.same({}, decoded(res))
    server:advance(1)
    assert.same({
      { event = "progress", id = "1", data = { step = "fetch", percent = 20 } },
      { event = "progress", id = "2", data = { step = "unpack", percent = 40 } },
    }, decoded(res))
    server:advance(2)
    local events = decoded(res)
    assert.equal(6, #events)
    assert.equal(100, events[5].data.percent)
    assert.same({ event = "done", id = "6", data = "ok" }, events[6])
    assert.is_true(res:has_ended())
  end)

  it("goes on behind the step that the client has seen", function()
    local server = serve("progress.lua")
    local res = server:get("/build", { headers = { ["Last-Event-ID"] = "4" } })
    server:advance(0.5)
    local events = decoded(res)
    assert.equal("publish", events[1].data.step)
    assert.equal("done", events[2].event)
  end)

  it("tells a client that has seen the last step that the job is done", function()
    local res = serve("progress.lua"):get("/build?last_event_id=5")
    assert.same({ { event = "done", id = "6", data = "ok" } }, decoded(res))
  end)

  it("stops a client that has seen the end with a 204", function()
    assert.equal(204, serve("progress.lua"):get("/build", { headers = { ["Last-Event-ID"] = "6" } }):status())
  end)

  for _, id in ipairs { "x", "-3", "0.5", "1e400" } do
    it("begins anew after the id " .. id .. ", which is none of its own", function()
      local server = serve("progress.lua")
      local res = server:get("/build", { headers = { ["Last-Event-ID"] = id } })
      server:advance(0.5)
      assert.equal("1", res:events()[1].id)
    end)
  end
end)

describe("examples/dashboard.lua", function()
  it("sends a sample at once and two a second", function()
    local server = serve("dashboard.lua")
    local res = server:get("/samples")
    assert.equal(1, #res:events())
    server:advance(2)
    local events = decoded(res)
    assert.equal(5, #events)
    for _, event in ipairs(events) do
      assert.equal("sample", event.event)
      assert.equal("float", math.type(event.data.load))
      assert.is_true(event.data.memory_percent >= 0 and event.data.memory_percent <= 100)
      assert.equal(1, event.data.streams)
    end
  end)

  it("counts the streams of all its clients", function()
    local server = serve("dashboard.lua")
    server:get("/samples")
    local other = server:get("/samples")
    server:advance(0.5)
    assert.equal(2, decoded(other)[2].data.streams)
  end)

  it("has a page that listens to the stream and shows every field of a sample", function()
    local server = serve("dashboard.lua")
    local page = server:get("/")
    assert.equal("text/html; charset=utf-8", page:header("Content-Type"))
    local html = page:body()
    local path = html:match('new EventSource%("([^"]+)"%)')
    local res = server:get(path)
    assert.equal("text/event-stream", res:header("Content-Type"))
    local sample = decoded(res)[1]
    assert.truthy(html:find(('addEventListener("%s"'):format(sample.event), 1, true))
    for name in pairs(sample.data) do assert.truthy(html:find(('id="%s"'):format(name), 1, true)) end
  end)
end)

describe("examples/mcp.lua", function()
  local function call(server, method, params, id)
    return server:post("/mcp", { json = { jsonrpc = "2.0", id = id or 1, method = method, params = params } })
  end

  it("says what it can do", function()
    local res = call(serve("mcp.lua"), "server/discover")
    assert.equal(200, res:status())
    assert.same({ jsonrpc = "2.0", id = 1, result = {
      resultType = "complete", supportedVersions = { "2026-07-28" }, capabilities = { tools = {} }, ttlMs = 60000,
      cacheScope = "public" } }, res:json())
    assert.truthy((res:body()):find('"tools":{}', 1, true))
  end)

  it("agrees on a version", function()
    local server = serve("mcp.lua")
    for asked, answered in pairs { ["2025-06-18"] = "2025-06-18", ["2025-11-25"] = "2025-11-25", ["1999"] = "2025-11-25" } do
      local result = call(server, "initialize", { protocolVersion = asked }, "a"):json()
      assert.equal("a", result.id)
      assert.equal(answered, result.result.protocolVersion)
      assert.same({ name = "counter", version = "1" }, result.result.serverInfo)
    end
  end)

  it("lists its tool", function()
    local tools = call(serve("mcp.lua"), "tools/list"):json().result.tools
    assert.same({ { name = "count", inputSchema = { type = "object", properties = { to = { type = "integer" } } } } }, tools)
  end)

  it("streams progress, then the result, where a token is given", function()
    local server = serve("mcp.lua")
    local res = call(server, "tools/call", { name = "count", arguments = { to = 2 }, _meta = { progressToken = "t" } }, 7)
    assert.equal("text/event-stream", res:header("Content-Type"))
    assert.same({}, decoded(res))
    server:advance(1)
    assert.same({ { data = { jsonrpc = "2.0", method = "notifications/progress",
      params = { progressToken = "t", progress = 1, total = 2 } } } }, decoded(res))
    server:advance(1)
    local events = decoded(res)
    assert.equal(3, #events)
    assert.same({ jsonrpc = "2.0", id = 7, result = {
      resultType = "complete", content = { { type = "text", text = "counted to 2" } } } }, events[3].data)
    assert.is_true(res:has_ended())
  end)

  it("sends only the result where no token is given", function()
    local server = serve("mcp.lua")
    local res = call(server, "tools/call", { name = "count", arguments = { to = 3 } })
    server:advance(3)
    assert.equal("counted to 3", decoded(res)[1].data.result.content[1].text)
  end)

  it("stops counting when the client leaves", function()
    local server = serve("mcp.lua")
    call(server, "tools/call", { name = "count", arguments = { to = 1000 } }):close()
    assert.equal(0, server:stats().tasks)
  end)

  it("answers errors as JSON-RPC does", function()
    local server = serve("mcp.lua")
    local broken = server:post("/mcp", { body = "{" })
    assert.equal(400, broken:status())
    assert.equal(-32700, broken:json().error.code)
    assert.truthy((broken:body()):find('"id":null', 1, true))
    local number = server:post("/mcp", { body = "5" })
    assert.equal(400, number:status())
    assert.equal(-32600, number:json().error.code)
    local unknown = call(server, "nothing/known")
    assert.equal(404, unknown:status())
    assert.equal(-32601, unknown:json().error.code)
    assert.equal(1, unknown:json().id)
  end)

  it("takes notifications, and refuses GET", function()
    local server = serve("mcp.lua")
    assert.equal(202, server:post("/mcp", { json = { jsonrpc = "2.0", method = "notifications/initialized" } }):status())
    local res = server:get("/mcp")
    assert.equal(405, res:status())
    assert.equal("POST, OPTIONS", res:header("Allow"))
  end)
end)

describe("examples/site.lua", function()
  it("serves its folder, its stream and itself", function()
    local server = serve "site.lua"
    local page = server:get "/"
    assert.equal(read "examples/site/index.html", page:body())
    assert.equal("max-age=60", page:header "Cache-Control")
    for name, type in pairs { ["site.css"] = "text/css; charset=utf-8", ["site.js"] = "text/javascript; charset=utf-8" } do
      local res = server:get("/" .. name)
      assert.equal(type, res:header "Content-Type")
      assert.equal(read("examples/site/" .. name), res:body())
    end
    assert.equal(read "examples/site.lua", server:get("/script"):body())
    local stream = server:get "/time"
    server:advance(2)
    assert.equal(3, #stream:data())
    stream:close()
  end)
end)
