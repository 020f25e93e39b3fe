-- SPDX-License-Identifier: MIT
-- require "spate.redis": a Redis server, or Valkey. What the server or the way to it does wrong is returned: nil, a message,
-- and a word for it; a lost server is tried again by itself.
local check = require "spate.check"
local core = require "spate.core"
local sse = require "spate.sse"

local redis = {}

local OPTIONS = { "timeout", "connect", "wait", "queue", "queue_bytes", "blocking", "ca", "cert", "key", "verify" }
local BLOCK = 20            -- seconds that one XREAD waits
local PAGE = 100            -- entries of one XREAD
local RETRY, RETRY_MAX = 0.2, 5 -- seconds
local LATER = { unavailable = true, unknown = true, loading = true, busy = true, readonly = true, oom = true, moved = true, ask = true }

-- Commands that change what the connection is, which all share.
local REFUSED = {
  SUBSCRIBE = "redis:subscribe", PSUBSCRIBE = "redis:psubscribe", SSUBSCRIBE = "redis:ssubscribe", UNSUBSCRIBE = "stream:close",
  PUNSUBSCRIBE = "stream:close", SUNSUBSCRIBE = "stream:close", MULTI = "redis:transaction", EXEC = "redis:transaction",
  DISCARD = "redis:transaction", WATCH = "a script (EVAL)", UNWATCH = "a script (EVAL)", AUTH = "the URL's user and password",
  HELLO = "the URL's user and password", SELECT = "the URL's database", QUIT = "redis:close", RESET = "redis:close",
  MONITOR = false, SYNC = false, PSYNC = false, REPLCONF = false, ASKING = false, READONLY = false, READWRITE = false,
}

-- Where a command that blocks has its time, and in which units; -1: its last word.
local MOVES_MAX = 5 -- of the slot of a command that blocks

local BLOCKING = {
  BLPOP = { -1, 1 }, BRPOP = { -1, 1 }, BLMOVE = { -1, 1 }, BRPOPLPUSH = { -1, 1 }, BZPOPMIN = { -1, 1 }, BZPOPMAX = { -1, 1 },
  BLMPOP = { 2, 1 }, BZMPOP = { 2, 1 }, WAIT = { -1, 1000 }, WAITAOF = { -1, 1000 },
}

-- Where a command has the key that says which node of a cluster it is for, where that is not its second word; false: it
-- has none.
local KEYS = {
  EVAL = 4, EVALSHA = 4, EVAL_RO = 4, EVALSHA_RO = 4, FCALL = 4, FCALL_RO = 4, OBJECT = 3, MEMORY = 3, XINFO = 3, XGROUP = 3, ZUNION = 3,
  ZINTER = 3, ZDIFF = 3, ZINTERCARD = 3, SINTERCARD = 3, LMPOP = 3, ZMPOP = 3, BLMPOP = 4, BZMPOP = 4, BITOP = 3, PING = false, ECHO = false,
  INFO = false, PUBLISH = false, SCRIPT = false, FUNCTION = false, CONFIG = false, CLIENT = false, CLUSTER = false, COMMAND = false, TIME = false,
  DBSIZE = false, KEYS = false, SCAN = false, RANDOMKEY = false, FLUSHALL = false, FLUSHDB = false, PUBSUB = false, WAIT = false, ACL = false,
}

local function key_of(name, words)
  local place = KEYS[name]
  if place == false then return nil end
  if name == "XREAD" or name == "XREADGROUP" then
    for i = 2, #words do
      if type(words[i]) == "string" and words[i]:upper() == "STREAMS" then place = i + 1 end
    end
  end
  local key = words[place or 2]
  return key ~= nil and tostring(key) or nil
end

local function reset() return { event = "reset", data = "messages before this one may have been lost" } end

local Redis = { __name = "redis" }
Redis.__index = Redis

local function check_self(self, name)
  if getmetatable(self) ~= Redis then core.raise(("redis:%s: write it with a colon"):format(name)) end
end

local function seconds(options, name, default)
  return options[name] == nil and default or check.seconds(options[name], "redis.open: " .. name)
end

local function count(options, name, default)
  if options[name] == nil then return default end
  if check.count(options[name], "redis.open: " .. name) == 0 then core.raise(("redis.open: %s: expected 1 or more, got 0"):format(name)) end
  return options[name]
end

local function path(options, name)
  local value = options[name]
  if value ~= nil and check.text(value, "redis.open: " .. name):find("\0", 1, true) then
    core.raise(("redis.open: %s: the path holds a NUL"):format(name))
  end
  return value
end

-- A server. Nothing is connected before the first call.
function redis.open(url, options)
  check.text(url, "redis.open")
  options = check.options(options or {}, "redis.open", OPTIONS)
  if options.verify ~= nil and type(options.verify) ~= "boolean" then
    core.raise("redis.open: verify: expected true or false, got " .. type(options.verify))
  end
  local self = setmetatable({}, Redis)
  self.wait = seconds(options, "wait", 2)
  self.timeout = seconds(options, "timeout", 10)
  self.handle = core.redis_open {
    url = url, wait = self.wait, timeout = self.timeout, connect = seconds(options, "connect", 5), queue = count(options, "queue", 10000),
    queue_bytes = count(options, "queue_bytes", 64 * 1024 * 1024), blocking = count(options, "blocking", 100), ca = path(options, "ca"),
    cert = path(options, "cert"), key = path(options, "key"), verify = options.verify,
  }
  return self
