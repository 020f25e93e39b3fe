-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local EPOCH = 1767225600 -- 2026-01-01T00:00:00Z

local ROUTES = [[
app:get("/", function(req) return req.session end)
app:post("/set", function(req) req.session.user, req.session.n = req:body(), { 1, 2 } return "" end)
app:post("/same", function(req) req.session.user = req.session.user return "" end)
app:post("/clear", function(req) for k in pairs(req.session) do req.session[k] = nil end return "" end)
app:post("/drop", function(req) req.session = nil return "" end)
app:post("/fails", function(req) req.session.seen = true error "broken" end)
app:post("/aborts", function(req) req.session.seen = true spate.abort(403) end)
app:post("/large", function(req) req.session.text = ("x"):rep(4000) return "" end)
app:post("/wrong", function(req) req.session = 1 return "" end)
app:get("/events", function(req) req.session.seen = true return sse.reply { "one" } end)
local kept = reply.text "kept"
app:post("/kept", function(req) req.session.user = req:body() return kept end)
app:get("/kept", function() return kept end)
]]

local SECRET = ("s"):rep(32)

local server

local function serve(options, settings)
  settings = settings or {}
  settings.epoch = EPOCH
  server = helper.serve(("app:use(spate.session { %s })\n"):format(options or ("secret = %q"):format(SECRET)) .. ROUTES, settings)
end

local function cookie_of(res) return (res:header "Set-Cookie" or ""):match "^([^;]*)" end

local function signed_in(name)
  local res = server:post("/set", { body = name or "ann" })
  assert.equal(200, res:status())
  return cookie_of(res)
end

local function session_of(cookie) return server:get("/", { headers = { Cookie = cookie } }):json() end

