-- SPDX-License-Identifier: MIT
-- t.redis: what stands for Redis servers in a spec. A stub answers in virtual time, and remembers what it was asked;
-- messages are pushed by the spec. One server for all URLs: it has no data of its own.
local session = require "spate.test.session"

local redis = {}

local state = session.redis or { stubs = {}, missed = {}, cores = {} }
session.redis = state

-- What a connection may be told without a stub.
local GREETING = { AUTH = "+OK\r\n", SELECT = "+OK\r\n", PING = "+PONG\r\n" }
local KINDS = { SUBSCRIBE = "message", PSUBSCRIBE = "pmessage", SSUBSCRIBE = "smessage" }

local encode

local function bulk(text) return ("$%d\r\n%s\r\n"):format(#text, text) end

local function encode_table(value)
  if value.err then return "-" .. tostring(value.err):gsub("[\r\n]", " ") .. "\r\n" end
  if value.ok then return "+" .. tostring(value.ok):gsub("[\r\n]", " ") .. "\r\n" end
  local parts, n = {}, 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" then error(("t.redis.stub: an answer is a list, or has ok or err, got the key '%s'"):format(tostring(key)), 0) end
    n = math.max(n, key)
  end
  for i = 1, n do parts[i] = encode(value[i]) end
  return ("*%d\r\n"):format(n) .. table.concat(parts)
end

-- RESP2 of a value: nil and false are nil, true is OK.
function encode(value)
  local kind = type(value)
  if value == nil or value == false then return "$-1\r\n" end
  if value == true then return "+OK\r\n" end
  if math.type(value) == "integer" then return (":%d\r\n"):format(value) end
  if kind == "string" or kind == "number" then return bulk(tostring(value)) end
  if kind ~= "table" then error("t.redis.stub: expected an answer of strings, numbers and lists, got " .. kind, 0) end
  return encode_table(value)
end

-- Takes the first command off the front of what has come: its words, and the rest; nil where it is not complete.
local function take_command(bytes)
  local count, at = bytes:match "^%*(%d+)\r\n()"
  if not count then return nil, bytes end
  local words = {}
  for i = 1, tonumber(count) do
    local len, from = bytes:match("^%$(%d+)\r\n()", at)
    if not len or #bytes < from + len + 1 then return nil, bytes end
    words[i] = bytes:sub(from, from + len - 1)
    at = from + len + 2
  end
  return words, bytes:sub(at)
end

-- A pattern's word as a pattern of Lua's: "*" is anything.
local function compile(word)
  return "^" .. word:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
end

local function matches(stub, words)
  for i, pattern in ipairs(stub.patterns) do
    local word = words[i]
    if not word or not (i == 1 and word:upper() or word):find(pattern) then return false end
  end
  return true
end

local function find(words)
  for i = #state.stubs, 1, -1 do
    if matches(state.stubs[i], words) then return state.stubs[i] end
  end
end

local function show(words)
  local text = table.concat(words, " ")
  return #text > 200 and text:sub(1, 200) .. "..." or text
end

-- The answer to a command, and the seconds that it takes.
local function answer(words)
  local stub = find(words)
  if not stub and words[1]:upper() == "XINFO" then return encode { err = "ERR no such key" }, 0 end -- what redis:xread looks at when idle
  if not stub then
    local name = show(words)
    state.missed[#state.missed + 1] = name
    return encode { err = ("ERR no stub is for it: %s: t.redis.stub(pattern, answer)"):format(name) }, 0
  end
  stub.commands[#stub.commands + 1] = words
  local reply = stub.reply
  if type(reply) == "function" then reply = reply(table.unpack(words)) end
  if type(reply) == "table" and reply.after then return encode(reply[1]), reply.after end
  return encode(reply), 0
end

local Connection = {}
Connection.__index = Connection

function Connection:give(bytes, after) self.core:redis_give(self.number, bytes, after or 0) end

function Connection:confirm(name, words)
  local kind = name:gsub("UNSUB", "SUB")
  for i = 2, #words do
    self.names[kind][words[i]] = kind == name or nil
    local n = 0
    for _, names in pairs(self.names) do for _ in pairs(names) do n = n + 1 end end
    self:give(("*3\r\n%s%s:%d\r\n"):format(bulk(name:lower()), bulk(words[i]), n))
  end
end

function Connection:is_subscribed()
  for _, names in pairs(self.names) do if next(names) then return true end end
  return false
end

function Connection:take(words)
  local name = words[1]:upper()
  if KINDS[name] or KINDS[(name:gsub("UNSUB", "SUB"))] then return self:confirm(name, words) end
  if name == "PING" and self:is_subscribed() then return self:give "*2\r\n$4\r\npong\r\n$0\r\n\r\n" end
  if GREETING[name] and not (name == "PING" and find(words)) then return self:give(GREETING[name]) end
  if name == "MULTI" then
    self.queued = {}
    return self:give "+OK\r\n"
  elseif name == "EXEC" and self.queued then
    local parts = self.queued
    self.queued = nil
    return self:give(("*%d\r\n"):format(#parts) .. table.concat(parts))
  elseif self.queued then
    self.queued[#self.queued + 1] = answer(words)
    return self:give "+QUEUED\r\n"
  end
  self:give(answer(words))
end

function Connection:read(bytes)
  self.rest = self.rest .. bytes
  while true do
    local words
    words, self.rest = take_command(self.rest)
    if not words then return end
    self:take(words)
  end
end

-- Has a server in memory find the stubs where it would find Redis.
function redis.attach(core)
  local connections = {}
  state.cores[core] = connections
  core:redis(function(number, bytes)
    if not bytes then
      connections[number] = nil
      return
    end
    connections[number] = connections[number] or setmetatable({ core = core, number = number, rest = "",
      names = { SUBSCRIBE = {}, PSUBSCRIBE = {}, SSUBSCRIBE = {} } }, Connection)
    connections[number]:read(bytes)
  end)
end

function redis.detach(core) state.cores[core] = nil end

-- The stubs of the `it` end, all but so many; what none was for, as one sentence.
function state.keep(count)
  for i = #state.stubs, count + 1, -1 do state.stubs[i] = nil end
  local missed = state.missed
  state.missed = {}
  return #missed > 0 and "asked without a stub (t.redis.stub): " .. table.concat(missed, ", ") or nil
end

local api = {}

-- Has such commands answered so from now on, until the end of this `it`, or of the file where it is not in one: "GET" or
-- "GET user:*", in which * is anything and words that are left out are. An answer is a string, a number, true (OK), nil, a list
-- of such, { err = "WRONGTYPE ..." }, { answer, after = seconds }, or a function of the words that returns one.
function api.stub(pattern, reply)
  if type(pattern) ~= "string" or not pattern:find "%S" then
    error("t.redis.stub: expected a pattern such as \"GET user:*\", got " .. tostring(pattern), 2)
  end
  local patterns = {}
  for word in pattern:gmatch "%S+" do patterns[#patterns + 1] = compile(#patterns == 0 and word:upper() or word) end
  if type(reply) ~= "function" then
    local value = reply
    if type(reply) == "table" and reply.after then value = reply[1] end
    local ok, err = pcall(encode, value)
    if not ok then error(err, 2) end
  end
  local stub = { patterns = patterns, reply = reply, commands = {} }
  state.stubs[#state.stubs + 1] = stub
  return stub
end

local function glob(pattern, name) return name:find(compile(pattern:gsub("%?", "*"))) ~= nil end

-- Publishes: whoever is subscribed hears of it as the application goes on; how many that are.
function api.publish(channel, payload)
  if type(channel) ~= "string" or type(payload) ~= "string" then error("t.redis.publish: expected a channel and a message", 2) end
  local heard = 0
  for _, connections in pairs(state.cores) do
    for _, c in pairs(connections) do
      for kind, names in pairs(c.names) do
        for name in pairs(names) do
          if kind == "PSUBSCRIBE" and glob(name, channel) then
            c:give("*4\r\n" .. bulk(KINDS[kind]) .. bulk(name) .. bulk(channel) .. bulk(payload))
            heard = heard + 1
          elseif kind ~= "PSUBSCRIBE" and name == channel then
            c:give("*3\r\n" .. bulk(KINDS[kind]) .. bulk(channel) .. bulk(payload))
            heard = heard + 1
          end
        end
      end
    end
  end
  for _, app in ipairs(session.apps) do app:settle() end
  return heard
end

-- There is no server until t.redis.up(): ends all connections, and refuses others.
function api.down()
  for core in pairs(state.cores) do
    core:redis_refuse(true)
    core:redis_cut()
  end
  for _, app in ipairs(session.apps) do app:settle() end
end

function api.up()
  for core in pairs(state.cores) do core:redis_refuse(false) end
end

redis.api = api

return redis
