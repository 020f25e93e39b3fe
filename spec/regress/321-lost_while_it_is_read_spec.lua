-- SPDX-License-Identifier: MIT
-- Who had read events from a channel's store that a failover lost before the channel was live for him went on as if
-- nothing had been: he was ahead of the channel, which was taken for a node that lags behind.
local helper = require "spec.helper"

local APP = [[
app:get("/read", function(req)
  return sse.reply(sse.channel("a", { history = 100 }):subscribe { after = req.last_event_id, replay = "all" })
end)
app:post("/publish", function(req) return sse.channel("a", { history = 100 }):publish(req:body()) end)
]]

describe("a reader of the past", function()
  local server, store

  before_each(function()
    server = helper.serve(APP, { store = true })
    store = server.core:store()
  end)
  after_each(function() server:close() end)

  local function run_all()
    repeat
      local done = store:carry_out()
      server:turn()
    until done == 0
  end

  it("is told of events that are lost before it is live", function()
    local function publish(data)
      server:post("/publish", { body = data })
      run_all()
    end
    local large = ("x"):rep(300000)
    for i = 1, 5 do publish(i .. large) end
    server:advance(3700) -- memory forgets them with the next
    publish "6"
    local client = server:connect()
    client:window(0)
    local res = server:get("/read", { client = client })
    run_all() -- a page of four is there, and its reader waits for room
    store:begin_epoch("a", 4)
    store:hear "a"
    client:window(1 << 30)
    server:turn()
    run_all()
    store:put("a", "new")
    store:hear "a"
    server:turn()
    local events = res:events()
    local names = {}
    for i, event in ipairs(events) do names[i] = event.event or event.data:sub(1, 3) end
    assert.same({ "1xx", "2xx", "3xx", "4xx", "reset", "1xx", "2xx", "new" }, names)
  end)
end)
