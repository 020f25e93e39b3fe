-- SPDX-License-Identifier: MIT
-- Another server's answer. Its body is read when it is asked for; until then its sender waits. `_handle` is what
-- spate.core has of it.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"

local Response = { __name = "response" }
Response.__index = Response
Response.__tostring = function(res) return ("response %d"):format(res.status) end

local Headers = { __index = function(headers, name) return rawget(headers, tostring(name):lower()) end }

function Response.new(handle, status, max, method)
  local list, headers = core.http_fields(handle), setmetatable({}, Headers)
  for i = 1, #list, 2 do
    local name = list[i]:lower()
    if rawget(headers, name) == nil then headers[name] = list[i + 1] end
  end
  local version, certificate = core.http_facts(handle)
  certificate = certificate ~= "" and require("spate.certificate")(certificate) or nil
  return setmetatable({ status = status, headers = headers, http_version = version, certificate = certificate,
    _list = list, _handle = handle, _method = method, _max = max, _count = 0 }, Response)
end

local function check_self(res, name)
  if getmetatable(res) ~= Response then core.raise(("res:%s(): write it with a colon"):format(name)) end
  return res
end

-- All values of a field, in their order.
function Response:header_all(name)
  check_self(self, "header_all")
  if type(name) ~= "string" then core.raise("res:header_all: expected a name, got " .. type(name)) end
  local values = {}
  for i = 1, #self._list, 2 do
    if self._list[i]:lower() == name:lower() then values[#values + 1] = self._list[i + 1] end
  end
  return values
end

local function too_large(res, max)
  core.http_close(res._handle)
  return nil, ("the body has more than %d bytes"):format(max), "too large"
end

-- The next bytes, nil at the end; nil, message and code. `max` of the whole body, or nil.
local function read(res, max)
  local piece, err, code = core.http_read(res._handle)
  if not piece then return nil, err, code end
  res._count = res._count + #piece
  if max and res._count > max then return too_large(res, max) end
  return piece
end

local function check_max(max, what)
  if max ~= nil and (math.type(max) ~= "integer" or max < 0) then
    core.raise(("%s: expected a number of bytes, got %s"):format(what, check.shown(max)))
  end
  return max
end

-- The body as a string, collected once; nil, message and code.
function Response:body(max)
  check_self(self, "body")
  max = check_max(max, "res:body") or self._max or core.http_body_max
  if self._body then
    if #self._body > max then return too_large(self, max) end
    return self._body
  end
  if self._is_read then core.raise("res:body: the body is read in pieces already") end
  local length = self.headers["content-length"]
  if length and (math.tointeger(tonumber(length)) or 0) > max and self._method ~= "HEAD" then return too_large(self, max) end
  self._is_read = true
  local done, parts = false, {}
  local _ <close> = at_end(function() if not done then core.http_close(self._handle) end end)
  while true do
    local piece, err, code = read(self, max)
    if err then return nil, err, code end
    if not piece then break end
    parts[#parts + 1] = piece
  end
  done = true
  self._body = table.concat(parts)
  return self._body
end

-- The value of a JSON body; nil, message and code.
function Response:json(options)
  check_self(self, "json")
  local encoding = self.headers["content-encoding"]
  if encoding and encoding:lower() ~= "identity" then
    return nil, ("the body is encoded (%s), and was not asked for so"):format(encoding), "protocol"
  end
  local body, err, code = self:body()
  if not body then return nil, err, code end
  local value, why
  if options ~= nil then value, why = json.decode(body, options) else value, why = json.decode(body) end
  if value == nil and why then return nil, why, "json" end
  return value
end

-- The function that begins to read in pieces, once; a failure is raised, since a loop could not tell it from the end.
local function reader(res, what)
  if res._is_read then core.raise(("%s: the body is read already"):format(what)) end
  res._is_read = true
  return function()
    local piece, err = read(res, res._max)
    if err then core.raise(("%s: %s"):format(what, err)) end
    return piece
  end, nil, nil, at_end(function() core.http_close(res._handle) end)
end

-- An iterator over the body's bytes as they come; leaving the loop closes the response.
function Response:chunks()
  check_self(self, "chunks")
  return reader(self, "res:chunks")
end

-- An iterator over the body's lines, without their ends.
function Response:lines()
  check_self(self, "lines")
  local next_piece, _, _, closing = reader(self, "res:lines")
  local piece, at, is_over = "", 1, false
  local begun, length, max = {}, 0, self._max or core.http_body_max -- a line whose end has not come, by pieces
  local function line_with(text)
    begun[#begun + 1] = text
    local line = table.concat(begun)
    begun, length = {}, 0
    return (line:gsub("\r$", ""))
  end
  return function()
    while not is_over do
      local from = piece:find("\n", at, true)
      if from then
        local text = piece:sub(at, from - 1)
        at = from + 1
        return line_with(text)
      end
      length = length + #piece - at + 1
      if length > max then core.raise(("res:lines: a line has more than %d bytes"):format(max)) end
      begun[#begun + 1] = piece:sub(at)
      piece, at = next_piece(), 1
      is_over = not piece
    end
    return length > 0 and line_with "" or nil
  end, nil, nil, closing
end

function Response:is_event_stream()
  check_self(self, "is_event_stream")
  local type = self.headers["content-type"] or ""
  return type:match("^%s*([^;%s]*)"):lower() == "text/event-stream"
end

-- The body as a stream of events, which takes it.
function Response:events()
  check_self(self, "events")
  if self._is_read then core.raise("res:events: the body is read already") end
  local stream = require("spate.event_source").events(self)
  self._is_read = true
  return stream
end

-- Lets go of it: the connection is closed where its body has not been read to its end. Harmless when done twice.
function Response:close()
  check_self(self, "close")
  core.http_close(self._handle)
end

Response.__close = Response.close

core.public(Response, "header_all", "body", "json", "chunks", "lines", "is_event_stream", "events", "close")

return Response
