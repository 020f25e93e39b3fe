-- SPDX-License-Identifier: MIT
-- Plays a program step by step. Raises what the model expected; returns a digest of every byte and what was counted.
local application = require "spec.simulate.application"
local bounds = require "spec.simulate.bounds"
local calls = require "spec.simulate.calls"
local epochs = require "spec.simulate.epochs"
local garbage = require "spec.simulate.garbage"
local heads = require "spec.simulate.heads"
local http2_client = require "spec.simulate.http2_client"
local kinds = require "spec.simulate.kinds"
local left = require "spec.simulate.left"
local Moments = require "spec.simulate.moments"
local new_client = require "spec.simulate.client"
local new_mux_client = require "spec.simulate.mux_client"
local new_model = require "spec.simulate.model"
local new_rng = require "spec.simulate.rng"
local shortage = require "spec.simulate.shortage"
local helper = require "spec.helper"
local says = require "spec.simulate.promises"
local states = require "spec.simulate.states"
local harness = helper.harness

local BY_ITSELF = 130 -- seconds after which nothing is left of clients that have left
local IDLE_FOR = 20 -- of them

local Sim = setmetatable({}, Moments)
Sim.__index = Sim

local function write(text)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
  return path
end

-- Steps

local function leave(self, slot)
  local client = self.clients[slot]
  if not client then return end
  self.clients[slot], self.left[#self.left + 1] = nil, client.core
  for i, each in ipairs(self.list) do
    if each == client then table.remove(self.list, i) break end
  end
  return client
end

local function drop(self, slot)
  local client = leave(self, slot)
  if not client then return end
  if not client.is_over then
    client.core:reset()
    client:over("left", self.now)
  end
  self.by_tag[client.tag] = nil
end

local function connect(self, step)
  local worker, connections = math.min(step.worker, #self.cores), 0
  for _, core in ipairs(self.cores) do connections = connections + core:stats().connections end
  self.tags = self.tags + 1
  local core = calls.connect(self, self.cores[worker], step.address or ("10.0.%d.%d"):format(step.client // 200, step.client % 200 + 1), step.mux and "mux" or step.full and "full" or nil)
  core:tag(self.tags)
  local new = step.http2 and http2_client.new or step.mux and new_mux_client or new_client
  local client = new(core, step.client, self.model, step.http2)
  client.tag, client.worker = self.tags, worker
  client.is_outside = self.plan.listens and core:is_outside()
  client.may_be_refused = step.full or self.spare_descriptors and client.is_outside
  for _, other in ipairs(self.list) do connections = connections + (other.is_outside and 1 or 0) end
  if bounds.may_be_refused(self.model, connections) then
    client.may_be_refused = true
    for _, other in ipairs(self.list) do other.may_be_refused = other.may_be_refused or other.is_outside end
  end
  if step.pieces then core:pieces(step.pieces) end
  if step.step then core:step(step.step) end
  if step.late then core:late() end
  if step.fails then
    core:fail(step.fails.call, step.fails.is_for_now, step.fails.after)
    client.is_broken = not step.fails.is_for_now -- sooner or later
  end
  self.clients[step.client], self.by_tag[self.tags] = client, client
  self.list[#self.list + 1] = client
  return client
end

local function set_window(self, client, bytes)
  client.core:window(bytes)
  bounds.window(self.model, client, bytes)
  if client.is_reading and bytes then client.stalled_at = self.now end
  client.is_reading = not bytes
  if client.give_room then client:give_room() end
  for i = client.first, client.last do
    local request = client.waiting[i]
    if request then request.is_loose, request.loose_at, request.has_all = true, self.now, false end -- behind bounds.window, which wants to know
  end
end

local function visitor(self, slot)
  self.visitors[slot] = self.visitors[slot] or { ids = {}, visits = 0 }
  return self.visitors[slot]
end

local function route_at(self, it)
  return self.model:route_of(it, self.model.served) or {}
end

local function send(self, client, it, is_half)
  self.tokens = self.tokens + 1
  local who, route = visitor(self, client.slot), route_at(self, it)
  local kind = kinds[route.kind] or {}
  local token, user = "t" .. self.tokens, "u" .. client.slot % 4 + 1
  local request = { token = token, user = user, method = it.method, path = it.path, visitor = who, visits_sent = who.visits,
    headers = kind.headers and kind.headers(it.number, who) or {}, lead = it.lead, delay = self.delays[it.path] or 0 }
  if kind.body then
    local coding
    request.body, coding = kind.body(route, token, client.is_http2)
    request.is_chunked = coding ~= nil
    table.insert(request.headers, coding)
  end
  request.target = ("%s?t=%s&u=%s"):format(it.path, token, user)
  request.was_partial = is_half and request.body and true or nil
  if it.resumes and who.ids[it.path] then
    request.after = who.ids[it.path]
    table.insert(request.headers, "Last-Event-ID: " .. request.after)
  end
  if (self.plan.settings.compress or self.plan.compresses) and it.number % 3 ~= 1 then table.insert(request.headers, "Accept-Encoding: gzip") end
  request.follows = client.answered
  left.on_request(self, client.worker, it.path)
  if client:request(request, self.now) then
    self.model:on_request(request)
    calls.on_request(self, request)
    request.was_held = client.worker == self.held_up
    request.is_loose, request.loose_at = not client.is_reading or request.was_held, self.now
  end
end

-- Whether it speaks what a step is to be sent by.
local function speaks(client, step) return not client.half_since and client.is_http2 == (step.http2 and true) and client.is_mux == (step.mux or step.http2 and true) end

local STEPS = {}

function STEPS.request(self, step)
  local client = self.clients[step.client]
  if client and (not step.keeps or not speaks(client, step) or client.has_gone or client.is_over or client.has_finished or client.core:state() ~= "open") then
    self:remember(client)
    drop(self, step.client)
    client = nil
  end
  client = client or connect(self, step)
  for _, it in ipairs(step) do
    if type(it) == "table" and not client.rest then send(self, client, it, step.half) end
  end
  if step.window then set_window(self, client, step.window) end
  self:moment()
end

-- The last ids that a client has seen, for when it comes back.
function Sim:remember(client)
  for i = client.first, client.last do
    local request = client.waiting[i]
    if request and request.last_id then visitor(self, client.slot).ids[request.path] = request.last_id end
  end
end

-- One that does not end its head in time, or not at all.
function STEPS.half_head(self, step)
  drop(self, step.client)
  heads.begin(self, connect(self, step), step)
  self:moment()
end

function STEPS.window(self, step)
  local client = self.clients[step.client]
  if not client or client.is_over then return end
  set_window(self, client, step.bytes)
  self:moment()
end

function STEPS.reset(self, step)
  local client = self.clients[step.client]
  if client then self:remember(client) end
  drop(self, step.client)
  self:moment()
end

function STEPS.leave(self, step)
  local client = leave(self, step.client)
  if not client then return end
  self:remember(client)
  if not client.is_over then
    client.core:leave()
    client:over("left", self.now)
  end
  self:moment()
end

function STEPS.finish(self, step)
  local client = self.clients[step.client]
  if not client or client.is_over then return end
  client.core:finish()
  client.has_finished = true
  self:moment()
end

function STEPS.advance(self, step) self:advance(step[2]) end

-- As if so many timers had been armed meanwhile.
function STEPS.armings(self)
  for _, core in ipairs(self.cores) do core:add_armings(1 << 31) end
  self:advance(0)
end

function STEPS.jump(self, step)
  self.model:on_jump(self.list)
  self:set_clocks(self.now + step[2])
  self.model.jumped_to, self.model.late_at = self.now, self.now
  self:moment()
end

function STEPS.collect(self, step)
  self.cores[math.min(step.worker, #self.cores)]:run "collectgarbage()"
  self:moment()
end

-- A worker that is at work on something has no turns, until the next such step.
function STEPS.busy(self, step)
  self.held_up = step.worker and #self.cores > 1 and math.min(step.worker, #self.cores) or nil
  self.model:on_held_up(self.held_up, self.list)
  self:moment()
  if not self.held_up then self.model:after_held_up() end
end

-- The rest of a body.
function STEPS.rest(self, step)
  local client = self.clients[step.client]
  if client and heads.more(client) then return self:moment() end
  if not client or client.is_over or not client.rest then return end
  client:send_rest()
  self:moment()
end

-- One stream of many on a connection.
function STEPS.give_up(self, step)
  local client = self.clients[step.client]
  if not client or not client.give_up or client.is_over then return end
  self:remember(client)
  client:give_up(step.number, self.now)
  self:moment()
end

function STEPS.store(self, step)
  self.store_mode = step.mode
  self:moment()
end

-- What befalls the store without this process.
function STEPS.elsewhere(self, step)
  self.model.is_shared = true -- from now on
  epochs.carry_out(self.store, step)
  self:moment()
end

-- All workers load it and run its on_start functions, or none serves it.
local function start_all(self, path)
  for _, core in ipairs(self.cores) do
    if not core:build(path) then return false end
  end
  local all = true
  for _, core in ipairs(self.cores) do all = core:start() and all end
  return all
end

local function give_up(self)
  local is_told = self.cores[1]:abandon() -- on_start functions run on worker 0
  for i = 2, #self.cores do self.cores[i]:abandon() end
  self:moment()
  return is_told
end

local function reload(self, step)
  local version = self.plan.apps[step.app] and step.app or 1
  local app = self.plan.apps[version]
  STEPS.busy(self, {})
  shortage.replaces(self, step)
  states.on_load(self.model)
  if not start_all(self, self.paths[version]) then
    self.model:expect(app.broken or self.model:excused({}, "descriptors"), says.RELOAD_REPORTED, "version %d does not load", version)
    return give_up(self)
  end
  if app.broken == "hang" then
    self:advance(4)
    return self.model:expect(give_up(self), says.RELOAD_REPORTED, "version %d hangs at its start", version)
  end
  self.model:expect(not app.broken or app.broken == "worker" and #self.cores == 1, says.RELOAD_REPORTED, "version %d is served", version)
  self.model:on_reload(version)
  for _, core in ipairs(self.cores) do
    assert(core:swap())
    garbage.set_mode(self.plan, core)
  end
  self:moment()
end

function STEPS.reload(self, step)
  for i = 1, step.times or 1 do
    if i > 1 then self:advance(0.3) end
    reload(self, step)
  end
end

-- A stop signal, and what goes on until shutdown.grace is over.
function STEPS.drain(self)
  STEPS.busy(self, {})
  self.model.is_draining = true
  states.retire(self.model)
  for _, core in ipairs(self.cores) do core:drain() end
  self:moment()
  self:advance((self.plan.settings.shutdown or {}).window or 5)
  for _, request in ipairs(self.model.open) do
    local client = request.client
    if request.is_sse and client.is_reading and not client.is_over then
      self.model:expect(self.model:excused(request, "half_closed", "refused"), says.STOP, "%s: is open still", request)
    end
  end
end

local function play(self, step)
  self.rng = new_rng(step.order or 1)
  garbage.draw(self, step)
  local core = step.fault and self.cores[math.min(step.fault.worker, #self.cores)]
  if core then shortage.begin(self, core, step.fault) end
  calls.run(self, step.refused, function() STEPS[step[1]](self, step) end)
  if core then shortage.finish(self, core) end
  self.model:check(self.list, self.now)
end

-- What nobody holds any more is collected; how many members it leaves.
local function forgotten_members(self)
  for _, core in ipairs(self.cores) do core:run "collectgarbage() collectgarbage()" end
  self:moment()
  return self.cores[1]:run 'local c = require("spate.sse").channel.find "lost" return tostring(c and #c:members() or 0)'
end

-- Nothing is to be done any more but what the application does again and again.
local function idle(self, seconds)
  local before, most = self.moments, 2 * seconds
  for _, e in ipairs(self.plan.apps[self.model.served].every) do most = most + seconds / e.period * #self.cores end
  self:advance(seconds)
  self.model:expect(self.moments - before <= most, says.SLEEPS, "the servers wake %d times in %d s", self.moments - before, seconds)
end

-- What is left once every client has gone, and of the servers.
local function finish(self)
  self.rng = new_rng(1)
  self.store_mode = "live"
  STEPS.busy(self, {})
  for _, client in ipairs(table.move(self.list, 1, #self.list, 1, {})) do drop(self, client.slot) end
  self:advance(BY_ITSELF - IDLE_FOR)
  idle(self, IDLE_FOR)
  self.model.lost_members = forgotten_members(self)
  self.model:finish()
  left.check(self)
end

return function(plan)
  local self = setmetatable({ plan = plan, cores = {}, pending = {}, clients = {}, list = {}, left = {}, left_most = 20, by_tag = {}, heard = {}, visitors = {}, asked = {}, paths = {}, store_mode = "live", tags = 0, tokens = 0,
    now = 0, moments = 0, digest = 0, rng = new_rng(1) }, Sim)
  self.model, self.delays, self.may_fall_short = new_model(plan), kinds.delays(plan), shortage.is_likely(plan)
  local on_bytes = self.model.on_bytes
  function self.model.on_bytes(model, client, bytes, now)
    self:hash(("%d %.9g "):format(client.tag, now))
    self:hash(bytes)
    on_bytes(model, client, bytes, now)
  end
  local events = harness.events()
  local _ <close> = setmetatable({}, { __close = function()
    self:close()
    for _, path in ipairs(self.paths) do os.remove(path) end
  end })
  local file = write(kinds.file.content())
  for i, app in ipairs(plan.apps) do self.paths[i] = write(application(app, file)) end
  self.paths[#self.paths + 1] = file
  if not self:start() then
    self.model:expect(self.model:excused({}, "short"), says.RELOAD_REPORTED, "version 1 does not load")
    return { digest = 0, seconds = 0, moments = 0, requests = 0, excuses = self.model.excuses }
  end
  for i, step in ipairs(plan.steps) do
    self.at = i
    play(self, step)
  end
  finish(self)
  local timers = self:close()
  if timers ~= 0 then error(("%d timers are left"):format(timers), 0) end
  if harness.events() ~= events then error(("%d events are left"):format(harness.events() - events), 0) end
  return { digest = self.digest, seconds = self.now, moments = self.moments, requests = self.tokens, excuses = self.model.excuses }
end
