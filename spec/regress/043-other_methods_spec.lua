-- SPDX-License-Identifier: MIT
-- Methods beyond the seven (RFC 9110 9.1): any token, by app:on.
local helper = require "spec.helper"

local SCRIPT = [[
app:on("PROPFIND", "/dav/*path", function(req) return req.method .. " " .. req.params.path .. " " .. (req:body() or "") end)
app:on("get-it", "/odd", function(req) return "odd" end)
app:on("GET", "/plain", function() return "plain" end)
app:get("/dav/*path", function() return "got" end)
app:all("/all", function() return "all" end)
local inner = spate.app()
inner:on("REPORT", "/", function(req) return "report" end)
app:mount("/inner", inner)
]]

local server

describe("app:on", function()
  after_each(function() server:close() end)

  it("takes methods of any name", function()
    server = helper.serve(SCRIPT)
    assert.equal("PROPFIND a/b x", (server:request("PROPFIND", "/dav/a/b", { body = "x" }):body()))
    assert.equal("odd", (server:request("get-it", "/odd"):body()))
    assert.equal("report", (server:request("REPORT", "/inner"):body()))
    assert.equal("plain", (server:get("/plain"):body()))
    assert.equal(5, tonumber((server:request("HEAD", "/plain"):header "Content-Length")))
    assert.truthy(server:log():find("method=PROPFIND", 1, true))
  end)

  it("has the path's methods in Allow: 405 for another, 501 for one that the application has nowhere", function()
    server = helper.serve(SCRIPT)
    local res = server:request("REPORT", "/dav/x")
    assert.equal(405, res:status())
    assert.equal("GET, HEAD, OPTIONS, PROPFIND", res:header "Allow")
    assert.equal("GET, HEAD, OPTIONS, PROPFIND", server:request("OPTIONS", "/dav/x"):header "Allow")
    assert.equal("OPTIONS, REPORT", server:get("/inner"):header "Allow")
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND, get-it, REPORT", server:request("OPTIONS", "*"):header "Allow")
    assert.equal(404, server:request("PROPFIND", "/none"):status())
    for _, method in ipairs { "PROPPATCH", "propfind", "GET-IT", "FOO" } do
      for _, path in ipairs { "/dav/x", "/none", "/all" } do assert.equal(501, server:request(method, path):status(), method) end
    end
    assert.equal(405, server:request("TRACE", "/dav/x"):status())
  end)

  it("has a route of its own beside app:all, which has the seven", function()
    server = helper.serve([[
app:on("PROPFIND", "/x", function() return "find" end)
app:all("/x", function(req) return "all" end)
app:on("PURGE", "/y", function() return "purge" end)]])
    assert.equal("find", (server:request("PROPFIND", "/x"):body()))
    assert.equal("all", (server:put("/x"):body()))
    assert.equal(405, server:request("PURGE", "/x"):status())
  end)

  it("says what is no method, and what cannot be one", function()
    for call, why in pairs {
      ["app:on('', '/', f)"] = "expected a method", ["app:on('A B', '/', f)"] = "expected a method", ["app:on(1, '/', f)"] = "expected a method",
      ["app:on('GET')"] = "expected a path", ["app:on('GET', '/')"] = "expected a handler", ["app:on('CONNECT', '/', f)"] = "CONNECT",
      ["app:on('TRACE', '/', f)"] = "TRACE", ["app:on(('X'):rep(25), '/', f)"] = "expected a method",
      ["for i = 1, 26 do app:on('M' .. i, '/', f) end"] = "more than 25",
    } do
      local err = helper.load_error("local function f() return '' end\n" .. call)
      assert.truthy(err:find(why, 1, true), err)
    end
    server = helper.serve "for i = 1, 25 do app:on('M' .. i, '/', function(req) return req.method end) end"
    for i = 1, 25 do assert.equal("M" .. i, (server:request("M" .. i, "/"):body())) end
  end)

  it("is among the methods that spate.cors allows, and a change to spate.allow_origins", function()
    server = helper.serve [[
app:use(spate.cors { origins = "*" })
app:use(spate.allow_origins { "https://a.example" })
app:on("PROPFIND", "/", function() return "found" end)]]
    local from = { Origin = "https://b.example", ["Access-Control-Request-Method"] = "PROPFIND" }
    local res = server:request("OPTIONS", "/", { headers = from })
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, PROPFIND", res:header "Access-Control-Allow-Methods")
    assert.equal(403, server:request("PROPFIND", "/", { headers = { Origin = "https://b.example" } }):status())
    assert.equal(200, server:request("PROPFIND", "/", { headers = { Origin = "https://a.example" } }):status())
  end)
end)

describe("app:on with a common method", function()
  it("is refused in lower case, which no client sends", function()
    local err = helper.load_error [[app:on("get", "/", function() return "never" end)]]
    assert.is_truthy(err:find('app:on("get"): no client sends that; write "GET"', 1, true), err)
  end)
end)
