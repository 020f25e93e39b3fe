-- SPDX-License-Identifier: MIT
-- Seed 9100 of the simulator: where a connection of many streams had served its last request and its last stream was cut
-- while bytes were on their way, the client was not told of the cut: the connection ended behind those bytes.
local helper = require "spec.helper"

describe("the last stream of a connection that serves no more", function()
  it("is told to be cut, behind what is on its way", function()
    local server = helper.serve([[
      local channel = sse.channel("c", { queue = 1 })
      app:get("/", function() return sse.reply(channel:subscribe()) end)
      app:post("/", function() for i = 1, 3 do channel:publish(i) end return "ok" end)
    ]], { settings = { limits = { requests = 1 } } })
    local client = server:connect(nil, "mux"):step(7)
    client:send("open 1 /\n")
    server:turn()
    assert.equal("1 head 200\n", client:take())
    server:post "/"
    local told = client:take()
    assert.matches("data: 1\n\n", told, 1, true)
    assert.matches("1 reset\n$", told)
    server:close()
  end)
end)
