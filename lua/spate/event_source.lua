-- SPDX-License-Identifier: MIT
-- Event streams of other servers: res:events(), and http.events, which comes back to a URL as a browser does.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local sse = require "spate.sse"

local RETRY = 3                                                 -- seconds between connections, until the server says otherwise
local NEVER = 1e8 -- seconds
local RETRY_MAX = 60                                            -- that failures in a row lengthen it to
local FINAL = { url = true, private = true, redirects = true }  -- failures that trying again does not mend
local COMES_BACK = { [502] = true, [503] = true, [504] = true } -- what a proxy says while the server behind it restarts
local OWN = { "method", "reconnect", "last_event_id", "on_open", "on_error" }

local event_source = {}

-- A stream of what a source has. An answer that breaks off raises where it is read, and cuts the client that it is sent
-- to.
local function stream_of(source, what)
  local read = core.event_source_reader(source)
  return sse.carried(function()
    local event, message = read()
    if message then error(("%s: %s"):format(what, message), 0) end
    return event
  end, function() source:close() end, function(req) core.event_source_attach(req, source) end)
end

-- res:events(): the events of a response, whose body it takes.
function event_source.events(res) return stream_of(core.event_source(res._handle), "res:events") end

-- What reads a URL again and again. `connect(last_event_id)` returns a response; or nil, message and code.
local Follower = {}
Follower.__index = Follower

-- What is wrong with an answer that is no event stream.
local function refusal(res)
  if res.status ~= 200 then return ("status %d"):format(res.status) end
  return "expected Content-Type text/event-stream, got " .. (res.headers["content-type"] or "none")
end

-- Opens a connection: true; or nil, message, code and whether that is the end. 204 is the end without a message.
function Follower:open()
  local res, message, code = self.connect(self.last_event_id)
  if not res then return nil, message, code, FINAL[code] end
  if res.status == 200 and res:is_event_stream() then
    if self.on_open then self.on_open(res) end
    self.source = core.event_source(res._handle, self.last_event_id)
    self.read, self.failures = core.event_source_reader(self.source), 0
    return true
  end
  local _ <close> = res
  if res.status == 204 then return nil, nil, nil, true end
  return nil, ("%s: %s"):format(self.url, refusal(res)), "status", not COMES_BACK[res.status]
end

-- A connection has ended, or none came about: what it leaves for the next one.
function Follower:leave(message, code)
  local source = self.source
  self.source, self.lost = nil, { message or "the stream has ended", code }
  if not source then return end
  local id, retry = core.event_source_cursor(source)
  self.last_event_id, self.retry = id or self.last_event_id, retry or self.retry
  source:close()
end

function Follower:close()
  self.is_over = true
  self:leave()
end

-- Longer after each failure, and never all at once for all who follow.
function Follower:wait()
  local message, code = table.unpack(self.lost, 1, 2)
  local base = self.retry or RETRY
  local seconds = math.min(base * 2 ^ self.failures * (1 + math.random() / 2), math.max(base * 1.5, RETRY_MAX))
  self.lost, self.failures = nil, self.failures + 1
  if self.on_error then self.on_error(message, code, seconds) end
  sse.sleep(seconds)
end

-- Until there is a connection; false at the end. Raises where the end is a failure.
function Follower:reach()
  while not self.source and not self.is_over do
    if self.lost then self:wait() end
    local ok, message, code, is_final = self:open()
    if not ok and is_final then
      self.is_over = true
      if message then error("http.events: " .. message, 0) end
    elseif not ok then
      self:leave(message, code)
    end
  end
  return not self.is_over
end

function Follower:next()
  while self:reach() do
    local event, message, code = self.read()
    if event or self.is_over then return event end
    self:leave(message, code)
  end
end

-- Into the open stream of a request, without Lua but between two connections.
function Follower:carry(req)
  local _ <close> = at_end(function() self:close() end)
  while self:reach() do
    local _, message, code = core.event_source_lend(req, self.source)
    self:leave(message, code)
  end
end

function Follower:stream()
  local s = sse.carried(function() return self:next() end, function() self:close() end,
    function(req) return core.go_on(req, self.carry, self, req) end)
  s.is_over = self.is_over -- a client gets 204 as well
  return s
end

local function check_own(own, what)
  if own.method ~= nil and not check.text(own.method, what .. ": method"):find "^%u+$" then
    core.raise(("%s: method: expected a name such as POST, got %s"):format(what, own.method))
  end
  if own.last_event_id ~= nil then check.text(own.last_event_id, what .. ": last_event_id") end
  for _, name in ipairs { "on_open", "on_error" } do
    if own[name] ~= nil then check.callable(own[name], ("%s: %s"):format(what, name)) end
  end
  if own.reconnect ~= nil and type(own.reconnect) ~= "boolean" then
    core.raise(("%s: reconnect: expected true or false, got %s"):format(what, type(own.reconnect)))
  end
end

-- The timeouts of the request: silence is none of them, unless they say so.
local function patient(timeout)
  if timeout == nil or type(timeout) == "number" then return { idle = NEVER, total = timeout } end
  if type(timeout) ~= "table" or timeout.idle ~= nil then return timeout end
  local all = { idle = NEVER }
  for name, seconds in pairs(timeout) do all[name] = seconds end
  return all
end

-- Our options, and those of the request, whose names are `names`.
function event_source.split(options, what, names)
  check.options(options, what, table.move(names, 1, #names, #OWN + 1, table.move(OWN, 1, #OWN, 1, {})))
  local own, asked, headers = {}, {}, { accept = "text/event-stream", ["cache-control"] = "no-cache" }
  for name, value in pairs(options) do asked[name] = value end
  for _, name in ipairs(OWN) do own[name], asked[name] = asked[name], nil end
  if type(asked.headers or {}) ~= "table" then core.raise(("%s: headers: expected a table, got %s"):format(what, type(asked.headers))) end
  for name, value in pairs(asked.headers or {}) do headers[tostring(name):lower()] = value end
  asked.headers = headers
  asked.timeout = patient(asked.timeout)
  check_own(own, what)
  return own, asked
end

-- http.events: the events of a URL as a stream; nil, message and code where it is none. `request(method, options)` asks, with options
-- of the given names.
function event_source.open(request, url, options, names)
  local own, asked = event_source.split(options or {}, "http.events", names)
  local follower = setmetatable({ url = url, last_event_id = own.last_event_id or "", failures = 0, on_open = own.on_open,
    on_error = own.on_error }, Follower)
  function follower.connect(last_event_id)
    asked.headers["last-event-id"] = last_event_id ~= "" and last_event_id or nil
    return request(own.method or "GET", asked)
  end
  local ok, message, code, is_final = follower:open()
  if ok and not own.reconnect then return stream_of(follower.source, "http.events") end
  if message and (is_final or not own.reconnect) then return nil, message, code end
  if not ok then follower:leave(message, code) end
  follower.is_over = is_final
  return follower:stream()
end

return event_source
