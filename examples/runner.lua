-- spate serve examples/runner.lua, then open http://localhost:8080 in a browser
-- SPDX-License-Identifier: MIT
-- Programs that are started and stopped by a click, and whose lines everybody sees as they come, also who comes later.
-- What runs is named here, never by a client. It ends with the server, and with this code when that is replaced.
local spate, sse, process = require "spate", require "spate.sse", require "spate.process"
local app, reply = spate.app(), spate.reply

local JOBS = {
  count = { "sh", "-c", "i=0; while [ $i -lt 100 ]; do i=$((i + 1)); echo step $i; sleep 1; done" },
  disk = { "df", "-h" },
}
local running = {} -- programs by name: of this worker, which is the only one unless there is -w

local function channel_of(name) return sse.channel("job:" .. name, { history = 500 }) end

local function follow(name, p)
  local channel = channel_of(name)
  channel:publish { event = "start", json = { pid = p.pid } }
  for line in p:lines() do channel:publish { event = "line", data = line } end
  local code, signal = p:wait()
  running[name] = nil
  channel:publish { event = "end", json = { code = code, signal = signal } }
end

local function known(req, next) return JOBS[req.params.name] and next() or reply.error(404, "no such job") end

app:get("/jobs/:name", known, function(req)
  return sse.reply(channel_of(req.params.name):subscribe { after = req.last_event_id, replay = "all" })
end)

app:post("/jobs/:name", known, function(req)
  local name = req.params.name
  if running[name] then return reply.error(409, "it runs already") end
  local p, message, code = process.spawn(JOBS[name], { stderr = "merge" })
  if not p then return reply.error(code == "limit" and 503 or 500, message) end
  running[name] = p
  sse.spawn(follow, name, p) -- a task of its own: it goes on when this client has left
  return reply.json({ pid = p.pid }, 202)
end)

app:delete("/jobs/:name", known, function(req)
  local p = running[req.params.name]
  return p and p:kill() and reply.status(204) or reply.error(409, "it does not run")
end)

app:get("/", function()
  return reply.html [[<!doctype html><meta charset="utf-8"><title>Jobs</title>
<button onclick="fetch('/jobs/count', { method: 'POST' })">start</button>
<button onclick="fetch('/jobs/count', { method: 'DELETE' })">stop</button> <output></output> <pre></pre>
<script>
  const jobs = new EventSource("/jobs/count"), [state, lines] = ["output", "pre"].map(x => document.querySelector(x))
  jobs.addEventListener("start", () => { state.value = "running"; lines.textContent = "" })
  jobs.addEventListener("line", e => lines.append(e.data + "\n"))
  jobs.addEventListener("end", e => { state.value = "ended: " + e.data })
</script>]]
end)

return app
