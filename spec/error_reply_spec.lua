-- SPDX-License-Identifier: MIT
-- Errors that no application answers, and those of reply.error: text, or JSON where the client prefers it.
local helper = require "spec.helper"

local APP = [[
app:get("/", function() return "here" end)
app:get("/error", function() return reply.error(404, 'no "such" room\n\1é') end)
app:get("/phrase", function() return reply.error(409) end)
app:get("/odd", function() return reply.error(499) end)
app:get("/changed", function() return reply.error(404, "gone"):status(410):header("X-A", "1") end)
app:get("/typed", function() return reply.error(404, "<p>gone"):header("Content-Type", "text/html") end)
app:get("/bytes", function() return reply.error(404, "\255") end)
app:get("/boom", function() error "boom" end)
app:get("/abort", function() spate.abort(403, "not yours") end)
app:get("/stream", function() return sse.reply(function(send) error "boom" end) end)
app:get("/hungry", function() local t = {} while true do t[#t + 1] = {} end end)
app:post("/", function(req) return req:body() end)
]]

local server

-- The response to a request with this Accept field (or without one).
local function ask(target, accept, options)
  options = options or {}
  options.headers = { Accept = accept }
  return server:request(options.method or "GET", target, options)
end

local function assert_text(status, message, res)
  assert.same({ status, message .. "\n", "text/plain; charset=utf-8" }, { res:status(), (res:body()), res:header "Content-Type" })
end

local function assert_json(status, message, res)
  assert.same({ status, "application/json" }, { res:status(), res:header "Content-Type" })
  assert.same({ error = { status = status, message = message } }, res:json())
end

describe("an error that the server answers", function()
  before_each(function() server = helper.serve(APP, { settings = { limits = { lua_memory = 8 << 20 } } }) end)
  after_each(function() server:close() end)

  it("is text, or JSON where Accept prefers that", function()
    assert_text(404, "Not Found", ask("/none"))
    assert_json(404, "Not Found", ask("/none", "application/json"))
    assert.equal('{"error":{"status":404,"message":"Not Found"}}', (ask("/none", "application/json"):body()))
    assert_json(405, "Method Not Allowed", ask("/", "application/json", { method = "PUT" }))
    assert.equal("GET, HEAD, POST, OPTIONS", ask("/", "application/json", { method = "PUT" }):header "Allow")
    assert_json(400, "malformed path", ask("/%zz", "application/json"))
    assert_text(400, "malformed path", ask("/%zz"))
    assert_json(400, "too many query parameters", ask("/?" .. ("a&"):rep(200), "application/json"))
    assert_json(500, "Internal Server Error", ask("/boom", "application/json"))
    assert_json(403, "not yours", ask("/abort", "application/json"))
    assert.truthy(ask("/hungry", "application/json"):json().error.status >= 500)
  end)

  it("is the same by reply.error, unless the script gives it a type", function()
    assert_text(404, 'no "such" room\n\1é', ask("/error"))
    assert_json(404, 'no "such" room\n\1é', ask("/error", "application/json"))
    assert_json(409, "Conflict", ask("/phrase", "application/json"))
    assert_json(499, "499", ask("/odd", "application/json"))
    local changed = ask("/changed", "application/json")
    assert_json(410, "gone", changed)
    assert.equal("1", changed:header "X-A")
    local typed = ask("/typed", "application/json")
    assert.same({ "text/html", "<p>gone\n" }, { typed:header "Content-Type", (typed:body()) })
    assert_text(404, "\255", ask("/bytes", "application/json")) -- no JSON holds these bytes
  end)

  it("has the length of its body in the head of HEAD, and no body", function()
    local res = ask("/none", "application/json", { method = "HEAD" })
    assert.equal(tostring(#'{"error":{"status":404,"message":"Not Found"}}'), res:header "Content-Length")
    assert.matches("\r\n\r\n$", res:raw())
  end)

  it("does not go by what the request holds", function()
    assert_text(404, "Not Found", server:post("/none", { body = "{}", headers = { ["Content-Type"] = "application/json" } }))
    assert_text(404, "Not Found", server:get("/none", { headers = { ["Accept-Encoding"] = "application/json", Accept = "text/plain" } }))
  end)

  it("within a body is negotiated, before there is a request it is text", function()
    local post = "POST / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n"
    local late = server:send(post .. "Content-Length: 5\r\n\r\nab")
    server:advance(10)
    assert_json(408, "the request took too long to arrive", late)
    assert_json(413, "request body too large", server:send(post .. "Transfer-Encoding: chunked\r\n\r\n100001\r\n"))
    assert_json(400, "bad chunk size", server:send(post .. "Transfer-Encoding: chunked\r\n\r\nx\r\n"))
    assert_json(413, "request body too large", server:send(post .. "Content-Length: 2000000\r\n\r\n"))
    assert_text(417, "unknown expectation", server:send(post .. "Expect: x\r\n\r\n"))
    assert_text(505, "unknown HTTP version", server:send "GET / HTTP/2.0\r\nAccept: application/json\r\n\r\n")
    assert_text(501, "unknown method", server:send(("B"):rep(25) .. " / HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert_text(431, "too many fields", server:send("GET / HTTP/1.1\r\n" .. ("X: 1\r\n"):rep(101) .. "\r\n"))
    assert_text(414, "request target too long", server:send("GET /" .. ("x"):rep(9000)))
  end)

  it("to a method that nothing is served by names those that are", function()
    for _, line in ipairs { "TRACE / HTTP/1.1", "CONNECT a:80 HTTP/1.1" } do
      local res = server:send(line .. "\r\nHost: a\r\n\r\n")
      assert_text(405, "method not allowed", res)
      assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", res:header "Allow")
      assert.equal("close", res:header "Connection")
    end
  end)
end)
