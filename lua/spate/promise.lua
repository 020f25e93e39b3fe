-- SPDX-License-Identifier: MIT
-- sse.promise, spate.promise: a value that another task, or a request to another worker, is to bring.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local sse = require "spate.sse"

local Promise = { __name = "promise" }
Promise.__index = Promise

local Named = { __name = "promise" }
Named.__index = Named

local KEPT = 300 -- seconds
local PREFIX = "promise:"
local NAME_MAX = 255 - #PREFIX -- bytes, as a channel carries it

local function check_self(self, meta, name)
  if getmetatable(self) ~= meta then core.raise(("promise:%s: write it with a colon"):format(name)) end
end

local function check_value(value)
  if value == nil then core.raise "promise:fulfil: expected a value, got nil" end
end

local function check_seconds(seconds)
  if seconds ~= nil then check.seconds(seconds, "promise:await") end
end

-- Brings the value: true; false where one has been brought.
function Promise:fulfil(value)
  check_self(self, Promise, "fulfil")
  check_value(value)
  if self.value ~= nil then return false end
  self.value = value
  self.changed:wake()
  return true
end

-- Waits for the value, at most so many seconds: nil, "timeout".
function Promise:await(seconds)
  check_self(self, Promise, "await")
  check_seconds(seconds)
  if self.value == nil then self.changed:wait(seconds, "promise:await") end
  if self.value == nil then return nil, "timeout" end
  return self.value
end

-- A value for the tasks of this worker.
function sse.promise() return setmetatable({ changed = core.signal() }, Promise) end

local function channel_of(self) return sse.channel(PREFIX .. self.name, { history = 1, ttl = self.ttl }) end

-- The same over all workers, and all servers where channels are shared; the value is copied as JSON. nil and why where
-- the channel that carries it cannot be.
function Named:fulfil(value)
  check_self(self, Named, "fulfil")
  check_value(value)
  local ok, text = pcall(json.encode, value)
  if not ok then core.raise("promise:fulfil: " .. text:gsub("^[^\n]-:%d+: ", "")) end
  local channel, why = channel_of(self)
  if not channel then return nil, why end
  ok, why = channel:finish { data = text }
  if ok then return true end
  if why == "finished" then return false end
  return nil, why
end

-- The next value of a stream; nil and "unavailable" where its channel's store fails behind the subscription.
local function next_of(values)
  local ok, event = pcall(values.next, values)
  if ok then return event end
  if type(event) == "string" and event:find("its store", 1, true) then return nil, "unavailable" end
  error(event, 0)
end

-- As of a promise; nil, the reason and "kicked" where spate.kick has ended the waiting; nil, "unavailable" where the channel's store is.
function Named:await(seconds)
  check_self(self, Named, "await")
  check_seconds(seconds)
  local channel, why = channel_of(self)
  if not channel then return nil, why end
  local all, failure = channel:subscribe { replay = "all" }
  if not all then return nil, failure end
  local values = seconds and all:timeout(seconds) or all
  local _ <close> = at_end(function() values:close() end)
  local event, lost = next_of(values)
  if event then return json.decode(event.data) end
  if lost then return nil, lost end
  local reason = core.kick_reason(all.subscription)
  if reason then return nil, reason ~= "" and reason or "kicked", "kicked" end
  return nil, "timeout"
end

-- The promise of this name, of any worker. `ttl`: the seconds for which a value is kept (300).
local function named(name, options)
  if type(name) ~= "string" then core.raise("spate.promise: expected a name as a string, got " .. type(name)) end
  if #name > NAME_MAX then core.raise(("spate.promise: expected a name of at most %d bytes, got %d"):format(NAME_MAX, #name)) end
  if name:find "%c" then core.raise "spate.promise: a name must not contain control characters" end
  options = check.options(options or {}, "spate.promise", { "ttl" })
  if options.ttl ~= nil then check.seconds(options.ttl, "spate.promise: ttl") end
  return setmetatable({ name = name, ttl = options.ttl or KEPT }, Named)
end

core.public(Promise, "fulfil", "await")
core.public(Named, "fulfil", "await")
core.public(sse, "promise")

return named
