-- SPDX-License-Identifier: MIT
-- What happens to an application: its settings, and steps, each a line of Lua in the terms of run.lua.
local code = require "spec.fuzz.api.code"
local statements = require "spec.fuzz.api.statements"
local join = code.join

local BODIES = {
  { 4, 'nil' }, { 2, 'body("text/plain", "hello")' }, { 2, 'body("application/json", "{\\"a\\":[1,2]}")' },
  { 2, 'body("application/x-www-form-urlencoded", "a=1&a=2&b=3")' },
  { 1, 'body("text/plain", ("z"):rep(70000))' }, { 2, 'form_with_file(3000)' },
  { 2, 'partial(body("text/plain", ("z"):rep(5000)))' }, { 1, 'partial(form_with_file(3000))' }, { 1, "chunked(3)" }, { 1, "chunked(40, true)" },
}

local function target(d) return d:chance(90) and ("/h" .. d:int(1, 5)) or d:pick { "/events/x", "/nowhere", "/fine" } end

local function client(d) return d:int(1, 5) end

local SECONDS = { "0.1", "0.3", "0.5", "1", "1", "2", "5", "16", "40" }

local STEPS = {
  { 30, function(d) return { ('request(%d, "%s", "%s", %s)'):format(client(d), d:pick { "GET", "GET", "POST" }, target(d), d:weighed(BODIES)) } end },
  { 3, function(d) return { ('again(%d, "%s")'):format(client(d), target(d)) } end }, -- on the same connection
  { 3, function(d) return { ('resume(%d, "%s")'):format(client(d), target(d)) } end }, -- with the last id it has seen
  { 4, function(d) return { ("rest(%d)"):format(client(d)) } end }, -- of a body
  { 6, function(d) return { ("leave(%d)"):format(client(d)) } end },
  { 6, function(d) return { ("vanish(%d)"):format(client(d)) } end },
  { 4, function(d) return { ('stalled(%d, %d, "%s")'):format(client(d), d:pick { 0, 1, 500 }, target(d)) } end }, -- reads no more
  { 4, function(d) return { ("window(%d, %s)"):format(client(d), d:pick { "0", "1", "100", "3000", "nil" }) } end },
  { 2, function(d) return { ("pieces(%d, %d)"):format(client(d), d:pick { 1, 7, 1 << 20 }) } end },
  { 20, function(d) return { ("advance(%s)"):format(d:pick(SECONDS)) } end },
  { 1, function(d) return { ("jump(%s)"):format(d:pick(SECONDS)) } end },
  { 4, function() return { "turn()" } end },
  { 6, function(d) return { ("step(%d)"):format(d:int(1, 4)) } end },
  { 6, function() return { "collect()" } end },
  { 3, function(d) return join("run[==[", code.block(statements(d, {}, d:int(1, 2))), "]==]") end },
  { 4, function(d) return { ("reload(%d)"):format(d:int(1, 2)) } end },
  { 4, function(d) return { ("fail(%d, %d)"):format(d:int(0, 300), d:pick { 1, 1, 2, 2, 20, 1000 }) } end },
  { 1, function() return { "no_more_failures()" } end },
  { 1, function() return { "drain()" } end },
}

local function limits(d)
  local l = { burst = 20, hang = 30 }
  if d:chance(30) then l.tasks = d:pick { 3, 6, 12, 30 } end
  if d:chance(20) then l.lua_memory = d:pick { 350, 400, 500, 800 } * 1024 end
  if d:chance(20) then l.channels = d:int(1, 4) end
  if d:chance(15) then l.channel_bytes = d:pick { 100, 2000 } end
  if d:chance(40) then l.queue_high = d:pick { 1, 100, 2000 } l.queue_low = 1 end
  if d:chance(30) then l.queue_events = d:int(1, 4) end
  if d:chance(15) then l.event = d:pick { 100, 1000 } end
  if d:chance(10) then l.shared = 200 end
  if d:chance(20) then l.body = 1000 end
  if d:chance(20) then l.spool = 100 end
  if d:chance(10) then l.upload = 2000 end
  return l
end

local function settings(d)
  return {
    limits = limits(d),
    timeouts = { head = 3, idle = 5, body = 2, body_total = 6, send = d:pick { 1, 30 } },
    keep_alive = { interval = d:pick { 0.5, 15 } },
    shutdown = { grace = 2, window = 1 },
    reload = { max_age = d:pick { 0.5, 10 }, generations = d:int(1, 3) },
    log = { access = d:chance(50), level = d:pick { "debug", "warn" } },
  }
end

local schedule = {}

function schedule.steps(d)
  local nodes = {}
  for _ = 1, d:int(10, 45) do nodes[#nodes + 1] = d:weighed(STEPS)(d) end
  return nodes
end

function schedule.settings(d)
  local s = settings(d)
  -- The collector's pace: as the server sets it, or all the time; with a pause of 100 or less each look at it is a whole cycle.
  local pace = d:weighed { { 5, "" }, { 2, 'collectgarbage("incremental", 110, 400)' }, { 1, 'collectgarbage("incremental", 10, 400)' },
    { 2, 'collectgarbage("generational")' } }
  return s, pace
end

return schedule
