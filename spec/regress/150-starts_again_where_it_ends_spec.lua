-- SPDX-License-Identifier: MIT
-- Tasks of old code that start others where they are ended: each round of ending them left new ones.
local helper = require "spec.helper"

describe("a task of old code that starts another as it closes", function()
  it("is the last, once shutdown.grace is over", function()
    local server = helper.serve([[
      local function again()
        sse.spawn(function()
          local _ <close> = setmetatable({}, { __close = again })
          sse.sleep(1e6)
        end)
      end
      app:get("/", function()
        return sse.reply(function(send)
          sse.sleep(1)
          again()
          send "started"
        end)
      end)]], { settings = { shutdown = { grace = 5 } } })
    local res = server:get "/"
    assert(server:reload 'app:get("/", function() return "new" end)')
    server:advance(1)
    assert.same({ "started" }, res:data())
    server:advance(6)
    assert.equal(1, server:stats().generations)
    assert.equal(0, server:stats().tasks)
    assert.matches("no task can start: its application has ended", server:log())
    server:close()
  end)
end)
