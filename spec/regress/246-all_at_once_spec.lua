-- SPDX-License-Identifier: MIT
-- Where thousands of descriptors were ready at once, as when 15,000 clients hung up together, one turn took them all and
-- streams waited for 75 ms.
local harness = require("spec.helper").harness

local COUNT, LOOKS_MAX = 1500, 12 -- libev asks the kernel for more and more of them, turn by turn

it("a turn tells some of those that are ready, each in its time", function()
  local crowd = harness.crowd(COUNT)
  local most_in_a_turn, looks, least, most = 0, 0, 0, 0
  while least < 1 do
    local told
    told, least, most = crowd:turn()
    looks, most_in_a_turn = looks + 1, math.max(most_in_a_turn, told)
    assert.is_true(looks <= LOOKS_MAX, "some wait for ever")
  end
  crowd:close()
  assert.is_true(most_in_a_turn >= 400 and most_in_a_turn <= 500, tostring(most_in_a_turn))
  assert.is_true(most <= 4, tostring(most))
end)
