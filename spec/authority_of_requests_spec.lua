-- SPDX-License-Identifier: MIT
-- The authority of a request, in Host or in an absolute target: which is one, and which means this machine alone.
local helper = require "spec.helper"

local function statuses(server, host)
  local function of(bytes)
    local client = server.core:connect()
    client:send(bytes)
    server:turn()
    local status = client:take():match "^HTTP/1%.1 (%d+)"
    client:reset()
    server:turn()
    return tonumber(status)
  end
  return { of(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n"):format(host)), of(("GET http://%s/ HTTP/1.1\r\nHost: a\r\n\r\n"):format(host)) }
end

describe("an authority", function()
  local server

  setup(function() server = helper.serve([[ app:get("/", function(req) return req.host end) ]], { settings = { log = { access = false } } }) end)
  teardown(function() server:close() end)

  it("is a host, and a port that there is", function()
    for _, host in ipairs { "a", "0", "a.example", "a-b_c~d.", "A%41%f0", "%00", "a%00b", "%4a:80", "a!$&'()*+;=b", "a:", "a:0", "a:1", "a:65535", "a:00080", "1.2.3.4:5", "[::]", "[::1]:", "[::1]:65535", "[ab]", "[1.2]", "[2001:DB8::9]:1",
      "[fF0:]" } do
      assert.same({ 200, 200 }, statuses(server, host), host)
    end
  end)

  it("is none of what two readers could read in two ways", function()
    for _, host in ipairs { ":", ":80", "a:65536", "a:70000", "a:099999", "a:000080", "a:100000", "a:b", "a:8b", "a:-1", "a:+1", "a:80:80", "a::", "a:1:", "u@a", "u:p@a", "a,b", "[", "[]", "[:", "[:]", "[a]", "[]:80", "[::1", "[::1]x", "[::1]1",
      "[::1]:x", "[::1]:65536", "[::1]:000001", "[::1]:1:1", "[::g]", "[::1%25]", "[[::1]]", "::1", "1::", "a%", "a%4", "a%4g", "a%g4", "a%zz", "%", "a]", "]" } do
      assert.same({ 400, 400 }, statuses(server, host), host)
    end
    assert.same({ 400, 400 }, statuses(server, ""))
  end)

  it("has each byte where it may stand, and nowhere else", function()
    for byte = 33, 126 do
      local char = string.char(byte)
      local in_host, in_literal = char:find "^[%w%-._~!$&'()*+;=]$" ~= nil, char:find "^[%x:.]$" ~= nil
      if not char:find "[/?#:]" then
        assert.same(in_host and { 200, 200 } or { 400, 400 }, statuses(server, "a" .. char .. "b"), char)
        if char ~= "[" then assert.same(in_host and { 200, 200 } or { 400, 400 }, statuses(server, char .. "b"), char) end
      end
      if not char:find "[/?#%]]" then assert.same(in_literal and { 200, 200 } or { 400, 400 }, statuses(server, "[:" .. char .. ":]"), char) end
      if not char:find "[/?#%]]" then assert.same(in_literal and { 200, 200 } or { 400, 400 }, statuses(server, "[" .. char .. "::]"), char) end
      if char ~= "/" and char ~= "?" and char ~= "#" then
        assert.same(char:find "%d" and { 200, 200 } or { 400, 400 }, statuses(server, "a:8" .. char), char)
        assert.same(char == ":" and { 200, 200 } or { 400, 400 }, statuses(server, "[::1]" .. char), char)
      end
    end
  end)
end)

describe("a loopback host", function()
  it("is one that only this machine can mean", function()
    local server = helper.serve([[ app:get("/", function() error "secret" end) ]], { dev = true })
    local function is_local(host) return (server:get("/", { headers = { Host = host } }):body()):find("secret", 1, true) ~= nil end
    for host, expected in pairs {
      ["localhost"] = true, ["localhost:8080"] = true, ["LOCALHOST:"] = true, ["localhost."] = true, ["localhost.:1"] = true, ["a.localhost"] = true, ["a.b.LocalHost."] = true, ["127.0.0.1"] = true, ["127.0.0.1:80"] = true,
      ["127.0.0.1."] = true, ["127.255.255.255"] = true, ["127.0.0.0"] = true, ["127.100.100.100:65535"] = true, ["[::1]"] = true, ["[::1]:1"] = true,
      ["a"] = false, ["localhos"] = false, ["localhostx"] = false, ["xlocalhost"] = false, [".localhost"] = false, ["localhost.x"] = false, ["localhost.."] = false, [".localhost."] = false, ["126.255.255.255"] = false, ["128.0.0.0"] = false,
      ["127.0.0"] = false, ["127.1"] = false, ["127.0.0.256"] = false, ["127.0.0.1x"] = false, ["127.255.255.2555"] = false, ["0127.0.0.1"] = false, ["255.255.255.255"] = false, ["127.0.0.1.x"] = false, ["[::2]"] = false, ["[::1:]"] = false,
      ["[0:1]"] = false, ["[::]"] = false, ["."] = false, [(("a"):rep(300)) .. ".localhost"] = true,
    } do assert.equal(expected, is_local(host), host) end
    server:close()
  end)
end)
