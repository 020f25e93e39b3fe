-- SPDX-License-Identifier: MIT
-- libev closed what wakes a loop only where the kernel watched it: each loop that was refused left a descriptor open.
local harness = require("spec.helper").harness

it("a loop that the kernel refuses to wake keeps no descriptor", function()
  collectgarbage()
  local before = harness.descriptors()
  for _ = 1, 3 do
    assert.is_false((harness.refused("epoll_ctl", "ENOSPC", function() return pcall(harness.loop) end)))
  end
  assert.equal(before, harness.descriptors())
end)
