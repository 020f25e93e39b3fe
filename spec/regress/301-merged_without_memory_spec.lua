-- SPDX-License-Identifier: MIT
-- A merged stream whose last source failed as memory ran short ended as if all had been told, instead of being cut: that it had failed
-- was a field of a table which was new there, and could need memory. Whether it did depends on where a state keeps its fields, which
-- Lua draws of its address.
local helper = require "spec.helper"

local ONCE = 2 -- Lua tries each allocation twice
local STATES = 12

local APP = [[
app:get("/", function()
  return sse.reply(sse.merge(sse.from {}, sse.from(function() sse.sleep(1) error "on purpose" end)))
end)
]]

-- Each allocation of the source's failure in turn.
local function check(server)
  local n, has_ended = 0, false
  while not has_ended do
    local res = server:get "/"
    server.core:run "collectgarbage()" -- fields without a value have lost their places
    server.core:fail_allocation(n, ONCE)
    server:advance(1)
    has_ended = server.core:fail_allocation(0, 0) == ONCE
    assert.is_false(res:has_ended(), ("allocation %d: %s"):format(n, res:raw()))
    assert.equal("closed", res.client:state(), ("allocation %d"):format(n))
    n = n + 1
  end
  assert(n > 5, n)
end

describe("a merged stream of which a source fails without memory", function()
  it("is cut, whatever state it is in", function()
    local servers = {}
    for i = 1, STATES do servers[i] = helper.serve(APP) end
    for _, server in ipairs(servers) do check(server) end
    for _, server in ipairs(servers) do server.core:close() end
  end)
end)
