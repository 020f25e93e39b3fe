-- SPDX-License-Identifier: MIT
-- The head of a request, byte for byte: what each means to the application, which is none, and what its client is told.
local helper = require "spec.helper"

local APP = [[
local function seen(req)
  local body = req:body()
  return ("%s %s %s %s x=%s %s"):format(req.method, req.path, req.url, req.host or "-", req.headers.x or "-", body)
end
for _, method in ipairs { "get", "post", "put", "patch", "delete", "options" } do app[method](app, "/*rest", seen) app[method](app, "/", seen) end
]]

local server

-- What comes back for bytes that arrive `piece` at a time: status line, body, whether the connection is to carry more, by word
-- and by deed.
local function answer(bytes, piece)
  local client = server.core:connect()
  if piece then client:pieces(piece) end
  client:send(bytes)
  server:turn()
  local raw, state = client:take(), client:state()
  client:reset()
  server:turn()
  local head, body = raw:match "^(.-)\r\n\r\n(.*)$"
  local is_open = state == "open"
  if not bytes:find("HTTP/1.0", 1, true) then assert.equal(not is_open, head ~= nil and head:find("\r\nConnection: close", 1, true) ~= nil, bytes) end
  return head and head:match "^HTTP/1%.1 ([^\r]*)", body, is_open
end

-- That it is refused so, in any pieces.
local function refused(bytes, status, why)
  for _, piece in ipairs { math.maxinteger, 1, 3 } do
    assert.same({ status, why .. "\n", false }, { answer(bytes, piece) }, ("%q in pieces of %d"):format(bytes:sub(1, 60), piece))
  end
end

local function get(fields) return "GET / HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n" end
local function post(fields, body) return "POST / HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n" .. (body or "") end
local function line(text) return text .. "\r\nHost: a\r\n\r\n" end

