-- SPDX-License-Identifier: MIT
-- The length of an event or a body is not cut to 32 bits.
local harness = require("spec.helper").harness

it("an event may have more than 4 GiB", function()
  for _, len in ipairs { 0, 1, 15, 16, 65535, 2^32 - 1, 2^32, 2^32 + 5 } do -- memory that nobody touches
    len = math.tointeger(len)
    local all, bare = harness.event_lengths(len)
    assert.equal(len, bare)
    assert.equal(len + #("%x"):format(len) + 4, all)
  end
end)
