-- SPDX-License-Identifier: MIT
-- What the proxies in front of a server may say, and which are believed.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local tls = require "spec.tls"

local APP = [[
app:get("/", function(req) return { addr = req.remote_addr, scheme = req.scheme, host = req.host, url = req.url } end)
app:get("/events", function(req) return sse.reply(sse.never()) end)
]]

local server

local function serve(trusted, options)
  options = options or {}
  options.settings = { trusted_proxies = trusted }
  server = helper.serve(APP, options)
end

-- What the application sees of a request from `peer`.
local function seen(peer, headers)
  local client = server:connect():address(peer)
  local res = server:get("/", { headers = headers, client = client })
  assert.equal(200, res:status())
  return res:json()
end

local function addr(peer, forwarded) return seen(peer, { ["X-Forwarded-For"] = forwarded }).addr end

describe("without trusted_proxies", function()
  it("the fields are ignored", function()
    server = helper.serve(APP)
    local got = seen("10.0.0.1", { ["X-Forwarded-For"] = "192.0.2.7", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "evil.example" })
    assert.same({ addr = "10.0.0.1", scheme = "http", host = "spec", url = "http://spec/" }, got)
    server:close()
  end)
end)

describe("trusted_proxies", function()
  after_each(function() server:close() end)

  it("give the client's address, the scheme and the host", function()
    serve { "10.0.0.0/8", "2001:db8::/32" }
    local fields = { ["X-Forwarded-For"] = "192.0.2.7", ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = "a.example:8443" }
    local told = { addr = "192.0.2.7", scheme = "https", host = "a.example:8443", url = "https://a.example:8443/" }
    assert.same(told, seen("10.1.2.3", fields))
    assert.same(told, seen("2001:db8:1::5", fields))
    for _, stranger in ipairs { "11.0.0.1", "2001:db9::1", "127.0.0.1", "unix", "-" } do
      assert.same({ addr = stranger, scheme = "http", host = "spec", url = "http://spec/" }, seen(stranger, fields))
    end
    assert.same({ addr = "10.1.2.3", scheme = "http", host = "spec", url = "http://spec/" }, seen("10.1.2.3", {}))
  end)

  it("are passed over from the right; the first stranger is the client", function()
    serve { "10.0.0.0/8" }
    assert.equal("192.0.2.7", addr("10.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.3,10.0.0.2"))
    assert.equal("192.0.2.7", addr("10.0.0.1", "nonsense, 192.0.2.7"))
    assert.equal("10.0.0.9", addr("10.0.0.1", "10.0.0.9, 10.0.0.2")) -- all are: the farthest
    for _, spoiled in ipairs { ",10.0.0.9", ", 10.0.0.9", "x,10.0.0.9", "10.0.0.9,", "10.0.0.9,,10.0.0.2", ",,10.0.0.9" } do assert.equal("10.0.0.1", addr("10.0.0.1", spoiled), spoiled) end
    server:close()
    serve { "10.0.0.1", "::1" } -- nothing of the next entry belongs to a port
    assert.equal("192.0.2.7", addr("10.0.0.1", "192.0.2.7:80,::1"))
    assert.equal("192.0.2.7", addr("10.0.0.1", "[192.0.2.7],192.0.2.7, ::1"))
    server:close()
    serve { "10.0.0.0/8" }
    local client = server:connect():address("10.0.0.1")
    local res = server:send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.7\r\nx-forwarded-for: 10.0.0.2\r\n\r\n", client)
    assert.equal("192.0.2.7", res:json().addr)
  end)

  it("may write addresses in other ways", function()
    serve { "10.0.0.1" }
    for text, as in pairs {
      ["192.0.2.7:4711"] = "192.0.2.7", ["2001:DB8:0::7"] = "2001:db8::7", ["[2001:db8::7]"] = "2001:db8::7",
      ["[2001:db8::7]:4711"] = "2001:db8::7", ["::ffff:192.0.2.7"] = "192.0.2.7", ["::1"] = "::1", ["1::"] = "1::", ["[::1]:1"] = "::1",
    } do assert.equal(as, addr("10.0.0.1", text), text) end
  end)

  it("are one network each, to the bit", function()
    serve { "10.0.0.0/9", "192.0.2.1", "2001:db8::/33", "::1" }
    for peer, is_trusted in pairs {
      ["10.127.255.255"] = true, ["10.128.0.0"] = false, ["192.0.2.1"] = true, ["192.0.2.0"] = false, ["2001:db8:7fff::1"] = true,
      ["2001:db8:8000::1"] = false, ["::1"] = true, ["::2"] = false,
    } do assert.equal(is_trusted and "198.51.100.1" or peer, addr(peer, "198.51.100.1")) end
  end)

  it("of one family hold none of the other", function()
    serve { "::/0" }
    assert.equal("10.0.0.1", addr("10.0.0.1", "192.0.2.7"))
    assert.equal("192.0.2.7", addr("2001:db8::1", "192.0.2.7"))
    server:close()
    serve { "0.0.0.0/0" }
    assert.equal("2001:db8::1", addr("2001:db8::1", "192.0.2.7"))
  end)

  it("may be at the other end of a UNIX domain socket", function()
    serve { "unix" }
    assert.equal("192.0.2.7", addr("unix", "192.0.2.7"))
    assert.equal("unix", seen("unix", {}).addr)
    assert.equal("10.0.0.1", addr("10.0.0.1", "192.0.2.7"))
  end)

  it("are not believed what is no address: the peer is what is known", function()
    serve { "10.0.0.0/8" }
    for _, text in ipairs { "garbage", "", ",", "192.0.2.7,", "192.0.2.7, unknown", "192.0.2.256", "010.1.1.1", "1.2.3", "::g", "[::1",
      "[::1]x", "[]", "[", "]", ":", ":80", "_hidden", "192.0.2.7 192.0.2.8", "\"192.0.2.7\"", "192.0.2.7%eth0", ("x"):rep(1000), "\xff" } do
      assert.equal("10.0.0.1", addr("10.0.0.1", text), text)
    end
  end)

  it("cannot tire the server with a long list", function()
    serve({ "10.0.0.0/8" })
    local many = ("10.0.0.1,"):rep(1600)
    assert.equal("192.0.2.7", addr("10.0.0.1", "192.0.2.7," .. many .. "10.0.0.1"))
    assert.equal("10.0.0.1", addr("10.0.0.1", "x," .. many .. "10.0.0.1"))
    assert.equal("10.0.0.1", addr("10.0.0.1", (","):rep(10000)))
  end)

  it("are believed a scheme and a host that are ones", function()
    serve { "10.0.0.0/8" }
    for text, scheme in pairs { https = "https", HTTPS = "https", http = "http", ["https, http"] = "http", ["http, https"] = "https",
      javascript = "http", [""] = "http", ["https\tx"] = "http" } do
      assert.equal(scheme, seen("10.0.0.1", { ["X-Forwarded-Proto"] = text }).scheme, text)
    end
    for text, host in pairs { ["a.example"] = "a.example", ["x, a.example"] = "a.example", ["a/b"] = "spec", ["a b"] = "spec", [""] = "spec",
      ["a.example:99999"] = "spec", ["u@a.example"] = "spec" } do
      assert.equal(host, seen("10.0.0.1", { ["X-Forwarded-Host"] = text }).host, text)
    end
  end)

  it("are believed that it was no https, and asked by it themselves", function()
    local directory = certificates.directory()
    finally(function() certificates.remove(directory) end)
    certificates.make(directory, "a.example")
    server = helper.serve(APP, { epoch = os.time(), settings = { trusted_proxies = { "10.0.0.1" }, tls = { cert = directory .. "/a.example.pem", key = directory .. "/a.example.key" } } })
    for text, scheme in pairs { http = "http", https = "https", ftp = "https", ["http, https"] = "https" } do
      assert.equal(scheme, server:get("/", { client = tls.connect(server, { name = "a.example", address = "10.0.0.1" }), headers = { ["X-Forwarded-Proto"] = text } }):json().scheme, text)
    end
    assert.equal("https", server:get("/", { client = tls.connect(server, { name = "a.example" }), headers = { ["X-Forwarded-Proto"] = "http" } }):json().scheme)
  end)

  it("put the client's address into the access log", function()
    serve { "10.0.0.0/8" }
    addr("10.0.0.1", "192.0.2.7")
    assert.truthy(server:log():find("request remote=192.0.2.7 method=GET", 1, true))
    addr("10.0.0.1", "x\"y")
    assert.truthy(server:log():find("request remote=10.0.0.1 method=GET", 1, true))
    local client = server:connect():address("10.0.0.1")
    local res = server:get("/events", { headers = { ["X-Forwarded-For"] = "192.0.2.7" }, client = client })
    assert.truthy(server:log():find("open remote=192.0.2.7 method=GET", 1, true))
    res:close()
    assert.truthy(server:log():find("close remote=192.0.2.7 method=GET", 1, true))
  end)
end)

