-- SPDX-License-Identifier: MIT
-- What spate tail does once its arguments are known, in a task: it prints events, and comes back. With a body it asks
-- once: a POST is not repeated by itself, unless the stream was cut and has ids to go on from.
local core = require "spate.core"
local http = require "spate.http"
local json = require "spate.json"
local sse = require "spate.sse"

local OK, FAILED = 0, 1
local RETRY = 3 -- seconds between connections, until the server says otherwise
local REDIRECTS_MAX = 20
local REASON_MAX = 4096
local FOREVER = 1e8 -- seconds: a stream may be silent for as long as it likes

local function say(...) io.stderr:write("spate: ", (...):format(select(2, ...)), "\n") end

-- Bytes that a terminal would obey are shown as what they are.
local function printable(text)
  return (text:gsub("[%c]", function(byte)
    return byte == "\t" and byte or byte == "\n" and "\n  " or ("\\x%02X"):format(byte:byte())
  end))
end

-- Falsy where nobody reads it: only a flush by itself tells that.
local function put(line) return io.stdout:write(line, "\n") and io.stdout:flush() end

local function printer(as_json, coloured)
  if as_json then return function(event) return put(json.encode(event)) end end
  local bold, dim, plain = "", "", ""
  if coloured then bold, dim, plain = "\27[1;36m", "\27[2m", "\27[0m" end
  return function(event)
    local id = event.id and event.id ~= "" and (" %s#%s%s"):format(dim, printable(event.id), plain) or ""
    return put(("%s%s%s%s: %s"):format(bold, printable(event.event), plain, id, printable(event.data)))
  end
end

local Tail = {}
Tail.__index = Tail

-- Prints what comes. What broke it, if anything; true behind that where nobody reads what is printed.
function Tail:print_all(res)
  local source, err = core.event_source(res._handle, self.last_event_id), nil
  local read, is_read = core.event_source_reader(source), true
  while is_read do
    local event
    event, err = read()
    if not event then break end
    event.event = event.event or "message"
    is_read = self.print(event)
  end
  local id, retry = core.event_source_cursor(source)
  self.last_event_id, self.retry = id, retry or self.retry
  source:close()
  return err, not is_read
end

-- Of an answer that is no stream; "" where it breaks off.
local function first_line(res)
  local ok, line = pcall(function() return (res:lines()()) end)
  return ok and line and line:sub(1, REASON_MAX) or ""
end

-- One connection. What came of it: `status` and `type` where there was an answer, `err` where it broke.
function Tail:connect()
  self.fields["last-event-id"] = self.last_event_id ~= "" and self.last_event_id or nil
  local res, err = http.request(self.body and "POST" or "GET", self.url, { headers = self.fields, body = self.body,
    redirects = REDIRECTS_MAX, timeout = { idle = FOREVER } })
  if not res then return { err = err } end
  local _ <close> = res
  local outcome = { status = res.status, type = (res.headers["content-type"] or ""):lower():match "^%s*([^;%s]*)" }
  if res.status ~= 200 or not res:is_event_stream() then
    outcome.line = first_line(res)
    return outcome
  end
  outcome.err, outcome.is_unread = self:print_all(res)
  return outcome
end

-- The exit code and a message where the outcome is the end; nil where it goes on.
function Tail:judge(outcome)
  local status = outcome.status
  if status == 204 or outcome.is_unread then return OK end
  if status and outcome.line then
    local what = status == 200 and "expected Content-Type text/event-stream, got " .. (outcome.type ~= "" and outcome.type or "none")
      or ("%d %s"):format(status, core.status_phrase(status))
    return FAILED, ("%s: %s%s"):format(self.url, what, outcome.line ~= "" and ": " .. printable(outcome.line) or "")
  end
  if not self.body then return nil end
  if status and not outcome.err then return OK end
  if not status or self.last_event_id == "" then
    return FAILED, ("%s: %s"):format(self.url, status and "the stream was cut" or outcome.err)
  end
end

return function(text)
  local asked = json.decode(text)
  io.stdout:setvbuf "full"
  local tail = setmetatable({ url = asked.url, fields = asked.fields, body = asked.data, retry = RETRY, last_event_id = asked.since or "",
    print = printer(asked.json, asked.coloured) }, Tail)
  while true do
    local outcome = tail:connect()
    local code, message = tail:judge(outcome)
    if code then return code, message end
    say("%s; again in %g s", outcome.status and (outcome.err and "the stream was cut: " .. outcome.err or "the stream has ended")
      or "cannot reach it: " .. outcome.err, tail.retry)
    sse.sleep(tail.retry)
  end
end
