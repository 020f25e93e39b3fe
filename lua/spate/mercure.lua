-- SPDX-License-Identifier: MIT
-- require "spate.mercure": a hub of the Mercure protocol. All updates are events of one channel, so that there is one order and
-- one row of ids; each subscriber's stream takes what its topics and its token say. Subscriptions are members of another.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local jwt = require "spate.jwt"
local origins = require "spate.origins"
local reply = require "spate.reply"
local selector = require "spate.mercure.selector"
local spate = require "spate"
local sse = require "spate.sse"

local OPTIONS = { "name", "key", "alg", "publisher", "subscriber", "anonymous", "subscriptions", "history", "ttl", "cookie", "query", "origins", "keep_alive" }
local COOKIE = "mercureAuthorization"
local TOPICS, TOPIC_LENGTH = 100, 2000 -- of a request
local CONTEXT = "https://mercure.rocks/"
local PATH = "/.well-known/mercure"

local Hub = { __name = "mercure hub" }
Hub.__index = Hub

local mercure = {}

-- Whether a token came; which middleware then looks at.
local function has_token(self, req)
  return req.headers.authorization or req.cookies[self.cookie] or self.query and req.query[self.query]
end

local function verifier(options, given, what)
  given = given or { key = options.key, alg = options.alg }
  if type(given) ~= "table" or not given.key then core.raise(("mercure.hub: %s: expected key and alg"):format(what)) end
  return jwt.jwt({ key = given.key, alg = given.alg or "HS256", cookie = options.cookie or COOKIE, query = options.query, require_exp = false },
    "mercure.hub: " .. what)
end

local function flag(value, what)
  if value ~= nil and type(value) ~= "boolean" then core.raise(("mercure.hub: %s: expected true or false, got %s"):format(what, tostring(value))) end
  return value
end

-- A hub. Options: key and alg of tokens, or publisher and subscriber, each { key =, alg = }; name, anonymous, subscriptions, history,
-- ttl, cookie, query, origins.
function mercure.hub(options)
  options = check.options(options, "mercure.hub", OPTIONS)
  local name = check.text(options.name or "hub", "mercure.hub: name")
  local self = setmetatable({ name = name, path = PATH, cookie = check.text(options.cookie or COOKIE, "mercure.hub: cookie"), query = options.query,
    anonymous = flag(options.anonymous, "anonymous"), tells = flag(options.subscriptions, "subscriptions"),
    publisher = verifier(options, options.publisher, "publisher"), subscriber = verifier(options, options.subscriber, "subscriber"),
    guard = origins.allow_origins(options.origins or {}), limits = { history = options.history or 1000, ttl = options.ttl } }, Hub)
  core.check_channel_options(self.limits)
  return self
end

local function check_self(self, method)
  if getmetatable(self) ~= Hub then core.raise(("hub:%s(...): write it with a colon"):format(method)) end
end

local function updates(self) return sse.channel("mercure:" .. self.name, self.limits) end

local function members(self) return sse.channel("mercure subscriptions:" .. self.name) end

-- "#epoch-number": as an IRI, which ids have to be.
local function iri_of(id) return type(id) == "string" and "#" .. id or nil end

-- The id that an update goes by: its publisher's, or the channel's.
local function dispatch(self, update)
  local id, why = updates(self):publish { json = update }
  if not id then return nil, why end
  return update.id or iri_of(id) or true
end

-- What is wrong with topics, or nil.
local function topics_fault(topics)
  if #topics == 0 then return "Missing \"topic\" parameter" end
  if #topics > TOPICS then return "too many topics" end
  for _, topic in ipairs(topics) do
    if topic == "" or #topic > TOPIC_LENGTH or not utf8.len(topic) or topic:find "%c" then return "no topic: a text without control characters is expected" end
  end
end

local function is_line(text) return utf8.len(text) and not text:find "%c" end

-- Whether a publisher may give it: "#" begins those of the hub, "earliest" is a place.
local function is_id(text) return is_line(text) and text ~= "" and #text <= TOPIC_LENGTH and text:sub(1, 1) ~= "#" and text ~= "earliest" end

local PUBLISH = { "topic", "data", "type", "private", "retry", "id" }

