-- SPDX-License-Identifier: MIT
-- Which requests are let in by where they come from, and by the name they were sent to.
local helper = require "spec.helper"

local server

local ROUTES = [[
app:get("/", function() return "read" end)
app:all("/change", function() return "changed" end)
]]

local function serve(middleware, options)
  server = helper.serve("app:use(" .. middleware .. ")\n" .. ROUTES, options)
end

local function post(headers) return server:post("/change", { headers = headers }):status() end

describe("spate.allow_origins", function()
  after_each(function() server:close() end)

  it("refuses a form of another site, which needs no preflight", function()
    serve [[spate.allow_origins { "https://a.example" }]]
    local res = server:post("/change", { headers = { Origin = "https://evil.example", Cookie = "sid=1", ["Content-Type"] = "text/plain" }, body = "x" })
    assert.equal(403, res:status())
    for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE" } do
      assert.equal(403, server:request(method, "/change", { headers = { Origin = "https://evil.example" } }):status())
      assert.equal(200, server:request(method, "/change", { headers = { Origin = "https://a.example", Cookie = "sid=1" } }):status())
    end
  end)

  it("lets safe methods pass", function()
    serve [[spate.allow_origins {}]]
    for _, method in ipairs { "GET", "HEAD", "OPTIONS" } do
      assert.equal(200, server:request(method, "/change", { headers = { Origin = "https://evil.example", Cookie = "a=b" } }):status())
    end
  end)

  it("knows its own origin by scheme, host and port", function()
    serve [[spate.allow_origins {}]]
    assert.equal(200, post { Host = "a.example", Origin = "http://a.example", Cookie = "a=b" })
    assert.equal(200, post { Host = "A.example:80", Origin = "http://a.example", Cookie = "a=b" })
    assert.equal(200, post { Host = "a.example:8080", Origin = "http://a.example:8080", Cookie = "a=b" })
    assert.equal(200, post { Host = "[::1]:8080", Origin = "http://[::1]:8080", Cookie = "a=b" })
    assert.equal(403, post { Host = "a.example", Origin = "https://a.example" })
    assert.equal(403, post { Host = "a.example", Origin = "http://a.example:8080" })
    assert.equal(403, post { Host = "a.example:8080", Origin = "http://a.example" })
    assert.equal(403, post { Host = "a.example", Origin = "http://a.example.evil.example" })
    assert.equal(403, post { Host = "a.example", Origin = "http://b.a.example" })
    assert.equal(403, post { Host = "a.example", Origin = "http://a.example, http://a.example" })
  end)

  it("goes by what a trusted proxy says of scheme and host", function()
    serve([[spate.allow_origins {}]], { settings = { trusted_proxies = { "127.0.0.1" } } })
    local told = { Host = "10.0.0.1:8080", Origin = "https://a.example", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "a.example" }
    assert.equal(200, post(told))
    told["X-Forwarded-Proto"] = "http"
    assert.equal(403, post(told))
  end)

  it("ignores those fields from anybody else", function()
    serve [[spate.allow_origins {}]]
    assert.equal(403, post { Host = "b.example", Origin = "https://a.example", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "a.example" })
  end)

  it("refuses null unless it is listed", function()
    serve [[spate.allow_origins { "https://a.example" }]]
    assert.equal(403, post { Origin = "null" })
    assert.equal(403, post { Origin = "null", ["Sec-Fetch-Site"] = "same-origin" })
    server:close()
    serve [[spate.allow_origins { "null" }]]
    assert.equal(200, post { Origin = "null", Cookie = "a=b" })
  end)

  it("believes Sec-Fetch-Site", function()
    serve [[spate.allow_origins {}]]
    assert.equal(200, post { ["Sec-Fetch-Site"] = "same-origin", Cookie = "a=b" })
    assert.equal(200, post { ["Sec-Fetch-Site"] = "none", Cookie = "a=b" })
    assert.equal(200, post { ["Sec-Fetch-Site"] = "same-origin", Origin = "https://behind-a-proxy.example", Cookie = "a=b" })
    assert.equal(403, post { ["Sec-Fetch-Site"] = "same-site" })
    assert.equal(403, post { ["Sec-Fetch-Site"] = "cross-site" })
    assert.equal(403, post { ["Sec-Fetch-Site"] = "cross-site", Authorization = "Bearer x" })
    assert.equal(403, post { ["Sec-Fetch-Site"] = "nonsense" })
  end)

  it("lets programs pass that bring no cookies, or a bearer token", function()
    serve [[spate.allow_origins {}]]
    assert.equal(200, post {})
    assert.equal(403, post { Cookie = "sid=1" })
    assert.equal(200, post { Cookie = "sid=1", Authorization = "Bearer abc" })
    assert.equal(403, post { Cookie = "sid=1", Authorization = "Basic abc" })
    assert.equal(403, post { Cookie = "sid=1", Authorization = "Bearer" })
    assert.equal(403, post { Origin = "https://evil.example", Authorization = "Bearer abc" })
  end)
end)

