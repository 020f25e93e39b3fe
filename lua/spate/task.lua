-- SPDX-License-Identifier: MIT
-- Tasks of a script's own: sse.spawn, sse.every.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"

local Task = { __name = "task" }
Task.__index = Task

local function traceback(err) return core.traceback(tostring(err)) end

local function finish(self)
  self.done = true
  self.ended:wake()
  if self.on_end then self.on_end() end
end

-- What its end takes is there before it begins: one without memory has ended all the same.
local function new_task(on_end)
  local self = setmetatable({ started = false, done = false, cancelled = false, ended = core.signal(), on_end = on_end }, Task)
  self.closer = at_end(function() finish(self) end)
  return self
end

local function run_task(self, fn, ...)
  self.started = true
  local _ <close> = self.closer
  local trace
  local result = table.pack(xpcall(fn, function(err)
    trace = core.traceback(tostring(err))
    return err
  end, ...))
  self.result = result
  if not result[1] then
    core.cut_ties()
    core.log.error(report.logged(trace or tostring(result[2])))
  end
end

local function check_task(self, name)
  if getmetatable(self) ~= Task then core.raise(("task:%s(): write it with a colon"):format(name)) end
end

-- Ends the task at its wait; true where it had not ended yet.
function Task:cancel()
  check_task(self, "cancel")
  if self.done then return false end
  self.cancelled = true
  if self.handle then core.cancel(self.handle) end
  if not self.started then finish(self) end
  return true
end

-- Without memory a task may end before it could say so.
local function has_ended(self) return self.done or self.handle and core.has_ended(self.handle) end

-- Waits for the end, that of <close> variables included: what the function returned; nil and the error; nil,
-- "cancelled"; nil, "stopped" (limits.burst).
function Task:join()
  check_task(self, "join")
  if not has_ended(self) then self.ended:wait(nil, "task:join") end
  local result = self.result
  if not result then return nil, self.cancelled and "cancelled" or "stopped" end
  if result[1] then return table.unpack(result, 2, result.n) end
  return nil, result[2]
end

local function start_task(spawn, on_end, fn, ...)
  local self = new_task(on_end)
  self.handle = spawn(run_task, self, fn, ...)
  core.notify(self.handle, self.ended)
  return self
end

-- A task of the library's own, which goes on after a reload, and keeps its state for that.
function core.background(fn, ...) return start_task(core.spawn_lasting, nil, fn, ...) end

-- The same; on_end() is called at its end, however that comes about.
function core.background_until(on_end, fn, ...) return start_task(core.spawn_lasting, on_end, fn, ...) end

return function(sse)
  -- Starts fn(...) as a task of its own, which goes on when the caller ends. A reload ends it; one that old code
  -- starts after its reload ends shutdown.grace after the last of the old streams.
  function sse.spawn(fn, ...)
    check.callable(fn, "sse.spawn")
    return start_task(core.spawn_bound, nil, fn, ...)
  end

  core.asking = setmetatable({}, { __mode = "k" }) -- in spate dev, by coroutine: the request that it answers
  local left = {} -- in spate dev, by place: tasks that have outlived the request which began them; false once that was told

  -- Tells, once for a place, of the second task that goes on behind its request: one that is begun once is meant to.
  local function advise_outside(self, what)
    local req, place = core.asking[coroutine.running()], core.where()
    if not req or left[place] == false then return end
    req:on_close(function()
      local other = left[place]
      if other == false or self.done then return end
      local is_second = other and not other.done
      if is_second then
        core.log.warn(("%s: %s: two requests have begun one each, and both go on; begin it outside of handlers, or cancel it in req:on_close%s")
          :format(place, what, what == "sse.every" and "; for a client there is sse.interval" or ""))
      end
      left[place] = not is_second and self
    end)
  end

  local pending = {} -- what is to begin with the server, while the script is loaded

  -- A task of fn, from the server's start on worker 0 (on each where `each` is true), or from now; `what` is who asks for it.
  function core.begin(fn, each, what)
    local self = new_task()
    if core.dev and not pending then advise_outside(self, what) end
    local function start()
      if self.done then return end
      local _ <close> = at_end(function()
        if not self.handle then finish(self) end
      end)
      self.handle = core.spawn_bound(run_task, self, fn)
    end
    if pending then
      if each or core.worker == 0 then pending[#pending + 1] = start end
    else
      start()
    end
    return self
  end

  -- Calls fn each `seconds`, from the server's start on worker 0 (on each with { each_worker = true }), or from now.
  function sse.every(seconds, fn, options)
    check.seconds(seconds, "sse.every")
    check.callable(fn, "sse.every")
    check.options(options or {}, "sse.every", { "each_worker" })
    return core.begin(function()
      for _ in core.ticker(seconds) do
        local ok, err = xpcall(fn, traceback)
        if not ok then core.log.error(report.logged(tostring(err))) end
      end
    end, options and options.each_worker, "sse.every")
  end

  -- What has to begin once the code is served; from now on it begins at once.
  function sse.beginnings()
    local list = pending
    pending = nil
    return list or {}
  end
end
