-- SPDX-License-Identifier: MIT
-- Replies: what goes out, byte for byte where it matters, and the connection afterwards.
local helper = require "spec.helper"

describe("reply", function()
  local server

  local function serve(source, options)
    server = helper.serve(source, options)
    return server
  end

  local function get(target, options) return server:get(target, options) end

  -- Each expression fails at line 4 with its message.
  local function assert_mistakes(mistakes)
    for expression, message in pairs(mistakes) do
      serve(('app:get("/x", function()\nlocal r = %s\nreturn r end)\n'):format(expression))
      assert.equal(500, get("/x"):status(), expression)
      assert.matches(":4: " .. message, server:log(), expression)
      server:close()
      server = nil
    end
  end

  after_each(function()
    if server then
      local s = server
      server = nil
      s:close()
    end
  end)

  it("text, html, json, status, error and redirect", function()
    serve [[
      app:get("/text", function() return reply.text "t" end)
      app:get("/number", function() return reply.text(42, 201) end)
      app:get("/html", function() return reply.html("<p>", 202) end)
      app:get("/json", function() return reply.json({ a = 1 }, 203) end)
      app:get("/null", function() return reply.json(nil) end)
      app:get("/status", function() return reply.status(200) end)
      app:get("/error", function() return reply.error(404, "no such room") end)
      app:get("/phrase", function() return reply.error(409) end)
      app:get("/odd", function() return reply.error(499) end)
      app:get("/redirect", function() return reply.redirect "/there?a=b" end)
      app:get("/moved", function() return reply.redirect("https://example.org/", 308) end)
    ]]
    for path, want in pairs {
      ["/text"] = { 200, "text/plain; charset=utf-8", "t" }, ["/number"] = { 201, "text/plain; charset=utf-8", "42" },
      ["/html"] = { 202, "text/html; charset=utf-8", "<p>" }, ["/json"] = { 203, "application/json", '{"a":1}' },
      ["/null"] = { 200, "application/json", "null" }, ["/status"] = { 200, nil, "" },
      ["/error"] = { 404, "text/plain; charset=utf-8", "no such room\n" }, ["/phrase"] = { 409, "text/plain; charset=utf-8", "Conflict\n" },
      ["/odd"] = { 499, "text/plain; charset=utf-8", "499\n" }, ["/redirect"] = { 303, nil, "" }, ["/moved"] = { 308, nil, "" },
    } do
      local res = get(path)
      assert.equal(want[1], res:status(), path)
      assert.equal(want[2], res:header "Content-Type", path)
      assert.equal(want[3], (res:body()), path)
      assert.equal(tostring(#want[3]), res:header "Content-Length", path)
    end
    assert.equal("/there?a=b", get("/redirect"):header "Location")
    assert.equal("https://example.org/", get("/moved"):header "Location")
  end)

  it("is exactly these bytes", function()
    serve([[ app:get("/x", function() return reply.text("hi"):header("X-One", "1") end) ]], { epoch = 784111777 })
    assert.equal("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-One: 1\r\n"
      .. "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi", get("/x"):raw())
  end)

  it("carries no body where the status has none", function()
    serve [[
      app:get("/:status[%d]", function(req) return reply.text("body", tonumber(req.params.status)) end)
      app:get("/after", function() return "after" end)
    ]]
    for _, status in ipairs { 204, 205, 304 } do
      local client = server:connect()
      local res = get("/" .. status, { client = client })
      assert.equal(status, res:status())
      assert.matches("\r\n\r\n$", res:raw())
      local length = res:header "Content-Length"
      assert.is_true(length == nil or (status == 205 and length == "0"), status)
      assert.is_nil(res:header "Transfer-Encoding")
      assert.equal("after", (get("/after", { client = client }):body()))
    end
  end)

  it("keeps every byte of its body", function()
    serve [[
      local all = {}
      for i = 0, 255 do all[#all + 1] = string.char(i) end
      app:get("/x", function() return reply.text(table.concat(all)):header("Content-Type", "application/octet-stream") end)
      app:get("/big", function() return ("x"):rep(3000000) end)
    ]]
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    local res = get "/x"
    assert.equal(table.concat(all), (res:body()))
    assert.equal("application/octet-stream", res:header "Content-Type")
    local client = server:connect()
    client:window(70000)
    res = get("/big", { client = client })
    assert.is_false(res:has_ended())
    client:window(nil)
    server:turn()
    assert.equal(3000000, #res:body())
  end)

  describe("header", function()
    it("takes the place of an earlier one in any case, but for those that add up", function()
      serve [[
        app:get("/x", function()
          return reply.text "x":header("X-A", "1"):header("x-a", 2):header("X-B", "b"):header("Link", "<a>"):header("Link", "<b>")
            :header("Vary", "Accept"):header("vary", "Cookie"):header("Content-Type", "text/markdown"):header("X-Empty", "")
        end)
      ]]
      local res = get "/x"
      assert.equal("2", res:header "X-A")
      assert.equal("b", res:header "X-B")
      assert.equal("<a>, <b>", res:header "Link")
      assert.equal("Accept, Cookie", res:header "Vary")
      assert.equal("text/markdown", res:header "Content-Type")
      assert.equal("", res:header "X-Empty")
    end)

    it("holds bytes beyond ASCII and tabs", function()
      serve [[ app:get("/x", function() return reply.text "x":header("X", "\xe4\tb") end) ]]
      assert.equal("\xe4\tb", get("/x"):header "X")
    end)

    it("is set on a stream too, whose own it may replace", function()
      serve [[
        app:get("/x", function()
          return sse.reply(sse.once "a", { status = 202, headers = { ["X-A"] = "1", ["cache-control"] = "no-store" } }):header("X-B", "2")
        end)
        app:get("/y", function() return sse.reply(sse.once "a"):cookie("c", "1"):cookie("d", "2") end)
      ]]
      local res = get "/x"
      assert.equal(202, res:status())
      assert.equal("1", res:header "X-A")
      assert.equal("2", res:header "X-B")
      assert.equal("no-store", res:header "Cache-Control")
      assert.equal("no", res:header "X-Accel-Buffering")
      assert.equal("text/event-stream", res:header "Content-Type")
      assert.same({ "a" }, res:data())
      res = get "/y"
      assert.equal("c=1; Path=/, d=2; Path=/", res:header "Set-Cookie")
      assert.equal("no-cache", res:header "Cache-Control")
    end)

    it("that would break the response is an error at the user's line", function()
      assert_mistakes {
        ['reply.text "x":header("X Y", "1")'] = "header 'X Y': the name may hold letters",
        ['reply.text "x":header("X:", "1")'] = "header 'X:': the name may hold letters",
        ['reply.text "x":header("X\\0Y", "1")'] = "header 'X",
        ['reply.text "x":header("Ü", "1")'] = "header 'Ü': the name may hold letters",
        ['reply.text "x":header("", "1")'] = "header '': the name is empty",
        ['reply.text "x":header("X", "a\\r\\nSet-Cookie: b")'] = "header 'X': the value must not contain control characters: byte 0x0d at 2",
        ['reply.text "x":header("X", "a\\nb")'] = "header 'X': the value must not contain control characters",
        ['reply.text "x":header("X", "a\\0b")'] = "header 'X': the value must not contain control characters",
        ['reply.text "x":header("X", nil)'] = "header value: expected a string, got nil",
        ['reply.text "x":header("X", true)'] = "header value: expected a string, got boolean",
        ['reply.text "x":header("X", print)'] = "header value: expected a string, got function",
        ['reply.text "x":header("X", ("x"):rep(1 << 20))'] = "header 'X': the value is longer than 16 KiB",
        ['reply.text "x":header(("x"):rep(1 << 20), "1")'] = "header '%.%.%.': the name is longer than 256 bytes",
        ['sse.reply(sse.never(), { headers = { X = "a\\r\\nY: b" } })'] = "header 'X': the value must not contain control characters",
        ['sse.reply(sse.never(), { headers = { ["Content-Length"] = 1 } })'] = "header 'Content%-Length': the server sets this one",
        ['sse.reply(sse.never(), { headers = { X = {} } })'] = "header value: expected a string, got table",
        ['sse.reply(sse.never()):header("Transfer-Encoding", "chunked")'] = "header 'Transfer%-Encoding': the server sets",
        ['reply.text "x":header("X", {})'] = "header value: expected a string, got table",
        ['reply.text "x":header(nil, "x")'] = "header name: expected a string, got nil",
        ['reply.text "x":header("X", ("x"):rep(20000))'] = "header 'X': the value is longer than 16 KiB",
        ['reply.text "x":header("Content-Type", "a\\rb")'] = "header 'Content%-Type': the value must not",
        ['reply.redirect("/a\\r\\nX: y")'] = "header 'Location': the value must not contain control characters",
        ['reply.text "x".header("X", "y")'] = "expected a reply, got string; write r:header%(%.%.%.%), with a colon",
      }
      for _, name in ipairs { "Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "Upgrade", "Trailer", "Date" } do
        assert_mistakes { [('reply.text "x":header(%q, "1")'):format(name)] = "header '[%a-]+': the server sets this one itself" }
      end
      assert_mistakes { ['reply.text "x" for i = 1, 61 do r:header("X-" .. i, "x") end'] = "more than 60 header fields" }
    end)

    it("fields may be many", function()
      serve [[
        app:get("/x", function() local r = reply.text "x" for i = 1, 60 do r:header("X-" .. i, i) end return r end)
        app:get("/s", function() local r = sse.reply(sse.once "x") for i = 1, 60 do r:header("X-" .. i, i) end return r end)
      ]]
      assert.equal("60", get("/x"):header "X-60")
      assert.equal("60", get("/s"):header "X-60")
    end)
  end)

  it("with a status or value that is none is an error at the user's line", function()
    assert_mistakes {
      ['reply.status(99)'] = "status: expected an integer from 200 to 599, got 99",
      ['reply.status(101)'] = "status: expected an integer from 200 to 599, got 101",
      ['reply.status("200 OK")'] = "status: expected an integer", ['reply.status(1000)'] = "status: expected an integer",
      ['reply.error(100)'] = "status: expected an integer", ['sse.reply(sse.never(), { status = "200 OK" })'] = "status: expected",
      ['reply.status(600)'] = "status: expected an integer", ['reply.status("200")'] = "status: expected an integer",
      ['reply.status(200.5)'] = "status: expected an integer", ['reply.status()'] = "status: expected an integer .* got nil",
      ['reply.text("x", 0)'] = "status: expected an integer", ['reply.text "x":status(1)'] = "status: expected an integer",
      ['reply.error()'] = "status: expected an integer", ['reply.error("no")'] = "status: expected an integer",
      ['reply.error(404, {})'] = "reply.error: expected a string, got table",
      ['reply.json({}, "x")'] = "status: expected an integer", ['reply.text()'] = "reply.text: expected a string, got nil",
      ['reply.html({})'] = "reply.html: expected a string, got table", ['reply.redirect()'] = "reply.redirect: expected a string, got nil",
      ['reply.redirect("/", 200)'] = "reply.redirect: expected a status from 300 to 399, got 200",
      ['reply.json({ print })'] = ".", ['reply.json({ a = 1, 2 })'] = ".",
      ['sse.reply(sse.never(), { status = 42 })'] = "status: expected an integer", ['sse.reply(42)'] = ".",
    }
  end)

  it("may be made once and returned often", function()
    serve [[ local r = reply.json { ok = true } app:get("/x", function() return r end) ]]
    for _ = 1, 3 do assert.same({ ok = true }, get("/x"):json()) end
  end)

  describe("cookie", function()
    it("adds up, with its attributes", function()
      serve [[
        app:get("/x", function()
          return reply.status(204):cookie("a", "1"):cookie("sid", "s-1", { max_age = 3600.7, http_only = true, same_site = "Lax", secure = true,
            domain = "example.org", path = "/app" }):cookie("gone", "", { max_age = 0, expires = 0, same_site = "none" }):cookie("n", 42)
        end)
      ]]
      local list = {}
      for value in get("/x"):head():gmatch "Set%-Cookie: ([^\r\n]*)" do list[#list + 1] = value end
      assert.same({ "a=1; Path=/", "sid=s-1; Path=/app; Domain=example.org; Max-Age=3600; Secure; HttpOnly; SameSite=Lax",
        "gone=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=None", "n=42; Path=/" }, list)
    end)

    it("that a browser would read differently is an error at the user's line", function()
      local function cookie(arguments) return ("reply.status(204):cookie(%s)"):format(arguments) end
      assert_mistakes {
        [cookie '"a b", "1"'] = "cookie name: expected letters", [cookie '"", "1"'] = "cookie name: expected letters",
        [cookie 'nil, "1"'] = "cookie name: expected letters", [cookie '"a=b", "1"'] = "cookie name: expected letters",
        [cookie '"a", "x;y"'] = "cookie a: the value must not contain", [cookie '"a", "x y"'] = "cookie a: the value must not",
        [cookie '"a", "x\\ny"'] = "cookie a: the value must not", [cookie '"a", "ä"'] = "cookie a: the value must not",
        [cookie '"a", "\\"q\\""'] = "cookie a: the value must not", [cookie '"a"'] = "cookie value: expected a string, got nil",
        [cookie '"a", "1", { maxage = 1 }'] = "cookie a: unknown option 'maxage'", [cookie '"a", "1", 60'] = "cookie: expected a table of options, got number",
        [cookie '"a", "1", { max_age = "1h" }'] = 'cookie max_age: expected seconds, got "1h"',
        [cookie '"a", "1", { max_age = 0/0 }'] = "cookie max_age: expected seconds",
        [cookie '"a", "1", { expires = 1e300 }'] = "cookie expires: expected seconds",
        [cookie '"a", "1", { path = "/;x" }'] = "cookie Path: must not contain", [cookie '"a", "1", { domain = "a\\r\\nb" }'] = "cookie Domain: must not contain",
        [cookie '"a", "1", { domain = true }'] = "cookie Domain: expected a string, got boolean",
        [cookie '"a", "1", { same_site = "strong" }'] = "cookie a: same_site is Strict, Lax or None",
      }
    end)
  end)

  describe("connection", function()
    local source = [[
      app:get("/x", function() return "x" end)
      app:get("/slow", function() sse.sleep(1) return "slow" end)
      app:get("/echo/:n", function(req) return req.params.n end)
      app:post("/echo", function(req) return req:body() end)
      app:get("/events", function() return sse.reply(sse.from { 1, 2 }) end)
      app:get("/boom", function() error "boom" end)
    ]]

    it("is kept for the next request", function()
      serve(source)
      local client = server:connect()
      for n = 1, 5 do assert.equal(tostring(n), (get("/echo/" .. n, { client = client }):body())) end
      assert.same({ "1", "2" }, get("/events", { client = client }):data())
      assert.equal(404, get("/none", { client = client }):status())
      assert.equal(500, get("/boom", { client = client }):status())
      local res = get("/x", { client = client })
      assert.is_nil(res:header "Connection")
      assert.equal("open", client:state())
      assert.equal(1, server:stats().connections)
    end)

    it("answers pipelined requests in their order", function()
      serve(source)
      local requests = {}
      for _, path in ipairs { "/slow", "/echo/2", "/none", "/boom", "/echo/5" } do
        requests[#requests + 1] = ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(path)
      end
      requests[#requests + 1] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET /echo/8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      for _, piece in ipairs { 1, 7, 100000 } do
        local client = server:connect()
        client:pieces(piece)
        local res = server:send(table.concat(requests), client)
        assert.equal("", res:raw())
        server:advance(1)
        local statuses, raw = {}, res:raw()
        for status in raw:gmatch "HTTP/1%.1 (%d+)" do statuses[#statuses + 1] = status end
        assert.same({ "200", "200", "404", "500", "200", "200", "200" }, statuses)
        assert.matches("slow.*\r\n\r\n2HTTP.*Not Found\nHTTP.*Error\nHTTP.*\r\n\r\n5HTTP.*\r\n\r\nbodyHTTP.*\r\n\r\n8$", raw)
        assert.equal("ended", client:state())
      end
    end)

    it("ends where the client wants it", function()
      serve(source)
      local res = get("/x", { headers = { Connection = "close" } })
      assert.equal("close", res:header "Connection")
      assert.equal("x", (res:body()))
      assert.equal("ended", res.client:state())
    end)

    it("of HTTP/1.0 ends, unless it is to be kept", function()
      serve(source)
      local res = get("/x", { version = "1.0" })
      assert.equal(200, res:status())
      assert.equal("x", (res:body()))
      assert.equal("ended", res.client:state())
      local client = server:connect()
      for _ = 1, 2 do
        res = get("/x", { version = "1.0", client = client, headers = { Connection = "keep-alive" } })
        assert.equal("keep-alive", res:header "Connection")
        assert.equal("1", res:header "Content-Length")
      end
      assert.equal("open", client:state())
      res = get("/events", { version = "1.0", headers = { Connection = "keep-alive" } })
      assert.is_nil(res:header "Transfer-Encoding")
      assert.is_nil(res:header "Connection")
      assert.matches("\r\n\r\n.*data: 1\n\ndata: 2\n\n$", res:raw())
      assert.equal("ended", res.client:state())
    end)

    it("answers a client that has ended its side", function()
      serve(source)
      local res = get "/slow"
      res.client:finish()
      server:advance(2)
      assert.equal("slow", (res:body()))
      assert.equal("closed", res.client:state())
    end)
  end)
end)

describe("reply.body", function()
  it("is bytes of any type", function()
    local server = helper.serve [[
app:get("/", function() return reply.body("\0\255", "application/wasm") end)
app:get("/made", function() return reply.body("<a/>", "image/svg+xml", 201) end)]]
    local res = server:get "/"
    assert.equal("application/wasm", res:header "Content-Type")
    assert.equal("2", res:header "Content-Length")
    assert.equal("\0\255", (res:body()))
    assert.equal(201, server:get("/made"):status())
    server:close()
  end)

  it("wants both", function()
    for code, message in pairs {
      ["reply.body()"] = 'reply.body: expected a type, such as "image/png", got nil',
      ["reply.body('x')"] = 'reply.body: expected a type, such as "image/png", got nil',
      ["reply.body({}, 'a/b')"] = "reply.body: expected a string, got table",
      ["reply:body('a/b')"] = "reply.body(...): write it with a dot",
      ["reply.body('x', 'a\\nb')"] = "the value must not contain control characters",
    } do
      local err = helper.load_error("local function f()\n" .. code .. "\nend\nlocal x = f()")
      assert.truthy(err:find(":4: ", 1, true) and err:find(message, 1, true), err)
    end
  end)
end)
