-- SPDX-License-Identifier: MIT
-- One look at a stream: when its head came, when each event and comment did, and how it ended. Times are seconds from the
-- request.
local core = require "spate.core"
local events = require "spate.doctor.events"
local Findings = require "spate.doctor.findings"
local http = require "spate.http"
local sse = require "spate.sse"

local NEVER = 1e8 -- seconds
local CONNECT = 5 -- seconds; less than all of a look, so that it can be told which of the two was over
local ITEMS_MAX = 10000
local CODED = { gzip = true, ["x-gzip"] = true, deflate = true }

local Look = {}
Look.__index = Look

function Look:now() return sse.now() - self.began end

function Look:finish(how, message)
  self.ended, self.how, self.message = self:now(), how, message or self.message
  return self
end

-- The bytes as they were before they were compressed; nil where they cannot be read.
function Look:decode(bytes)
  if not self.inflater then return bytes end
  local text, why = core.inflate(self.inflater, bytes)
  self.message = why or self.message
  return text
end

-- Notes what has come. False where it cannot be read on.
function Look:take(bytes)
  local at, text = self:now(), self:decode(bytes)
  local list = text and self.events:feed(text)
  if not list then return false end
  self.first_byte, self.last_byte = self.first_byte or at, at
  self.silence = math.max(self.silence, at - self.heard)
  self.heard = at
  for _, item in ipairs(list) do
    item.at = at
    self.items[#self.items + 1] = item
  end
  return #self.items < ITEMS_MAX
end

-- Reads until it ends, its time is over, or `enough(look)` says so.
function Look:read(res, enough)
  while not (enough and enough(self)) do
    local bytes, message, code = core.http_read(res._handle)
    if not bytes then
      self.silence = math.max(self.silence, self:now() - self.heard)
      return self:finish(code == "timeout" and "stopped" or code and "cut" or "end", message)
    end
    if not self:take(bytes) then return self:finish("unreadable", self.message or "more than is looked at") end
  end
  return self:finish "stopped"
end

function Look:begin(res)
  self.head, self.status, self.headers, self.version, self.certificate = self:now(), res.status, res.headers, res.http_version, res.certificate
  self.heard, self.silence, self.is_stream = self.head, 0, res.status == 200 and res:is_event_stream()
  local coding = (res.headers["content-encoding"] or "identity"):lower()
  if coding ~= "identity" then self.coding = coding end
  if CODED[coding] then self.inflater = core.inflater() end
end

-- Options: headers, seconds (for all of it), tls, enough. Never fails: what went wrong is `code` and `message`.
return function(url, options)
  local look = setmetatable({ began = sse.now(), items = {}, events = events() }, Look)
  local headers = { accept = "text/event-stream", ["cache-control"] = "no-cache", ["accept-encoding"] = "identity" }
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  local res, message, code = http.get(url, { headers = headers, tls = options.tls,
    timeout = { connect = math.min(CONNECT, options.seconds / 2), idle = NEVER, total = options.seconds } })
  if not res then
    look.code, look.message = code, message
    if code == "timeout" and not message:find "no connection" then look.message = "no answer within " .. Findings.duration(options.seconds) end
    return look:finish "failed"
  end
  local _ <close> = res
  look:begin(res)
  if not look.is_stream or look.coding and not look.inflater then return look:finish "other" end
  return look:read(res, options.enough)
end
