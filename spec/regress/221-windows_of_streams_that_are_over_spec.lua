-- SPDX-License-Identifier: MIT
-- Updates of the window of a stream that is over, and such as make a window overflow, are passed over by the library without
-- a word: a client could send them without end.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

describe("updates of windows that no stream has any more", function()
  local server, client

  before_each(function()
    server = helper.serve [[
      app:get("/", function() return "hello" end)
      app:get("/ticks", function() return sse.reply(sse.interval(1)) end)
      app:get("/stats", function() return spate.stats() end)
    ]]
    client = http2.connect(server)
    client:get(1, "/"):get(3, "/ticks")
  end)

  after_each(function() server:close() end)

  local function update(id, by) return frames.frame("WINDOW_UPDATE", 0, id, string.pack(">I4", by)) end

  it("are counted as frames that bring nothing", function()
    for _ = 1, 12 do client:send(update(1, 1):rep(100)) end
    client:read()
    assert.same({ 11, "too many frames that bring nothing" }, { client.goaway and client.goaway.code, client.goaway and client.goaway.why })
    assert.equal(1, server:get("/stats"):json().http2_frames_total)
    server:advance(3)
  end)

  it("are counted as such where they overflow, after the stream has been reset for the first", function()
    for _ = 1, 12 do client:send(update(3, 0x7fffffff):rep(100)) end
    client:read()
    assert.equal(3, client:stream(3).reset)
    assert.equal(11, client.goaway and client.goaway.code)
    server:advance(3)
  end)

  it("are no flood as they come behind a large answer", function()
    for _ = 1, 8 do client:send(update(1, 1000):rep(100)) end
    assert.is_nil(client:read().goaway)
  end)
end)
