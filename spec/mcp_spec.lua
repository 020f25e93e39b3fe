-- SPDX-License-Identifier: MIT
-- spate.mcp in memory: messages, sessions, streams that are come back to, questions, cancelling.
local helper = require "spec.helper"

local APP = [[
local mcp = require "spate.mcp"
local server = mcp.server { name = "spec", version = "2", ttl = 100, hosts = { "spec" }, origins = { "https://app.example" } }
server:tool("add", { description = "Adds", input = { type = "object", properties = { a = { type = "number" }, b = { type = "number" } }, required = { "a", "b" } } },
  function(args) return { sum = args.a + args.b } end)
server:tool("slow", {}, function(args, call)
  local _ <close> = setmetatable({}, { __close = function() spate.log.info "slow is over" end })
  for i = 1, args.to or 3 do
    sse.sleep(1)
    call:progress(i, args.to or 3)
  end
  return "slept"
end)
server:tool("ask", {}, function(_, call)
  local answer, err, code = call:elicit("Who?", { type = "object" }, { timeout = 5 })
  return answer and answer.action or nil, err and err .. " " .. code
end)
server:tool("broken", {}, function() error "secret detail" end)
server:tool("dotted", {}, function(_, call) call.progress(1) end)
server:tool("loops", {}, function() while true do end end)
server:tool("who", {}, function(_, call) return call.ctx.user end)
server:resource("notes://{name}/{+path}", { name = "notes" }, function(uri, values) return values.name ~= "no" and values.name .. ":" .. values.path or nil end)
app:use(function(req, next) req.ctx.user = "ann" return next() end)
server:serve(app, "/mcp")
app:post("/touch", function() return tostring(server:updated "notes://a/b") end)
]]

local server

local function post(message, session, headers)
  headers = headers or {}
  headers.Accept = "application/json, text/event-stream"
  headers["Mcp-Session-Id"] = session
  message.jsonrpc = "2.0"
  return server:post("/mcp", { json = message, headers = headers })
end

local function begin(capabilities, version)
  local res = post { id = 0, method = "initialize", params = { protocolVersion = version or "2025-11-25", capabilities = capabilities, clientInfo = { name = "x", version = "1" } } }
  return res:header "Mcp-Session-Id", res
end

local function call(session, name, arguments, meta)
  return post({ id = 7, method = "tools/call", params = { name = name, arguments = arguments, _meta = meta } }, session)
end

