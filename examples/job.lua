-- spate serve examples/job.lua, then: curl -d '{"pages":20}' localhost:8080/jobs; curl -N localhost:8080/jobs/ID
-- SPDX-License-Identifier: MIT
-- A job that outlives its connection: POST starts it, GET follows it, from where the client was when it comes back.
-- Nobody there for 30 seconds: it is stopped. Finished and read to its end: 204, so that browsers stop.
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply

local LINGER, TTL = 30, 600 -- seconds that a job waits for a reader, and that its events are kept after its end
local jobs = spate.shared "jobs" -- what was asked for by id, on whichever worker

local function events(id, order, after)
  return sse.resumable(id, function(send)
    for page = 1, order.pages do
      sse.sleep(0.5) -- stands for what takes long
      send { event = "progress", json = { page = page, percent = 100 * page // order.pages } }
    end
    jobs:set(id, json.encode(order), { ttl = TTL }) -- known for as long as its events are
    send { event = "done", data = "ok" }
  end, { after = after, linger = LINGER, ttl = TTL })
end

app:post("/jobs", function(req)
  local order, err = req:json()
  if type(order) ~= "table" or math.type(order.pages) ~= "integer" then return reply.error(400, err or "pages is required") end
  local id = spate.uuid()
  jobs:set(id, json.encode(order))
  local started, why = events(id, order)
  if not started then return reply.error(503, why) end
  started:close() -- a reader comes by GET
  return reply.json({ events = "/jobs/" .. id }, 202):header("Location", "/jobs/" .. id)
end)

app:get("/jobs/:id", function(req)
  local order = jobs:get(req.params.id)
  if not order then return reply.error(404, "no such job") end
  return sse.reply(events(req.params.id, json.decode(order), req.last_event_id))
end)

return app
