-- SPDX-License-Identifier: MIT
-- A snapshot whose first value its handler had read already began with that value all the same.
local helper = require "spec.helper"

describe("a snapshot that was read in part", function()
  it("goes on behind what was read", function()
    local server = helper.serve [[
      local ch = sse.channel "a"
      app:get("/", function()
        local all = ch:snapshot(function() return "all" end)
        local first = all:next()
        ch:publish(first .. " was read")
        return sse.reply(all)
      end)]]
    local res = server:get "/"
    assert.same({ "all was read" }, res:data())
    res:close()
    server:close()
  end)
end)
