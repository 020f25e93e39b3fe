-- SPDX-License-Identifier: MIT
-- A subscription that its handler holds for a while before the reply takes it over, and that a task may read meanwhile.
local channel = require "spec.simulate.kinds.channel"
local says = require "spec.simulate.promises"

local kind = { weight = 4, statuses = { [204] = "always", [503] = "store" }, lines = {} }

function kind.random(r, n)
  local wait = r:pick { 0, 0.3, 1.3, 6, 6 }
  return { channel = r:int(1, n), replay = r:pick { 0, 1 }, wait = wait, is_read = r:chance(50) or nil }
end

function kind.code(r)
  return ([[local sub, why = C[%d]:subscribe { after = req.last_event_id, replay = %s }
  if not sub then return reply.error(503, why) end
  log("holds", t, V)
  local is_handed = false
  local _kept <close> = setmetatable({}, { __close = function() if not is_handed then sub:close() end end })
  %s
  sse.sleep(%g)
  local answer = sse.reply(sub)
  is_handed = true
  return answer]]):format(r.channel, r.replay == "all" and '"all"' or tostring(r.replay), r.is_read and [[sse.spawn(function()
    local _over <close> = setmetatable({}, { __close = function() log("readover", t) end })
    for event in sub:each() do log("read", t, event.id or "reset", event.data) end
  end)]] or "", r.wait)
end

-- Where it begins is known once all that the moment has published is.
local function begin(model, request)
  if request.has_begun then return end
  request.has_begun = true
  channel.on_head(model, request, model.now)
  model.remove(request.channel.readers, request)
end

-- By the code of version `version`.
function kind.lines.holds(model, text)
  local token, version = text:match "^(%S+) (%d+)$"
  local request = model.tokens[token]
  request.route = model:route_of(request, tonumber(version))
  model.held = model.held or {}
  table.insert(model.held, request)
end

-- What was published has been told of once all workers' logs are read.
function kind.lines.read(model, text)
  model.reads = model.reads or {}
  table.insert(model.reads, text)
end

local function take_read(model, text)
  local token, id, data = text:match "^(%S+) (%S+) (.*)$"
  local request = model.tokens[token]
  if not request.has_begun then -- in the moment in which it has subscribed
    begin(model, request)
    request.next_lo, request.next_hi, request.resets = 1, math.maxinteger, { [true] = true, [false] = true }
  end
  channel.on_event(model, request, id == "reset" and { event = "reset" } or { id = id, data = data })
end

local function take_reads(model)
  local reads = model.reads or {}
  model.reads = nil
  for _, text in ipairs(reads) do take_read(model, text) end
end

function kind.lines.readover(model, token, now) model.tokens[token].read_over_at = now end

function kind.may_be_cut(request)
  local c = request.channel
  return request.may_have_lost or c and request.next_lo and c.newest - request.next_lo + 1 > c.options.queue
end

-- A reader that has ended has closed the subscription.
local function is_closed(model, request, now)
  return request.read_over_at and request.read_over_at < now or request.may_have_lost or model:excused(request, "late", "replaced", "store")
end

function kind.on_head(model, request, now)
  take_reads(model)
  begin(model, request)
  local c = request.channel
  model.remove(model.held, request)
  channel.after_waiting(c, request)
  request.may_have_lost = request.may_have_lost or c.burst > c.options.queue
  request.is_closed = request.route.is_read and is_closed(model, request, now)
  model:expect(not request.route.is_read or request.read_over_at or model:excused(request, "refused", "late"), says.HANDED, "%s: its reader waits still", request)
  if request.is_closed then return end
  c.readers[#c.readers + 1] = request
  model.dirty[c.name] = true
end

function kind.on_end(model, request, how)
  if not request.is_closed then channel.on_end(model, request, how) end
end

function kind.at_rest(model)
  take_reads(model)
  for _, request in ipairs(model.held or {}) do
    begin(model, request)
    request.may_have_lost = request.may_have_lost or request.channel.burst > request.channel.options.queue
  end
end

-- How many tasks read on on a worker though memory has failed the reply that was to take over: nothing ends them.
function kind.left(model, worker)
  local count = 0
  for _, request in ipairs(model.held or {}) do
    if request.may_fail and request.route.is_read and not request.read_over_at and request.client.worker == worker then count = count + 1 end
  end
  return count
end

function kind.spawns(route) return route.is_read end

kind.on_event = channel.on_event

return kind
