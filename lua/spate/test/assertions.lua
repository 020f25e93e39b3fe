-- SPDX-License-Identifier: MIT
-- luassert's assertions about responses. What fails says why in the message; nothing else is printed of the arguments.
local found, assert_object = pcall(require, "luassert")
if not found then return end

local match = require "spate.test.match"
local mistake = require "spate.test.mistake"
local response = require "spate.test.response"

local BODY_SHOWN, LOG_SHOWN, EVENTS_SHOWN, KEEP_ALIVE = 300, 1000, 20, 15

-- Registers assert.NAME(...): fn(...) returns whether it holds, and what to say where it does not, and where it does
-- but should not.
local function define(name, fn)
  assert_object:register("assertion", name, function(state, arguments)
    local holds, failure, unwanted = fn(table.unpack(arguments, 1, arguments.n))
    local nofmt = {}
    for i = 1, arguments.n do nofmt[i] = true end
    arguments.nofmt = nofmt
    local message = state.mod and failure or unwanted
    state.failure_message = message or ("expected %s%s"):format(state.mod and "" or "not ", name)
    return holds
  end)
end

local function check_response(res, name)
  if not response.is(res) then mistake(("assert.%s: expected a response, got %s"):format(name, type(res))) end
  return res
end

local function log_of(res)
  local log = res.app.ended and "" or res.app:log()
  return log ~= "" and "\nlog of the application:\n" .. log:sub(1, LOG_SHOWN) or ""
end

define("events", function(res, list)
  check_response(res, "events")
  if type(list) ~= "table" then mistake("assert.events: expected a list of events, got " .. type(list)) end
  local expected, events = {}, res:events()
  for i, fields in ipairs(list) do expected[i] = match.check(fields) end
  local holds = #expected == #events
  for i = 1, holds and #events or 0 do holds = holds and match.matches(expected[i], events[i]) end
  if holds then return true, nil, "expected other events than these of " .. res:name() end
  local counts = #expected == #events and "not those expected" or ("expected %d, got %d"):format(#expected, #events)
  return false, ("events of %s: %s"):format(res:name(), counts) .. "\n" .. match.side_by_side(expected, events) .. log_of(res)
end)

local function list_events(events)
  local lines = {}
  for i = math.max(1, #events - EVENTS_SHOWN + 1), #events do lines[#lines + 1] = ("  %4d  %s"):format(i, match.show(events[i])) end
  return #lines == 0 and "  (no events)" or table.concat(lines, "\n")
end

define("event", function(res, fields)
  check_response(res, "has_event")
  fields = match.check(fields)
  local events = res:events()
  for i, event in ipairs(events) do
    if match.matches(fields, event) then
      return true, nil, ("%s has sent, as number %d, what it should not: %s"):format(res:name(), i, match.show(event))
    end
  end
  return false, ("%s has not sent %s, but\n%s%s"):format(res:name(), match.show(fields, true), list_events(events), log_of(res))
end)

define("status", function(status, res)
  if response.is(status) then mistake("assert.status: the status comes first: assert.status(200, res)") end
  check_response(res, "status")
  local actual = res.status
  if actual == status then return true, nil, ("%s was answered with %s"):format(res:name(), tostring(status)) end
  local body = res:body()
  local expected = math.type(status) == "integer" and tostring(status) or match.describe(status)
  return false, ("%s: expected status %s, got %s%s%s"):format(res:name(), expected, tostring(actual or "no answer yet"),
    body ~= "" and "\nbody: " .. body:sub(1, BODY_SHOWN) or "", log_of(res))
end)

define("closed", function(res, reason)
  check_response(res, "closed")
  local actual = res.close_reason
  local holds = actual ~= nil and (reason == nil or actual == reason)
  local expected = reason and ("an end with reason %s"):format(reason) or "an end"
  return holds, ("%s: expected %s, got %s"):format(res:name(), expected, actual or "an open request"),
    ("%s has ended with reason %s"):format(res:name(), tostring(actual))
end)

local SSE_HEADERS = { { "Content-Type", "text/event-stream" }, { "Cache-Control", "no-cache" }, { "X-Accel-Buffering", "no" } }

define("sse_headers", function(res)
  check_response(res, "sse_headers")
  local wrong, headers = {}, res.headers or {}
  if res.status ~= 200 then wrong[1] = ("status: expected 200, got %s"):format(tostring(res.status)) end
  for _, row in ipairs(SSE_HEADERS) do
    if headers[row[1]] ~= row[2] then
      wrong[#wrong + 1] = ("%s: expected %s, got %s"):format(row[1], row[2], headers[row[1]] or "none")
    end
  end
  return #wrong == 0, res:name() .. " is no event stream as it should be\n  " .. table.concat(wrong, "\n  ") .. log_of(res),
    res:name() .. " has the headers of an event stream"
end)

define("keep_alive", function(res, seconds)
  check_response(res, "keep_alive")
  seconds = seconds or KEEP_ALIVE
  if type(seconds) ~= "number" then mistake("assert.keep_alive: expected seconds, got " .. type(seconds)) end
  local before = #res:comments()
  res.app:advance_all(seconds)
  local holds = #res:comments() > before
  return holds, ("%s: expected a comment within %g s, got none%s"):format(res:name(), seconds,
    res.close_reason and ("; it has ended with reason " .. res.close_reason) or ""),
    ("%s has sent a comment within %g s"):format(res:name(), seconds)
end)
