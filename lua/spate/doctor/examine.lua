-- SPDX-License-Identifier: MIT
-- Examines a stream from where it runs: one look that tells what it is, then those that each question needs, the long one
-- beside all others.
local checks = require "spate.doctor.checks"
local Findings = require "spate.doctor.findings"
local http = require "spate.http"
local look_at = require "spate.doctor.look"
local probes = require "spate.doctor.probes"
local proxies = require "spate.doctor.proxies"
local silence = require "spate.doctor.silence"
local sse = require "spate.sse"
local timing = require "spate.doctor.timing"

local FIRST, FIRST_EVENTS = 10, 5 -- seconds, and events, of the first look at a stream that goes on
local PATIENCE = 10 -- seconds

local Patient = {}
Patient.__index = Patient

local function with_query(url, query)
  local parts, base = {}, url:gsub("#.*$", "")
  for name, value in pairs(query or {}) do parts[#parts + 1] = ("%s=%s"):format(name, value) end
  table.sort(parts)
  return #parts == 0 and base or base .. (base:find("?", 1, true) and "&" or "?") .. table.concat(parts, "&")
end

-- One more look, with the headers of all; of spate.doctor with this query.
function Patient:look(query, options)
  local headers = {}
  for name, value in pairs(self.headers or {}) do headers[name:lower()] = value end
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  return look_at(with_query(self.url, query), { headers = headers, seconds = options.seconds, enough = options.enough, tls = self.tls })
end

-- What the server of spate.doctor says of a stream of its own; nil where it does not know.
function Patient:state_of(id)
  local res = http.get((self.url:gsub("[?#].*$", ""):gsub("/$", "")) .. "/left",
    { query = { id = id }, headers = self.headers, tls = self.tls, timeout = PATIENCE })
  local value = res and res:json()
  return type(value) == "table" and value.state or nil
end

local function is_seen(look)
  local greeting = timing.read(look)
  return not greeting and #look.items >= FIRST_EVENTS
end

-- The first look; again without asking for a certificate that is trusted where there is none.
function Patient:begin()
  self.first = self:look(nil, { seconds = FIRST, enough = is_seen })
  if self.first.code == "tls" then
    self.refused, self.tls = self.first.message, { verify = false, certificate = true }
    self.first = self:look(nil, { seconds = FIRST, enough = is_seen })
    if self.first.code == "tls" then self.refused = self.refused .. ": does nothing there speak TLS? Then it is http://" end
  end
  return self.first
end

-- Of statuses what they most often come from.
local ASKS = "say who asks, by -H 'Authorization: ...' or -H 'Cookie: ...'"
local BEHIND = "what answers does not reach the server behind it"
local MEANS = { [401] = ASKS, [403] = ASKS, [404] = "is this the stream's path?", [502] = BEHIND, [503] = BEHIND }

-- Why nothing has answered, as a finding; a certificate is one of its own.
local function add_failure(findings, look)
  if look.code == "tls" then return end
  local hangs = look.message:find "^no answer"
  findings:add("reach", "wrong", look.message .. (hangs and ": the server hangs, or something before it collects what it sends" or ""), nil,
    hangs and "buffering")
end

-- Why there is no stream to look at, as a finding; false where there is one.
function Patient:is_refused()
  local look, findings = self.first, self.findings
  if look.how == "failed" then
    add_failure(findings, look)
    return true
  end
  if look.is_stream then return false end
  if look.status ~= 200 then
    local means = MEANS[look.status]
    findings:add("answer", "wrong", ("status %d, and not 200%s"):format(look.status, means and ": " .. means or ""), nil, look.status == 504 and "idle")
  else
    findings:add("answer", "wrong", ("Content-Type is %s, and not text/event-stream: is this the stream's path?"):format(
      look.headers["content-type"] or "not said"), nil, false)
  end
  return true
end

function Patient:check_all()
  local first, findings = self.first, self.findings
  local long = sse.spawn(silence, self)
  checks.times(findings, first)
  checks.headers(findings, first, self.greeting)
  checks.cache(findings, first)
  checks.http_version(findings, first)
  if self.greeting then checks.address(findings, self.greeting) end
  for _, name in ipairs { "buffering", "compression", "last_event_id", "streams", "leaving" } do probes[name](self) end
  local ok, err = long:join()
  if err then error(err, 0) end
  return ok
end

-- Options: headers; wait (seconds for which a stream is left silent; 0: none is); proxy (what stands before it, where that is
-- known). { url =, is_doctor =, version =, proxy =, findings =, wrong = }; waits.
return function(url, options)
  local patient = setmetatable({ url = url, headers = options.headers, wait = options.wait or 0, findings = Findings.new(),
    tls = { certificate = true } }, Patient)
  local first, greeting = patient:begin(), nil
  if first.is_stream then greeting = timing.read(first) end
  patient.greeting = greeting
  checks.certificate(patient.findings, first.certificate, patient.refused, os.time())
  if not patient:is_refused() then patient:check_all() end
  patient.findings:sort()
  return { url = url, is_doctor = greeting ~= nil, version = greeting and greeting.version, findings = patient.findings, wrong = patient.findings:wrong(),
    proxy = options.proxy or first.headers and proxies.detect(first.headers, greeting and greeting.fields) }
end