-- Publishes an update from here, without a token: its id; nil and why not.
function Hub:publish(update)
  check_self(self, "publish")
  update = check.options(update, "hub:publish", PUBLISH)
  local topics = type(update.topic) == "table" and update.topic or { update.topic }
  check.strings(topics, "hub:publish: topic")
  local fault = topics_fault(topics)
  if fault then core.raise("hub:publish: topic: " .. fault) end
  if update.retry ~= nil then check.seconds(update.retry, "hub:publish: retry") end
  if update.id ~= nil and not is_id(check.text(update.id, "hub:publish: id")) then
    core.raise("hub:publish: id: one line that does not begin with '#' is expected")
  end
  return dispatch(self, { topics = json.array(topics), data = tostring(update.data or ""), type = update.type, private = update.private or nil,
    retry = update.retry, id = update.id })
end

local function selectors_of(claims, kind)
  local of_mercure = type(claims) == "table" and claims.mercure
  local list = type(of_mercure) == "table" and of_mercure[kind]
  if type(list) ~= "table" then return nil end
  local selectors = {}
  for _, one in ipairs(list) do
    if type(one) == "string" then selectors[#selectors + 1] = one end
  end
  return selectors
end

-- Topics that nobody may publish to: those of the hub's own updates, under whatever host, and what means all.
local function is_reserved(self, topics)
  for _, topic in ipairs(topics) do
    if topic == "*" or topic:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end):find(self.path, 1, true) then return true end
  end
end

-- POST: an update, as a form.
local function publish(self, req)
  local allowed = selectors_of(req.ctx.claims, "publish")
  if not allowed then return reply.error(403, "the token does not allow to publish") end
  local fields, err, status = req:form()
  if not fields then return reply.error(status, err) end
  local topics = req:form_all "topic"
  local fault = topics_fault(topics)
  if fault or is_reserved(self, topics) then return reply.error(400, fault or "this topic is the hub's own") end
  local retry = fields.retry and (fields.retry:find "^%d+$" and #fields.retry <= 9 and tonumber(fields.retry) / 1000 or false)
  if retry == false then return reply.error(400, 'Invalid "retry" parameter') end
  if fields.type and not is_line(fields.type) then return reply.error(400, "type is one line") end
  local given = fields.id ~= "" and fields.id or nil
  if given and not is_id(given) then return reply.error(400, "id is one line, which does not begin with #") end
  if not utf8.len(fields.data or "") then return reply.error(400, "data is not UTF-8") end
  if not selector.all(allowed, topics) then return reply.error(403, "the token does not allow these topics") end
  local id, why = dispatch(self, { topics = json.array(topics), data = fields.data or "", type = fields.type, private = fields.private and true or nil,
    retry = retry, id = given })
  if not id then return reply.error(why == "too large" and 413 or 503, why) end
  return reply.text(id)
end

-- The update of an event, which is decoded once for all subscribers of a worker.
local function update_of(self, event)
  if self.last_id ~= event.id then self.last_id, self.last = event.id, json.decode(event.data) end
  return self.last
end

local function escaped(text) return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end)) end

local function id_of(self, topic, subscriber) return ("%s/subscriptions/%s/%s"):format(self.path, escaped(topic), escaped(subscriber)) end

-- The subscription's document, and who may be told: it is a private update of its id.
local function tell(self, document, is_active)
  document.active = is_active
  dispatch(self, { topics = json.array { document.id }, type = "mercure", private = true, data = json.encode(document) })
end

