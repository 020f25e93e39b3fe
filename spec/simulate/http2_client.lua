-- SPDX-License-Identifier: MIT
-- A client of HTTP/2 with many streams on one connection, frame by frame. It tells the model the same as one of HTTP/1. Room that
-- it has used it gives back as long as it reads, as browsers do: of a stream once half of its window is gone.
package.path = "./lua/?.lua;" .. package.path
local harness = require("spec.helper").harness
local new_client = require "spec.simulate.client"
local says = require "spec.simulate.promises"
local frames = require "spate.test.frames"

local STREAMS_MAX, DATA_MAX, WINDOW_MAX, ROOM, CANCEL = 16, 16384, 0x7fffffff, 65535, 8

local Client = setmetatable({}, { __index = getmetatable(new_client(nil, 0, nil)) })
Client.__index = Client

local function update(id, n) return frames.frame("WINDOW_UPDATE", 0, id, string.pack(">I4", n)) end

-- `window`: bytes of each stream that it takes before it gives room back.
local function new(core, slot, model, window)
  local self = setmetatable(new_client(core, slot, model), Client)
  self.streams, self.ids, self.is_mux, self.is_http2, self.reader = {}, 0, true, true, frames.reader()
  self.window, self.room, self.initial, self.used, self.given_up = window, ROOM, ROOM, 0, {}
  core:send(frames.PREFACE .. frames.frame("SETTINGS", 0, 0, frames.settings { [4] = window }) .. frames.frame("SETTINGS", frames.ACK, 0))
  return self
end

