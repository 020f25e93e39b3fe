-- SPDX-License-Identifier: MIT
-- A loop that was stopped by what runs before it sleeps went on counting as in a turn, though it had ended: whoever looks for
-- turns that take too long would have found one.
local helper = require "spec.helper"

describe("a loop that has ended", function()
  it("is in no turn", function()
    local loop = helper.harness.loop()
    assert.equal(0, select(2, loop:turns()))
    for _ = 1, 3 do
      loop:turn()
      assert.equal(0, select(2, loop:turns()))
    end
    loop:poll(0)
    assert.equal(0, select(2, loop:turns()))
    loop:turn()
    assert.equal(0, select(2, loop:turns()))
    loop:close()
  end)
end)
