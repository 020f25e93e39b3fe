-- SPDX-License-Identifier: MIT
-- Where a connection of HTTP/2 was refused, or its protocol had come to its end, its streams were freed while the protocol
-- and a channel's hand-out still had them: what left then was told to what was no more.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local APP = [[
local ch = sse.channel("news", { queue = 8 })
app:get("/sub", function() return sse.reply(ch:subscribe()) end)
app:get("/large", function() return sse.reply(sse.from { ("x"):rep(9000), ("y"):rep(9000) }:chain(sse.never())) end)
app:post("/pub", function() for i = 1, 60 do ch:publish(i) end return "" end)]]

describe("a connection of HTTP/2", function()
  local server
  after_each(function() server:close() end)

  it("that is refused while frames are on their way forgets its streams first", function()
    server = helper.serve(APP, { settings = { timeouts = { head = 5 } } })
    local client = http2.connect(server, nil, { silent = true })
    client.raw:window(500)
    client:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0), client.request(1, "GET", "/large"), client.request(3, "GET", "/large"))
    server:advance(6) -- our settings are not acknowledged
    client.raw:window(1000000)
    server:turn()
    assert.is_truthy(client:read().goaway)
    server:advance(3)
    assert.not_equal("open", client:state())
  end)

  it("that comes to its end in the midst of a channel's events is not gone on with", function()
    for _ = 1, 3 do
      server = helper.serve(APP)
      local clients = {}
      for i = 1, 5 do
        clients[i] = http2.connect(server)
        clients[i]:get(1, "/sub"):get(3, "/sub")
      end
      for _, client in ipairs(clients) do client.raw:send(frames.frame("DATA", 0, 0, "")) end
      server:send(("POST /pub HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):rep(3))
      for _, client in ipairs(clients) do assert.is_truthy(client:read().goaway) end
      if _ < 3 then server:close() end
    end
  end)
end)
