-- SPDX-License-Identifier: MIT
-- spate.doctor: what `spate doctor` speaks to, as an application to mount. Its streams say when each event was sent, what the
-- server saw of the request, and whether the server has heard that a client left.
local app = require "spate.app"
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local reply = require "spate.reply"
local sse = require "spate.sse"

local OPTIONS = { "authorize" }
local EVENTS, EVENTS_MAX = 8, 100
local GAP, GAP_MIN, GAP_MAX = 0.05, 0.01, 10 -- seconds between two events
local QUIET_MAX, KEEP_ALIVE_MIN = 600, 0.1 -- seconds
local REMEMBERED = 120 -- seconds for which it is known that a client has left

-- Fields by which proxies tell of themselves.
local PROXY_FIELDS = { "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-server", "x-forwarded-port", "x-real-ip",
  "forwarded", "cf-ray", "cdn-loop", "x-amzn-trace-id", "x-amz-cf-id", "accept-encoding" }

local seen = core.shared "spate.doctor"

-- The number of the query that is meant, within its bounds; or nil and what is wrong.
local function number_of(req, name, otherwise, min, max)
  local text = req.query[name]
  if text == nil then return otherwise end
  local n = tonumber(text)
  if n and n >= min and n <= max then return n end
  return nil, ("%s: expected a number from %s to %s"):format(name, min, max)
end

-- What is to be sent: events, gap, quiet, keep_alive (0: none) and id; or nil and what is wrong.
local function read(req)
  local plan, err = {}
  for _, row in ipairs { { "events", EVENTS, 0, EVENTS_MAX }, { "gap", GAP, GAP_MIN, GAP_MAX }, { "quiet", 0, 0, QUIET_MAX },
    { "keep_alive", 0, 0, QUIET_MAX } } do
    plan[row[1]], err = number_of(req, table.unpack(row))
    if err then return nil, err end
  end
  if plan.keep_alive > 0 then plan.keep_alive = math.max(plan.keep_alive, KEEP_ALIVE_MIN) end
  plan.id = req.query.id
  if plan.id and not plan.id:find "^[%w-]+$" or plan.id and #plan.id > 64 then return nil, "id: expected up to 64 letters, digits and '-'" end
  return plan
end

-- What the server saw of the request.
local function greeting(req)
  local fields = json.object {}
  for _, name in ipairs(PROXY_FIELDS) do fields[name] = req.headers[name] end
  return { doctor = 1, version = core.version, last_event_id = req.last_event_id, remote = req.remote_addr, scheme = req.scheme,
    host = req.host, keep_alive = core.keep_alive_interval, fields = fields, sent = 0 }
end

local function remember(req, id)
  seen:set(id, "open", { ttl = REMEMBERED + QUIET_MAX })
  req:on_close(function(reason) seen:set(id, reason, { ttl = REMEMBERED }) end)
end

-- Nothing but comments, where they are wanted, for so long.
local function be_quiet(send, plan)
  local over = sse.now() + plan.quiet
  while sse.now() < over do
    local left = over - sse.now()
    sse.sleep(plan.keep_alive > 0 and math.min(plan.keep_alive, left) or left)
    if plan.keep_alive > 0 and sse.now() < over then send { comment = "" } end
  end
end

local function play(send, req, plan)
  local began = sse.now()
  local function event(n) send { event = "sent", id = n, json = { n = n, sent = sse.now() - began } } end
  send { event = "doctor", json = greeting(req) }
  for n = 1, plan.events do
    sse.sleep(plan.gap)
    event(n)
  end
  if plan.quiet == 0 then return end
  be_quiet(send, plan)
  event(plan.events + 1)
end

local function stream(req)
  local plan, err = read(req)
  if not plan then return reply.error(400, err) end
  if plan.id then remember(req, plan.id) end
  return sse.reply(function(send) play(send, req, plan) end, { keep_alive = false, compress = false })
end

local function left(req) return reply.json({ state = seen:get(req.query.id or "") or json.null }):header("Cache-Control", "no-store") end

local function only(authorize)
  return function(req, next)
    local allowed, why = authorize(req)
    if allowed then return next() end
    return getmetatable(why) == reply.Reply and why or reply.error(403, why)
  end
end

-- An application with / and /left. `authorize(req)` says who may use it, as that of spate.admin; everybody unless given.
local function doctor(options)
  options = check.options(options == nil and {} or options, "spate.doctor", OPTIONS)
  local served = app.new()
  if options.authorize ~= nil then served:use(only(check.callable(options.authorize, "spate.doctor: authorize"))) end
  served:get("/", stream)
  served:get("/left", left)
  return served
end

return { doctor = doctor }
