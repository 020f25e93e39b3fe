-- SPDX-License-Identifier: MIT
-- What every client may and must have seen. It knows the program, what was sent and when, and from the application's
-- log what was published; each expectation is a sentence of the READMEs. Time stands while the servers come to rest,
-- so "at rest" means: whatever was to happen by now has happened.
local pipeline = require "spec.simulate.pipeline"

local Model = {}
Model.__index = Model

local EPS = 1e-6

local classes = {} -- by kind of route

local function new(plan)
  local self = setmetatable({ plan = plan, now = 0, channels = {}, open = {}, tokens = {}, count = 0, reloads = 0, faults = 0, dirty = {}, owed = {}, served = 1 }, Model)
  for i, options in ipairs(plan.apps[1].channels) do
    self.channels["c" .. i] = { name = "c" .. i, options = options, events = {}, newest = 0, readers = {}, burst = 0 }
  end
  self.interval = plan.settings.keep_alive and plan.settings.keep_alive.interval or 15
  self.send_timeout = plan.settings.timeouts and plan.settings.timeouts.send or 30
  return self
end

function Model:fail(...) error(("at %.6f s: %s"):format(self.now, (...):format(select(2, ...))), 0) end

-- `sentence`: what the READMEs promise. The rest says what was seen.
local function expect(self, holds, sentence, ...)
  if not holds then self:fail("%s\n  expected: %s", (...):format(select(2, ...)), sentence) end
end

local function describe(request)
  return ("client %d, request %s %s %s (sent at %.3f s)"):format(request.client.slot, tostring(request.token), request.method, tostring(request.target), request.sent_at)
end

-- What the simulation tells: requests

function Model:on_reload(version) self.reloads, self.served = self.reloads + 1, version end

local function route_of(self, request, version)
  local app = self.plan.apps[version]
  for _, route in ipairs(app and app.routes or {}) do
    if route.path == request.path and route.method == request.method then return route end
  end
end

function Model:on_request(request)
  local route = route_of(self, request, self.served)
  request.channel = route and route.kind == "channel" and self.channels["c" .. route.channel]
  self.count = self.count + 1
  self.tokens[request.token] = request
  request.newest_at_sent = {}
  for name, c in pairs(self.channels) do request.newest_at_sent[name] = c.newest end
  request.reloads, request.served = self.reloads, self.served
  request.highest_count = self.highest_count or 0
end

local function remove(list, value)
  for i = #list, 1, -1 do
    if list[i] == value then table.remove(list, i) return end
  end
end

-- Failures that the plan brings about may end or refuse anything, but never make it wrong.
function Model:may_fail(request) return self.faults > (request.faults_before or 0) or self.is_faulty end

