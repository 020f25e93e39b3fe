-- SPDX-License-Identifier: MIT
-- A client of HTTP/2 that a spec moves frame by frame: it sends what it is told to, however wrong, and keeps what comes.
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local frames = require "spate.test.frames"

local Client = {}
Client.__index = Client

-- On a new connection of `server` (spec.helper); `settings` are those that it announces.
local function connect(server, settings, options)
  local raw = server:connect(options and options.address)
  local self = setmetatable({ server = server, raw = raw, reader = frames.reader(), streams = {}, list = {}, pings = {} }, Client)
  if options and options.silent then return self end
  self:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0, frames.settings(settings or {})), frames.frame("SETTINGS", frames.ACK, 0))
  return self
end

-- Sends bytes and has the server run.
function Client:send(...)
  self.raw:send(table.concat { ... })
  self.server:turn()
  return self
end

function Client:frame(kind, flags, id, payload) return self:send(frames.frame(kind, flags, id, payload)) end

-- The bytes of a request's head; fields are { name, value } behind the pseudo-fields, which `pseudo` replaces.
function Client.request(id, method, path, fields, options)
  options = options or {}
  local list = options.pseudo or { { ":method", method }, { ":scheme", "http" }, { ":path", path }, { ":authority", "spec" } }
  for _, field in ipairs(fields or {}) do list[#list + 1] = field end
  return frames.frame("HEADERS", frames.END_HEADERS | (options.open and 0 or frames.END_STREAM), id, frames.head(list))
end

function Client:get(id, path, fields, options) return self:send(self.request(id, "GET", path, fields, options)) end

function Client:post(id, path, body, fields)
  return self:send(self.request(id, "POST", path, fields, { open = true }), frames.frame("DATA", frames.END_STREAM, id, body))
end

function Client:window(id, n) return self:frame("WINDOW_UPDATE", 0, id, string.pack(">I4", n)) end

function Client:reset(id, code) return self:frame("RST_STREAM", 0, id, string.pack(">I4", code or 8)) end

local function of(self, id)
  self.streams[id] = self.streams[id] or { body = "", headers = {}, frames = 0 }
  return self.streams[id]
end

local on = {}

function on.DATA(self, frame)
  local stream = of(self, frame.id)
  stream.body, stream.frames = stream.body .. frame.payload, stream.frames + 1
end

function on.RST_STREAM(self, frame) of(self, frame.id).reset = string.unpack(">I4", frame.payload) end

function on.PING(self, frame) self.pings[#self.pings + 1] = frame.payload end

function on.GOAWAY(self, frame)
  local last, code, at = string.unpack(">I4I4", frame.payload)
  self.goaway = { last = last, code = code, why = frame.payload:sub(at) }
end

function on.SETTINGS(self, frame)
  if frame.flags & frames.ACK ~= 0 then self.has_ack = true return end
  self.settings = {}
  for at = 1, #frame.payload, 6 do
    local id, value = string.unpack(">I2I4", frame.payload, at)
    self.settings[id] = value
  end
end

-- Takes in what has come.
function Client:read()
  for _, frame in ipairs(self.reader:read(self.raw:take())) do
    self.list[#self.list + 1] = frame
    if on[frame.kind] then on[frame.kind](self, frame) end
    for _, field in ipairs(frame.fields or {}) do
      local stream = of(self, frame.id)
      if field[1] == ":status" then stream.status, stream.interim = tonumber(field[2]), stream.status
      else stream.headers[field[1]] = field[2] end
    end
    if frame.ends then of(self, frame.id)["end"] = true end
  end
  return self
end

-- What has come of a stream: status, headers, body, `end`, `reset`, how many frames of data.
function Client:stream(id) return of(self:read(), id) end

-- The data of the events of a stream.
function Client:data(id)
  local list = {}
  for value in self:stream(id).body:gmatch("data: ([^\n]*)\n") do list[#list + 1] = value end
  return list
end

function Client:state() return self.raw:state() end

return { connect = connect, frames = frames }
