-- SPDX-License-Identifier: MIT
-- The part of the model that says what nobody knows since a worker was refused memory or tasks, by a fault or by a limit
-- that is small: what was asked of that worker until then, what those requests have begun, and events that may have been published
-- without a word. `self` is the model.
local doubts = {}

-- Whoever hears of what another worker makes of an event.
local function hears_of_all(self, request)
  local route = request.route or self:route_of(request, request.served)
  return route and route.kind == "derived"
end

-- An allocation of that worker has failed.
function doubts.of_memory(self, clients, worker)
  self.short_at, self.jumped_at = self.now, self.now
  for _, client in ipairs(clients) do client.may_fail = client.may_fail or client.worker == worker end
  for _, c in pairs(self.channels) do c.is_vague, c.miscounted_at = true, self.now end
  for _, job in pairs(self.jobs) do job.may_fail = true end
  for i = (self.doubted[worker] or 0) + 1, #self.asked do
    local request = self.asked[i]
    if request.client.worker == worker or hears_of_all(self, request) then request.may_fail, request.is_loose = true, true end
  end
  self.doubted[worker] = #self.asked
end

-- The store does not answer, or what it has is not this process's alone, or who waits for it has no turns: who is there may see it.
function doubts.of_store(self)
  self.is_away = true
  for _, c in pairs(self.channels) do c.is_vague, c.miscounted_at = true, self.now end
  for i = (self.doubted.store or 0) + 1, #self.asked do self.asked[i].was_away = true end
  self.doubted.store = #self.asked
end

-- Whether a request may see that of its store.
function doubts.is_of_store(self, request) return request.was_away or self.is_away end

-- At rest.
function doubts.settle(self)
  if self.is_away and not self.store_waits and not self.held_up and not self.is_shared then self.is_away = false end
end

-- A number has been told of: those before it that were not are known to be missing.
function doubts.told(self, c, seq)
  if c.is_vague and self.short_at ~= self.now and not self.is_away then c.is_vague, c.vague_to = false, seq - 1 end
end

-- Whether one that was asked for a route of that kind failed, or may have, before it said what it had done.
function doubts.is_unsaid(self, kind)
  for _, request in ipairs(self.asked) do
    local route = request.may_fail and not (request.ended == "end" and request.status == 200) and self:route_of(request, request.served)
    if route and route.kind == kind then return true end
  end
end

-- Whether somebody who published to what a store keeps may have been ended where it waited for that, or waits still.
function doubts.has_left(self, c, or_waits)
  for _, request in ipairs(self.asked) do
    local route = c.is_kept and (request.ended or or_waits) and request.ended ~= "end" and self:route_of(request, request.served)
    if route and route.kind == "publish" and self.channels["c" .. route.channel] == c then return true end
  end
end

-- Whether an event of that number may be there without a word.
function doubts.is_untold(self, at)
  local c = at.channel
  return c.is_vague or at.seq <= (c.vague_to or 0) or doubts.has_left(self, c, true)
end

-- Whether one of them may be in its history.
function doubts.holds_untold(c) return c.is_vague or c.vague_to and c.newest - c.vague_to <= (c.options.history or 0) end

return doubts
