-- SPDX-License-Identifier: MIT
-- Answers of other servers that go through unread: reply.pass and reply.proxy.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

local APP = [[
local http = require "spate.http"
app:get("/came", function() return tostring(spate.stats().http_bytes_in_total) end)
app:get("/pass", function() return reply.pass(assert(http.get("]] .. URL .. [["))) end)
app:get("/changed", function()
  return reply.pass(assert(http.get("]] .. URL .. [[")), { headers = { ["X-Up"] = "ours", ["Content-Type"] = "text/plain" } })
    :status(203):header("X-More", "1")
end)
]]

local function serve(source, settings)
  return helper.serve(source or APP, { stubs = session.stubs, settings = settings })
end

local function stub(answer, method, url) return t.http.stub(method or "GET", url or URL, answer) end

describe("reply.pass", function()
  it("answers with status, fields and body as they are", function()
    local server = serve()
    stub { status = 418, headers = { ["X-Up"] = "1", ["Set-Cookie"] = { "a=1", "b=2" }, ETag = '"x"', ["Content-Type"] = "a/b" }, body = "short" }
    local res = server:get "/pass"
    assert.equal(418, res:status())
    assert.same({ "1", "a=1, b=2", '"x"', "a/b", "5" }, { res:header "x-up", res:header "set-cookie", res:header "etag",
      res:header "content-type", res:header "content-length" })
    assert.same({ "short", true }, { res:body() })
    assert.equal("open", res.client:state()) -- for the next request
    server:close()
  end)

  it("leaves out what is for one connection, and what it names", function()
    local server = serve()
    stub { headers = { Connection = "close, X-Hop", ["X-Hop"] = "1", ["Keep-Alive"] = "timeout=5", ["Proxy-Authenticate"] = "Basic",
      TE = "trailers", Trailer = "X-T", Upgrade = "h2c", ["Proxy-Connection"] = "close", Date = "yesterday", ["X-Kept"] = "1" }, body = "a" }
    local res = server:get "/pass"
    for _, name in ipairs { "X-Hop", "Keep-Alive", "Proxy-Authenticate", "TE", "Trailer", "Upgrade", "Proxy-Connection", "Connection" } do
      assert.equal(nil, res:header(name), name)
    end
    assert.equal("1", res:header "X-Kept")
    assert.truthy(res:header("Date"):find "GMT")
    server:close()
  end)

  it("leaves out fields that no answer may have, and knows no words for a status that nobody knows", function()
    local server = serve()
    stub { status = 599, headers = { ["X-Long"] = "a\1b", ["X-Line"] = "ab\nc", ["\1X"] = "1", ["X-Y\1"] = "1", ["X-Tab"] = "a\tb \xff", ["X-Empty"] = "" }, body = "a" }
    local res = server:get "/pass"
    assert.equal("HTTP/1.1 599 ", res:raw():match "^[^\r]*")
    assert.same({ "a\tb \xff", "" }, { res:header "X-Tab", res:header "X-Empty" })
    assert.is_nil(res:head():find("[^\r\n\t\x20-\xff]"))
    assert.same({}, { res:header "X-Long", res:header "X-Line" })
    assert.equal("a", (res:body()))
    server:close()
  end)

  it("has fields of its own in the place of theirs", function()
    local server = serve()
    stub { headers = { ["X-Up"] = "theirs", ["Content-Type"] = "text/html" }, body = "a" }
    local res = server:get "/changed"
    assert.same({ 203, "ours", "text/plain", "1" }, { res:status(), res:header "x-up", res:header "content-type", res:header "x-more" })
    server:close()
  end)

  it("sends a body as it comes, of whatever length", function()
    local server = serve()
    local up = stub { chunks = { "a", { after = 1, "b" }, { after = 1, "c" } } }
    local res = server:get "/pass"
    assert.equal("chunked", res:header "Transfer-Encoding")
    assert.same({ "a", false }, { res:body() })
    assert.equal(0, server:stats().tasks)
    server:advance(1)
    assert.same({ "ab", false }, { res:body() })
    server:advance(1)
    assert.same({ "abc", true }, { res:body() })
    assert.is_false(up.closed)
    server:close()
  end)

  it("closes the other server's connection in the turn in which the client leaves", function()
    local server, up = serve(), stub { chunks = { "a" }, open = true }
    local res = server:get "/pass"
    res.client:reset()
    server.core:step()
    assert.is_true(up.closed)
    server:close()
  end)

  it("cuts an answer that breaks off, or is longer than it says", function()
    local server = serve()
    for _, answer in ipairs { { chunks = { "abc" }, error = "closed" }, { headers = { ["Content-Length"] = "10" }, chunks = { "abc" } },
      { headers = { ["Content-Length"] = "2" }, chunks = { "a", { after = 1, "bc" } } } } do
      stub(answer)
      local res = server:get "/pass"
      server:advance(1)
      assert.is_false((select(2, res:body())))
      assert.equal("error", res.client:reason())
    end
    server:close()
  end)

  it("says no length of a body that has none", function()
    local server = serve()
    for _, status in ipairs { 204, 304 } do
      stub { status = status, headers = { ETag = '"x"' } }
      local res = server:get "/pass"
      assert.same({ status, '"x"', nil }, { res:status(), res:header "ETag", res:header "Transfer-Encoding" })
      assert.equal("open", res.client:state())
    end
    stub { headers = { ["Content-Length"] = "7" }, body = "1234567" }
    local head = server:request("HEAD", "/pass")
    assert.same({ "7", "" }, { head:header "Content-Length", (head:raw():match "\r\n\r\n(.*)$") })
    server:close()
  end)

  it("reads on only as its client does", function()
    local chunks = {}
    for i = 1, 2000 do chunks[i] = ("x"):rep(1000) end
    local server = serve(nil, { limits = { queue_high = 64 << 10, queue_low = 16 << 10 }, timeouts = { send = 1000 } })
    stub { chunks = chunks }
    local client = server:connect()
    client:window(0)
    local res = server:send("GET /pass HTTP/1.1\r\nHost: spec\r\n\r\n", client)
    server:advance(10)
    local came = tonumber((server:get("/came"):body()))
    assert(came > 64000 and came < 140000, came)
    client:window(nil)
    server:turn()
    assert.same({ 2000000, true }, { #res:body(), (select(2, res:body())) })
    server:close()
  end)

  it("passes more fields than an answer of ours may have", function()
    local headers = {}
    for i = 1, 150 do headers["X-" .. i] = tostring(i) end
    local server = serve()
    stub { headers = headers, body = "a" }
    local res = server:get "/pass"
    assert.same({ "1", "150" }, { res:header "X-1", res:header "X-150" })
    server:close()
  end)

  it("wants a response that is not read", function()
    local server = serve([[
local http = require "spate.http"
app:get("/text", function() return reply.pass("text") end)
app:get("/read", function()
  local res = http.get("]] .. URL .. [[")
  res:body()
  return reply.pass(res)
end)
app:get("/twice", function(req)
  local res = http.get("]] .. URL .. [[")
  res:events():close()
  return reply.pass(res)
end)]])
    server.core:log()
    stub { body = "a" }
    for path, message in pairs { ["/text"] = "reply.pass: expected a response of spate.http, got string",
      ["/read"] = "reply.pass: the response is closed, or its body is read", ["/twice"] = "reply.pass: the response is closed" } do
      assert.equal(500, server:get(path):status(), path)
      assert.truthy(server:log():find(message, 1, true), path)
    end
    server:close()
  end)

  it("goes through middleware, and may be left by it", function()
    local server = serve([[
app:use(function(req, next) return next():header("X-Through", "1") end)
app:after(function(req, answer) if req.query.drop then return "dropped" end end)
]] .. APP)
    local up = stub { chunks = { "a" }, open = true }
    assert.equal("1", server:get("/pass"):header "X-Through")
    assert.equal("dropped", (server:get("/pass?drop=1"):body()))
    assert.equal(2, #up.requests)
    server:close()
  end)
end)

describe("reply.proxy", function()
  local PROXY = [[
app:all("/api/*path", function() return reply.proxy("http://up.example/v1/") end)
app:all("/other/:x/*path", function(req) return reply.proxy("http://up.example/v2?own=1", { headers = { Authorization = "ours", ["X-Drop"] = false },
  preserve_host = true }):header("X-Ours", "1") end)
local mounted = spate.app()
mounted:all("/m/*path", function() return reply.proxy("http://up.example/v3") end)
app:mount("/mount", mounted)
app:group("/group/:x", function(g) g:all("/*path", function() return reply.proxy("http://up.example/v4") end) end)
app:all("/one", function() return reply.proxy("http://up.example/one") end)
]]

  it("puts what lies behind the prefix behind the URL, as it came", function()
    local server = serve(PROXY)
    for target, url in pairs {
      ["/api/a/b?x=1&y=%20"] = "http://up.example/v1/a/b?x=1&y=%20",
      ["/api/a%2Fb/%C3%A4"] = "http://up.example/v1/a%2Fb/%C3%A4", ["/api/a?"] = "http://up.example/v1/a?",
      ["/mount/m/a/b"] = "http://up.example/v3/a/b", ["/group/1/a/b"] = "http://up.example/v4/a/b",
      ["/other/1/a?q=2"] = "http://up.example/v2/a?own=1&q=2", ["/one"] = "http://up.example/one",
      ["/api/..a/...;../.b;.."] = "http://up.example/v1/..a/...;../.b;..", ["/api/%25252e%25252e/x"] = "http://up.example/v1/%25252e%25252e/x",
      ["/api//a//"] = "http://up.example/v1//a//", ['/api/a"b\\c'] = "http://up.example/v1/a%22b%5Cc",
    } do
      local up = stub({ body = "a" }, "GET", url)
      assert.equal(200, server:get(target):status(), target)
      assert.equal(1, #up.requests, target)
    end
    server:close()
  end)

  it("takes no more of a body than max_body", function()
    local server = serve [[app:all("/*path", function() return reply.proxy("http://up.example/v1", { max_body = 10 }) end)]]
    for _, rest in ipairs { "Content-Length: 11\r\n\r\n01234567890", "Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n" } do
      local up = stub({ body = "a" }, "POST", "http://up.example/v1/a")
      local res = server:send("POST /a HTTP/1.1\r\nHost: a\r\n" .. rest)
      assert.equal(413, res:status())
      assert.is_true(not up.requests[1] or up.requests[1].closed)
    end
    server:close()
  end)

  it("passes the request on, with who has asked", function()
    local server = serve(PROXY)
    local up = stub({ status = 201, json = { ok = true } }, "POST", "http://up.example/v1/a")
    local res = server:post("/api/a", { body = '{"a":1}', headers = { ["Content-Type"] = "application/json", Cookie = "a=1", Connection = "x-hop",
      ["X-Hop"] = "1", ["X-Forwarded-For"] = "6.6.6.6", Forwarded = "for=6.6.6.6", ["X-Real-IP"] = "6.6.6.6",
      X_Forwarded_For = "6.6.6.6", X_Real_IP = "6.6.6.6", Proxy = "http://evil.example", TE = "trailers", Authorization = "theirs" } })
    assert.same({ 201, "application/json" }, { res:status(), res:header "Content-Type" })
    local asked = up.requests[1]
    assert.same({ "POST", '{"a":1}' }, { asked.method, asked.body })
    assert.same({ "application/json", "a=1", "theirs", "127.0.0.1", "http", "spec", "1.1 spate" }, { asked.headers["content-type"], asked.headers.cookie,
      asked.headers.authorization, asked.headers["x-forwarded-for"], asked.headers["x-forwarded-proto"], asked.headers["x-forwarded-host"],
      asked.headers.via })
    for _, name in ipairs { "x-hop", "connection", "forwarded", "te", "host", "x-real-ip", "x_forwarded_for", "x_real_ip", "proxy" } do assert.equal(nil, asked.headers[name], name) end
    server:close()
  end)

  it("may have fields of its own, and the client's Host", function()
    local server = serve(PROXY)
    local up = stub({ body = "a" }, "DELETE", "http://up.example/v2/a?own=1")
    local res = server:delete("/other/1/a", { headers = { Authorization = "theirs", ["X-Drop"] = "1" } })
    assert.equal("1", res:header "X-Ours")
    local asked = up.requests[1].headers
    assert.same({ "ours", "spec" }, { asked.authorization, asked.host })
    assert.equal(nil, asked["x-drop"])
    server:close()
  end)

  it("says through whom a request has come, behind those who said so before", function()
    local server = serve [[
app:get("/a", function() return reply.proxy("http://up.example/a") end)
app:get("/b", function() return reply.proxy("http://up.example/a", { via = false }) end)
]]
    local up = stub({ body = "a" }, "GET", "http://up.example/a")
    local head = "Host: spec\r\nVia: 1.0 first, 1.1 second\r\nVia: 1.1 third\r\n\r\n"
    server:send("GET /a HTTP/1.1\r\n" .. head)
    server:send("GET /b HTTP/1.1\r\n" .. head)
    server:get "/b"
    assert.same({ "1.0 first, 1.1 second, 1.1 third, 1.1 spate", "1.0 first, 1.1 second, 1.1 third" },
      { up.requests[1].headers.via, up.requests[2].headers.via })
    assert.equal(nil, up.requests[3].headers.via)
    server:close()
  end)

  it("has the word on whom the client is, and may leave it out", function()
    local server = serve [[app:get("/", function()
  return reply.proxy("http://up.example/a", { headers = { ["X-Forwarded-For"] = false, ["X-Forwarded-Proto"] = "https", Via = "1.1 me", Cookie = "ours" } })
end)]]
    local up = stub({ body = "a" }, "GET", "http://up.example/a")
    server:get("/", { headers = { Cookie = "theirs", Via = "1.1 them" } })
    local asked = up.requests[1].headers
    assert.same({ "https", "spec", "1.1 me", "ours" }, { asked["x-forwarded-proto"], asked["x-forwarded-host"], asked.via, asked.cookie })
    assert.equal(nil, asked["x-forwarded-for"])
    server:close()
  end)

  it("passes no more fields on than a server may be asked with", function()
    local server = serve(PROXY)
    local up, headers = stub({ body = "a" }, "GET", "http://up.example/v1/a"), {}
    for i = 1, 80 do headers["X-" .. i] = tostring(i) end
    assert.equal(200, server:get("/api/a", { headers = headers }):status())
    assert.equal("80", up.requests[1].headers["x-80"])
    for i = 81, 96 do headers["X-" .. i] = tostring(i) end
    assert.equal(431, server:get("/api/a", { headers = headers }):status())
    assert.truthy(server:log():find("more fields than are passed on", 1, true))
    server:close()
  end)

  it("asks a URL with a user in it, too", function()
    local server = serve [[app:get("/*path", function() return reply.proxy("http://me:pw@up.example/v1") end)]]
    local up = stub({ body = "a" }, "GET", "http://me:pw@up.example/v1/a")
    assert.equal(200, server:get("/a"):status())
    assert.equal(1, #up.requests)
    server:close()
  end)

  it("sends a large body up as it comes", function()
    local server = serve(PROXY)
    local up = stub({ body = "done" }, "PUT", "http://up.example/v1/a")
    local client = server:connect()
    local res = server:send("PUT /api/a HTTP/1.1\r\nHost: spec\r\nContent-Length: 400000\r\n\r\n" .. ("a"):rep(100000), client)
    assert.equal(100000, #up.requests[1].body)
    for _ = 1, 3 do
      client:send(("a"):rep(100000))
      server:turn()
    end
    assert.equal(400000, #up.requests[1].body)
    assert.equal("done", (res:body()))
    server:close()
  end)

  it("closes the connection to the other server where the client leaves before the answer", function()
    local server = serve(PROXY)
    local up = stub({ after = 10, body = "a" }, "GET", "http://up.example/v1/a")
    local res = server:get "/api/a"
    res.client:reset()
    server:turn()
    assert.is_true(up.closed)
    server:close()
  end)

  it("answers 502 or 504 where there is no answer", function()
    local server = serve(PROXY)
    for code, status in pairs { refused = 502, timeout = 504, tls = 502 } do
      stub({ error = code }, "GET", "http://up.example/v1/a")
      assert.equal(status, server:get("/api/a"):status(), code)
      assert.truthy(server:log():find "warn  reply.proxy: GET http://up.example/v1/a", code)
    end
    server:close()
  end)

  it("passes redirects on, and follows none", function()
    local server = serve(PROXY)
    stub({ status = 302, headers = { Location = "/elsewhere" } }, "GET", "http://up.example/v1/a")
    local res = server:get "/api/a"
    assert.same({ 302, "/elsewhere" }, { res:status(), res:header "Location" })
    server:close()
  end)

  it("says what is wrong with its arguments", function()
    for given, message in pairs { ['"ftp://x"'] = "expected a URL with http or https, got ftp://x", ["nil"] = "got nil",
      ['"http://x/#a"'] = "must not have a fragment", ['"http://x", { header = {} }'] = "did you mean 'headers'" } do
      local server = serve(("app:get('/', function() return reply.proxy(%s) end)"):format(given))
      assert.equal(500, server:get("/"):status())
      assert.truthy(server:log():find(message, 1, true), given)
      server:close()
    end
  end)
end)
