-- SPDX-License-Identifier: MIT
-- What goes wrong in a program of hours: stretches of some minutes, each of one kind, and between them nothing, so that all has to be as
-- strict as before. By numbers of its own.
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

-- A collection at each allocation.
function KINDS.stress(r, p, step)
  if step[1] == "request" and r:chance(10) then step.fault = { "stress", worker = r:int(1, p.workers), after = 0, count = 1 } end
end

-- Code that is no good, again and again.
function KINDS.code(r, p, step, good)
  if step[1] == "reload" or r:chance(3) then return { "reload", app = r:int(good + 1, #p.apps), order = r:int(1, 1 << 30) } end
end

local NAMES = { "connections", "disk", "tasks", "descriptors", "stress", "code" }

-- Makes a program of hours one of these, of whose applications those behind the first `good` are none to serve.
function day.add_to(p, r, good)
  local steps, now, kind = {}, 0, nil
  local turn_at = r:int(60, APART)
  for _, step in ipairs(p.steps) do
    if step[1] == "advance" or step[1] == "jump" then now = now + step[2] end
    if now >= turn_at then
      kind = not kind and r:pick(NAMES) or nil
      turn_at = now + (kind and r:int(60, LONG) or r:int(60, APART))
    end
    steps[#steps + 1] = kind and KINDS[kind](r, p, step, good) or nil
    steps[#steps + 1] = step
  end
  if r:chance(50) then steps[#steps + 1] = { "drain", order = r:int(1, 1 << 30) } end
  p.steps, p.mode = steps, r:weighed { { 5, "incremental" }, { 3, "generational" } }
end

return day
