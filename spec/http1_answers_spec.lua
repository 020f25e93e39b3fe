-- SPDX-License-Identifier: MIT
-- What HTTP/1 says of an answer, byte for byte: its line, its length or coding, and whether the connection goes on.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local APP = [[
app:get("/s/:n", function(req) return reply.status(tonumber(req.params.n)) end)
app:get("/text/:n", function(req) return reply.text("hello", tonumber(req.params.n)) end)
app:get("/:len[%d]", function(req) return ("x"):rep(tonumber(req.params.len)) end)
app:get("/stream", function() return reply.stream(function(write) write "a" write(("b"):rep(20)) end) end)
app:get("/fields", function()
  local r = reply.text "x"
  for i = 1, 40 do r:header("X-" .. i, ("v"):rep(i * i)) end
  return r
end)
app:get("/fails", function() return reply.stream(function(write) write "a" error "broken" end) end)
app:post("/", function(req) return req:body() end)
app:post("/unread", function() return "no" end)
app:get("/file/:n", function(req) return reply.file("/etc/passwd", { status = tonumber(req.params.n) }) end)
app:get("/large", function() return reply.text("x"):header("X-Large", ("v"):rep(7000)):header("X-Small", "v") end)
app:get("/passed", function() return reply.pass(assert(require("spate.http").get "http://up.example/")) end)
]]
local FIRST = "HTTP/1.1 %s\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
local TEXT, BYTES = "Content-Type: text/plain; charset=utf-8\r\n", "Content-Type: application/octet-stream\r\n"
local function length(n) return "Content-Length: " .. n .. "\r\n" end
local CHUNKED, CHUNKS = "Transfer-Encoding: chunked\r\n", "1\r\na\r\n14\r\n" .. ("b"):rep(20) .. "\r\n0\r\n\r\n"

-- Target: the status, the type, what is said of the body of GET, and of that of HEAD, the body.
local ANSWERS = {
  ["/s/200"] = { "200 OK", "", length(0), "", "" }, ["/s/204"] = { "204 No Content", "", "", "", "" }, ["/s/205"] = { "205 Reset Content", "", length(0), length(0), "" }, ["/s/304"] = { "304 Not Modified", "", "", "", "" },
  ["/s/404"] = { "404 Not Found", "", length(0), "", "" }, ["/s/599"] = { "599 ", "", length(0), "", "" }, ["/text/200"] = { "200 OK", TEXT, length(5), length(5), "hello" }, ["/text/204"] = { "204 No Content", TEXT, "", "", "" },
  ["/text/203"] = { "203 Non-Authoritative Information", TEXT, length(5), length(5), "hello" }, ["/text/205"] = { "205 Reset Content", TEXT, length(0), length(0), "" }, ["/text/206"] = { "206 Partial Content", TEXT, length(5), length(5), "hello" }, ["/text/303"] = { "303 See Other", TEXT, length(5), length(5), "hello" },
  ["/text/304"] = { "304 Not Modified", TEXT, "", "", "" }, ["/text/305"] = { "305 Use Proxy", TEXT, length(5), length(5), "hello" }, ["/text/299"] = { "299 ", TEXT, length(5), length(5), "hello" },
  ["/text/511"] = { "511 Network Authentication Required", TEXT, length(5), length(5), "hello" }, ["/0"] = { "200 OK", TEXT, length(0), length(0), "" }, ["/stream"] = { "200 OK", BYTES, CHUNKED, "", CHUNKS },
}

-- How a request comes: what is said of the connection, and whether it goes on.
local COMES = {
  ["1.1\r\nHost: a"] = { "", true }, ["1.1\r\nHost: a\r\nConnection: close"] = { "Connection: close\r\n", false }, ["1.0"] = { "", false }, ["1.0\r\nConnection: keep-alive"] = { "Connection: keep-alive\r\n", true },
}

