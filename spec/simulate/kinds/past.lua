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

local function is_vague(model, c) return c.options.history_bytes or model.was_away or model.had_faults or model.plan.settings.limits.channel_bytes end

-- Whether so many, of which that is the newest, is what was kept at some time since it was sent.
local function may_be(model, c, request, newest, count, now)
  for _, at in ipairs { request.sent_at, now } do
    if count == math.min(request.route.count, newest - channel.oldest_held(c, newest, at) + 1) then return true end
  end
  return is_vague(model, c)
end

function kind.on_end(model, request, how, now)
  if how ~= "end" then return end
  local c, last, count = model.channels["c" .. request.route.channel], nil, 0
  for epoch, seq, data in (request.content or ""):gmatch "\n(%w+)-(%d+) (%S+)" do
    local n = math.tointeger(tonumber(seq))
    local known = c.events[n]
    model:expect(known and known.data == data and epoch == c.epoch or model.had_faults or model.was_away, says.HISTORY, "%s: %s-%s %s was never published", request, epoch, seq, data)
    model:expect(not last or n == last + 1, says.HISTORY, "%s: %d behind %d", request, n, last or 0)
    last, count = n, count + 1
  end
  local from, to = last or request.newest_at_sent[c.name], last or c.newest
  local holds = false
  for newest = from, to do holds = holds or may_be(model, c, request, newest, count, now) end
  model:expect(holds and from >= request.newest_at_sent[c.name] or is_vague(model, c) or request.was_held, says.HISTORY, "%s: %d events up to %d, of %d", request, count, last or 0, c.newest)
end

return kind
