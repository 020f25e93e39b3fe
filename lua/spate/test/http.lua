-- SPDX-License-Identifier: MIT
-- t.http: what stands for other servers in a spec. A stub answers in virtual time, and remembers what it was asked.
local harness = require "spate.harness"
local session = require "spate.test.session"

local ANSWER = { status = true, headers = true, version = true, body = true, json = true, events = true, chunks = true, after = true,
  error = true, open = true }
local EVENT = { event = true, data = true, json = true, id = true, retry = true, comment = true, after = true, raw = true }
local ERRORS = { timeout = true, refused = true, tls = true, name = true, ["too large"] = true, redirects = true, closed = true,
  protocol = true, private = true, busy = true }

local function check_names(given, known, what, level)
  for name in pairs(given) do
    if not known[name] then
      local names = {}
      for each in pairs(known) do names[#names + 1] = each end
      table.sort(names)
      error(("%s: unknown '%s'; it has %s"):format(what, tostring(name), table.concat(names, ", ")), level + 1)
    end
  end
end

local function lines_of(name, value, lines)
  for line in (tostring(value) .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = name .. ": " .. line end
end

-- An event's bytes.
local function encode(event, level)
  if type(event) ~= "table" then event = { data = event } end
  check_names(event, EVENT, "t.http.stub: an event", level + 1)
  if event.raw then return event.raw end
  local lines = {}
  if event.comment then lines_of("", event.comment, lines) end
  if event.event then lines_of("event", event.event, lines) end
  if event.id then lines_of("id", event.id, lines) end
  if event.retry then lines_of("retry", math.floor(event.retry * 1000), lines) end
  local data = event.json ~= nil and harness.json.encode(event.json) or event.data
  if data then lines_of("data", data, lines) end
  return table.concat(lines, "\n") .. "\n\n"
end

local function add_piece(pieces, after, bytes)
  pieces[#pieces + 1], pieces[#pieces + 2] = after or 0, bytes
end

-- The pieces of the body, and what type it has.
local function body_of(answer, level)
  local pieces = {}
  if answer.events then
    for _, event in ipairs(answer.events) do add_piece(pieces, type(event) == "table" and event.after, encode(event, level + 1)) end
    return pieces, "text/event-stream"
  elseif answer.chunks then
    for _, chunk in ipairs(answer.chunks) do
      if type(chunk) == "table" then add_piece(pieces, chunk.after, chunk[1])
      else add_piece(pieces, 0, chunk) end
    end
    return pieces, "application/octet-stream"
  elseif answer.json ~= nil then
    add_piece(pieces, 0, harness.json.encode(answer.json))
    return pieces, "application/json", #pieces[2]
  end
  local body = answer.body or ""
  if body ~= "" then add_piece(pieces, 0, body) end
  return pieces, "text/plain", #body
end

-- One answer as the harness takes it.
local function compile(answer, level)
  if type(answer) ~= "table" then error("t.http.stub: expected an answer as a table, got " .. type(answer), level + 1) end
  check_names(answer, ANSWER, "t.http.stub", level + 1)
  if answer.error and not ERRORS[answer.error] then
    error(("t.http.stub: error: expected a code such as \"timeout\" or \"refused\", got '%s'"):format(tostring(answer.error)), level + 1)
  end
  local pieces, kind, length = body_of(answer, level + 1)
  local lines, has = {}, {}
  local has_head = not answer.error or answer.status or #pieces > 0
  if has_head then
    lines[1] = ("HTTP/%s "):format(answer.version or "1.1") .. (answer.status or 200)
    for name, value in pairs(answer.headers or {}) do
      has[name:lower()] = true
      for _, one in ipairs(type(value) == "table" and value or { value }) do lines[#lines + 1] = name .. ": " .. tostring(one) end
    end
    if not has["content-type"] and (answer.status or 200) ~= 204 then lines[#lines + 1] = "Content-Type: " .. kind end
    if length and not has["content-length"] and not answer.error then lines[#lines + 1] = "Content-Length: " .. length end
  end
  return { after = answer.after, lines = lines, pieces = pieces, error = answer.error, open = answer.open }
end

local Stub, getters = { __name = "stub" }, {}

function Stub.__index(self, key)
  local getter = getters[key]
  if getter then return getter(self) end
end

local header_names = { __index = function(self, name) return type(name) == "string" and rawget(self, name:lower()) or nil end }

local request_meta = { __index = function(self, key)
  if key ~= "json" then return nil end
  local value, err = harness.json.decode(self.body)
  if err then error(("the request's body is not JSON: %s: %s"):format(err, self.body:sub(1, 200)), 2) end
  rawset(self, "json", value)
  return value
end }

-- What it was asked so far: a list of { method, url, headers, body, json, closed }.
function getters.requests(self)
  local list = session.stubs:requests(self.number)
  for _, request in ipairs(list) do
    local headers = setmetatable({}, header_names)
    for i = 1, #request.fields, 2 do
      local name, value = request.fields[i]:lower(), request.fields[i + 1]
      headers[name] = rawget(headers, name) and headers[name] .. ", " .. value or value
    end
    request.headers, request.fields = headers, nil
    setmetatable(request, request_meta)
  end
  return list
end

-- True once who asked last has closed the connection before the answer was complete.
function getters.closed(self)
  local list = session.stubs:requests(self.number)
  return #list > 0 and list[#list].closed
end

local http = {}

-- Has such requests answered so from now on, until the end of this `it`, or of the file where it is not in one. An answer
-- has status, headers, body or json or chunks or events, and `after`: seconds. A list of them is for one request each,
-- the last for all that follow.
function http.stub(method, url, answer)
  if type(method) ~= "string" or method:find("[^A-Z]") then error("t.http.stub: expected a method such as \"GET\", got " .. tostring(method), 2) end
  if type(url) ~= "string" or not url:find("^https?://") then error("t.http.stub: expected a URL with http or https, got " .. tostring(url), 2) end
  local answers = {}
  for i, each in ipairs(type(answer) == "table" and #answer > 0 and answer or { answer or {} }) do answers[i] = compile(each, 2) end
  return setmetatable({ number = session.stubs:add(method, url, answers) }, Stub)
end

return http
