-- SPDX-License-Identifier: MIT
-- t.load { env =, modules = }: what an application under test finds in its environment and by require.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
require "spec.helper"
local t = require "spate.test"

local APP = [[local spate, sse = require "spate", require "spate.sse"
local app = spate.app()
local mailer, config = require "given.mailer", require "given.config"
app:get("/env", function() return { key = spate.env("KEY", "none"), raw = os.getenv "KEY" or "none", home = os.getenv "HOME" or "none", other = spate.env "OTHER_KEY" } end)
app:get("/mail", function(req) return { sent = mailer.send(req.query.to), limit = config.limit, names = config.names, again = require "given.mailer" == mailer } end)
return app
]]

describe("t.load", function()
  local path = os.tmpname()
  setup(function()
    local f <close> = assert(io.open(path, "w"))
    f:write(APP)
  end)
  teardown(function() os.remove(path) end)

  local function mailer()
    local sent = 0
    return { send = function(to) sent = sent + 1 return ("%s %d"):format(to, sent) end }
  end

  local CONFIG = { limit = 3, names = { "a", "b" } }

  local function load(options)
    options.modules = options.modules or { ["given.mailer"] = mailer, ["given.config"] = CONFIG }
    return t.load(path, options)
  end

  it("gives environment variables, and takes some away", function()
    local app = load { env = { KEY = "secret", HOME = false } }
    assert.same({ key = "secret", raw = "secret", home = "none", other = "OTHER_KEY" }, app:get("/env"):json())
    assert.equal("none", load({}):get("/env"):json().key)
    assert.truthy(os.getenv "HOME")
    assert.is_nil(os.getenv "KEY")
  end)

  it("gives modules, as functions that return them and as tables", function()
    local app = load {}
    assert.same({ sent = "ann 1", limit = 3, names = { "a", "b" }, again = true }, app:get("/mail?to=ann"):json())
    assert.equal("bob 2", app:get("/mail?to=bob"):json().sent)
    assert.equal("ann 1", app:reset():get("/mail?to=ann"):json().sent)
    app:get "/mail?to=bob"
    assert.is_true(t.reload(path))
    assert.equal("eve 1", app:get("/mail?to=eve"):json().sent)
  end)

  it("gives each worker its own", function()
    local app = load { workers = 2 }
    local answers = {}
    for i = 1, 4 do answers[i] = app:get("/mail?to=x"):json().sent end
    table.sort(answers)
    assert.same({ "x 1", "x 1", "x 2", "x 2" }, answers)
  end)

  it("raises what a module raises, with the spec's line", function()
    local ok, err = pcall(load, { modules = { ["given.mailer"] = function() error "no mail today" end, ["given.config"] = {} } })
    assert.is_false(ok)
    assert.matches("test_given_spec.lua:%d+: no mail today", err)
  end)

  for what, row in pairs {
    ["a module that is a number"] = { { modules = { m = 1 } }, "t.load: modules%['m'%]: expected a function that returns the module, or a table, got number" },
    ["a table with a function in it"] = { { modules = { m = { f = print } } }, "t.load: modules%['m'%]: expected a function .-, got a function in it" },
    ["a function with a local of the spec's"] = { { modules = { m = function() return APP end } }, "t.load: modules%['m'%]: .- where the spec's local 'APP' is not" },
    ["modules that are none"] = { { modules = "m" }, "t.load: modules: expected a table, got string" },
    ["a variable that is a number"] = { { env = { KEY = 1 } }, "t.load: env%['KEY'%]: expected a string, or false where it is not to be set, got number" },
    ["an option that is none"] = { { envs = {} }, "t.load: unknown option 'envs'; it has settings, workers, at, http, env and modules" },
  } do
    it("says at the spec's line what is wrong with " .. what, function()
      local ok, err = pcall(function() t.load(path, row[1]) end)
      assert.is_false(ok)
      assert.matches("test_given_spec.lua:%d+: " .. row[2], err)
    end)
  end
end)

describe("t.crypto", function()
  it("signs and encodes what a spec sends", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write [[local spate, crypto = require "spate", require "spate.crypto"
local app = spate.app()
app:post("/hook", function(req)
  if not crypto.equal(crypto.hmac("sha256", "k\0", req:body()), req.headers["X-Signature"] or "") then return spate.reply.error(403) end
  return "fine"
end)
app:get("/mine", spate.jwt { key = ("k"):rep(32), alg = "HS256" }, function(req) return req.ctx.claims.sub end)
return app
]]
    f:close()
    local app = t.load(path)
    finally(function() os.remove(path) end)
    local function hook(signature) return app:post("/hook", { body = "a\n\0b", headers = { ["X-Signature"] = signature } }) end
    assert.status(200, hook(t.crypto.hmac("sha256", "k\0", "a\n\0b")))
    assert.status(403, hook(t.crypto.hmac("sha256", "other", "a\n\0b")))
    local head = t.crypto.base64('{"alg":"HS256"}', { url = true }) .. "." .. t.crypto.base64('{"sub":"ann","exp":2000000000}', { url = true })
    local token = head .. "." .. t.crypto.hmac("sha256", ("k"):rep(32), head, "base64url")
    assert.equal("ann", app:get("/mine", { headers = { authorization = "Bearer " .. token } }):body())
    assert.equal("\0\1", t.crypto.hex_decode(t.crypto.hex "\0\1"))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", t.crypto.hash("sha256", "abc"))
    assert.has_error(function() t.crypto.hash("sha9", "abc") end)
  end)
end)
