-- SPDX-License-Identifier: MIT
-- spate dev shows source to pages of this machine only: a site whose name points to 127.0.0.1 is of the same origin as
-- the server there, but for the name.
local helper = require "spec.helper"

local LOCAL = { "localhost", "localhost:8080", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1:80", "127.0.0.1:", "127.0.0.1.", "127.8.9.10", "127.0.0.0", "127.255.255.255", "[::1]", "[::1]:8080" }
local FOREIGN = { "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost", "128.0.0.1", "127.0.0.1x", "127.0.0", "127.0.0.256",
  "10.0.0.1", "[::2]", ".localhost", "126.255.255.255", "255.255.255.255", "localhost.localhost.x" }

local APP = [[
app:get("/fail", function() local secret = nil; return secret.x end)
app:get("/s", function() return sse.reply(function(send) send "a" error "late secret" end) end)
app:get("/burst", function() while true do end end)
app:get("/page", function() return reply.html "<body></body>" end)
]]

describe("spate dev", function()
  local server
  before_each(function() server = helper.serve(APP, { dev = true, inject = true, watch = true, settings = { limits = { burst = 0.05 } } }) end)
  after_each(function() server:close() end)

  local function get(target, host, more)
    local headers = { Host = host, Accept = "text/html" }
    for name, value in pairs(more or {}) do headers[name] = value end
    return server:get(target, { headers = headers })
  end

  for _, host in ipairs(LOCAL) do
    it("shows errors, routes and reloads to " .. host, function()
      assert.matches("secret", (get("/fail", host):body()))
      assert.matches("nearest first", (get("/none", host):body()))
      assert.matches("EventSource", (get("/page", host):body()))
      assert.matches("late secret", get("/s", host):raw())
      local live = get("/.spate/live", host)
      assert.equal(200, live:status())
      live:close()
    end)
  end

  for _, host in ipairs(FOREIGN) do
    it("shows nothing of it to '" .. host .. "'", function()
      local res = get("/fail", host)
      assert.equal(500, res:status())
      assert.equal("Internal Server Error\n", (res:body()))
      assert.equal("Not Found\n", (get("/none", host):body()))
      assert.equal("<body></body>", (get("/page", host):body()))
      assert.is_nil(get("/s", host):raw():find("secret", 1, true))
      assert.equal(404, get("/.spate/live", host):status())
      assert.matches("secret", server:log())
    end)
  end

  it("tells no place of what was stopped", function()
    assert.matches("limits.burst", (get("/burst", "localhost"):body()))
    assert.equal("Internal Server Error\n", (get("/burst", "evil.example"):body()))
  end)
end)

it("a proxy's word alone does not make a host local, nor a local proxy a foreign one", function()
  local server = helper.serve(APP, { dev = true, settings = { trusted_proxies = { "127.0.0.1" } } })
  for own, forwarded in pairs { ["evil.example"] = "localhost", ["localhost"] = "evil.example" } do
    local res = server:get("/fail", { headers = { Host = own, ["X-Forwarded-Host"] = forwarded } })
    assert.equal("Internal Server Error\n", (res:body()))
  end
  server:close()
end)

it("what stands in for a script that does not load shows it to nobody else", function()
  local core = helper.harness.new { dev = true, inject = true }
  assert.is_true(core:stand_in "app.lua:2: secret")
  local function get(host)
    local client = core:connect()
    client:send(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host))
    core:turn()
    local bytes = client:take()
    client:finish()
    core:turn()
    return bytes
  end
  assert.matches("secret", get "localhost:1")
  assert.is_nil(get("evil.example"):find("secret", 1, true))
  core:close()
end)
