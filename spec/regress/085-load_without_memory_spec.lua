-- SPDX-License-Identifier: MIT
-- Lua is entered without an allocation: outside of protection one that fails ends the process.
local helper = require "spec.helper"

local FOR_GOOD = 1 << 40

describe("an application that is loaded", function()
  local server, path
  before_each(function()
    server = helper.serve [[ app:get("/", function() return "fine" end) ]]
    path = "/nowhere/" .. ("x"):rep(100) .. ".lua" -- too long to be one of the strings that a state shares
  end)
  after_each(function() server:close() end)

  local function fails_for_memory(n)
    local ok, err = server.core:build(path, n, FOR_GOOD)
    assert.is_nil(ok)
    return err:find("memory", 1, true) ~= nil
  end

  it("may run out of memory at its very first step", function()
    local low, high = 0, 1
    while fails_for_memory(high) do low, high = high, high * 2 end
    while high - low > 1 do
      local middle = (low + high) // 2
      if fails_for_memory(middle) then low = middle else high = middle end
    end
    for n = math.max(0, high - 300), high do fails_for_memory(n) end
    assert.equal("fine", (server:get("/"):body()))
  end)
end)
