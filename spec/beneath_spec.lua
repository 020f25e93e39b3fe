-- SPDX-License-Identifier: MIT
-- What is asked of another server for what lies behind a route's prefix: that, and nothing that leads elsewhere.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

describe("what lies behind a proxy's prefix", function()
  local server

  before_each(function()
    server = helper.serve([[
      app:all("/api/*path", function() return reply.proxy("http://up.example/v1/") end)
      app:all("/s/:a[%w/]/*path", function() return reply.proxy("http://up.example/v2") end)
      app:all("/one/:x", function() return reply.proxy("http://up.example/one") end)
      app:all("/set/:x[%a]", function() return reply.proxy("http://up.example/set?a=b") end)
      app:all("/*path", function() return reply.proxy("http://up.example") end)
    ]], { stubs = session.stubs, settings = { log = { access = false } } })
  end)
  after_each(function() server:close() end)

  -- That exactly `url` is asked for.
  local function asks(url, target)
    local up = t.http.stub("GET", url, { body = "a" })
    assert.equal(200, server:get(target):status(), target)
    assert.equal(1, #up.requests, target)
  end

  it("is asked for as it came, with its slash", function()
    for target, url in pairs { ["/api/a/b?x=1&y=%20"] = "/v1/a/b?x=1&y=%20", ["/api/a%2Fb/%C3%A4"] = "/v1/a%2Fb/%C3%A4", ["/api/a?"] = "/v1/a?", ["/api//a//"] = "/v1//a//", ["/s/x/y/z"] = "/v2/y/z", ["/s/x%2Fx/y"] = "/v2/y",
      ["/one/x"] = "/one", ["/one/x?q"] = "/one?q", ["/set/x"] = "/set?a=b", ["/a"] = "/a", ["/a/b/"] = "/a/b/", ["//"] = "//", ["/api/..a/...;../.b;.."] = "/v1/..a/...;../.b;..", ["/api/%25252e%25252e/x"] = "/v1/%25252e%25252e/x", ["/api/.../x"] = "/v1/.../x", ["/api/a.;x/..b"] = "/v1/a.;x/..b" } do
      asks("http://up.example" .. url, target)
    end
  end)

  it("is encoded where a byte may not stand in a path, and only there", function()
    for byte = 33, 126 do
      local char = string.char(byte)
      if not char:find "[#?%%]" then
        local as = char:find "^[%w!$&'()*+,%-./:;=@_~]$" and char or ("%%%02X"):format(byte)
        asks(("http://up.example/v1/a%sb"):format(as), ("/api/a%sb"):format(char))
      end
    end
  end)

  it("leads nowhere else, however it is read", function()
    for _, target in ipairs { "/api/../x", "/api/x/..", "/api/.", "/api/%2e%2e/x", "/api/%2E/x", "/api/a/..%2f..%2fx", "/api/./x", "/api/..;/x", "/api/.;/x", "/api/x/..;", "/api/x/.;a", "/api/x/%252e", "/api/x%5c..", "/api/%2e%2e;a=b/x",
      "/api/..%5c..%5cx", "/api/%252e%252e/x", "/api/x\\..", "/api/..\\x", "/api/%252e%252e%253bx", "/api/x%255c.%255cy", "/../x", "/s/x/../y" } do
      assert.equal(400, server:get(target):status(), target)
    end
  end)
end)
