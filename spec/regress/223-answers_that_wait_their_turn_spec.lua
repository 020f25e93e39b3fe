-- SPDX-License-Identifier: MIT
-- Answers of HTTP/2 that others are served before were ended as slow_consumer after timeouts.send, or the one that was served
-- was, though the client took all the time what it was sent.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"

local LARGE = 8000000
local APP = [[
app:get("/large", function() return ("x"):rep(8000000) end)
app:get("/text", function() return ("x"):rep(1000) end)
app:get("/ticks", function() return sse.reply(sse.interval(1)) end)
]]
local PER_SECOND = 20000

describe("an answer of HTTP/2", function()
  local server, client

  local function serve(settings)
    server = helper.serve(APP, { settings = { timeouts = { send = 30 } } })
    client = http2.connect(server, settings)
  end

  local function get(id, path, priority) client:get(id, path, { { "priority", priority } }) end

  local narrow = {
    ["of the transport"] = {
      begin = function()
        serve { [4] = 2 ^ 31 - 1 }
        client:window(0, 2 ^ 31 - 1 - 65535)
        client.raw:window(PER_SECOND)
      end,
      take = function() client:read() client.raw:window(PER_SECOND) end,
    },
    ["of the connection's window"] = {
      begin = function() serve { [4] = 2 ^ 31 - 1 } end,
      take = function() client:read():window(0, PER_SECOND) end,
    },
  }

  after_each(function() server:close() end)

  for what, way in pairs(narrow) do
    for _, case in ipairs {
      { "it is less urgent", "/ticks", "u=1, i", "u=3, i" },
      { "it goes whole behind another", "/large", "u=3", "u=3" },
      { "it is a short one", "/text", "u=3", "u=5" },
    } do
      it("waits for others as long as they move, " .. what .. ": " .. case[1], function()
        way.begin()
        get(1, "/large", case[3])
        get(3, case[2], case[4])
        for _ = 1, 100 do
          way.take()
          server:advance(1)
        end
        local first, second = client:stream(1), client:stream(3)
        assert.is_nil(first.reset, server:log())
        assert.is_nil(second.reset, server:log())
        assert.is_true(#first.body > 90 * PER_SECOND and #first.body < LARGE, #first.body)
        assert.equal(0, server:stats().slow_total)
      end)
    end

    it("does not wait for what stands still, " .. what, function()
      way.begin()
      get(1, "/large", "u=3")
      get(3, "/text", "u=5")
      for _ = 1, 10 do
        way.take()
        server:advance(1)
      end
      server:advance(28) -- it has moved a second ago
      assert.equal(0, server:stats().slow_total)
      server:advance(2)
      assert.is_true(server:stats().slow_total > 0)
    end)
  end

  it("is given up where its client takes hardly a byte of all that waits", function()
    serve { [4] = 2 ^ 31 - 1 }
    get(1, "/large", "u=3")
    get(3, "/text", "u=5")
    for _ = 1, 40 do
      client:window(0, 100)
      server:advance(1)
    end
    assert.is_true(server:stats().slow_total > 0)
  end)

  it("waits where the client takes one batch of frames in more than timeouts.send", function()
    serve { [4] = 2 ^ 31 - 1 }
    client.raw:window(0)
    client:window(0, 2 ^ 31 - 1 - 65535)
    get(1, "/large", "u=3")
    get(3, "/text", "u=5")
    for _ = 1, 100 do
      client:read()
      client.raw:window(1000)
      server:advance(1)
    end
    assert.equal(0, server:stats().slow_total)
  end)

  it("is given up where its own window is closed, and no other", function()
    serve { [4] = 0 }
    get(1, "/large", "u=3, i")
    get(3, "/large", "u=3, i")
    for _ = 1, 40 do
      client:window(1, PER_SECOND):window(0, PER_SECOND)
      server:advance(1)
    end
    assert.equal(8, client:stream(3).reset)
    assert.is_nil(client:stream(1).reset)
  end)
end)
