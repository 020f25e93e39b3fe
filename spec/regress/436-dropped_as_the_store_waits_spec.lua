-- SPDX-License-Identifier: MIT
-- Where its store did not answer, sse.resumable gave up: it finished the channel, waited for the store to have that, and removed it then, or
-- never where it was cancelled meanwhile. Who came until then had a finished channel, and an empty answer. Seed 202811288296 of the simulator.
local helper = require "spec.helper"

describe("a producer that never began, as its store did not answer,", function()
  local function check(leave)
    local server = helper.serve([[
      app:get("/", function(req)
        return sse.reply(sse.resumable("k", function(send) send "begun" end, { store = true, ttl = 5 }) or {})
      end)]], { store = true })
    local store = server.core:store()
    local function go()
      repeat server:turn() until store:carry_out() == 0
    end
    local first = server:get "/"
    server:advance(12) -- it has given up after ten
    leave(first, server)
    local res = server:get "/"
    go()
    assert.equal("begun", table.concat(res:data(), " "))
    assert.is_true(res:has_ended())
    server:advance(6)
    go()
    server:close()
  end

  it("is begun by who comes next", function() check(function() end) end)

  it("is begun by who comes when the first has left", function()
    check(function(first, server)
      first.client:reset()
      server:turn()
    end)
  end)
end)
