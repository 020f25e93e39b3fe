-- SPDX-License-Identifier: MIT
-- A client of a simulation: it writes requests, and takes answers apart as their bytes come. What it sees it tells the
-- model: on_head, on_event, on_comment, on_end of each request.
local harness = require "spate.harness"
local says = require "spec.simulate.promises"

local Client = {}
Client.__index = Client

-- `core`: the harness's client. `model`: who is told.
local function new(core, slot, model)
  return setmetatable({ core = core, slot = slot, model = model, waiting = {}, first = 1, last = 0, buf = "", is_reading = true }, Client)
end

-- Sends a request: a table with method, target, headers (a list of lines), body; what comes of it is kept in there.
function Client:request(request, now)
  local lines = { ("%s %s HTTP/1.1"):format(request.method, request.target), "Host: sim" }
  for _, line in ipairs(request.headers or {}) do lines[#lines + 1] = line end
  if request.body and not request.is_chunked then lines[#lines + 1] = "Content-Length: " .. #request.body end
  local body = request.body or ""
  request.client, request.sent_at = self, now
  self.last = self.last + 1
  self.waiting[self.last] = request
  self.core:send(("\r\n"):rep(request.lead or 0) .. table.concat(lines, "\r\n") .. "\r\n\r\n" .. (request.was_partial and body:sub(1, #body // 2) or body))
  if request.was_partial then self.rest = body:sub(#body // 2 + 1) end
  return true
end

-- The other half of a body.
function Client:send_rest()
  self.core:send(self.rest)
  self.rest = nil
end

-- The request that is answered now, or next; nil where there is none.
function Client:current() return self.waiting[self.first] end

local function parse_event(self, request, block, now)
  local event, comment
  for line in block:gmatch "[^\n]+" do
    local name, value = line:match "^([^:]*):? ?(.*)$"
    if name == "" then comment = value
    else
      event = event or {}
      if name == "data" then event.data = event.data and event.data .. "\n" .. value or value else event[name] = value end
    end
  end
  if comment then self.model:on_comment(request, comment, now) end
  if not event then return end
  if event.id then request.last_id = event.id end
  self.model:on_event(request, event, now)
end

-- What a piece of the body holds.
local function decode(self, request, bytes)
  if not request.gzip then return bytes end
  local text, why = request.gzip:feed(bytes)
  return text or self.model:fail("what is compressed cannot be read: %s", why)
end

function Client:take_body(request, bytes, now)
  bytes = decode(self, request, bytes)
  if not self.is_mux or request.last_at ~= now or not request.before_at then request.before_at = request.last_at end -- an event may come in several frames
  request.last_at = now
  if not request.is_sse then
    request.content = (request.content or "") .. bytes
    return
  end
  local text, at = request.rest .. bytes, 1
  while true do
    local stop = text:find("\n\n", at, true)
    if not stop then break end
    parse_event(self, request, text:sub(at, stop), now)
    at = stop + 2
  end
  request.rest = text:sub(at)
end

local function finish(self, how, now)
  local request = self:current()
  self.waiting[self.first] = nil
  self.first = self.first + 1
  request.ended, request.ended_at = how, now
  self.model:expect(how ~= "end" or not request.gzip or request.gzip:ended(), says.CHECKSUM, "%s: ends without its sum", request)
  self.model:on_end(request, how, now)
end

local function take_head(self, now)
  local stop = self.buf:find("\r\n\r\n", 1, true)
  if not stop then return false end
  local head = self.buf:sub(1, stop + 1)
  self.buf = self.buf:sub(stop + 4)
  local status = tonumber(head:match "^HTTP/1%.1 (%d%d%d) ")
  if not status then self.model:fail("an answer begins with %q", head:sub(1, 60)) end
  if status == 100 then return true end
  local fields = {}
  for name, value in head:gmatch "\r\n([^:\r\n]+): ([^\r\n]*)" do fields[name:lower()] = value end
  local request = self:current()
  if not request then -- the connection is refused before any request
    request = { method = "GET", client = self, is_refusal = true, sent_at = now }
    self.last = self.first
    self.waiting[self.first] = request
  end
  request.status, request.fields, request.head_at, request.last_at = status, fields, now, now
  request.is_sse = fields["content-type"] == "text/event-stream"
  request.rest = ""
  local has_no_body = request.method == "HEAD" or status == 204 or status == 304
  request.framing = has_no_body and "none" or fields["transfer-encoding"] and "chunked" or fields["content-length"] and "length" or "close"
  request.gzip = not has_no_body and fields["content-encoding"] == "gzip" and harness.inflate() or nil
  request.left = request.framing == "length" and tonumber(fields["content-length"]) or 0
  self.model:on_head(request, now)
  return true
end

local FRAMES = {}

function FRAMES.none(self, _, now) finish(self, "end", now) return true end

function FRAMES.length(self, request, now)
  local bytes = self.buf:sub(1, request.left)
  self.buf = self.buf:sub(#bytes + 1)
  request.left = request.left - #bytes
  if #bytes > 0 then self:take_body(request, bytes, now) end
  if request.left > 0 then return false end
  finish(self, "end", now)
  return true
end

function FRAMES.close(self, request, now)
  local bytes = self.buf
  self.buf = ""
  if #bytes > 0 then self:take_body(request, bytes, now) end
  return false
end

function FRAMES.chunked(self, request, now)
  local buf, at = self.buf, 1
  while true do
    local digits, from = buf:match("^(%x+)\r\n()", at)
    local size = digits and tonumber(digits, 16)
    if not size or #buf < from + size + 1 then break end
    if buf:sub(from + size, from + size + 1) ~= "\r\n" then self.model:fail("a chunk of %d bytes ends with %q", size, buf:sub(from + size, from + size + 1)) end
    at = from + size + 2
    if size == 0 then
      self.buf = buf:sub(at)
      finish(self, "end", now)
      return true
    end
    self:take_body(request, buf:sub(from, from + size - 1), now)
  end
  self.buf = at > 1 and buf:sub(at) or buf
  return false
end

-- Takes what has come. Once the server has closed, what it has not answered is over.
function Client:take(now)
  local bytes = self.core:take()
  if #bytes > 0 then
    self.buf = self.buf .. bytes
    self.model:on_bytes(self, bytes, now)
  end
  while true do
    local request = self:current()
    local is_open = request and request.status
    if not is_open and self.buf == "" then break end
    if is_open then
      if not FRAMES[request.framing](self, request, now) then break end
    elseif not take_head(self, now) then break end
  end
  local state = self.core:state()
  if state == "open" or self.is_over then return end
  local request = self:current()
  if request and request.framing == "close" then finish(self, "end", now) end
  if state == "ended" then return end -- it may still read what is sent
  self:over(state, now)
end

-- Nothing comes any more: `why` is "closed", "reset" by the server, or "left" by this client.
function Client:over(why, now)
  if self.is_over then return end
  self.is_over = why
  while self:current() do finish(self, self:current().status and "cut" or "unanswered", now) end
end

return new
