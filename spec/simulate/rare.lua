-- SPDX-License-Identifier: MIT
-- Steps that belong together and need what few schedules have: a store that takes longer than a producer lingers, memory that is
-- short while a finalizer runs, a task that is refused to whoever begins something, a past that a reply waits for. They come behind the others of a program.
local kinds = require "spec.simulate.kinds"

local rare = {}

local WORKER = 1

-- A route of a kind in all applications, as `options` have it.
local function add_route(p, kind, path, options)
  local method = kinds[kind].method or "GET"
  for _, app in ipairs(p.apps) do
    local route = { kind = kind, method = method, path = path }
    for name, value in pairs(options or {}) do route[name] = value end
    app.routes[#app.routes + 1] = route
  end
  return { method = method, path = path, number = 0 }
end

local function adder(p, r)
  return function(step)
    step.order = r:int(1, 1 << 30)
    p.steps[#p.steps + 1] = step
  end
end

-- The options that all routes of sse.resumable have.
local function job(r, key)
  local options = kinds.resumable.random(r)
  options.key = key
  return options
end

-- The only reader of a producer waits for its store for longer than that lingers.
local function waits_for_its_store(p, r)
  local add, it = adder(p, r), add_route(p, "resumable", "/kept", job(r, 1))
  local first, second = r:int(1, 3), r:int(4, 6)
  add { "store", mode = "live" }
  add { "request", client = first, worker = WORKER, it }
  add { "advance", r:pick { 0.1, 1, 2 } }
  add { "store", mode = r:pick { "hold", "hold", "slow" } }
  add { "request", client = second, worker = r:int(1, p.workers), { method = it.method, path = it.path, number = 0, resumes = r:chance(50) or nil } }
  add { "reset", client = first }
  add { "advance", r:pick { 1, 5, 16 } }
  add { "store", mode = "live" }
  add { "advance", 5 }
end

-- A reply takes over what a task reads, while a store has yet to give what is past.
local function reads_its_past(p, r)
  local add, it = adder(p, r), add_route(p, "reader", "/taken", { channel = 1, replay = "all", wait = r:pick { 0, 0.3 }, is_read = true })
  local fill = { method = "POST", path = "/p1", number = 0 }
  add { "store", mode = "live" }
  add { "request", client = 1, worker = WORKER, fill, fill }
  add { "store", mode = r:pick { "hold", "hold", "slow" } }
  add { "request", client = 2, worker = WORKER, it }
  add { "advance", 0.5 }
  add { "store", mode = "live" }
  add { "advance", 1 }
end

-- Whoever begins a producer is refused a task that it needs, and others come.
local function refused_a_producer(p, r)
  local add, it, worker = adder(p, r), add_route(p, "resumable", "/begun", job(r, 2)), r:int(1, p.workers)
  add { "advance", 16 } -- what was there of it is forgotten
  add { "request", client = 1, worker = worker, it, fault = { "task", worker = worker, after = r:int(0, 2) * 134, count = 1 } }
  add { "request", client = 2, worker = worker, it }
  add { "advance", 1 }
end

-- Memory runs short while what was dropped is collected.
local function starved(p, r)
  local add, it = adder(p, r), add_route(p, "dropping", "/dropping")
  for _ = 1, 12 do
    local worker = r:int(1, p.workers)
    add { "request", client = 1, worker = worker, it, fault = { "allocation", worker = worker, after = r:int(0, 400), count = 1000 } }
  end
end

local ALL, OF_STORES = { refused_a_producer, starved }, { waits_for_its_store, reads_its_past }

-- Makes a program one of these.
function rare.add_to(p, r)
  r:pick(p.store and r:chance(60) and OF_STORES or ALL)(p, r)
end

return rare
