-- SPDX-License-Identifier: MIT
-- spate.admin: what keeps a server alive at night asks for, as an application to mount.
local app = require "spate.app"
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local reply = require "spate.reply"

local PATIENCE = 2 -- seconds for a worker to turn

local TEXT = "text/plain; version=0.0.4; charset=utf-8"
local OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

local function metrics(req)
  local as_openmetrics = (req.headers.accept or ""):find("application/openmetrics-text", 1, true) ~= nil
  return reply.body(core.metrics_text(as_openmetrics), as_openmetrics and OPENMETRICS or TEXT):header("Cache-Control", "no-store")
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
  if #still == 0 then return reply.text("ok\n"):header("Cache-Control", "no-store") end
  return reply.text(("worker %s does not answer\n"):format(table.concat(still, ", ")), 503)
end

-- Why no more clients are to be sent here, or nil.
local function not_ready()
  if core.is_draining() then return "draining" end
  local state = core.store_state()
  if state == "unavailable" then return "the store is unavailable" end
end

local function readyz()
  local why = not_ready()
  return reply.text((why or "ready") .. "\n", why and 503 or 200):header("Cache-Control", "no-store")
end

local QUERY = { order = tostring, tag = tostring, text = tostring, id = tostring, limit = math.tointeger, offset = math.tointeger }

local function streams(req)
  local options = { ascending = req.query.ascending == "1" or nil }
  for name, convert in pairs(QUERY) do
    local value = req.query[name]
    if value and value ~= "" then options[name] = convert == tostring and value or convert(value) end
  end
  local ok, list, count = pcall(require "spate.streams", options)
  if not ok then return reply.error(400, (tostring(list):gsub("^[^:]*:%d+: ", ""))) end
  return { streams = list, count = count }
end

local function kick(req)
  local options, why = req:json()
  if type(options) ~= "table" then return reply.error(400, why or "expected an object") end
  local ok, err = pcall(require "spate.kick", options)
  if not ok then return reply.error(400, (tostring(err):gsub("^[^:]*:%d+: ", ""))) end
  return reply.status(202)
end

local function not_allowed(authorize)
  return function(req, next)
    local allowed, why = authorize(req)
    if allowed then return next() end
    if getmetatable(why) == reply.Reply then return why end
    return reply.error(403, why)
  end
end

local OPTIONS = { "authorize" }

-- An application with /metrics, /healthz, /readyz, /api/stats, /api/streams and /api/kick. `authorize(req)` says whether
-- the request is allowed; false and a reply, or a reason, else.
return function(options)
  options = check.options(options == nil and {} or options, "spate.admin", OPTIONS)
  check.callable(options.authorize, "spate.admin: authorize")
  local admin = app.new()
  admin:use(not_allowed(options.authorize))
  admin:get("/metrics", metrics)
  admin:get("/healthz", healthz)
  admin:get("/readyz", readyz)
  admin:get("/api/stats", function() return json.object(core.stats()) end)
  admin:get("/api/streams", streams)
  admin:post("/api/kick", kick)
  return admin
end
