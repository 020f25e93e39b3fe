-- SPDX-License-Identifier: MIT
-- Fields of another server's answer that are for one connection, or that no answer may have, end here.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

describe("an answer that is passed on", function()
  local server

  before_each(function()
    server = helper.serve(([[
      local http = require "spate.http"
      app:get("/", function() return reply.pass(assert(http.get(%q))) end)
    ]]):format(URL), { stubs = session.stubs, settings = { log = { access = false } } })
  end)
  after_each(function() server:close() end)

  -- The response to the client where the other server has answered so.
  local function passed(headers)
    t.http.stub("GET", URL, { headers = headers, body = "a" })
    local res = server:get "/"
    assert.same({ 200, "a" }, { res:status(), (res:body()) })
    return res
  end

  it("lacks each field of one connection, in any case", function()
    for _, name in ipairs { "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "TE", "Trailer", "Upgrade" } do
      for _, written in ipairs { name, name:lower(), name:upper() } do assert.is_nil(passed { [written] = "x", ["X-Kept"] = "1" }:header(name), written) end
      for _, other in ipairs { name .. "x", "x" .. name, name:sub(1, -2) } do assert.equal("x", passed { [other] = "x" }:header(other), other) end
    end
    local res = passed { Connection = "close" }
    assert.is_nil(res:header "Connection")
    assert.equal("1", res:header "Content-Length")
    assert.equal("open", res.client:state())
  end)

  it("lacks what a Connection field names, one of several", function()
    local res = passed { Connection = { "close, X-One", "\tx-TWO ,,X-Three" }, ["X-One"] = "1", ["X-Two"] = "2", ["X-three"] = "3", ["X-Four"] = "4", ["X-Thre"] = "5", close = "6" }
    for _, name in ipairs { "X-One", "X-Two", "X-Three", "close" } do assert.is_nil(res:header(name), name) end
    assert.same({ "4", "5" }, { res:header "X-Four", res:header "X-Thre" })
    assert.equal("1", passed { Connections = "X-One", ["X-One"] = "1" }:header "X-One")
  end)

  it("lacks what no name or value may hold, each byte of it", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      local is_name, is_value = char:find "^[%w!#$%%&'*+%-.^_`|~]$" ~= nil, char:find "^[\t -~\x80-\xff]$" ~= nil
      local head = passed { ["x" .. char .. "y"] = "found", z = "a" .. char .. "b", kept = "1" }:head()
      assert.equal(is_name, head:find(("\r\nx%sy: found"):format(char), 1, true) ~= nil, byte)
      assert.equal(is_value, head:find(("\r\nz: a%sb"):format(char), 1, true) ~= nil, byte)
      assert.truthy(head:find("\r\nkept: 1", 1, true), byte)
    end
    assert.is_nil(passed { [""] = "found", kept = "1" }:head():find("found", 1, true))
    for _, at in ipairs { "\1x", "x\1" } do
      local head = passed { [at] = "1", kept = at, empty = "" }:head()
      assert.is_nil(head:find "\1")
      assert.truthy(head:find("\r\nempty: ", 1, true))
    end
  end)

  it("has names of up to 256 bytes", function()
    local name = ("n"):rep(256)
    assert.equal("1", passed { [name] = "1" }:header(name))
    assert.is_nil(passed { [name .. "n"] = "1" }:header(name .. "n"))
  end)
end)
