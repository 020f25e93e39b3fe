-- SPDX-License-Identifier: MIT
-- Routes, groups, mounted apps, hooks, errors in handlers, and mistakes that are found while the script is loaded.
local helper = require "spec.helper"

local server

local function serve(source, options)
  server = helper.serve(source, options)
  return server
end

local function get(target, options) return server:get(target, options) end

local function body(target, options) return (get(target, options):body()) end

local function count(text, what) return select(2, text:gsub(what, "")) end

describe("app", function()
  after_each(function()
    if server then
      local s = server
      server = nil
      s:close()
    end
  end)

  describe("paths", function()
    it("takes parameters, decoded", function()
      serve [[
        app:get("/rooms/:room/users/:user", function(req) return req.params.room .. "|" .. req.params.user end)
      ]]
      assert.equal("lua|ann", body "/rooms/lua/users/ann")
      assert.equal("a b|c/d", body "/rooms/a%20b/users/c%2Fd")
      assert.equal("a+b|ä", body "/rooms/a+b/users/%C3%A4")
      assert.equal(404, get("/rooms//users/x"):status())
    end)

    it("takes parameters of a set of characters", function()
      serve [[
        app:get("/u/:id[%d]", function(req) return "number " .. req.params.id end)
        app:get("/u/:name", function(req) return "name " .. req.params.name end)
        app:get("/h/:hash[0-9a-f]", function(req) return req.params.hash end)
      ]]
      assert.equal("number 42", body "/u/42")
      assert.equal("name 42x", body "/u/42x")
      assert.equal("c0ffee", body "/h/c0ffee")
      assert.equal(404, get("/h/C0FFEE"):status())
    end)

    it("takes the rest of a path, not empty", function()
      serve [[ app:get("/files/*path", function(req) return req.params.path end) ]]
      assert.equal("a/b/c.txt", body "/files/a/b/c.txt")
      assert.equal("a/", body "/files/a/")
      assert.equal(404, get("/files/"):status())
      assert.equal(404, get("/files"):status())
    end)

    it("prefers the literal to :name to *rest, whatever the order", function()
      serve [[
        app:get("/x/*rest", function(req) return "rest " .. req.params.rest end)
        app:get("/x/:name", function(req) return "name " .. req.params.name end)
        app:get("/x/new", function() return "literal" end)
        app:get("/x/new/deep", function() return "deep" end)
      ]]
      assert.equal("literal", body "/x/new")
      assert.equal("name old", body "/x/old")
      assert.equal("rest new/shallow", body "/x/new/shallow")
      assert.equal("deep", body "/x/new/deep")
    end)

    it("tells a path with a slash at its end from one without", function()
      serve [[ app:get("/a", function() return "a" end) app:get("/b/", function() return "b" end) ]]
      assert.equal("a", body "/a")
      assert.equal(404, get("/a/"):status())
      assert.equal("b", body "/b/")
      assert.equal(404, get("/b"):status())
    end)

    it("refuses paths that mean no good with 400", function()
      serve [[ app:get("/*all", function(req) return req.params.all end) ]]
      for _, path in ipairs { "/a%00b", "/%2e%2e/x", "/a/../b", "/%zz", "/%f" } do
        assert.equal(400, get(path):status(), path)
      end
    end)

    it("hands any other byte of a path on", function()
      serve [[
        app:get("/x/:one", function(req) return req.params.one end)
        app:get("/*all", function(req) return req.params.all end)
        app:get("/caf\xe9", function() return "the literal" end)
      ]]
      for byte = 1, 255 do
        local char, code = string.char(byte), ("%%%02X"):format(byte)
        assert.equal("a" .. char, body("/x/a" .. code), code)
        assert.equal("a" .. char, body("/a" .. code), code)
      end
      assert.equal("the literal", body "/caf%e9")
    end)
  end)

  describe("methods", function()
    local source = [[
      app:get("/a", function(req) return req.method end)
      app:post("/a", function(req) return req.method end)
      app:put("/b", function(req) return req.method end)
      app:patch("/b", function(req) return req.method end)
      app:delete("/b", function(req) return req.method end)
    ]]

    it("go to their own handlers", function()
      serve(source)
      assert.equal("GET", body "/a")
      assert.equal("POST", (server:post("/a", { body = "x" }):body()))
      for _, method in ipairs { "PUT", "PATCH", "DELETE" } do
        assert.equal(method, (server:request(method, "/b"):body()))
      end
    end)

    it("lets HEAD follow GET, without the body but with its length", function()
      serve [[
        app:get("/a", function(req) return req.method .. "!" end)
        app:get("/b", function() return "from get" end)
        app:head("/b", function() return reply.status(204):header("X-Own", "yes") end)
        app:get("/s", function() return sse.reply(sse.interval(1)) end)
      ]]
      local res = server:head "/a"
      assert.equal(200, res:status())
      assert.equal("5", res:header "Content-Length")
      assert.equal("text/plain; charset=utf-8", res:header "Content-Type")
      assert.matches("\r\n\r\n$", res:raw())
      assert.equal("yes", server:head("/b"):header "X-Own")
      local stream = server:head "/s"
      assert.equal("text/event-stream", stream:header "Content-Type")
      assert.matches("\r\n\r\n$", stream:raw())
      server:advance(5)
      assert.matches("\r\n\r\n$", stream:raw())
      assert.equal(404, server:head("/c"):status())
    end)

    it("answers OPTIONS and wrong methods with Allow", function()
      serve(source)
      local options = server:options "/a"
      assert.equal(204, options:status())
      assert.equal("GET, HEAD, POST, OPTIONS", options:header "Allow")
      assert.is_nil(options:header "Content-Length")
      local wrong = server:delete "/a"
      assert.equal(405, wrong:status())
      assert.equal("GET, HEAD, POST, OPTIONS", wrong:header "Allow")
      assert.equal("PUT, PATCH, DELETE, OPTIONS", get("/b"):header "Allow")
      assert.equal(405, server:head("/b"):status())
      local all = server:options "*"
      assert.equal(204, all:status())
      assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", all:header "Allow")
    end)

    it("answers OPTIONS by a route of its own", function()
      serve [[
        app:get("/a", function() return "a" end)
        app:options("/a", function() return reply.status(200):header("X-Own", "1") end)
      ]]
      assert.equal("1", server:options("/a"):header "X-Own")
    end)

    it("answers 404 to a path that no route has, also for OPTIONS", function()
      serve(source)
      local res = get "/nowhere"
      assert.equal(404, res:status())
      assert.equal("Not Found\n", (res:body()))
      assert.is_nil(res:header "Allow")
      assert.equal(404, server:options("/nowhere"):status())
    end)

    it("looks for a less particular pattern that has the method", function()
      serve [[
        app:get("/x/new", function() return "new" end)
        app:post("/x/:name", function(req) return "post " .. req.params.name end)
      ]]
      assert.equal("post new", (server:post("/x/new", { body = "" }):body()))
      assert.equal("GET, HEAD, POST, OPTIONS", server:put("/x/new"):header "Allow")
    end)

    it("app:all takes every method without a route of its own", function()
      serve [[
        app:get("/a", function() return "get" end)
        app:all("/a", function(req) return "all " .. req.method end)
        app:all("/*rest", function(req) return "rest " .. req.method end)
      ]]
      assert.equal("get", body "/a")
      assert.equal("all POST", (server:post("/a", { body = "" }):body()))
      assert.equal("all OPTIONS", (server:options("/a"):body()))
      assert.equal("rest GET", body "/b")
      assert.equal(tostring(#"rest HEAD"), server:head("/b/c"):header "Content-Length")
    end)
  end)

  describe("mistakes while loading", function()
    local function mistake(source) return helper.load_error(source) end

    it("two equal routes name both lines", function()
      local err = mistake [[
        app:get("/x/:a", function() end)
        app:post("/x/:a", function() end)
        app:get("/x/:b", function() end)
      ]]
      assert.matches(":5: GET /x/:b is defined already as /x/:a at .*:3", err)
      assert.matches(":4: GET /y is defined already at .*:3", mistake [[
        app:all("/y", function() end)
        app:all("/y", function() end)
      ]])
    end)

    it("a dot for a colon", function()
      for _, call in ipairs { "get('/x', print)", "use(print)", "group('/x', print)", "mount('/x', app)", "before(print)",
        "on_error(print)", "on_start(print)", "all('/x', print)" } do
        assert.matches(":3: app:%l+_?%l*%(%.%.%.%): write it with a colon", mistake("app." .. call .. "\n"), call)
      end
    end)

    it("a handler that is missing or no function", function()
      assert.matches(':3: app:get%("/x"%): expected a handler function', mistake 'app:get("/x")\n')
      assert.matches(':3: app:get%("/x"%): expected a function, got nil', mistake 'app:get("/x", handler)\n')
      assert.matches(':3: app:post%("/x"%): expected a function, got nil', mistake 'app:post("/x", function() end, handler)\n')
      assert.matches(':3: app:get%("/x"%): expected a function, got string', mistake 'app:get("/x", "handler")\n')
      assert.matches(':3: app:get: expected a path, got function', mistake 'app:get(function() end)\n')
      assert.matches(':3: app:all: expected a path, got nil', mistake 'app:all()\n')
      assert.matches(':3: app:use: expected a function, got nil', mistake 'app:use(nil)\n')
      assert.matches(':3: app:on_start: expected a function, got table', mistake 'app:on_start({})\n')
      assert.matches(':3: app:not_found: expected a function', mistake 'app:not_found("x")\n')
      assert.matches(':3: app:group: expected', mistake 'app:group("/x")\n')
      assert.matches(':3: app:group: expected a path, got function', mistake 'app:group(function(g) end)\n')
    end)

    it("a pattern that is none", function()
      for _, pattern in ipairs { "x", "", "/:", "/:1a", "/:end", "/a//b", "/*rest/x", "/:id[", "/:id[%d]x", "/:a/:a", "/.." } do
        assert.matches(':3: ".*": .', mistake(("app:get(%q, function() end)\n"):format(pattern)), pattern)
      end
    end)

    it("a mount that cannot be", function()
      assert.matches(":3: app:mount: expected another app, got table", mistake 'app:mount("/x", {})\n')
      assert.matches(":3: app:mount: expected a path, got table", mistake 'app:mount(spate.app())\n')
      assert.matches(":3: app:mount: the app would hold itself", mistake 'app:mount("/x", app)\n')
      assert.matches(":5: app:mount: the app would hold itself", mistake [[
        local other = spate.app()
        app:mount("/x", other)
        other:mount("/y", app)
      ]])
      assert.matches(":3: app:mount: expected an app, got a group", mistake 'app:group("/g", function(g) spate.app():mount("/x", g) end)\n')
    end)

    it("a script that returns no app", function()
      assert.matches("return app", mistake "do return 42 end\n")
      assert.matches("return app", mistake "do return end\n")
      assert.matches("a group", mistake 'app:group("/g", function(g) group = g end) do return group end\n')
    end)

    it("an error inside a group keeps its line", function()
      assert.matches(":4: app:get: expected a path", mistake [[
        app:group("/g", function(g)
          g:get(nil, function() end) end)
      ]])
    end)

    it("anything registered once the app is complete", function()
      serve [[ app:get("/late", function() app:get("/x", function() end) return "?" end) ]]
      assert.equal(500, get("/late"):status())
      assert.matches("app:get: an app is complete once its script has returned it", server:log())
    end)
  end)

  describe("group", function()
    it("has a prefix and middleware, also within another", function()
      serve [[
        local function tag(name) return function(req, next) req.ctx.tags = (req.ctx.tags or "") .. name return next() end end
        local function show(req) return req.route .. " " .. (req.ctx.tags or "") end
        app:group("/api", tag "a", tag "b", function(g)
          g:get("/", show)
          g:get("/x/:id", tag "x", show)
          g:group("/deep", tag "d", function(h) h:get("/y", show) end)
        end)
        app:get("/plain", show)
      ]]
      assert.equal("/api ab", body "/api")
      assert.equal("/api/x/:id abx", body "/api/x/1")
      assert.equal("/api/deep/y abd", body "/api/deep/y")
      assert.equal("/plain ", body "/plain")
      assert.equal(404, get("/x/1"):status())
    end)

    it("has middleware of its own by use, for all its routes", function()
      serve [[
        app:group("/api", function(g)
          g:get("/before", function(req) return req.ctx.who end)
          g:use(function(req, next) req.ctx.who = "used" return next() end)
          g:get("/after", function(req) return req.ctx.who end)
        end)
        app:get("/outside", function(req) return tostring(req.ctx.who) end)
      ]]
      assert.equal("used", body "/api/before")
      assert.equal("used", body "/api/after")
      assert.equal("nil", body "/outside")
    end)
  end)

  describe("middleware", function()
    it("runs from the outside in, and sees the reply, whatever the handler returned", function()
      serve [[
        local function around(name)
          return function(req, next)
            local r = next()
            return r:header("X-Order", (r.order or "") .. name)
          end
        end
        local function mark(name)
          return function(req, next)
            req.ctx.order = (req.ctx.order or "") .. name
            return next():header("X-Order", req.ctx.order)
          end
        end
        app:get("/x", mark "3", function(req) return "plain " .. req.ctx.order end)
        app:use(mark "1")
        app:use(mark "2")
      ]]
      local res = get "/x"
      assert.equal("plain 123", (res:body()))
      assert.equal("123", res:header "X-Order")
    end)

    it("may answer itself, or nothing", function()
      serve [[
        app:use(function(req, next)
          if req.query.stop then return reply.error(401, "stop") end
          if req.query.forget then next() return end
          return next()
        end)
        app:get("/x", function() return "through" end)
      ]]
      assert.equal("through", body "/x")
      assert.equal(401, get("/x?stop=1"):status())
      assert.equal(500, get("/x?forget=1"):status())
      assert.matches("the middleware at .*:3 returned nil; did you forget `return next%(%)`%?", server:log())
    end)

    it("of the app is also around what has no route", function()
      serve [[
        app:use(function(req, next) return next():header("X-Seen", "yes") end)
        app:get("/x", function() return "x" end)
      ]]
      assert.equal("yes", get("/none"):header "X-Seen")
      assert.equal("yes", server:post("/x", { body = "" }):header "X-Seen")
      assert.equal("yes", server:options("/x"):header "X-Seen")
    end)

    it("may wait", function()
      serve [[
        app:use(function(req, next) sse.sleep(1) local r = next() sse.sleep(1) return r end)
        app:get("/x", function() sse.sleep(1) return "slept" end)
      ]]
      local res = get "/x"
      server:advance(2.5)
      assert.equal("", res:raw())
      server:advance(1)
      assert.equal("slept", (res:body()))
    end)
  end)

  describe("before and after", function()
    it("run around every request, in their order", function()
      serve [[
        app:before(function(req) req.ctx.seen = "1" end)
        app:before(function(req) req.ctx.seen = req.ctx.seen .. "2" end)
        app:before(function(req) if req.query.stop then return "stopped" end end)
        app:after(function(req, r) r:header("X-After", req.ctx.seen) end)
        app:after(function(req, r) if req.query.other then return { other = true } end end)
        app:get("/x", function(req) return "x" end)
      ]]
      local res = get "/x"
      assert.equal("x", (res:body()))
      assert.equal("12", res:header "X-After")
      res = get "/x?stop=1"
      assert.equal("stopped", (res:body()))
      assert.equal("12", res:header "X-After")
      assert.same({ other = true }, get("/x?other=1"):json())
      assert.equal("12", get("/none"):header "X-After")
    end)

    it("after also sees the replies to errors", function()
      serve [[
        app:after(function(req, r) r:header("X-After", "yes") end)
        app:get("/error", function() error "boom" end)
        app:get("/abort", function() spate.abort(418) end)
      ]]
      assert.equal("yes", get("/error"):header "X-After")
      local res = get "/abort"
      assert.equal("yes", res:header "X-After")
      assert.equal(418, res:status())
    end)

    it("an error in them is a 500", function()
      serve [[
        app:before(function(req) if req.query.b then error "in before" end end)
        app:after(function(req, r) if req.query.a then error "in after" end end)
        app:get("/x", function() return "x" end)
      ]]
      assert.equal(500, get("/x?b=1"):status())
      assert.equal(500, get("/x?a=1"):status())
      local log = server:log()
      assert.equal(1, count(log, "in before\n"))
      assert.equal(1, count(log, "in after\n"))
    end)
  end)

  describe("not_found", function()
    it("answers where no route matches, and not where only the method differs", function()
      serve [[
        app:not_found(function(req) return reply.json({ path = req.path, route = req.route }, 404) end)
        app:post("/x", function() return "x" end)
      ]]
      local res = get "/nowhere"
      assert.equal(404, res:status())
      assert.same({ path = "/nowhere" }, res:json())
      assert.equal(405, get("/x"):status())
    end)

    it("that returns nothing is a 500 with a hint", function()
      serve [[ app:not_found(function(req) end) ]]
      assert.equal(500, get("/nowhere"):status())
      assert.matches("the not_found function at .*:3 returned nil", server:log())
    end)
  end)

  describe("mount", function()
    it("puts another app's routes below a prefix, those it gets later too", function()
      serve [[
        local admin = spate.app()
        admin:get("/", function(req) return "root " .. req.route end)
        admin:get("/users/:id", function(req) return "user " .. req.params.id .. " " .. req.route end)
        app:mount("/admin", admin)
        admin:get("/later", function() return "later" end)
        admin:group("/g", function(g) g:post("/x", function() return "grouped" end) end)
        app:get("/", function() return "top" end)
      ]]
      assert.equal("root /admin", body "/admin")
      assert.equal("user 7 /admin/users/:id", body "/admin/users/7")
      assert.equal("later", body "/admin/later")
      assert.equal("grouped", (server:post("/admin/g/x", { body = "" }):body()))
      assert.equal("GET, HEAD, OPTIONS", server:post("/admin/later", { body = "" }):header "Allow")
      assert.equal("top", body "/")
      assert.equal(404, get("/users/7"):status())
    end)

    it("takes parameters in the prefix, and '/'", function()
      serve [[
        local tenant, rest = spate.app(), spate.app()
        tenant:get("/:page", function(req) return req.params.tenant .. ":" .. req.params.page end)
        rest:get("/x", function() return "x" end)
        app:mount("/t/:tenant", tenant)
        app:mount("/", rest)
      ]]
      assert.equal("acme:home", body "/t/acme/home")
      assert.equal("x", body "/x")
    end)

    it("keeps each app's hooks around its own routes", function()
      serve [[
        local sub = spate.app()
        sub:get("/x", function(req) return req.ctx.log end)
        sub:get("/boom", function() error { code = "E" } end)
        app:mount("/sub", sub)
        app:get("/y", function(req) return req.ctx.log end)
        app:get("/boom", function() error { code = "E" } end)
        local function note(name) return function(req) req.ctx.log = (req.ctx.log or "") .. name end end
        app:before(note "a")
        app:use(function(req, next) note "b" (req) return next() end)
        sub:before(note "c")
        sub:use(function(req, next) note "d" (req) return next() end)
        sub:after(function(req, r) r:header("X-Sub", "yes") end)
        sub:on_error(function(err) return reply.error(409, err.code .. " of sub") end)
        app:on_error(function(err) return reply.error(409, err.code .. " of app") end)
      ]]
      local res = get "/sub/x"
      assert.equal("abcd", (res:body()))
      assert.equal("yes", res:header "X-Sub")
      res = get "/y"
      assert.equal("ab", (res:body()))
      assert.is_nil(res:header "X-Sub")
      assert.equal("E of sub\n", body "/sub/boom")
      assert.equal("E of app\n", body "/boom")
    end)

    it("hands errors on to the app around it where it has no on_error", function()
      serve [[
        local sub = spate.app()
        sub:after(function(req, r) end)
        sub:get("/boom", function() error { code = "E" } end)
        app:mount("/sub", sub)
        app:on_error(function(err) return reply.error(409, err.code) end)
      ]]
      assert.equal("E\n", body "/sub/boom")
    end)

    it("may be done twice, and in a group behind its middleware", function()
      serve [[
        local sub, started = spate.app(), 0
        sub:get("/x", function(req) return req.route .. " " .. tostring(req.ctx.in_group) .. " " .. started end)
        sub:on_start(function() started = started + 1 end)
        app:mount("/one", sub)
        app:group("/two", function(req, next) req.ctx.in_group = true return next() end, function(g) g:mount("/sub", sub) end)
      ]]
      assert.equal("/one/x nil 1", body "/one/x")
      assert.equal("/two/sub/x true 1", body "/two/sub/x")
    end)

    it("names both lines where routes are equal", function()
      assert.matches(":6: GET /s/x is defined already at .*:3", helper.load_error [[
        app:get("/s/x", function() end)
        local sub = spate.app()
        app:mount("/s", sub)
        sub:get("/x", function() end)
      ]])
    end)
  end)

  describe("on_start and on_stop", function()
    local source = [[
      app:on_start(function() spate.log.info("started once") end)
      app:on_start(function() sse.sleep(1) spate.log.info("started on each") end, { each_worker = true })
      app:on_stop(function() spate.log.info("stopped once") end)
      app:on_stop(function() spate.log.info("stopped on each") end, { each_worker = true })
      local sub = spate.app()
      sub:on_start(function() spate.log.info("sub started") end)
      sub:on_stop(function() spate.log.info("sub stopped") end)
      app:mount("/sub", sub)
    ]]

    it("run once per process, or on each worker", function()
      for worker = 0, 1 do
        serve(source, { worker = worker })
        server:advance(2)
        server.core:drain()
        local log, once = server:log(), worker == 0 and 1 or 0
        for _, what in ipairs { "started once", "stopped once", "sub started", "sub stopped" } do
          assert.equal(once, count(log, what), what)
        end
        assert.equal(1, count(log, "started on each"))
        assert.equal(1, count(log, "stopped on each"))
        server:close()
        server = nil
      end
    end)

    it("on_start: an error in one is why the application does not start", function()
      local err = helper.load_error [[
        app:on_start(function() spate.log.info "first" end)
        app:on_start(function() error "cannot start" end)
      ]]
      assert.matches("^[^\n]*:4: cannot start\n.*  >    4 | ", err)
    end)

    it("on_stop: an error in one is logged and stops no other", function()
      serve [[
        app:on_stop(function() error "cannot stop" end)
        app:on_stop(function() spate.log.info "second" end)
      ]]
      server.core:drain()
      local log = server:log()
      assert.equal(1, count(log, "cannot stop\n"))
      assert.matches("second", log)
    end)

    it("takes options as a table only", function()
      assert.matches(":3: app:on_start: expected a table of options, got boolean",
        helper.load_error "app:on_start(function() end, true)\n")
    end)
  end)

  describe("what a handler returns", function()
    it("is text, JSON, a stream or a reply", function()
      serve [[
        app:get("/string", function() return "text" end)
        app:get("/empty", function() return "" end)
        app:get("/table", function() return { 1, 2, { a = "b" } } end)
        app:get("/object", function() return json.object {} end)
        app:get("/stream", function() return sse.once "x" end)
        app:get("/reply", function() return reply.html "<p>" end)
      ]]
      local res = get "/string"
      assert.equal("text/plain; charset=utf-8", res:header "Content-Type")
      assert.equal("text", (res:body()))
      assert.equal("0", get("/empty"):header "Content-Length")
      res = get "/table"
      assert.equal("application/json", res:header "Content-Type")
      assert.equal('[1,2,{"a":"b"}]', (res:body()))
      assert.equal("{}", body "/object")
      res = get "/stream"
      assert.equal("text/event-stream", res:header "Content-Type")
      assert.same({ "x" }, res:data())
      assert.equal("<p>", body "/reply")
    end)

    it("else is a 500 with a hint in the log that names the route's line", function()
      serve [[
        app:get("/nil", function() end)
        app:get("/number", function() return 42 end)
        app:get("/function", function() return print end)
        app:get("/table",
          function() return { print } end)
      ]]
      for path, hint in pairs { ["/nil"] = "returned nil; did you forget `return`%?",
        ["/number"] = "returned number; expected a reply, a string, a table or a stream", ["/function"] = "returned function; sse.reply",
        ["/table"] = "returned a table that is not JSON: ." } do
        assert.equal(500, get(path):status())
        local line = ({ ["/nil"] = 3, ["/number"] = 4, ["/function"] = 5, ["/table"] = 6 })[path]
        assert.matches(("the handler of GET %s %%([^\n]*:%d%%) %s"):format(path, line, hint), server:log())
      end
    end)
  end)

  describe("an error in a handler", function()
    it("is a 500, with the traceback in the log once", function()
      serve [[
        local function deep() error "boom" end
        app:get("/x", function() deep() end)
        app:get("/index", function(req) return req.params.a.b end)
      ]]
      local res = get "/x"
      assert.equal(500, res:status())
      assert.equal("Internal Server Error\n", (res:body()))
      local log = server:log()
      assert.equal(1, count(log, ":3: boom"))
      assert.equal(1, count(log, "stack traceback:"))
      assert.matches("in %a+ '?deep", log)
      assert.matches('request="GET /x"', log)
      assert.matches(" id=%x+", log)
      assert.equal(500, get("/index"):status())
      assert.matches(":5: attempt to index a nil value", server:log())
    end)

    it("keeps its line where it is made in a tail call, and names the handler's", function()
      serve [[
        app:get("/x",
          function() return reply.text(nil) end)
        app:get("/y",
          function() return reply.status(200):header("X Y", "z") end)
        app:get("/z",
          function() return spate.abort(1) end)
        app:get("/json",
          function(req) return req.json() end)
      ]]
      for i, path in ipairs { "/x", "/y", "/z", "/json" } do
        get(path)
        local log = server:log()
        assert.matches((":%d: "):format(2 * i + 2), log)
        assert.matches(("handler=%%S+:%d"):format(2 * i + 1), log)
      end
    end)

    it("may have any value", function()
      serve [[
        local values = { table = {}, named = setmetatable({}, { __tostring = function() return "my error" end }),
          failing = setmetatable({}, { __tostring = function() error "no" end }), number = setmetatable({}, { __tostring = function() return 1 end }),
          waiting = setmetatable({}, { __tostring = function() sse.sleep(1) return "late" end }),
          closed = setmetatable({}, { __index = function() error "no index" end, __metatable = false }), flag = false, int = 7 }
        app:get("/:kind", function(req) error(values[req.params.kind], 0) end)
      ]]
      for _, kind in ipairs { "nothing", "table", "named", "failing", "number", "waiting", "closed", "flag", "int" } do
        local res = get("/" .. kind)
        assert.equal(500, res:status(), kind)
        local log = server:log()
        assert.equal(1, count(log, "stack traceback:"), kind .. ": " .. log)
        assert.equal(1, count(log, "Z error "), kind)
        if kind == "named" then assert.matches("my error", log) end
        if kind == "failing" then assert.matches("a table whose __tostring fails", log) end
        if kind == "nothing" then assert.matches("error value: nil", log) end
      end
    end)

    it("leaves the connection and the server as they were", function()
      serve [[
        app:get("/boom", function() error "boom" end)
        app:get("/x", function() return "x" end)
      ]]
      local client = server:connect()
      assert.equal(500, get("/boom", { client = client }):status())
      assert.equal("x", body("/x", { client = client }))
    end)

    it("after the head cuts the stream, and is logged once", function()
      serve [[ app:get("/x", function() return sse.reply(function(send) send "a" error "late boom" end) end) ]]
      local res = get "/x"
      assert.same({ "a" }, res:data())
      assert.is_false(res:has_ended())
      assert.equal("closed", res.client:state())
      assert.equal(1, count(server:log(), ":3: late boom"))
    end)
  end)

  describe("on_error", function()
    it("answers, with the error value and the request", function()
      serve [[
        app:on_error(function(err, req)
          return reply.json({ path = req.path, code = type(err) == "table" and err.code or err }, 422)
        end)
        app:get("/table", function() error { code = "E1" } end)
        app:get("/string", function() error("text", 0) end)
        app:get("/abort", function() spate.abort(410, "gone") end)
      ]]
      local res = get "/table"
      assert.equal(422, res:status())
      assert.same({ path = "/table", code = "E1" }, res:json())
      assert.equal(0, count(server:log(), "Z error "))
      assert.same({ path = "/string", code = "text" }, get("/string"):json())
      assert.equal(1, count(server:log(), "stack traceback:"))
      assert.equal("gone\n", body "/abort")
      assert.equal(0, count(server:log(), "Z error "))
    end)

    it("that returns nothing leaves the plain 500", function()
      serve [[
        app:on_error(function(err) spate.log.warn "noted" end)
        app:get("/x", function() error "boom" end)
      ]]
      assert.equal(500, get("/x"):status())
      local log = server:log()
      assert.matches("noted", log)
      assert.equal(1, count(log, ":4: boom"))
    end)

    it("that fails too is logged beside the error", function()
      serve [[
        app:on_error(function(err) error "worse" end)
        app:get("/x", function() error "boom" end)
        app:get("/t", function() error {} end)
      ]]
      assert.equal(500, get("/x"):status())
      local log = server:log()
      assert.equal(1, count(log, ":3: worse\n"))
      assert.equal(1, count(log, ":4: boom\n"))
      assert.equal(500, get("/t"):status())
      assert.equal(2, count(server:log(), "stack traceback:"))
    end)

    it("may abort and may wait", function()
      serve [[
        app:on_error(function(err) sse.sleep(1) spate.abort(503, "later") end)
        app:get("/x", function() error {} end)
      ]]
      local res = get "/x"
      server:advance(1)
      assert.equal(503, res:status())
      assert.equal("later\n", (res:body()))
    end)
  end)

  describe("spate.abort", function()
    it("ends the request from deep inside", function()
      serve [[
        local function deep(n) if n == 0 then spate.abort(404, "no such room") end return deep(n - 1) + 0 end
        app:use(function(req, next) return next() end)
        app:get("/x", function() deep(50) return "never" end)
        app:get("/bare", function() spate.abort(403) end)
        app:get("/number", function() spate.abort(400, 42) end)
        app:before(function(req) if req.query.early then spate.abort(401, "early") end end)
      ]]
      local res = get "/x"
      assert.equal(404, res:status())
      assert.equal("text/plain; charset=utf-8", res:header "Content-Type")
      assert.equal("no such room\n", (res:body()))
      assert.equal("Forbidden\n", body "/bare")
      assert.equal("42\n", body "/number")
      assert.equal(401, get("/x?early=1"):status())
      assert.equal(0, count(server:log(), "Z error "))
    end)

    it("with what is no status or text is an error at the user's line", function()
      serve [[
        app:get("/status", function() spate.abort(99) end)
        app:get("/text", function() spate.abort(404, { a = 1 }) end)
        app:get("/none", function() spate.abort() end)
      ]]
      for path, message in pairs { ["/status"] = ":3: spate.abort: expected a status from 200 to 599, got 99",
        ["/text"] = ":4: spate.abort: expected a text, got table", ["/none"] = ":5: spate.abort: expected a status from 200 to 599, got nil" } do
        assert.equal(500, get(path):status())
        assert.matches(message, server:log())
      end
    end)

    it("shows in a pcall what it is", function()
      serve [[
        app:get("/x", function()
          local ok, err = pcall(spate.abort, 404, "no")
          return tostring(ok) .. " " .. tostring(err)
        end)
      ]]
      assert.matches("^false %S+:4: spate.abort 404 no: an error where nothing is left to answer, as in a stream$", body "/x")
    end)
  end)
end)
