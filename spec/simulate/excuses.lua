-- SPDX-License-Identifier: MIT
-- What a client may see for once other than what is promised: a line an excuse, by its name, of what it is about: a request, unless it
-- says otherwise. A check asks for excuses only where what is promised does not hold, so what is counted is how often each was needed, and
-- one that is never counted can go. `self` is the model.
local doubts = require "spec.simulate.doubts"
local kinds = require "spec.simulate.kinds"

local EPS = 1e-6

local function limit(name) return function(self) return self.plan.settings.limits[name] end end

-- What a protocol says behind the last stream waits as an idle connection does.
local function patience(self, client) return client.is_mux and math.min(self.send_timeout, self.idle_timeout) or self.send_timeout end

local EXCUSES = {
  -- What servers are refused.
  refused = function(_, it) return it.may_fail end, -- fails or comes late: memory or a task was refused to its worker, or to whom it hears of, when it was there
  unsaid = doubts.is_unsaid, -- is not told: what was done by one of a kind of routes that was refused something before it could say so
  vague = function(_, state) return state.is_vague end, -- ticks late, or does not stop: a state of Lua that was refused memory or tasks, or may be at any time
  short = function(self) return self.plan.settings.limits.lua_memory end, -- the first code does not load: there is too little memory for it
  descriptors = function(self) return self.lacks_descriptors end, -- 503, or code that does not load: while there are none
  disk = function(_, it) return it.of_disk and it.of_disk.EIO end, -- 500 or a cut: it cannot be read or written
  ["full disk"] = function(_, it) return it.of_disk and it.of_disk.ENOSPC end, -- 507
  untold = doubts.is_untold, -- an event that nobody told of: who published it had no memory to say so, or waits for its store, or has left there

  miscounted = function(_, c) return c.miscounted_at end, -- a channel's count of events, which has one more for each that was refused, or was not told of

  -- What time does to it.
  late = function(_, it) return it.is_loose end, -- at another time: it or its worker took nothing for a while, or time has jumped
  held = function(_, it) return it.was_held end, -- the same, where its worker had no turns
  jumped = function(self, since) return self.jumped_at >= since end, -- the same, since then
  catching_up = function(self) return self.late_at == self.now end, -- what was missed comes now

  -- Ends.
  replaced = function(self, it) return self.reloads > it.reloads end, -- ends: its code is not served any more
  draining = function(self) return self.is_draining end, -- the same: the servers stop
  half_closed = function(_, it) return it.client.has_finished end, -- the same: its client has said that it is done
  broken = function(_, it) return it.client.is_broken end, -- is cut: a call for its connection fails
  slow = function(self, it) return it.client.stalled_at and self.now - it.client.stalled_at >= patience(self, it.client) - EPS end, -- is cut: takes nothing
  overflown = function(self, it) return self:has_overflown(it) end, -- is cut: more waits for it than may
  turned_away = function(_, it) return it.client.may_be_refused end, -- 503: there may be no room for another connection, or no descriptor
  beyond = function(self, it) -- is not answered: behind the last that its connection may have, in the harness's protocol, which has no word for that
    local most = self.plan.settings.limits.requests
    return most and it.client.is_mux and not it.client.is_http2 and it.id > most
  end,
  partial = function(_, it) return it.was_partial end, -- 408: half of its body stays away
  waited = function(_, it) return it.has_waited end, -- 408: its body had to wait for room

  -- Stores, and limits that are small.
  store = function(self, it) return doubts.is_of_store(self, it) end, -- fails, ends, or has more or less: the store did not answer when it was there
  away = function(self) return self.is_away end, -- has not ended: what it publishes waits for a store
  channels = function(self, it) return self.plan.settings.limits.channels and it.route and kinds[it.route.kind].makes_channels end, -- 500 or a cut: there may be no more channels
  channel_bytes = limit "channel_bytes", -- is refused or left out: there is no room for it
  inbox = limit "inbox", -- 500 or a cut: more is published than may wait for a worker
  subscriber = limit "subscriber", -- the same, for a client
  start = function(self, it) return (it.is_vague or it.channel and doubts.has_left(self, it.channel)) and not it.has_heard end, -- begins behind any event: nobody knows what the channel held then
  history_bytes = function(_, c) return c.options.history_bytes end, -- less is kept, of a channel
}

local excuses = {}

-- Whether one of these, by their names, excuses `it`.
function excuses.of(self, it, ...)
  for i = 1, select("#", ...) do
    local name = select(i, ...)
    if (EXCUSES[name] or error("no excuse: " .. name))(self, it) then
      self.excuses[name] = (self.excuses[name] or 0) + 1
      return true
    end
  end
  return false
end

-- How often each was needed, as a line, of counts by name.
function excuses.line(counts)
  local list = {}
  for name in pairs(EXCUSES) do list[#list + 1] = name end
  table.sort(list)
  for i, name in ipairs(list) do list[i] = ("%s %d"):format(name, counts[name] or 0) end
  return "excuses: " .. table.concat(list, ", ")
end

return excuses