local function messages(res)
  local list = {}
  for _, event in ipairs((res:events())) do
    if event.data and event.data ~= "" then list[#list + 1] = helper.json.decode(event.data) end
  end
  return list
end

describe("spate.mcp", function()
  before_each(function() server = helper.serve(APP) end)
  after_each(function()
    if server then server:close() end
    server = nil
  end)

  it("begins a session with the version of the client, or its own", function()
    local session, res = begin(nil, "2025-06-18")
    assert.equal(36, #session)
    assert.same({ protocolVersion = "2025-06-18", serverInfo = { name = "spec", version = "2" },
      capabilities = { logging = {}, tools = {}, resources = { subscribe = true } } }, res:json().result)
    assert.equal("2025-11-25", select(2, begin(nil, "1999-01-01")):json().result.protocolVersion)
    assert.equal(202, post({ method = "notifications/initialized" }, session):status())
    assert.same({}, post({ id = 1, method = "ping" }, session):json().result)
  end)

  it("ends sessions when they are told to, and when nobody asks for long", function()
    local one, two = begin(), begin()
    assert.equal(204, server:delete("/mcp", { headers = { ["Mcp-Session-Id"] = one } }):status())
    assert.equal(404, post({ id = 1, method = "ping" }, one):status())
    for _ = 1, 5 do
      server:advance(60)
      assert.equal(200, post({ id = 1, method = "ping" }, two):status())
    end
    server:advance(101)
    assert.equal(404, post({ id = 1, method = "ping" }, two):status())
  end)

  it("refuses what is no message, no session and no version of its", function()
    local session = begin()
    local function sent(body) return server:post("/mcp", { body = body, headers = { ["Mcp-Session-Id"] = session } }) end
    for body, code in pairs { ["{"] = -32700, ["[]"] = -32600, ["1"] = -32600, ['{"jsonrpc":"2.0"}'] = -32600, ['{"jsonrpc":"2.0","id":{},"method":"ping"}'] = -32600,
      ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]'] = -32600, ['{"id":1,"method":"ping"}'] = -32600, ['{"jsonrpc":"2.0","id":1}'] = -32600 } do
      local res = sent(body)
      assert.same({ 400, code }, { res:status(), res:json().error.code }, body)
    end
    assert.equal("Invalid Request: a batch, which only 2025-03-26 had, is not taken; send its messages one by one",
      sent('[{"jsonrpc":"2.0","id":1,"method":"ping"}]'):json().error.message)
    assert.equal(400, post({ id = 1, method = "ping" }):status())
    assert.equal(404, post({ id = 1, method = "ping" }, "x"):status())
    assert.equal(404, post({ id = 1, method = "ping" }, ("x"):rep(5000)):status())
    assert.equal(400, post({ id = ("x"):rep(101), method = "ping" }, session):status())
    assert.equal(202, post({ method = "notifications/cancelled", params = { requestId = ("x"):rep(100000) } }, session):status())
    assert.equal(400, post({ id = 1, method = "ping" }, session, { ["MCP-Protocol-Version"] = "1999-01-01" }):status())
    assert.equal(200, post({ id = ("\1"):rep(100), method = "ping" }, session):status())
    assert.equal(200, post({ id = 1, method = "resources/subscribe", params = { uri = ("x"):rep(2000) } }, session):status())
    for method, code in pairs { ["x/y"] = -32601, ["tools/call"] = -32602, ["resources/read"] = -32602, ["prompts/get"] = -32602, ["logging/setLevel"] = -32602,
      ["completion/complete"] = -32602, ["resources/subscribe"] = -32602 } do
      assert.equal(code, post({ id = 1, method = method, params = {} }, session):json().error.code, method)
    end
    assert.equal(-32602, post({ id = 1, method = "tools/list", params = "x" }, session):json().error.code)
    assert.equal(405, server:request("PUT", "/mcp", {}):status())
  end)

  it("answers neither pages that have another origin nor names that point here", function()
    local function status(host, origin)
      return server:post("/mcp", { body = "{", headers = { Host = host, Origin = origin } }):status()
    end
    assert.same({ 400, 400, 400, 400, 400 }, { status "spec", status "localhost:8080", status "[::1]:80", status("spec", "https://app.example"), status("localhost", "http://localhost") })
    assert.same({ 403, 403, 403 }, { status "evil.example", status("spec", "https://evil.example"), status("localhost", "null") })
  end)

  it("calls a tool: structured content, wrong arguments, failures whose detail is for the log", function()
    local session = begin()
    assert.same({ content = { { type = "text", text = '{"sum":3}' } }, structuredContent = { sum = 3 } }, call(session, "add", { a = 1, b = 2 }):json().result)
    assert.same({ content = { { type = "text", text = "'b' is missing" } }, isError = true }, call(session, "add", { a = 1 }):json().result)
    assert.same({ content = { { type = "text", text = "'a' is no number" } }, isError = true }, call(session, "add", { a = "1", b = 2 }):json().result)
    assert.same({ content = { { type = "text", text = "The tool has failed." } }, isError = true }, call(session, "broken"):json().result)
    assert.matches(":19: secret detail", server:log())
    call(session, "dotted")
    assert.matches(":%d+: call:progress%(%.%.%.%): write it with a colon", server:log())
    assert.same({ content = { { type = "text", text = "ann" } } }, call(session, "who"):json().result)
  end)

  it("answers for a tool that was stopped #watchdog", function()
    server:close()
    server = helper.serve(APP, { watch = true, settings = { limits = { burst = 0.05 } } })
    assert.same({ code = -32603, message = "it was stopped" }, call(begin(), "loops"):json().error)
  end)

  it("reads resources by template", function()
    local session = begin()
    local function read(uri) return post({ id = 1, method = "resources/read", params = { uri = uri } }, session):json() end
    assert.same({ contents = { { uri = "notes://a%20b/c/d", text = "a b:c/d" } } }, read("notes://a%20b/c/d").result)
    assert.equal(-32002, read("notes://no/x").error.code)
    assert.equal(-32002, read("other://x").error.code)
  end)

  it("streams progress to who has asked for it, then the result", function()
    local session = begin()
    local res = call(session, "slow", nil, { progressToken = "t" })
    server:advance(5)
    assert.equal("text/event-stream", res:header "Content-Type")
    local list = messages(res)
    assert.same({ progressToken = "t", progress = 1, total = 3 }, list[1].params)
    assert.same({ 4, { content = { { type = "text", text = "slept" } } }, 7 }, { #list, list[4].result, list[4].id })
    assert.is_true(res:has_ended())
    assert.same({ "1000", "" }, { (res:events())[1].retry, (res:events())[1].data }) -- what a client comes back with before there is a message
    local silent = call(session, "slow")
    server:advance(5)
    assert.equal(1, #messages(silent))
  end)

  it("sends no empty event to clients that do not know of them", function()
    local session = begin(nil, "2025-06-18")
    local res = call(session, "slow", { to = 1 })
    server:advance(2)
    assert.equal(1, #(res:events()))
  end)

  it("goes on when the client leaves, and gives it the rest when it is back", function()
    local session = begin()
    local res = call(session, "slow", nil, { progressToken = 1 })
    server:advance(1.5)
    local last = (res:events())[2].id
    res:close()
    server:advance(1)
    local function again(id) return server:get("/mcp", { headers = { ["Mcp-Session-Id"] = session, ["Last-Event-ID"] = id, Accept = "text/event-stream" } }) end
    local rest = again(last)
    server:advance(1)
    assert.same({ 2, 3 }, { messages(rest)[1].params.progress, messages(rest)[2].params.progress })
    assert.equal("slept", messages(rest)[3].result.content[1].text)
    assert.is_true(rest:has_ended())
    local ids = rest:events()
    assert.equal(204, again(ids[#ids].id):status())
    assert.equal(404, again "00.1-1":status())
  end)

  it("cancels a call from wherever", function()
    local session = begin()
    local res = call(session, "slow", { to = 1000 })
    server:advance(2)
    assert.equal(202, post({ method = "notifications/cancelled", params = { requestId = 7 } }, session):status())
    server:advance(0.1)
    assert.matches("slow is over", server:log())
    assert.is_true(res:has_ended())
    assert.same({}, messages(res))
    assert.equal(202, post({ method = "notifications/cancelled", params = { requestId = 8 } }, session):status())
  end)

  it("asks the client, and goes on with what it answers", function()
    local session = begin { elicitation = {} }
    local res = call(session, "ask")
    local question = messages(res)[1]
    assert.same({ "elicitation/create", "Who?" }, { question.method, question.params.message })
    assert.equal(202, post({ id = "no.1", result = {} }, session):status())
    assert.equal(202, post({ id = question.id, result = { action = "accept" } }, session):status())
    server:advance(0.1)
    assert.equal("accept", messages(res)[2].result.content[1].text)
    local failing, late = call(session, "ask"), call(session, "ask")
    post({ id = messages(failing)[1].id, error = { code = -1, message = "no" } }, session)
    server:advance(6)
    assert.equal("no -1", messages(failing)[2].result.content[1].text)
    assert.equal("the client has not answered timeout", messages(late)[2].result.content[1].text)
    assert.equal("the client has no elicitation unsupported", call(begin(), "ask"):json().result.content[1].text)
    server:advance(400)
  end)

  it("tells who has subscribed that a resource has changed", function()
    local one, two = begin(), begin()
    local function listen(session) return server:get("/mcp", { headers = { ["Mcp-Session-Id"] = session, Accept = "text/event-stream" } }) end
    local first, second = listen(one), listen(two)
    post({ id = 1, method = "resources/subscribe", params = { uri = "notes://a/b" } }, one)
    assert.equal("true", (server:post("/touch"):body()))
    assert.same({ method = "notifications/resources/updated", params = { uri = "notes://a/b" }, jsonrpc = "2.0" }, messages(first)[1])
    assert.same({}, messages(second))
    post({ id = 1, method = "resources/unsubscribe", params = { uri = "notes://a/b" } }, one)
    server:post "/touch"
    assert.equal(1, #messages(first))
    local function subscribed(n) return post({ id = 1, method = "resources/subscribe", params = { uri = "notes://a/" .. n } }, two):json().error end
    for n = 1, 1000 do assert.is_nil(subscribed(n)) end
    assert.is_nil(subscribed(1))
    assert.equal("It cannot be kept: too many", subscribed(1001).message)
    server:delete("/mcp", { headers = { ["Mcp-Session-Id"] = one } })
    assert.is_true(first:has_ended())
    first:close()
    second:close()
  end)

  it("goes on over a reload", function()
    local session = begin()
    local res = call(session, "slow")
    server:advance(1.5)
    assert.is_true(server:reload(APP))
    assert.equal(200, post({ id = 1, method = "ping" }, session):status())
    server:advance(3)
    assert.equal("slept", messages(res)[1].result.content[1].text)
  end)

  it("raises at the user's line what is wrong with what it serves", function()
    local s = 'local s = require("spate.mcp").server { name = "x" } '
    helper.refuses {
      ['require("spate.mcp").server {}'] = "mcp.server: name: expected a string, got nil",
      ['require("spate.mcp").server { name = "x", host = {} }'] = "mcp.server: unknown option 'host'; did you mean 'hosts'?",
      [s .. 's:tool("a", {})'] = "server:tool: expected a function, got nil",
      [s .. 's:tool("a", { input = { type = "string" } }, print)'] = 'server:tool: input: expected a JSON schema with type = "object"',
      [s .. 's:tool("a", {}, print) s:tool("a", {}, print)'] = "server:tool: there is one of this name already: a",
      [s .. 's:resource("a://{b*}", {}, print)'] = "server:resource: expected {name} and {+name} in the template",
      [s .. 's.prompt("a", {}, print)'] = "server:prompt(...): write it with a colon",
    }
  end)
end)
