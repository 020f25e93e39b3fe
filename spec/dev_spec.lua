-- SPDX-License-Identifier: MIT
-- spate dev: what requests show that fail or find nothing, pages that reload themselves, what answers in place of a
-- script that does not load. And that spate serve shows nothing of it.
local helper = require "spec.helper"

local HTML, JSON = { Accept = "text/html,application/xhtml+xml,*/*;q=0.8" }, { Accept = "application/json, text/plain, */*" }

local function contains(text, ...)
  for _, part in ipairs { ... } do assert.truthy(text:find(part, 1, true), ("%q is not in\n%s"):format(part, text)) end
end

local function lacks(text, ...)
  for _, part in ipairs { ... } do assert.is_nil(text:find(part, 1, true), ("%q is in\n%s"):format(part, text)) end
end

local function serve(source, options)
  options = options or { dev = true }
  return helper.serve(source, options)
end

local FAILING = [[
local function deep(t) return t.x.y end
app:get("/x", function(req)
  local y = deep { x = nil, tag = "<script>alert(1)</script>" } return y
end)
app:get("/nothing", function() end)
app:get("/thrown", function() error { code = 1 } end)
app:get("/s", function() return sse.reply(function(send) send "a" error "late\nboom" end) end)
app:get("/value", function() return sse.reply(function(send) send "a" error {} end) end)
app:get("/empty", function() return sse.reply { 1, {} } end)]]