describe("a head", function()
  setup(function() server = helper.serve(APP, { settings = { log = { access = false }, limits = { target = 40, head = 300, fields = 4 } } }) end)
  teardown(function() server:close() end)

  it("that is none has its client told why", function()
    for bytes, why in pairs {
      ["GET / HTTP/1.1\rX"] = "bad line end", ["\rX"] = "bad line end", [get "X: a\rb\r\n"] = "bad line end", ["GET / HTTP/1.1\r\nHost: a\r\n\rX"] = "bad line end",
      ["\r\n\r\n\r\nGET"] = "empty lines before the request", [" "] = "bad method", [line "G(T / HTTP/1.1"] = "bad method", [line "GET\t/ HTTP/1.1"] = "bad method",
      ["\x16\x03\x01"] = "this is TLS, and the port speaks plain HTTP", ["G\x16"] = "bad method", ["G\r\nET / HTTP/1.1\r\nHost: a\r\n\r\n"] = "bad method", [line "GET  HTTP/1.1"] = "bad request target", [line "GET /\xff HTTP/1.1"] = "bad request target",
      [line "GET /#a HTTP/1.1"] = "bad request target", [line "GET / HTTP/1.x"] = "bad HTTP version", [line "GET / HTTP/1.1 "] = "bad HTTP version", [line "GET / http/1.1"] = "bad HTTP version", [line "GET / HHTTP/1.1"] = "bad HTTP version", [line "GET / HTTHTTP/1.1"] = "bad HTTP version", [line "GET / HTTP/1.HTTP/1.1"] = "bad HTTP version",
      [line "GET / HTTP/1"] = "bad HTTP version", ["GET /\r\n"] = "bad request target", [get "X: 1\r\n folded\r\n"] = "folded field", [get "X: 1\r\n\tfolded\r\n"] = "folded field", [get "\xff: 1\r\n"] = "bad field name",
      [get ": 1\r\n"] = "bad field name", [get "X\xff: 1\r\n"] = "bad field name", [get "X : 1\r\n"] = "bad field name", [get "X\r\n"] = "bad field name", [get "X: \0\r\n"] = "bad field value", [get "X: \127\r\n"] = "bad field value",
      [get "Host: a\r\n"] = "more than one Host", ["GET / HTTP/1.1\r\n\r\n"] = "no Host", ["GET / HTTP/1.7\r\n\r\n"] = "no Host", ["GET http://a/ HTTP/1.1\r\n\r\n"] = "no Host",
      ["GET / HTTP/1.1\r\nHost: a b\r\n\r\n"] = "bad Host", ["GET / HTTP/1.0\r\nHost: \r\n\r\n"] = "bad Host", ["GET http://b/ HTTP/1.1\r\nHost: /\r\n\r\n"] = "bad Host",
      [line "GET ftp://a/ HTTP/1.1"] = "bad request target", [line "GET * HTTP/1.1"] = "bad request target", [line "POST * HTTP/1.1"] = "bad request target",
      [line "GET http:///x HTTP/1.1"] = "bad authority in the request target", [line "GET http:// HTTP/1.1"] = "bad authority in the request target", [line "GET https://?x HTTP/1.1"] = "bad authority in the request target",
      [line "GET http://u@a/ HTTP/1.1"] = "bad authority in the request target", [line "OPTIONS http://a:b HTTP/1.1"] = "bad authority in the request target",
      ["POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"] = "Transfer-Encoding in HTTP/1.0",
      ["POST / HTTP/1.0\r\nTransfer-Encoding:\r\n\r\n"] = "Transfer-Encoding in HTTP/1.0",
    } do refused(bytes, "400 Bad Request", why) end
    for _, fields in ipairs { "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding:\r\nContent-Length: 1\r\n", "Content-Length: 1\r\nContent-Length: 1\r\n", "Content-Length: x\r\n", "Content-Length:\r\n" } do
      assert.equal("400 Bad Request", (answer(post(fields)))) -- versions of the parser differ in their words
    end
  end)

  it("that is one and cannot be served has its client told so", function()
    for bytes, expected in pairs {
      [line((("X"):rep(25)) .. " / HTTP/1.1")] = { "501 Not Implemented", "unknown method" }, [post "Transfer-Encoding: gzip\r\n"] = { "501 Not Implemented", "unknown transfer coding" },
      [post "Transfer-Encoding: xchunked\r\n"] = { "501 Not Implemented", "unknown transfer coding" }, [post "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"] = { "501 Not Implemented", "unknown transfer coding" },
      [post "Transfer-Encoding: gzip, chunked\r\n"] = { "501 Not Implemented", "unknown transfer coding" }, [post "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"] = { "501 Not Implemented", "unknown transfer coding" }, [post "Transfer-Encoding:\r\n"] = { "501 Not Implemented", "unknown transfer coding" },
      [line "GET / HTTP/2.0"] = { "505 HTTP Version Not Supported", "unknown HTTP version" }, [line "GET / HTTP/0.1"] = { "505 HTTP Version Not Supported", "unknown HTTP version" },
      [line "TRACE / HTTP/1.1"] = { "405 Method Not Allowed", "method not allowed" }, [line "CONNECT a:1 HTTP/1.1"] = { "405 Method Not Allowed", "method not allowed" },
      [get "Expect: x\r\n"] = { "417 Expectation Failed", "unknown expectation" }, [get "Expect: 100-continue\r\nExpect: x\r\n"] = { "417 Expectation Failed", "unknown expectation" },
      [line "GET http://a HTTP/2.1"] = { "505 HTTP Version Not Supported", "unknown HTTP version" },
    } do refused(bytes, expected[1], expected[2]) end
  end)

  it("may reach its limits, in any pieces, and no byte beyond", function()
    local function head_of(len) return get("X: " .. ("x"):rep(len - #get "X: \r\n") .. "\r\n") end
    for _, piece in ipairs { math.maxinteger, 1, 7 } do
      local function status(bytes) return (answer(bytes, piece)):match "%d+" end
      assert.equal("200", status(line("GET /" .. ("x"):rep(39) .. " HTTP/1.1")))
      assert.same({ "414 URI Too Long", "request target too long\n", false }, { answer(line("GET /" .. ("x"):rep(40) .. " HTTP/1.1"), piece) })
      assert.same({ "414 URI Too Long", "request target too long\n", false }, { answer("GET /" .. ("x"):rep(40), piece) }) -- before it has come to an end
      assert.equal("501", status(line(("X"):rep(24) .. " / HTTP/1.1")))
      assert.is_true((select(3, answer(line(("X"):rep(24) .. " / HTTP/1.1"), piece))))
      assert.same({ "501 Not Implemented", "unknown method\n", false }, { answer(("X"):rep(25), piece) })
      assert.equal("200", status(get(("X: 1\r\n"):rep(3))))
      assert.same({ "431 Request Header Fields Too Large", "too many fields\n", false }, { answer(get(("X: 1\r\n"):rep(4)), piece) })
      for _, lead in ipairs { "", "\r\n", "\r\n\r\n" } do -- which count for nothing
        assert.equal("200", status(lead .. head_of(300)))
        assert.same({ "431 Request Header Fields Too Large", "request head too large\n", false }, { answer(lead .. head_of(301), piece) })
        assert.same({ "431 Request Header Fields Too Large", "request head too large\n", false }, { answer(lead .. head_of(302):sub(1, 301), piece) })
        assert.is_nil(answer(lead .. head_of(302):sub(1, 300), piece))
      end
    end
  end)

  it("means what it says, whatever the form of its target", function()
    for bytes, expected in pairs {
      [line "GET / HTTP/1.1"] = "GET / http://a/ a x=- ", [line "GET /p/%41?q=1?b HTTP/1.1"] = "GET /p/%41 http://a/p/%41?q=1?b a x=- ", [line "PUT /?? HTTP/1.1"] = "PUT / http://a/?? a x=- ",
      [line "GET http://b.example/p?q HTTP/1.1"] = "GET /p http://b.example/p?q b.example x=- ", [line "GET HTTPS://B:444/ HTTP/1.1"] = "GET / http://B:444/ B:444 x=- ",
      [line "GET http://b HTTP/1.1"] = "GET / http://b/ b x=- ", [line "GET https://b?q/r HTTP/1.1"] = "GET / http://b/?q/r b x=- ", [line "OPTIONS http://b? HTTP/1.1"] = "OPTIONS / http://b/ b x=- ",
      [line "OPTIONS http://b/ HTTP/1.1"] = "OPTIONS / http://b/ b x=- ", [line "OPTIONS http://b?x HTTP/1.1"] = "OPTIONS / http://b/?x b x=- ", ["DELETE / HTTP/1.0\r\n\r\n"] = "DELETE / http:///  x=- ",
      [get "X: 1\r\n"] = "GET / http://a/ a x=1 ", [get "x:\t 1 \t2\t \r\n"] = "GET / http://a/ a x=1 \t2 ", [get "X:\r\n"] = "GET / http://a/ a x= ", [get "X: \t\r\n"] = "GET / http://a/ a x= ", [get "X: a:b\t: c\r\n"] = "GET / http://a/ a x=a:b\t: c ",
      [get "X:\t\t\t\r\nY:1\t\r\n"] = "GET / http://a/ a x= ", [get "X: \xff\t\xe4\r\n"] = "GET / http://a/ a x=\xff\t\xe4 ", [post("Content-Length: 3\r\n", "abc")] = "POST / http://a/ a x=- abc",
      [post("Content-Length:\t03 \t\r\n", "abc")] = "POST / http://a/ a x=- abc", [post("Transfer-Encoding: CHUNKED\t\r\n", "3\r\nabc\r\n0\r\n\r\n")] = "POST / http://a/ a x=- abc",
    } do
      for _, piece in ipairs { math.maxinteger, 1, 5 } do
        local status, body = answer(bytes, piece)
        assert.same({ "200 OK", expected }, { status, body }, bytes)
      end
    end
    local status = answer(line "OPTIONS http://b HTTP/1.1") -- the whole server
    assert.equal("204 No Content", status)
    assert.equal("204 No Content", (answer(line "OPTIONS * HTTP/1.1")))
  end)

  it("says whether its connection carries more", function()
    for bytes, is_open in pairs {
      [get ""] = true, [get "Connection: close\r\n"] = false, [get "Connection: x,\tCLOSE ,y\r\n"] = false, [get "Connection: keep-alive, close\r\n"] = false, [get "Connection: keep-alive\r\nConnection: close\r\n"] = false,
      [get "Connection: closed, x-close, close;x\r\n"] = true, [get "Connection:\r\n"] = true, [line "GET / HTTP/1.0"] = false, ["GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"] = true, [line "GET / HTTP/1.4"] = true,
      ["GET / HTTP/1.0\r\nConnection: x, keep-alive\r\nConnection: y\r\n\r\n"] = true, ["GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"] = false, ["GET / HTTP/1.0\r\nConnection: keep-alives\r\n\r\n"] = false,
    } do
      local client = server.core:connect()
      client:send(bytes)
      server:turn()
      assert.matches("^HTTP/1%.1 200 OK\r\n", client:take(), bytes)
      assert.equal(is_open and "open" or "closed", client:state() == "open" and "open" or "closed", bytes)
      client:reset()
      server:turn()
    end
  end)

  it("asks for 100 Continue where it is of HTTP/1.1 and a body is to come", function()
    local function continues(bytes)
      local client = server.core:connect()
      client:send(bytes)
      server:turn()
      local raw = client:take()
      client:reset()
      server:turn()
      return raw:match "^[^\r]*"
    end
    assert.equal("HTTP/1.1 100 Continue", continues(post "Expect: 100-CONTINUE\r\nContent-Length: 1\r\n"))
    assert.equal("HTTP/1.1 100 Continue", continues "POST / HTTP/1.2\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert.equal("", continues "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
    assert.equal("", continues(post "Content-Length: 1\r\n"))
    assert.equal("HTTP/1.1 200 OK", continues(post "Expect: 100-continue\r\n"))
  end)

  it("has each byte where it may stand, and nowhere else", function()
    local function is(char, class) return char:find("^[" .. class .. "]$") ~= nil end
    local NAME, TARGET, VALUE = "!#$%%&'*+%-.^_`|~0-9A-Za-z", "!-~", "\t -~\x80-\xff"
    for byte = 0, 255 do
      local c = string.char(byte)
      local function outcome(bytes, piece) return (answer(bytes, piece) or "waits"):match "^%S+" end
      for _, piece in ipairs { math.maxinteger, 1 } do
        if c ~= " " then assert.equal(is(c, NAME) and "501" or "400", outcome(line("P" .. c .. "Q / HTTP/1.1"), piece), byte) end
        if c ~= " " then assert.equal(is(c, TARGET) and c ~= "#" and "200" or "400", outcome(line("GET /" .. (c == "%" and "%25" or c == "." and ".x" or c) .. "x HTTP/1.1"), piece), byte) end
        assert.equal(is(c, NAME .. ":") and "200" or "400", outcome(get("X" .. c .. ": 1\r\n"), piece), byte)
        assert.equal(is(c, NAME) and "200" or "400", outcome(get(c .. ": 1\r\n"), piece), byte)
        assert.equal(is(c, VALUE) and "200" or "400", outcome(get("X: a" .. c .. "b\r\n"), piece), byte)
        assert.equal(is(c, "0-9") and "200" or "400", outcome(line("GET / HTTP/1." .. c), piece), byte)
        assert.equal(c == "1" and "200" or is(c, "0-9") and "505" or "400", outcome(line("GET / HTTP/" .. c .. ".1"), piece), byte)
      end
    end
  end)

  it("ends where its last line does, and what follows is the next", function()
    for _, piece in ipairs { math.maxinteger, 1, 11 } do
      local client = server.core:connect()
      client:pieces(piece)
      client:send(get "X: 1\r\n" .. "\r\n" .. post("Content-Length: 2\r\nX: 2\r\n", "ab") .. "\r\n\r\n" .. line "GET /3 HTTP/1.0")
      for _ = 1, 3 do server:turn() end
      local bodies = {}
      for body in client:take():gmatch "\r\n\r\n(%u+ [^\n]-)%f[H\0]" do bodies[#bodies + 1] = body end
      assert.same({ "GET / http://a/ a x=1 ", "POST / http://a/ a x=2 ab", "GET /3 http://a/3 a x=- " }, bodies)
      client:reset()
      server:turn()
    end
  end)

  it("has names of fields in any case, from A to Z, and no other letter changed", function()
    local own = helper.serve [[ app:get("/", function(req)
      local list = {}
      for _, name in ipairs { "azaz-@", "x-az_09", "zebra", "apple" } do list[#list + 1] = req.headers[name] or "none" end
      return json.array(list)
    end) ]]
    local res = own:send "GET / HTTP/1.1\r\nHost: a\r\nX-AZ_09: 1\r\nZEBRA: 2\r\nApple:3\r\nAPPLE: 4\r\n\r\n"
    assert.same({ "none", "1", "2", "3, 4" }, res:json())
    own:close()
  end)

  it("that is refused leaves nothing behind", function()
    local own = helper.serve(APP, { settings = { log = { access = false, level = "error" } } })
    assert.is_true(own:comes_to_rest(function()
      for _ = 1, 50 do own:send(get("Expect: x\r\nX: " .. ("x"):rep(500) .. "\r\n")):close() end
    end))
    own:close()
  end)
end)
