-- SPDX-License-Identifier: MIT
-- A stream of the Durable Streams protocol: what is appended is a channel's events, one for each append, whose ids are the
-- offsets; what else there is to know (type, expiry, who may append next, whether it is closed) is an entry of a dictionary
-- that all workers share. Appends of one stream are made one after the other, by a lock in another.
local at_end = require "spate.at_end"
local core = require "spate.core"
local json = require "spate.json"
local spate = require "spate"
local sse = require "spate.sse"

local LOCKED = 10      -- seconds for which an append may take the stream for itself
local PRODUCERS = 1000 -- that are known of a stream

local Stream = {}
Stream.__index = Stream

local stream = {}

local function channel_of(store, name)
  return sse.channel("durable:" .. name, { history = store.appends, history_bytes = store.bytes, ttl = 0 })
end

-- A media type without its parameters.
function stream.kind_of(type) return type:lower():match "^%s*([^;%s]*)" end

-- A channel's id as an offset, which sorts as it was given; and back.
function stream.offset_of(id)
  local epoch, seq = id:match "^(.+)%-(%d+)$"
  return ("%016d_%s"):format(tonumber(seq), epoch)
end

-- What is behind the offset 0 is all: true.
function stream.id_of(offset)
  local seq, epoch = offset:match "^(%d+)_(%w+)$"
  if not seq or #seq > 18 then return nil end
  return tonumber(seq) == 0 or ("%s-%d"):format(epoch, tonumber(seq))
end

function Stream:channel() return channel_of(self.store, self.channel_name) end

-- The id that an offset is behind of, also where it is one of a stream that this is a fork of; true: all is behind it.
function Stream:resolve(offset)
  local id = stream.id_of(offset)
  if not id or id == true then return id end
  local epoch, seq = id:match "^(.+)%-(%d+)$"
  local own = self:channel().handle:newest():match "^(.+)%-"
  for _, one in ipairs(epoch ~= own and self.ancestors or {}) do
    if one.epoch == epoch and tonumber(seq) <= one.seq then return ("%s-%s"):format(own, seq) end
  end
  return id
end

-- The offset behind all that there is.
function Stream:tail() return stream.offset_of(self:channel().handle:newest()) end

function Stream:is_json() return self.type:lower():find("application/json", 1, true) ~= nil end

-- Whether its bytes go as they are into events.
function Stream:is_text() return self:is_json() or self.type:lower():find "^text/" ~= nil end

local FIELDS = { "type", "ttl", "expires", "closed", "closed_by", "channel_name", "producers", "seq",
  "forks", "gone", "forked_from", "source_path", "fork_at", "fork_sub", "ancestors" }

local function save(self, dictionary)
  local fields = {}
  for _, name in ipairs(FIELDS) do fields[name] = self[name] end
  fields.producers = json.object(self.producers)
  local left = self.ttl or self.expires_at and self.expires_at - core.wall()
  return dictionary:set(self.path, json.encode(fields), left and { ttl = math.max(left, 0.001) } or nil)
end

function Stream:save() return save(self, self.store.streams) end

-- Seconds since 1970 of a time as in RFC 3339; nil where it is none.
function stream.time_of(text)
  local y, mo, d, h, mi, s, zone = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)[.%d]*(.*)$"
  local sign, zh, zm = (zone or ""):match "^([+-])(%d%d):(%d%d)$"
  if not y or zone ~= "Z" and not sign or tonumber(mo) > 12 or tonumber(d) > 31 or tonumber(h) > 23 or tonumber(mi) > 59 then return nil end
  local at = require("spate.cron.expression").seconds(tonumber(y), tonumber(mo), tonumber(d), tonumber(h), tonumber(mi)) + tonumber(s)
  local shift = sign and (tonumber(zh) * 60 + tonumber(zm)) * 60 or 0
  return sign == "-" and at + shift or at - shift
end

-- The stream of a path; nil; nil and why nobody can know. To look at one is to use it, which its time to live counts from: by
-- the text that was read, so that what another worker has changed since stays, which has begun that time anew as well.
function stream.find(store, path, is_use)
  local text, why = store.streams:get(path)
  if not text then return nil, why end
  local self = setmetatable(json.decode(text), Stream)
  self.store, self.path, self.expires_at = store, path, self.expires and stream.time_of(self.expires)
  if is_use and self.ttl then store.streams:cas(path, text, text, { ttl = self.ttl }) end
  return self
end

-- Where locks are: in Redis where several servers have that together, else in the process, with which they end.
local function locks_of(store)
  local name = ("spate durable %s locks"):format(store.name)
  return core.dictionary_of_nodes(name) or core.shared(name)
end

-- Runs fn(stream) while nobody else appends: what it returns; in a task of its own, which goes on when the client leaves.
function stream.locked(store, path, fn)
  local task = core.background(function()
    local locks, deadline, mine = locks_of(store), core.now() + 2 * LOCKED, false
    while not mine do
      local why
      mine, why = locks:add(path, core.worker, { ttl = LOCKED })
      if mine == nil then return nil, why end
      if not mine then
        if core.now() > deadline then return nil, "busy" end
        sse.sleep(0.002)
      end
    end
    local _ <close> = at_end(function() sse.spawn(locks.delete, locks, path) end)
    local found, fault = stream.find(store, path, true)
    if fault then return nil, fault end
    return fn(found)
  end)
  return task:join()
