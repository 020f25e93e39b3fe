-- SPDX-License-Identifier: MIT
-- What goes wrong in a program of hours: stretches of some minutes, each of one kind, and between them nothing, so that all has to be as
-- strict as before. Of what the model has no more than doubts about whoever was there, all who listen come back. By numbers of its own.
local calls = require "spec.simulate.calls"

local day = {}

local APART, LONG = 1200, 420 -- at most so many seconds from one stretch to the next; of one

local KINDS = {}

-- Connections that fail, and some that find no room.
function KINDS.connections(r, _, step) calls.fail(r, step) end

function KINDS.disk(r, _, step) calls.refuse(r, step, calls.OF_DISK, 25) end

function KINDS.tasks(r, p, step)
  if r:chance(20) then step.fault = { "task", worker = step.worker or r:int(1, p.workers), after = r:pick { 0, 0, 40 * 4 }, count = 1 } end
end

function KINDS.descriptors(r, p, step)
  if r:chance(20) then step.fault = { "descriptors", worker = r:int(1, p.workers), after = r:int(0, 1), count = 1 } end
end

function KINDS.memory(r, p, step)
  if step[1] == "request" and r:chance(20) then step.fault = { "allocation", worker = r:int(1, p.workers), after = r:int(0, 400), count = r:pick { 1, 2, 2, 20 } } end
end

-- A store that does not answer, or not at once.
function KINDS.store(r, p)
  if p.store and r:chance(5) then return { "store", mode = r:pick { "slow", "hold", "refuse", "live" } } end
end

-- A collection at each allocation.
function KINDS.stress(r, p, step)
  if step[1] == "request" and r:chance(10) then step.fault = { "stress", worker = r:int(1, p.workers), after = 0, count = 1 } end
end

-- Code that is no good, again and again.
function KINDS.code(r, p, step, good)
  if step[1] == "reload" or r:chance(3) then return { "reload", app = r:int(good + 1, #p.apps) } end
end

local NAMES = { "connections", "disk", "tasks", "descriptors", "stress", "code", "memory", "store" }
local LEAVES_DOUBTS = { memory = true, store = true }

-- Limits that are small, and leave no doubt.
local LIMITS = { {}, { queue_high = 2000, queue_low = 1 }, { queue_events = 2 }, { requests = 4 }, { spool = 100, body = 2000 } }

-- Makes a program of hours one of these, of whose applications those behind the first `good` are none to serve, and of whose clients the first so many listen.
function day.add_to(p, r, good, listeners)
  local steps, now, kind, asked = {}, 0, nil, {}
  local turn_at = r:int(60, APART)
  p.store = r:chance(40) or nil
  for name, value in pairs(r:pick(LIMITS)) do p.settings.limits[name] = value end
  local function add(step)
    step.order = r:int(1, 1 << 30)
    steps[#steps + 1] = step
  end
  local function come_back()
    add { "store", mode = "live" }
    for client = 1, listeners do add(table.move(asked[client], 1, #asked[client], 1, { client = client, worker = asked[client].worker, http2 = asked[client].http2 })) end
  end
  for _, step in ipairs(p.steps) do
    if step[1] == "advance" or step[1] == "jump" then now = now + step[2] end
    if now >= turn_at then
      if LEAVES_DOUBTS[kind] then come_back() end
      kind = not kind and r:pick(NAMES) or nil
      turn_at = now + (kind and r:int(60, LONG) or r:int(60, APART))
    end
    if step[1] == "request" and step.client <= listeners then asked[step.client] = step end
    local other = kind and KINDS[kind](r, p, step, good)
    if other then add(other) end
    steps[#steps + 1] = step
  end
  if r:chance(50) then add { "drain" } end
  p.steps, p.mode = steps, r:weighed { { 5, "incremental" }, { 3, "generational" } }
end

return day