function Model:on_head(request, now)
  if request.is_refusal then
    expect(self, request.status == 503 or request.status == 408 or self.is_draining, "503 with Retry-After, then closed", "%s: refused with %d", describe(request), request.status)
    return
  end
  local status = request.status
  request.route = route_of(self, request, tonumber(request.fields["x-v"]))
  if status == 404 or status == 405 then
    local is_there = route_of(self, request, request.served) and route_of(self, request, self.served)
    return expect(self, not is_there, "a path that has other methods answers 405", "%s: status %d", describe(request), status)
  end
  if request.status ~= 200 or not request.route then
    local allowed = request.route and classes[request.route.kind].statuses
    local is_allowed = allowed and allowed[request.status] or self:may_fail(request) and request.status >= 500
    return expect(self, is_allowed, "what the handler returns is the answer", "%s: status %d", describe(request), request.status)
  end
  request.class = classes[request.route.kind]
  request.is_loose = request.is_loose or not request.client.is_reading
  self.open[#self.open + 1] = request
  if request.class.on_head then request.class.on_head(self, request, now) end
end

local function note_retry(self, request, event)
  request.has_retry = true
  expect(self, self.reloads > request.reloads or self.is_draining or event.data, "then they get a `retry:` and a clean end", "%s: retry %s", describe(request), event.retry)
end

function Model:on_event(request, event, now)
  if event.retry and not event.data then return note_retry(self, request, event) end
  if not request.class then self:fail("%s: an event in an answer of status %s", describe(request), request.status) end
  request.class.on_event(self, request, event, now)
end

function Model:on_comment(request, _, now)
  local route, idle = request.route, now - request.client.before_at
  expect(self, route and route.keep_alive ~= false, "keep_alive = false: no comments", "%s: a comment", describe(request))
  expect(self, request.is_loose or math.abs(idle - self.interval) < EPS, "A stream that is idle for 15 s gets a comment (keep_alive.interval)",
    "%s: a comment after %.6f s", describe(request), idle)
end

function Model.on_body() end

function Model.on_bytes(_, client, _, now)
  client.before_at, client.heard_at = client.last_at, now
end

local is_behind_the_last

function is_behind_the_last(request)
  local before = request.behind
  return before and (before.fields and before.fields.connection == "close" or is_behind_the_last(before))
end

local function may_be_cut(self, request, now)
  local client = request.client
  local c = request.channel
  if c and (c.burst > c.options.queue or request.next_lo and c.newest - request.next_lo + 2 > c.options.queue) then return true end -- a comment may wait before them
  local was_slow = client.stalled_at and now - client.stalled_at >= self.send_timeout - EPS
  return client.is_over == "left" or client.has_finished or was_slow or self:may_fail(request) or request.may_be_cut
end

function Model:on_end(request, how, now)
  remove(self.open, request)
  local following = request.client.waiting[request.client.first]
  if following then following.behind = request end
  if request.is_refusal then return end
  if how == "unanswered" then return self:on_unanswered(request, now) end
  if how == "cut" then
    expect(self, may_be_cut(self, request, now), "a stream ends, or is cut for a reason", "%s: cut, the server says %s", describe(request),
      tostring(request.client.core:reason()))
  elseif request.rest and request.rest ~= "" then self:fail("%s: ends within an event: %q", describe(request), request.rest) end
  if request.class and request.class.on_end then request.class.on_end(self, request, how, now) end
end

function Model:on_unanswered(request, now)
  local client, before = request.client, request.behind
  local is_closed = before and (before.ended ~= "end" or is_behind_the_last(request))
  expect(self, is_closed or request.is_loose or may_be_cut(self, request, now), "requests are answered", "%s: the connection has closed without an answer", describe(request))
  return client
end

-- Streams that were opened by older code may end early.
local function is_left(self, request)
  return self.reloads > request.reloads or self.is_draining or request.client.has_finished
end

-- What the application has logged

local LINES = {}

function Model:on_line(what, text, now)
  local handle = LINES[what]
  if handle then handle(self, text, now) end
end

function LINES.pub(self, text, now)
  local name, epoch, seq, data = text:match "^(%S+) (%w+)-(%d+) (%S+)$"
  local c = self.channels[name]
  seq = math.tointeger(tonumber(seq))
  c.epoch = c.epoch or epoch
  expect(self, c.epoch == epoch and not c.events[seq], "Ids are made by the server, and only rise", "%s: %s-%d is there already", name, epoch, seq)
  c.events[seq] = { data = data, at = now }
  c.newest = math.max(c.newest, seq)
  c.burst = c.burst + 1
  self.dirty[name] = true
end

function LINES.ran(self, text)
  local request = self.tokens[text]
  expect(self, request and not request.has_run, "a task runs once, and goes on when the client leaves", "task of %s", text)
  request.has_run = true
end

function LINES.closing(self, text)
  local token, reason = text:match "^(%S+) (%S+)$"
  local request = self.tokens[token]
  expect(self, not request.closing, "fn runs at its end, or when the client leaves", "on_close of %s runs twice", token)
  request.closing = reason
end

function LINES.closed(self, text)
  local token, reason = text:match "^(%S+) (%S+)$"
  local request = self.tokens[token]
  expect(self, request.closing == reason and not request.has_closed, "on_close functions may wait", "on_close of %s", token)
  request.has_closed = true
end

-- Rest

local function at_rest_channel(self, c)
  for seq = c.newest, 1, -1 do
    if seq <= (c.dense or 0) then break end
    expect(self, c.events[seq] or self.is_faulty, "publish returns the id", "%s: number %d was never returned", c.name, seq)
  end
  c.dense = c.newest
  for _, request in ipairs(c.readers) do
    if request.client.is_reading and not request.client.is_over then
      expect(self, request.next_hi > c.newest, "Publish once, reach everyone, on every worker", "%s: has not got %s-%d, of %d", describe(request),
        c.name, request.next_lo, c.newest)
      request.has_all = true
    else request.has_all = false end
  end
  c.burst = 0
end

-- Once the servers have come to rest, with all that has come told.
function Model:at_rest()
  for i = 1, #self.plan.apps[1].channels do
    local name = "c" .. i
    if self.dirty[name] then
      self.dirty[name] = nil
      at_rest_channel(self, self.channels[name])
    end
  end
end

local function check_waiting(self, client, now)
  local request = client:current()
  if not request or not client.is_reading or client.is_over or client.has_finished then return end
  if not request.status then
    if is_behind_the_last(request) then return end
    local since = math.max(request.sent_at, request.behind and request.behind.ended_at or 0)
    local delay = request.delay or 0
    return expect(self, now < since + delay + EPS, "requests are answered", "%s: no answer %.3f s after it", describe(request), now - since)
  end
  if request.is_sse and not request.is_loose and request.route.keep_alive ~= false then
    expect(self, now - client.last_at < self.interval + EPS, "A stream that is idle for 15 s gets a comment (keep_alive.interval)",
      "%s: nothing for %.3f s", describe(request), now - client.last_at)
  end
end

-- At rest, of all clients: what is overdue.
function Model:check(clients, now)
  for _, client in ipairs(clients) do check_waiting(self, client, now) end
  for _, request in ipairs(self.open) do
    local class = request.class
    if class.check and request.client.is_reading and not request.client.has_finished then class.check(self, request, now) end
  end
end

-- Time has jumped: nobody knows any more what was to come when.
function Model:on_jump()
  for _, request in ipairs(self.open) do request.is_loose = true end
end

-- Routes whose values are a pipeline's

local function pipeline_head(self, request, now)
  local route, horizon = request.route, self.plan.horizon or 4000
  request.tags = {}
  for tag, p in pairs { a = route.pipeline, b = route.beside } do
    route.cache = route.cache or {}
    if not route.cache[tag] then
      local items, ends = pipeline.evaluate(p, horizon)
      route.cache[tag] = { items = items, ends = ends, is_timed = pipeline.is_timed(p) }
    end
    request.tags[tag] = { next = 1, from = route.cache[tag], t0 = now }
  end
end

local function find_from(items, from, text)
  for i = from, #items do
    if tostring(items[i].v) == text then return i end
  end
end

local PULLED = "a stream gives its values in order, as they come"

local function pipeline_event(self, request, event, now)
  local token, tag, text = (event.data or ""):match "^(%w+):(%w):(.*)$"
  expect(self, token == request.token, "Each client has its own stream", "%s: has got %q", describe(request), tostring(event.data))
  local at = request.tags[tag]
  local items = at.from.items
  local i = at.next
  if request.is_loose and at.from.is_timed then i = find_from(items, i, text) end
  local item = items[i]
  expect(self, item and tostring(item.v) == text, PULLED, "%s: %q instead of %s:%s", describe(request), event.data, tag, item and item.v)
  expect(self, request.is_loose or math.abs(at.t0 + item.at - now) < EPS, PULLED, "%s: %q comes %.6f s late", describe(request), event.data,
    now - at.t0 - item.at)
  at.next = i + 1
end

local function pipeline_check(self, request, now)
  if request.is_loose then return end
  local ends = 0
  for tag, at in pairs(request.tags) do
    local item = at.from.items[at.next]
    expect(self, not item or at.t0 + item.at > now - EPS, PULLED, "%s: %s:%s is overdue", describe(request), tag, item and item.v)
    ends = math.max(ends, at.from.ends and at.t0 + at.from.ends or math.huge)
  end
  expect(self, now < ends + EPS, "a stream ends with its source", "%s: has not ended", describe(request))
end

local function pipeline_end(self, request, how, now)
  if how ~= "end" or is_left(self, request) then return end
  for tag, at in pairs(request.tags) do
    local item = at.from.items[at.next]
    expect(self, not item or request.is_loose and at.from.is_timed, PULLED, "%s: ended before %s:%s", describe(request), tag, item and item.v)
    expect(self, request.is_loose or at.from.ends and now > at.t0 + at.from.ends - EPS, PULLED, "%s: ended early", describe(request))
  end
end

classes.pipeline = { on_head = pipeline_head, on_event = pipeline_event, on_end = pipeline_end, check = pipeline_check }

classes.closing = {
  on_head = function(self, request, now)
    pipeline_head(self, request, now)
    self.owed[#self.owed + 1] = request
  end,
  on_event = pipeline_event, on_end = pipeline_end, check = pipeline_check,
}

-- Channels

-- The oldest number that history holds when `newest` is the newest; newest + 1: none.
local function oldest_held(c, newest, now)
  local o = c.options
  local first = math.max(newest - (o.history or 0) + 1, 1)
  while first <= newest and o.ttl ~= 0 and c.events[first] and c.events[first].at + (o.ttl or 3600) <= now do first = first + 1 end
  return first
end

local function first_for(c, request, newest, now)
  local oldest, after = oldest_held(c, newest, now), request.after
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

local function key_of(event) return tonumber(event.data:match "^[^.]*%.%d+%.%d+%.(%d+)") % 3 end

-- "drop_oldest": those that did not fit; "conflate": all but the newest of each key, of what waited.
local function may_skip(c, request, to)
  local policy = c.options.on_full
  if policy == "drop_oldest" then return not request.has_all or c.burst > c.options.queue end
  if policy ~= "conflate" or request.has_all and c.burst == 1 then return false end
  local is_newer = {}
  for seq = c.newest, request.next_hi, -1 do
    local key = c.events[seq] and key_of(c.events[seq])
    if key and seq < to and not is_newer[key] then return c.newest - request.next_hi >= c.options.queue end
    is_newer[key or 0] = true
  end
  return true
end

classes.channel = {
  on_head = function(self, request, now)
    local c = self.channels["c" .. request.route.channel]
    request.channel = c
    request.next_lo, request.next_hi, request.resets = math.maxinteger, 0, {}
    for newest = request.newest_at_sent[c.name], c.newest do
      local first, is_reset = first_for(c, request, newest, now)
      request.next_lo, request.next_hi = math.min(request.next_lo, first), math.max(request.next_hi, first)
      request.resets[is_reset] = true
    end
    if c.options.history_bytes then -- how much it holds is not known here
      request.next_lo, request.next_hi, request.resets = 1, math.maxinteger, { [true] = true, [false] = true }
    end
    c.readers[#c.readers + 1] = request
    self.dirty[c.name] = true
  end,
  on_event = function(self, request, event)
    local c = request.channel
    if event.event == "reset" then
      expect(self, request.resets[true], "Where the history no longer has it, an `event: reset` comes first", "%s: a reset after %s", describe(request), tostring(request.after))
      request.resets = { [false] = true }
      return
    end
    local epoch, seq = (event.id or ""):match "^(%w+)-(%d+)$"
    seq = math.tointeger(tonumber(seq))
    local known = c.events[seq]
    expect(self, known and epoch == c.epoch, "never what nobody published", "%s: %s %q", describe(request), tostring(event.id), tostring(event.data))
    expect(self, known.data == event.data, "Each event once", "%s: %s is %q, was published as %q", describe(request), event.id, event.data, known.data)
    expect(self, request.resets[false], "Where the history no longer has it, an `event: reset` comes first", "%s: %s, and no reset", describe(request), event.id)
    expect(self, seq >= request.next_lo, "Who comes back gets what was missed, once and in order", "%s: %s, expected %d", describe(request), event.id, request.next_lo)
    expect(self, seq <= request.next_hi or may_skip(c, request, seq), "Who comes back gets what was missed, once and in order", "%s: %s, expected %d to %d", describe(request), event.id,
      request.next_lo, request.next_hi)
    request.next_lo, request.next_hi, request.resets = seq + 1, seq + 1, { [false] = true }
  end,
  on_end = function(self, request, how)
    local c = request.channel
    remove(c.readers, request)
    if how == "end" then expect(self, is_left(self, request) or c.is_finished, "a channel's stream goes on until the channel is finished", "%s: ended", describe(request)) end
  end,
}

-- Answers

local function text_of(prefix)
  return function(self, request, how)
    if how == "end" then
      expect(self, request.content == prefix .. " " .. request.token, "a string alone is the answer", "%s: %q", describe(request), tostring(request.content))
    end
  end
end

classes.text = { on_end = text_of "text" }
classes.late = { on_end = text_of "late" }

classes.task = {
  on_head = function(self, request, now)
    request.runs_at = now + request.route.delay
    self.owed[#self.owed + 1] = request
  end,
  on_end = text_of "spawned",
}

classes.publish = {
  on_end = function(self, request, how)
    if how ~= "end" then return end
    local c = self.channels["c" .. request.route.channel]
    local epoch, seq = (request.content or ""):match "^published (%w+)-(%d+)$"
    local known = c.events[tonumber(seq)]
    expect(self, known and epoch == c.epoch, "publish returns the id", "%s: %q", describe(request), tostring(request.content))
  end,
}

classes.counter = {
  on_end = function(self, request, how)
    if how ~= "end" then return end
    local n = math.tointeger(tonumber((request.content or ""):match "^count (%d+)$"))
    self.counts = self.counts or {}
    expect(self, n and not self.counts[n] and n > request.highest_count, "incr: all workers count together", "%s: %q", describe(request), tostring(request.content))
    self.counts[n] = true
    self.highest_count = math.max(self.highest_count or 0, n)
  end,
}

-- At the end of all, once every client has left and time has gone by.
function Model:finish()
  for _, request in ipairs(self.owed) do
    local is_lenient = self.reloads > request.reloads or self:may_fail(request)
    if request.route.kind == "task" then
      expect(self, request.has_run or is_lenient, "a task: goes on when the client leaves", "%s: its task has not run", describe(request))
    else
      expect(self, request.has_closed or is_lenient, "fn runs at its end, or when the client leaves", "%s: its on_close has not ended", describe(request))
    end
  end
end

return new
