-- SPDX-License-Identifier: MIT
-- A subscription that a task reads while a stream takes it over: the task was left in the list of its readers, which
-- went with the stream.
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("a subscription with two readers", function()
  local server

  before_each(function()
    server = helper.serve(channels.APP .. [[
      ch, ended = sse.channel "a", 0
      app:get("/taken", function()
        local sub = ch:subscribe()
        reader = sse.spawn(function()
          for event in sub:each() do read = event.data end
          ended = ended + 1
        end)
        sse.sleep(1)
        return sse.reply(sub)
      end)
      app:get("/cancel", function() return tostring(reader:cancel()) end)
      app:get("/ended", function() return tostring(ended) end)]])
  end)

  it("goes to the stream, and for its task it has ended", function()
    for round = 1, 3 do
      local res = server:get "/taken"
      server:advance(1)
      channels.run(server, "sse.channel('a'):publish 'x'")
      assert.same({ "x" }, res:data())
      assert.equal(tostring(round), (server:get("/ended"):body()))
      res:close()
      assert.equal("false", (server:get("/cancel"):body()))
    end
    server:close()
  end)

  it("lets its task be cancelled in the turn in which the stream takes it", function()
    local res = server:get "/taken"
    server.core:advance(1)
    res:close()
    server:get "/cancel"
    server:close()
  end)
end)
