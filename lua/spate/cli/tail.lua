-- SPDX-License-Identifier: MIT
-- spate tail URL: prints the events of a stream and comes back to it as a browser does. With a body (-d) it asks once:
-- a POST is not repeated by itself, unless the stream was cut and has ids to go on from.
local event_parser = require "spate.event_parser"
local json = require "spate.json"

local OK, FAILED, USAGE = 0, 1, 2
local RETRY = 3000 -- milliseconds between connections, until the server says otherwise
local REDIRECTS_MAX = 20
local REASON_MAX = 4096
local PACKAGES = { { "socket", "lua-socket" }, { "ssl", "lua-sec", "^https://" } }

local function missing_package(address)
  for _, each in ipairs(PACKAGES) do
    if (not each[3] or address:find(each[3])) and not pcall(require, each[1]) then
      return ("spate tail needs Debian's package %s: apt install %s"):format(each[2], each[2])
    end
  end
end

local function say(...) io.stderr:write("spate: ", (...):format(select(2, ...)), "\n") end

-- Bytes that a terminal would obey are shown as what they are.
local function printable(text)
  return (text:gsub("[%c]", function(byte)
    return byte == "\t" and byte or byte == "\n" and "\n  " or ("\\x%02X"):format(byte:byte())
  end))
end

local function printer(as_json, coloured)
  if as_json then
    return function(event) print(json.encode { event = event.event, data = event.data, id = event.id ~= "" and event.id or nil }) end
  end
  local bold, dim, plain = "", "", ""
  if coloured then bold, dim, plain = "\27[1;36m", "\27[2m", "\27[0m" end
  return function(event)
    local id = event.id ~= "" and (" %s#%s%s"):format(dim, printable(event.id), plain) or ""
    print(("%s%s%s%s: %s"):format(bold, printable(event.event), plain, id, printable(event.data)))
  end
end

-- The fields to send: those of the command line before those of an EventSource. Or nil and what is wrong.
local function fields_of(arguments)
  local fields = { accept = "text/event-stream", ["cache-control"] = "no-cache" }
  if arguments.data then
    fields["content-type"] = arguments.data:find("^%s*[%[{]") and "application/json" or "application/x-www-form-urlencoded"
  end
  for _, line in ipairs(arguments.header) do
    local name, value = line:match("^([^%s:%c]+):%s*([^\r\n]*)$")
    if not name then return nil, ("-H: expected 'Name: value', got '%s'"):format(line) end
    fields[name:lower()] = value
  end
  return fields
end

local Tail = {}
Tail.__index = Tail

-- By the rules of Fetch: a POST that is redirected by 301, 302 or 303 becomes a GET, and what was meant for one origin
-- stays there.
function Tail:redirect(status, location)
  local target, err = self.http.parse(self.http.absolute(self.parts.url, location))
  if not target then return err end
  if status ~= 307 and status ~= 308 then self.body, self.fields["content-type"] = nil, nil end
  if target.origin ~= self.parts.origin then self.fields.authorization, self.fields.cookie, self.fields.host = nil, nil, nil end
  self.parts = target
end

local function first_line_sink(into)
  return function(chunk)
    into.text = into.text .. (chunk or "")
    if into.text:find("\n") or #into.text > REASON_MAX then return nil, "enough" end
    return 1
  end
end

local IS_REDIRECT = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- One connection. What came of it: `status` and more of the head where there was one, `err` where it broke.
function Tail:connect()
  local result = { text = "" }
  local parser = event_parser.new(self.print, self.last_event_id)
  self.fields["last-event-id"] = self.last_event_id ~= "" and self.last_event_id or nil
  local _, err = self.http.request(self.parts, self.body and "POST" or "GET", self.fields, self.body, function(status, line, headers)
    result.status, result.line, result.location = status, line:match(" (.*)$"), headers.location
    result.type = (headers["content-type"] or ""):lower():match("^%s*([^;%s]*)")
    if status == 200 and result.type == "text/event-stream" then
      return function(chunk) return parser:feed(chunk or "") end
    end
    return not IS_REDIRECT[status] and first_line_sink(result) or nil
  end)
  result.err = err
  self.last_event_id, self.retry = parser.last_event_id, parser.retry or self.retry
  return result
end

-- The exit code and a message where the outcome is the end; nil where it goes on.
function Tail:judge(outcome)
  local status = outcome.status
  if status == 204 then return OK end
  if status and (status ~= 200 or outcome.type ~= "text/event-stream") then
    local line = outcome.text:match("^[^\r\n]*")
    local what = status == 200 and "expected Content-Type text/event-stream, got " .. (outcome.type ~= "" and outcome.type or "none") or outcome.line
    return FAILED, ("%s: %s%s"):format(self.parts.url, what, line ~= "" and ": " .. printable(line) or "")
  end
  if not self.body then return nil end
  if status and not outcome.err then return OK end
  if not status or self.last_event_id == "" then
    return FAILED, ("%s: %s"):format(self.parts.url, status and "the stream was cut" or outcome.err)
  end
end

function Tail:follow(socket)
  local redirects = 0
  while true do
    local outcome = self:connect()
    if IS_REDIRECT[outcome.status] and outcome.location then
      redirects = redirects + 1
      if redirects > REDIRECTS_MAX then return FAILED, "more than " .. REDIRECTS_MAX .. " redirects" end
      local problem = self:redirect(outcome.status, outcome.location)
      if problem then return FAILED, problem end
    else
      redirects = 0
      local code, message = self:judge(outcome)
      if code then return code, message end
      say("%s; again in %g s", outcome.status and (outcome.err and "the stream was cut: " .. outcome.err or "the stream has ended")
        or ("cannot reach %s: %s"):format(self.parts.origin, outcome.err), self.retry / 1000)
      socket.sleep(self.retry / 1000)
    end
  end
end

return function(arguments, native)
  local problem = missing_package(arguments.url)
  if problem then return FAILED, problem end
  local http = require "spate.client.http"
  local parts, err = http.parse(arguments.url)
  if not parts then return USAGE, err end
  local fields, wrong = fields_of(arguments)
  if not fields then return USAGE, wrong end
  native.end_by_interrupt()
  io.stdout:setvbuf "line"
  local tail = setmetatable({ http = http, parts = parts, fields = fields, body = arguments.data, retry = RETRY,
    last_event_id = arguments.since or "", print = printer(arguments.json, native.is_terminal(1)) }, Tail)
  return tail:follow(require "socket")
end
