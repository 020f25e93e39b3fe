-- SPDX-License-Identifier: MIT
-- A snapshot of how many events a channel has had, then those that it does not contain.
local channel = require "spec.simulate.kinds.channel"
local says = require "spec.simulate.promises"

local kind = { weight = 2, on_end = channel.on_end, statuses = channel.statuses }

function kind.random(r, n) return { channel = r:int(1, n), replay = 0, waits = r:chance(40) and r:pick { 0.1, 0.7 } or nil } end

function kind.code(r)
  return ([[local s, why = C[%d]:snapshot(function()
    local n = counts:get "c%d" or 0
    %s
    return { event = "all", data = n }
  end)
  if not s then return reply.error(503, why) end
  return sse.reply(s)]]):format(r.channel, r.channel, r.waits and ("sse.sleep(%g)"):format(r.waits) or "")
end

function kind.on_head(model, request, now)
  channel.on_head(model, request, now)
  request.next_lo, request.next_hi, request.resets, request.is_vague = 1, math.maxinteger, { [false] = true }, false
end

function kind.on_event(model, request, event)
  if event.event ~= "all" then return channel.on_event(model, request, event) end
  model:expect(not request.has_snapshot, says.SNAPSHOT, "%s: two snapshots", request)
  request.has_snapshot = true
  local n, c = math.tointeger(tonumber(event.data)) - request.channel.uncounted, request.channel
  if not c.is_vague and request.newest_at_sent[c.name] == c.newest and n > c.newest and model:excused(c, "miscounted") then
    n, c.uncounted, c.miscounted_at = c.newest, c.uncounted + n - c.newest, request.sent_at <= c.miscounted_at and c.miscounted_at or nil
  end
  model:expect(n <= c.newest or model:excused(c, "miscounted"), says.SNAPSHOT, "%s: has %d of %d events", request, n, c.newest)
  local had = c.is_kept and math.min(n, request.newest_at_sent[c.name]) or n -- what waits for a store is counted before it is there
  request.next_lo, request.next_hi = (request.route.waits or c.miscounted_at) and 1 or had + 1, math.max(n, c.miscounted_at and c.newest or 0) + 1
end

return kind
