-- SPDX-License-Identifier: MIT
-- What takes more than one look at a stream. `patient` is the examination: its findings, its url and its greeting, which is nil
-- of a stream that is not spate.doctor's.
local Findings = require "spate.doctor.findings"
local sse = require "spate.sse"
local timing = require "spate.doctor.timing"

local probes = {}

local duration = Findings.duration
local EVENTS, GAPS = 8, { 0.05, 0.2, 0.2, 0.5 } -- seconds between events, at each try
local PATIENCE = 10 -- seconds
local BROWSER = 6 -- connections that a browser opens to a site
local LEAVING = 10 -- seconds in which a server should hear of it

-- How events come that were sent apart: whether they were held back, how late the first was at most, and the last look. That
-- they were counts only where this process was not late itself, and a slower try says the same.
local function measure(patient, headers, first)
  local held, late, look, said = false, 0, first, 0
  for i, gap in ipairs(GAPS) do
    local lateness = 0
    if i > 1 or not look then
      lateness, look = timing.watched(patient.look, patient, { events = EVENTS, gap = gap }, { headers = headers, seconds = EVENTS * gap + PATIENCE })
    end
    local _, list = timing.read(look)
    held, late = timing.is_held(list, gap)
    if not held then break end
    if lateness < gap then said = said + 1 end
    if said == 2 then break end
  end
  return held, late, look
end

function probes.buffering(patient)
  if not patient.greeting then return end
  local held, late = measure(patient, nil, patient.first)
  patient.is_held = held
  if held then
    patient.findings:add("buffering", "wrong", ("events that were sent apart come together, up to %s late"):format(duration(late)), late)
  else
    patient.findings:add("buffering", "ok", "events come one by one, as they were sent")
  end
end

-- Of a stream whose server does not say when it sends: whether anything comes.
local function compressed_other(patient, look)
  if #look.items > 0 or #patient.first.items == 0 then
    patient.findings:add("compression", "ok", ("by %s: events come"):format(look.coding))
  else
    patient.findings:add("compression", "wrong", ("by %s no event comes in %s, without it one came after %s"):format(look.coding, duration(look.ended),
      duration(patient.first.items[1].at)))
  end
end

function probes.compression(patient)
  local findings, headers = patient.findings, { ["accept-encoding"] = "gzip" }
  local held, late, look
  if patient.first.coding then
    findings:add("compression", "wrong", ("by %s, which was not asked for"):format(patient.first.coding))
    return
  end
  if patient.greeting then held, late, look = measure(patient, headers)
  else look = patient:look(nil, { headers = headers, seconds = PATIENCE, enough = function(l) return #l.items > 0 end }) end
  if not look.coding then
    findings:add("compression", "ok", "none, for who takes gzip as well")
  elseif not look.inflater or look.how == "unreadable" then
    findings:add("compression", "wrong", ("by %s cannot be read: %s"):format(look.coding, look.message or "it was not asked for"))
  elseif not patient.greeting then compressed_other(patient, look)
  elseif held and not patient.is_held then
    findings:add("compression", "wrong", ("by %s holds events back, up to %s"):format(look.coding, duration(late)), late)
  else
    findings:add("compression", "ok", ("by %s, which holds nothing back"):format(look.coding))
  end
end

local function reconnect_other(patient)
  local first, id = patient.first.items[1], nil
  for _, item in ipairs(patient.first.items) do id = item.id or id end
  if not id then
    if first then patient.findings:add("last_event_id", "note", "no event has an id, so who comes back has missed what came meanwhile", nil, false) end
    return
  end
  local again = patient:look(nil, { headers = { ["last-event-id"] = id }, seconds = 2, enough = function(l) return #l.items > 0 end })
  local item = again.items[1]
  if item and item.id == first.id and first.id ~= id then
    patient.findings:add("last_event_id", "note", ("behind the id %s the stream begins anew: Last-Event-ID is lost, or not heeded"):format(id))
  else
    patient.findings:add("last_event_id", "ok", ("behind the id %s the stream goes on"):format(id))
  end
end

function probes.last_event_id(patient)
  if not patient.greeting then return reconnect_other(patient) end
  local look = patient:look({ events = 0 }, { headers = { ["last-event-id"] = "doctor-7" }, seconds = PATIENCE })
  local greeting = timing.read(look)
  if greeting and greeting.last_event_id == "doctor-7" then
    patient.findings:add("last_event_id", "ok", "Last-Event-ID reaches the server")
  else
    patient.findings:add("last_event_id", "wrong", "Last-Event-ID does not reach the server: who comes back misses what came meanwhile")
  end
end

-- One more at once than a browser has connections.
function probes.streams(patient)
  local looks, good, failed = {}, 0, nil
  local query = patient.greeting and { events = 0, quiet = 1 }
  for i = 1, BROWSER + 1 do
    looks[i] = sse.spawn(function()
      return patient:look(query, { seconds = query and 1 + PATIENCE or 3, enough = not query and function() return true end })
    end)
  end
  for _, task in ipairs(looks) do
    local look = task:join()
    if look.is_stream then good = good + 1 else failed = failed or look end
  end
  if good == #looks then
    patient.findings:add("streams", "ok", ("%d at once are answered"):format(good))
  else
    local why = failed.message or "status " .. failed.status
    patient.findings:add("streams", "wrong", ("of %d at once %d are answered: %s"):format(#looks, good, why))
  end
end

-- Whether the server hears that its client has left; not of a stream whose greeting is held back, and so comes too late.
function probes.leaving(patient)
  if not patient.greeting or patient.is_held then return end
  local id = ("%x-%x"):format(math.random(0), math.random(0))
  patient:look({ events = 0, quiet = LEAVING * 10, keep_alive = 1, id = id }, { seconds = PATIENCE, enough = function(l) return #l.items > 0 end })
  local left, state = sse.now(), patient:state_of(id)
  while state == "open" and sse.now() - left <= LEAVING do
    sse.sleep(0.1)
    state = patient:state_of(id)
  end
  if state == "open" then
    patient.findings:add("leaving", "wrong", ("the server has not heard after %d s that its client has left"):format(LEAVING))
  elseif state then
    patient.findings:add("leaving", "ok", ("the server hears within %s that its client has left"):format(duration(sse.now() - left)))
  else
    patient.findings:add("leaving", "note", "which server has had the client that left cannot be told: are there several?", nil, false)
  end
end

return probes
