-- SPDX-License-Identifier: MIT
-- The faults that are put back for the simulator: each still has its place in the sources, once, and makes a difference.
local altered = require "spec.altered_build"
local faults = require "spec.simulate.faults"

describe("a fault that is put back", function()
  it("has a name of its own, and says what goes wrong", function()
    local seen = {}
    for _, fault in ipairs(faults) do
      assert.is_nil(seen[fault.name], fault.name)
      assert.truthy(#fault.what > 0, fault.name)
      seen[fault.name] = true
    end
  end)

  it("has its place in the sources", function()
    for _, fault in ipairs(faults) do
      local path = fault.file:gsub("^server/", "")
      local text = altered.apply({ { path, fault.from, fault.to } })[path]
      assert.not_equal(altered.read(fault.file), text, fault.name)
    end
  end)
end)
