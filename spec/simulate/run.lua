-- SPDX-License-Identifier: MIT
-- Plays a program: several workers in one thread, whose turns the step's `order` interleaves, clients in memory, one
-- clock. After each moment, what has come goes to the model. Raises what it expected; returns a digest of every byte
-- and what was counted.
local application = require "spec.simulate.application"
local new_client = require "spec.simulate.client"
local new_model = require "spec.simulate.model"
local new_rng = require "spec.simulate.rng"
local helper = require "spec.helper"
local harness = helper.harness

local EPOCH = 1767225600 -- 2026-01-01
local TURNS_MAX = 500000
local BY_ITSELF = 130 -- seconds after which nothing is left of clients that have left

local Sim = {}
Sim.__index = Sim

local function write(text)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
  return path
end

local MODES = {
  incremental = "", generational = 'collectgarbage("generational")', eager = 'collectgarbage("incremental", 10, 400)',
}

local function start_servers(self)
  local p = self.plan
  for i = 1, p.workers do
    local core = harness.new { epoch = EPOCH, worker = i - 1, settings = p.settings, with = self.cores[1], store = p.store and i == 1 }
    self.cores[i], self.pending[i] = core, true
    assert(core:load(self.paths[1]))
    self:set_mode(core)
  end
end

function Sim:set_mode(core)
  core:run(MODES[self.plan.mode or "incremental"])
end

-- Bytes and times of clients, and lines of the log without what is the machine's.
local function digest(self, text) self.digest = harness.hash(text, self.digest) end

local function read_log(self, core)
  local text = core:log()
  if text == "" then return end
  for line in text:gmatch "[^\n]+" do
    local what, rest = line:match "SIM (%a+) (.*)$"
    if what then self.model:on_line(what, rest, self.now) end
    digest(self, (line:gsub("^%S+ ", ""):gsub("/tmp/lua_%w+", "app")))
  end
end

