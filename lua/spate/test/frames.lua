-- SPDX-License-Identifier: MIT
-- Frames of HTTP/2 (RFC 9113), written and read by hand, so that a spec can send what no library would.
local harness = require "spate.harness"

local frames = { PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }

frames.TYPES = { [0] = "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
  "CONTINUATION" }
local NUMBERS = { PRIORITY_UPDATE = 0x10 }
for number, name in pairs(frames.TYPES) do NUMBERS[name] = number end

frames.END_STREAM, frames.ACK, frames.END_HEADERS, frames.PADDED = 0x1, 0x1, 0x4, 0x8

-- One frame; `kind` is a name or a number.
function frames.frame(kind, flags, id, payload)
  payload = payload or ""
  return string.pack(">I3BBI4", #payload, NUMBERS[kind] or kind, flags, id) .. payload
end

-- RFC 7541 5.1, of a prefix of seven bits.
local function integer(n)
  if n < 127 then return string.char(n) end
  local bytes = { "\127" }
  n = n - 127
  while n >= 128 do
    bytes[#bytes + 1] = string.char(n % 128 + 128)
    n = n // 128
  end
  return table.concat(bytes) .. string.char(n)
end

-- A head of { name, value } in order, nothing of it compressed.
function frames.head(list)
  local out = {}
  for i, field in ipairs(list) do out[i] = "\0" .. integer(#field[1]) .. field[1] .. integer(#field[2]) .. field[2] end
  return table.concat(out)
end

local FRAME_MAX = 16384

-- The frames of a head's block, however long.
function frames.headers(id, block, ends)
  local out, kind, flags = {}, "HEADERS", ends and frames.END_STREAM or 0
  repeat
    local part = block:sub(1, FRAME_MAX)
    block = block:sub(FRAME_MAX + 1)
    out[#out + 1] = frames.frame(kind, flags | (block == "" and frames.END_HEADERS or 0), id, part)
    kind, flags = "CONTINUATION", 0
  until block == ""
  return table.concat(out)
end

-- The payload of SETTINGS, of { [number] = value }.
function frames.settings(values)
  local out = {}
  for id, value in pairs(values) do out[#out + 1] = string.pack(">I2I4", id, value) end
  return table.concat(out)
end

local Reader = {}
Reader.__index = Reader

function frames.reader()
  if not harness.hpack then error("this spate was built without nghttp2, so it has no HTTP/2", 0) end
  return setmetatable({ rest = "", hpack = harness.hpack() }, Reader)
end

local function padded(flags, payload)
  if flags & frames.PADDED == 0 then return payload end
  return payload:sub(2, -1 - payload:byte(1))
end

-- Takes bytes in; a list of the frames that are complete: { kind, flags, id, payload } and, of heads, `fields`.
function Reader:read(bytes)
  local list = {}
  self.rest = self.rest .. bytes
  while #self.rest >= 9 do
    local len, kind, flags, id = string.unpack(">I3BBI4", self.rest)
    if #self.rest < 9 + len then break end
    local frame = { kind = frames.TYPES[kind] or kind, flags = flags, id = id, payload = padded(flags, self.rest:sub(10, 9 + len)) }
    self.rest = self.rest:sub(10 + len)
    if frame.kind == "HEADERS" or frame.kind == "CONTINUATION" then
      self.block = (frame.kind == "HEADERS" and "" or self.block) .. frame.payload
      if flags & frames.END_HEADERS ~= 0 then frame.fields = self.hpack:decode(self.block) end
      if frame.kind == "HEADERS" then self.ends = flags & frames.END_STREAM ~= 0 end
    end
    frame.ends = frame.kind == "DATA" and flags & frames.END_STREAM ~= 0 or frame.fields ~= nil and self.ends
    list[#list + 1] = frame
  end
  return list
end

return frames
