-- SPDX-License-Identifier: MIT
-- A path is decoded on the stack of the thread, so its limit has one.
local helper = require "spec.helper"

describe("a limit of the request target", function()
  it("may be as high as 1 MiB", function()
    local server = helper.serve([[app:get("/*path", function(req) return tostring(#req.params.path) end)]],
      { settings = { limits = { target = 1 << 20, head = 2 << 20 } } })
    assert.equal("1000000", (server:get("/" .. ("x"):rep(1000000)):body()))
    server:close()
  end)

  it("is refused beyond", function()
    assert.has_error(function() helper.serve("\n", { settings = { limits = { target = (1 << 20) + 1 } } }) end,
      "limits.target: expected at most 1048576, got 1048577")
  end)
end)
