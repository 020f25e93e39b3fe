-- SPDX-License-Identifier: MIT
-- Where 10,000 streams were ended at once, their clients hung up one by one meanwhile, and a turn heard 500 of them for each
-- 128 that were still to be told: ending all took three times as long as telling all.
local harness = require("spec.helper").harness

it("a turn tells few of those that are ready while something is more urgent", function()
  local crowd = harness.crowd(500)
  for _ = 1, 8 do crowd:turn() end -- libev asks the kernel for more and more of them
  crowd:few(true)
  assert.equal(32, (crowd:turn()))
  crowd:few(false)
  local told = crowd:turn()
  crowd:close()
  assert.is_true(told > 400, tostring(told))
end)
