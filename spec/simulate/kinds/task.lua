-- SPDX-License-Identifier: MIT
-- A task that goes on when its request is over, and publishes.
local says = require "spec.simulate.promises"

local kind = { weight = 2, spawns = true, answer = "spawned", method = "POST" }

function kind.random(r, n) return { channel = r:int(1, n), delay = r:pick { 0.1, 2, 7 } } end

function kind.code(r)
  return ('sse.spawn(function() sse.sleep(%g) log("ran", t) publish(%d) end) return "spawned " .. t'):format(r.delay, r.channel)
end

function kind.on_head(model, request) model.owed[#model.owed + 1] = request end

function kind.finish(model, request)
  model:expect(request.has_run or model:excused(request, "refused", "replaced"), says.TASK, "%s: its task has not run", request)
end

return kind
