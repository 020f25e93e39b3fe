-- SPDX-License-Identifier: MIT
-- A producer that outlives its connection.
local says = require "spec.simulate.promises"

local EPS = 1e-6

local LINGER, TTL, COUNT, PAUSE = 3, 5, 12, 0.7 -- of a key always the same

local kind = { weight = 2, spawns = true, makes_channels = true, publishes = true, lines = {} }

function kind.random(r)
  return { key = r:int(1, 2), count = COUNT, pause = PAUSE, linger = LINGER, ttl = TTL }
end

function kind.code(r)
  return ([[local s, why = sse.resumable("job%d", function(send)
    log("started", "job%d")
    local is_done = false
    local _ <close> = setmetatable({}, { __close = function() if not is_done then log("stoppedjob", "job%d") end end })
    for i = 1, %d do
      send("job%d:" .. i)
      sse.sleep(%g)
    end
    is_done = true
    log("donejob", "job%d")
  end, { after = req.last_event_id, linger = %g, ttl = %g, store = %s })
  if not s then return reply.error(503, why) end
  return sse.reply(s)]]):format(r.key, r.key, r.key, r.count, r.key, r.pause, r.key, r.linger, r.ttl, r.key == 1)
end

kind.statuses = { [204] = "finished", [503] = "store" }

-- Whether a request is one of the job's readers that the server has had before this moment. What waits behind another answer is for the code of then, whose path may have another job.
local function reads(model, request, name)
  local client, route = request.client, request.route or request.meant_for
  if not route or route.kind ~= kind.name or "job" .. route.key ~= name then return false end
  local is_its_turn = client.is_mux or client.waiting[client.first] == request
  return is_its_turn and client.is_reading and not request.ended and not client.is_over and request.sent_at < model.now
    and (request.status == 200 and request.kind == kind or not request.status and not request.behind and not request.follows and not request.was_held and not client.is_outside)
end

function kind.lines.stoppedjob(model, name)
  if model.jobs[name] then model.jobs[name].is_free_at = model.now end -- else it had no memory to say so
  for _, request in ipairs(model.asked) do
    model:expect(not reads(model, request, name) or model:excused(request, "refused", "half_closed", "draining") or model:excused(model.jobs[name] or {}, "refused"), says.LINGERS, "%s: its producer is stopped", request)
  end
end

function kind.lines.donejob(model, name, now)
  local job = model.jobs[name]
  if job then job.done_at, job.is_free_at = now, now + TTL end
end

-- What a run that is over has left in its store is there still.
local function is_excused(model, it) return model:excused(it, "refused", "channel_bytes", "store") or it.job and model:excused(it.job, "refused") end

-- The first request starts it, and the first behind its time.
function kind.lines.started(model, name, now)
  local job = model.jobs[name]
  model:expect(not job or job.is_free_at and now > job.is_free_at - EPS or is_excused(model, job), says.GOES_ON, "%s: starts twice", name)
  model.jobs[name] = { at = now, may_fail = model.short_at == now }
end

function kind.on_head(model, request)
  local job = model.jobs["job" .. request.route.key]
  request.job = job
  local is_over = job and job.done_at and request.sent_at > job.done_at + TTL + EPS and model.jumped_at < job.done_at and not model.held_up
  model:expect(not is_over or is_excused(model, request), says.FORGOTTEN, "%s: goes on with what was over at %.3f s", request, job and job.done_at or 0)
end

function kind.on_event(model, request, event)
  if event.event == "reset" then
    model:expect(request.after and not request.next_seq, says.RESET, "%s: a reset", request)
    return
  end
  local epoch, seq = (event.id or ""):match "^(%w+)-(%d+)$"
  seq = math.tointeger(tonumber(seq))
  if event.event == "error" then return model:expect(model:excused(request.job or {}, "refused"), says.GOES_ON, "%s: the producer has failed", request) end
  local key, number = (event.data or ""):match "^job(%d+):(%d+)$"
  number = math.tointeger(tonumber(number))
  -- Some before it are left out where there is no room; a store that refuses may keep what an earlier run has numbered.
  local is_own = tonumber(key) == request.route.key and number
  model:expect(is_own and (number == seq or number > seq and model:excused(request, "channel_bytes") or model:excused(request, "store")), says.GOES_ON, "%s: %s is %q", request, event.id, event.data)
  local after_epoch, after_seq = (request.after or ""):match "^(%w+)-(%d+)$"
  local first = after_epoch == epoch and tonumber(after_seq) + 1 or 1
  model:expect(seq == (request.next_seq or first) or model:excused(request, "channel_bytes"), says.GOES_ON, "%s: %s, expected %d", request, event.id, request.next_seq or first)
  model:expect(not request.epoch or request.epoch == epoch, says.GOES_ON, "%s: %s is of another run", request, event.id)
  request.next_seq, request.epoch = seq + 1, epoch
end

function kind.check(model, request, now)
  local function is_open() return request.after or is_excused(model, request) or model:excused(request, "late") or model:is_left(request) end
  model:expect(request.next_seq or request.head_at > now - EPS or is_open(), says.GOES_ON, "%s: has got nothing", request)
  local job = model.jobs["job" .. request.route.key]
  if not job or model.held_up or job.at < request.reloaded_at or model.jumped_at >= job.at or request.head_at < job.at then return end
  local due = math.min(math.floor((now - job.at - EPS) / request.route.pause) + 1, request.route.count)
  model:expect((request.next_seq or 1) > due or is_open(), says.GOES_ON, "%s: has %d of %d", request, (request.next_seq or 1) - 1, due)
end

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  model:expect(request.after or request.next_seq == request.route.count + 1 or model:is_left(request) or is_excused(model, request), says.GOES_ON, "%s: ended after %d", request, (request.next_seq or 1) - 1)
end

return kind