-- Makes members of a stream's subscriptions; what ends them.
local function enroll(self, topics, claims)
  local subscriber, left = "urn:uuid:" .. spate.uuid(), {}
  for i, topic in ipairs(topics) do
    local document = { ["@context"] = CONTEXT, id = id_of(self, topic, subscriber), type = "Subscription", topic = topic, subscriber = subscriber,
      payload = type(claims) == "table" and type(claims.mercure) == "table" and claims.mercure.payload or nil }
    local member = members(self):join(("%s %d"):format(subscriber, i), document)
    tell(self, document, true)
    left[#left + 1] = function()
      member:close()
      tell(self, document, false)
    end
  end
  return function()
    for _, leave in ipairs(left) do leave() end
  end
end

-- Whether an event is what went out under an id.
local function has_id(event, id)
  if id:sub(1, 1) == "#" then return iri_of(event.id) == id end
  return json.decode(event.data).id == id
end

-- Where a client wants to go on: behind an id, or with all that there is; and what it is told of it. Of several updates to
-- which publishers gave the same id it is the newest.
local function cursor_of(self, req)
  local last = req.headers["Last-Event-ID"] or req.query.lastEventID or req.last_event_id or req.query["Last-Event-ID"]
  if not last or last == "" then return {} end
  if last == "earliest" then return { replay = "all" }, "earliest" end
  local history = updates(self):history() or {}
  for i = #history, 1, -1 do
    if has_id(history[i], last) then return { after = history[i].id }, last end
  end
  return { replay = "all" }, "earliest"
end

-- GET: a stream of the updates that the topics of the query mean.
local function subscribe(self, req)
  local topics = req:query_all "topic"
  local fault = topics_fault(topics)
  if fault then return reply.error(400, fault) end
  local allowed = selectors_of(req.ctx.claims, "subscribe") or {}
  local cursor, told = cursor_of(self, req)
  local events, why = updates(self):subscribe(cursor)
  if not events then return reply.error(503, why) end
  local stream = events:filter(function(event)
    if not event.id then return false end
    local update = update_of(self, event)
    return selector.any(topics, update.topics) and (not update.private or selector.any(allowed, update.topics))
  end):map(function(event)
    local update = update_of(self, event)
    return { id = update.id or iri_of(event.id), event = update.type, data = update.data, retry = update.retry }
  end)
  if self.tells then stream = stream:on_close(enroll(self, topics, req.ctx.claims)) end
  return sse.reply(stream, { headers = told and { ["Last-Event-ID"] = told } or nil })
end

-- The subscriptions that there are: all, of a topic, or one.
local function list(self, req)
  local allowed, id = selectors_of(req.ctx.claims, "subscribe"), self.path .. "/subscriptions"
  local topic, subscriber = req.params.topic, req.params.subscriber
  if topic then id = id .. "/" .. escaped(topic) end
  if subscriber then id = id .. "/" .. escaped(subscriber) end
  if not allowed or not selector.any(allowed, { id }) then return reply.error(403, "the token does not allow to see these") end
  local all, why = members(self):members()
  if not all then return reply.error(503, why) end
  local found = json.array()
  for _, member in ipairs(all) do
    local document = member.meta
    if (not topic or document.topic == topic) and (not subscriber or document.subscriber == subscriber) then
      document.active = true
      if topic then document["@context"] = subscriber and CONTEXT or nil else document["@context"] = nil end
      found[#found + 1] = document
    end
  end
  local newest = updates(self):history(1)
  local last = newest and newest[1] and (json.decode(newest[1].data).id or iri_of(newest[1].id)) or "earliest"
  if subscriber then
    if not found[1] then return reply.error(404) end
    found[1].lastEventID = last
    return reply.json(found[1]):header("Content-Type", "application/ld+json")
  end
  return reply.json { ["@context"] = CONTEXT, id = id, type = "Subscriptions", lastEventID = last, subscriptions = found }
    :header("Content-Type", "application/ld+json")
end

-- Serves it at a path of an application, "/.well-known/mercure" unless given.
function Hub:serve(app, path)
  check_self(self, "serve")
  check.app(app, "hub:serve")
  self.path = path or PATH
  local function optional(req, next)
    if self.anonymous and not has_token(self, req) then return next() end
    return self.subscriber(req, next)
  end
  app:get(self.path, optional, function(req) return subscribe(self, req) end)
  app:post(self.path, self.guard, self.publisher, function(req) return publish(self, req) end)
  if self.tells then
    for _, below in ipairs { "", "/:topic", "/:topic/:subscriber" } do
      app:get(self.path .. "/subscriptions" .. below, self.subscriber, function(req) return list(self, req) end)
    end
  end
  return self
end

-- Middleware: answers name the hub (by its URL, or its path here) for who wants to subscribe to what they show, and the topic
-- under which that is published: a text, or fn(req).
function Hub:link(options)
  check_self(self, "link")
  options = check.options(options or {}, "hub:link", { "url", "topic" })
  return function(req, next)
    local answer = next()
    answer:header("Link", ('<%s>; rel="mercure"'):format(options.url or self.path))
    local topic = options.topic
    if type(topic) == "function" then topic = topic(req) end
    if topic then answer:header("Link", ('<%s>; rel="self"'):format(topic)) end
    return answer
  end
end

mercure.matches = selector.matches

core.public(mercure, "hub")
core.public(Hub, "publish", "serve", "link")

return mercure
