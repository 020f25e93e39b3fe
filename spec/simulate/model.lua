-- SPDX-License-Identifier: MIT
-- What every client may and must have seen. It knows the program, what was sent and when, and from the application's
-- log what was published; each expectation is a sentence of the READMEs, and what is particular to a building block is
-- in its file of kinds/. Time stands while the servers come to rest, so "at rest" means: whatever was to happen by now
-- has happened. Faults that the program brings about may end or refuse anything; they never make it wrong.
local bounds = require "spec.simulate.bounds"
local calls = require "spec.simulate.calls"
local doubts = require "spec.simulate.doubts"
local epochs = require "spec.simulate.epochs"
local excuses = require "spec.simulate.excuses"
local heads = require "spec.simulate.heads"
local kinds = require "spec.simulate.kinds"
local lines = require "spec.simulate.lines"
local says = require "spec.simulate.promises"
local states = require "spec.simulate.states"

local Model = {}
Model.__index = Model

local EPS = 1e-6

local function new(plan)
  plan.settings.limits = plan.settings.limits or {}
  local self = setmetatable({ plan = plan, now = 0, channels = {}, names = {}, rooms = {}, jobs = {}, counts = {}, highest_count = 0, open = {}, tokens = {}, reloads = 0,
    served = 1, dirty = {}, owed = {}, jumped_at = -1, reloaded_at = -1, reload_times = {}, published = 0, burst_at = -1, short_at = -1, asked = {}, doubted = {}, excuses = {} }, Model)
  for i, options in ipairs(plan.apps[1].channels) do
    self.names[i] = "c" .. i
    self.channels["c" .. i] = { name = "c" .. i, options = options, events = {}, newest = 0, readers = {}, burst = 0, uncounted = 0, is_kept = plan.store and options.store ~= false }
  end
  for _, app in ipairs(plan.apps) do
    for _, route in ipairs(app.routes) do self.has_others = self.has_others or kinds[route.kind].publishes end
  end
  states.init(self)
  self.interval = plan.settings.keep_alive and plan.settings.keep_alive.interval or 15
  local timeouts = plan.settings.timeouts or {}
  self.send_timeout, self.idle_timeout = timeouts.send or 30, timeouts.idle or 15
  return self
end

function Model:fail(...) error(("at %.6f s: %s"):format(self.now, (...):format(select(2, ...))), 0) end

function Model.name_of(request)
  return ("client %d, request %s %s %s (sent at %.3f s)"):format(request.client.slot, tostring(request.token), request.method, tostring(request.target), request.sent_at)
end

-- `sentence`: what is promised. The rest says what was seen; a table among it is a request.
function Model:expect(holds, sentence, format, ...)
  if holds then return end
  local said = table.pack(...)
  for i = 1, said.n do
    if type(said[i]) == "table" then said[i] = Model.name_of(said[i]) elseif type(said[i]) ~= "number" then said[i] = tostring(said[i]) end
  end
  self:fail("%s\n  expected: %s", format:format(table.unpack(said, 1, said.n)), sentence)
end

function Model.remove(list, value)
  for i = #list, 1, -1 do
    if list[i] == value then table.remove(list, i) return end
  end
end

-- What the simulation does

function Model:route_of(request, version)
  local app = self.plan.apps[version]
  for _, route in ipairs(app and app.routes or {}) do
    if route.path == request.path and route.method == (request.method == "HEAD" and "GET" or request.method) then return route end
  end
end

