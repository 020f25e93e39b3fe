-- SPDX-License-Identifier: MIT
-- What connections of HTTP/2 hold goes with them, however they end.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"

describe("a connection of HTTP/2", function()
  it("leaves nothing behind", function()
    local server = helper.serve [[
      app:get("/seen", function(req) return req.host end)
      app:get("/count/:n", function(req)
        return sse.reply(function(send)
          for i = 1, tonumber(req.params.n) do send(("%d "):format(i) .. ("x"):rep(100)) end
        end)
      end)
    ]]
    local function bytes()
      for i = 1, 20 do
        local each = http2.connect(server, { [4] = 1000000 })
        each:get(1, "/seen", { { "x-a", ("y"):rep(5000) }, { "cookie", ("c"):rep(2000) } }):get(3, "/count/50")
        each:get(5, "/seen", { { "expect", "x" }, { "x-a", ("z"):rep(3000) } }) -- is refused
        if i % 2 == 0 then each:frame("DATA", 0, 0, "") end -- ends in another way
      end
      for _, each in ipairs(server.clients) do each:leave() end
      server.clients = {}
      server:turn()
      server:advance(5)
      for _ = 1, 2 do collectgarbage() end
      return helper.harness.c_bytes() - server:stats().lua_bytes
    end
    for _ = 1, 8 do bytes() end -- what is made once, and kept
    local before, after = bytes(), 0
    for _ = 1, 12 do after = bytes() end
    server:close()
    assert.is_true(after - before < 120000, after - before)
  end)
end)
