-- SPDX-License-Identifier: MIT
-- Settings as they are where nobody has set them: what lua/README.md shows of its spate.conf.lua.
local helper = require "spec.helper"

local function shown()
  local f <close> = assert(io.open "lua/README.md")
  return load(f:read("a"):match("```lua\n(%-%- spate%.conf%.lua.-)```"))()
end

describe("settings", function()
  it("are those of the page where nothing is set", function()
    for group, keys in pairs(shown()) do
      for key, value in pairs(type(keys) == "table" and group ~= "listen" and group ~= "trusted_proxies" and keys or {}) do
        assert.is_true((helper.harness.are_defaults { [group] = { [key] = value } }), group .. "." .. key)
      end
    end
    assert.is_true((helper.harness.are_defaults { io_uring = "auto" }))
    assert.is_false((helper.harness.are_defaults { io_uring = "off" }))
    local dev = { shutdown = { grace = 2, retry = 0.1 }, timeouts = { kill = 1 } }
    assert.same({ true, 0 }, { helper.harness.are_defaults(dev, true) })
  end)
end)
