-- SPDX-License-Identifier: MIT
-- now + (linger - (now - left)) may be now, though linger has not passed: numbers have gaps. A clock that stands would
-- be waited for there for ever.
local helper = require "spec.helper"

it("a producer's linger ends at whatever moment its reader left", function()
  local server = helper.serve [[
    app:get("/", function(req)
      return sse.reply(sse.resumable(req.query.key, function() sse.sleep(1e6) end, { linger = 0.5, ttl = 0 }))
    end)
  ]]
  local core = server.core
  for i = 1, 300 do
    local res = server:get("/?key=" .. i)
    core:jump(0.1 + i / 977)
    res:close()
    local left, timers = core:now(), 0
    while core:next() < left + 1 do
      core:jump(math.max(core:next() - core:now(), 0))
      timers = timers + 1
      assert(timers < 100, ("no rest %.17g s after %.17g"):format(core:now() - left, left))
    end
    assert.equal(0, server:stats().tasks)
  end
  server:close()
end)
