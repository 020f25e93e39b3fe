-- SPDX-License-Identifier: MIT
-- A derived channel whose source's memory began with an epoch's first event took the number before that for what it had
-- dropped: whoever came back with the last id of the epoch before was told of a loss that there was not.
local channels = require "spec.channels"
local helper = require "spec.helper"

local APP = channels.APP .. [[
local upper = sse.channel("a", { history = 100 }):derive(function(event) return { data = "<" .. event.data .. ">" } end)
app:get("/upper", function(req) return sse.reply(upper:subscribe { after = req.last_event_id }) end)
]]

describe("a derived channel", function()
  local server

  after_each(function() server:close() end)

  it("crosses into an epoch that its source's memory begins with", function()
    server = helper.serve(APP, { store = true })
    local store = server.core:store()
    local function publish(value)
      server:post("/lua", { body = ("sse.channel('a'):publish(%q)"):format(value) })
      while store:carry_out() > 0 do server:turn() end
    end
    publish "1"
    server:advance(3601) -- what is older than ttl goes with the next event
    store:begin_epoch "a"
    publish "2"
    local first = server:get "/upper"
    while store:carry_out() > 0 do server:turn() end
    publish "3"
    assert.equal("<3>", first:data()[1])
    local res = server:get("/upper", { headers = { ["Last-Event-ID"] = "e0-1" } })
    assert.same({ "<2>", "<3>" }, res:data())
    server:post("/lua", { body = "sse.channel('a'):finish()" })
    store:carry_out()
    server:turn()
  end)
end)
