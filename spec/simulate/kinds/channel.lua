-- SPDX-License-Identifier: MIT
-- A subscription to a channel, written by the core or by a task in Lua.
local doubts = require "spec.simulate.doubts"
local epochs = require "spec.simulate.epochs"
local says = require "spec.simulate.promises"

local kind = { weight = 8 }

function kind.random(r, n) return { channel = r:int(1, n), replay = r:pick { 0, 0, 1, 5, "all" }, is_mapped = r:chance(30) } end

function kind.code(r)
  local replay = r.replay == "all" and '"all"' or tostring(r.replay)
  return ([[local sub, why = C[%d]:subscribe { after = req.last_event_id, replay = %s }
  if not sub then return reply.error(503, why) end
  return sse.reply(sub%s)]]):format(r.channel, replay, r.is_mapped and ":map(function(event) return event end)" or "")
end

kind.statuses = { [204] = "finished", [503] = "store" }

-- The oldest number that history holds when `newest` is the newest; newest + 1: none.
function kind.oldest_held(c, newest, now)
  local o = c.options
  if c.is_kept then return 1 end -- the specs' store keeps all
  local first = math.max(newest - (o.history or 0) + 1, 1)
  while first <= newest and o.ttl ~= 0 and c.events[first] and c.events[first].at + (o.ttl or 3600) <= now do first = first + 1 end
  return first
end

local function first_for(c, request, newest, now)
  local oldest, after = kind.oldest_held(c, newest, now), request.after
  if after then
    local epoch, seq = after:match "^(%w+)-(%d+)$"
    seq = tonumber(seq)
    if epoch == c.epoch and seq <= newest and seq >= oldest - 1 then return seq + 1, false end
    return oldest, true
  end
  local replay = request.route.replay
  local n = math.min(replay == "all" and math.maxinteger or replay, newest - oldest + 1)
  return newest - n + 1, false
end

-- Whether nobody knows how much it holds as a request comes to it: where more than its number and its time bounds that.
local function is_vague(model, c, request)
  return c.options.history_bytes or doubts.is_of_store(model, request) or request.route.kind == "derived" or doubts.holds_untold(c) or model.plan.settings.limits.channel_bytes
end

