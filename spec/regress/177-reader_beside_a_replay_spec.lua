-- SPDX-License-Identifier: MIT
-- Seed 2866 of the simulator: a task that read a subscription when a reply took it over, while its store had not given
-- the past yet, was not at its end: it took events that the client had to get.
local helper = require "spec.helper"

local APP = [[
app:post("/fill", function()
  for i = 1, 3 do sse.channel("a", { history = 10 }):publish(i) end
  return "filled"
end)
app:get("/taken", function()
  local sub = assert(sse.channel("a", { history = 10 }):subscribe { replay = "all" })
  sse.spawn(function()
    for event in sub:each() do spate.log.info("read " .. event.data) end
    spate.log.info "at its end"
  end)
  sse.sleep(0)
  return sse.reply(sub)
end)]]

describe("a task that reads a subscription", function()
  it("is at its end once a reply has taken that over, though the store has not given it yet", function()
    local server = helper.serve(APP, { store = true })
    local store = server.core:store()
    local function run_all() repeat server:turn() until store:carry_out() == 0 end
    server:post "/fill"
    run_all()
    local res = server:get "/taken"
    server:advance(1)
    assert.matches("at its end", server:log())
    run_all()
    assert.same({ "1", "2", "3" }, res:data())
    assert.not_matches("read %d", server:log())
    res.client:reset()
    server:close()
  end)
end)
