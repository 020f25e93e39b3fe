-- SPDX-License-Identifier: MIT
-- The specs of all examples once more, by clients that speak HTTP/2.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local lfs = require "lfs"
require "spate.test"
local session = require "spate.test.session"

local files = {}
for name in lfs.dir "spec" do
  if name:match "^examples_.*spec%.lua$" and name ~= "examples_http2_spec.lua" then files[#files + 1] = name end
end
table.sort(files)

describe("over HTTP/2", function()
  setup(function() helper.http, session.http = 2, 2 end)
  teardown(function() helper.http, session.http = 1, nil end)

  for _, name in ipairs(files) do assert(loadfile("spec/" .. name, "t", _ENV))() end
end)
