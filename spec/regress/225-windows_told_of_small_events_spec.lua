-- SPDX-License-Identifier: MIT
-- A client of HTTP/2 that says of each small event that it has read it, by two window updates, was taken for a flood: a
-- hundred streams of ten bytes a second ended within seconds behind a proxy that does so.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

describe("updates of windows for each small event", function()
  it("are no flood", function()
    local server = helper.serve([[app:get("/", function() return sse.reply(sse.interval(0.1)) end)]], { settings = { http2 = { frames = 100 } } })
    local client = http2.connect(server)
    for i = 0, 49 do client:get(2 * i + 1, "/") end
    for _ = 1, 100 do
      server:advance(0.1)
      local parts = {}
      for i = 0, 49 do
        parts[#parts + 1] = frames.frame("WINDOW_UPDATE", 0, 0, (">I4"):pack(9))
        parts[#parts + 1] = frames.frame("WINDOW_UPDATE", 0, 2 * i + 1, (">I4"):pack(9))
      end
      client:send(table.concat(parts))
      client:read()
      assert.is_nil(client.goaway)
    end
    server:close()
  end)
end)
