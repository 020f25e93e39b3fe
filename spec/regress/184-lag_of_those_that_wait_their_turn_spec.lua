-- SPDX-License-Identifier: MIT
-- The lag of a stream of HTTP/2 that only waited while others went first, or whose connection a hoarder had held up, began anew with
-- each of its deadlines, so that spate.streams showed seconds of a wait of minutes.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"

local APP = [[
app:get("/count/:n", function(req)
  return sse.reply(function(send)
    for i = 1, tonumber(req.params.n) do send(("%d "):format(i) .. ("x"):rep(100)) end
    sse.sleep(1000)
  end)
end)
app:get("/lags", function()
  local lags = {}
  for _, each in ipairs(spate.streams {}) do lags[each.target] = each.lag end
  return lags
end)
]]

describe("the lag of a stream of HTTP/2", function()
  local server, client

  local function serve(settings)
    server = helper.serve(APP, { settings = { timeouts = { send = 10 } } })
    client = http2.connect(server, settings)
  end

  local function lag(path) return server:get("/lags"):json()[path] end

  after_each(function() server:close() end)

  it("goes on while others go first, and ends with its wait", function()
    serve { [4] = 10000000 }
    client:get(1, "/count/20000", { { "priority", "u=1" } }):get(3, "/count/200", { { "priority", "u=7" } })
    for _ = 1, 35 do
      server:advance(1)
      client:window(0, 6000)
    end
    assert.is_nil(client:stream(3).reset)
    assert.is_true(math.abs(lag "/count/200" - 35) <= 1, lag "/count/200")
    assert.is_true(lag "/count/20000" <= 10, lag "/count/20000")
    client:frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", 3) .. "u=0")
    client:window(0, 6000)
    assert.is_true(lag "/count/200" <= 10, lag "/count/200")
    server:advance(5)
    assert.is_nil(client:stream(3).reset) -- its own time has begun anew
  end)

  it("goes on where the one that held up all has been ended", function()
    serve { [4] = 60000 }
    client:get(1, "/count/2000"):get(3, "/count/300") -- the first fills its window, the second the connection's
    server:advance(11)
    assert.equal(8, client:stream(1).reset)
    server:advance(5)
    assert.is_true(math.abs(lag "/count/300" - 16) <= 1, lag "/count/300")
  end)
end)
