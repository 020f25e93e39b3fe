-- spate serve examples/progress.lua, then: curl -N localhost:8080/build
-- SPDX-License-Identifier: MIT
-- A job that tells how far it is. Each step has an id, so a client whose connection broke goes on behind the last
-- step that it saw: browsers send the id by themselves, as curl does with -H 'Last-Event-ID: 3'.
local spate, sse = require "spate", require "spate.sse"
local app, reply = spate.app(), spate.reply

local STEPS = {
  { name = "fetch", seconds = 0.5 }, { name = "unpack", seconds = 0.5 }, { name = "check", seconds = 0.5 },
  { name = "index", seconds = 1 }, { name = "publish", seconds = 0.5 },
}
local DONE = #STEPS + 1 -- the id of the last event

local function work(step) sse.sleep(step.seconds) end -- stands for what takes long

app:get("/build", function(req)
  local seen = math.tointeger(tonumber(req.last_event_id)) or 0
  if seen >= DONE then return reply.status(204) end -- a browser reconnects after the end: 204 stops it

  return sse.reply(function(send)
    for i = math.max(seen, 0) + 1, #STEPS do
      work(STEPS[i])
      send { event = "progress", id = i, json = { step = STEPS[i].name, percent = 100 * i // #STEPS } }
    end
    send { event = "done", id = DONE, data = "ok" }
  end)
end)

return app
