-- SPDX-License-Identifier: MIT
-- require "spate.sse": events, streams and their combinators, waiting and tasks.
-- A stream is pulled: `next()` returns the next value, waiting for it, or nil at the end; `close()` lets go of what it
-- holds. A function stream has `fn(send)` instead, which runs as it is where nothing transforms it.
local core = require "spate.core"

local sse = { event = core.event, now = core.now, sleep = core.sleep }

local Stream = { __name = "stream" }
Stream.__index = Stream
sse.Stream = Stream

local function nothing() end

local function new(next, close)
  return setmetatable({ next = next, _close = close or nothing }, Stream)
end

local function check_stream(s, what)
  if getmetatable(s) ~= Stream then core.raise(("%s: expected a stream, got %s"):format(what, type(s))) end
  return s
end

local function check_function(fn, what)
  if type(fn) ~= "function" then core.raise(("%s: expected a function, got %s"):format(what, type(fn))) end
  return fn
end

local function check_seconds(seconds, what)
  if type(seconds) ~= "number" then core.raise(("%s: expected seconds, got %s"):format(what, type(seconds))) end
  if not (seconds > 0 and seconds < 1e9) then core.raise(("%s: expected more than 0 seconds, got %s"):format(what, seconds)) end
  return seconds
end

local function check_count(n, what)
  if math.type(n) ~= "integer" or n < 0 then core.raise(("%s: expected a number of 0 or more, got %s"):format(what, tostring(n))) end
  return n
end

-- Lets go of what the stream holds; harmless when done twice.
function Stream:close()
  local close = self._close
  self._close, self.next = nothing, nothing
  close()
end

Stream.__close = Stream.close

-- A generator of what fn yields or sends; what it waits for, the caller waits for.
local function generate(fn)
  local step, co = core.wrap(fn)
  return new(step, function() coroutine.close(co) end)
end

-- A function stream as one that is pulled.
local function pullable(s)
  if not s.fn then return s end
  local fn = s.fn
  return generate(function() fn(coroutine.yield) end)
end

-- sse.wrap(fn): an iterator over what fn yields, in which fn may wait; closes with its for loop.
function sse.wrap(fn)
  local step, co = core.wrap(fn)
  return step, nil, nil, setmetatable({}, { __close = function() coroutine.close(co) end })
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
  local n, due, tick = 0, false, core.tick
  return new(function()
    due = tick(due, period)
    n = n + 1
    if fn then return fn(n) end
    return n
  end)
end

-- The values of a list, of an iterator function, or what a coroutine yields.
function sse.from(source)
  local kind = type(source)
  if kind == "function" then return new(source) end
  if kind == "thread" then
    local step, co = core.wrap(source)
    return new(step, function() coroutine.close(co) end)
  end
  if kind ~= "table" then core.raise("sse.from: expected a list, an iterator or a coroutine, got " .. kind) end
  if getmetatable(source) == Stream then return source end
  local i = 0
  return new(function()
    i = i + 1
    return source[i]
  end)
end

-- One value, then the end.
function sse.once(value) return sse.from { value } end

-- No value and no end.
function sse.never()
  local s = new(function() core.signal():wait(nil, "sse.never") end)
  s.never = true
  return s
end

-- A task that reads a stream into a queue of one, so that its reader can also wait for a time or for another stream.
local Pump = {}
Pump.__index = Pump

