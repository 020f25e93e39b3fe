-- SPDX-License-Identifier: MIT
-- What is left of the servers once every client has gone and what was asked for is done: what the application itself does
-- again and again, and nothing else. `self` is the simulation.
local kinds = require "spec.simulate.kinds"
local says = require "spec.simulate.promises"

local left = {}

-- What is asked of a worker may make the application begin what stays.
function left.on_request(self, worker, path) self.asked[worker .. path] = true end

-- Each sse.every of a worker is a task with a timer.
local function every_of(app, worker)
  local count = 0
  for _, e in ipairs(app.every) do count = count + ((worker == 1 or e.is_each) and 1 or 0) end
  return count
end

-- A derived channel has a task from its first reader on, for as long as its source goes on and it keeps up: so many at most, of channel number `of`; nil: of all.
local function derived_of(self, app, worker, of)
  local seen, count = {}, 0
  for _, route in ipairs(app.routes) do
    local name = route.kind == "derived" and (not of or route.channel == of) and route.prefix .. route.channel
    if name and self.asked[worker .. route.path] and not seen[name] then seen[name], count = true, count + 1 end
  end
  return count
end

-- Of worker number `worker`, what its core counts. Code that is replaced as the servers stop has its own.
local function check_worker(self, worker, stats)
  local app, model = self.plan.apps[self.model.served], self.model
  local every, reading = every_of(app, worker), kinds.reader.left(model, worker)
  local most = { tasks = every + derived_of(self, app, worker) + reading, timers = every, request_tasks = reading }
  if stats.generations ~= 1 then most.tasks, most.timers, most.refs = math.huge, math.huge, math.huge end
  for _, what in ipairs { "streams", "connections", "files", "request_tasks", "tasks", "timers", "refs" } do
    if stats[what] > (most[what] or 0) then model:fail("worker %d: %d %s are left, at most %d may be", worker - 1, stats[what], what, most[what] or 0) end
  end
  if stats.generations ~= 1 and not model.is_draining then model:fail("worker %d: %d generations are left", worker - 1, stats.generations) end
end

-- A worker has had those requests at least that it has answered, and none that was not sent to it.
local function check_requests(self, worker, total)
  local answered, sent = 0, 0
  for _, request in ipairs(self.model.asked) do
    if request.client.worker == worker then answered, sent = answered + (request.status == 200 and 1 or 0), sent + 1 end
  end
  if total < answered or total > sent then self.model:fail("worker %d counts %d requests, has answered %d, and %d were sent", worker - 1, total, answered, sent) end
end

-- Who subscribes to a channel still: what is derived of it, and tasks that read on.
local function check_subscribers(self, number)
  local app, most = self.plan.apps[self.model.served], 0
  for worker = 1, #self.cores do most = most + derived_of(self, app, worker, number) + kinds.reader.left(self.model, worker) end
  local count = self.cores[1]:run(('local c = require("spate.sse").channel.find "c%d" return tostring(c and c:count() or 0)'):format(number))
  self.model:expect(tonumber(count) <= most, says.HISTORY, "channel c%d has %s subscribers, at most %d may be", number, count, most)
end

function left.check(self)
  for worker, core in ipairs(self.cores) do
    local stats = core:stats()
    check_worker(self, worker, stats)
    check_requests(self, worker, stats.requests_total)
  end
  for number = 1, #self.model.names do check_subscribers(self, number) end
end

return left
