-- SPDX-License-Identifier: MIT
-- The source of an application from its description, which the model reads as well: { version =, channels =, routes =,
-- every = }. Each answer has the version in X-V, each event of a request's own the request's token, each publish,
-- join and close a line in the log that begins with SIM: from these the model knows what has happened.
local pipeline = require "spec.simulate.pipeline"

local PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
local V, W, published = %d, spate.worker, 0
local C, D = {}, {}
local function log(...) spate.log.info("SIM " .. table.concat({ ... }, " ")) end
local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end
local function publish(i, pad)
  published = published + 1
  local name, data = "c" .. i, ("c%%d.%%d.%%d.%%d"):format(i, V, W, published) .. ("."):rep(pad or 0)
  local id, why = C[i]:publish { event = "k" .. published %% 3, data = data }
  if id then log("pub", name, id, data) else log("refused", name, why) end
  return id
end
app:after(function(req, answer) answer:header("X-V", V) end)
]]

local function options_text(options)
  local parts = {}
  for _, name in ipairs { "history", "history_bytes", "ttl", "queue" } do
    if options[name] then parts[#parts + 1] = ("%s = %d"):format(name, options[name]) end
  end
  if options.on_full then parts[#parts + 1] = ("on_full = %q"):format(options.on_full) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- Bodies of handlers by kind. The model has a class of the same name.
local KINDS = {}

function KINDS.pipeline(r)
  local stream = pipeline.code(r.pipeline, 't .. ":a:"')
  if r.beside then stream = ("sse.merge(%s, %s)"):format(stream, pipeline.code(r.beside, 't .. ":b:"')) end
  return ("return sse.reply(%s%s)"):format(stream, r.keep_alive == false and ", { keep_alive = false }" or "")
end

function KINDS.channel(r)
  local replay = r.replay == "all" and '"all"' or tostring(r.replay)
  local sub = ("C[%d]:subscribe { after = req.last_event_id, replay = %s }"):format(r.channel, replay)
  return ("return sse.reply(%s%s)"):format(sub, r.is_mapped and ":map(function(event) return event end)" or "")
end

function KINDS.text() return 'return "text " .. t' end

function KINDS.publish(r) return ('local last for _ = 1, %d do last = publish(%d, %d) end return "published " .. tostring(last)'):format(r.count, r.channel, r.pad) end

function KINDS.task(r)
  return ('sse.spawn(function() sse.sleep(%g) log("ran", t) publish(%d) end) return "spawned " .. t'):format(r.delay, r.channel)
end

function KINDS.late(r) return ('sse.sleep(%g) return "late " .. t'):format(r.delay) end

function KINDS.closing(r) -- an on_close function that waits
  return ([[req:on_close(function(reason)
    log("closing", t, reason)
    sse.sleep(%g)
    log("closed", t, reason)
  end)
  return sse.reply(%s)]]):format(r.delay, pipeline.code(r.pipeline, 't .. ":a:"'))
end

function KINDS.counter() return 'return "count " .. spate.shared("counts"):incr("n")' end

local function route_text(r)
  return ('app:%s("%s", function(req)\n  local t = req.query.t\n  %s\nend)\n'):format(r.method:lower(), r.path, KINDS[r.kind](r))
end

return function(app)
  local parts = { PRELUDE:format(app.version) }
  local function add(...) parts[#parts + 1] = (...):format(select(2, ...)) end
  for i, channel in ipairs(app.channels) do
    local key = channel.on_full == "conflate" and "" or ""
    add('C[%d] = sse.channel("c%d", %s)%s\n', i, i, options_text(channel), key)
  end
  for _, r in ipairs(app.routes) do parts[#parts + 1] = route_text(r) end
  for _, e in ipairs(app.every) do add("sse.every(%g, function() publish(%d) end)\n", e.period, e.channel) end
  parts[#parts + 1] = "return app\n"
  return table.concat(parts)
end
