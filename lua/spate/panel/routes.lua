-- SPDX-License-Identifier: MIT
-- What who looks after a server asks for: probes, metrics, what the page shows as JSON and as event streams, and what it
-- does.
local core = require "spate.core"
local guard = require "spate.panel.guard"
local index = require("spate.app").index
local json = require "spate.json"
local live = require "spate.panel.live"
local query_kinds = require "spate.panel.query"
local reply = require "spate.reply"
require "spate.kick"
local views = require "spate.panel.views"

local PATIENCE = 2 -- seconds for a worker to turn

local TEXT = "text/plain; version=0.0.4; charset=utf-8"
local OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

local function uncached(r) return r:header("Cache-Control", "no-store") end

local function metrics(req)
  local as_openmetrics = (req.headers.accept or ""):find("application/openmetrics-text", 1, true) ~= nil
  return uncached(reply.body(core.metrics_text(as_openmetrics), as_openmetrics and OPENMETRICS or TEXT))
end

-- The numbers of those workers that did not turn in time.
local function still_workers()
  local still = {}
  for i, answer in ipairs(core.ask_alive(PATIENCE)) do
    if not answer then still[#still + 1] = tostring(i - 1) end
  end
  return still
end

local function healthz()
  local still = still_workers()
  if #still == 0 then return uncached(reply.text("ok\n")) end
  return uncached(reply.text(("worker %s does not answer\n"):format(table.concat(still, ", ")), 503))
end

-- Why no more clients are to be sent here, or nil.
local function not_ready()
  if core.is_draining() then return "draining" end
  if core.is_loading() then return "the application is loading" end
  local state = core.store_state()
  if state == "unavailable" then return "the store is unavailable" end
end

local function readyz()
  local why = not_ready()
  return uncached(reply.text((why or "ready") .. "\n", why and 503 or 200))
end

local function view(name)
  return function(req)
    local query, why = query_kinds.read(req.query, views.PARAMETERS[name])
    if not query then return reply.error(400, why) end
    local ok, value = pcall(views[name], query, {})
    if ok then return uncached(reply.json(value)) end
    local refusal = views.refusal(value)
    if not refusal then error(value, 0) end
    return reply.error(404, refusal)
  end
end

-- What a library's function says of its arguments, without the place.
local function refused(err) return reply.error(400, (tostring(err):gsub("^[^:]*:%d+: ", ""))) end

local function body_of(req)
  local body, why = req:json()
  if type(body) ~= "table" then return nil, reply.error(400, why or "expected an object") end
  return body
end

-- How many streams of this process were found, the workers that have not said so yet, and whether other servers were told.
local function kick(req)
  local options, problem = body_of(req)
  if not options then return problem end
  local ok, told, is_told = pcall(core.kick_and_count, options, PATIENCE)
  if not ok then return refused(told) end
  local kicked, late = 0, json.array {}
  for i, answer in ipairs(told) do
    if answer then kicked = kicked + tonumber(answer) else late[#late + 1] = i - 1 end
  end
  core.log.info("kicked from the inspector", { remote = req.remote_addr, tag = options.tag, channel = options.channel, stream = options.stream,
    count = kicked })
  if options.stream and kicked == 0 and #late == 0 and not is_told then return reply.error(404, "no stream of this id") end
  return reply.json({ kicked = kicked, late = late[1] and late or nil, others_told = is_told or nil }, 202)
end

local PUBLISH = { channel = "string", event = "string", data = "string" }
local STATUS = { full = 503, unavailable = 503, finished = 409, ["too large"] = 413 }

local function publish(req)
  local body, problem = body_of(req)
  if not body then return problem end
  for name, value in pairs(body) do
    if type(value) ~= PUBLISH[name] then return reply.error(400, "expected an object of channel, event and data, which are texts") end
  end
  local channel = body.channel and views.find_channel(body.channel)
  if not channel then return reply.error(404, "no channel of this name") end
  local ok, id, why = pcall(channel.publish, channel, { event = body.event ~= "" and body.event or nil, data = body.data or "" })
  if not ok then return refused(id) end
  if not id then return reply.error(STATUS[why] or 503, why) end
  core.log.info("published from the inspector", { remote = req.remote_addr, channel = body.channel })
  return reply.json({ id = id }, 201)
end

-- Adds them to an application.
return function(app)
  app:use(guard.changes)
  index(app, (require "spate.panel.page"))
  app:get("/metrics", metrics)
  app:get("/healthz", healthz)
  app:get("/readyz", readyz)
  app:get("/api/stats", function() return json.object(core.stats()) end)
  for _, name in ipairs(views.PUBLIC) do app:get("/api/" .. name, view(name)) end
  app:get("/api/live", live.views)
  app:get("/api/tail", live.tail)
  app:post("/api/kick", kick)
  app:post("/api/publish", publish)
  return app
end
