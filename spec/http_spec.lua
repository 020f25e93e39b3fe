-- SPDX-License-Identifier: MIT
-- Requests to other servers, as scripts write them: what is refused at the line that is wrong, and what is asked for.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

-- A server that runs the code in its handler, and answers with what that returns, or with its error.
local function serve(code, options)
  options = options or {}
  options.stubs = session.stubs
  return helper.serve(([[
local http = require "spate.http"
app:get("/", function(req)
  local function call()
%s
  end
  local results = table.pack(pcall(call))
  if not results[1] then return "error: " .. tostring(results[2]) end
  for i = 1, results.n - 1 do results[i] = tostring(results[i + 1]) end
  return table.concat(results, " | ", 1, results.n - 1)
end)]]):format(code), options)
end

local function run(code, options)
  local server = serve(code, options)
  local res = server:get "/"
  server:advance(0)
  server:close()
  return (res:body())
end

local GET = 'local res = assert(http.get("' .. URL .. '"))\n'

-- The same of code behind a request that is answered so.
local function with(answer, code, options)
  local stub = t.http.stub("GET", URL, answer)
  return run(GET .. code, options), stub
end

describe("spate.http", function()
  for call, message in pairs {
    ['http.get()'] = "http.get: url: expected a string, got nil",
    ['http.get("http://x", { tiemout = 1 })'] = "http.get: unknown option 'tiemout'; did you mean 'timeout'?",
    ['http.get("http://x", { timeout = { conect = 1 } })'] = "http.get: timeout: unknown option 'conect'; did you mean 'connect'?",
    ['http.get("http://x", { timeout = 0 })'] = "http.get: timeout: expected more than 0 seconds, got 0",
    ['http.get("http://x", { headers = { ["a b"] = "c" } })'] = "header 'a b': the name may hold letters, digits and '-' only",
    ['http.get("http://x", { headers = { a = "b\\r\\nc: d" } })'] = "header 'a': the value must not contain control characters",
    ['http.get("http://x", { headers = { ["Content-Length"] = 3 } })'] = "header 'Content-Length': the server sets this one itself",
    ['http.post("http://x", { body = "a", json = {} })'] = "http.post: both body and json; a request has one body",
    ['http.post("http://x", { body = {} })'] = "http.post: body: expected a string or an iterator, got table",
    ['http.post("http://x", { form = { f = { filename = "x" } } })'] = "http.post: form.f: expected data or path",
    ['http.get("http://x", { redirects = -1 })'] = "http.get: redirects: expected an integer of 0 or more, got -1",
    ['http.get("http://x", { max = 1.5 })'] = "http.get: max: expected an integer of 0 or more, got 1.5",
    ['http.get("http://x", { private = 0 })'] = "http.get: private: expected true or false, got number",
    ['http.get("http://x", { unix = "a\\0b" })'] = 'http.get: unix: expected a path, got "a\\0b"',
    ['http.get("http://x", { tls = { key = "k" } })'] = "http.get: tls: a key without its cert",
    ['http.get("http://x", { auth = { user = "a:b" } })'] = "http.get: auth: the user may hold no colon",
    ['http.request("GE T", "http://x")'] = 'http.request: expected a method, got "GE T"',
    ['http.request("CONNECT", "http://x")'] = "http.request: CONNECT asks for a tunnel",
    ['http.get("http://x", { query = { a = {{}} } })'] = "http.get: query.a: expected a string or a number, got table",
  } do
    it("refuses at the user's line: " .. call, function()
      local body = run("return " .. call)
      assert.truthy(body:find("error: [^\n]-:%d+: "), body)
      assert.truthy(body:find(message, 1, true), body)
    end)
  end

  it("says that nothing can wait while the script is loaded", function()
    local err = helper.load_error 'require("spate.http").get "http://x.example"\n'
    assert.truthy(err:find("http.get: nothing can wait while the script is loaded", 1, true), err)
  end)

  it("says that a finalizer cannot wait", function()
    local server = helper.serve [[
local http = require "spate.http"
app:get("/", function()
  local said
  setmetatable({}, { __gc = function() said = select(2, pcall(http.get, "http://x.example")) end })
  collectgarbage()
  return said
end)]]
    finally(function() server:close() end)
    assert.truthy(server:get("/"):body():find("http.get: cannot wait inside", 1, true))
  end)

  describe("a response", function()
    it("has its fields in any case, the first of a name and all of them", function()
      assert.equal("203 | 1 | 1 | 1,2 | nil", (with({ status = 203, headers = { ["X-A"] = { "1", "2" } } },
        'return res.status, res.headers["X-a"], res.headers["x-a"], table.concat(res:header_all "X-A", ","), res.headers.none')))
    end)

    it("collects its body once", function()
      assert.equal("hello | hello | nil | the body has more than 4 bytes | too large",
        (with({ chunks = { "he", { after = 0, "llo" } } }, "local one, two = res:body(), res:body() return one, two, res:body(4)")))
      assert.equal("", (with({ status = 204 }, "return res:body()")))
    end)

    it("has a limit on what is collected, its own or that of the settings", function()
      local answer, stub = with({ chunks = { ("x"):rep(600), ("x"):rep(600), { after = 9, "x" } } }, "return res:body(1000)")
      assert.equal("nil | the body has more than 1000 bytes | too large", answer)
      assert.is_true(stub.requests[1].closed)
      answer = with({ body = ("x"):rep(200) }, "return res:body()", { settings = { limits = { http_body = 100 } } })
      assert.equal("nil | the body has more than 100 bytes | too large", answer)
      assert.equal("100", (with({ body = ("x"):rep(100) }, "return #res:body()", { settings = { limits = { http_body = 100 } } })))
    end)

    it("reads JSON, and says what is none", function()
      assert.equal("1 | true", (with({ json = { a = 1, b = { true } } }, "local v = res:json() return v.a, v.b[1]")))
      assert.equal("true", (with({ body = '{"a":null}' }, "return res:json({ null = json.null }).a == json.null")))
      local answer = with({ body = "{oops" }, "return res:json()")
      assert.matches("^nil | .+ | json$", answer)
      answer = with({ body = "x", headers = { ["Content-Encoding"] = "gzip" } }, "return res:json()")
      assert.equal("nil | the body is encoded (gzip), and was not asked for so | protocol", answer)
    end)

    it("has lines, however they are cut", function()
      local pieces = { "a\r", "\nb", "b\n\n", "c\r\nno ", "end" }
      assert.equal("a/bb//c/no end", (with({ chunks = pieces }, 'local l = {} for line in res:lines() do l[#l + 1] = line end return table.concat(l, "/")')))
      assert.equal("a/b", (with({ body = "a\nb\n" }, 'local l = {} for line in res:lines() do l[#l + 1] = line end return table.concat(l, "/")')))
      local answer = with({ body = ("x"):rep(5000) }, "for _ in res:lines() do end", { settings = { limits = { http_body = 1000 } } })
      assert.matches("error: [^\n]-:%d+: res:lines: a line has more than 1000 bytes", answer)
    end)

    it("is closed by the end of a loop over it, however that comes", function()
      for _, leave in ipairs { "break", "error 'x'", "return" } do
        local _, stub = with({ chunks = { "a", { after = 9, "b" } } }, ("for _ in res:chunks() do %s end"):format(leave))
        assert.is_true(stub.closed, leave)
      end
    end)

    it("is read in one way", function()
      assert.matches("error: [^\n]-:%d+: res:body: the body is read in pieces already", (with({ body = "x" }, "res:chunks() return res:body()")))
      assert.matches("error: [^\n]-:%d+: res:lines: the body is read already", (with({ body = "x" }, "res:body() return res:lines()")))
      assert.matches("error: [^\n]-:%d+: res:body%(%): write it with a colon", (with({ body = "x" }, "return res.body()")))
    end)

    it("that is closed has nothing more to say", function()
      local answer, stub = with({ chunks = { "a", { after = 9, "b" } } }, "res:close() res:close() return res:body()")
      assert.equal("nil | the response is closed | closed", answer)
      assert.is_true(stub.closed)
    end)

    it("knows an event stream", function()
      assert.equal("true", (with({ events = {} }, "return res:is_event_stream()")))
      assert.equal("true", (with({ headers = { ["Content-Type"] = "Text/Event-Stream; charset=utf-8" } }, "return res:is_event_stream()")))
      assert.equal("false", (with({ headers = { ["Content-Type"] = "text/event-streams" } }, "return res:is_event_stream()")))
    end)

    it("goes with the task that asked, in the turn in which that is cancelled", function()
      local stub = t.http.stub("GET", URL, { chunks = { "a", { after = 9, "b" } } })
      local server = serve(GET .. "sse.sleep(100)")
      local res = server:get "/"
      assert.is_false(stub.closed)
      res.client:reset()
      server.core:step()
      server.core:step()
      assert.is_true(stub.closed)
      server:close()
    end)

    it("goes with the task that goes on with the answer", function()
      local stub = t.http.stub("GET", URL, { chunks = { "a", { after = 9, "b" } } })
      local server = helper.serve([[
local http = require "spate.http"
app:get("/", function()
  local res = assert(http.get "]] .. URL .. [[")
  return sse.reply(function(send) send(tostring(res.status)) sse.sleep(100) send(res:body()) end)
end)]], { stubs = session.stubs })
      local res = server:get "/"
      assert.is_false(stub.closed)
      res:close()
      server:turn()
      assert.is_true(stub.closed)
      server:close()
    end)

    it("is closed once it is collected", function()
      local answer, stub = with({ chunks = { "a", { after = 9, "b" } } }, "res = nil collectgarbage() collectgarbage() return 'collected'")
      assert.equal("collected", answer)
      assert.is_true(stub.closed)
    end)

    it("keeps a window of what nobody reads", function()
      local piece = ("x"):rep(1000)
      local pieces = {}
      for i = 1, 100 do pieces[i] = piece end
      local answer = with({ chunks = pieces }, "sse.sleep(0) sse.sleep(0) return spate.stats().http_bytes_in_total, #res:body()",
        { settings = { limits = { http_window = 5000 } } })
      assert.equal("5000 | 100000", answer)
    end)
  end)

  describe("a request", function()
    local function asked(options, method)
      local stub = t.http.stub(method or "POST", URL, {})
      local answer = run(('return http.request("%s", "%s", %s).status'):format(method or "POST", URL, options))
      assert.equal("200", answer)
      return stub.requests[1]
    end

    it("says what its body is", function()
      local r = asked "{ json = { a = 1 } }"
      assert.same({ "application/json", '{"a":1}' }, { r.headers["content-type"], r.body })
      r = asked '{ form = { b = "x y&", none = {}, a = { 1, 2 } } }'
      assert.same({ "application/x-www-form-urlencoded", "a=1&a=2&b=x+y%26" }, { r.headers["content-type"], r.body })
      r = asked '{ json = {}, headers = { ["content-TYPE"] = "application/x" } }'
      assert.equal("application/x", r.headers["content-type"])
      r = asked '{ body = "plain" }'
      assert.same({ "plain" }, { r.body, r.headers["content-type"] })
    end)

    it("sends a form with files in parts", function()
      local r = asked [[{ form = { name = "Jo", file = { filename = 'a"b\r\n.txt', type = "text/plain", data = "content" }, more = { { data = "1" }, { data = "2" } } } }]]
      local boundary = r.headers["content-type"]:match "^multipart/form%-data; boundary=(spate%-%x+)$"
      local b = "--" .. boundary
      assert.equal(table.concat({
        b, 'Content-Disposition: form-data; name="file"; filename="a%22b%0D%0A.txt"', "Content-Type: text/plain", "", "content",
        b, 'Content-Disposition: form-data; name="more"; filename="file"', "Content-Type: application/octet-stream", "", "1",
        b, 'Content-Disposition: form-data; name="more"; filename="file"', "Content-Type: application/octet-stream", "", "2",
        b, 'Content-Disposition: form-data; name="name"', "", "Jo", b .. "--", "" }, "\r\n"), r.body)
    end)

    describe("with files of a form", function()
      local path

      before_each(function()
        path = os.tmpname() -- beside the script, which is in /tmp here
        local f <close> = assert(io.open(path, "w"))
        f:write(("x"):rep(100000))
      end)

      after_each(function() os.remove(path) end)

      local function name() return path:match "[^/]+$" end

      it("has those beside the script, off the loop", function()
        local r = asked(("{ form = { a = { path = %q, type = 'text/x' }, b = { { path = %q }, { data = '1' } } } }"):format(name(), path))
        assert.equal(2, select(2, r.body:gsub(('filename="%s"\r\nContent%%-Type: [^\r]*\r\n\r\n%s\r\n'):format(name(), ("x"):rep(100000)), "")))
        assert.equal(tostring(#r.body), r.headers["content-length"] or tostring(#r.body))
      end)

      it("tells of those that are not there, and asks nobody", function()
        local stub = t.http.stub("POST", URL, {})
        assert.equal("nil | http.post: form.a.path: 'no-such': No such file or directory | missing",
          run(('return http.post("%s", { form = { a = { path = "no-such" }, b = { path = %q } } })'):format(URL, path)))
        assert.equal("nil | http.post: form.a.path: '/tmp': Is a directory | directory",
          run(('return http.post("%s", { form = { a = { path = "/tmp" } } })'):format(URL)))
        assert.equal(0, #stub.requests)
        assert.matches('^error: .*: http.post: form.a.path: expected a path, got ""$', run(('http.post("%s", { form = { a = { path = "" } } })'):format(URL)))
      end)

      it("raises where one becomes shorter meanwhile", function()
        local stub = t.http.stub("POST", URL, {})
        assert.matches("^error: .*: http.post: form.a.path: '.*': it has become shorter meanwhile$",
          run(([[
            sse.spawn(function() sse.sleep(0) io.open(%q, "w"):close() end) -- once the first is open
            return http.post("%s", { form = { a = { path = %q }, b = { path = "/etc/passwd" } } })]]):format(path, URL, path)))
        assert.is_true(stub.closed)
      end)
    end)

    it("raises what the iterator of its body raises, and lets go", function()
      local stub = t.http.stub("POST", URL, {})
      local answer = run(('http.post("%s", { body = function() error "mine" end })'):format(URL))
      assert.matches("^error: .*mine", answer)
      assert.is_true(stub.closed)
      assert.matches("http.post: body: what its iterator returns: expected a string, got table",
        run(('http.post("%s", { body = function() return {} end })'):format(URL)))
    end)
  end)
end)
