-- SPDX-License-Identifier: MIT
-- The name that stands in specs for a variable that is not set was refused as a secret: too short, or no hash.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
require "spec.helper"
local t = require "spate.test"

local APP = [[local spate = require "spate"
local app = spate.app()
app:use(spate.session { secret = spate.env "SESSION_SECRET" })
app:get("/", function(req) req.session = { n = (req.session and req.session.n or 0) + 1 } return tostring(req.session.n) end)
app:get("/admin", spate.basic_auth { hashes = { root = spate.env "ADMIN_HASH" } }, function() return "in" end)
app:get("/token", spate.jwt { key = spate.env "JWT_SECRET", alg = "HS256" }, function() return "in" end)
app:get("/signed", function() return spate.sign("a", spate.env "SIGN_SECRET") end)
return app
]]

describe("an application with secrets of the environment", function()
  local path = os.tmpname()
  setup(function()
    local f <close> = assert(io.open(path, "w"))
    f:write(APP)
  end)
  teardown(function() os.remove(path) end)

  it("loads in a spec without them", function()
    local app = t.load(path)
    local cookie = app:get("/").headers["set-cookie"]:match "^[^;]+"
    assert.equal("2", app:get("/", { headers = { cookie = cookie } }):body())
    assert.status(401, app:get "/admin")
    assert.status(401, app:get "/token")
    assert.status(200, app:get "/signed")
  end)

  it("is refused with one that is too short", function()
    assert.has_error(function() t.load(path, { env = { SESSION_SECRET = "short" } }) end)
  end)
end)
