-- SPDX-License-Identifier: MIT
-- The specs' store kept the end of a channel that was removed from it, which no other store does: a resumable stream that is kept was begun
-- once for all, and the simulator could say nothing of one. Seeds 539 and 878 of the simulator, once its model did.
local helper = require "spec.helper"

describe("a resumable stream that is kept", function()
  it("begins anew once it is forgotten", function()
    local server = helper.serve([[
      local times = 0
      app:get("/", function(req)
        return sse.reply(sse.resumable("k", function(send)
          times = times + 1
          for i = 1, 3 do send(times .. "." .. i) end
        end, { after = req.last_event_id, store = true, ttl = 5 }))
      end)]], { store = true })
    local function run_all()
      while server.core:store():carry_out() > 0 do server:turn() end
    end
    local function ask()
      local res = server:get "/"
      run_all()
      local events = {}
      for _, event in ipairs(res:events()) do events[#events + 1] = event.data end
      return table.concat(events, " ")
    end
    assert.equal("1.1 1.2 1.3", ask())
    server:advance(4)
    assert.equal("1.1 1.2 1.3", ask())
    server:advance(2)
    run_all()
    assert.equal("2.1 2.2 2.3", ask())
    server:advance(6)
    run_all()
    server:close()
  end)
end)