local function new_pump(sources)
  return setmetatable({ sources = sources, changed = core.signal(), room = core.signal(), live = #sources, queue = {}, tasks = {} }, Pump)
end

function Pump:read(source)
  local ok, err = xpcall(function()
    for value in source.next do
      while #self.queue > 0 do self.room:wait() end
      self.queue[1] = value
      self.changed:wake()
    end
  end, debug.traceback)
  self.live = self.live - 1
  if not ok then self.err = self.err or err end
  self.changed:wake()
end

function Pump:start()
  self.started = true
  for i, source in ipairs(self.sources) do self.tasks[i] = core.spawn(self.read, self, source) end
end

-- The next value; nil at the end; nil, "timeout" once `deadline` (of sse.now) has passed.
function Pump:get(deadline)
  if not self.started then self:start() end
  while #self.queue == 0 do
    if self.err then error(self.err, 0) end
    if self.live == 0 then return nil end
    local left = deadline and math.max(deadline - core.now(), 0)
    if not self.changed:wait(left) and #self.queue == 0 then return nil, "timeout" end
  end
  local value = table.remove(self.queue)
  self.room:wake()
  return value
end

function Pump:close()
  for _, task in ipairs(self.tasks) do core.cancel(task) end
  for _, source in ipairs(self.sources) do source:close() end
end

local function pumped(sources)
  local pump = new_pump(sources)
  return pump, function() pump:close() end
end

-- The values of all streams, as they come; ends when all have.
function sse.merge(...)
  local sources = { ... }
  for i, s in ipairs(sources) do sources[i] = pullable(check_stream(s, "sse.merge")) end
  local pump, close = pumped(sources)
  return new(function() return (pump:get()) end, close)
end

function Stream:merge(...) return sse.merge(self, ...) end

-- A stream over this one's values, keeping what keep_alive has said.
local function derive(self, make)
  check_stream(self, "stream")
  local source = pullable(self)
  local s = new(make(source), function() source:close() end)
  s._keep_alive = self._keep_alive
  return s
end

function Stream:map(fn)
  check_function(fn, "stream:map")
  return derive(self, function(source)
    return function()
      local value = source.next()
      if value == nil then return nil end
      local mapped = fn(value)
      if mapped == nil then error("stream:map: the function returned nil; use filter to leave values out", 0) end
      return mapped
    end
  end)
end

function Stream:filter(fn)
  check_function(fn, "stream:filter")
  return derive(self, function(source)
    return function()
      for value in source.next do
        if fn(value) then return value end
      end
    end
  end)
end

function Stream:inspect(fn)
  check_function(fn, "stream:inspect")
  return derive(self, function(source)
    return function()
      local value = source.next()
      if value ~= nil then fn(value) end
      return value
    end
  end)
end

function Stream:take(n)
  check_count(n, "stream:take")
  return derive(self, function(source)
    return function()
      if n == 0 then return nil end
      n = n - 1
      return source.next()
    end
  end)
end

function Stream:take_while(fn)
  check_function(fn, "stream:take_while")
  return derive(self, function(source)
    local over = false
    return function()
      local value = not over and source.next() or nil
      if value ~= nil and fn(value) then return value end
      over = true
    end
  end)
end

function Stream:skip(n)
  check_count(n, "stream:skip")
  return derive(self, function(source)
    return function()
      while n > 0 do
        n = n - 1
        if source.next() == nil then return nil end
      end
      return source.next()
    end
  end)
end

-- This stream's values, then those of the others in turn.
function Stream:chain(...)
  local sources = { self, ... }
  for i, s in ipairs(sources) do sources[i] = pullable(check_stream(s, "stream:chain")) end
  local at = 1
  return new(function()
    while sources[at] do
      local value = sources[at].next()
      if value ~= nil then return value end
      at = at + 1
    end
  end, function()
    for _, s in ipairs(sources) do s:close() end
  end)
end

-- The given values first.
function Stream:start_with(...) return sse.from({ ... }):chain(self) end

-- At most one value in `seconds`: the first, those that follow too soon are dropped.
function Stream:throttle(seconds)
  check_seconds(seconds, "stream:throttle")
  return derive(self, function(source)
    local next_at = -math.huge
    return function()
      for value in source.next do
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
  local pump, close = pumped { pullable(check_stream(self, "stream")) }
  local s = new(make(pump), close)
  s._keep_alive = self._keep_alive
  return s
end

-- A value once no other has followed it for `seconds`.
function Stream:debounce(seconds)
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
  check_seconds(seconds, "stream:timeout")
  return derive_pumped(self, function(pump)
    return function() return (pump:get(core.now() + seconds)) end
  end)
end

-- For loops: for value in stream:each() do ... end
function Stream:each()
  local source = pullable(check_stream(self, "stream:each"))
  return function() return source.next() end, nil, nil, source
end

-- All values in a list, once the stream has ended.
function Stream:collect()
  local list = {}
  for value in self:each() do list[#list + 1] = value end
  return list
end

-- Calls fn() when the stream is let go of: at its end, on an error, when the client has left.
function Stream:on_close(fn)
  check_function(fn, "stream:on_close")
  local close = self._close
  self._close = function()
    close()
    fn()
  end
  return self
end

local KeepAlive = { __name = "keep_alive" }
KeepAlive.__index = KeepAlive

-- Settings for the comments that keep an idle stream alive: interval in seconds (15), text ("").
function sse.keep_alive() return setmetatable({ seconds = core.keep_alive_interval, comment = "" }, KeepAlive) end

function KeepAlive:interval(seconds)
  self.seconds = check_seconds(seconds, "keep_alive:interval")
  return self
end

function KeepAlive:text(text)
  if type(text) ~= "string" or text:find("[\r\n%z]") then
    core.raise("keep_alive:text: expected a string without line breaks")
  end
  self.comment = text
  return self
end

-- The stream with these settings.
function KeepAlive:stream(s)
  if type(s) == "function" then s = sse.stream(s) end
  check_stream(s, "keep_alive:stream")
  s._keep_alive = { self.seconds, self.comment }
  return s
end

-- Interval (0: none) and text for a stream of a reply.
function sse.keep_alive_of(stream, wanted)
  if wanted == false then return 0, "" end
  local own = stream._keep_alive
  if own then return own[1], own[2] end
  return core.keep_alive_interval, ""
end

local REPLY_OPTIONS = { status = true, headers = true, keep_alive = true }

-- The reply whose body is this stream: a stream, a function(send), a list.
function sse.reply(stream, options)
  if type(stream) == "function" then stream = sse.stream(stream)
  elseif type(stream) == "table" and getmetatable(stream) == nil then stream = sse.from(stream) end
  check_stream(stream, "sse.reply")
  for name in pairs(options or {}) do
    if not REPLY_OPTIONS[name] then core.raise(("sse.reply: unknown option '%s'; it has status, headers and keep_alive"):format(tostring(name))) end
  end
  return require("spate.reply").event_stream(stream, options or {})
end

-- Runs a stream's producer in this task, to its end.
function sse.run(req, stream)
  if stream.never then return core.detach(req) end
  local send = core.sender(req)
  if stream.fn then return stream.fn(send) end
  local _ <close> = stream
  for value in stream.next do send(value) end
end

local Task = { __name = "task" }
Task.__index = Task

local function finish(self)
  self.done = true
  self.ended:wake()
end

local function run_task(self, fn, ...)
  local _ <close> = setmetatable({}, { __close = function() finish(self) end })
  self.result = table.pack(xpcall(fn, debug.traceback, ...))
  if not self.result[1] then core.log.error(tostring(self.result[2])) end
end

-- Starts fn(...) as a task of its own, which goes on when the caller ends.
function sse.spawn(fn, ...)
  check_function(fn, "sse.spawn")
  local self = setmetatable({ ended = core.signal() }, Task)
  self.handle = core.spawn(run_task, self, fn, ...)
  return self
end

-- Ends the task at its wait; true where it had not ended yet.
function Task:cancel()
  if self.done then return false end
  if self.handle then core.cancel(self.handle) end
  finish(self)
  return true
end

-- Waits for the end: what the function returned; nil and the error; nil, "cancelled".
function Task:join()
  if not self.done then self.ended:wait(nil, "task:join") end
  local result = self.result
  if not result then return nil, "cancelled" end
  if result[1] then return table.unpack(result, 2, result.n) end
  return nil, result[2]
end

local pending = {} -- of sse.every while the script is loaded

-- Calls fn each `seconds`, from the server's start on worker 0 (on each with { each_worker = true }), or from now.
function sse.every(seconds, fn, options)
  check_seconds(seconds, "sse.every")
  check_function(fn, "sse.every")
  local self = setmetatable({ ended = core.signal() }, Task)
  local function start()
    if self.done then return end
    self.handle = core.spawn(run_task, self, function()
      local due = false
      while true do
        due = core.tick(due, seconds)
        local ok, err = xpcall(fn, debug.traceback)
        if not ok then core.log.error(tostring(err)) end
      end
    end)
  end
  local each = options and options.each_worker
  if pending then
    if each or core.worker == 0 then pending[#pending + 1] = start end
  else
    start()
  end
  return self
end

-- What sse.every has to start with the server; from now on it starts at once.
function sse.starters()
  local list = pending
  pending = nil
  return list or {}
end

return sse