-- Lets the workers take turns until none has anything to do, in an order of the step's.
local function settle(self)
  local cores, rng, turns = self.cores, self.rng, 0
  local busy = {}
  for i = 1, #cores do busy[i] = i end
  repeat
    while #busy > 0 do
      local at = #busy > 1 and rng:int(1, #busy) or 1
      if not cores[busy[at]]:slice() then table.remove(busy, at) end
      turns = turns + 1
      if turns > TURNS_MAX then self.model:fail("no rest after %d turns", turns) end
    end
    for i = 1, #cores do
      if cores[i]:has_mail() then busy[#busy + 1] = i end
    end
  until #busy == 0
  return turns
end

-- Tells the model what the moment has brought.
local function observe(self)
  local now, model, heard = self.now, self.model, self.heard
  model.now = now
  for _, core in ipairs(self.cores) do read_log(self, core) end
  for _, core in ipairs(self.cores) do
    for i = 1, core:heard(heard) do
      local client = self.by_tag[heard[i]]
      if client then
        client:take(now)
        if client.is_over then self.by_tag[heard[i]] = nil end
      end
    end
  end
  model:at_rest()
end

local function moment(self)
  settle(self)
  observe(self)
end

local function set_clocks(self, now)
  self.now = now
  for _, core in ipairs(self.cores) do core:set_clock(now) end
end

local function advance(self, seconds)
  local target, cores = self.now + seconds, self.cores
  moment(self)
  while true do
    local next = math.huge
    for i = 1, #cores do next = math.min(next, cores[i]:next()) end
    if next > target then break end
    set_clocks(self, math.max(next, self.now))
    moment(self)
    self.moments = self.moments + 1
  end
  set_clocks(self, target)
  moment(self)
end

-- Steps

local function leave(self, slot)
  local client = self.clients[slot]
  if not client then return end
  self.clients[slot] = nil
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
  local worker = math.min(step.worker, #self.cores)
  self.tags = self.tags + 1
  local core = self.cores[worker]:connect(step.address or ("10.0.%d.%d"):format(step.client // 200, step.client % 200 + 1)):tag(self.tags)
  local client = new_client(core, step.client, self.model)
  client.tag = self.tags
  if step.pieces then core:pieces(step.pieces) end
  if step.step then core:step(step.step) end
  if step.late then core:late() end
  self.clients[step.client], self.by_tag[self.tags] = client, client
  self.list[#self.list + 1] = client
  return client
end

local function set_window(self, client, bytes)
  client.core:window(bytes)
  if client.is_reading and bytes then client.stalled_at = self.now end
  client.is_reading = not bytes
  for i = client.first, client.last do
    local request = client.waiting[i]
    if request then request.is_loose, request.has_all = true, false end
  end
end

local function send(self, client, it)
  self.tokens = self.tokens + 1
  local request = { token = "t" .. self.tokens, method = it.method, path = it.path, headers = {} }
  request.target = ("%s?t=%s"):format(it.path, request.token)
  local ids = self.ids[client.slot]
  if it.resumes and ids and ids[it.path] then
    request.after = ids[it.path]
    request.headers[1] = "Last-Event-ID: " .. request.after
  end
  request.delay = self.delays[it.path]
  request.faults_before = self.model.faults
  client:request(request, self.now)
  self.model:on_request(request)
end

local STEPS = {}

function STEPS.request(self, step)
  local client = self.clients[step.client]
  if client and (not step.keeps or client.is_over or client.has_finished or client.core:state() ~= "open") then
    self:remember(client)
    drop(self, step.client)
    client = nil
  end
  client = client or connect(self, step)
  for _, it in ipairs(step) do
    if type(it) == "table" then send(self, client, it) end
  end
  if step.window then set_window(self, client, step.window) end
  moment(self)
end

-- The last ids that a client has seen, for when it comes back.
function Sim:remember(client)
  local request = client:current()
  if request and request.last_id then
    self.ids[client.slot] = self.ids[client.slot] or {}
    self.ids[client.slot][request.path] = request.last_id
  end
end

function STEPS.window(self, step)
  local client = self.clients[step.client]
  if not client or client.is_over then return end
  set_window(self, client, step.bytes)
  moment(self)
end

function STEPS.reset(self, step)
  local client = self.clients[step.client]
  if client then self:remember(client) end
  drop(self, step.client)
  moment(self)
end

function STEPS.leave(self, step)
  local client = leave(self, step.client)
  if not client then return end
  self:remember(client)
  if not client.is_over then
    client.core:leave()
    client:over("left", self.now)
  end
  moment(self)
end

function STEPS.finish(self, step)
  local client = self.clients[step.client]
  if not client or client.is_over then return end
  client.core:finish()
  client.has_finished = true
  moment(self)
end

function STEPS.advance(self, step) advance(self, step[2]) end

function STEPS.jump(self, step)
  self.model:on_jump()
  set_clocks(self, self.now + step[2])
  moment(self)
end

function STEPS.collect(self, step)
  self.cores[math.min(step.worker, #self.cores)]:run "collectgarbage()"
  moment(self)
end

-- All workers or none.
function STEPS.reload(self, step)
  local path, all = self.paths[step.app] or self.paths[1], true
  for _, core in ipairs(self.cores) do all = all and core:build(path) end
  self.model:on_reload(self.paths[step.app] and step.app or 1)
  for _, core in ipairs(self.cores) do
    assert(core:swap())
    self:set_mode(core)
  end
  moment(self)
end

local function play(self, step)
  self.rng = new_rng(step.order or 1)
  STEPS[step[1]](self, step)
  self.model:check(self.list, self.now)
end

-- What is left once every client has gone, and of the servers.
local function finish(self)
  self.rng = new_rng(1)
  for slot = 0, 1000 do
    if self.clients[slot] then drop(self, slot) end
  end
  advance(self, BY_ITSELF)
  self.model:finish()
  local fail = function(...) self.model:fail(...) end
  for i, core in ipairs(self.cores) do
    local stats = core:stats()
    for _, what in ipairs { "streams", "connections", "request_tasks" } do
      if stats[what] ~= 0 then fail("worker %d: %d %s are left", i - 1, stats[what], what) end
    end
    if stats.generations ~= 1 then fail("worker %d: %d generations are left", i - 1, stats.generations) end
  end
end

local function close(self)
  local timers = 0
  for i = #self.cores, 1, -1 do
    timers = timers + (self.cores[i]:close() or 0)
    self.cores[i] = nil
  end
  return timers
end

local function delays_of(plan)
  local delays = {}
  for _, app in ipairs(plan.apps) do
    for _, r in ipairs(app.routes) do
      if r.kind == "late" then delays[r.path] = math.max(delays[r.path] or 0, r.delay) end
    end
  end
  return delays
end

return function(plan)
  local self = setmetatable({ plan = plan, cores = {}, pending = {}, clients = {}, list = {}, by_tag = {}, heard = {}, ids = {}, paths = {}, tags = 0, tokens = 0,
    now = 0, moments = 0, digest = 0, rng = new_rng(1) }, Sim)
  self.model, self.delays = new_model(plan), delays_of(plan)
  local on_bytes = self.model.on_bytes
  function self.model.on_bytes(model, client, bytes, now)
    digest(self, ("%d %.9g "):format(client.tag, now))
    digest(self, bytes)
    on_bytes(model, client, bytes, now)
  end
  local events = harness.events()
  local _ <close> = setmetatable({}, { __close = function()
    close(self)
    for _, path in ipairs(self.paths) do os.remove(path) end
  end })
  for i, app in ipairs(plan.apps) do self.paths[i] = write(application(app)) end
  start_servers(self)
  for i, step in ipairs(plan.steps) do
    self.at = i
    play(self, step)
  end
  finish(self)
  local timers = close(self)
  if timers ~= 0 then error(("%d timers are left"):format(timers), 0) end
  if harness.events() ~= events then error(("%d events are left"):format(harness.events() - events), 0) end
  return { digest = self.digest, seconds = self.now, moments = self.moments, requests = self.tokens }
end