end

-- What an append has, in one event: JSON values with commas between, other bytes as base64. nil and what is wrong.
function Stream:payload(bytes, may_be_empty)
  if not self:is_json() then return core.base64(bytes, false, true) end
  local value, err = json.decode(bytes, { null = json.null })
  if value == nil then return nil, err end
  local list = bytes:find "^%s*%[" and value or { value }
  if #list == 0 and not may_be_empty then return nil, "an empty list" end
  local texts = {}
  for i, one in ipairs(list) do texts[i] = json.encode(one) end
  return table.concat(texts, ",")
end

-- The bytes of some events' payloads.
function Stream:bytes(payloads)
  if self:is_json() then return "[" .. table.concat(payloads, ",") .. "]" end
  local parts = {}
  for i, payload in ipairs(payloads) do parts[i] = core.base64_decode(payload, false, true) end
  return table.concat(parts)
end

-- Where a producer's append stands: "new"; "duplicate", "stale", "first" (an epoch begins with 0), "gap", and what it is told.
function Stream:check_producer(producer)
  local known = self.producers[producer.id]
  if not known then return producer.seq == 0 and "new" or "gap", 0 end
  if producer.epoch < known.epoch then return "stale", known.epoch end
  if producer.epoch > known.epoch then return producer.seq == 0 and "new" or "first" end
  if producer.seq <= known.seq then return "duplicate", known.seq end
  return producer.seq == known.seq + 1 and "new" or "gap", known.seq + 1
end

local function remember(self, producer)
  self.producers[producer.id] = { epoch = producer.epoch, seq = producer.seq, at = math.floor(core.wall()) }
  local count, oldest = 0, nil
  for id, known in pairs(self.producers) do
    count = count + 1
    if not oldest or known.at < self.producers[oldest].at then oldest = id end
  end
  if count > PRODUCERS then self.producers[oldest] = nil end
end

-- Appends and, where `closes` is true, ends it: the offset behind; nil and why not. payload nil: only the end.
function Stream:append(store, payload, closes, producer, seq)
  local channel = self:channel()
  local event = payload and payload ~= "" and { data = payload } or nil
  if closes then
    local ok, why = channel:finish(event)
    if not ok then return nil, why end
    self.closed, self.closed_by = true, producer and { id = producer.id, epoch = producer.epoch, seq = producer.seq } or nil
  elseif event then
    local id, why = channel:publish(event)
    if not id then return nil, why end
  end
  local offset = self:tail()
  if producer then remember(self, producer) end
  self.seq = seq or self.seq
  local ok, why = save(self, store.streams)
  if not ok then return nil, why end
  return offset
end

local function full(store)
  core.count_refused "durable_streams"
  return nil, ("there are %d streams already"):format(store.limit), 507
end

-- Whether there may be another: true; nil, why not and the status. One that was deleted and has forks counts.
function stream.may_be(store)
  local count, why = store.streams:count()
  if not count then return nil, why, 503 end
  if count >= store.limit then return full(store) end
  return true
end

-- A new channel for a stream, or for a copy that becomes one (`value`: when it is given up); nil, why not and the status. It is counted once
-- it is there, so that of those who come together none is above the limit.
function stream.open(store, name, value)
  local count, why = store.channels:set(name, value)
  if count then count, why = store.channels:count() end
  local channel
  if count and count <= store.limit then
    channel, why = channel_of(store, name)
    if channel then return channel end
  end
  store.channels:delete(name)
  if count and count > store.limit then return full(store) end
  return nil, why, 503
end

-- A new one, with what is in it from the start. `base`: what a fork has.
function stream.create(store, path, fields, bytes, base)
  local self = setmetatable({ store = store, path = path, type = fields.type, ttl = fields.ttl, expires = fields.expires, producers = {},
    expires_at = fields.expires and stream.time_of(fields.expires), channel_name = spate.uuid() }, Stream)
  for name, value in pairs(base or {}) do self[name] = value end
  local payload, fault
  if bytes ~= "" then
    payload, fault = self:payload(bytes, true)
    if not payload then return nil, fault, 400 end
  end
  local ok, why, status = stream.may_be(store)
  if ok and base then ok, why = store.channels:set(self.channel_name, path) end
  if ok and not base then ok, why, status = stream.open(store, self.channel_name, path) end
  if not ok then return nil, why, status or 503 end
  ok, why = self:append(store, payload, fields.closed)
  if ok then return self end
  if not base then stream.discard(store, self.channel_name) end
  return nil, why, why == "too large" and 413 or 503
end

-- Forgets what a channel has. Where limits.channels lets it not be looked at, the next sweep tries again.
function stream.discard(store, name)
  local channel = channel_of(store, name)
  if not channel then return end
  channel:finish()
  core.remove_channel(channel.handle)
  store.channels:delete(name)
end

-- Forgets those whose time has come, and copies for forks that came to no end, of which there is a time in place of a path.
function stream.sweep(store)
  for _, name in ipairs(store.channels:keys() or {}) do
    local path = store.channels:get(name)
    if type(path) == "number" then
      if path < core.wall() then stream.discard(store, name) end
    elseif path then
      local found, why = stream.find(store, path)
      if not why and (not found or found.channel_name ~= name) then stream.discard(store, name) end
    end
  end
end

return stream
