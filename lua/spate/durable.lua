-- SPDX-License-Identifier: MIT
-- require "spate.durable": streams of the Durable Streams protocol over HTTP: PUT makes one, POST appends, GET reads from an
-- offset, once, by a long poll or as an event stream; HEAD and DELETE. Without webhooks and other subscriptions.
local check = require "spate.check"
local core = require "spate.core"
local fork = require "spate.durable.fork"
local reply = require "spate.reply"
local sse = require "spate.sse"
local stream = require "spate.durable.stream"

local OPTIONS = { "name", "poll", "authorize", "origin", "appends", "bytes", "streams" }
local APPENDS, BYTES = 100000, 256 * 1024 * 1024 -- of a stream, that are kept
local STREAMS = 10000
local READ = 1024 * 1024 -- bytes of an answer, about
local PATH_LENGTH = 255
local CURSOR = 20        -- seconds for which caches may take requests for one
local CURSOR_EPOCH = 1728432000
local HEADERS = { "Content-Type", "Authorization", "If-None-Match", "Stream-Seq", "Stream-TTL", "Stream-Expires-At", "Stream-Closed",
  "Stream-Forked-From", "Stream-Fork-Offset", "Stream-Fork-Sub-Offset", "Producer-Id", "Producer-Epoch", "Producer-Seq" }
local SHOWN = { "Stream-Next-Offset", "Stream-Cursor", "Stream-Up-To-Date", "Stream-Closed", "Stream-TTL", "Stream-Expires-At",
  "Stream-SSE-Data-Encoding", "Producer-Epoch", "Producer-Seq", "Producer-Expected-Seq", "Producer-Received-Seq", "ETag", "Location" }

local Durable = { __name = "durable streams" }
Durable.__index = Durable

local durable = {}

-- Streams. Options: name, poll (seconds of a long poll), authorize (fn(req, path, action)), origin (of pages that may read: "*"), appends and
-- bytes that are kept of each, streams (how many there are at most).
function durable.streams(options)
  options = check.options(options or {}, "durable.streams", OPTIONS)
  local name = check.text(options.name or "streams", "durable.streams: name")
  if #name > 100 then core.raise "durable.streams: name: expected 100 bytes at most" end
  local function shared(kind) return core.shared(("spate durable %s %s"):format(name, kind), { store = true }) end
  return setmetatable({ name = name, poll = options.poll and check.seconds(options.poll, "durable.streams: poll") or 20,
    authorize = options.authorize and check.callable(options.authorize, "durable.streams: authorize"),
    origin = check.text(options.origin or "*", "durable.streams: origin"), appends = check.count(options.appends or APPENDS, "durable.streams: appends"),
    bytes = check.count(options.bytes or BYTES, "durable.streams: bytes"),
    limit = check.count(options.streams or STREAMS, "durable.streams: streams"), streams = shared "streams", channels = shared "channels" }, Durable)
end

-- The answer where a stream is not there, or was deleted and has forks.
local function missing(found) return found and reply.error(410, "it was deleted") or reply.error(404, "no such stream") end

local function unavailable(why) return reply.error(503, "it cannot be looked up: " .. tostring(why)) end

local function with(answer, fields)
  for name, value in pairs(fields) do answer:header(name, value) end
  return answer
end