describe("an error before the head in spate dev", function()
  local server
  before_each(function() server = serve(FAILING) end)
  after_each(function() server:close() end)

  it("is a page for a browser: message, excerpt, traceback, request, everything escaped", function()
    local res = server:get("/x?a=<b>", { headers = HTML })
    assert.equal(500, res:status())
    assert.equal("text/html; charset=utf-8", res:header "Content-Type")
    assert.equal("no-store", res:header "Cache-Control")
    local body = res:body()
    contains(body, "<!doctype html>", "attempt to index a nil value (field &#39;x&#39;)", "<mark>  &gt;    3 | local function deep(t) return t.x.y end</mark>",
      "in upvalue &#39;deep&#39;", "GET /x", "prefers-color-scheme: dark")
    lacks(body, "<b>", "alert(1)</script>", "spate/", "[C]", "http:", "https:", "src=", "href=")
    assert.equal(#body, tonumber(res:header "Content-Length"))
  end)

  it("is text for others", function()
    local res = server:get "/x"
    assert.equal(500, res:status())
    assert.equal("text/plain; charset=utf-8", res:header "Content-Type")
    contains(res:body(), ":3: attempt to index a nil value (field 'x')\n", "  >    3 | local function deep", "stack traceback:\n\t")
  end)

  it("is JSON for who asks for that", function()
    local res = server:get("/nothing", { headers = JSON })
    assert.equal(500, res:status())
    local body = res:json()
    assert.matches("^the handler of GET /nothing %(.*:7%) returned nil; did you forget `return`%?$", body.error)
    assert.matches(":7$", body.where)
    assert.matches("^a handler ends with `return`", body.hint)
  end)

  it("shows where the handler is when the error has no line", function()
    contains(server:get("/thrown"):body(), "error value: table: ", "  >    8 | app:get(\"/thrown\"")
  end)

  it("answers HEAD with the page's length", function()
    local get, head = server:get("/x", { headers = HTML }), server:head("/x", { headers = HTML })
    assert.equal(500, head:status())
    assert.equal(get:header "Content-Length", head:header "Content-Length")
    assert.matches("\r\n\r\n$", head:raw())
  end)

  it("is in the log with excerpt and hint", function()
    server:get "/nothing"
    contains(server:log(), "returned nil; did you forget `return`?\n", "  >    7 | app:get(\"/nothing\"", "hint: a handler ends with `return`")
  end)
end)

it("on_error goes first in spate dev, and where it returns nothing the report is shown", function()
  local server = serve [[
    app:on_error(function(err, req) if req.path == "/own" then return reply.text("mine", 422) end end)
    app:get("/own", function() error "boom" end)
    app:get("/x", function() error "boom" end)
  ]]
  assert.equal("mine", (server:get("/own"):body()))
  contains(server:get("/x"):body(), ":5: boom")
  server:close()
end)

it("spate.abort is the application's own answer in spate dev, too", function()
  local server = serve [[ app:get("/x", function() spate.abort(404, "no such room") end) ]]
  assert.equal("no such room\n", (server:get("/x", { headers = HTML }):body()))
  server:close()
end)

describe("an error after the head in spate dev", function()
  it("is an error event with the message, then the cut", function()
    local server = serve(FAILING)
    for path, message in pairs { ["/s"] = ":9: late\nboom", ["/value"] = "an error value", ["/empty"] = "the event is empty" } do
      local res = server:get(path)
      local events = res:events()
      assert.equal(2, #events, path)
      assert.equal("error", events[2].event)
      contains(events[2].data, message)
      lacks(events[2].data, "traceback")
      assert.is_false(res:has_ended())
      assert.is_not.equal("open", res.client:state())
    end
    server:close()
  end)

  it("is cut to a size that is bearable", function()
    local server = serve [[ app:get("/s", function() return sse.reply(function(send) send "a" error(("x"):rep(1e6), 0) end) end) ]]
    assert.equal(4096, #server:get("/s"):events()[2].data)
    server:close()
  end)
end)

it("a loop that was stopped is named before and after the head in spate dev #watchdog", function()
  local server = serve([[
app:get("/x", function() while true do end end)
app:get("/s", function() return sse.reply(function(send) send "a" while true do end end) end)
]], { dev = true, watch = true, settings = { limits = { burst = 0.05 } } })
  assert.matches("^%S+:3: stopped after 0.05 s", (server:get("/x"):body()))
  contains(server:get("/s"):events()[2].data, ":4")
  server:close()
end)

describe("spate serve", function()
  it("shows nothing of an error", function()
    local server = serve(FAILING, {})
    for _, headers in ipairs { HTML, JSON, {} } do
      for _, path in ipairs { "/x", "/nothing", "/thrown" } do
        local res = server:get(path, { headers = headers })
        assert.equal(500, res:status())
        local text = headers == JSON and '{"error":{"status":500,"message":"Internal Server Error"}}' or "Internal Server Error\n"
        assert.equal(text, (res:body()))
      end
    end
    assert.equal(1, #server:get("/s"):events())
    assert.equal("Not Found\n", (server:get("/xx", { headers = HTML }):body()))
    assert.equal(404, server:get("/.spate/live"):status())
    server:close()
  end)

  it("adds no script to pages, and warns of neither globals nor durations", function()
    local server = serve([[
      app:get("/", function() counter = 1 sse.sleep(5000) return reply.html "<body></body>" end)
    ]], { inject = true })
    local res = server:get "/"
    server:advance(5000)
    assert.equal("<body></body>", (res:body()))
    lacks(server:log(), "counter", "durations")
    server:close()
  end)
end)

describe("a 404 in spate dev", function()
  local SOURCE = [[
app:get("/rooms/:id", print)
app:post("/login", print)
app:get("/lists", print)
local admin = spate.app()
admin:get("/users", print)
app:mount("/admin", admin)]]

  it("lists the routes, the nearest first, with their places", function()
    local server = serve(SOURCE)
    local res = server:get "/list"
    assert.equal(404, res:status())
    local body = res:body()
    contains(body, "no route for GET /list; there are:\nGET /lists ", ":5\n", "POST /login", "GET /rooms/:id", "GET /admin/users")
    lacks(body, "/.spate/live")
    assert.same({ "GET /lists", "POST /login" }, table.move(server:get("/list", { headers = JSON }):json().routes, 1, 2, 1, {}))
    local page = server:get("/<list>", { headers = HTML })
    assert.equal(404, page:status())
    contains(page:body(), "no route for GET /&lt;list&gt;", "GET /lists")
    server:close()
  end)

  it("leaves an app's own not_found alone, and a handler's 404", function()
    local server = serve [[
      app:not_found(function() return reply.text("mine", 404) end)
      app:get("/x", function() return reply.error(404) end)
    ]]
    assert.equal("mine", (server:get("/y"):body()))
    assert.equal("Not Found\n", (server:get("/x"):body()))
    server:close()
  end)

  it("takes long paths and apps without routes", function()
    local server = serve("app:get('/" .. ("y"):rep(3000) .. "', print)\n")
    contains(server:get("/" .. ("x"):rep(8000)):body(), "GET /yyy")
    server:close()
    server = serve "local _ = 1\n"
    contains(server:get("/x"):body(), "the app has no routes")
    server:close()
  end)
end)

describe("live reload", function()
  local PAGES = [[
    local fixed = reply.html "<html><BODY>hi</BODY></html>"
    app:get("/", function() return fixed end)
    app:get("/bare", function() return reply.html "<p>hi" end)
    app:get("/two", function() return reply.html "<pre></body></pre><body></body>" end)
    app:get("/text", function() return "<body></body>" end)
    app:get("/json", function() return { x = 1 } end)
    app:get("/gzip", function() return reply.html("<body></body>"):header("Content-Encoding", "gzip") end)
    app:get("/xhtml", function() return reply.text("<body></body>"):header("Content-Type", "text/html-not") end)
    app:get("/upper", function() return reply.text("<body></body>"):header("content-type", "Text/HTML") end)
    app:get("/csp", function(req) return reply.html("<body></body>"):header("Content-Security-Policy", req.query.policy) end)
    app:get("/fail", function() error "boom" end)
    app:use(function(req, next) if req.query.deny then return reply.error(403) end return next() end)
    app:before(function(req) if req.query.early then return reply.error(401) end end)
  ]]
  local server
  before_each(function() server = serve(PAGES, { dev = true, inject = true }) end)
  after_each(function() server:close() end)

  local function body(path, headers)
    local res = server:get(path, { headers = headers })
    local text = res:body()
    assert.equal(#text, tonumber(res:header "Content-Length"))
    return text
  end

  it("puts a script before the end of the page, each time once", function()
    for _ = 1, 2 do
      local text = body "/"
      assert.matches('^<html><BODY>hi<script>.*new EventSource%("/%.spate/live"%).*</script>\n</BODY></html>$', text)
      assert.equal(2, select(2, text:gsub("script>", "")))
    end
    assert.matches("^<p>hi<script>.*</script>\n$", body "/bare")
    assert.matches("^<pre></body></pre><body><script>", body "/two")
    assert.matches("<body><script>", body "/upper")
  end)

  it("is in the error page and in the 404, too", function()
    contains(body("/fail", HTML), "boom", "EventSource")
    contains(body("/none", HTML), "no route for", "EventSource")
    lacks(body "/fail", "EventSource")
  end)

  it("answers HEAD with the length that GET has", function()
    assert.equal(server:get("/"):header "Content-Length", server:head("/"):header "Content-Length")
  end)

  it("leaves alone what is no page", function()
    assert.equal("<body></body>", body "/text")
    assert.equal('{"x":1}', body "/json")
    assert.equal("<body></body>", body "/gzip")
    assert.equal("<body></body>", body "/xhtml")
    lacks(body("/", { ["HX-Request"] = "true" }), "script")
    lacks(body("/", { ["Sec-Fetch-Dest"] = "empty" }), "script")
    contains(body("/", { ["Sec-Fetch-Dest"] = "document" }), "script")
  end)

  for _, policy in ipairs {
    "default-src 'self'", "script-src 'self'", "script-src 'self' 'unsafe-inline' 'nonce-abc'", "script-src 'unsafe-inline'; connect-src api.example",
    "script-src-elem 'none'; script-src 'unsafe-inline'", "sandbox", "SCRIPT-SRC 'self'",
  } do
    it("leaves alone a page with the policy " .. policy .. ", and says so once", function()
      local query = "/csp?policy=" .. policy:gsub("[ ;']", { [" "] = "%20", [";"] = "%3B", ["'"] = "%27" })
      for _ = 1, 2 do assert.equal("<body></body>", body(query)) end
      assert.equal(1, select(2, server:log():gsub("Content%-Security%-Policy", "")))
    end)
  end

  for _, policy in ipairs { "img-src 'self'", "default-src 'self' 'unsafe-inline'", "default-src 'none'; script-src 'unsafe-inline'; connect-src 'self'",
    "sandbox allow-scripts" } do
    it("is in a page with the policy " .. policy, function()
      contains(body("/csp?policy=" .. policy:gsub("[ ;']", { [" "] = "%20", [";"] = "%3B", ["'"] = "%27" })), "<script>")
    end)
  end

  it("tells who listens which generation answers, the one that the page names", function()
    local res = server:get("/.spate/live", { headers = { Accept = "text/event-stream" } })
    assert.equal("text/event-stream", res:header "Content-Type")
    local event = res:events()[1]
    assert.equal("generation", event.event)
    contains(body "/", ('made_by = "%s"'):format(event.data))
    local again = server:get "/.spate/live"
    assert.equal(event.data, again:events()[1].data)
    local other = serve(PAGES, { dev = true, inject = true })
    local renewed = other:get "/.spate/live"
    assert.is_not.equal(event.data, renewed:events()[1].data)
    for _, each in ipairs { res, again, renewed } do each:close() end
    other:close()
  end)

  it("tells another generation after a reload, and the same on each worker", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write 'return require("spate").app()'
    f:close()
    server:close()
    server = serve(path, { dev = true, inject = true })
    local function generation(of)
      local res = of:get "/.spate/live"
      local id = res:events()[1].data
      res:close()
      return id
    end
    local id = generation(server)
    local second = serve(path, { dev = true, inject = true, worker = 1, with = server.core, settings = { log = { level = "off" } } })
    assert.equal(id, generation(second))
    second:close()
    assert(server:reload(path))
    local renewed = generation(server)
    assert.is_not.equal(id, renewed)
    assert.equal(id:match "^%x+", renewed:match "^%x+")
    os.remove(path)
  end)

  it("is not behind the app's middleware and hooks", function()
    assert.equal(403, server:get("/text?deny=1"):status())
    for _, query in ipairs { "?deny=1", "?early=1" } do
      local res = server:get("/.spate/live" .. query)
      assert.equal(200, res:status())
      res:close()
    end
  end)

  it("reloads every page on demand", function()
    server:close()
    server = serve([[ app:get("/touch", function() require("spate.live").reload() return "x" end) ]], { dev = true, inject = true })
    local res = server:get "/.spate/live"
    server:get "/touch"
    assert.equal("reload", res:events()[2].event)
    res:close()
  end)

  it("is off with --no-inject: no script, no route", function()
    local plain = serve(PAGES, { dev = true, inject = false })
    assert.equal("<p>hi", (plain:get("/bare"):body()))
    assert.equal(404, plain:get("/.spate/live"):status())
    plain:close()
  end)
end)

describe("in place of a script that does not load", function()
  local REPORT = "app.lua:2: unexpected symbol near '='\n       1 | local a\n  >    2 | local b = = <2>\nhint: Lua cannot read this line\nmore"

  local function stand_in(options)
    local core = helper.harness.new(options)
    assert.is_true(core:stand_in(REPORT))
    return core
  end

  local function get(core, target, accept, method)
    local client = core:connect()
    client:send(("%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n"):format(method or "GET", target, accept))
    core:turn()
    local bytes = client:take()
    client:finish()
    core:turn()
    return bytes
  end

  it("every request is answered with the report", function()
    local core = stand_in { dev = true, inject = true }
    for _, target in ipairs { "/", "/any/where?x=1" } do
      for _, method in ipairs { "GET", "POST", "DELETE" } do
        local bytes = get(core, target, "text/html", method)
        contains(bytes, "HTTP/1.1 500 ", "<h1>app.lua:2: unexpected symbol near &#39;=&#39;</h1>", "<mark>  &gt;    2 | local b = = &lt;2&gt;</mark>",
          '<p class="hint">Lua cannot read this line</p>', "<pre>more</pre>", "EventSource")
      end
    end
    contains(get(core, "/", "*/*"), "HTTP/1.1 500 ", "text/plain", REPORT)
    contains(get(core, "/", "application/json"), '"where":"app.lua:2"', '"hint":"Lua cannot read this line"')
    core:close()
  end)

  it("pages are told when another generation answers", function()
    local core = stand_in { dev = true, inject = true }
    contains(get(core, "/.spate/live", "text/event-stream"), "HTTP/1.1 200 ", "event: generation\n")
    core:close()
  end)
end)
