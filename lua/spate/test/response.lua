-- SPDX-License-Identifier: MIT
-- What a client in memory has received so far: head, body, events. Bytes are taken apart once, as they come, so a
-- spec may ask again and again.
local harness = require "spate.harness"

local BROWSER_RETRY = 3 -- seconds that a browser waits where no event told it

local methods, getters = {}, {}

local Response = { __name = "response" }

function Response.__index(self, key)
  local getter = getters[key]
  if getter then return getter(self) end
  return methods[key]
end

local function new(app, client, request)
  return setmetatable({ app = app, client = client, request = request, raw = {}, rest = "", parts = {}, seen = 0, line = "",
    list = {}, notes = {}, event = {} }, Response)
end

local function is_response(value) return getmetatable(value) == Response end

local header_names = { __index = function(self, name) return type(name) == "string" and rawget(self, name:lower()) or nil end }

local function parse_head(self, head)
  local fields, joined = {}, setmetatable({}, header_names)
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    fields[#fields + 1] = { name, value }
    joined[name] = rawget(joined, name) and joined[name] .. ", " .. value or value
  end
  self.code, self.fields, self.joined = tonumber(head:match("^HTTP/1%.%d (%d+)")), fields, joined
  if self.request.method == "HEAD" or self.code == 204 or self.code == 304 then self.left = 0
  elseif (joined["transfer-encoding"] or ""):lower() == "chunked" then self.chunked = true
  else self.left = tonumber(joined["content-length"]) end
  if self.client.is_http2 and self.chunked then -- that is how its frames are shown
    joined["transfer-encoding"], fields[#fields] = nil, nil
  end
end

-- Takes the chunks that are complete out of self.rest.
local function take_chunks(self)
  local rest, at = self.rest, 1
  while not self.complete do
    local digits, from = rest:match("^(%x+)\r\n()", at)
    local size = digits and tonumber(digits, 16)
    if not size or #rest < from + size + 1 then break end
    if size == 0 then self.complete = true
    else self.parts[#self.parts + 1] = rest:sub(from, from + size - 1) end
    at = from + size + 2
  end
  self.rest = rest:sub(at)
end

local function take_body(self)
  if self.chunked then return take_chunks(self) end
  local bytes = self.rest
  if self.left then
    bytes = bytes:sub(1, self.left)
    self.left = self.left - #bytes
    self.complete = self.left == 0
  else
    self.complete = self.client:state() ~= "open"
  end
  if #bytes > 0 then self.parts[#self.parts + 1] = bytes end
  self.rest = ""
end

-- Takes what has come since the last time.
local function read(self)
  local bytes = self.client:take()
  if bytes == "" and self.code then
    if not self.complete and not self.chunked and not self.left then take_body(self) end
    return self
  end
  self.raw[#self.raw + 1] = bytes
  self.rest = self.rest .. bytes
  while not self.code do
    local head, from = self.rest:match("^(.-)\r\n\r\n()")
    if not head then return self end
    self.rest = self.rest:sub(from)
    if not head:find("^HTTP/1%.%d 1") then parse_head(self, head) end
  end
  take_body(self)
  return self
end

-- One event as received. `json` is its data, decoded when it is asked for.
local event_meta = { __index = function(self, key)
  if key ~= "json" or not self.data then return nil end
  local value = harness.json.decode(self.data)
  rawset(self, "json", value)
  return value
end }

local function take_field(self, name, value)
  local event = self.event
  if name == "data" then event.data = event.data and event.data .. "\n" .. value or value
  elseif name == "id" then
    event.id = value
    if not value:find("\0", 1, true) then self.cursor = value end
  elseif name == "retry" then
    if value:find("^%d+$") then
      self.retry = tonumber(value) / 1000
      event.retry = self.retry
    end
  elseif name == "event" then event.event = value end
end

-- WHATWG HTML 9.2.6, but that an event without data counts as well.
local function take_line(self, line)
  if line == "" then
    if next(self.event) then self.list[#self.list + 1] = setmetatable(self.event, event_meta) end
    self.event = {}
    return
  end
  local name, value = line:match("^([^:]*):? ?(.*)$")
  if name == "" then self.notes[#self.notes + 1] = value
  else take_field(self, name, value) end
end

local function read_events(self)
  read(self)
  if self.seen == #self.parts then return self end
  local text = self.line .. table.concat(self.parts, "", self.seen + 1)
  if self.seen == 0 then text = text:gsub("^\xEF\xBB\xBF", "") end
  self.seen = #self.parts
  local at = 1
  for line, after in text:gmatch("([^\n]*)\n()") do
    take_line(self, (line:gsub("\r$", "")))
    at = after
  end
  self.line = text:sub(at)
  return self
end

function getters.status(self) return read(self).code end

function getters.headers(self) return read(self).joined end

-- "finished", "client_closed" and so on, as the server's log has it; nil while the request is open.
function getters.close_reason(self) return self.client:reason() end

function getters.last_event_id(self) return read_events(self).cursor end

-- The values of a field, one by one.
function methods:header_all(name)
  local list = {}
  for _, field in ipairs(read(self).fields or {}) do
    if field[1] == name:lower() then list[#list + 1] = field[2] end
  end
  return list
end

-- The body so far.
function methods:body() return table.concat(read(self).parts) end

-- True once the body has come to its end: cut off in between, it never does.
function methods:is_complete() return read(self).complete == true end

function methods:json()
  local text = self:body()
  local value, err = harness.json.decode(text)
  if err then error(("the body is not JSON: %s: %s"):format(err, text:sub(1, 200)), 2) end
  return value
end

-- The events so far, a list of { event, id, data, retry, json }.
function methods:events() return table.move(read_events(self).list, 1, #self.list, 1, {}) end

-- The texts of the comments so far.
function methods:comments() return table.move(read_events(self).notes, 1, #self.notes, 1, {}) end

-- All bytes as they came.
function methods:bytes() return table.concat(read(self).raw) end

function methods:name() return self.request.method .. " " .. self.request.target end

-- True once the server is done with the request.
function methods:has_ended() return self.client:reason() ~= nil end

-- The client leaves.
function methods:close()
  self.client:leave()
  self.app:settle()
  return self
end

-- The client stops reading, once it has taken so many `bytes` more; resume reads on.
function methods:stall(bytes)
  self.client:window(bytes or 0)
  return self
end

function methods:resume()
  if self.dropped then error("a client that was dropped does not come back; use reconnect", 2) end
  self.client:window(nil)
  self.app:settle()
  return self
end

-- The client vanishes without a word: the server learns of it by its own timers only.
function methods:drop()
  self.dropped = true
  self.client:window(0)
  return self
end

-- Comes back as a browser does: after the retry time, with the last id. The new response; nil and why a browser
-- would not.
function methods:reconnect()
  read_events(self)
  local kind = self.joined and self.joined["content-type"]
  if self.code ~= 200 then return nil, ("a browser does not come back after a status of %s"):format(self.code or "none") end
  if not (kind or ""):find("^text/event%-stream") then return nil, "a browser does not come back to " .. (kind or "no type") end
  if not self.dropped then self:close() end
  self.app:advance_all(self.retry or BROWSER_RETRY)
  local options, headers = {}, {}
  for key, value in pairs(self.request.options) do options[key] = value end
  for name, value in pairs(options.headers or {}) do
    if name:lower() ~= "last-event-id" or not self.cursor then headers[name] = value end
  end
  if self.cursor and self.cursor ~= "" then headers["Last-Event-ID"] = self.cursor end
  options.headers = headers
  return self.app:request(self.request.method, self.request.target, options)
end

return { new = new, is = is_response, read = read }
