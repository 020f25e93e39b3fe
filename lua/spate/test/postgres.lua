-- SPDX-License-Identifier: MIT
-- t.postgres: what stands for PostgreSQL servers in a spec. A stub answers statements in virtual time, and remembers what it
-- was asked; what is notified is pushed by the spec. One server for all that an application opens: it has no data of its own.
local session = require "spate.test.session"

local state = session.postgres or { stubs = {}, missed = {}, listeners = {} }
session.postgres = state

local ANSWER = { rows = true, count = true, error = true, code = true, sqlstate = true, after = true }

-- A list of rows, or a table of what an answer has, as that.
local function compile(answer, level)
  if answer == nil then return { rows = {} } end
  if type(answer) ~= "table" then error("t.postgres.stub: expected rows, { error = ... } or a function, got " .. type(answer), level + 1) end
  if #answer > 0 or next(answer) == nil then return { rows = answer } end
  for name in pairs(answer) do
    if not ANSWER[name] then
      error(("t.postgres.stub: unknown '%s'; an answer is a list of rows, or has rows, count, error, code, sqlstate, after"):format(tostring(name)), level + 1)
    end
  end
  return answer
end

local function one_line(sql) return (sql:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

local function find(sql)
  for i = #state.stubs, 1, -1 do
    local stub = state.stubs[i]
    if sql:find(stub.pattern, 1, true) or sql:find(stub.pattern) then return stub end
  end
end

local function answer_to(sql, count, ...)
  sql = one_line(sql)
  local stub = find(sql)
  if not stub then
    state.missed[#state.missed + 1] = sql
    return { error = ("no stub is for it: %s: t.postgres.stub(pattern, answer)"):format(sql), code = "unavailable" }
  end
  stub.queries[#stub.queries + 1] = { sql = sql, params = table.pack(table.unpack({ ... }, 1, count)) }
  if type(stub.answer) ~= "function" then return stub.answer end
  local rows, message, code = stub.answer(sql, ...)
  if rows == nil and message ~= nil then return { error = tostring(message), code = code } end
  return compile(rows, 1)
end

local function give(listener, event)
  local number = listener.pending
  listener.pending = nil
  if not number then
    listener.queue[#listener.queue + 1] = event
    return
  end
  local ok, is_there = pcall(listener.core.answer, listener.core, number, event) -- its server may be closed
  listener.is_gone = not (ok and is_there)
end

-- The next of what is notified, once there is something.
local function on_listen(core, number, id, channel)
  local listener
  for _, each in ipairs(state.listeners) do
    if each.core == core and each.id == id then listener = each end
  end
  if not listener then
    listener = { core = core, id = id, channel = channel, queue = { { event = "reset", data = "messages before this one may have been lost" } } }
    state.listeners[#state.listeners + 1] = listener
  end
  listener.pending = number
  local event = table.remove(listener.queue, 1)
  if event then give(listener, event) end
end

local postgres = {}

-- Has a server in memory find the stubs where it would find PostgreSQL.
function postgres.attach(core)
  core:answer_by(function(number, kind, ...)
    if kind == "listen" then return on_listen(core, number, ...) end
    core:answer(number, answer_to(...))
  end)
end

-- The stubs of the `it` end, all but so many; what none was for, as one sentence.
function state.keep(count)
  for i = #state.stubs, count + 1, -1 do state.stubs[i] = nil end
  local missed = state.missed
  state.missed = {}
  if count == 0 then state.listeners = {} end
  return #missed > 0 and "asked without a stub (t.postgres.stub): " .. table.concat(missed, ", ") or nil
end

local function tell(matches, event)
  local kept, heard = {}, 0
  for _, listener in ipairs(state.listeners) do
    if matches(listener) then
      give(listener, event)
      if not listener.is_gone then heard = heard + 1 end
    end
    if not listener.is_gone then kept[#kept + 1] = listener end
  end
  state.listeners = kept
  for _, app in ipairs(session.apps) do app:settle() end
  return heard
end

local Stub = { __name = "stub" }
Stub.__index = Stub

local api = {}

-- Has statements answered so from now on, until the end of this `it`, or of the file where it is not in one: those that have
-- the pattern in them, as it stands or as one of Lua's, white space being one blank. An answer is a list of rows, { rows =,
-- count =, after = }, { error =, code = }, or a function of the statement and its parameters that returns one, or nil, a
-- message and a code.
function api.stub(pattern, answer)
  if type(pattern) ~= "string" then error("t.postgres.stub: expected a part of a statement, got " .. type(pattern), 2) end
  local stub = setmetatable({ pattern = pattern, answer = type(answer) == "function" and answer or compile(answer, 2), queries = {} }, Stub)
  state.stubs[#state.stubs + 1] = stub
  return stub
end

-- Notifies: who listens hears of it as the application goes on; how many that are.
function api.notify(channel, payload)
  if type(channel) ~= "string" or type(payload or "") ~= "string" then error("t.postgres.notify: expected a channel and a payload", 2) end
  return tell(function(listener) return listener.channel == channel end, { event = channel, data = payload or "" })
end

function Stub:notify(channel, payload)
  if getmetatable(self) ~= Stub then error("stub:notify: write it with a colon", 2) end
  return api.notify(channel, payload)
end

-- The connection that listens was lost, and has come back: all who listen are told `reset`.
function api.lose() return tell(function() return true end, { event = "reset", data = "messages before this one may have been lost" }) end

postgres.api = api

return postgres
