-- SPDX-License-Identifier: MIT
-- An upload over HTTP/2 whose client could not go on, as bodies that others had not read took the window of the whole
-- connection, was answered 408 after timeouts.body.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local APP = [[
app:post("/unread", function() sse.sleep(20) return "late" end)
app:post("/size", function(req) return tostring(#req:body()) end)
]]

describe("an upload over HTTP/2", function()
  local server, client

  local function upload(id, path, ...) client:send(client.request(id, "POST", path, nil, { open = true }), ...) end

  -- Leaves `room` bytes of the window of all bodies.
  local function crowd(room)
    server = helper.serve(APP, { settings = { timeouts = { body = 5, body_total = 12 }, http2 = { connection_window = 150000 } } })
    client = http2.connect(server)
    for id = 1, 5, 2 do
      local size = id == 5 and 50000 - room or 50000
      upload(id, "/unread", frames.frame("DATA", 0, id, ("x"):rep(size // 4)):rep(4))
    end
  end

  after_each(function() server:close() end)

  it("has its time from when there is room for it", function()
    crowd(64)
    upload(7, "/size", frames.frame("DATA", 0, 7, ("y"):rep(64)))
    server:advance(19)
    assert.is_nil(client:stream(7).status)
    server:advance(2) -- the others are answered, and their bodies are not wanted any more
    assert.equal("late", client:stream(1).body)
    server:advance(3)
    client:frame("DATA", frames.END_STREAM, 7, ("y"):rep(16000))
    assert.same({ 200, "16064" }, { client:stream(7).status, client:stream(7).body })
  end)

  it("is late where it does not come then", function()
    crowd(64)
    upload(7, "/size", frames.frame("DATA", 0, 7, ("y"):rep(64)))
    server:advance(24)
    assert.is_nil(client:stream(7).status)
    server:advance(2)
    assert.equal(408, client:stream(7).status)
  end)

  it("is late where there is room for more of it", function()
    crowd(40000)
    upload(7, "/size")
    server:advance(4)
    assert.is_nil(client:stream(7).status)
    server:advance(2)
    assert.equal(408, client:stream(7).status)
  end)
end)
