-- SPDX-License-Identifier: MIT
-- app:channel(path, options): the endpoint pair of channels. GET subscribes, resumed by Last-Event-ID; POST publishes.
-- A channel's name is `prefix` and the path's parameters, joined by '/'; the prefix is what the path has before its
-- first parameter unless given: GET /events/news of "/events/:name" is the channel "/events/news".
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local reply = require "spate.reply"
local sse = require "spate.sse"

local CHANNEL_OPTIONS = { "history", "history_bytes", "ttl", "queue", "on_full", "key", "store", "compress" }
local PAIR_OPTIONS = { "replay", "prefix", "authorize", table.unpack(CHANNEL_OPTIONS) }
local FIELDS = { event = true, data = true, json = true } -- what a client may set; ids are the server's
local NAME_MAX = 255
local OBJECT = getmetatable(json.object {})
local REFUSALS = { full = 503, unavailable = 503, finished = 409, ["too large"] = 413 }

-- What a channel refuses: there is none, or it takes or gives nothing now.
local function refused_for(why) return reply.error(REFUSALS[why], why) end

-- The options of the channel among those of the pair.
local function channel_options(options)
  check.options(options, "app:channel", PAIR_OPTIONS)
  local of_channel = {}
  for _, name in ipairs(CHANNEL_OPTIONS) do of_channel[name] = options[name] end
  core.check_channel_options(of_channel)
  return of_channel
end

local function check_own(options)
  local replay, prefix, authorize = options.replay, options.prefix, options.authorize
  if replay ~= nil and replay ~= "all" and not (math.type(replay) == "integer" and replay >= 0) then
    core.raise('app:channel: replay: expected a number of events or "all", got ' .. check.shown(replay))
  end
  if prefix ~= nil and type(prefix) ~= "string" then core.raise("app:channel: prefix: expected a string, got " .. type(prefix)) end
  if authorize ~= nil and type(authorize) ~= "function" then
    core.raise("app:channel: authorize: expected a function(req, name, action), got " .. type(authorize))
  end
end

-- A function from a request to the name of its channel, or nil and what is wrong. Only the last parameter may contain
-- a '/', so that no two lists of parameters make one name.
local function namer(path, prefix)
  local parameters = {}
  for parameter in path:gmatch("/[:*]([%a_][%w_]*)") do parameters[#parameters + 1] = parameter end
  prefix = prefix or path:match("^(.-/)[:*]") or path
  return function(req)
    local values = {}
    for i, parameter in ipairs(parameters) do
      local value = req.params[parameter]
      if i < #parameters and value:find("/", 1, true) then return nil, parameter .. " must not contain '/'" end
      values[i] = value
    end
    local name = prefix .. table.concat(values, "/")
    if #name > NAME_MAX then return nil, ("the channel's name is longer than %d bytes"):format(NAME_MAX) end
    if name:find("%c") then return nil, "the channel's name must not contain control characters" end
    return name
  end
end

-- The reply that refuses, nil where the request may go on. Only `true` lets it.
local function refusal(authorize, req, name, action)
  local verdict = not authorize or authorize(req, name, action)
  if verdict == true then return nil end
  if not verdict then return reply.error(403) end
  if getmetatable(verdict) == reply.Reply then return verdict end
  error("app:channel: authorize: expected true, false or a reply, got " .. type(verdict), 0)
end

-- An object's members as an event; nil and what is wrong.
local function check_fields(fields)
  for name, value in pairs(fields) do
    if not FIELDS[name] then return nil, ("unknown field '%s': an event has event, data and json"):format(name) end
    local kind = type(value)
    if name ~= "json" and kind ~= "string" and not (name == "data" and kind == "number") then
      return nil, name .. ": expected a string" .. (name == "data" and kind == "table" and "; use json for a value" or "")
    end
  end
  if fields.event and fields.event:find("[\r\n\0]") then return nil, "event: must be one line" end
  if fields.data ~= nil and fields.json ~= nil then return nil, "an event has data or json, not both" end
  if fields.data == nil and fields.json == nil then return nil, "data or json is required" end
  return { event = fields.event, data = fields.data, json = fields.json }
end

local function is_json(req)
  local media_type = (req.headers["content-type"] or ""):match("^%s*([^;%s]*)")
  return media_type:lower() == "application/json"
end

-- What was posted as an event; nil, a status and what is wrong.
local function read_event(req)
  local body, why = req:body()
  if not body then return nil, REFUSALS[why] or 400, why end
  if not is_json(req) then return { data = body } end
  local fields, err = json.decode(body)
  if fields == nil then return nil, 400, err end
  if getmetatable(fields) ~= OBJECT then return nil, 400, "expected an object" end
  local event, problem = check_fields(fields)
  return event, 400, problem
end

-- The handlers of GET and of POST.
return function(path, options)
  if options ~= nil and type(options) ~= "table" then core.raise("app:channel: expected a table of options, got " .. type(options)) end
  options = options or {}
  check_own(options)
  local of_channel, name_of, authorize, replay = channel_options(options), namer(path, options.prefix), options.authorize, options.replay

  -- The channel's name; nil and the reply that refuses.
  local function admit(req, action)
    local name, problem = name_of(req)
    if not name then return nil, reply.error(400, problem) end
    local refused = refusal(authorize, req, name, action)
    if refused then return nil, refused end
    return name
  end

  local function subscribe(req)
    local name, refused = admit(req, "subscribe")
    if not name then return refused end
    local channel, why = sse.channel(name, of_channel)
    if not channel then return refused_for(why) end
    local stream
    stream, why = channel:subscribe { after = req.last_event_id, replay = replay }
    if not stream then return refused_for(why) end
    return sse.reply(stream)
  end

  local function publish(req)
    local name, refused = admit(req, "publish")
    if not name then return refused end
    local event, status, problem = read_event(req)
    if not event then return reply.error(status, problem) end
    local channel, why = sse.channel(name, of_channel)
    if not channel then return refused_for(why) end
    local id
    id, why = channel:publish(event)
    if not id then return refused_for(why) end
    return reply.json({ id = id }, 201)
  end

  return subscribe, publish
end