describe("spate.session", function()
  after_each(function() server:close() end)

  it("keeps a table with the visitor", function()
    serve()
    assert.same({}, session_of(nil))
    local cookie = signed_in()
    assert.truthy(cookie:find "^session=[%w_-]+%.1767830400%.[%w_-]+$")
    assert.same({ user = "ann", n = { 1, 2 } }, session_of(cookie))
    assert.same({ user = "ann", n = { 1, 2 } }, session_of("a=b; " .. cookie .. "; c=d"))
  end)

  it("protects its cookie", function()
    serve()
    local field = server:post("/set", { body = "ann" }):header "Set-Cookie"
    assert.truthy(field:find("; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax", 1, true), field)
    assert.is_nil(field:find "Secure")
    server:close()
    serve(nil, { settings = { trusted_proxies = { "127.0.0.1" } } })
    field = server:post("/set", { body = "ann", headers = { ["X-Forwarded-Proto"] = "https" } }):header "Set-Cookie"
    assert.truthy(field:find("; Secure; HttpOnly; SameSite=Lax", 1, true), field)
    server:close()
    serve(([[secret = %q, cookie = "__Host-sid", max_age = 60, same_site = "Strict", secure = true, http_only = false]]):format(SECRET))
    field = server:post("/set", { body = "ann" }):header "Set-Cookie"
    assert.truthy(field:find "^__Host%-sid=[^;]*; Path=/; Max%-Age=60; Secure; SameSite=Strict$", field)
  end)

  it("is sent only where it has changed", function()
    serve()
    local cookie = signed_in()
    local function sets(method, path)
      return server:request(method, path, { headers = { Cookie = cookie } }):header "Set-Cookie"
    end
    assert.is_nil(sets("GET", "/"))
    assert.is_nil(sets("POST", "/same"))
    assert.is_nil(sets("GET", "/nowhere"))
    assert.is_nil(server:get("/"):header "Set-Cookie")
    assert.is_nil(server:post("/drop"):header "Set-Cookie")
  end)

  it("is deleted where it is emptied or dropped", function()
    serve()
    local cookie = signed_in()
    for _, path in ipairs { "/clear", "/drop" } do
      local field = server:post(path, { headers = { Cookie = cookie } }):header "Set-Cookie"
      assert.truthy(field:find("session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", 1, true), field)
    end
    assert.truthy(server:get("/", { headers = { Cookie = "session=rubbish" } }):header("Set-Cookie"):find("Max-Age=0", 1, true))
  end)

  it("believes nothing that it has not signed", function()
    serve()
    local cookie = signed_in()
    local payload, expires, mac = cookie:match "^session=([^.]*)%.([^.]*)%.([^.]*)$"
    for _, value in ipairs {
      payload .. "A." .. expires .. "." .. mac, payload .. "." .. expires + 1 .. "." .. mac, payload .. ".0" .. expires .. "." .. mac,
      payload .. "." .. expires .. "." .. mac:sub(1, -2), payload .. "." .. expires .. "." .. mac .. "A", payload .. "." .. expires .. ".",
      payload .. "." .. expires, payload, "", ".", "..", mac .. "." .. expires .. "." .. payload, "." .. expires .. "." .. mac,
      payload:sub(1, -2) .. "." .. payload:sub(-1) .. expires .. "." .. mac, ("A"):rep(5000), payload .. "." .. ("9"):rep(400) .. "." .. mac,
      (payload:gsub("^.", function(c) return c == "e" and "f" or "e" end)) .. "." .. expires .. "." .. mac,
    } do
      assert.same({}, session_of("session=" .. value), value)
    end
    assert.same({ user = "ann", n = { 1, 2 } }, session_of(cookie))
  end)

  it("believes no other secret, no other cookie's value, and nothing that is signed for another purpose", function()
    serve()
    local cookie = signed_in()
    server:close()
    serve(([[secret = %q]]):format(("t"):rep(32)))
    assert.same({}, session_of(cookie))
    server:close()
    serve(([[secret = %q, cookie = "other"]]):format(SECRET))
    assert.same({}, session_of((cookie:gsub("^session", "other"))))
    server:close()
    server = helper.serve(([[
local secret = %q
app:use(spate.session { secret = secret })
app:get("/sign", function(req) return spate.sign(req.query.text, secret) end)
]]):format(SECRET) .. ROUTES, { epoch = EPOCH })
    local signed = server:get("/sign?text=eyJhIjoxfQ.1999999999"):body()
    assert.same({}, session_of("session=" .. signed))
  end)

  it("changes secrets without signing anybody out", function()
    serve()
    local cookie = signed_in()
    server:close()
    serve(([[secret = { %q, %q }]]):format(("t"):rep(32), SECRET))
    assert.equal("ann", session_of(cookie).user)
    local renewed = signed_in "bob"
    server:close()
    serve(([[secret = %q]]):format(("t"):rep(32)))
    assert.same({}, session_of(cookie))
    assert.equal("bob", session_of(renewed).user)
  end)

  it("expires", function()
    serve(([[secret = %q, max_age = 60]]):format(SECRET))
    local cookie = signed_in()
    server:advance(59.9)
    assert.equal("ann", session_of(cookie).user)
    server:advance(0.1)
    assert.same({}, session_of(cookie))
  end)

  it("is in the head of an event stream", function()
    serve()
    local res = server:get "/events"
    assert.same({ "one" }, res:data())
    assert.same({ seen = true }, session_of(cookie_of(res)))
  end)

  it("is saved where the handler fails, too", function()
    serve()
    for path, status in pairs { ["/fails"] = 500, ["/aborts"] = 403 } do
      local res = server:post(path)
      assert.equal(status, res:status())
      assert.same({ seen = true }, session_of(cookie_of(res)))
    end
  end)

  it("that fits into no cookie is an error that names the handler", function()
    serve()
    local line = select(2, ROUTES:sub(1, ROUTES:find("/large", 1, true)):gsub("\n", "")) + 4
    local res = server:post "/large"
    assert.equal(500, res:status())
    assert.is_nil(res:header "Set-Cookie")
    local log = server:log()
    assert.truthy(log:find("req.session: 4011 bytes of JSON do not fit into a cookie of 4096 bytes", 1, true), log)
    assert.truthy(log:find("in the handler at [^\n]*:" .. line .. ":"), log)
    assert.equal(500, server:post("/wrong"):status())
    assert.truthy(server:log():find("req.session: expected a table or nil, got number", 1, true))
  end)

  it("of one visitor does not stick to a reply that the script returns again", function()
    serve()
    assert.truthy(server:post("/kept", { body = "ann" }):header "Set-Cookie")
    assert.is_nil(server:get("/kept"):header "Set-Cookie")
  end)
end)

describe("its options", function()
  it("are checked at load", function()
    for options, why in pairs {
      ["{}"] = "secret: expected a string of 32 bytes or more, or a list of them, got nil", ["{ secret = 'short' }"] = "secret: expected 32 bytes or more, got 5",
      ["{ secret = { ('s'):rep(32), 'short' } }"] = "secret: expected 32 bytes or more, got 5",
      ["{ secret = ('s'):rep(32), cookie = 'a b' }"] = "cookie: expected letters", ["{ secret = ('s'):rep(32), same_site = 'no' }"] = "same_site is Strict, Lax or None",
      ["{ secret = ('s'):rep(32), same_site = 'None' }"] = "same_site None goes with secure = true only",
      ["{ secret = ('s'):rep(32), age = 1 }"] = "unknown option 'age'",
    } do
      local err = helper.load_error("\nspate.session(" .. options .. ")")
      assert.truthy(err:find(why, 1, true), err)
      assert.truthy(err:find ":4: ", err)
    end
  end)
end)