end

-- How long the command may block: seconds, 0 for ever; nil where it does not.
local function blocks_for(name, words)
  local place = BLOCKING[name]
  if place then return (tonumber(words[place[1] < 0 and #words or place[1]]) or 0) / place[2] end
  if name ~= "XREAD" and name ~= "XREADGROUP" then return nil end
  for i = 2, #words do
    local word = type(words[i]) == "string" and words[i]:upper()
    if word == "STREAMS" then return nil end
    if word == "BLOCK" then return (tonumber(words[i + 1]) or 0) / 1000 end
  end
end

local function name_of(words, what)
  if type(words[1]) ~= "string" then core.raise(("%s: expected a command such as \"GET\", got %s"):format(what, type(words[1]))) end
  local name = words[1]:upper()
  local instead = REFUSED[name]
  if instead ~= nil then
    core.raise(("%s: %s is not for a connection that others use%s"):format(what, name, instead and "; use " .. instead or ""))
  end
  if name == "CLIENT" and type(words[2]) == "string" and words[2]:upper() == "REPLY" then
    core.raise(what .. ": CLIENT REPLY is not for a connection that others use")
  end
  return name
end

-- On a connection of its own. Where the slot of its key has moved nothing was done, and the node is known now.
local function ask_blocking(self, what, timeout, words)
  local value, message, code
  for _ = 1, MOVES_MAX do
    value, message, code = self.handle:ask(what, "blocking", timeout, { words })
    if code ~= "moved" then break end
  end
  return value, message, code
end

-- A value, nil where there is none; nil, a message and a code.
function Redis:command(...)
  check_self(self, "command")
  local words = { ... }
  local name = name_of(words, "redis:command")
  if select("#", ...) ~= #words then core.raise(("redis:command: word %d: expected a string or a number, got nil"):format(#words + 1)) end
  words.key = key_of(name, words)
  local block = blocks_for(name, words)
  if not block then return self.handle:ask("redis:command", "single", 0, { words }) end
  return ask_blocking(self, "redis:command", block > 0 and block + self.timeout or math.huge, words)
end

local function check_commands(commands, what)
  if type(commands) ~= "table" or #commands == 0 then
    core.raise(("%s: expected a list of commands, { { \"GET\", key }, ... }, got %s"):format(what, type(commands)))
  end
  local copies = {}
  for i, words in ipairs(commands) do
    if type(words) ~= "table" then core.raise(("%s: command %d: expected a list of words, got %s"):format(what, i, type(words))) end
    local name = name_of(words, what)
    if blocks_for(name, words) then core.raise(("%s: command %d: %s blocks, and has to wait by itself: redis:command"):format(what, i, name)) end
    copies[i] = table.move(words, 1, #words, 1, { key = key_of(name, words) })
  end
  return copies
end

-- The values of some commands, sent at once: a list, in which nil is false and an error is { err =, code = }.
function Redis:pipeline(commands)
  check_self(self, "pipeline")
  return self.handle:ask("redis:pipeline", "list", 0, check_commands(commands, "redis:pipeline"))
end

-- The same between MULTI and EXEC: all of them in one step, or none.
function Redis:transaction(commands)
  check_self(self, "transaction")
  return self.handle:ask("redis:transaction", "atomic", 0, check_commands(commands, "redis:transaction"))
end

-- A stream of what is published: with one name an event's data is the message, with several its event is the channel. Where
-- nothing can wait, as while an application loads, it begins with its first reader.
local function subscribe(self, method, kind, names)
  local what, is_closed = "redis:" .. method, false
  local has_names = #names > 1 or kind == "pattern"
  local function begin() return self.handle:subscribe(what, kind, self.wait, names) end
  local subscriber, message, code = begin()
  if subscriber == nil then return nil, message, code end
  local function next_event()
    if is_closed then return nil end
    local why
    if not subscriber then subscriber, why = begin() end
    if not subscriber then error(why or what .. ": it cannot be waited for here", 0) end
    local payload, channel = subscriber:next()
    if payload then return { data = payload, event = has_names and channel or nil } end
    if payload == false then return reset() end
    if channel then error(("%s: %s"):format(what, channel), 0) end
  end
  local stream = sse.from(next_event)
  stream.where = core.where()
  stream._close = function()
    is_closed = true
    if subscriber then subscriber:close() end
  end
  stream.again = function() return subscribe(self, method, kind, names) end
  return stream
end

local function check_names(self, method, ...)
  check_self(self, method)
  local names = check.strings({ ... }, "redis:" .. method)
  if select("#", ...) ~= #names then core.raise(("redis:%s: name %d: expected a string, got nil"):format(method, #names + 1)) end
  return names
end

function Redis:subscribe(...) return subscribe(self, "subscribe", "channel", check_names(self, "subscribe", ...)) end
function Redis:psubscribe(...) return subscribe(self, "psubscribe", "pattern", check_names(self, "psubscribe", ...)) end
function Redis:ssubscribe(...) return subscribe(self, "ssubscribe", "shard", check_names(self, "ssubscribe", ...)) end

-- What reads a stream of Redis's, entry by entry.
local Reader = {}
Reader.__index = Reader

function Reader:ask(...)
  local value, message, code = self.redis.handle:ask("redis:xread", "single", 0, { { key = self.key, ... } })
  return value, message, code
end

-- Where to go on: what was behind may be gone, or a server without the newest entries may have taken over.
function Reader:find_place()
  local newest, message, code = self:ask("XREVRANGE", self.key, "+", "-", "COUNT", 1)
  if not newest then return nil, message, code end
  local last = newest[1] and newest[1][1] or "0-0"
  if not self.place.last then
    self.place.last = last
  elseif self.place.last ~= "0-0" and self.place.last ~= last then
    local found
    found, message, code = self:ask("XRANGE", self.key, self.place.last, self.place.last, "COUNT", 1)
    if not found then return nil, message, code end
    if not found[1] then
      self.is_reset = true
      self.place.last = "0-0"
    end
  end
  self.is_placed = true
  return true
end

local function is_less(a, b) -- decimals
  a, b = a:match "^0*(.*)", b:match "^0*(.*)"
  if #a ~= #b then return #a < #b end
  return a < b
end

local function is_before(a, b)
  local ms, number = a:match "^(%d+)%-?(%d*)"
  local other_ms, other_number = b:match "^(%d+)%-?(%d*)"
  return is_less(ms, other_ms) or not is_less(other_ms, ms) and is_less(number, other_number)
end

-- Where nothing has come for a while: a stream that was deleted and has lower ids now would never have anything behind the
-- last one. What a server does not tell, or has lost with the stream, says nothing.
function Reader:check_place()
  local info = self:ask("XINFO", "STREAM", self.key)
  for i = 1, info and #info - 1 or 0, 2 do
    if info[i] == "last-generated-id" and is_before(info[i + 1], self.place.last) then
      self.is_reset = true
      self.place.last = "0-0"
    end
  end
end

function Reader:read_page()
  if not self.is_placed then
    local ok, message, code = self:find_place()
    if not ok then return nil, message, code end
  end
  local reply, message, code = ask_blocking(self.redis, "redis:xread", BLOCK + self.redis.timeout,
    { "XREAD", "COUNT", PAGE, "BLOCK", BLOCK * 1000, "STREAMS", self.key, self.place.last, key = self.key })
  if message then return nil, message, code end
  if reply then return reply[1][2] end
  self:check_place()
  return {}
end

-- Raises where trying again does not help.
function Reader:next_page()
  local page, message, code = self:read_page()
  if page then
    self.failures = 0
    return page
  end
  if code == "closed" then
    self.is_over = true
    return {}
  end
  if not LATER[code] then error(message, 0) end
  self.is_placed = false
  sse.sleep(math.min(RETRY * 2 ^ self.failures, RETRY_MAX) * (0.5 + math.random()))
  self.failures = self.failures + 1
  return {}
end

-- An entry of one field `data` is an event of it, others are the JSON of their fields.
local function event_of(entry)
  local id, list, fields = entry[1], entry[2], {}
  for i = 1, #list, 2 do fields[list[i]] = list[i + 1] end
  if #list == 2 and fields.data then return { id = id, data = fields.data } end
  return { id = id, json = fields }
end

function Reader:next()
  while self.at >= #self.page do
    if self.is_over then return nil end
    self.page, self.at = self:next_page(), 0
    if self.is_reset then
      self.is_reset = false
      return reset()
    end
  end
  self.at = self.at + 1
  local entry = self.page[self.at]
  self.place.last = entry[1]
  return event_of(entry)
end

-- `place` has where it is, for whoever reads on.
local function read_stream(self, key, place)
  local reader = setmetatable({ redis = self, key = key, place = place, page = {}, at = 0, failures = 0 }, Reader)
  local stream = sse.from(function() return reader:next() end)
  stream._close, stream.where = function() reader.is_over = true end, core.where()
  stream.again = function() return read_stream(self, key, place) end
  return stream
end

-- The entries of a stream behind the one whose id is `from`; "0": all; nil or "": what comes from now on.
function Redis:xread(key, from)
  check_self(self, "xread")
  check.text(key, "redis:xread: key")
  if from == "" or from == "$" then from = nil end
  if from ~= nil and not check.text(from, "redis:xread: from"):find "^%d+%-?%d*$" then from = "0-1" end -- as one that is gone
  if from == "0" then from = "0-0" end
  return read_stream(self, key, { last = from })
end

-- Closes its connections; who waits is told "closed", and streams end.
function Redis:close()
  check_self(self, "close")
  self.handle:close()
end

Redis.__close = Redis.close

core.public(redis, "open")
core.public(Redis, "command", "pipeline", "transaction", "subscribe", "psubscribe", "ssubscribe", "xread", "close")

return redis
