-- SPDX-License-Identifier: MIT
-- A program from a seed: settings, applications and steps, all plain data, so that it can be printed, cut down and run
-- again. Nothing in it depends on what happens when it runs.
local blocks = require "spec.simulate.blocks"
local calls = require "spec.simulate.calls"
local day = require "spec.simulate.day"
local epochs = require "spec.simulate.epochs"
local http2_client = require "spec.simulate.http2_client"
local kinds = require "spec.simulate.kinds"
local new_rng = require "spec.simulate.rng"
local rare = require "spec.simulate.rare"
local seeds = require "spec.simulate.seeds"

local plan = {}

local ROOMS = { http2_client.WINDOW_MAX, 65535, 1000 } -- bytes of a stream that a client of HTTP/2 takes before it gives room back

local function channel(r)
  return {
    history = r:pick { 0, 1, 3, 10, 50 }, ttl = r:pick { 0, 2, 30, 3600 }, queue = r:pick { 1, 2, 5, 256, 256 },
    on_full = r:pick { "disconnect", "disconnect", "drop_oldest", "conflate" }, history_bytes = r:chance(15) and r:pick { 60, 200 } or nil,
  }
end

local function add_route(r, app, kind)
  local it = kind.random(r, #app.channels)
  it.kind, it.method, it.path = kind.name, kind.method or "GET", "/r" .. #app.routes + 1
  app.routes[#app.routes + 1] = it
end

local function add_routes(r, app, theme)
  local kind = r:weighed(theme)
  add_route(r, app, kind)
  for _, name in ipairs(kind.with or {}) do add_route(r, app, kinds[name]) end
end

local function application(r, version, channels, options)
  local app = { version = version, channels = channels, routes = {}, every = {} }
  for _ = 1, options.routes do add_routes(r, app, options.theme) end
  for i = 1, #channels do -- each can be heard and filled
    app.routes[#app.routes + 1] = { kind = "channel", method = "GET", path = "/c" .. i, channel = i, replay = r:pick { 0, 5 }, is_mapped = false }
    app.routes[#app.routes + 1] = { kind = "publish", method = "POST", path = "/p" .. i, channel = i, count = r:pick { 1, 1, 1, 12 }, pad = r:pick { 0, 0, 100 } }
  end
  if options.has_pair then app.routes[#app.routes + 1] = { kind = "channel", method = "GET", path = "/pair/c1", channel = 1, replay = 3, is_pair = true } end
  for _ = 1, r:int(0, 2) do app.every[#app.every + 1] = { period = r:pick(options.periods), channel = r:int(1, #channels) } end
  return app
end

-- Limits that are small enough to be reached.
local LIMITS = {
  { 6, function() return {} end },
  { 2, function(r) return { queue_high = r:pick { 1, 100, 2000 }, queue_low = 1 } end },
  { 2, function(r) return { queue_events = r:int(1, 4) } end },
  { 1, function(r) return { requests = r:int(1, 4) } end },
  { 1, function(r) return { tasks = r:pick { 3, 6, 12 } } end },
  { 1, function(r) return { lua_memory = r:pick { 450, 550, 800 } * 1024 } end },
  { 1, function(r) return { channel_bytes = r:pick { 100, 2000 } } end },
  { 1, function(r) return { channels = r:int(4, 6) } end }, -- three are made at the start
  { 2, function(r) return { connections = r:int(2, 5) } end },
  { 1, function() return { connections_per_address = 1, connections = 1000 } end },
  { 1, function(r) return { subscriber = r:pick { 100, 4000 } } end },
  { 3, function(r) return { inbox = r:pick { 100, 4000 } } end },
  { 1, function() return { spool = 100, body = 2000 } end },
}

local function settings(r)
  local limits = r:weighed(LIMITS)(r)
  limits.burst, limits.hang = 20, 30
  return {
    limits = limits,
    timeouts = { head = 3, idle = 5, body = 2, start = 3, send = r:pick { 2, 10, 30 } },
    keep_alive = { interval = r:pick { 1, 4, 15 } },
    shutdown = { grace = 2, window = 1 },
    reload = { max_age = r:pick { 1, 10, 100 }, generations = r:int(1, 3) },
    log = { access = r:chance(20), level = "info" },
  }
end

-- Whether answers go compressed to who takes that, with room for one window or for all; by numbers of its own, so that all else
-- is as it would be without.
local function compression(seed)
  local r = new_rng(seed ~ 0x6779)
  return r:chance(40) and { on = true, memory = r:pick { 60000, 64 << 20 } } or nil
end

local function request(a)
  local app = a.r:pick(a.apps)
  local it = a.r:pick(app.routes)
  return { method = it.method, path = it.path, number = a.r:int(0, 1 << 40), resumes = a.r:chance(40) or nil, lead = a.r:chance(8) and a.r:int(1, 2) or nil }
end

-- So many allocations, or tasks, of a worker succeed, then some fail, or each object costs a collection, or there are no
-- more descriptors, while a step runs.
local function fault(a)
  local r = a.r
  return { r:pick { "allocation", "allocation", "task", "task", "stress", "descriptors" }, worker = r:int(1, a.workers), after = r:int(0, 400), count = r:pick { 1, 2, 2, 20 } }
end

local function request_step(a)
  local r = a.r
  local step = { "request", client = r:int(1, a.clients), worker = r:int(1, a.workers), request(a) }
  if r:chance(10) then for _ = 1, r:int(1, 3) do step[#step + 1] = request(a) end end -- pipelined
  if r:chance(15) then step.pieces = r:pick { 1, 7, 100 } end
  if r:chance(15) then step.step = r:pick { 1, 7, 100 } end
  if r:chance(15) then step.late = true end
  if r:chance(10) then step.window = r:pick { 0, 100, 500 } end
  if r:chance(30) then step.keeps = true end
  if r:chance(10) then step.mux = true end
  if r:chance(10) then step.half = true end
  return step
end

local STEPS = {
  { 30, request_step },
  { 6, function(a) return { "window", client = a.r:int(1, a.clients), bytes = a.r:pick { 0, 1, 100, 3000 } } end },
  { 5, function(a) return { "window", client = a.r:int(1, a.clients) } end },
  { 4, function(a) return { "reset", client = a.r:int(1, a.clients) } end },
  { 3, function(a) return { "leave", client = a.r:int(1, a.clients) } end },
  { 2, function(a) return { "finish", client = a.r:int(1, a.clients) } end },
  { 3, function(a) return { "rest", client = a.r:int(1, a.clients) } end },
  { 25, function(a) return { "advance", a.r:pick(a.seconds) } end },
  { 1, function() return { "armings" } end },
  { 1, function(a) return { "jump", a.r:pick(a.seconds) } end },
  { 3, function(a) return { "collect", worker = a.r:int(1, a.workers) } end },
  { 2, function(a) return { "busy", worker = a.r:chance(60) and a.r:int(1, a.workers) or nil } end },
  { 3, function(a) return { "reload", app = a.r:int(1, #a.all_apps), times = a.r:chance(20) and a.r:int(2, 6) or nil } end },
  { 4, function(a) return a.store and { "store", mode = a.r:pick { "live", "slow", "hold", "refuse" } } or { "advance", 0.1 } end },
}

local function steps(a, count)
  local list = {}
  for i = 1, count do
    list[i] = a.r:weighed(STEPS)(a)
    list[i].order = a.r:int(1, 1 << 30) -- whose turn it is while this step runs
    if a.has_faults and a.r:chance(8) then list[i].fault = fault(a)
    elseif a.refuses_tasks and a.r:chance(25) then
      list[i].fault = { "task", worker = list[i].worker or a.r:int(1, a.workers), after = a.r:pick { 0, 0, 40 * 4 }, count = 1 }
    end
  end
  return list
end

-- Most programs are about a few kinds of routes only, so that these meet one another.
local function theme(r)
  if r:chance(25) then return kinds.list end
  local list = {}
  for i = 1, r:int(1, 3) do list[i] = r:pick(kinds.list) end
  return list
end

-- Steps that belong together: a subscriber takes nothing while its channel is filled, and perhaps its code replaced, and
-- then may go on.
local function stalled(a, list)
  local r = a.r
  local number, client = r:int(1, #a.apps[1].channels), r:int(1, a.clients)
  local function add(step)
    step.order = r:int(1, 1 << 30)
    list[#list + 1] = step
  end
  local function fill(count)
    local step = { "request", client = a.clients + 1, worker = r:int(1, a.workers), keeps = r:chance(50) or nil }
    for i = 1, count do step[i + 1] = { method = "POST", path = "/p" .. number, number = 0 } end
    add(step)
  end
  add { "request", client = client, worker = r:int(1, a.workers), late = r:chance(20) or nil, { method = "GET", path = "/c" .. number, number = 0 } }
  fill(1)
  add { "window", client = client, bytes = r:pick { 0, 0, 0, 50 } }
  fill(r:int(1, 8))
  if r:chance(30) then add { "reload", app = 1 } end
  add { "advance", r:pick { 0.3, 3, 12 } }
  fill(r:int(1, 4))
  if r:chance(70) then add { "window", client = client } end
  add { "advance", 0.3 }
  fill(1)
end

-- The code of a stream, perhaps of one that has not begun, is replaced again and again.
local function replaced(a, list)
  local r = a.r
  local route = r:pick(a.apps[1].routes)
  for _, each in ipairs(a.apps[1].routes) do
    if each.kind == "late_stream" then route = each end
  end
  for _, step in ipairs { { "request", client = 1, worker = 1, { method = route.method, path = route.path, number = 0 } },
    { "reload", app = 1, times = r:int(1, 8) }, { "advance", 3 }, { "advance", 10 } } do
    step.order = r:int(1, 1 << 30)
    list[#list + 1] = step
  end
end

local BROKEN = { "syntax", "raise", "start", "hang", "worker", "no_app" }

local function broken(r, version, channels, how)
  local app = application(r, version, channels, { routes = 1, periods = { 1 }, theme = kinds.list })
  app.broken = how or r:pick(BROKEN)
  return app
end

-- Connections of many streams are of HTTP/2, and there are more of them; streams are given up.
local function over_http2(r, p, served)
  local a = { r = r, apps = served }
  for at = #p.steps, 1, -1 do
    local step = p.steps[at]
    if step[1] == "request" and not step.full and (step.mux or r:chance(30)) then
      step.http2, step.mux = r:pick(ROOMS), nil
      if r:chance(60) then step.keeps = true end
      for _ = 1, r:pick { 0, 0, 1, 3, 8 } do step[#step + 1] = request(a) end
      if r:chance(30) then table.insert(p.steps, at + 1, { "give_up", client = step.client, number = r:int(0, 20), order = r:int(1, 1 << 30) }) end
    end
  end
end

-- What each later version of this plan draws as well, by numbers of its own and behind all else, so that a program of the version before is
-- still had: a seed that has failed keeps the version that it has in seeds.lua. Whoever draws more appends to these, or takes those seeds out.
local OWN, KERNEL, HTTP2, RARE, BLOCKS, DAY = 0x5ca1ab1e, 0x6b6572dd, 0x687474b8, 0x726172d4, 0x626c6f77, 0x64617973

local ADDED = {
  function(p) p.settings.compress = compression(p.seed) end,
  function(p)
    local r = new_rng(p.seed ~ OWN)
    if r:chance(20) then
      for _, step in ipairs(p.steps) do calls.fail(r, step) end
    end
    if p.store and r:chance(40) then epochs.add_to(p, r) end
  end,
  function(p)
    local r = new_rng(p.seed ~ KERNEL)
    if r:chance(20) then calls.add_to(p, r) end
  end,
  function(p, a)
    local r, seldom = new_rng(p.seed ~ HTTP2), new_rng(p.seed ~ RARE)
    if http2_client.is_there and r:chance(25) then over_http2(r, p, a.apps) end
    if seldom:chance(15) and not p.has_epochs and p.steps[#p.steps][1] ~= "drain" then rare.add_to(p, seldom) end
  end,
  function(p, a)
    local r = new_rng(p.seed ~ BLOCKS)
    if r:chance(35) and not p.has_epochs then blocks.add_to(p, r, a.clients) end
  end,
}

local version_of = {}
for _, failed in ipairs(seeds) do version_of[failed[1]] = failed[2] end

function plan.version(seed) return version_of[seed] or #ADDED end

-- The short program of a seed, of this version or of that with which it failed.
function plan.of_seed(seed)
  local r = new_rng(seed)
  local p = { seed = seed, workers = r:weighed { { 4, 1 }, { 4, 2 }, { 2, 3 } }, settings = settings(r), apps = {}, store = r:chance(15) or nil }
  local channels, served, about = {}, {}, theme(r)
  for i = 1, r:int(1, 3) do channels[i] = channel(r) end
  for version = 1, r:int(1, 2) do served[version] = application(r, version, channels, { routes = r:int(2, 6), periods = { 0.5, 1, 3 }, has_pair = not p.store, theme = about }) end
  table.move(served, 1, #served, 1, p.apps)
  if r:chance(30) then p.apps[#p.apps + 1] = broken(r, #p.apps + 1, channels) end
  p.mode = r:weighed { { 5, "incremental" }, { 2, "generational" }, { 1, "eager" } }
  local a = { r = r, apps = served, all_apps = p.apps, clients = r:int(2, 8), workers = p.workers, store = p.store, has_faults = r:chance(25), refuses_tasks = r:chance(20),
    seconds = { 0.1, 0.3, 0.5, 1, 1, 2, 5, 16, 40 } }
  p.steps = steps(a, r:int(10, 90))
  if r:chance(40) then stalled(a, p.steps) end
  if r:chance(20) then replaced(a, p.steps) end
  if r:chance(25) then p.steps[#p.steps + 1] = { "drain", order = r:int(1, 1 << 30) } end
  for version = 1, plan.version(seed) do ADDED[version](p, a) end
  return p
end

-- One of so many hours, with that many clients who listen, each on a connection of its own, a quarter of them by HTTP/2, and a tenth as
-- many more who do all the rest.
function plan.of_hours(seed, hours, clients)
  local r = new_rng(seed)
  local p = { seed = seed, workers = r:int(2, 3), settings = settings(r), apps = {}, mode = "incremental", steps = {}, horizon = hours * 3600 + 200 }
  p.settings.limits, p.settings.keep_alive.interval = { burst = 20, hang = 30 }, 15
  local channels = {}
  for i = 1, 4 do channels[i] = channel(r) end
  for version = 1, 2 do p.apps[version] = application(r, version, channels, { routes = 10, periods = { 5, 10, 30 }, theme = kinds.list }) end
  p.settings.compress = compression(seed)
  local a = { r = r, apps = p.apps, all_apps = p.apps, clients = clients + clients // 10, workers = p.workers, seconds = { 1, 2, 5, 5, 10 } }
  local streams = {}
  for _, app in ipairs(p.apps) do
    for _, it in ipairs(app.routes) do
      if it.kind == "channel" or it.kind == "derived" or it.kind == "presence" then streams[#streams + 1] = it end
    end
  end
  local http2 = new_rng(seed ~ HTTP2)
  local function listen(client)
    local it = r:pick(streams)
    local step = { "request", client = client, worker = r:int(1, p.workers), order = r:int(1, 1 << 30),
      { method = it.method, path = it.path, resumes = r:chance(50) or nil, number = 0 } }
    if http2_client.is_there and http2:chance(25) then step.http2, step.keeps = http2_client.WINDOW_MAX, true end
    return step
  end
  for client = 1, clients do p.steps[client] = listen(client) end
  local now = 0
  while now < hours * 3600 do
    local step = steps(a, 1)[1]
    if step[1] == "advance" or step[1] == "jump" then now = now + step[2] end
    if step[1] == "request" then step.client = clients + r:int(1, clients // 10) end
    p.steps[#p.steps + 1] = step
    if step.client and step.client <= clients and step[1] ~= "window" then p.steps[#p.steps + 1] = listen(step.client) end -- comes back
  end
  blocks.add_to_day(p, new_rng(seed ~ BLOCKS), clients)
  local own = new_rng(seed ~ DAY)
  for i = 1, #BROKEN do p.apps[i + 2] = broken(own, i + 2, channels, BROKEN[i]) end
  day.add_to(p, own, 2, clients)
  return p
end

return plan
