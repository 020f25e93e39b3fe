-- SPDX-License-Identifier: MIT
-- A subscription to a channel that is derived from another, which may leave events out.
local channel = require "spec.simulate.kinds.channel"

local kind = { weight = 2, spawns = true, publishes = true, on_head = channel.on_head, on_event = channel.on_event, on_end = channel.on_end }

kind.statuses = { [204] = "finished", [503] = "store", [500] = "falls behind" }

function kind.random(r, n)
  local leaves_out = r:chance(40)
  return { channel = r:int(1, n), replay = r:pick { 0, 1, 5 }, leaves_out = leaves_out, prefix = leaves_out and "o:" or "d:" }
end

function kind.code(r)
  return ([[local sub, why = %s[%d]:subscribe { after = req.last_event_id, replay = %d }
  if not sub then return reply.error(503, why) end
  return sse.reply(sub)]]):format(r.leaves_out and "O" or "D", r.channel, r.replay)
end

return kind
