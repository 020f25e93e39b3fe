-- SPDX-License-Identifier: MIT
-- sse.reply(s, { recheck = fn, every = seconds }): whether a client may stay is asked again while its stream lives.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"

local EVERY, SPREAD = 30, 0.2 -- seconds; the part of them by which clients are asked apart
local PATIENCE = 60 -- seconds that an answer may take

local recheck = {}

-- What options of sse.reply say, or nil.
function recheck.plan(options)
  local fn, on_error = options.recheck, options.recheck_error
  if fn == nil then
    if options.every ~= nil then core.raise "sse.reply: every: goes with recheck" end
    if on_error ~= nil then core.raise "sse.reply: recheck_error: goes with recheck" end
    return nil
  end
  if on_error ~= nil and on_error ~= "end" and on_error ~= "keep" then
    core.raise('sse.reply: recheck_error: expected "end" or "keep", got ' .. tostring(on_error))
  end
  return {
    fn = check.callable(fn, "sse.reply: recheck"), keeps = on_error == "keep",
    every = options.every == nil and EVERY or check.seconds(options.every, "sse.reply: every"),
  }
end

local function traceback(err) return core.traceback(tostring(err)) end

-- Whether the client may stay; else why not.
local function ask(plan, req)
  local ok, allowed, why = xpcall(plan.fn, traceback, req)
  if ok then return allowed, why end
  core.log.error(report.logged(allowed))
  return plan.keeps
end

-- The same; ends the task that asks where the answer does not come.
local function ask_in_time(plan, req, task)
  local watch = core.background(function()
    core.sleep(PATIENCE)
    core.log.error(("sse.reply: recheck has not answered within %d s"):format(PATIENCE), { request = req.id })
    task:cancel()
  end)
  local _ <close> = at_end(function() watch:cancel() end)
  return ask(plan, req)
end

local function keep_asking(plan, req, task_of)
  while true do
    core.sleep(plan.every * (1 - SPREAD + 2 * SPREAD * math.random()))
    local allowed, why = ask_in_time(plan, req, task_of())
    if not allowed then return core.kick_self(req, type(why) == "string" and why or "") end
  end
end

-- Begins with the stream, whose end it does not outlive; it goes on after a reload. Where the task itself is ended, by limits.burst or
-- since no answer comes, that is a failure as well.
function recheck.begin(plan, req)
  local is_over, task = false, nil
  local begin
  local function on_end()
    if is_over then return end
    local goes_on = plan.keeps and pcall(begin) -- not where there are too many tasks
    if not goes_on then core.kick_self(req, "") end
  end
  function begin()
    task = core.background_until(on_end, function()
      keep_asking(plan, req, function() return task end)
      is_over = true
    end)
  end
  begin()
  req:on_close(function()
    is_over = true
    task:cancel()
  end)
end

return recheck