local function head_of(request)
  local list = { { ":method", request.method }, { ":scheme", "http" }, { ":path", request.target }, { ":authority", "sim" } }
  for _, line in ipairs(request.headers) do
    local name, value = line:match "^([^:]+): (.*)$"
    list[#list + 1] = { name:lower(), value }
  end
  if request.body then list[#list + 1] = { "content-length", tostring(#request.body) } end
  return list
end

-- Sends what the server's windows let through of a body; true where that was something.
local function send_body(self, request)
  local any = false
  while request.unsent do
    local n = math.min(#request.unsent, DATA_MAX, self.room, request.room)
    local is_all = n == #request.unsent
    if n <= 0 and not is_all then break end
    self.core:send(frames.frame("DATA", is_all and not request.rest_of_body and frames.END_STREAM or 0, request.id, request.unsent:sub(1, n)))
    self.room, request.room, any = self.room - n, request.room - n, true
    request.unsent = not is_all and request.unsent:sub(n + 1) or nil
  end
  request.has_waited = request.has_waited or request.unsent ~= nil
  return any
end

-- Whether there was room for one more.
function Client:request(request, now)
  local open = 0
  for _ in pairs(self.streams) do open = open + 1 end
  if open >= STREAMS_MAX or self.has_gone then return false end
  self.ids = self.ids + 2
  local id, body = self.ids - 1, request.body
  request.client, request.sent_at, request.id, request.room, request.used = self, now, id, self.initial, 0
  self.streams[id] = request
  self.last = self.last + 1
  self.waiting[self.last] = request
  self.core:send(frames.headers(id, frames.head(head_of(request)), not body))
  if not body then return true end
  request.unsent, request.rest_of_body = body, request.was_partial and body:sub(#body // 2 + 1)
  if request.was_partial then request.unsent, self.rest = body:sub(1, #body // 2), request end
  send_body(self, request)
  return true
end

-- The other half of a body.
function Client:send_rest()
  local request = self.rest
  self.rest = nil
  if not self.streams[request.id] then return end
  request.unsent, request.rest_of_body = (request.unsent or "") .. request.rest_of_body, nil
  send_body(self, request)
end

function Client.current() return nil end

function Client:finish(request, how, now)
  self.streams[request.id] = nil
  for i = self.first, self.last do
    if self.waiting[i] == request then self.waiting[i] = nil end
  end
  request.ended, request.ended_at = how, now
  self.model:expect(how ~= "end" or not request.gzip or request.gzip:ended(), says.CHECKSUM, "%s: ends without its sum", request)
  if not request.is_given_up then return self.model:on_end(request, how, now) end
  request.client = setmetatable({ is_over = "left" }, { __index = self })
  self.model:on_end(request, how, now)
end

-- One of its streams is given up, and the others go on.
function Client:give_up(number, now)
  local open = {}
  for id = 1, self.ids, 2 do open[#open + 1] = self.streams[id] end
  local request = open[number % math.max(#open, 1) + 1]
  if not request then return end
  self.core:send(frames.frame("RST_STREAM", 0, request.id, string.pack(">I4", CANCEL)))
  request.is_given_up, self.given_up[request.id], self.quiet_since = true, true, now
  if self.rest == request then self.rest = nil end
  self:finish(request, request.status and "cut" or "unanswered", now)
end

-- Gives back what it has used of the windows; true where that was something.
function Client:give_room()
  if not self.is_reading then return false end
  local any = false
  for id = 1, self.ids, 2 do
    local request = self.streams[id]
    if request and request.used * 2 >= self.window then
      self.core:send(update(id, request.used))
      request.used, any = 0, true
    end
  end
  if self.used * 2 >= ROOM then
    self.core:send(update(0, self.used))
    self.used, any = 0, true
  end
  return any
end

local ON = {}

function ON.SETTINGS(self, frame)
  for at = 1, frame.flags & frames.ACK == 0 and #frame.payload or 0, 6 do
    local id, value = string.unpack(">I2I4", frame.payload, at)
    if id == 4 then
      for _, request in pairs(self.streams) do request.room = request.room + value - self.initial end
      self.initial = value
    end
  end
end

function ON.PING(self, frame)
  if frame.flags & frames.ACK == 0 then self.core:send(frames.frame("PING", frames.ACK, 0, frame.payload)) end
end

function ON.WINDOW_UPDATE(self, frame)
  local request, n = self.streams[frame.id], string.unpack(">I4", frame.payload)
  if frame.id == 0 then self.room = self.room + n
  elseif request then request.room = request.room + n end
end

function ON.RST_STREAM(self, frame, now)
  local request = self.streams[frame.id]
  if request then self:finish(request, request.status and "cut" or "unanswered", now) end
end

-- Those behind the last one that it names were not looked at.
function ON.GOAWAY(self, frame, now)
  local last = string.unpack(">I4", frame.payload)
  self.has_gone = true
  for id = last + 2 - (last + 1) % 2, self.ids, 2 do
    local request = self.streams[id]
    if request then
      request.was_not_seen = true
      self:finish(request, request.status and "cut" or "unanswered", now)
    end
  end
end

-- The request that a head or data are for; nil where it was given up. Nothing else comes behind the end of a stream (RFC 9113, 5.1).
local function request_of(self, frame)
  local request = self.streams[frame.id]
  if not request and not self.given_up[frame.id] then self.model:fail("%s of stream %d, which is over", frame.kind, frame.id) end
  return request
end

function ON.HEADERS(self, frame, now)
  local request = request_of(self, frame)
  if not request then return end
  local fields = {}
  for _, field in ipairs(frame.fields) do fields[field[1]] = field[2] end
  local status = tonumber(fields[":status"])
  if not status then self.model:fail("a head without a status") end
  if status < 200 then return end
  request.status, request.fields, request.head_at, request.last_at = status, fields, now, now
  request.is_sse, request.rest = fields["content-type"] == "text/event-stream", ""
  request.gzip = fields["content-encoding"] == "gzip" and status ~= 204 and request.method ~= "HEAD" and harness.inflate() or nil
  self.model:on_head(request, now)
end

function ON.DATA(self, frame, now)
  local request = request_of(self, frame)
  self.used = self.used + #frame.payload
  if self.used > ROOM then self.model:fail("%d bytes of all streams, and there is room for %d", self.used, ROOM) end
  if not request then return end
  if not request.status then self.model:fail("data before its head") end
  request.used = request.used + #frame.payload
  if request.used > self.window then self.model:fail("%d bytes, and there is room for %d", request.used, self.window) end
  if #frame.payload > 0 then self:take_body(request, frame.payload, now) end
end

-- Takes what has come; true where it has answered to that.
function Client:take(now)
  local bytes = self.core:take()
  if #bytes > 0 then self.model:on_bytes(self, bytes, now) end
  for _, frame in ipairs(self.reader:read(bytes)) do
    if ON[frame.kind] and (frame.kind ~= "HEADERS" or frame.fields) then ON[frame.kind](self, frame, now) end
    local request = frame.ends and self.streams[frame.id]
    if request then self:finish(request, "end", now) end
  end
  local state = self.core:state()
  if state ~= "open" then return self:over(state, now) end -- also where the server has only ended its side
  local has_answered = self:give_room()
  for id = 1, self.ids, 2 do
    if self.streams[id] and send_body(self, self.streams[id]) then has_answered = true end
  end
  return has_answered
end

function Client:over(why, now)
  if self.is_over then return end
  self.is_over = why
  for id = 1, self.ids, 2 do
    local request = self.streams[id]
    if request then self:finish(request, request.status and "cut" or "unanswered", now) end
  end
end

return { new = new, WINDOW_MAX = WINDOW_MAX, is_there = harness.hpack ~= nil }
