-- SPDX-License-Identifier: MIT
-- A loop that could not be made for want of descriptors kept what it had been given to read into.
local helper = require "spec.helper"
local harness = helper.harness

describe("a loop for which there are no descriptors", function()
  it("keeps no memory", function()
    local function fail()
      harness.limit_descriptors(0)
      local ok = pcall(harness.loop)
      harness.limit_descriptors()
      assert.is_false(ok)
    end
    fail()
    collectgarbage()
    local before = harness.allocated()
    for _ = 1, 20 do fail() end
    collectgarbage()
    assert.is_true(harness.allocated() - before < 500000)
  end)
end)
