-- SPDX-License-Identifier: MIT
-- A client of HTTP/2 in memory that is used as one of HTTP/1 is: what it sends and what has come are messages of HTTP/1.1,
-- one after the other, and go over the connection as streams.
local frames = require "spate.test.frames"

local DATA_MAX, WINDOW_MAX, INTERNAL_ERROR = 16384, 0x7fffffff, 2
local OF_CONNECTION = { connection = true, ["keep-alive"] = true, ["transfer-encoding"] = true, upgrade = true, ["proxy-connection"] = true }

local Client = {}

-- What it does not do itself, the connection does.
function Client.__index(self, name)
  local own = Client[name]
  if own then return own end
  return function(_, ...)
    local raw = self.raw
    local result = raw[name](raw, ...)
    return result == raw and self or result
  end
end

local function new(raw)
  local self = setmetatable({ raw = raw, reader = frames.reader(), last = -1, room = 65535, initial = 65535, out = {}, unsent = "",
    streams = {}, is_http2 = true }, Client)
  raw:send(frames.PREFACE .. frames.frame("SETTINGS", 0, 0, frames.settings { [2] = 0, [4] = WINDOW_MAX })
    .. frames.frame("SETTINGS", frames.ACK, 0) -- of what will come, also where it is not read for long
    .. frames.frame("WINDOW_UPDATE", 0, 0, string.pack(">I4", WINDOW_MAX - 65535)))
  return self
end

-- Sends what the windows let through of the body that waits; true where that was something.
local function send_body(self)
  local stream, any = self.streams[self.last], false
  while stream and #self.unsent > 0 and stream.left > 0 do
    local n = math.min(#self.unsent, DATA_MAX, stream.left, self.room, stream.room)
    if n <= 0 then break end
    stream.left, self.room, stream.room = stream.left - n, self.room - n, stream.room - n
    self.raw:send(frames.frame("DATA", stream.left == 0 and frames.END_STREAM or 0, self.last, self.unsent:sub(1, n)))
    self.unsent, any = self.unsent:sub(n + 1), true
  end
  return any
end

local function read_head(head)
  local method, target = head:match("^(%S+) (%S+) HTTP/1%.%d")
  local list = { { ":method", method }, { ":scheme", "http" }, { ":path", target } }
  local length = 0
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    if name == "host" then table.insert(list, 2, { ":authority", value })
    elseif not OF_CONNECTION[name] then list[#list + 1] = { name, value } end
    if name == "content-length" then length = tonumber(value) or 0 end
  end
  return list, method, length
end

-- Sends the request whose head is complete; false where none is.
local function send_request(self)
  local head, rest = self.unsent:match("^(.-\r\n)\r\n(.*)$")
  if not head then return false end
  local list, method, length = read_head(head)
  if not method then -- the rest of a body that is not wanted any more
    self.unsent = ""
    return false
  end
  self.unsent, self.last = rest, self.last + 2
  self.streams[self.last] = { method = method, left = length, room = self.initial }
  self.raw:send(frames.headers(self.last, frames.head(list), length == 0))
  return true
end

-- client:send(bytes) of requests of HTTP/1.1.
function Client:send(bytes)
  self.unsent = self.unsent .. bytes
  repeat
    send_body(self)
    local stream = self.streams[self.last]
    local is_free = not stream or stream.left == 0
  until not is_free or not send_request(self)
  return self
end

local function add(self, text) self.out[#self.out + 1] = text end

local function add_head(self, stream, frame)
  local status, lines, has_length = nil, {}, false
  for _, field in ipairs(frame.fields) do
    if field[1] == ":status" then status = field[2]
    else lines[#lines + 1] = field[1] .. ": " .. field[2] end
    has_length = has_length or field[1] == "content-length"
  end
  if not status then return end -- behind a body
  stream.chunked = not (frame.ends or has_length or status:find("^1"))
  if stream.chunked then lines[#lines + 1] = "Transfer-Encoding: chunked" end
  add(self, ("HTTP/1.1 %s \r\n%s\r\n"):format(status, table.concat(lines, "\r\n") .. (#lines > 0 and "\r\n" or "")))
end

local function add_data(self, stream, bytes)
  if #bytes == 0 then return end
  add(self, stream.chunked and ("%x\r\n%s\r\n"):format(#bytes, bytes) or bytes)
end

local on = {}

function on.SETTINGS(self, frame)
  if frame.flags & frames.ACK ~= 0 then return end
  for at = 1, #frame.payload, 6 do
    local id, value = string.unpack(">I2I4", frame.payload, at)
    if id == 4 then
      for _, stream in pairs(self.streams) do stream.room = stream.room + value - self.initial end
      self.initial = value
    end
  end
end

function on.PING(self, frame)
  if frame.flags & frames.ACK == 0 then self.raw:send(frames.frame("PING", frames.ACK, 0, frame.payload)) end
end

function on.WINDOW_UPDATE(self, frame)
  local stream, n = self.streams[frame.id], string.unpack(">I4", frame.payload)
  if frame.id == 0 then self.room = self.room + n
  elseif stream then stream.room = stream.room + n end
end

function on.RST_STREAM(self, frame)
  local stream = self.streams[frame.id]
  if not stream then return end
  stream.reset, stream.left = string.unpack(">I4", frame.payload), 0
  if frame.id == self.last then self.unsent = "" end
end

function on.GOAWAY(self) self.has_gone = true end

-- Takes in what has come; true where more of a body was sent then.
function Client:pump()
  for _, frame in ipairs(self.reader:read(self.raw:take())) do
    local stream = self.streams[frame.id]
    if on[frame.kind] then on[frame.kind](self, frame) end
    if stream and frame.fields then add_head(self, stream, frame) end
    if stream and frame.kind == "DATA" then add_data(self, stream, frame.payload) end
    if stream and frame.ends then
      stream.has_ended = true
      if stream.chunked then add(self, "0\r\n\r\n") end
    end
  end
  return send_body(self)
end

-- client:take(): the bytes of responses of HTTP/1.1 that have come since the last call.
function Client:take()
  self:pump()
  local text = table.concat(self.out)
  self.out = {}
  return text
end

-- As of a connection of HTTP/1, which ends where a stream alone does here.
function Client:state()
  self:pump()
  local stream = self.streams[self.last]
  local is_cut = stream and stream.reset and not stream.has_ended
  if self.raw:state() == "open" and is_cut then return stream.reset == INTERNAL_ERROR and "closed" or "reset" end
  return self.raw:state()
end

return { new = new }
