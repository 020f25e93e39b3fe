-- SPDX-License-Identifier: MIT
-- A request of a client that a function of the application answers, in a task of its own: it goes on when the client leaves.
-- What it says meanwhile, and the answer, are events of a channel (its stream) that the client may come back to; where
-- it has said nothing and was quick, the answer is JSON. Whoever asks the client something waits for a promise.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local promise = require "spate.promise"
local kick = require "spate.kick"
local report = require "spate.report"

local OPEN_AFTER = 0.2 -- seconds of silence behind which the answer becomes a stream
local ASKED = 60       -- seconds for which a client may think about a question
local RETRY = 1
local PRIMED_FROM = "2025-11-25" -- clients before do not take an event without a message
local LEVELS = { debug = 1, info = 2, notice = 3, warning = 4, error = 5, critical = 6, alert = 7, emergency = 8 }
local DAY = 86400

local Call = { __name = "mcp call" }
Call.__index = Call

-- A request's id as a part of a key.
local function key_of(id) return math.type(id) and "n" .. id or "s" .. core.hex(id) end

local function cancel_name(self) return "mcp cancel " .. self.stream end

-- What can be cancelled is known by its id, from whichever worker.
local function watch_for_cancel(self)
  self.session:open("call", self.key, self.stream, DAY)
  self.watcher = core.background(function()
    if promise(cancel_name(self)):await() then
      self.was_cancelled = true
      self.task:cancel()
    end
  end)
end

-- Its stream, from now on the way of all that it says.
local function open(self)
  if self.channel then return end
  self.channel = self.session:channel(self.stream)
  if self.session.version >= PRIMED_FROM then self.channel:publish { data = "", retry = RETRY } end
  watch_for_cancel(self)
end

local function check_self(self, name)
  if getmetatable(self) ~= Call then core.raise(("call:%s(...): write it with a colon"):format(name)) end
end

local function say(self, message)
  open(self)
  message.jsonrpc = "2.0"
  local id, why = self.channel:publish { json = message }
  self.changed:wake()
  return id and true, why
end

-- A notification for the client, beside the answer.
function Call:notify(method, params)
  check_self(self, "notify")
  return say(self, { method = check.text(method, "call:notify"), params = params })
end

-- How far it has come, where the client wants to know.
function Call:progress(done, total, message)
  check_self(self, "progress")
  if self.token == nil then return true end
  return say(self, { method = "notifications/progress", params = { progressToken = self.token, progress = done, total = total, message = message } })
end

-- A message for the client's log: a text or a table.
function Call:log(level, data, logger)
  check_self(self, "log")
  if not LEVELS[level] then core.raise("call:log: expected a level such as \"info\", got " .. tostring(level)) end
  if LEVELS[level] < LEVELS[self.session.level or "debug"] then return true end
  return say(self, { method = "notifications/message", params = { level = level, data = data, logger = logger } })
end

-- Asks the client and waits: its result; nil, a message and "timeout", "closed", "kicked" or the code of its error.
function Call:request(method, params, options)
  check_self(self, "request")
  options = check.options(options or {}, "call:request", { "timeout" })
  local seconds = options.timeout or ASKED
  self.asked = self.asked + 1
  local id = ("%s.%d"):format(self.stream, self.asked)
  local ok, why = self.session:open("asked", id, true, seconds + ASKED)
  if not ok then return nil, "the question cannot be asked: " .. tostring(why), "closed" end
  say(self, { id = id, method = check.text(method, "call:request"), params = params or json.object() })
  local answer, reason, code = promise("mcp asked " .. id, { ttl = ASKED }):await(seconds)
  self.session:shut("asked", id)
  if code == "kicked" then return nil, reason, code end
  if not answer then return nil, "the client has not answered", "timeout" end
  if answer.error then return nil, tostring(answer.error.message), answer.error.code end
  return answer.result or json.object()
end

local function ask(self, capability, method, params, options)
  if not self.session.capabilities[capability] then return nil, "the client has no " .. capability, "unsupported" end
  return self:request(method, params, options)
end

-- Asks the user, by a form of a JSON schema: { action = "accept" | "decline" | "cancel", content = }.
function Call:elicit(message, schema, options)
  check_self(self, "elicit")
  return ask(self, "elicitation", "elicitation/create", { message = check.text(message, "call:elicit"), requestedSchema = schema }, options)
end

-- Has the client's language model answer: params are those of sampling/createMessage.
function Call:sample(params, options)
  check_self(self, "sample")
  return ask(self, "sampling", "sampling/createMessage", params, options)
end

-- The folders that the client works in.
function Call:roots(options)
  check_self(self, "roots")
  return ask(self, "roots", "roots/list", json.object(), options)
end

-- Hangs up while it goes on; the client comes back for the rest after so many seconds.
function Call:release(seconds)
  check_self(self, "release")
  open(self)
  kick { channel = self.session:channel_name(self.stream), reason = "come back", retry = seconds or RETRY }
end

local function finish(self, answer)
  if self.answer then return end
  self.answer = answer
  if self.watcher then self.watcher:cancel() end
  if self.channel then
    if self.was_cancelled then self.channel:finish() else self.channel:finish { json = answer } end
    self.session:shut("call", self.key)
  end
  self.changed:wake()
end

local function traceback(err) return core.traceback(tostring(err)) end

local function run(self, fn)
  local ok, result, code, message = xpcall(fn, traceback, self)
  if not ok then
    core.log.error(report.logged(result))
    result, code, message = nil, -32603, "Internal error"
  end
  finish(self, result and { jsonrpc = "2.0", id = self.id, result = result } or
    { jsonrpc = "2.0", id = self.id, error = { code = code, message = message } })
end

local call = { LEVELS = LEVELS, Call = Call }

-- Starts fn(call), which returns a result, or nil, a code and a message.
function call.start(session, message, fn, ctx)
  local meta = message.params and type(message.params._meta) == "table" and message.params._meta or {}
  local self = setmetatable({ session = session, id = message.id, key = key_of(message.id), token = meta.progressToken, ctx = ctx,
    stream = core.hex(core.random(8)), asked = 0, changed = core.signal() }, Call)
  self.task = core.background_until(function()
    if self.answer then return end
    local error = { jsonrpc = "2.0", id = self.id, error = { code = -32603, message = self.was_cancelled and "cancelled" or "it was stopped" } }
    core.background(finish, self, error)
  end, run, self, fn)
  return self
end

-- Waits until there is an answer, or it speaks, or is late: the answer; nil and the stream.
function call.wait(self)
  if not self.answer and not self.channel then self.changed:wait(OPEN_AFTER) end
  if self.answer and not self.channel then return self.answer end
  open(self)
  return nil, self.stream
end

-- What a client sends of its own accord: the end of a call, the answer to a question.
function call.cancel(session, id)
  local stream = session:find("call", key_of(id))
  if stream then promise("mcp cancel " .. stream):fulfil(true) end
end

function call.answer(session, message)
  if session:find("asked", tostring(message.id)) then
    promise("mcp asked " .. message.id, { ttl = ASKED }):fulfil { result = message.result, error = message.error }
  end
end

core.public(Call, "notify", "progress", "log", "request", "elicit", "sample", "roots", "release")

return call
