-- SPDX-License-Identifier: MIT
-- Streams of other bytes do not keep old code for ever: they are cut when its time is over.
local helper = require "spec.helper"

local OLD = [[
  app:get("/", function(req)
    req:on_close(function(reason) print("closed: " .. reason) end)
    return reply.stream(function(write) while write "tick" do sse.sleep(1) end end, { length = tonumber(req.query.length) })
  end)
  app:get("/all", function()
    return reply.stream(function(write) write "tick" sse.sleep(1000) end, { length = 4 })
  end)
  app:get("/blocked", function()
    return reply.stream(function(write) while write(("x"):rep(1 << 16)) do end end)
  end)
]]
local NEW = [[app:get("/", function() return "new" end)]]

describe("a raw stream of old code", function()
  it("is cut after reload.max_age, so that no client takes that for its end", function()
    local server = helper.serve(OLD, { settings = { reload = { max_age = 60 }, shutdown = { window = 5 } } })
    local chunked, announced = server:get "/", server:get "/?length=1000"
    local old = server:get("/", { version = "1.0" })
    server:reload(NEW)
    server:advance(59)
    for _, response in ipairs { chunked, announced, old } do assert.equal("open", response.client:state()) end
    assert.equal(2, server:stats().generations)
    server:advance(6)
    assert.is_false(chunked:has_ended())
    assert.is_false(announced:has_ended())
    assert.equal("reset", old.client:state())
    for _, response in ipairs { chunked, announced, old } do assert.equal("reload", response.client:reason()) end
    local said = server:log()
    assert.equal(3, select(2, said:gsub("closed: reload", "")))
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("whose bytes have all been written ends well", function()
    local server = helper.serve(OLD, { settings = { reload = { max_age = 60 }, shutdown = { window = 0.1 } } })
    local all = server:get "/all"
    server:reload(NEW)
    server:advance(61)
    assert.equal("tick", (all:body()))
    assert.is_true(all:has_ended())
    assert.equal("new", (server:get("/", { client = all.client }):raw():match "new$"))
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("is cut at once in development, also where its client takes nothing", function()
    local server = helper.serve(OLD, { dev = true, settings = { shutdown = { window = 0.001 } } })
    local client = server:connect()
    client:window(1000)
    local blocked, open = server:get("/blocked", { client = client }), server:get "/"
    server:reload(NEW)
    server:advance(0.01)
    assert.equal("closed", open.client:state())
    assert.equal(1, server:stats().generations)
    client:window(nil)
    server:turn()
    assert.equal("closed", client:state())
    assert.is_false(blocked:has_ended())
    server:close()
  end)
end)
