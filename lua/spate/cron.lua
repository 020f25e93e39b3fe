-- SPDX-License-Identifier: MIT
-- spate.cron: calls a function at the times of five fields of cron, in a time zone. A task waits for the next time and starts
-- a task for each run. What was run last is kept in a dictionary of the process, so that a reload neither repeats nor loses one.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local crypto = require "spate.crypto"
local expression = require "spate.cron.expression"
local report = require "spate.report"
local sse = require "spate.sse"
local zone = require "spate.cron.zone"

local OPTIONS = { "zone", "overlap", "each_worker", "once" }
local OVERLAP = { skip = true, queue = true, allow = true }
local ONCE = { node = true, cluster = true }
local QUEUE_MAX = 100 -- runs that wait for the one before them
local LOOK = 60       -- seconds between looks at a clock that may be set
local LATE = 60       -- seconds for which a run that a reload has held up is made up for
local KEPT = 3600     -- seconds for which a run's claim is kept: longer than clocks differ
local LEASE = 30      -- seconds for which a run is known to go on, unless it says so again

local function traceback(err) return core.traceback(tostring(err)) end

local function one_of(options, name, set, default)
  local value = options[name]
  if value == nil then return default end
  if set[value] then return value end
  local names = {}
  for each in pairs(set) do names[#names + 1] = ("%q"):format(each) end
  table.sort(names)
  core.raise(("spate.cron: %s: expected %s, got %s"):format(name, table.concat(names, " or "), tostring(value)))
end

local function zone_of(name)
  if name == nil then return zone.of_machine() end
  local found, why = zone.find(check.text(name, "spate.cron: zone"))
  return found or core.raise("spate.cron: " .. why)
end

local cron = {}

local named = {} -- how many there are of one text and zone, so that each has a name that is the same everywhere

local function name_of(text, options)
  local name = ("%s %s"):format(text, options.zone or "")
  named[name] = (named[name] or 0) + 1
  name = ("%s %d"):format(#name > 100 and crypto.hash("sha256", name) or name, named[name]) -- a part of keys, which are short
  return options.each_worker and ("%s of %d"):format(name, core.worker) or name
end

local function job_of(text, fn, options)
  check.options(options, "spate.cron", OPTIONS)
  local schedule, why = expression.parse(check.text(text, "spate.cron"))
  if not schedule then core.raise(("spate.cron: %q: %s"):format(text, why)) end
  local job = { text = text, fn = check.callable(fn, "spate.cron"), schedule = schedule, zone = zone_of(options.zone),
    overlap = one_of(options, "overlap", OVERLAP, "skip"), once = one_of(options, "once", ONCE, "node"), running = {}, waiting = {} }
  if job.once == "cluster" and (options.each_worker or job.overlap == "queue") then
    core.raise(('spate.cron: once = "cluster" does not go with %s'):format(options.each_worker and "each_worker" or 'overlap = "queue"'))
  end
  job.name = name_of(text, options)
  return job
end

-- Where claims are kept: with once = "cluster" for all servers that have a Redis together, else for the process.
local function claims_of(job) return job.once == "cluster" and core.dictionary_of_nodes "spate cron" or core.shared "spate cron" end

local function warn(job, why) core.log.warn("spate.cron: a run is left out: " .. why, { cron = job.text }) end

local function is_running(job) return next(job.running) ~= nil end

-- Whether nobody else has a run that goes on; only where several servers ask.
local function take_lease(job)
  if job.once ~= "cluster" or job.overlap == "allow" then return true end
  local mine, why = claims_of(job):add(job.name .. " runs", core.worker, { ttl = LEASE })
  if mine == nil then return nil, "the store is " .. tostring(why) end
  return mine or nil, "the one before it goes on, at another server"
end

-- Says again that it goes on, for as long as it does.
local function keep_lease(job, task)
  local claims, name = claims_of(job), job.name .. " runs"
  local _ <close> = at_end(function() sse.spawn(claims.delete, claims, name) end)
  while not task.done do
    task.ended:wait(LEASE / 3)
    if not task.done then claims:set(name, core.worker, { ttl = LEASE }) end
  end
end

local begin

local function run(job, due)
  local ok, err = xpcall(job.fn, traceback, due)
  if not ok then core.log.error(report.logged(tostring(err))) end
end

-- Starts a run, and behind it the one that waits for it.
function begin(job, due)
  local task = sse.spawn(run, job, due)
  job.running[task] = true
  sse.spawn(function()
    local _ <close> = at_end(function() job.running[task] = nil end)
    if job.once == "cluster" and job.overlap ~= "allow" then keep_lease(job, task) else task:join() end
    job.running[task] = nil
    local waiting = table.remove(job.waiting, 1)
    if waiting then begin(job, waiting) end
  end)
end

-- What becomes of a run whose time has come.
local function come(job, due)
  local mine, why = claims_of(job):add(("%s at %d"):format(job.name, due), core.worker, { ttl = KEPT })
  if mine == nil then return warn(job, "the store is " .. tostring(why)) end
  if not mine then return end
  if is_running(job) and job.overlap == "skip" then return warn(job, "the one before it goes on") end
  if is_running(job) and job.overlap == "queue" then
    if #job.waiting >= QUEUE_MAX then return warn(job, ("%d wait already"):format(QUEUE_MAX)) end
    job.waiting[#job.waiting + 1] = due
    return
  end
  mine, why = take_lease(job)
  if not mine then return warn(job, why) end
  begin(job, due)
end

-- Where to go on: behind what the code before a reload has seen, unless that was long ago.
local function first_look(seen, job)
  local now = core.wall()
  local last = seen:get(job.name)
  return last and last <= now and now - last <= LATE and last or now
end

local function follow(job)
  local seen = core.shared "spate cron seen"
  local at = first_look(seen, job)
  while true do
    local due = job.schedule:next(math.floor(at), job.zone)
    if not due then return end
    while core.wall() < due do
      seen:set(job.name, core.wall())
      sse.sleep(math.min(due - core.wall(), LOOK))
    end
    come(job, due)
    at = math.max(due, core.wall())
    seen:set(job.name, at)
  end
end

-- Calls fn(time) at the times that five fields of cron say, or @daily and its kin, from the server's start on worker 0 (on
-- each with { each_worker = true }; by one server of several with { once = "cluster" }), or from now; a task, whose cancel
-- ends what runs as well. Options: zone, overlap ("skip", "queue", "allow").
function cron.cron(text, fn, options)
  options = options or {}
  local job = job_of(text, fn, options)
  return core.begin(function()
    local _ <close> = at_end(function()
      job.waiting = {}
      for task in pairs(job.running) do task:cancel() end
    end)
    follow(job)
  end, options.each_worker, "spate.cron")
end

core.public(cron, "cron")

return cron
