-- SPDX-License-Identifier: MIT
-- A timer may stay armed while any number of others are.
local helper = require "spec.helper"

describe("a timer that stays armed while 2^31 others are", function()
  local server
  before_each(function()
    server = helper.serve [[
      sse.every(86400, function() spate.log.info "a day" end)
      app:get("/", function() sse.sleep(1) return "slept" end)
    ]]
  end)
  after_each(function() server.core:close() end)

  for _, more in ipairs { 2^31, 2^31 + 10, 2^32 - 1, 2^32 } do
    it(("fires, and stops no other (%.0f)"):format(more), function()
      server:advance(86399)
      server.core:add_armings(math.tointeger(more))
      local res = server:get "/"
      server:advance(3)
      assert.equal("slept", (res:body()))
      assert.equal(1, select(2, server:log():gsub("a day", "")))
    end)
  end

  it("goes after those that were armed before it for the same time", function()
    local order = helper.serve [[
      for i = 1, 3 do sse.spawn(function() sse.sleep(1) spate.log.info("task " .. i) end) end
    ]]
    order.core:add_armings(2^31)
    order.core:run "require('spate.sse').spawn(function() require('spate.sse').sleep(1) require('spate').log.info 'task 4' end)"
    order:advance(2)
    local seen = {}
    for n in order:log():gmatch "task (%d)" do seen[#seen + 1] = n end
    assert.equal("1 2 3 4", table.concat(seen, " "))
    order.core:close()
  end)
end)
