-- SPDX-License-Identifier: MIT
-- `req`: what a handler reads of a request, and when it hears of the end.
local helper = require "spec.helper"

describe("request", function()
  local server

  local function serve(source, options)
    server = helper.serve(source, options)
    return server
  end

  local function get(target, options) return server:get(target, options) end

  local function body(target, options) return (get(target, options):body()) end

  after_each(function()
    if server then
      local s = server
      server = nil
      s:close()
    end
  end)

  describe("fields", function()
    it("tell what was asked for", function()
      serve [[
        app:get("/rooms/:room", function(req)
          return { req.method, req.path, req.route, req.host, req.scheme, req.url, req.remote_addr, req.closed }
        end)
      ]]
      assert.same({ "GET", "/rooms/l%20a", "/rooms/:room", "example.org:8080", "http", "http://example.org:8080/rooms/l%20a?q=1&r", "127.0.0.1", false },
        get("/rooms/l%20a?q=1&r", { headers = { Host = "example.org:8080" } }):json())
      assert.same({ "GET", "/rooms/x", "/rooms/:room", "other.example", "http", "http://other.example/rooms/x", "127.0.0.1", false },
        get("http://other.example/rooms/x"):json())
      assert.equal("HEAD", "HEAD")
    end)

    it("have no route where none matches, and no path for OPTIONS *", function()
      serve [[
        app:not_found(function(req) return tostring(req.route) .. " " .. json.encode(req.params) end)
        app:use(function(req, next) return next():header("X-Route", tostring(req.route)):header("X-Url", req.url) end)
        app:get("/x", function() return "x" end)
      ]]
      assert.equal("nil {}", (body "/none"):gsub("%[%]", "{}"))
      local res = server:post("/x", { body = "" })
      assert.equal(405, res:status())
      assert.equal("nil", res:header "X-Route")
      assert.equal("http://spec", server:options("*"):header "X-Url")
    end)

    it("tell the method of HEAD", function()
      serve [[ app:get("/x", function(req) return reply.text(""):header("X-Method", req.method) end) ]]
      assert.equal("HEAD", server:head("/x"):header "X-Method")
    end)

    it("cannot be set, but for tables and what is the script's own", function()
      serve [[
        app:get("/own", function(req)
          req.user, req.params, req.ctx = "ann", { a = 1 }, { b = 2 }
          return req.user .. req.params.a .. req.ctx.b .. tostring(req.nothing)
        end)
        app:get("/:name", function(req) req[req.params.name] = "x" return "set" end)
      ]]
      assert.equal("ann12nil", body "/own")
      for _, name in ipairs { "method", "path", "route", "host", "scheme", "url", "remote_addr", "id", "trace_id", "closed",
        "last_event_id", "body", "json", "on_close", "query_all" } do
        assert.equal(500, get("/" .. name):status(), name)
        assert.matches(":7: req." .. name .. " cannot be set; keep what is yours in req.ctx", server:log())
      end
    end)

    it("ctx is a table of each request alone", function()
      serve [[
        app:before(function(req) req.ctx.n = (req.ctx.n or 0) + 1 end)
        app:get("/x", function(req) return tostring(req.ctx.n) end)
      ]]
      assert.equal("1", body "/x")
      assert.equal("1", body "/x")
    end)

    it("methods called with a dot say so", function()
      serve [[
        app:get("/body", function(req) local b = req.body() return b end)
        app:get("/json", function(req) local v = req.json() return v end)
        app:get("/all", function(req) local list = req.query_all("x") return list end)
        app:get("/close", function(req) req.on_close(function() end) return "x" end)
      ]]
      for line, path in ipairs { "/body", "/json", "/all", "/close" } do
        assert.equal(500, get(path):status(), path)
        assert.matches((":%d: .*expected a request, got .*write req:name%%(%%), with a colon"):format(line + 2), server:log(), path)
      end
    end)
  end)

  describe("id", function()
    it("is random, and one for each request", function()
      serve [[ app:get("/x", function(req) local id = req.id sse.sleep(1) return id .. " " .. req.id .. " " .. req.trace_id end) ]]
      local seen = {}
      for _ = 1, 20 do
        local res = get "/x"
        server:advance(1)
        local a, b, c = (res:body()):match "^(%x+) (%x+) (%x+)$"
        assert.equal(32, #a)
        assert.equal(a, b)
        assert.equal(a, c)
        assert.is_nil(seen[a])
        seen[a] = true
      end
    end)

    it("trace_id is that of a valid traceparent", function()
      serve [[ app:get("/x", function(req) return reply.text(req.trace_id):header("X-Id", req.id) end) ]]
      local trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
      local function trace_id(header)
        local res = get("/x", { headers = { Traceparent = header } })
        return (res:body()), res:header "X-Id"
      end
      for _, valid in ipairs { "00-%s-%s-01", "00-%s-%s-00", "00-%s-%s-ff", "01-%s-%s-01", "cc-%s-%s-01-what-ever", "fe-%s-%s-01-" } do
        local got, id = trace_id(valid:format(trace, parent))
        assert.equal(trace, got, valid)
        assert.not_equal(trace, id)
      end
      for _, invalid in ipairs { "", "00", "ff-" .. trace .. "-" .. parent .. "-01", "00-" .. trace .. "-" .. parent .. "-01-x",
        "01-" .. trace .. "-" .. parent .. "-01x", "00-" .. trace:upper() .. "-" .. parent .. "-01", "00-" .. ("0"):rep(32) .. "-" .. parent .. "-01",
        "00-" .. trace .. "-" .. ("0"):rep(16) .. "-01", "00-" .. trace:sub(2) .. "-" .. parent .. "-01", "00_" .. trace .. "-" .. parent .. "-01",
        "00-" .. trace .. "-" .. parent .. "-1", "0g-" .. trace .. "-" .. parent .. "-01", "00-" .. trace .. "-" .. parent .. "-0g" } do
        local got, id = trace_id(invalid)
        assert.equal(id, got, invalid)
      end
      local two = server:send(("GET /x HTTP/1.1\r\nHost: a\r\ntraceparent: 00-%s-%s-01\r\nTraceparent: 00-%s-%s-01\r\n\r\n"):format(trace, parent, trace, parent))
      assert.equal(two:header "X-Id", (two:body()))
    end)
  end)

  describe("headers", function()
    it("are found in any case", function()
      serve [[
        app:get("/x", function(req)
          local h = req.headers
          return { h["x-api-key"], h["X-Api-Key"], h["X-API-KEY"], tostring(h["x-none"]), tostring(h[1]) }
        end)
      ]]
      assert.same({ "k", "k", "k", "nil", "nil" }, get("/x", { headers = { ["X-aPi-kEy"] = "k" } }):json())
    end)

    it("without a value are there, and empty", function()
      serve [[ app:get("/x", function(req) return { req.headers.before, req.headers.empty, req.headers.after, req:header_all "empty" } end) ]]
      local res = server:send "GET /x HTTP/1.1\r\nHost: a\r\nBefore: 1\r\nEmpty:\r\nAfter: 2\r\nConnection: close\r\n\r\n"
      assert.same({ "1", "", "2", { "" } }, res:json())
    end)

    it("of one name are one value, or all of them by header_all", function()
      serve [[
        app:get("/x", function(req) return { req.headers.via, req:header_all "VIA", json.array(req:header_all "none"), req.headers.cookie } end)
      ]]
      local res = server:send "GET /x HTTP/1.1\r\nHost: a\r\nVia: 1\r\nX: y\r\nvia: 2, 3\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
      assert.same({ "1, 2, 3", { "1", "2, 3" }, {}, "a=1; b=2" }, res:json())
    end)

    it("keep their bytes", function()
      serve [[ app:get("/x", function(req) return req.headers.x end) ]]
      assert.equal("\xe4\xff \tb", body("/x", { headers = { X = " \xe4\xff \tb " } }))
    end)

    it("accepts tells what the client takes", function()
      serve [[ app:get("/x", function(req) return { req:accepts "text/html", req:accepts "text/event-stream", req:accepts "application/json" } end) ]]
      assert.same({ true, true, true }, get("/x"):json())
      assert.same({ true, false, false }, get("/x", { headers = { Accept = "text/html" } }):json())
      assert.same({ false, true, true }, get("/x", { headers = { Accept = "TEXT/*;q=0.5, text/html;q=0, application/json" } }):json())
    end)
  end)

  describe("last_event_id", function()
    it("comes from the header, else from the query", function()
      serve [[ app:get("/x", function(req) return tostring(req.last_event_id) end) ]]
      assert.equal("nil", body "/x")
      assert.equal("h", body("/x?last_event_id=q", { headers = { ["Last-Event-ID"] = "h" } }))
      assert.equal("a b", body "/x?last_event_id=a+b")
      assert.equal("5-1", body "/x?lastEventId=5%2D1")
      assert.equal("1", body "/x?x=y&lastEventId=1&last_event_id=2")
      assert.equal("q", body("/x?last_event_id=q", { headers = { ["Last-Event-ID"] = "" } }))
      assert.equal("nil", body "/x?last_event_id=")
    end)
  end)

  describe("body", function()
    it("comes whole, whatever the pieces", function()
      serve [[ app:post("/x", function(req) local b = req:body() return #b .. ":" .. b:sub(1, 3) .. ":" .. tostring(b == req:body()) end) ]]
      assert.equal("5:hel:true", (server:post("/x", { body = "hello" }):body()))
      assert.equal("0::true", (server:post("/x", { body = "" }):body()))
      assert.equal("0::true", (server:post "/x":body()))
      local client = server:connect()
      local res = server:send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab", client)
      server:advance(5)
      assert.equal("", res:raw())
      server:send("cd", client)
      assert.equal("", res:raw())
      server:send("ef", client)
      assert.equal("6:abc:true", (res:body()))
      res = server:send "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
      assert.equal("7:abc:true", (res:body()))
    end)

    it("arrives byte by byte", function()
      serve [[ app:post("/x", function(req) return req:body() end) ]]
      local client = server:connect()
      client:pieces(1)
      assert.equal(("x"):rep(300), (server:post("/x", { client = client, body = ("x"):rep(300) }):body()))
    end)

    it("above max bytes is nil and 'too large', known as early as can be", function()
      serve [[
        app:post("/x", function(req)
          local b, err = req:body(4)
          if not b then return reply.error(413, err) end
          return b
        end)
        app:post("/none", function(req) return tostring(req:body(0)) end)
        app:post("/bad", function(req) return req:body(-1) end)
      ]]
      assert.equal("four", (server:post("/x", { body = "four" }):body()))
      local res = server:post("/x", { body = "five!" })
      assert.equal(413, res:status())
      assert.equal("too large\n", (res:body()))
      assert.equal("", (server:post("/none", { body = "" }):body()))
      assert.equal("nil", (server:post("/none", { body = "x" }):body()))
      res = server:send "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n0\r\n\r\n"
      assert.equal(413, res:status())
      res = server:send "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
      assert.equal(413, res:status())
      assert.equal("close", res:header "Connection")
      assert.equal(500, server:post("/bad", { body = "" }):status())
      assert.matches(":9: req:body: expected 0 or more bytes, got %-1", server:log())
    end)

    it("asks for it with 100 Continue where the client waits for that", function()
      serve [[
        app:post("/read", function(req) return req:body() end)
        app:post("/refuse", function(req) return reply.error(403) end)
      ]]
      local client = server:connect()
      local res = server:send("POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", client)
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", res:raw())
      res = server:send("hi", client)
      assert.equal(200, res:status())
      assert.equal("hi", (res:body()))
      res = server:send "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
      assert.equal(403, res:status())
    end)

    it("of a client that leaves is never there: the task is cancelled", function()
      serve [[
        app:post("/x", function(req)
          local note <close> = setmetatable({}, { __close = function() spate.log.info("let go " .. req.path .. " " .. tostring(req.closed)) end })
          spate.log.info("got " .. tostring(req:body()))
        end)
        app:post("/spawn", function(req)
          sse.spawn(function() local b, err = req:body() spate.log.info("spawned: " .. tostring(b) .. " " .. tostring(err)) end)
          sse.sleep(100)
        end)
      ]]
      local res = server:send "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab"
      res:close()
      local log = server:log()
      assert.matches("let go /x true", log)
      assert.not_matches("got", log)
      res = server:send "POST /spawn HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab"
      res:close()
      assert.matches("spawned: nil closed", server:log())
    end)

    it("is read before the reply begins", function()
      serve [[
        app:post("/x", function(req)
          return sse.reply(function(send)
            send(req:body()) end) end)
        app:get("/x", function(req) return sse.reply(function(send) send("<" .. req:body() .. ">") end) end)
      ]]
      server:post("/x", { body = "abc" })
      assert.matches(":5: req:body: the reply has begun; read the body before it", server:log())
      assert.same({ "<>" }, get("/x"):data())
    end)

    it("not read at all leaves the connection in order", function()
      serve [[ app:post("/x", function(req) return "x" end) app:get("/y", function() return "y" end) ]]
      local client = server:connect()
      assert.equal("x", (server:post("/x", { client = client, body = "unread" }):body()))
      assert.equal("y", body("/y", { client = client }))
    end)
  end)

  describe("json", function()
    it("is the body's value, or nil and where it is wrong", function()
      serve [[
        app:post("/x", function(req)
          local v, err = req:json()
          return { type = type(v), value = v, err = err }
        end)
      ]]
      local function post(text) return server:post("/x", { body = text }):json() end
      assert.same({ type = "table", value = { a = { 1, 2 } } }, post '{"a":[1,2]}')
      assert.same({ type = "string", value = "x" }, post '"x"')
      assert.matches("line 2, column %d+: ", post('{\n "a": }').err)
      assert.matches("line 1, column 1: ", post("").err)
      assert.matches("line 1, column %d+: ", post("[1,2] x").err)
      assert.equal("nil", post("{").type)
    end)

    it("of a body above limits.body never comes: 413", function()
      serve([[ app:post("/x", function(req) return { req:json() } end) ]], { settings = { limits = { body = 10 } } })
      local res = server:post("/x", { body = ("1"):rep(11) })
      assert.equal(413, res:status())
      res = server:send "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n11111111111\r\n0\r\n\r\n"
      assert.equal(413, res:status())
    end)
  end)

  describe("on_close", function()
    local source = [[
      local function note(req, name) req:on_close(function(reason) spate.log.info(name .. " " .. reason .. " " .. req.path .. " " .. req.id) end) end
      app:get("/plain", function(req) note(req, "closed:") return "x" end)
      app:get("/boom", function(req) note(req, "closed:") error "boom" end)
      app:get("/finite", function(req) note(req, "closed:") return sse.reply(sse.from { 1, 2 }) end)
      app:get("/never", function(req) note(req, "closed:") return sse.reply(sse.never()) end)
      app:get("/wait", function(req) note(req, "closed:") sse.sleep(1000) return "late" end)
      app:get("/late", function(req) note(req, "closed:") return sse.reply(function(send) send "a" error "boom" end) end)
      app:get("/flood", function(req) note(req, "closed:") return sse.reply(function(send) while true do send(("x"):rep(10000)) end end) end)
      app:post("/body", function(req) note(req, "closed:") return req:body() end)
    ]]

    -- The reasons noted so far.
    local function reasons()
      local list = {}
      for reason in server:log():gmatch "closed: ([%w_]+) /%w+ %x+\n" do list[#list + 1] = reason end
      return list
    end

    it("finished: the answer is written", function()
      serve(source)
      get "/plain"
      assert.same({ "finished" }, reasons())
      get "/boom"
      assert.same({ "finished" }, reasons())
      get "/finite"
      assert.same({ "finished" }, reasons())
      server:head "/never"
      assert.same({ "finished" }, reasons())
    end)

    it("client_closed: the client left", function()
      serve(source)
      for _, path in ipairs { "/never", "/wait" } do
        local res = get(path)
        assert.same({}, reasons())
        res.client:reset()
        server:turn()
        assert.same({ "client_closed" }, reasons(), path)
      end
      local res = get "/never"
      res:close()
      assert.same({ "client_closed" }, reasons())
    end)

    it("error: the producer failed, or the body was not HTTP", function()
      serve(source)
      get "/late"
      assert.same({ "error" }, reasons())
      local client = server:connect()
      local res = server:send("POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", client)
      server:send("zz\r\n", client)
      assert.equal(400, res:status())
      assert.same({ "error" }, reasons())
    end)

    it("timeout: the body did not come", function()
      serve(source)
      local res = server:send "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab"
      server:advance(61)
      assert.equal(408, res:status())
      assert.same({ "timeout" }, reasons())
    end)

    it("slow_consumer: the client took nothing for too long", function()
      serve(source)
      local client = server:connect()
      client:window(1000)
      get("/flood", { client = client })
      server:advance(29)
      assert.same({}, reasons())
      server:advance(2)
      assert.same({ "slow_consumer" }, reasons())
    end)

    it("shutdown: the server stops", function()
      serve(source)
      local res = get "/never"
      server.core:drain()
      server:advance(6)
      assert.same({ "shutdown" }, reasons())
      assert.is_true(res:has_ended())
    end)

    it("runs all functions in their order, whatever one does, and may wait", function()
      serve [[
        app:get("/x", function(req)
          req:on_close(function() spate.log.info "first" end)
          req:on_close(function() error(setmetatable({}, { __tostring = function() error "no" end })) end)
          req:on_close(function() error "second fails" end)
          req:on_close(function() sse.sleep(1) spate.log.info "third" end)
          return "x"
        end)
      ]]
      get "/x"
      server:advance(2)
      local log = server:log()
      assert.matches("first.*stack traceback.*second fails.*third", log)
    end)

    it("runs at once where the request is over already", function()
      serve [[
        app:get("/x", function(req)
          sse.spawn(function()
            sse.sleep(1)
            req:on_close(function(reason) spate.log.info("already " .. reason) end)
            spate.log.info("closed " .. tostring(req.closed))
          end)
          return "x"
        end)
      ]]
      get "/x"
      server:advance(1)
      local log = server:log()
      assert.matches("closed true", log)
      assert.matches("already finished", log)
    end)

    it("sees everything of the request, for as long as it runs", function()
      serve [[
        app:post("/rooms/:room", function(req)
          req.ctx.user = "ann"
          req:on_close(function(reason)
            sse.sleep(1)
            spate.log.info(table.concat({ req.method, req.path, req.route, req.params.room, req.query.q, req.headers["x-a"], req.cookies.c, req.ctx.user,
              req.host, req.url, tostring(req.last_event_id), #req:query_all "q", #req:header_all "x-a", tostring(req.closed), tostring(req:body()) }, " "))
          end)
          return sse.reply(sse.never())
        end)
      ]]
      local res = server:post("/rooms/lua?q=1", { body = "x", headers = { ["X-A"] = "b", Cookie = "c=d" } })
      res:close()
      server:advance(2)
      assert.matches("POST /rooms/lua /rooms/:room lua 1 b d ann spec http://spec/rooms/lua%?q=1 nil 1 1 true nil\n", server:log())
    end)

    it("takes a function only", function()
      serve [[ app:get("/x", function(req) req:on_close("x") return "x" end) ]]
      assert.equal(500, get("/x"):status())
      assert.matches(":3: .*on_close.*function expected, got string", server:log())
    end)

    it("a request kept beyond its end knows no more than its id", function()
      serve [[
        local kept
        app:get("/keep", function(req) kept = req local _ = req.id return "x" end)
        app:get("/ask", function() return { tostring(kept), kept.closed, #kept.id, tostring(kept.path), tostring(kept.query.q), tostring(kept:body()), select(2, kept:query_all "q") } end)
      ]]
      get "/keep?q=1"
      assert.same({ "request (closed)", true, 32, "nil", "nil", "nil", "closed" }, get("/ask"):json())
    end)
  end)
end)
