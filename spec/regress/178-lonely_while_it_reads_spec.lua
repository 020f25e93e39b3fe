-- SPDX-License-Identifier: MIT
-- Seed 202611290052 of the simulator: who is sent the past by a store was no reader yet, so a producer of sse.resumable
-- whose only reader took longer than `linger` for that was stopped.
local helper = require "spec.helper"

local APP = [[
app:get("/job", function()
  return sse.reply(sse.resumable("job", function(send)
    for i = 1, 3 do send(i) sse.sleep(1) end
  end, { linger = 2, ttl = 5, store = true }))
end)]]

describe("a producer that outlives its connection", function()
  it("goes on while its reader waits for the store", function()
    local server = helper.serve(APP, { store = true })
    local store = server.core:store()
    local res = server:get "/job"
    server:advance(5)
    assert.same({ "open resumable:job" }, store:asked())
    store:carry_out()
    server:turn()
    assert.same({ "read resumable:job", "append resumable:job" }, store:asked())
    server:advance(5)
    for _ = 1, 20 do
      store:carry_out()
      server:advance(0.5)
    end
    assert.same({ "1", "2", "3" }, res:data())
    server:close()
  end)

  it("ends where its reader leaves meanwhile", function()
    local server = helper.serve(APP, { store = true })
    local store = server.core:store()
    local res = server:get "/job"
    store:carry_out()
    server:turn()
    res.client:reset()
    server:advance(1)
    assert.equal(1, server:stats().channels)
    for _ = 1, 10 do
      store:carry_out()
      server:advance(1)
    end
    assert.equal(0, server:stats().channels)
    server:close()
  end)
end)
