-- SPDX-License-Identifier: MIT
-- What is left of the servers once every client has gone and what was asked for is done: what the application itself does
-- again and again, and nothing else. `self` is the simulation.
local kinds = require "spec.simulate.kinds"

local left = {}

-- What is asked of a worker may make the application begin what stays.
function left.on_request(self, worker, path) self.asked[worker .. path] = true end

-- Each sse.every of a worker is a task with a timer.
local function every_of(app, worker)
  local count = 0
  for _, e in ipairs(app.every) do count = count + ((worker == 1 or e.is_each) and 1 or 0) end
  return count
end

-- A derived channel has a task from its first reader on, for as long as its source goes on and it keeps up: so many at most.
local function derived_of(self, app, worker)
  local seen, count = {}, 0
  for _, route in ipairs(app.routes) do
    local name = route.kind == "derived" and route.prefix .. route.channel
    if name and self.asked[worker .. route.path] and not seen[name] then seen[name], count = true, count + 1 end
  end
  return count
end

-- Of worker number `worker`, what its core counts. Where memory failed, what was to end a task may have, and code that is replaced as the servers stop has its own.
local function check_worker(self, worker, stats)
  local app, model, limits = self.plan.apps[self.model.served], self.model, self.plan.settings.limits or {}
  local every, reading = every_of(app, worker), kinds.reader.left(model, worker)
  local most = { tasks = every + derived_of(self, app, worker) + reading, timers = every, request_tasks = reading }
  if stats.generations ~= 1 then most.tasks, most.timers, most.refs = math.huge, math.huge, math.huge end
  for _, what in ipairs { "streams", "connections", "files", "request_tasks", "tasks", "timers", "refs" } do
    if stats[what] > (most[what] or 0) then model:fail("worker %d: %d %s are left, at most %d may be", worker - 1, stats[what], what, most[what] or 0) end
  end
  if stats.generations ~= 1 and not model.is_draining then model:fail("worker %d: %d generations are left", worker - 1, stats.generations) end
end

function left.check(self)
  for worker, core in ipairs(self.cores) do check_worker(self, worker, core:stats()) end
end

return left
