-- SPDX-License-Identifier: MIT
-- require "spate.sse": events, streams and their combinators, waiting and tasks.
-- A stream is pulled: `pull()` returns the next value, waiting for it, or nil at the end; `close()` lets go of what it
-- holds. A function stream has `fn(send)` instead, which runs as it is where nothing transforms it. `where` is the place
-- ("file:line") where its values come from, or the function that makes them: what is no event is told with it.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"

local sse = { event = core.event, now = core.now, sleep = core.sleep, wait_fd = require "spate.wait_fd" }

local Stream = { __name = "stream" }
Stream.__index = Stream
sse.Stream = Stream

local function nothing() end

-- Ends a coroutine: its <close> variables run. An error in one of them is the caller's.
local function end_coroutine(co)
  local ok, err = coroutine.close(co)
  if not ok then error(err, 0) end
end

local function new(pull, close, where)
  return setmetatable({ pull = pull, _close = close or nothing, where = where }, Stream)
end

local function check_stream(s, what, kinds)
  if getmetatable(s) == Stream then return s end
  if check.is_channel(s) then core.raise(what .. ": expected a stream, got a channel; channel:subscribe() is one") end
  core.raise(("%s: expected %s, got %s"):format(what, kinds or "a stream", type(s)))
end

local function check_self(self, what)
  if getmetatable(self) ~= Stream then core.raise(what .. ": write it with a colon") end
end

local check_function, check_seconds, check_count = check.callable, check.seconds, check.count

-- A stream for the library's other modules. Where nothing transforms it, `carry(req)` takes the place of `pull`: it sends
-- what comes into the request's open stream without Lua.
function sse.carried(pull, close, carry)
  local s = new(pull, close)
  s.carry = carry
  return s
end

-- Lets go of what the stream holds; harmless when done twice.
function Stream:close()
  local close = self._close
  self._close, self.pull = nothing, nothing
  close()
end

Stream.__close = Stream.close

-- All of them, also where closing one fails.
local function close_all(streams)
  local first
  for _, s in ipairs(streams) do
    local ok, err = pcall(s.close, s)
    first = first or not ok and { err } or nil
  end
  if first then error(first[1], 0) end
end

-- A generator of what fn yields or sends; what it waits for, the caller waits for.
local function generate(fn)
  local step, co = core.wrap(fn)
  return new(step, function() end_coroutine(co) end)
end

local function send_by_yield(event, second)
  if event == nil then core.raise("send: expected an event (a string, a number, a table of fields or sse.event()), got nil") end
  if second ~= nil then check.one_event(second, "send") end
  coroutine.yield(event)
  return true
end

-- A function stream as one that is pulled.
local function pullable(s)
  if not s.fn then return s end
  local fn = s.fn
  local generator = generate(function() fn(send_by_yield) end)
  local pulled = new(generator.pull, function()
    local _ <close> = at_end(s._close)
    generator:close()
  end, fn)
  pulled._keep_alive = s._keep_alive
  return pulled
end

-- sse.wrap(fn): an iterator over what fn yields, in which fn may wait; closes with its for loop.
function sse.wrap(fn)
  local step, co = core.wrap(fn)
  return step, nil, nil, at_end(function() end_coroutine(co) end)
end

-- A stream of what fn(send) sends.
function sse.stream(fn)
  local s = new(nothing)
  s.fn = check_function(fn, "sse.stream")
  return s
end

-- A number, or what fn makes of it, each `period` seconds, from 1; the first after one period.
function sse.interval(period, fn)
  check_seconds(period, "sse.interval")
  if fn ~= nil then check_function(fn, "sse.interval") end
  local made_by = fn or core.where()
  local s = new(core.ticker(period, made_by), nil, made_by)
  if not fn then s.period = period end
  return s
end

-- A list has no other keys: { event = "x" } is not a list of one, but an event.
local function check_list(list, what)
  for key in next, list do
    if math.type(key) ~= "integer" then
      core.raise(("%s: expected a list of events, got a table with '%s'; a list of one event is { { ... } }"):format(what, tostring(key)))
    end
  end
