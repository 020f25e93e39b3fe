-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

local server

local function serve(options)
  server = helper.serve(([[
app:get("/", spate.basic_auth { %s }, function(req) return { user = req.ctx.user } end)
]]):format(options))
end

local function get(field) return server:get("/", { headers = { Authorization = field } }) end

describe("spate.basic_auth", function()
  after_each(function() server:close() end)

  it("asks for user and password", function()
    serve [[users = { ann = "secret", ["Zoë"] = "p:w" }]]
    local res = server:get "/"
    assert.equal(401, res:status())
    assert.equal('Basic realm="spate", charset="UTF-8"', res:header "WWW-Authenticate")
    assert.same({ user = "ann" }, get("Basic YW5uOnNlY3JldA=="):json())  -- ann:secret
    assert.same({ user = "ann" }, get("bASIC YW5uOnNlY3JldA=="):json())
    assert.same({ user = "Zoë" }, get("Basic Wm/DqzpwOnc="):json())      -- Zoë:p:w
  end)

  it("knows a password by its hash", function()
    serve [[hashes = { ann = "$y$j75$saltsalt$0gBD67sgmJgRX3RZ6wHHO7sHimQEWGCWN85o4Twogh2" }]]
    assert.equal(401, server:get("/"):status())
    assert.same({ user = "ann" }, get("Basic YW5uOnNlY3JldA=="):json())
    assert.equal(401, get("Basic YW5uOnNlY3JldHM="):status()) -- ann:secrets
    assert.equal(401, get("Basic Ym9iOnNlY3JldA=="):status()) -- bob:secret
    assert.equal(401, get("Basic Ym9iOg=="):status())         -- bob:
    assert.same({ user = "ann" }, get("Basic YW5uOnNlY3JldA=="):json())
    assert.equal("4", (server.core:run [[return tostring(require("spate").stats().work_total)]])) -- the last was known again
  end)

  it("answers 503 where too many passwords wait to be hashed", function()
    serve [[hashes = { ann = "$y$j75$saltsalt$0gBD67sgmJgRX3RZ6wHHO7sHimQEWGCWN85o4Twogh2" }]]
    local all = {}
    for i = 1, 101 do
      all[i] = server:connect()
      all[i]:send "GET / HTTP/1.1\r\nHost: spec\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n\r\n"
    end
    server:turn()
    assert.matches("^HTTP/1.1 503 ", all[101]:take())
    assert.matches('{"user":"ann"}', all[100]:take(), 1, true)
  end)

  it("refuses everything else", function()
    serve [[users = { ann = "secret" }, realm = "backstage"]]
    for _, field in ipairs {
      "Basic YW5uOnNlY3JldHM=", -- ann:secrets
      "Basic YW5uOnNlY3Jl", -- ann:secre
      "Basic YW5uOg==", -- ann:
      "Basic Ym9iOnNlY3JldA==", -- bob:secret
      "Basic Ym9iOg==", -- bob:
      "Basic OnNlY3JldA==", -- :secret
      "Basic YW5u", "Basic", "Basic ", "Bearer YW5uOnNlY3JldA==", "YW5uOnNlY3JldA==", "Basic YW5uOnNlY3JldA", "Basic YW5uOnNlY3JldB==",
      "Basic YW5uOnNlY3JldA==YW5u", "Basic YW5u OnNlY3JldA==", "Basic %%%%", "Basic ====", "Basic YW5uOnNlY3JldA==, Basic YW5uOnNlY3JldA==",
      "Basic " .. ("A"):rep(8000),
    } do
      local res = get(field)
      assert.equal(401, res:status(), field)
      assert.equal('Basic realm="backstage", charset="UTF-8"', res:header "WWW-Authenticate")
    end
  end)

  it("asks a function, which may wait", function()
    serve [[check = function(user, password, req) sse.sleep(1) return user == password and req.path == "/" end]]
    local res = get "Basic YTph" -- a:a
    assert.is_nil(res:status())
    server:advance(1)
    assert.same({ user = "a" }, res:json())
    res = get "Basic YTpi" -- a:b
    server:advance(1)
    assert.equal(401, res:status())
  end)
end)

