-- SPDX-License-Identifier: MIT
-- A PRIORITY_UPDATE that came before the request that it speaks of was dropped (RFC 9218 7.1 has it kept).
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"

describe("a priority that comes before its request", function()
  it("is that of the request, whatever its head says", function()
    local server = helper.serve [[app:get("/big", function() return ("x"):rep(200000) end)]]
    local client = http2.connect(server, { [4] = 1000000 })
    client:get(1, "/big") -- has used up the connection's window
    client:reset(1)
    client:frame("PRIORITY_UPDATE", 0, 0, (">I4"):pack(5) .. "u=1")
    client:get(3, "/big", { { "priority", "u=3" } }):get(5, "/big", { { "priority", "u=7" } }):get(7, "/big", { { "priority", "u=3" } })
    client:window(0, 50000)
    assert.same({ 0, 50000, 0 }, { #client:stream(3).body, #client:stream(5).body, #client:stream(7).body })
    server:close()
  end)
end)
