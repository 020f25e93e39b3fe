-- spate dev, then open http://localhost:8080
-- Programs that run beside the server, started by a click or by the clock: everybody sees their lines as they come, also who
-- comes later. What runs is named here, never by a client. It ends with the server.
local spate, sse, process = require "spate", require "spate.sse", require "spate.process"
local app, reply = spate.app(), spate.reply

local JOBS = {
  { name = "count", title = "Count to ten", command = { "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do echo step $i; sleep 1; done" } },
  { name = "disk", title = "Disk space", command = { "df", "-h", "." }, at = "*/5 * * * *" },
  { name = "night", title = "Once a night", command = { "sh", "-c", "echo good night" }, at = "30 3 * * *" },
}
local running = {} -- programs by name: of this worker, which is the only one unless there is -w
local events = sse.channel("jobs", { history = 500 })


local by_name = {}
for _, job in ipairs(JOBS) do by_name[job.name] = job end

local function state(job) return { name = job.name, title = job.title, at = job.at, running = running[job.name] ~= nil } end

local function tell(name, text) events:publish { event = "line", json = { name = name, text = text } } end

local function follow(job, p)
  for line in p:lines() do tell(job.name, line) end
  local code, signal = p:wait()
  running[job.name] = nil
  tell(job.name, code == 0 and "done" or ("ended: %s"):format(code or signal))
  events:publish { event = "job", json = state(job) }
end

-- Starts a job: true; nil, why not, and the status that says so.
local function start(job)
  if running[job.name] then return nil, "it runs already", 409 end
  local p, message = process.spawn(job.command, { stderr = "merge" })
  if not p then return nil, message, 500 end
  running[job.name] = p
  events:publish { event = "job", json = state(job) }
  sse.spawn(follow, job, p) -- a task of its own: it goes on when whoever asked has left
  return true
end

for _, job in ipairs(JOBS) do
  if job.at then
    spate.cron(job.at, function()
      local ok, why = start(job)
      if not ok then spate.log.warn("not started", { job = job.name, why = why }) end
    end)
  end
end

local function known(req, next)
  req.ctx.job = by_name[req.params.name]
  return req.ctx.job and next() or reply.error(404, "no such job")
end

app:post("/jobs/:name", known, function(req)
  local ok, why, status = start(req.ctx.job)
  return ok and reply.status(202) or reply.error(status, why)
end)

app:delete("/jobs/:name", known, function(req)
  local p = running[req.ctx.job.name]
  return p and p:kill() and reply.status(204) or reply.error(409, "it does not run")
end)

-- How all jobs stand, then what has been printed, then what comes.
app:get("/events", function(req)
  local states = {}
  for i, job in ipairs(JOBS) do states[i] = { event = "job", json = state(job) } end
  return sse.reply(sse.from(states):chain(events:subscribe { after = req.last_event_id, replay = "all" }))
end)

app:get("/", function() return reply.file "page.html" end)

return app
