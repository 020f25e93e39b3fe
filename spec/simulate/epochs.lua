-- SPDX-License-Identifier: MIT
-- The part of the simulation in which a channel's store is not the process's alone: others publish there, it loses its
-- newest events and goes on in a new epoch, forgets its oldest, or cannot be caught up with. What is kept is asked of the
-- store; each event is known by its id, `before` it is the one that it follows. `self` is the model.
local says = require "spec.simulate.promises"

local epochs = {}

-- Steps of the store's, and routes that they are about.

local KINDS = { channel = true, publish = true, text = true, task = true, session = true }

local STEPS = {
  { 6, function(r, n) return { "elsewhere", what = "put", channel = r:int(1, n) } end },
  { 3, function(r, n) return { "elsewhere", what = "epoch", channel = r:int(1, n), lost = r:pick { 0, 0, 1, 2, 10 } } end },
  { 2, function(r, n) return { "elsewhere", what = "hear", channel = r:int(1, n) } end },
  { 1, function(r, n) return { "elsewhere", what = "trim", channel = r:int(1, n), count = r:int(1, 5) } end },
  { 1, function(r, n) return { "elsewhere", what = "give_up", channel = r:int(1, n) } end },
}

-- Makes a program one of these.
function epochs.add_to(p, r)
  p.has_epochs = true
  for _, app in ipairs(p.apps) do
    for i = #app.routes, 1, -1 do
      if not KINDS[app.routes[i].kind] then table.remove(app.routes, i) end
    end
  end
  for at = #p.steps, 1, -1 do
    if r:chance(25) then
      local step = r:weighed(STEPS)(r, #p.apps[1].channels)
      step.order = r:int(1, 1 << 30)
      table.insert(p.steps, at, step)
    end
  end
end

local DO = {}

function DO.put(store, name, step) store:put(name, "elsewhere." .. step.order) end
function DO.epoch(store, name, step) store:begin_epoch(name, step.lost) end
function DO.hear() end
function DO.trim(store, name, step) store:trim(name, step.count) end

-- It breaks the channel where that has been read.
function DO.give_up(store, name) pcall(store.give_up, store, name) end

function epochs.carry_out(store, step)
  local name = "c" .. step.channel
  DO[step.what](store, name, step)
  if step.what == "put" or step.what == "hear" then pcall(store.hear, store, name) end -- where it is open
end

-- What is kept.

-- Before clients' bytes of a moment are looked at.
function epochs.look(self, store)
  for name, c in pairs(self.channels) do
    local ids, trimmed = store:kept(name)
    c.place, c.before, c.kept = c.place or {}, c.before or {}, {}
    for i, id in ipairs(ids) do
      if not c.place[id] then
        c.places = (c.places or 0) + 1
        c.place[id], c.before[id] = c.places, ids[i - 1] or ""
      end
      c.kept[id] = i > trimmed
    end
    c.is_trimmed = c.is_trimmed or trimmed > 0
  end
end

-- What clients see.

-- Also between the pages of a replay, where what has just been read is lost. Behind it comes all there is.
local function told(self, request, c)
  local had = request.last_seen or request.after
  self:expect(had, says.LOST_EPOCH, "%s: a reset, and it had nothing", request)
  self:expect(not c.kept[had] or c.is_trimmed, says.LOST_EPOCH, "%s: a reset, and %s is kept", request, had)
  request.was_told, request.last_seen = true, nil
end

function epochs.on_event(self, request, event)
  local c = request.channel
  if event.event == "reset" then return told(self, request, c) end
  local id, place = event.id, c.place[event.id]
  self:expect(place, says.IDS, "%s: %s %q was never kept", request, id, event.data)
  c.data = c.data or {}
  c.data[id] = c.data[id] or event.data
  self:expect(c.data[id] == event.data, says.ONCE, "%s: %s is %q, and was %q", request, id, event.data, c.data[id])
  local last = request.last_seen or not request.was_told and request.after
  if last and c.place[last] then
    self:expect(place > c.place[last], says.ONCE, "%s: %s behind %s", request, id, last)
    local may_skip = c.options.on_full ~= "disconnect"
    self:expect(c.before[id] == last or may_skip or self:excused(request, "refused"), request.last_seen and says.ONCE or says.LOST_EPOCH, "%s: %s behind %s, and not %s", request, id, last, c.before[id])
  end
  request.last_seen = id
end

-- Once the store has carried out all, who listens has what was published last and is kept.
function epochs.at_rest(self)
  for _, c in pairs(self.channels) do
    for _, request in ipairs(c.readers) do
      local published = c.published_id
      if self:listens(request.client) and not request.ended and c.kept[published] and request.last_seen and not self.store_waits then
        self:expect(c.place[request.last_seen] >= c.place[published] or self:is_left(request) or self:excused(request, "refused"), says.REACHES, "%s: has %s, and %s was published", request,
          request.last_seen, published)
      end
    end
  end
end

-- How many events a request has not got, as far as the store has had any.
function epochs.behind(c, request)
  return (c.places or 0) - (c.place[request.last_seen or request.after] or request.places_at_sent or 0)
end

-- A publish has its id.
function epochs.published(self, name, id, data)
  local c = self.channels[name]
  c.burst, self.dirty[name] = c.burst + 1, true
  self:expect(c.place[id], says.NUMBERED, "%s: %s was never kept", name, id)
  c.data = c.data or {}
  self:expect(not c.data[id] or c.data[id] == data, says.IDS, "%s: %s is there already", name, id)
  c.data[id] = data
  if not c.published_id or c.place[id] > c.place[c.published_id] then c.published_id = id end
end

return epochs