describe("the setting", function()
  it("names what it does not take", function()
    for _, value in ipairs { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "localhost", "::/129", "::ffff:10.0.0.0/104", "10.0.0.0/1000", "" } do
      local err = helper.load_error(APP, { settings = { trusted_proxies = { "::1", value } } })
      assert.truthy(err:find("trusted_proxies[2]: expected an address, a network such as 10.0.0.0/8, or \"unix\"", 1, true), err)
    end
    assert.truthy(helper.load_error(APP, { settings = { trusted_proxies = "10.0.0.1" } }):find "trusted_proxies: expected a list of strings, got string")
    assert.truthy(helper.load_error(APP, { settings = { trusted_proxies = { 10 } } }):find "trusted_proxies%[1%]: expected a string, got number")
    assert.truthy(helper.load_error(APP, { settings = { trusted_proxy = {} } }):find "did you mean 'trusted_proxies'")
  end)
end)

describe("log.redact", function()
  local function logged(target, redact)
    server = helper.serve([[app:get("/", function() return "" end) app:get("/fails", function() error "broken" end)]],
      { settings = { log = { redact = redact } } })
    server:get(target)
    local log = server:log()
    server:close()
    return log
  end

  it("leaves the values of secret parameters out of the access log", function()
    for target, as in pairs {
      ["/?token=abc"] = "/?token=***", ["/?a=1&token=abc&b=2"] = "/?a=1&token=***&b=2", ["/?access_token=x&access_token=y"] = "/?access_token=***&access_token=***",
      ["/?%74oken=abc"] = "/?%74oken=***", ["/?%74%6f%6b%65%6e=a"] = "/?%74%6f%6b%65%6e=***", ["/?token=a=b"] = "/?token=***",
      ["/?token="] = "/?token=", ["/?token"] = "/?token", ["/?tokens=a"] = "/?tokens=a", ["/"] = "/", ["/?"] = "/?", ["/?a&&b=&"] = "/?a&&b=&",
      ["/token=abc"] = "/token=abc", ["/?a=1?token=2"] = "/?a=1?token=2", ["/??token=2"] = "/??token=2",
    } do
      local target_in_log = logged(target):match ' target=(%S+)':gsub('"', "")
      assert.equal(as, target_in_log)
    end
  end)

  it("and out of the lines about errors", function()
    local log = logged "/fails?token=abc"
    assert.truthy(log:find "broken")
    assert.is_nil(log:find("abc", 1, true))
  end)

  it("can be set", function()
    assert.truthy(logged("/?ticket=abc&token=x", { "ticket" }):find("/?ticket=***&token=x", 1, true))
    assert.truthy(helper.load_error(APP, { settings = { log = { redact = { ("x"):rep(32) } } } }):find "log.redact%[1%]: expected a name of 1 to 31 bytes")
  end)
end)