end

local function of_list(list, what)
  check_list(list, what)
  local i = 0
  return new(function()
    i = i + 1
    return list[i]
  end, nil, core.where())
end

-- The values of a list, of an iterator function, or what a coroutine yields.
function sse.from(source)
  local kind = type(source)
  if kind == "function" then return new(source, nil, source) end
  if kind == "thread" then
    local step, co = core.wrap(source)
    return new(step, function() end_coroutine(co) end, core.where())
  end
  if kind ~= "table" then core.raise("sse.from: expected a list, an iterator or a coroutine, got " .. kind) end
  if getmetatable(source) == Stream then return source end
  return of_list(source, "sse.from")
end

-- One value, then the end.
function sse.once(value)
  if value == nil then core.raise("sse.once: expected a value, got nil") end
  return sse.from { value }
end

-- No value and no end.
function sse.never()
  local s = new(function() core.signal():wait(nil, "sse.never") end)
  s.never = true
  return s
end

-- Tasks that read streams into one short queue, so that its reader can also wait for a time or for all of them.
local QUEUE_MAX = 16
local Pump = {}
Pump.__index = Pump

-- No field is ever nil: one that is new can need memory, and a task that ends for lack of it has to say so.
local function new_pump(sources)
  return setmetatable({ sources = sources, changed = core.signal(), room = core.signal(), live = #sources, queue = {}, tasks = {},
    started = false, err = false }, Pump)
end