describe("an answer of HTTP/1", function()
  local server

  before_each(function() server = helper.serve(APP, { epoch = 0, settings = { timeouts = { head = 5, idle = 20 } } }) end)
  after_each(function() server:close() end)

  it("says what it is, to each version and wish of a client", function()
    for target, answer in pairs(ANSWERS) do
      for comes, connection in pairs(COMES) do
        for _, method in ipairs { "GET", "HEAD" } do
          local res = server:send(("%s %s HTTP/%s\r\n\r\n"):format(method, target, comes))
          local status, type, of_get, of_head, body = table.unpack(answer)
          local says, is_open = table.unpack(connection)
          local framing = method == "GET" and of_get or of_head
          if framing == CHUNKED and comes:find "^1%.0" then framing, body, says, is_open = "", "a" .. ("b"):rep(20), "", false end -- ends where the connection does
          local expected = FIRST:format(status) .. type .. framing .. says .. "\r\n" .. (method == "GET" and body or "")
          local message = ("%s %s HTTP/%s"):format(method, target, comes)
          assert.equal(expected, res:raw(), message)
          assert.equal(is_open, res.client:state() == "open", message)
          res:close()
        end
      end
    end
  end)

  it("says lengths of any digits, and fields of any number", function()
    for _, len in ipairs { 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12345, 67890, 1000000 } do
      assert.equal(FIRST:format "200 OK" .. TEXT .. length(len) .. "\r\n" .. ("x"):rep(len), server:get("/" .. len):raw())
    end
    local lines = {}
    for i = 1, 40 do lines[i] = ("X-%d: %s\r\n"):format(i, ("v"):rep(i * i)) end
    local head = server:get("/fields"):raw():match "^(.-\r\n)\r\nx$"
    assert.equal(FIRST:format "200 OK" .. table.concat(lines) .. TEXT .. length(1), head)
    assert.equal(FIRST:format "200 OK" .. "X-Large: " .. ("v"):rep(7000) .. "\r\nX-Small: v\r\n" .. TEXT .. length(1) .. "\r\nx", server:get("/large"):raw())
  end)

  it("has any status of three digits, where another server has said so", function()
    local own = helper.serve(APP, { epoch = 0, stubs = session.stubs })
    for _, status in ipairs { 200, 252, 451, 452, 599 } do
      t.http.stub("GET", "http://up.example/", { status = status, body = "x" })
      assert.equal(FIRST:format(status .. (({ [200] = " OK", [451] = " Unavailable For Legal Reasons" })[status] or " ")) .. "Content-Type: text/plain\r\n" .. length(1) .. "\r\nx", own:get("/passed"):raw())
    end
    own:close()
  end)

  it("has no length where there can be no body, of a file either", function()
    for status, expected in pairs { [204] = "none", [205] = "0", [304] = "none" } do
      for _, method in ipairs { "GET", "HEAD" } do
        local res = server:request(method, "/file/" .. status)
        assert.same({ status, expected, true }, { res:status(), res:header "Content-Length" or "none", res:raw():find "\r\n\r\n$" ~= nil })
      end
    end
    local etag = server:get("/file/200"):header "ETag"
    local same = server:get("/file/200", { headers = { ["If-None-Match"] = etag } })
    assert.same({ 304, nil }, { same:status(), (same:header "Content-Length") })
  end)

  it("goes out on one connection, one behind the other, as long as that goes on", function()
    local client = server:connect()
    local res = server:send(("GET /s/200 HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3) .. "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" .. "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
      .. "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n" .. "GET /0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" .. "GET /s/200 HTTP/1.1\r\nHost: a\r\n\r\n", client)
    for _ = 1, 8 do server:turn() end
    local OK = FIRST:format "200 OK"
    assert.equal((OK .. length(0) .. "\r\n"):rep(3) .. OK .. TEXT .. length(5) .. "\r\nhello" .. OK .. BYTES .. CHUNKED .. "\r\n" .. CHUNKS .. OK .. TEXT .. length(2) .. "\r\nab" .. OK .. TEXT .. length(0) .. "Connection: close\r\n\r\n",
      res:raw())
    assert.not_equal("open", client:state())
  end)

  it("is cut with its connection where it fails in the midst of it", function()
    local res = server:get "/fails"
    assert.equal(FIRST:format "200 OK" .. BYTES .. CHUNKED .. "\r\n1\r\na\r\n", res:raw())
    assert.not_equal("open", res.client:state())
  end)

  it("asks for a body with a line alone", function()
    local client = server:connect()
    local res = server:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", client)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", res:raw())
    server:send("ab", client)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n" .. FIRST:format "200 OK" .. TEXT .. length(2) .. "\r\nab", res:raw())
  end)

  -- What has come after so long of a connection that has said so much, and how it is then.
  local function left(bytes, seconds)
    local client = server:connect()
    client:send(bytes)
    server:turn()
    client:take()
    server:advance(seconds)
    return client:take():match "^[^\r]*", client:state() == "open"
  end

  it("comes late to who begins a head and does not end it, and to nobody who says nothing", function()
    local asked = "GET /s/200 HTTP/1.1\r\nHost: a\r\n\r\n"
    for _, part in ipairs { "G", "GET /", "GET / HTTP/1.1\r\nHost: a\r\n" } do
      for _, before in ipairs { "", "\r\n", asked, asked .. "\r\n" } do
        assert.same({ "", true }, { left(before .. part, 4.5) })
        assert.same({ "HTTP/1.1 408 Request Timeout", false }, { left(before .. part, 5.5) })
      end
    end
    for _, before in ipairs { asked, asked .. "\r\n", asked .. "\r", asked .. "\r\n\r\n" } do
      assert.same({ "", true }, { left(before, 19) }, before)
      assert.same({ "", false }, { left(before, 21) }, before)
    end
  end)

  it("tells who speaks HTTP/2 where it is switched off, and nobody else", function()
    local off = helper.serve(APP, { settings = { http2 = false } })
    for bytes, why in pairs { ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] = "HTTP/2 is switched off\n", ["GET * HTTP/2.0\r\n\r\n"] = "unknown HTTP version\n", ["PRI / HTTP/2.0\r\n\r\n"] = "unknown HTTP version\n", ["PRI * HTTP/1.1\r\n\r\n"] = "no Host\n",
      ["PRI * HTTP/2.0\r\n:\r\n\r\n"] = "bad field name\n", ["\r\nPRI * HTTP/2.0\r\n\r\n"] = "HTTP/2 is switched off\n" } do
      local res = off:send(bytes)
      assert.equal(why, (res:body()), bytes)
      assert.equal(why:find "HTTP" and "HTTP/1.1 505 HTTP Version Not Supported" or "HTTP/1.1 400 Bad Request", res:raw():match "^[^\r]*", bytes)
    end
    off:close()
    if helper.harness.hpack then assert.equal("unknown HTTP version\n", (server:send "PRI * HTTP/2.0\r\n\r\nXX":body())) end
  end)

  it("ends the connection where a body that is not asked for may still be on its way", function()
    for bytes, is_open in pairs { ["Content-Length: 3\r\n\r\nabc"] = true, ["Content-Length: 3\r\n\r\nab"] = false, ["Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"] = true, ["Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"] = false,
      ["Content-Length: 0\r\n\r\n"] = true, ["\r\n"] = true } do
      local res = server:send("POST /unread HTTP/1.1\r\nHost: a\r\n" .. bytes)
      assert.equal("no", (res:body()), bytes)
      assert.equal(is_open, res.client:state() == "open", bytes)
    end
  end)
end)