-- What a PUT asks for; nil and what is wrong.
local function wanted(req)
  local ttl, expires = req.headers["Stream-TTL"], req.headers["Stream-Expires-At"]
  if ttl and expires then return nil, "Stream-TTL and Stream-Expires-At exclude each other" end
  if ttl and (not (ttl == "0" or ttl:find "^[1-9]%d*$") or #ttl > 9) then return nil, "Stream-TTL is no whole number of seconds" end
  if expires and not stream.time_of(expires) then return nil, "Stream-Expires-At is no time" end
  local forked, fault = fork.wanted(req)
  if forked == nil then return nil, fault end
  local type = req.headers["Content-Type"]
  if not type or not type:find "^[%w-]+/[%w-]+" then type = not forked and "application/octet-stream" or nil end
  return { type = type, ttl = ttl and tonumber(ttl), expires = expires, closed = req.headers["Stream-Closed"] == "true", fork = forked }
end

local function is_same(found, fields)
  return stream.kind_of(found.type) == stream.kind_of(fields.type) and found.ttl == fields.ttl and found.expires == fields.expires and
    (found.closed or false) == fields.closed
end

local function created(found, status)
  local answer = with(reply.status(status), { ["Content-Type"] = found.type, ["Stream-Next-Offset"] = found:tail() })
  return found.closed and answer:header("Stream-Closed", "true") or answer
end

-- What a fork begins with, where one is asked for: true where the stream is there; nil and the answer that says why not. What the request
-- does not say is as with the source.
local function forked(self, req, path, fields)
  local from = fork.path_of(req, self.prefix, fields.fork.from)
  if not from then return nil, missing() end
  local allowed = not self.authorize or self.authorize(req, from, "read")
  if allowed ~= true then return nil, allowed or reply.error(403) end
  if not fork.current(self, stream.find(self, path)) then
    local ok, fault, status = stream.may_be(self)
    if not ok then return nil, reply.error(status, tostring(fault)) end
  end
  local begun, why
  local answer, fault = stream.locked(self, from, function(source)
    local status
    begun, why, status = fork.begin(self, source, path, fields)
    return begun and true or reply.error(status, why)
  end)
  if answer ~= true then return nil, answer or unavailable(fault) end
  fields.type = fields.type or begun.source.type
  if not fields.ttl and not fields.expires then fields.ttl, fields.expires = begun.source.ttl, begun.source.expires end
  fields.begun = begun
  if fork.current(self, stream.find(self, path)) then return true end
  local base, message, status = fork.copy(self, begun)
  if not base then return nil, reply.error(status, tostring(message)) end
  return base
end

local function put(self, req, path)
  local fields, fault = wanted(req)
  if not fields then return reply.error(400, fault) end
  local body, base = req:body() or "", nil
  if fields.fork then
    base, fault = forked(self, req, path, fields)
    if not base then return fault end
  end
  local made
  local answer, why = stream.locked(self, path, function(found)
    found = fork.current(self, found)
    if found and found.gone then return reply.error(409, "it was deleted, and has forks") end
    if found then
      local same = is_same(found, fields) and (not fields.fork or fork.is_same(found, fields.begun, fields))
      return same and created(found, 200) or reply.error(409, "it is there already, otherwise")
    end
    if base == true then return reply.error(503, "it has just been deleted") end
    local message, status
    made, message, status = stream.create(self, path, fields, body, base)
    if not made then return reply.error(status, message) end
    return created(made, 201):header("Location", ("%s://%s%s"):format(req.scheme, req.host, req.path))
  end)
  if type(base) == "table" and not made then stream.discard(self, base.channel_name) end
  return answer or unavailable(why)
end

-- The producer that a POST names; false where it names none; nil and what is wrong.
local function producer_of(req)
  local id, epoch, seq = req.headers["Producer-Id"], req.headers["Producer-Epoch"], req.headers["Producer-Seq"]
  if not id and not epoch and not seq then return false end
  if not id or not epoch or not seq then return nil, "Producer-Id, Producer-Epoch and Producer-Seq belong together" end
  if id == "" or #id > 200 then return nil, "Producer-Id has 1 to 200 bytes" end
  if not epoch:find "^%d+$" or not seq:find "^%d+$" or tonumber(epoch) > 2 ^ 53 or tonumber(seq) > 2 ^ 53 then
    return nil, "Producer-Epoch and Producer-Seq are whole numbers"
  end
  return { id = id, epoch = math.tointeger(tonumber(epoch)), seq = math.tointeger(tonumber(seq)) }
end

local function is_closed_by(found, producer)
  local by = found.closed_by
  return producer and by and by.id == producer.id and by.epoch == producer.epoch and by.seq == producer.seq
end

-- The answer to a producer whose append is not new, or nil.
local function settled(found, producer)
  if not producer then return nil end
  local state, number = found:check_producer(producer)
  if state == "stale" then return reply.error(403, "an epoch that is over"):header("Producer-Epoch", number) end
  if found.closed then return nil end
  if state == "duplicate" then
    return with(reply.status(204), { ["Producer-Epoch"] = producer.epoch, ["Producer-Seq"] = number, ["Stream-Next-Offset"] = found:tail() })
  end
  if state == "first" then return reply.error(400, "an epoch begins with the number 0") end
  if state == "gap" then
    return with(reply.error(409, "a number is missing"), { ["Producer-Expected-Seq"] = number, ["Producer-Received-Seq"] = producer.seq })
  end
end

-- The answer of a stream that is closed.
local function over(found, producer, is_close_only)
  local fields = { ["Stream-Closed"] = "true", ["Stream-Next-Offset"] = found:tail() }
  if is_closed_by(found, producer) then
    fields["Producer-Epoch"], fields["Producer-Seq"] = producer.epoch, producer.seq
    return with(reply.status(204), fields)
  end
  return with(is_close_only and not producer and reply.status(204) or reply.error(409, "it is closed"), fields)
end

local function append(self, req, found, body, producer)
  local closes, type, seq = req.headers["Stream-Closed"] == "true", req.headers["Content-Type"], req.headers["Stream-Seq"]
  if body ~= "" and not type then return reply.error(400, "Content-Type is missing") end
  local answer = settled(found, producer)
  if answer then return answer end
  if found.closed then return over(found, producer, body == "") end
  local payload, fault
  if body ~= "" then
    if stream.kind_of(type) ~= stream.kind_of(found.type) then return reply.error(409, "its type is " .. found.type) end
    payload, fault = found:payload(body)
    if not payload then return reply.error(400, fault) end
    if seq and found.seq and seq <= found.seq then return reply.error(409, "Stream-Seq is not above the last one") end
  end
  local offset, why = found:append(self, payload, closes, producer, seq)
  if not offset then return reply.error(why == "too large" and 413 or 503, tostring(why)) end
  answer = reply.status(producer and body ~= "" and 200 or 204):header("Stream-Next-Offset", offset)
  if closes then answer:header("Stream-Closed", "true") end
  return producer and with(answer, { ["Producer-Epoch"] = producer.epoch, ["Producer-Seq"] = producer.seq }) or answer
end

local function post(self, req, path)
  local producer, fault = producer_of(req)
  if producer == nil then return reply.error(400, fault) end
  local body = req:body() or ""
  if body == "" and req.headers["Stream-Closed"] ~= "true" then return reply.error(400, "an empty body") end
  local answer, why = stream.locked(self, path, function(found)
    found = fork.current(self, found)
    if not found or found.gone then return missing(found) end
    return append(self, req, found, body, producer)
  end)
  return answer or unavailable(why)
end

-- Rises with time, and above what the client had, so that no cache goes round in a circle.
local function cursor_of(req)
  local now = (math.floor(core.wall()) - CURSOR_EPOCH) // CURSOR
  local had = (req.query.cursor or ""):find "^%d+$" and #req.query.cursor < 16 and math.tointeger(tonumber(req.query.cursor))
  return tostring(had and had >= now and had + math.random(1, 180) or now)
end

-- Payloads behind an id, about so many bytes of them, and the offset behind the last; nil, "gone" where they are not kept any more.
local function read(found, after)
  local channel = found:channel()
  local sub, why = channel.handle:subscribe(after, -1)
  if not sub then return nil, why end
  local _ <close> = setmetatable({}, { __close = function() sub:close() end })
  local next_event, payloads, last, bytes = core.reader(sub), {}, after, 0
  while bytes < READ do
    local _, failure = core.replay(sub)
    if failure then return nil, failure end
    if core.waiting(sub) == 0 then break end
    local event = next_event()
    if event.event == "reset" then return nil, "gone" end
    payloads[#payloads + 1], last, bytes = event.data, event.id, bytes + #event.data
  end
  return payloads, last and stream.offset_of(last) or found:tail()
end

-- Waits until there is more behind the tail, or it ends, or the time is up.
local function wait(self, found, after)
  local events = found:channel():subscribe { after = after, replay = "all" }
  if not events then return end
  local timed <close> = events:timeout(self.poll)
  timed:next()
end

-- The id that an offset is behind of; nil where that is the beginning.
local function id_behind(found, offset)
  local id = found:resolve(offset)
  return id ~= true and id or nil
end

local function once(self, req, found, path)
  local offset, live = req.query.offset, req.query.live == "long-poll"
  if offset == "now" and not live then
    local body = found:is_json() and "[]" or ""
    return with(reply.body(body, found.type), { ["Stream-Next-Offset"] = found:tail(), ["Stream-Up-To-Date"] = "true", ["Cache-Control"] = "no-store",
      ["Stream-Closed"] = found.closed and "true" or nil })
  end
  local is_known = offset and offset ~= "-1" -- where the client is
  local after = is_known and id_behind(found, offset == "now" and found:tail() or offset) or nil
  local payloads, last = read(found, after)
  if payloads and #payloads == 0 and live and is_known and not found.closed then
    wait(self, found, after)
    found = fork.current(self, stream.find(self, path, true))
    if not found or found.gone then return missing(found) end
    payloads, last = read(found, after)
  end
  if not payloads then return last == "gone" and reply.error(410, "what follows this offset is not kept any more") or unavailable(last) end
  local is_at_end = last == found:tail()
  local fields = { ["Stream-Next-Offset"] = last, ["Stream-Cursor"] = live and cursor_of(req) or nil, ["Stream-Up-To-Date"] = is_at_end and "true" or nil,
    ["Stream-Closed"] = is_at_end and found.closed and "true" or nil }
  if live and #payloads == 0 and is_known then return with(reply.status(204), fields) end
  local tag = ('"%s:%s:%s%s"'):format(core.base64(path), offset or "-1", last, fields["Stream-Closed"] and ":c" or "")
  fields.ETag = tag
  if req.headers["If-None-Match"] == tag then return reply.status(304):header("ETag", tag) end
  return with(reply.body(found:bytes(payloads), found.type), fields)
end

-- As events: what has come, each append followed by where that is.
local function live(self, req, found, path)
  local offset = req.query.offset
  local after = offset ~= "-1" and id_behind(found, offset == "now" and found:tail() or offset) or nil
  local channel, cursor = found:channel(), cursor_of(req)
  local events, why = channel:subscribe { after = after, replay = "all" }
  if not events then return unavailable(why) end
  local function control(at)
    local is_at_end = at == found:tail()
    local is_over = is_at_end and channel.handle:is_finished()
    return { event = "control", json = { streamNextOffset = at, streamClosed = is_over or nil, streamCursor = not is_over and cursor or nil,
      upToDate = is_at_end and not is_over or nil } }, is_over
  end
  local headers = { ["Stream-SSE-Data-Encoding"] = not found:is_text() and "base64" or nil }
  return sse.reply(function(send)
    local feed <close> = events
    local at, is_over = after and stream.offset_of(after) or nil, false
    if (at or "") == found:tail() or channel.handle:newest():find "%-0$" then
      local first
      first, is_over = control(found:tail())
      send(first)
    end
    for event in feed:each() do
      if event.event == "reset" then break end -- it comes back, and is told by 410
      at = stream.offset_of(event.id)
      send { event = "data", data = found:is_json() and "[" .. event.data .. "]" or found:is_text() and found:bytes { event.data } or event.data }
      local told
      told, is_over = control(at)
      send(told)
    end
    if not is_over and stream.find(self, path) then send((control(found:tail()))) end
  end, { headers = headers })
end

local function get(self, req, path)
  local offset, mode = req.query.offset, req.query.live
  local found, why = stream.find(self, path, true)
  found = fork.current(self, found)
  if not found or found.gone then return why and unavailable(why) or missing(found) end
  if offset and (#req:query_all "offset" > 1 or not (offset == "-1" or offset == "now" or stream.id_of(offset))) then
    return reply.error(400, "no offset of this stream")
  end
  if (mode == "sse" or mode == "long-poll") and not offset then return reply.error(400, "offset is missing") end
  if mode == "sse" then return live(self, req, found, path) end
  return once(self, req, found, path)
end

local function head(self, _, path)
  local found, why = stream.find(self, path)
  found = fork.current(self, found)
  if not found or found.gone then return why and unavailable(why) or missing(found) end
  local tail = found:tail()
  return with(reply.status(200), { ["Content-Type"] = found.type, ["Stream-Next-Offset"] = tail, ["Cache-Control"] = "no-store",
    ["Stream-Closed"] = found.closed and "true" or nil, ["Stream-TTL"] = found.ttl, ["Stream-Expires-At"] = found.expires,
    ETag = ('"%s:-1:%s%s"'):format(core.base64(path), tail, found.closed and ":c" or "") })
end

local function delete(self, _, path)
  local answer, why = stream.locked(self, path, function(found)
    found = fork.current(self, found)
    if not found or found.gone then return missing(found) end
    fork.delete(self, found)
    return reply.status(204)
  end)
  return answer or unavailable(why)
end

local function options_of(self)
  return with(reply.status(204), { ["Access-Control-Allow-Methods"] = "GET, HEAD, PUT, POST, DELETE, OPTIONS",
    ["Access-Control-Allow-Headers"] = table.concat(HEADERS, ", "), ["Access-Control-Max-Age"] = self and "600" })
end

local METHODS = { put = put, post = post, get = get, head = head, delete = delete, options = options_of }
local ACTIONS = { put = "create", post = "append", get = "read", head = "read", delete = "delete" }

-- The handler of a method, with what every answer has.
local function handler(self, method)
  return function(req)
    local path, answer = req.params.path, nil
    if #path > PATH_LENGTH then answer = reply.error(414, ("a path has %d bytes at most"):format(PATH_LENGTH)) end
    if not answer and self.authorize and ACTIONS[method] then
      local allowed = self.authorize(req, path, ACTIONS[method])
      if allowed ~= true then answer = allowed or reply.error(403) end
    end
    answer = answer or METHODS[method](self, req, path)
    return with(answer, { ["X-Content-Type-Options"] = "nosniff", ["Cross-Origin-Resource-Policy"] = "cross-origin",
      ["Access-Control-Allow-Origin"] = self.origin, ["Access-Control-Expose-Headers"] = table.concat(SHOWN, ", ") })
  end
end

-- Serves them below a path of an application.
function Durable:serve(app, prefix)
  if getmetatable(self) ~= Durable then core.raise "streams:serve(...): write it with a colon" end
  check.app(app, "streams:serve")
  self.prefix = check.text(prefix, "streams:serve")
  for method in pairs(METHODS) do app[method](app, prefix .. "/*path", handler(self, method)) end
  sse.every(60, function() stream.sweep(self) end)
  return self
end

core.public(durable, "streams")
core.public(Durable, "serve")

return durable
