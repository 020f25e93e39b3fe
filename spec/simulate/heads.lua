-- SPDX-License-Identifier: MIT
-- The part of the simulation in which a client begins a request and does not come to the end of its head. `self` is the simulation
-- in begin, else the model.
local says = require "spec.simulate.promises"

local EPS = 1e-6
local TEXT = "GET /half HTTP/1.1\r\nHost: sim\r\nX-Half: "

local heads = {}

function heads.begin(self, client, step)
  client.half_since, client.half_sent = self.now, step.bytes
  client.is_vague = client.worker == self.held_up
  client.core:send(TEXT:sub(1, step.bytes))
end

-- One byte of it more, which does not give it more time: whether that was sent.
function heads.more(client)
  if not client.half_since or client.is_over or client.has_finished then return false end
  client.half_sent = client.half_sent + 1
  local byte = TEXT:sub(client.half_sent, client.half_sent)
  client.core:send(byte ~= "" and byte or "x")
  return true
end

-- Whether nobody knows when its time is over.
local function is_vague(self, client)
  local it = { client = client, may_fail = client.may_fail, was_held = client.is_vague }
  return self:excused(it, "held", "half_closed", "turned_away", "broken", "refused", "draining") or self:excused(client.half_since, "jumped")
end

local function ends_at(self, client)
  return math.max(client.half_since, client.arrived_at or 0) + ((self.plan.settings.timeouts or {}).head or 5)
end

-- It is answered without a request.
function heads.refused(self, request, now)
  local client = request.client
  if request.status ~= 408 or not client.half_since or client.stalled_at then return end
  self:expect(math.abs(now - ends_at(self, client)) < EPS or is_vague(self, client), says.HEAD_TIMEOUT, "client %d: 408 at %.3f s, due at %.3f", client.slot, now, ends_at(self, client))
end

function heads.check(self, client, now)
  if not client.half_since or client.stalled_at or client.is_outside or not self:listens(client) then return end
  local is_told = client.waiting[client.last] or client.core:state() ~= "open"
  self:expect(now < ends_at(self, client) + EPS or is_told or is_vague(self, client), says.HEAD_TIMEOUT, "client %d: half a head since %.3f s", client.slot, client.half_since)
end

return heads