describe("spate.allow_hosts", function()
  local function get(host) return server:get("/", { headers = { Host = host } }):status() end

  after_each(function() server:close() end)

  it("answers 421 to other names", function()
    serve [[spate.allow_hosts { "localhost", "127.0.0.1", "[::1]" }]]
    for _, host in ipairs { "localhost", "LOCALHOST", "localhost:8080", "localhost.", "127.0.0.1:1", "[::1]", "[::1]:80" } do
      assert.equal(200, get(host), host)
    end
    for _, host in ipairs { "127.0.0.1.nip.io", "evil.example", "localhost.evil.example", "xlocalhost", "127.0.0.2", "[::2]", "." } do
      assert.equal(421, get(host), host)
    end
    assert.equal(421, server:get("/nowhere", { headers = { Host = "evil.example" } }):status())
    assert.equal(421, server:send("GET / HTTP/1.0\r\n\r\n"):status())
    assert.truthy(server:get("/", { headers = { Host = "evil.example" } }):head():find "^HTTP/1.1 421 Misdirected Request\r\n")
  end)

  it("takes what is below a name", function()
    serve [[spate.allow_hosts { ".a.example" }]]
    assert.equal(200, get "x.a.example")
    assert.equal(200, get "y.x.a.example:8080")
    assert.equal(421, get "a.example")
    assert.equal(421, get ".a.example")
    assert.equal(421, get "xa.example")
  end)

  it("looks at the port where one is given", function()
    serve [[spate.allow_hosts { "a.example:8080", "b.example:80" }]]
    assert.equal(200, get "a.example:8080")
    assert.equal(421, get "a.example")
    assert.equal(421, get "a.example:80")
    assert.equal(200, get "b.example")
    assert.equal(200, get "b.example:80")
  end)
end)

describe("their lists", function()
  it("are checked at load", function()
    for code, why in pairs {
      [ [[spate.allow_origins("https://a.example")]] ] = "spate.allow_origins: expected a list of origins, got string",
      [ [[spate.allow_origins { "*" }]] ] = 'spate.allow_origins[1]: "*" stands alone',
      [ [[spate.allow_origins { "https://a.example", "b.example" }]] ] = "spate.allow_origins[2]: expected an origin",
      [ [[spate.allow_hosts {}]] ] = "spate.allow_hosts: expected a list of strings",
      [ [[spate.allow_hosts { "http://a.example" }]] ] = "spate.allow_hosts[1]: expected a host",
      [ [[spate.allow_hosts { "*.a.example" }]] ] = "spate.allow_hosts[1]: expected a host",
    } do
      local err = helper.load_error("\n" .. code)
      assert.truthy(err:find(why, 1, true), err)
      assert.truthy(err:find ":4: ", err)
    end
  end)
end)
