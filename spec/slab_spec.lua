-- SPDX-License-Identifier: MIT
-- base/slab by itself, without a sanitizer, under which each piece is malloc's.
local process = require "spec.process"

describe("a slab", function()
  it("gives each its own bytes, most of its blocks back by itself, and all when it is trimmed", function()
    local directory <close> = setmetatable({ path = process.enter() }, { __close = process.leave })
    process.shell("cd %s && env -u LD_PRELOAD cc -std=gnu11 -D_GNU_SOURCE -O1 -Iserver -o %s/check spec/slab_check.c server/base/slab.c server/base/mem.c",
      process.ROOT, directory.path)
    process.shell("env -u LD_PRELOAD %s/check > %s/blocks", directory.path, directory.path)
    local most, left = process.read_file(directory.path .. "/blocks"):match "^(%d+) (%d+)"
    assert.is_true(tonumber(most) > 30, most)
    assert.is_true(tonumber(left) <= 9 + tonumber(most) // 4, left .. " of " .. most)
  end)
end)