function kind.on_head(model, request, now)
  local c = model.channels["c" .. request.route.channel]
  request.channel = c
  local has_all = c.epoch and request.after == ("%s-%d"):format(c.epoch, c.newest) and c.finished_at and c.finished_at < request.sent_at and request.route.kind == "channel"
  model:expect(not has_all or model:excused(request, "refused", "store") or model:excused({ channel = c, seq = c.newest + 1 }, "untold"), says.NO_CONTENT, "%s: a stream, and it has all of what is finished", request)
  request.next_lo, request.next_hi, request.resets = math.maxinteger, 0, {}
  for newest = request.newest_at_sent[c.name], c.newest do
    for _, at in ipairs { request.sent_at, now } do -- its head may come later than it has subscribed
      local first, is_reset = first_for(c, request, newest, at)
      request.next_lo, request.next_hi = math.min(request.next_lo, first), math.max(request.next_hi, first)
      request.resets[is_reset] = true
    end
  end
  request.is_vague = is_vague(model, c, request)
  kind.after_waiting(c, request)
  c.readers[#c.readers + 1] = request
  model.dirty[c.name] = true
end

-- Since it was sent more may have come than its queue holds, before its head.
function kind.after_waiting(c, request) request.may_have_lost = request.may_have_lost or c.newest - request.newest_at_sent[c.name] > c.options.queue end

local function key_of(event, keys) return tonumber(event.data:match "^[^.]*%.%d+%.%d+%.(%d+)") % (keys or 3) end

-- "drop_oldest": those that did not fit; "conflate": all but the newest of each key, of what waited.
local function may_skip(model, c, request, to)
  local policy = c.options.on_full
  if request.route.kind == "derived" and model:excused(request, "channel_bytes") then return true end -- what has no room there is left out
  local leaves_out = request.route.leaves_out or policy ~= "disconnect" -- nobody may have said what it was
  if leaves_out and (model:excused(request, "refused", "store") or model:excused({ channel = c, seq = to - 1 }, "untold")) then return true end
  if policy ~= "disconnect" and model:excused(request, "subscriber") then return true end
  if policy == "drop_oldest" then return not request.has_all or c.burst > c.options.queue end
  if policy ~= "conflate" or request.has_all and c.burst == 1 then return false end
  local is_newer = {}
  for seq = c.newest, request.next_hi, -1 do
    local event = c.events[seq]
    if not kind.left_out(request, event) then
      local key = event and key_of(event, c.options.keys)
      if key and seq < to and not is_newer[key] then return c.newest - request.next_hi >= c.options.queue end
      is_newer[key or 0] = true
    end
  end
  return true
end

-- A derived channel leaves some out: those of key 0.
function kind.left_out(request, event) return request.route.leaves_out and event and key_of(event) == 0 end

function kind.skip_left_out(c, request)
  while kind.left_out(request, c.events[request.next_hi]) do request.next_hi = request.next_hi + 1 end
  while kind.left_out(request, c.events[request.next_lo]) do request.next_lo = request.next_lo + 1 end
end

-- A number and its data as the truth has it; where what published it may have been ended before it could say so, the
-- first to see it says it.
local function known_event(model, c, seq, data)
  if seq and not c.events[seq] and model:excused({ channel = c, seq = seq }, "untold") then
    c.events[seq] = { data = data, at = model.now, is_seen = true }
    c.newest = math.max(c.newest, seq)
  end
  return c.events[seq]
end

function kind.on_event(model, request, event)
  if model.plan.has_epochs then return epochs.on_event(model, request, event) end
  local c, prefix = request.channel, request.route.prefix or ""
  if event.event == "reset" then
    model:expect(request.resets[true] or not request.was_reset and model:excused(request, "start"), says.RESET, "%s: a reset after %s", request, tostring(request.after))
    request.resets, request.was_reset = { [false] = true }, true
    return
  end
  local epoch, seq = (event.id or ""):match "^(%w+)-(%d+)$"
  seq = math.tointeger(tonumber(seq))
  local data = event.data or ""
  local known = known_event(model, c, seq, data:sub(#prefix + 1))
  c.epoch = c.epoch or epoch
  model:expect(known and epoch == c.epoch, says.IDS, "%s: %s %q was never published", request, event.id, data)
  model:expect(prefix .. known.data == data, says.ONCE, "%s: %s is %q, was published as %q", request, event.id, data, known.data)
  model:expect(request.resets[false] or model:excused(request, "start"), says.RESET, "%s: %s, and no reset", request, event.id)
  kind.skip_left_out(c, request)
  model:expect(seq >= request.next_lo or model:excused(request, "start"), says.ONCE, "%s: %s, expected %d", request, event.id, request.next_lo)
  model:expect(seq <= request.next_hi or model:excused(request, "start") or may_skip(model, c, request, seq), says.ONCE, "%s: %s, expected %d to %d", request, event.id, request.next_lo, request.next_hi)
  request.next_lo, request.next_hi, request.resets, request.has_heard = seq + 1, seq + 1, { [false] = true }, true
  if model.now == request.head_at then request.replayed = (request.replayed or 0) + 1 end
end

function kind.on_end(model, request, how)
  local c = request.channel
  model.remove(c.readers, request)
  if how ~= "end" then return end
  local newest = request.route.kind == "channel" and request.has_heard and request.newest_at_reload
  model:expect(not newest or request.next_lo > newest or model:excused(request, "refused", "store"), says.ONCE, "%s: ended with %d, and %d was there when its code was replaced", request, request.next_lo - 1, newest or 0)
  model:expect(c.is_finishing or model:is_left(request), says.FINISH, "%s: ended", request)
  if c.is_finished then
    kind.skip_left_out(c, request)
    model:expect(request.next_hi > c.newest or model:is_left(request) or model:excused(request, "start") or model:excused(request, "refused", "store"), says.READ_TO_ITS_END, "%s: ended before %s-%d of %d", request, c.name, request.next_lo, c.newest)
  end
end

return kind
