-- SPDX-License-Identifier: MIT
-- A timer that was armed as it fired for a time already over, as one that has fallen behind is, ended the run: whatever else
-- was due waited, and where it did so again and again, for ever.
local helper = require "spec.helper"

describe("a timer that is armed for the past as it fires", function()
  local turns
  before_each(function() turns = helper.harness.turns() end)
  after_each(function() turns:close() end)

  it("does not hold up those that are due", function()
    turns:arm(1, 1, 0.5)
    turns:arm(2, 2)
    turns:arm(3, 4)
    assert.same({ 2, "t1 t2 " }, { turns:fire(3) })
    assert.same({ 1, "t1 " }, { turns:fire(3) })
    assert.same({ 2, "t1 t3 " }, { turns:fire(4) })
  end)

  it("fires in the next turn, which comes at once", function()
    turns:arm(1, 1, 0.5)
    turns:fire(3)
    assert.is_true(turns:next() <= 3)
    assert.same({ 1, "t1 " }, { turns:fire(3) })
  end)
end)
