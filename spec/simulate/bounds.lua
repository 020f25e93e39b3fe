-- SPDX-License-Identifier: MIT
-- The part of the model that says what must not go on for ever: queues of clients that take nothing and of busy workers,
-- streams of code that has been replaced. `self` is the model.
local kinds = require "spec.simulate.kinds"
local says = require "spec.simulate.promises"

local bounds = {}

local EPS = 1e-6

-- What waits for one who takes nothing, and for a busy worker, is bounded.
function bounds.queues(self, c, request)
  local client, stall = request.client, request.stall
  if client.is_over or client.is_mux or client.worker == self.held_up then return end
  local function is_excused() return self:is_left(request) or self:excused(request, "refused", "store") end
  if stall and c.options.on_full == "disconnect" and request.route.kind == "channel" and not request.route.is_mapped and request.has_heard then
    local replayed = request.replayed or 0 -- may wait beside them, and where a comment waits the room is left
    self:expect(c.newest - stall.from <= c.options.queue + replayed or is_excused(), says.QUEUE, "%s: %d events wait", request, c.newest - stall.from)
  end
  local was_there = request.head_at < self.now and request.has_heard
  self:expect(c.is_lost_at ~= self.now or not was_there or is_excused(), says.INBOX, "%s: is not", request)
end

-- When streams of the code that opened it are to have ended.
local function end_of_old(self, request)
  local times, reload, shutdown = self.reload_times, self.plan.settings.reload or {}, self.plan.settings.shutdown or {}
  local first, early = times[request.reloads + 1], times[request.reloads + 1 + (reload.generations or 8)]
  return first and math.min(first + (reload.max_age or 3600), early or math.huge) + (shutdown.window or 5)
end

function bounds.old(self, request, now)
  local client, at = request.client, end_of_old(self, request)
  if not at or request.behind or not request.is_sse or not self:listens(client) then return end
  self:expect(now < at + EPS or self:excused(self.reload_times[request.reloads + 1], "jumped") or self:excused(request, "refused"), says.OLD_STREAMS, "%s: is open at %.3f s still", request, at)
end

-- The first event that is to be sent to a client behind number `from`.
local function first_behind(request, from)
  local events, at = request.channel.events, from + 1
  while kinds.channel.left_out(request, events[at]) do at = at + 1 end
  return events[at]
end

function bounds.stall(self, request, now)
  local stall = request.stall
  local first = stall and first_behind(request, stall.from)
  local client = request.client
  if not first or client.worker == self.held_up or client.is_over or request.ended or client.is_mux or not request.has_heard then return end
  local late = now - first.at - self.send_timeout
  local is_looked_at = late < EPS or late < ((self.plan.settings.shutdown or {}).window or 5) + EPS and self:is_left(request) -- as it ends
  self:expect(is_looked_at or self:excused(stall.at, "jumped") or self:excused(request, "refused", "store"), says.SEND_TIMEOUT, "%s: takes nothing since %.3f s", request, first.at)
end

local function spawns(route)
  local does = route and kinds[route.kind].spawns
  return type(does) == "function" and does(route) or does == true
end

-- A task that limits.tasks may refuse has not started; others are none of those. What waits behind another answer is for the code of then.
function bounds.refuse_tasks(self, clients)
  self.short_at = self.now
  for _, state in ipairs(self.stopping) do state.is_vague = true end
  for _, client in ipairs(clients) do
    for i = client.first, client.last do
      local request = client.waiting[i]
      local needs_one = request and (spawns(request.route or self:route_of(request, request.served)) or not request.route and spawns(self:route_of(request, self.served)))
      if needs_one then request.may_fail = true end
    end
  end
end

-- Whether its silence since `at` has the length that it is to have: once it has said something, behind what has made it late.
function bounds.is_timed(self, request, at)
  return not request.is_loose or request.loose_at and at > request.loose_at and request.client.is_reading and self.late_at ~= self.now
end

-- A client takes `bytes` more from now on; nil: all.
function bounds.window(self, client, bytes)
  for _, request in ipairs(self.open) do
    if request.client == client and request.channel then
      request.stall = bytes == 0 and request.has_all and { from = request.channel.newest, at = self.now } or nil
      if not bytes then self.dirty[request.channel.name] = true end
    end
  end
end

-- `connections`: how many the workers have when another comes.
function bounds.may_be_refused(self, connections)
  local limits = self.plan.settings.limits
  return limits.connections_per_address or limits.connections and connections >= limits.connections
end

return bounds
