-- SPDX-License-Identifier: MIT
-- What a channel has kept, its name looked up.
local channel = require "spec.simulate.kinds.channel"
local says = require "spec.simulate.promises"

local kind = { weight = 2, statuses = { [503] = "store" } }

function kind.random(r, n) return { channel = r:int(1, n), count = r:pick { 1, 5, 100 } } end

function kind.code(r)
  return ([[local list, why = sse.channel.find("c%d"):history(%d)
  if not list then return reply.error(503, why) end
  local parts = {}
  for i, event in ipairs(list) do parts[i] = event.id .. " " .. event.data end
  return "past " .. C[%d]:count() .. "\n" .. table.concat(parts, "\n")]]):format(r.channel, r.count, r.channel)
end

-- Whether so many, of which that is the newest, is what was kept at some time since it was sent.
local function may_be(c, request, newest, count, now)
  for _, at in ipairs { request.sent_at, now } do
    if count == math.min(request.route.count, newest - channel.oldest_held(c, newest, at) + 1) then return true end
  end
  return false
end

function kind.on_end(model, request, how, now)
  if how ~= "end" then return end
  local c, last, count = model.channels["c" .. request.route.channel], nil, 0
  for epoch, seq, data in (request.content or ""):gmatch "\n(%w+)-(%d+) (%S+)" do
    local n = math.tointeger(tonumber(seq))
    local known = c.events[n]
    c.epoch = c.epoch or epoch -- whoever published it may have waited for its store in vain
    model:expect((known and known.data == data or not known and model:excused({ channel = c, seq = n }, "untold")) and epoch == c.epoch, says.HISTORY, "%s: %s-%s %s was never published", request, epoch, seq, data)
    model:expect(not last or n == last + 1, says.HISTORY, "%s: %d behind %d", request, n, last or 0)
    last, count = n, count + 1
  end
  local from, to = last or request.newest_at_sent[c.name], last or c.newest
  local holds = false
  for newest = from, to do holds = holds or may_be(c, request, newest, count, now) end
  local is_known = holds and from >= request.newest_at_sent[c.name]
  model:expect(is_known or model:excused(c, "history_bytes") or model:excused(request, "channel_bytes", "store", "held") or model:excused({ channel = c, seq = from }, "untold"), says.HISTORY, "%s: %d events up to %d, of %d", request, count, last or 0, c.newest)
end

return kind