function Model:on_request(request)
  local route = self:route_of(request, self.served)
  request.channel = route and route.channel and kinds[route.kind].weight and self.channels["c" .. route.channel]
  self.tokens[request.token], self.asked[#self.asked + 1], request.meant_for = request, request, route
  request.newest_at_sent, request.places_at_sent = {}, request.channel and request.channel.places
  for name, c in pairs(self.channels) do request.newest_at_sent[name] = c.newest end
  if route and kinds[route.kind].on_request then kinds[route.kind].on_request(self, request, route) end
  request.reloads, request.served, request.reloaded_at, request.highest_count = self.reloads, self.served, self.reloaded_at, self.highest_count
end

function Model:on_reload(version)
  self.reloads, self.served, self.reloaded_at = self.reloads + 1, version, self.now
  self.reload_times[self.reloads] = self.now
  states.on_reload(self)
  for _, request in ipairs(self.open) do
    local keeps_newest = request.has_heard and request.channel.options.on_full ~= "disconnect" -- of what waits for it
    if request.has_all or keeps_newest then request.newest_at_reload = request.newest_at_reload or request.channel.newest end
  end
end

-- Time has jumped: nobody knows any more what was to come when.
function Model:on_jump(clients)
  self.jumped_at = self.now
  for _, client in ipairs(clients) do
    for i = client.first, client.last do
      if client.waiting[i] then client.waiting[i].is_loose, client.waiting[i].loose_at = true, self.now end
    end
  end
end

-- A worker has no turns from now on; nil: all have.
function Model:on_held_up(worker, clients)
  local of = worker or self.held_up
  if self.held_up then self.released_at = self.now end
  for _, c in pairs(self.held_up and {} or self.channels) do c.newest_before = c.newest end
  self.held_up, self.piled_up = worker, {}
  if of then self.jumped_at, self.late_at = self.now, self.now end
  for _, client in ipairs(clients) do
    for i = client.first, client.worker == of and client.last or 0 do
      local request = client.waiting[i]
      if request then request.is_loose, request.loose_at, request.has_all, request.was_held = true, self.now, false, true end
    end
  end
  local inbox = not worker and of and self.plan.settings.limits.inbox
  for _, request in ipairs(inbox and self.open or {}) do
    local c, bytes = request.kind == kinds.channel and request.client.worker == of and request.channel, 0
    for seq = c and request.next_lo or 1, c and c.newest or 0 do bytes = bytes + (c.events[seq] and #c.events[seq].data or 0) end
    if bytes > 2 * inbox + 4000 then self.piled_up[#self.piled_up + 1] = request end
  end
end

-- Once it has had its turns: who had more to come than may wait.
function Model:after_held_up()
  for _, request in ipairs(self.piled_up) do
    self:expect(request.ended, says.INBOX, "%s: is not cut", request)
  end
end

-- Whether one of these, by their names in excuses.lua, excuses that a request, or what else `it` is, is not as promised. Asked only where it is not.
Model.excused = excuses.of

-- Streams that were opened by older code may end early, as may all when the server stops.
function Model:is_left(request) return self:excused(request, "replaced", "draining", "half_closed") end

-- Whether a client takes what comes, from a worker that has turns.
function Model:listens(client) return client.is_reading and not client.is_over and client.worker ~= self.held_up end

-- What clients see

local BODY_MAX = 1024 * 1024

local REASONS = { -- of a status other than 200; or it is that of an excuse
  always = function() return true end,
  ["too large"] = function(self, _, route) return route.bytes > (self.plan.settings.limits.body or BODY_MAX) end,
  finished = function(self, request, route)
    local c = route.channel and self.channels["c" .. route.channel]
    if c then return c.is_finishing end
    return request.after or self:excused(request, "channel_bytes") or self:excused(self.jobs["job" .. route.key] or {}, "refused") -- a producer without memory
  end,
  ["falls behind"] = function(self, request) return self:excused(request, "inbox", "subscriber") end, -- a derived channel that begins
  ["asked for"] = function(_, request, route) return request.status == route.status end,
}

local function check_status(self, request, route)
  local status = request.status
  if status == 404 or status == 405 then
    local is_there = self:route_of(request, request.served) and self:route_of(request, self.served)
    return self:expect(not is_there, says.OTHER_METHODS, "%s: status %d", request, status)
  end
  local reason = route and kinds[route.kind].statuses and kinds[route.kind].statuses[status]
  local is_allowed = status == 200 and route or reason and (REASONS[reason] or excuses.of)(self, request, REASONS[reason] and route or reason)
    or status == 408 and self:excused(request, "held", "partial", "waited") or status == 503 and self:excused(request, "turned_away")
    or status >= 500 and self:excused(request, "refused", "channels")
  self:expect(is_allowed, says.ANSWER, "%s: status %d", request, status)
end

-- On a connection of HTTP/1.
local function check_count(self, request)
  local client, most = request.client, self.plan.settings.limits.requests
  if client.is_mux or not most then return end
  client.answers = (client.answers or 0) + 1
  self:expect(client.answers < most or client.answers == most and request.fields.connection == "close", says.LAST_ANSWER, "%s: is number %d, and says %s", request,
    client.answers, tostring(request.fields.connection))
end

function Model:on_head(request, now)
  check_count(self, request)
  if request.is_refusal then
    heads.refused(self, request, now)
    self:expect(request.status ~= 503 or request.fields["retry-after"] or self:excused(request, "draining"), says.TURNED_AWAY, "%s: says not when to come back", request)
    return self:expect(request.status == 503 and self:excused(request, "turned_away") or request.status == 408 or self:excused(request, "draining"), says.TURNED_AWAY,
      "%s: %d without a request", request, request.status)
  end
  local version = tonumber(request.fields["x-v"]) -- of what the application answers, but for a finished stream's 204
  local route = self:route_of(request, version or request.status == 204 and request.served or self.served)
  request.route = route
  if route and kinds[route.kind].body and route ~= request.meant_for then return end -- the body is for other code
  check_status(self, request, route)
  request.is_loose = request.is_loose or not request.client.is_reading
  if not route then return end
  request.kind = request.method == "HEAD" and kinds.head or kinds[route.kind]
  if request.status ~= 200 then return end
  self.open[#self.open + 1] = request
  if request.kind.on_head then request.kind.on_head(self, request, now) end
end

function Model:on_event(request, event, now)
  self:expect(request.kind and request.kind.on_event, says.ANSWER, "%s: an event in an answer of status %d", request, request.status)
  self:expect(not request.has_retry, says.OLD_STREAMS, "%s: an event behind it", request)
  if event.retry and not event.data then
    request.has_retry = true
    return self:expect(self:is_left(request), says.OLD_STREAMS, "%s: retry %s", request, event.retry)
  end
  request.kind.on_event(self, request, event, now)
end

-- Seconds of silence behind which a comment comes; nil: none does.
local function keep_alive_of(self, route)
  if route.is_bare and not route.keep then return nil end
  return route.keep and route.keep.interval or self.interval
end

function Model:on_comment(request, text, now)
  local route, idle = request.route, now - request.before_at
  if request.kind and request.kind.on_comment and request.kind.on_comment(self, request, text) then return end
  local interval = route and keep_alive_of(self, route)
  self:expect(interval, says.NO_KEEP_ALIVE, "%s: a comment", request)
  self:expect(text == (route.keep and route.keep.text or ""), says.KEEP_ALIVE_TEXT, "%s: %q", request, text)
  self:expect(not bounds.is_timed(self, request, request.before_at) or math.abs(idle - interval) < EPS, says.KEEP_ALIVE, "%s: after %.6f s instead of %.6f", request, idle, interval)
end

function Model.on_bytes() end

-- Whether an earlier answer on its connection has said that it is the last.
local function is_behind_the_last(request)
  local before = request.behind
  return before and (before.fields and before.fields.connection == "close" or is_behind_the_last(before))
end

-- A comment may wait before what fills a queue.
function Model:has_overflown(request)
  local c, limits = request.channel, self.plan.settings.limits
  local leaves_out = c and c.options and (c.options.on_full or "disconnect") ~= "disconnect"
  local is_derived = request.route and request.route.kind == "derived" -- what fills its channel leaves nothing out
  if leaves_out and not limits.inbox and not (is_derived and limits.subscriber) then return false end
  if request.may_have_lost then return true end
  if not c or not c.burst then return (limits.inbox or limits.subscriber) and request.kind and request.kind.publishes end -- of channels of its own
  local had_burst = self.published > 1 or request.is_loose and self.burst_at >= request.sent_at -- one that takes nothing is told later
  if limits.subscriber or limits.inbox and (not request.route or request.route.kind ~= "channel" or had_burst or self.has_others or request.was_held) then return true end
  local behind = self.plan.has_epochs and epochs.behind(c, request) or request.next_lo and c.newest - request.next_lo + 1 or 0
  local has_come = is_derived and self.released_at == self.now and c.newest - c.newest_before or c.burst -- of all that its worker had no turns for
  return math.max(c.burst, has_come, behind) >= c.options.queue
end

local function may_be_cut(self, request)
  return request.client.is_over == "left" or request.kind and request.kind.may_be_cut and request.kind.may_be_cut(request)
    or self:excused(request, "half_closed", "broken", "slow", "refused", "overflown", "draining", "store", "channels")
    or not request.is_sse and self:excused(request, "replaced") -- those of reply.stream are cut
end

function Model:on_end(request, how, now)
  request.client.ended_at = now
  request.client.quiet_since = now + (request.route and request.route.pause or 0) -- a body that is whole may come from a handler that goes on
  self.remove(self.open, request)
  if not request.client.is_mux then -- where each has a stream of its own none waits for another
    local following = request.client.waiting[request.client.first]
    request.client.answered = request
    if following then following.behind = request end
  end
  if request.is_refusal then return end
  if how == "unanswered" then
    request.route = request.route or self:route_of(request, request.served) -- over HTTP/2 one that fails may be reset before its head has left
    request.kind = request.kind or request.route and kinds[request.route.kind]
    local before = request.behind
    local is_closed = before and (before.ended ~= "end" or is_behind_the_last(request))
    return self:expect(is_closed or may_be_cut(self, request) or self:excused(request, "late", "partial", "turned_away", "beyond"), says.ANSWERED, "%s: closed without an answer", request)
  end
  if how == "cut" then
    local reason = request.client.core:reason()
    self:expect(may_be_cut(self, request), says.CUT, "%s: cut, the server says %s", request, reason)
    local is_held_to = reason == "slow_consumer" and not request.client.is_mux -- of streams beside others the connection's reason is none
    self:expect(not is_held_to or self:excused(request, "overflown", "slow", "refused", "store"), says.CUT, "%s: cut as a slow one, and little waits for it", request)
  else self:expect(not request.is_sse or request.rest == "", says.CLEAN_END, "%s: ends within an event: %q", request, request.rest) end
  local kind = request.kind
  if not kind or request.status >= 300 or request.status == 204 then return end
  if kind.answer and how == "end" then self:expect(request.content == kind.answer .. " " .. request.token, says.TEXT, "%s: %q", request, request.content) end
  if kind.on_end then kind.on_end(self, request, how, now) end
end

-- What the application has logged: the first word of a line, and the rest.
function Model:on_line(what, text, now)
  local handle = lines[what]
  if handle then handle(self, text, now) end
end

-- Rest

local channel_kind = kinds.channel

local function at_rest_channel(self, c)
  for seq = (c.dense or 0) + 1, c.newest do
    self:expect(c.events[seq] or self:excused({ channel = c, seq = seq }, "untold"), says.PUBLISHED, "%s: number %d was never returned", c.name, seq)
  end
  c.dense = c.newest
  for _, request in ipairs(c.readers) do
    bounds.queues(self, c, request)
    if self:listens(request.client) and not self.store_waits then
      channel_kind.skip_left_out(c, request)
      local waits = request.kind == kinds.snapshot and not request.has_snapshot
      local leaves_out = request.kind == kinds.derived -- what has no room
      self:expect(request.next_hi > c.newest or waits or self:excused(request, "start", "refused") or leaves_out and self:excused(request, "channel_bytes"), says.REACHES, "%s: has not got %s-%d, of %d", request,
        c.name, request.next_lo, c.newest)
      self:expect(not (c.is_finished and request.has_all) or self:excused(request, "refused", "store"), says.FINISH, "%s: goes on", request)
      request.has_all = true
    else
      request.has_all = false
      request.may_have_lost = request.may_have_lost or c.newest - request.next_lo + 2 > c.options.queue -- of which it is told later
    end
  end
  c.burst = 0
end

local RESTING = {} -- what kinds look at
for _, kind in ipairs(kinds.all) do RESTING[#RESTING + 1] = kind.at_rest end

-- Once the servers have come to rest, with all that has come told.
function Model:at_rest()
  if self.plan.has_epochs then epochs.at_rest(self) end
  for i = 1, #RESTING do RESTING[i](self, self.now) end
  for i = 1, next(self.dirty) and #self.names or 0 do -- in one order
    local name = self.names[i]
    if self.dirty[name] then
      self.dirty[name] = nil
      at_rest_channel(self, self.channels[name])
    end
  end
  if self.published > 1 then self.burst_at = self.now end
  self.published = 0
  doubts.settle(self)
end

-- A body of which the other half stays away. One that comes with its other requests is read behind those.
local function check_half(self, request, now)
  local client = request.client
  local is_alone = client.rest and client.last == client.first and not request.behind and not request.follows and not client.arrived_at
  if not is_alone or not (request.kind or kinds[(self:route_of(request, request.served) or {}).kind] or {}).body then return end
  local timeout = (self.plan.settings.timeouts or {}).body or 10
  self:expect(now < request.sent_at + timeout + EPS or self:excused(request, "refused", "held", "draining", "replaced", "turned_away") or self:excused(request.sent_at, "jumped"), says.BODY_TIMEOUT, "%s: no answer %.3f s after the half of its body", request, now - request.sent_at)
end

-- A stream that says nothing gets a comment.
local function check_silence(self, request, now)
  local interval = request.is_sse and request.route and bounds.is_timed(self, request, request.last_at) and keep_alive_of(self, request.route)
  self:expect(not interval or now - request.last_at < interval + EPS or self:is_left(request) or self:excused(request, "refused"), says.KEEP_ALIVE, "%s: nothing for %.3f s", request, now - request.last_at)
end

local function check_waiting(self, client, request, now)
  if client.worker ~= self.held_up and not client.is_over and calls.is_outside(self, client, now) then return end
  if not request or not self:listens(client) then return end
  if request.status then return check_silence(self, request, now) end
  if request.was_partial then return check_half(self, request, now) end
  local behind = request.behind or request.follows -- a body that is whole may come from a handler that goes on
  local since = math.max(request.sent_at, client.arrived_at or 0, behind and behind.ended_at + (behind.route and behind.route.pause or 0) or 0, request.was_held and self.jumped_at or 0, self.jumped_to or 0)
  self:expect(now < since + request.delay + EPS or is_behind_the_last(request) or self:excused(request, "refused", "half_closed", "draining", "turned_away", "store", "beyond"), says.ANSWERED, "%s: no answer %.3f s after it", request, now - since)
end

-- A connection on which nothing is asked is closed after a while.
local function check_idle(self, client, now)
  for i = client.first, client.last do
    if client.waiting[i] then return end
  end
  local since = math.max(client.quiet_since or math.huge, client.arrived_at or 0)
  if client.is_outside or client.stalled_at or not self:listens(client) then return end
  local is_told = client.has_gone or client.core:state() ~= "open" -- over HTTP/2 a second goes by before the end
  self:expect(now < since + self.idle_timeout + EPS or is_told or self:excused(math.min(since, client.ended_at or since), "jumped") or self:excused(client, "refused"), says.IDLE, "client %d is connected still, %.3f s behind its last answer", client.slot, now - since)
end

-- At rest, of all clients: what is overdue.
function Model:check(clients, now)
  states.check(self, now)
  for _, client in ipairs(clients) do
    check_idle(self, client, now)
    heads.check(self, client, now)
    for i = client.first, client.is_mux and client.last or client.first do check_waiting(self, client, client.waiting[i], now) end
  end
  for _, request in ipairs(self.open) do
    local check, client = request.kind.check, request.client
    bounds.old(self, request, now)
    bounds.stall(self, request, now)
    if check and self:listens(client) then check(self, request, now) end
  end
end

-- At the end of all, once every client has left and time has gone by.
function Model:finish()
  for _, request in ipairs(self.owed) do request.kind.finish(self, request) end
end

return new
