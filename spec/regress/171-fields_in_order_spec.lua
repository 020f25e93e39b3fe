-- SPDX-License-Identifier: MIT
-- The fields of a line that a script logs came in the order of the Lua table, which differs from start to start.
local helper = require "spec.helper"

describe("the fields of a line of the log", function()
  it("come in the order of their names", function()
    local server = helper.serve [[
      app:get("/", function()
        local fields = {}
        for i = 1, 12 do fields[("k%02d"):format(i * 5 % 13)] = i end
        spate.log.info("line", fields)
        return "ok"
      end)]]
    server:get "/"
    local names = {}
    for name in server:log():match("line([^\n]*)"):gmatch " (k%d+)=" do names[#names + 1] = name end
    local sorted = table.move(names, 1, #names, 1, {})
    table.sort(sorted)
    assert.equal(12, #names)
    assert.same(sorted, names)
    server:close()
  end)
end)
