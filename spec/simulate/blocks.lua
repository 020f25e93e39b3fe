-- SPDX-License-Identifier: MIT
-- What a program has beside its theme: building blocks of kinds.others, options of channels, HEAD, heads that do not end. All by numbers
-- of their own, so that the rest of a program stays what its seed has made of it.
local http2_client = require "spec.simulate.http2_client"
local kinds = require "spec.simulate.kinds"

local blocks = {}

-- A route of a kind, the same in all applications, and those of what it is of no use without; their list.
local function add_route(p, r, kind, routes, is_with)
  local route = kind.random(r, #p.apps[1].channels)
  route.kind, route.method, route.path = kind.name, kind.method or "GET", "/b" .. #routes + 1
  routes[#routes + 1] = route
  for _, app in ipairs(p.apps) do
    local copy = {}
    for name, value in pairs(route) do copy[name] = value end
    app.routes[#app.routes + 1] = copy
  end
  for _, name in ipairs(is_with and {} or kind.with or {}) do add_route(p, r, kinds[name], routes, true) end
end

local function request(r, routes)
  local route = r:pick(routes)
  return { method = route.method, path = route.path, number = r:int(0, 1 << 40), resumes = r:chance(40) or nil }
end

-- Of what may be asked so.
local function head_of(r, routes)
  local it = request(r, routes)
  it.method, it.number, it.resumes = "HEAD", 0, nil
  return it
end

-- Those of which each application has one that may be asked so, or none.
local function headable(p)
  local list, others = {}, {}
  for _, app in ipairs(p.apps) do
    for _, route in ipairs(app.routes) do others[route.path] = others[route.path] or not kinds.head.of[route.kind] or route.is_pair end
  end
  for _, route in ipairs(p.apps[1].routes) do
    if route.method == "GET" and not others[route.path] then list[#list + 1] = route end
  end
  return list
end

local function request_step(p, r, clients, routes, heads)
  local step = { "request", client = r:int(1, clients), worker = r:int(1, p.workers) }
  for i = 1, r:pick { 1, 1, 1, 1, 3 } do step[i + 1] = heads[1] and r:chance(20) and head_of(r, heads) or request(r, routes) end
  if r:chance(50) then step.keeps = true end
  if r:chance(10) then step.pieces = r:pick { 1, 7, 100 } end
  if r:chance(10) then step.step = r:pick { 1, 7, 100 } end
  if r:chance(10) then step.late = true end
  if r:chance(8) then step.window = r:pick { 0, 100, 500 } end
  if r:chance(8) then step.half = true end
  if http2_client.is_there and r:chance(20) then step.http2, step.keeps = r:pick { http2_client.WINDOW_MAX, 65535, 1000 }, true
  elseif r:chance(8) then step.mux = true end
  return step
end

local function half_head(p, r, clients)
  return { "half_head", client = r:int(1, clients), worker = r:int(1, p.workers), bytes = r:pick { 1, 10, 30, 46 } }
end

-- Another byte of it comes later.
local function more_of_a_head(p, r, step)
  local at = r:int(1, #p.steps)
  table.insert(p.steps, at, { "rest", client = step.client, order = r:int(1, 1 << 30) })
  table.insert(p.steps, at, { "advance", r:pick { 0.5, 2.9 }, order = r:int(1, 1 << 30) })
  return at
end

local function advance(r) return { "advance", r:pick { 0.1, 0.3, 0.5, 1, 2, 5 } } end

-- Options of channels that plan.lua does not draw.
local function set_options(p, r)
  for _, c in ipairs(p.apps[1].channels) do
    if c.on_full == "conflate" and r:chance(50) then c.keys = 2 end
    if r:chance(25) then c.compress = r:chance(60) end
    if p.store and r:chance(30) then c.store = false end
    if c.compress then p.compresses = true end
  end
end

local function route_of(routes, kind)
  for _, route in ipairs(routes) do
    if route.kind == kind then return route end
  end
end

-- On whichever workers, of those who wait, with one behind them who ends that.
local SCENES = { { "tagged", "kick" }, { "promised", "brings" } }

-- Steps that belong together: some wait, then one does what they wait for.
local function scene(p, r, clients, routes)
  local pair = r:pick(SCENES)
  local waiting, deed = route_of(routes, pair[1]), route_of(routes, pair[2])
  if not waiting or not deed then return end
  local at = r:int(1, #p.steps)
  local function add(step)
    step.order = r:int(1, 1 << 30)
    table.insert(p.steps, at, step)
    at = at + 1
  end
  for i = 1, r:int(1, 3) do
    add { "request", client = clients + 1 + i, worker = r:int(1, p.workers), keeps = r:chance(50) or nil, { method = "GET", path = waiting.path, number = 0 } }
  end
  add { "advance", r:pick { 0.1, 0.3, 1.3 } }
  add { "request", client = clients + 1, worker = r:int(1, p.workers), { method = "POST", path = deed.path, number = 0 } }
  add { "advance", 0.1 }
end

local function theme(p, r)
  local routes = {}
  for _ = 1, r:int(1, 4) do add_route(p, r, r:weighed(kinds.others), routes) end
  return routes
end

-- Makes a program one of these. What ends it stays its end.
function blocks.add_to(p, r, clients)
  set_options(p, r)
  local routes, heads = theme(p, r), headable(p)
  for _, app in ipairs(p.apps) do
    for _, each in ipairs(app.every) do each.is_each = r:chance(30) or nil end
  end
  for _ = 1, r:int(3, 30) do
    local step = r:weighed { { 10, request_step(p, r, clients, routes, heads) }, { 1, half_head(p, r, clients) }, { 4, advance(r) } }
    step.order = r:int(1, 1 << 30)
    local at = step[1] == "half_head" and r:chance(60) and more_of_a_head(p, r, step) or r:int(1, #p.steps)
    table.insert(p.steps, at, step)
  end
  for _ = 1, r:int(0, 4) do scene(p, r, clients, routes) end
end

-- The same of a day: one of each kind, and a seventh of what those ask who do not listen.
function blocks.add_to_day(p, r, listeners)
  local routes = {}
  for _, each in ipairs(kinds.others) do add_route(p, r, each[2], routes, true) end
  local heads = headable(p)
  for i, step in ipairs(p.steps) do
    if step[1] == "request" and step.client > listeners and r:chance(15) then
      local order = step.order
      p.steps[i] = request_step(p, r, 1, routes, heads)
      p.steps[i].client, p.steps[i].order = step.client, order
    end
  end
end

return blocks
