-- SPDX-License-Identifier: MIT
-- A download that waited for the one before it was not looked at again while another one filled each write: of two of 2 MB,
-- the one that its client had made the most urgent meanwhile came last, and where the one before was given up, the next waited
-- for all that takes turns.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"

describe("a download that waits", function()
  local server, client

  before_each(function()
    server = helper.serve [[app:get("/", function() return ("x"):rep(2000000) end)]]
    client = http2.connect(server, { [4] = 10000000 })
    client:window(0, 10000000)
    client.raw:window(100000)
  end)
  after_each(function() server:close() end)

  local function more(n)
    client.raw:window(n)
    server:turn()
  end

  it("goes first once it is more urgent", function()
    client:get(1, "/", { { "priority", "u=3" } }):get(3, "/", { { "priority", "u=3" } })
    more(200000)
    assert.equal(0, #client:stream(3).body)
    client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", 3) .. "u=0")
    more(800000)
    local first, second = #client:stream(1).body, #client:stream(3).body
    assert.is_true(first < 500000 and second > 400000, first .. " " .. second)
  end)

  it("takes the place of the one before, beside what takes turns", function()
    client:get(1, "/", { { "priority", "u=3" } }):get(3, "/", { { "priority", "u=3, i" } }):get(5, "/", { { "priority", "u=3" } })
    more(200000)
    assert.equal(0, #client:stream(5).body)
    client:reset(1)
    more(1000000)
    local turns, waited = #client:stream(3).body, #client:stream(5).body
    assert.is_true(waited > 300000, turns .. " " .. waited)
  end)
end)