describe("spate.sign", function()
  local function say(code)
    server = helper.serve("local s, t = ('s'):rep(32), ('t'):rep(32)\napp:get('/', function() " .. code .. " end)")
    local res = server:get "/"
    local text = res:status() == 200 and res:body() or server:log()
    server:close()
    return text
  end

  it("gives back what it has signed, and nothing else", function()
    assert.equal("user.1=a", say "return spate.verify(spate.sign('user.1=a', s), s)")
    assert.equal("", say "return spate.verify(spate.sign('', s), s)")
    assert.equal("nil", say "return tostring(spate.verify(spate.sign('a', s), t))")
    assert.equal("nil", say "return tostring(spate.verify(spate.sign('a', s):gsub('^a', 'b'), s))")
    assert.equal("nil", say "return tostring(spate.verify(spate.sign('a', s) .. 'A', s))")
    assert.equal("nil", say "return tostring(spate.verify(spate.sign('a', s):sub(1, -2), s))")
    assert.equal("nil", say "return tostring(spate.verify('a', s))")
    assert.equal("nil", say "return tostring(spate.verify('', s))")
    assert.equal("nil", say "return tostring(spate.verify(nil, s))")
  end)

  it("takes old secrets for a while", function()
    assert.equal("a", say "return spate.verify(spate.sign('a', s), { t, s })")
    assert.equal("a", say "return spate.verify(spate.sign('a', { t, s }), t)")
    assert.equal("nil", say "return tostring(spate.verify(spate.sign('a', { t, s }), s))")
  end)

  it("wants a secret that is one", function()
    assert.truthy(say("return spate.sign('a', 'short')"):find(":4: spate.sign: secret: expected 32 bytes or more, got 5", 1, true))
    assert.truthy(say("return spate.sign('a')"):find("spate.sign: secret: expected a string of 32 bytes or more, or a list of them, got nil", 1, true))
    assert.truthy(say("return spate.sign(1, s)"):find("spate.sign: expected a string, got number", 1, true))
  end)

  it("compares", function()
    assert.equal("true false false true", say [[return table.concat({ tostring(spate.equal("a\0b", "a\0b")), tostring(spate.equal("a", "b")),
      tostring(spate.equal("a", "ab")), tostring(spate.equal("", "")) }, " ")]])
    assert.truthy(say("return spate.equal('a')"):find("spate.equal: expected a string, got nil", 1, true))
  end)
end)

describe("the options of basic_auth", function()
  it("are checked at load", function()
    for options, why in pairs {
      ["{}"] = "expected one of users, hashes and check", ["{ users = {}, check = print }"] = "expected one of users, hashes and check",
      ["{ users = { 'a' } }"] = "expected names without ':' as keys", ["{ users = { ['a:b'] = 'x' } }"] = "expected names without ':' as keys",
      ["{ users = { a = '' } }"] = "users.a: expected a password", ["{ hashes = { a = '' } }"] = "hashes.a: expected a hash",
      ["{ hashes = { a = 'secret' } }"] = "hashes.a: expected a hash of the password, as `spate password` prints one",
      ["{ hashes = 'x' }"] = "hashes: expected a table of names and hashes, got string", ["{ users = 'x' }"] = "a table of names and passwords", ["{ check = 1 }"] = "check: expected a function, got number",
      ["{ check = print, realm = 'a\"b' }"] = "realm must not contain quotes",
    } do
      local err = helper.load_error("\nspate.basic_auth(" .. options .. ")")
      assert.truthy(err:find(why, 1, true), err)
      assert.truthy(err:find ":4: ", err)
    end
  end)
end)
