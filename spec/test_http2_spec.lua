-- SPDX-License-Identifier: MIT
-- spate.test's clients of HTTP/2: used as those of HTTP/1.1 are, with what differs on the wire.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local t = require "spate.test"

local SOURCE = [[local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply
app:get("/ticks", function() return sse.reply(sse.interval(1)) end)
app:get("/text", function(req) return reply.text(req.host):cookie("a", "1"):cookie("b", "2") end)
app:get("/cut", function() return sse.reply(function(send) send "a" error "broken" end) end)
app:post("/slow", function(req)
  local n = 0
  for piece in req:chunks() do n = n + #piece sse.sleep(0.1) end
  return tostring(n)
end)
return app
]]

describe("t.load { http = 2 }", function()
  local path = os.tmpname()
  do
    local f <close> = assert(io.open(path, "w"))
    f:write(SOURCE)
  end

  teardown(function() os.remove(path) end)

  it("answers with status, headers and body", function()
    local app = t.load(path, { http = 2 })
    local res = app:get "/text"
    assert.status(200, res)
    assert.equal("localhost", res:body())
    assert.same({ "a=1; Path=/", "b=2; Path=/" }, res:header_all "Set-Cookie")
    assert.is_true(res:is_complete())
    assert.closed(res, "finished")
    assert.equal("", app:head("/text"):body())
  end)

  it("streams, stalls, resumes and closes", function()
    local app = t.load(path, { http = 2, settings = { timeouts = { send = 5 } } })
    local res, other = app:get "/ticks", app:get "/ticks"
    assert.is_nil(res.headers["transfer-encoding"])
    t.advance(2)
    assert.events(res, { "1", "2" })
    other:stall()
    t.advance(3)
    other:resume()
    assert.equal(5, #other:events())
    other:stall()
    t.advance(10)
    assert.closed(other, "slow_consumer")
    res:close()
    assert.closed(res, "client_closed")
  end)

  it("tells what is cut from what has ended", function()
    local app = t.load(path, { http = 2 })
    local res = app:get "/cut"
    assert.events(res, { "a" })
    assert.is_false(res:is_complete())
  end)

  it("sends a body as its reader goes on", function()
    local app = t.load(path, { http = 2 })
    local res = app:post("/slow", { body = ("x"):rep(300000), headers = { ["X-Long"] = ("y"):rep(9000) } })
    t.advance(20)
    assert.equal("300000", res:body())
  end)

  it("is an error where it is neither 1 nor 2", function()
    local ok, err = pcall(function() t.load(path, { http = 3 }) end)
    assert.is_false(ok)
    assert.matches("test_http2_spec.lua:%d+: t.load: http: expected 1 or 2, got 3", err)
  end)
end)
