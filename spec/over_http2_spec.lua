-- SPDX-License-Identifier: MIT
-- Specs of what HTTP/2 does not change, once more by clients that speak it.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2

describe("over HTTP/2", function()
  setup(function() helper.http = 2 end)
  teardown(function() helper.http = 1 end)

  for _, name in ipairs { "app", "channel", "gzip_reply", "kick", "presence", "promise", "reload", "resumable", "session", "store" } do
    assert(loadfile("spec/" .. name .. "_spec.lua", "t", _ENV))()
  end
end)
