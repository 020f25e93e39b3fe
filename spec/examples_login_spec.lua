-- SPDX-License-Identifier: MIT
-- examples/login.lua as it stands.
local helper = require "spec.helper"

local server

local function login(user, password)
  return server:post("/login", { body = ("user=%s&password=%s"):format(user, password), headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } })
end

local function cookie_of(res) return { Cookie = (res:header "Set-Cookie" or ""):match "^([^;]*)" } end

describe("examples/login.lua", function()
  before_each(function() server = helper.serve "examples/login.lua" end)
  after_each(function() server:close() end)

  it("streams to those who have logged in, until they log out", function()
    assert.equal(401, server:get("/events"):status())
    assert.truthy(server:get("/"):body():find("/login", 1, true))
    local res = login("ann", "secret")
    assert.equal(303, res:status())
    local stream = server:get("/events", { headers = cookie_of(res) })
    server:advance(2)
    assert.same({ "ann, you have been here for 1 s", "ann, you have been here for 2 s" }, stream:data())
    assert.truthy(server:get("/", { headers = cookie_of(res) }):body():find("/logout", 1, true))
    res = server:post("/logout", { headers = { Cookie = cookie_of(res).Cookie, Origin = "http://spec" } })
    assert.truthy(res:header("Set-Cookie"):find("Max-Age=0", 1, true))
    stream:close()
  end)

  it("refuses wrong passwords, and soon all", function()
    for _, wrong in ipairs { { "ann", "Secret" }, { "ann", "" }, { "eve", "secret" }, { "%61nn", "hunter2" } } do
      assert.equal(403, login(wrong[1], wrong[2]):status())
    end
    assert.equal(303, login("%61nn", "secret"):status())
    local res = login("ann", "secret")
    assert.equal(429, res:status())
    assert.equal("12", res:header "Retry-After")
  end)

  it("keeps no password, and takes as long for a name that nobody has", function()
    local f <close> = assert(io.open "examples/login.lua")
    assert.is_nil(f:read("a"):find("hunter2", 1, true))
    assert.equal(403, login("eve", "secret"):status())
    assert.equal("1", (server.core:run [[return tostring(require("spate").stats().work_total)]]))
  end)

  it("refuses other sites' forms", function()
    local res = server:post("/login", { body = "user=ann&password=secret", headers = { Origin = "https://evil.example" } })
    assert.equal(403, res:status())
    assert.is_nil(res:header "Set-Cookie")
  end)
end)
