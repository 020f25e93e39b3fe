-- SPDX-License-Identifier: MIT
-- Channels that nobody has are let go of in shares, so that none who opens one waits for all of them; and before a
-- channel is refused those that are only garbage make room.
local helper = require "spec.helper"

local APP = [[
  function _G.open(from, to)
    local opened = 0
    for i = from, to do
      if sse.channel("c" .. i) then opened = opened + 1 end
    end
    return opened
  end
  function _G.hold(n)
    _G.held = {}
    for i = 1, n do held[i] = assert(sse.channel("held" .. i)) end
  end
]]

describe("channels that nobody has", function()
  local server
  local function run(code)
    local value, err = server.core:run(code)
    return assert(value, err)
  end
  local function serve(channels) server = helper.serve(APP, { settings = { limits = { channels = channels } } }) end
  after_each(function() server.core:close() end)

  it("are let go of in shares", function()
    local MANY, SHARE = 6000, 1500
    serve(100000)
    run(("open(1, %d)"):format(MANY))
    run "collectgarbage() collectgarbage()"
    server:advance(5)
    local calls, before = 0, server:stats().channels
    assert(before > MANY - SHARE, before)
    repeat
      run "sse = require 'spate.sse' sse.channel 'one'"
      calls = calls + 1
      local now = server:stats().channels
      assert(before - now <= SHARE, before - now)
      before = now
    until before == 1 or calls > 100
    assert(calls > 3 and calls < 40, calls)
  end)

  it("make room for others before one is refused", function()
    serve(100)
    assert.equal("1000", run "return open(1, 1000)")
  end)

  it("make room where most are in use", function()
    serve(100)
    run "hold(90)"
    assert.equal("200", run "return open(1, 200)")
    run "hold(0)"
  end)

  it("are looked for once where all are in use", function()
    serve(100)
    run "hold(100)"
    run "collections = -1 local function count() collections = collections + 1 setmetatable({}, { __gc = count }) end count()"
    assert.equal("0", run "return open(1, 50)")
    assert.equal("1", run "return collections")
    server:advance(2)
    run "held[100] = nil"
    assert.equal("1", run "return open(1, 1)")
  end)
end)
