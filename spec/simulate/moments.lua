-- SPDX-License-Identifier: MIT
-- The servers of a simulation: several workers in one thread, whose turns the step's `order` interleaves, one clock and
-- a store. After each moment what has come goes to the model.
local calls = require "spec.simulate.calls"
local doubts = require "spec.simulate.doubts"
local epochs = require "spec.simulate.epochs"
local garbage = require "spec.simulate.garbage"
local harness = require("spec.helper").harness
local shortage = require "spec.simulate.shortage"

local EPOCH = 1767225600 -- 2026-01-01
local TURNS_MAX = 4000000 -- a body of a byte a chunk, read byte by byte, takes a million
local MOMENTS_MAX = 10000 -- at one time
local Moments = {}
Moments.__index = Moments

-- True, or nil and why the application does not load.
function Moments:start()
  local p = self.plan
  for i = 1, p.workers do
    local core = harness.new { epoch = EPOCH, worker = i - 1, settings = p.settings, with = self.cores[1], store = p.store and i == 1, told = garbage.is_told(p) }
    self.cores[i], self.pending[i] = core, true
    local ok, why = core:load(self.paths[1])
    if not ok then return nil, why end
    garbage.set_mode(p, core)
    if p.listens then core:listen() end
  end
  self.store = p.store and self.cores[1]:store()
  return true
end

-- Bytes and times of clients, and lines of the log without what is the machine's.
function Moments:hash(text) self.digest = harness.hash(text, self.digest) end

local function read_log(self, core)
  local text = core:log()
  if text == "" then return end
  for line in text:gmatch "[^\n]+" do
    local what, rest = line:match "SIM (%a+) (.*)$"
    if what then self.model:on_line(what, rest, self.now) end
    self:hash((line:gsub("^%S+ ", ""):gsub("/tmp/lua_%w+", "app"):gsub(" id=%x+", "")))
  end
end

-- Lets the workers take turns until none has anything to do, in an order of the step's.
local function settle(self)
  local cores, rng, turns = self.cores, self.rng, 0
  local busy = {}
  for i = 1, #cores do
    if i ~= self.held_up then busy[#busy + 1] = i end
  end
  repeat
    while #busy > 0 do
      local at = #busy > 1 and rng:int(1, #busy) or 1
      if not cores[busy[at]]:slice() then table.remove(busy, at) end
      turns = turns + 1
      if turns > TURNS_MAX then self.model:fail("no rest after %d turns", turns) end
    end
    for i = 1, #cores do
      if i ~= self.held_up and cores[i]:has_mail() then busy[#busy + 1] = i end
    end
  until #busy == 0
  return turns
end

-- Who has left is kept until the servers know: to collect it would end its connection, at a moment of the collector's.
local function forget(self)
  local kept = {}
  for _, core in ipairs(self.left) do
    if core:state() == "open" or core:state() == "ended" then kept[#kept + 1] = core end
  end
  self.left, self.left_most = kept, 2 * #kept + 20
end

-- Tells the model what the moment has brought; true where clients have answered to it.
local function observe(self)
  local now, model, heard, has_answered = self.now, self.model, self.heard, false
  model.now = now
  calls.look(self)
  shortage.look(self)
  if #self.left > self.left_most then forget(self) end
  if self.plan.has_epochs then epochs.look(model, self.store) end
  for _, core in ipairs(self.cores) do read_log(self, core) end
  for _, core in ipairs(self.cores) do
    for i = 1, core:heard(heard) do
      local client = self.by_tag[heard[i]]
      if client then
        if client:take(now) then has_answered = true end
        if client.is_over then self.by_tag[heard[i]] = nil end
      end
    end
  end
  return has_answered
end

-- Lets the store do what its mode says; whether there was anything.
local function run_store(self, once)
  local mode = self.store_mode
  if mode == "live" then return self.store:carry_out() > 0 end
  if mode == "slow" and once then return self.store:carry_out(1) > 0 end
  if mode == "refuse" then
    local any = #self.store:asked() > 0
    self.store:refuse()
    return any
  end
  return false
end

local function turns(self)
  settle(self)
  if self.store then
    local any = run_store(self, true)
    while any do
      settle(self)
      any = run_store(self, false)
    end
    self.model.store_waits = self.store_mode ~= "live"
    if self.model.store_waits or self.held_up or self.model.is_shared then doubts.of_store(self.model) end
  end
end

-- What happens now, and tells the model of it.
function Moments:moment()
  repeat turns(self) until not observe(self)
  self.model:at_rest()
end

function Moments:set_clocks(now)
  self.now = now
  for _, core in ipairs(self.cores) do core:set_clock(now) end
end

-- Time goes by, from deadline to deadline.
function Moments:advance(seconds)
  local target, cores, idle = self.now + seconds, self.cores, 0
  self:moment()
  while true do
    local next = math.huge
    for i = 1, #cores do
      if i ~= self.held_up then next = math.min(next, cores[i]:next()) end
    end
    if next > target then break end
    idle = next > self.now and 0 or idle + 1
    if idle > MOMENTS_MAX then self.model:fail("timers that are due do not fire") end
    self:set_clocks(math.max(next, self.now))
    self:moment()
    self.moments = self.moments + 1
  end
  self:set_clocks(target)
  self:moment()
end

-- Ends the servers: how many timers they have left.
function Moments:close()
  local timers = 0
  for i = #self.cores, 1, -1 do
    timers = timers + (self.cores[i]:close() or 0)
    self.cores[i] = nil
  end
  return timers
end

return Moments
