-- SPDX-License-Identifier: MIT
-- redis:xread waited, longer each time, where the slot of its stream had moved to another node, though that is known at once.
package.cpath = "./" .. (os.getenv("BUILD") or "build") .. "/lib/?.so;" .. package.cpath
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local t = require "spate.test"

describe("redis:xread", function()
  after_each(t.reset)

  it("reads on at once where its slot has moved to", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write [[
      local spate, sse = require "spate", require "spate.sse"
      local app = spate.app()
      local redis = spate.redis.open "redis://db"
      app:get("/", function(req) return sse.reply(redis:xread("s", req.last_event_id)) end)
      return app]]
    file:close()
    finally(function() os.remove(path) end)
    local app, asked = t.load(path), 0
    t.redis.stub("XREVRANGE", { { "1-0", { "data", "one" } } })
    t.redis.stub("XREAD", function()
      asked = asked + 1
      if asked == 1 then return { err = "MOVED 99 other:6379" } end
      return asked == 2 and { { "s", { { "2-0", { "data", "two" } } } } } or { nil, after = 20 }
    end)
    local res = app:get("/", { headers = { ["Last-Event-ID"] = "1-0" } })
    assert.events(res, { { id = "2-0", data = "two" } })
    res:close()
  end)
end)