function Pump:read(source)
  local failure = "a stream that is read in a task of its own was stopped" -- or false
  local _ <close> = at_end(function()
    self.live = self.live - 1
    self.err = self.err or failure
    self.changed:wake()
  end)
  local ok, err = xpcall(function()
    for value in source.pull do
      while #self.queue >= QUEUE_MAX do self.room:wait() end
      self.queue[#self.queue + 1] = value
      self.changed:wake()
    end
  end, function(err) return type(err) == "string" and core.traceback(err) or err or tostring(err) end)
  failure = not ok and err
end

function Pump:start()
  self.started, self.err = true, "not all tasks that read its streams could start"
  for i, source in ipairs(self.sources) do
    self.tasks[i] = false -- its place, so that a task that has begun is never without one
    self.tasks[i] = core.spawn(self.read, self, source)
    core.notify(self.tasks[i], self.changed)
  end
  self.err = false
end

-- Without memory a task may end before it could say so.
function Pump:check()
  local ended = 0
  for _, task in ipairs(self.tasks) do
    if core.has_ended(task) then ended = ended + 1 end
  end
  if ended > #self.sources - self.live then error("a stream that is read in a task of its own has failed", 0) end
end

-- The next value; nil at the end; nil, "timeout" once `deadline` (of sse.now) has passed.
function Pump:get(deadline)
  if not self.started then self:start() end
  while #self.queue == 0 do
    if self.err then error(self.err, 0) end
    if self.live == 0 then return nil end
    self:check()
    local left = deadline and math.max(deadline - core.now(), 0)
    if not self.changed:wait(left) and #self.queue == 0 then return nil, "timeout" end
  end
  local value = table.remove(self.queue, 1)
  if #self.queue == 0 then self.room:wake() end
  return value
end

function Pump:cancel()
  for _, task in ipairs(self.tasks) do
    if task then core.cancel(task) end
  end
end

-- Whoever reads a pump has it by this, and its tasks do not: they end also where it is dropped without a close.
local Reader = {}
Reader.__index = Reader

function Reader:get(deadline) return self.pump:get(deadline) end

function Reader:__gc() self.pump:cancel() end

local function pumped(sources)
  local pump = new_pump(sources)
  return setmetatable({ pump = pump }, Reader), function()
    pump:cancel()
    close_all(sources)
  end
end

-- The stream with what keep_alive has said of the first of its sources that has it.
local function keeping(sources, s)
  for _, source in ipairs(sources) do s._keep_alive = s._keep_alive or source._keep_alive end
  return s
end

-- The values of all streams, as they come; ends when all have.
function sse.merge(...)
  local sources = { ... }
  for i = 1, select("#", ...) do sources[i] = pullable(check_stream(sources[i], "sse.merge")) end
  local pump, close = pumped(sources)
  return keeping(sources, new(function() return (pump:get()) end, close, core.where()))
end

function Stream:merge(...)
  check_self(self, "stream:merge")
  return sse.merge(self, ...)
end

-- A stream over this one's values, keeping what keep_alive has said. `where`: the function that makes others of them. Where nothing is
-- to come of the subscription that it ends with, there is none of this one.
local function derive(self, make, where)
  local source = pullable(self)
  local derived = keeping({ source }, new(make(source), function() source:close() end, where or source.where))
  derived.ends_with, derived.is_over = source.subscription or source.ends_with, source.is_over
  return derived
end

-- " file:line" of a function of the user's.
local function place_of(fn)
  local info = debug.getinfo(fn, "S")
  return info.linedefined > 0 and (" %s:%d"):format(info.short_src, info.linedefined) or ""
end

local function nil_refusal(fn) -- the error's text
  return ("stream:map: the function%s returned nil; use filter to leave values out"):format(place_of(fn))
end

function Stream:map(fn)
  check_self(self, "stream:map")
  check_function(fn, "stream:map")
  if self.period and self._close == nothing then -- ticks are made into values where they are made
    return keeping({ self }, new(core.ticker(self.period, fn, nil_refusal), nil, fn))
  end
  return derive(self, function(source)
    local pull = source.pull
    return function()
      local value = pull()
      if value == nil then return nil end
      local mapped = fn(value)
      if mapped == nil then error(nil_refusal(fn), 0) end
      return mapped
    end
  end, fn)
end

function Stream:filter(fn)
  check_self(self, "stream:filter")
  check_function(fn, "stream:filter")
  return derive(self, function(source)
    return function()
      for value in source.pull do
        if fn(value) then return value end
      end
    end
  end)
end

function Stream:inspect(fn)
  check_self(self, "stream:inspect")
  check_function(fn, "stream:inspect")
  return derive(self, function(source)
    return function()
      local value = source.pull()
      if value ~= nil then fn(value) end
      return value
    end
  end)
end

function Stream:take(n)
  check_self(self, "stream:take")
  check_count(n, "stream:take")
  return derive(self, function(source)
    return function()
      if n == 0 then return nil end
      n = n - 1
      return source.pull()
    end
  end)
end

function Stream:take_while(fn)
  check_self(self, "stream:take_while")
  check_function(fn, "stream:take_while")
  return derive(self, function(source)
    local over = false
    return function()
      local value = not over and source.pull() or nil
      if value ~= nil and fn(value) then return value end
      over = true
    end
  end)
end

function Stream:skip(n)
  check_self(self, "stream:skip")
  check_count(n, "stream:skip")
  return derive(self, function(source)
    return function()
      while n > 0 do
        n = n - 1
        if source.pull() == nil then return nil end
      end
      return source.pull()
    end
  end)
end

-- This stream's values, then those of the others in turn.
function Stream:chain(...)
  check_self(self, "stream:chain")
  local sources = { self, ... }
  for i = 1, select("#", self, ...) do sources[i] = pullable(check_stream(sources[i], "stream:chain")) end
  local at = 1
  local chained
  chained = keeping(sources, new(function()
    while sources[at] do
      chained.where = sources[at].where
      local value = sources[at].pull()
      if value ~= nil then return value end
      sources[at]:close()
      at = at + 1
    end
  end, function() close_all(sources) end))
  return chained
end

-- The given values first.
function Stream:start_with(...)
  check_self(self, "stream:start_with")
  return sse.from({ ... }):chain(self)
end

-- At most one value in `seconds`: the first, those that follow too soon are dropped.
function Stream:throttle(seconds)
  check_self(self, "stream:throttle")
  check_seconds(seconds, "stream:throttle")
  return derive(self, function(source)
    local next_at = -math.huge
    return function()
      for value in source.pull do
        local now = core.now()
        if now >= next_at then
          next_at = now + seconds
          return value
        end
      end
    end
  end)
end

-- Like derive, with a pump between, for what must wait for a value and for a time.
local function derive_pumped(self, make)
  local sources = { pullable(self) }
  local pump, close = pumped(sources)
  return keeping(sources, new(make(pump), close, core.where()))
end

-- A value once no other has followed it for `seconds`.
function Stream:debounce(seconds)
  check_self(self, "stream:debounce")
  check_seconds(seconds, "stream:debounce")
  return derive_pumped(self, function(pump)
    return function()
      local value = pump:get()
      while value ~= nil do
        local newer, why = pump:get(core.now() + seconds)
        if newer == nil then return value, why end
        value = newer
      end
    end
  end)
end

-- Lists of up to n values, each sent at the latest `seconds` after its first value.
function Stream:batch(n, seconds)
  check_self(self, "stream:batch")
  if check_count(n, "stream:batch") == 0 then core.raise("stream:batch: expected 1 or more") end
  if seconds ~= nil then check_seconds(seconds, "stream:batch") end
  return derive_pumped(self, function(pump)
    return function()
      local first = pump:get()
      if first == nil then return nil end
      local list, deadline = { first }, seconds and core.now() + seconds
      while #list < n do
        local value = pump:get(deadline)
        if value == nil then break end
        list[#list + 1] = value
      end
      return list
    end
  end)
end

-- Ends the stream where no value comes for `seconds`.
function Stream:timeout(seconds)
  check_self(self, "stream:timeout")
  check_seconds(seconds, "stream:timeout")
  return derive_pumped(self, function(pump)
    return function() return (pump:get(core.now() + seconds)) end
  end)
end

-- for value in stream do ... end: goes on where another such loop has left it, and does not close it.
function Stream:__call()
  if self.fn then core.raise "a stream of a function(send) is read by stream:each()" end
  return self.pull()
end

-- The next value, waiting for it; nil at the end. sse.reply and loops go on behind it.
function Stream:next()
  check_self(self, "stream:next")
  if self.fn then
    local pulled = pullable(self)
    self.fn, self.pull, self._close = nil, pulled.pull, pulled._close
  end
  return self.pull()
end

-- For loops: for value in stream:each() do ... end
function Stream:each()
  check_self(self, "stream:each")
  local source = pullable(self)
  return function() return source.pull() end, nil, nil, source
end

-- A stream of a channel's subscription, after the value `first` where there is one.
function sse.subscription(subscription, first)
  local next_event, s = core.reader(subscription), nil
  local function next()
    if s.first == nil then return next_event() end
    local value = s.first
    s.first = nil
    return value
  end
  s = new(first == nil and next_event or next, function() subscription:close() end)
  s.subscription, s.first, s.compress = subscription, first, core.compresses(subscription)
  return s
end

-- All values in a list, once the stream has ended.
function Stream:collect()
  check_self(self, "stream:collect")
  local list = {}
  for value in self:each() do list[#list + 1] = value end
  return list
end

-- Calls fn() when the stream is let go of: at its end, on an error, when the client has left.
function Stream:on_close(fn)
  check_self(self, "stream:on_close")
  check_function(fn, "stream:on_close")
  local close = self._close
  self.ends_with = self.subscription or self.ends_with
  self.never, self.subscription, self.carry = nil, nil, nil
  self._close = function()
    local _ <close> = at_end(function() fn() end)
    close()
  end
  return self
end

local EVENT = getmetatable(sse.event())

-- What a function(send) or a list stands for.
local function as_stream(value, what)
  if type(value) == "function" then return sse.stream(value) end
  if type(value) == "table" and getmetatable(value) == nil then return of_list(value, what) end
  if getmetatable(value) == EVENT then core.raise(what .. ": expected a stream, got an event; { event } is a stream of it") end
  local meta = getmetatable(value)
  if meta and meta == package.loaded["spate.http_response"] then core.raise(what .. ": expected a stream, got a response; res:events() is one") end
  return check_stream(value, what, "a stream, a function(send) or a list")
end

local KeepAlive = require "spate.keep_alive"(sse, as_stream)

local REPLY_OPTIONS = { "status", "headers", "keep_alive", "compress", "recheck", "every", "recheck_error" }

-- The reply whose body is this stream: a stream, a function(send), a list.
function sse.reply(stream, options)
  if getmetatable(stream) == KeepAlive then core.raise("sse.reply: expected a stream; end the keep-alive with :stream(s)") end
  if stream == nil and type(options) == "string" then core.raise("sse.reply: expected a stream, got nil: " .. options) end
  stream = as_stream(stream, "sse.reply")
  if options ~= nil and type(options) ~= "table" then core.raise("sse.reply: expected a table of options, got " .. type(options)) end
  check.options(options or {}, "sse.reply", REPLY_OPTIONS)
  for name, value in pairs(options or {}) do
    if name == "keep_alive" and type(value) ~= "boolean" then
      core.raise("sse.reply: keep_alive is true or false; sse.keep_alive():interval(5):stream(s) sets more")
    elseif name == "compress" and type(value) ~= "boolean" then
      core.raise("sse.reply: compress: expected true or false, got " .. tostring(value))
    end
  end
  return require("spate.reply").event_stream(stream, options or {})
end

-- A subscription that nothing transforms goes on in C, without this task.
local function run_subscription(req, stream)
  if stream.first ~= nil then core.sender(req)(stream.first) end
  if not core.is_replaying(stream.subscription) then return core.attach(req, stream.subscription) end
  local own = core.take_over(stream.subscription)
  local _ <close> = at_end(function() own:close() end)
  core.replay(own, req)
  core.attach(req, own)
end

local function run_and_close(stream, fn, send)
  local _ <close> = at_end(stream._close)
  fn(send)
end

-- In spate dev: tells of a reply that a stream's function returns.
local function without_reply(fn)
  return function(send)
    local value = fn(send)
    if getmetatable(value) ~= require("spate.reply").Reply then return end
    local info = debug.getinfo(fn, "S")
    error(("the function of sse.reply at %s:%d returned a reply, and its stream has begun: the handler can return one, before sse.reply"):format(
      info.short_src, info.linedefined), 0)
  end
end

-- Runs a stream's producer, to its end, in a task of its own: what made the reply need not live as long.
function sse.run(req, stream)
  if stream.never then return core.detach(req) end
  if stream.subscription then return run_subscription(req, stream) end
  if stream.carry then return stream.carry(req) end
  if not stream.fn then
    if stream._close == nothing and core.tick(req, stream.pull) then return end
    return core.go_on(req, core.pump, req, stream)
  end
  local send, fn = core.sender(req), core.dev and without_reply(stream.fn) or stream.fn
  if stream._close == nothing then return core.go_on(req, fn, send) end
  return core.go_on(req, run_and_close, stream, fn, send)
end

-- The text of an event on the wire; raises at the caller's line where the value is none.
sse.encode = core.encode

require "spate.task"(sse)

core.public(sse, "wrap", "stream", "interval", "from", "once", "never", "merge", "keep_alive", "reply", "spawn", "every", "wait_fd")
core.public(Stream, "merge", "map", "filter", "inspect", "take", "take_while", "skip", "chain", "start_with", "throttle",
  "debounce", "batch", "timeout", "next", "each", "collect", "on_close")

sse.channel = require("spate.channel")(sse)

package.loaded["spate.sse"] = sse
require "spate.promise"

return sse
