-- SPDX-License-Identifier: MIT
-- The part of the simulation in which the kernel refuses what servers ask of it while a step runs: to accept a connection,
-- to watch a descriptor or wait for one, to write an upload to the disk or read from it. Half of these programs listen:
-- their clients come by sockets, and what a connection carries goes through memory as ever. `self` is the simulation.
local kinds = require "spec.simulate.kinds"
local harness = require("spec.helper").harness
local says = require "spec.simulate.promises"

local calls = {}

local EPS = 1e-6
local PAUSE = 0.1 -- seconds

local REFUSALS = {
  accept4 = { "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EINTR", "EPERM", "EAGAIN" },
  ["epoll_ctl of EPOLL_CTL_ADD"] = { "ENOMEM", "ENOSPC" }, epoll_wait = { "EINTR" }, write = { "ENOSPC", "EIO" }, pread = { "EIO" },
}
calls.OF_DISK = { "write", "pread" }
local OF_LISTENERS = { "accept4", "accept4", "accept4", "epoll_ctl of EPOLL_CTL_ADD", "epoll_ctl of EPOLL_CTL_ADD", "epoll_wait", "write", "pread" }
local STEPS = { request = true, advance = true, rest = true, window = true }

-- In so many of a hundred steps one of these calls fails.
function calls.refuse(r, step, list, percent)
  if STEPS[step[1]] and not step.fault and r:chance(percent) then
    local call = r:pick(list)
    step.refused = { call = call, error = r:pick(REFUSALS[call]) }
  end
end

-- Makes a program one of these.
function calls.add_to(p, r)
  p.listens = r:chance(50) or nil
  for _, step in ipairs(p.steps) do calls.refuse(r, step, p.listens and OF_LISTENERS or calls.OF_DISK, p.listens and 50 or 25) end
end

-- What servers read from a connection that is new or send to it fails, for now or for good, or what takes it in.
function calls.fail(r, step)
  if step[1] == "request" and r:chance(30) then
    step.fails = { call = r:pick { "send", "recv" }, is_for_now = r:chance(60) or nil, after = r:pick { 0, 0, 1, 2, 5, 20 } }
  elseif step[1] == "request" and not step.mux and not step.http2 and r:chance(5) then step.full = true end
end

-- What a request that needs the disk, by whichever code, may see of it: by the names of errors.
local function note(self, request, refused)
  for version = 1, #self.plan.apps do
    local route = self.model:route_of(request, version)
    if route and kinds[route.kind].uses_disk then
      request.of_disk = request.of_disk or {}
      request.of_disk[refused.error] = true
    end
  end
end

-- Of a request that is sent while something is refused.
function calls.on_request(self, request)
  if self.refused and REFUSALS[self.refused.call] and self.refused.call ~= "accept4" then note(self, request, self.refused) end
end

local function each_request(self, fn)
  for _, client in ipairs(self.list) do
    for i = client.first, client.last do
      if client.waiting[i] then fn(client.waiting[i]) end
    end
  end
end

-- Runs fn, a step, with what the step says refused.
function calls.run(self, refused, fn)
  if not refused then return fn() end
  self.refused = refused
  each_request(self, function(request) note(self, request, refused) end)
  harness.refused(refused.call, refused.error, fn)
  self.refused, self.model.refused_at = nil, self.now
end

-- A connection of a client's: its own descriptors are none of the servers'.
function calls.connect(self, core, ...)
  local is_short = self.plan.listens and self.spare_descriptors
  if is_short then harness.limit_descriptors() end
  local client = core:connect(...)
  if is_short then harness.limit_descriptors(self.spare_descriptors) end
  return client
end

-- While servers have so few descriptors left; nil: enough.
function calls.limit_descriptors(self, spare)
  if self.spare_descriptors then self.model.refused_at = self.now end
  self.spare_descriptors = spare
  harness.limit_descriptors(spare)
  for _, client in ipairs(self.plan.listens and spare and self.list or {}) do
    client.may_be_refused = client.may_be_refused or client.is_outside
  end
end

-- It has been accepted: what it has sent is for the code of now.
local function arrive(self, client)
  client.is_outside, client.arrived_at = false, self.now
  for i = client.first, client.last do
    local request = client.waiting[i]
    if request then request.reloads, request.served = self.model.reloads, self.model.served end
  end
end

-- After a moment: who has been accepted.
function calls.look(self)
  for _, client in ipairs(self.plan.listens and self.list or {}) do
    if client.is_outside and not client.core:is_outside() then arrive(self, client) end
  end
end

-- Whether a client still waits to be accepted, which it may not for long. `self` is the model.
function calls.is_outside(self, client, now)
  if client.is_outside then
    self:expect(now < (self.refused_at or -1) + PAUSE + EPS, says.NO_DESCRIPTORS, "client %d is not accepted %.3f s after that could be", client.slot, now - (self.refused_at or -1))
  end
  return client.is_outside
end

return calls
