-- SPDX-License-Identifier: MIT
-- The part of the model that knows the states of Lua by the number that each has logged: which of them serve, when what they do again
-- and again is due, and that each which served is stopped once. All states of one load begin to serve at once. `self` is the model.
local says = require "spec.simulate.promises"

local states = {}

local EPS = 1e-6

function states.init(self)
  self.states, self.stopping, self.loads, self.served_load, self.served_since, self.late_at = {}, {}, 0, 0, 0, -1
end

-- Before code is loaded that may replace what is served.
function states.on_load(self)
  self.loads = self.loads + 1
  for number, state in pairs(self.states) do
    if state.load ~= self.served_load then self.states[number] = nil end
  end
end

-- What has served is to stop, now: at a reload what is replaced, in the end what serves.
function states.retire(self)
  for _, state in pairs(self.states) do
    if state.load == self.served_load then self.stopping[#self.stopping + 1] = state end
  end
end

function states.on_reload(self)
  states.retire(self)
  self.served_load, self.served_since = self.loads, self.now
end

-- From now on those of that worker may lack what they were to do again and again.
function states.on_fault(self, worker)
  for _, state in pairs(self.states) do state.is_vague = state.is_vague or state.worker + 1 == worker end
end

function states.loaded(self, text)
  local number, worker, version = text:match "^(%d+) (%d+) (%d+)$"
  local since = self.loads == self.served_load and self.served_since
  local state = { number = tonumber(number), worker = tonumber(worker), load = self.loads, has_served = since, ticks = {}, stops = {}, is_vague = self.short_at == self.now }
  self.states[state.number] = state
  for i, e in ipairs(since and self.plan.apps[tonumber(version)].every or {}) do
    if e.is_each or state.worker == 0 then state.ticks[i] = { period = e.period, due = since + e.period, at = since + e.period } end
  end
end

-- Each comes when it is due, which it is once the one before has ended: where several have been missed since, the last of them at once.
function states.tick(self, text, now)
  local number, i = text:match "^(%d+) (%d+)$"
  local state = self.states[tonumber(number)]
  local is_served = state and (state.load == self.served_load or now < self.reloaded_at + EPS)
  self:expect(is_served, says.OLD_TASKS, "state %s ticks on", number)
  local tick = state.ticks[tonumber(i)]
  self:expect(tick, says.ON_ONE_WORKER, "number %s ticks on worker %d", i, state.worker)
  local late = now - tick.at
  self:expect(not tick.goes_on or self:excused(state, "vague"), says.EVERY, "number %s of state %s ticks before it has ended", i, number)
  self:expect(late > -EPS and (late < EPS or self:excused(state, "vague", "catching_up")), says.EVERY, "number %s of state %s ticks %.3f s late", i, number, late)
  tick.goes_on = true
end

-- It has waited for what it published. Code that is replaced meanwhile is done with it.
function states.ticked(self, text, now)
  local number, i = text:match "^(%d+) (%d+)$"
  local state = self.states[tonumber(number)]
  if not state then return end
  local tick = state.ticks[tonumber(i)]
  tick.due, tick.goes_on = tick.due + tick.period, false
  if tick.due + tick.period <= now then tick.due = tick.due + (now - tick.due) // tick.period * tick.period end
  tick.at = math.max(tick.due, now)
end

function states.stopped(self, text)
  local number, what = text:match "^(%d+) (%a+)$"
  local state = self.states[tonumber(number)]
  local is_over = state and state.has_served and (state.load ~= self.served_load or self.is_draining)
  self:expect(is_over and not state.stops[what], says.STOPS, "state %s stops (%s)", number, what)
  self:expect(what == "each" or state.worker == 0, says.ON_ONE_WORKER, "state %s of worker %d stops", number, state.worker)
  state.stops[what] = true
end

-- At rest: what is overdue.
function states.check(self, now)
  for i = #self.stopping, 1, -1 do
    local state = table.remove(self.stopping, i)
    self:expect(state.stops.each and (state.worker ~= 0 or state.stops.once) or self:excused(state, "vague"), says.STOPS, "state %d of worker %d has not stopped", state.number, state.worker)
  end
  if self.is_draining then return end
  for _, state in pairs(self.states) do
    local is_due = state.load == self.served_load and state.worker + 1 ~= self.held_up
    for i, tick in pairs(is_due and state.ticks or {}) do
      local is_right = tick.goes_on and self:excused(state, "away") or not tick.goes_on and tick.at > now - EPS
      self:expect(is_right or self:excused(state, "vague", "catching_up"), says.EVERY, "number %d of state %d was due at %.3f s%s", i, state.number, tick.at, tick.goes_on and ", and goes on" or "")
    end
  end
end

return states
