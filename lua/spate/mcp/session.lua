-- SPDX-License-Identifier: MIT
-- Sessions of the Model Context Protocol, in a dictionary that all workers share, and all servers that have a Redis
-- together: what the client is and can, what it has subscribed to, and which of its calls and of our questions are open.
local core = require "spate.core"
local crypto = require "spate.crypto"
local json = require "spate.json"
local kick = require "spate.kick"
local spate = require "spate"
local sse = require "spate.sse"

local KEPT = 300 -- seconds for which what a session was sent can be asked for again
local HISTORY = 1000
local SUBSCRIPTIONS = 1000 -- of a session

local Session = {}
Session.__index = Session

local session = {}

-- The name of a stream's channel: a call's, or without one that of what belongs to none.
function Session:channel_name(stream) return ("mcp:%s:%s"):format(self.id, stream or "") end

function Session:channel(stream) return sse.channel(self:channel_name(stream), { history = HISTORY, ttl = KEPT }) end

local function save(self)
  self.at = math.floor(core.wall())
  return self.dictionary:set("session " .. self.id, json.encode { version = self.version, capabilities = self.capabilities,
    client = self.client, level = self.level, at = self.at }, { ttl = self.ttl })
end

-- A new one, of what a client has said of itself; nil and why not.
function session.new(dictionary, ttl, fields)
  local self = setmetatable({ id = spate.uuid(), dictionary = dictionary, ttl = ttl, version = fields.version,
    capabilities = json.object(fields.capabilities or {}), client = json.object(fields.client or {}) }, Session)
  local ok, why = save(self)
  if not ok then return nil, why end
  return self
end

-- The session of this id, which is kept for another while; nil; nil and why nobody can know.
function session.find(dictionary, ttl, id)
  local text, why = dictionary:get("session " .. id)
  if not text then return nil, why end
  local self = setmetatable(json.decode(text), Session)
  self.id, self.dictionary, self.ttl = id, dictionary, ttl
  if core.wall() - self.at > ttl / 4 then save(self) end
  return self
end

-- The least important messages that the client wants.
function Session:set_level(level)
  self.level = level
  return save(self)
end

-- Ends it, and its streams.
function Session:close()
  self.dictionary:delete("session " .. self.id)
  kick { channel = self:channel_name(), reason = "the session has ended" }
end

-- Something of the session's that others look for: a call that can be cancelled, a question that can be answered.
function Session:open(kind, id, value, seconds) return self.dictionary:set(("%s %s %s"):format(kind, self.id, id), value, { ttl = seconds }) end

function Session:find(kind, id) return self.dictionary:get(("%s %s %s"):format(kind, self.id, id)) end

function Session:shut(kind, id) self.dictionary:delete(("%s %s %s"):format(kind, self.id, id)) end

-- Keys are short: of a URI they have the hash.
local function subscription(uri, id) return ("subscribed %s %s"):format(crypto.hash("sha256", uri), id) end

local function count_by(self, n) return self.dictionary:incr("subscriptions " .. self.id, n, { ttl = self.ttl }) end

-- True; nil and why not.
function Session:subscribe(uri)
  local is_new, why = self.dictionary:add(subscription(uri, self.id), true, { ttl = self.ttl })
  if not is_new then return is_new == false or nil, why end
  local count = count_by(self, 1)
  if count and count <= SUBSCRIPTIONS then return true end
  self:unsubscribe(uri)
  return nil, "too many"
end

function Session:unsubscribe(uri)
  if self.dictionary:delete(subscription(uri, self.id)) then count_by(self, -1) end
end

-- Tells all sessions that have subscribed to the resource.
function session.tell(dictionary, uri, message)
  local prefix = subscription(uri, "")
  local keys, why = dictionary:keys(prefix)
  if not keys then return nil, why end
  for _, key in ipairs(keys) do setmetatable({ id = key:sub(#prefix + 1) }, Session):channel():publish { json = message } end
  return true
end

return session
