-- SPDX-License-Identifier: MIT
-- A connection whose last stream the client gave up was never idle again; a refusal was put into the middle of what was
-- on its way; streams behind a stalled transport were not found.
local helper = require "spec.helper"

describe("a connection of many streams", function()
  local server, client

  local function serve(settings)
    server = helper.serve([[
      local ch = sse.channel "news"
      app:get("/sub", function() return sse.reply(ch:subscribe()) end)
      app:get("/count/:n", function(req)
        return sse.reply(function(send) for i = 1, tonumber(req.params.n) do send(i .. ("x"):rep(100)) end end)
      end)
      app:get("/text", function() return "hello" end)]], { settings = settings })
    client = server:connect(nil, "mux")
  end

  local function say(text)
    client:send(text .. "\n")
    server:turn()
  end

  after_each(function() server:close() end)

  it("is idle once its last stream has been given up", function()
    serve { timeouts = { idle = 5 } }
    say "open 1 /sub"
    server:advance(60)
    say "reset 1"
    server:advance(4)
    assert.equal("open", client:state())
    server:advance(2)
    assert.not_equal("open", client:state())
  end)

  it("ends where its last stream is given up as the server stops", function()
    serve { shutdown = { window = 100 } }
    say "open 1 /sub"
    server.core:drain()
    say "reset 1"
    server:advance(3)
    assert.not_equal("open", client:state())
  end)

  it("ends its streams where the transport takes nothing for timeouts.send", function()
    serve { timeouts = { send = 5, idle = 5 } }
    say "open 1 /sub"
    client:window(0)
    say "open 2 /count/2000"
    say "open 3 /count/2000"
    server:advance(10)
    assert.equal(2, server:stats().slow_total)
  end)

  it("is cut, and not refused, in the middle of what is on its way", function()
    serve()
    client:late():step(40)
    client:window(20)
    say "open 2 /count/5"
    say "open 2 /text"
    client:window(nil)
    for _ = 1, 20 do server:turn() end
    assert.is_nil(client:take():find("refused", 1, true))
    assert.equal("reset", client:state())
  end)
end)

describe("an answer to what is no request", function()
  it("goes out in full where the client has ended its side meanwhile", function()
    local server = helper.serve [[app:get("/", function() return "" end)]]
    local client = server:connect()
    client:window(50)
    local res = server:send("nonsense\r\n\r\n", client)
    client:finish()
    server:turn()
    client:window(nil)
    server:turn()
    assert.equal(400, res:status())
    assert.is_true((select(2, res:body())))
    server:close()
  end)
end)
