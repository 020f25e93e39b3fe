-- SPDX-License-Identifier: MIT
-- What becomes of a stream that is silent: whether something on the way cuts it, with and without comments, whether these come
-- through, and whether a cut is told.
local Findings = require "spate.doctor.findings"
local sse = require "spate.sse"
local timing = require "spate.doctor.timing"

local duration = Findings.duration
local PATIENCE = 10 -- seconds
local COMMENTS = 15 -- seconds between those of a server that has them
local RARE = 30 -- seconds without a byte, after which nobody knows whether the other is there

-- Whether the stream came to its end, which is an event of its own.
local function is_whole(look)
  local _, list = timing.read(look)
  return #list > 0 and list[#list].n ~= nil
end

local function silent_for(look) return look.ended - (look.last_byte or look.head or 0) end

local function comments_of(look)
  local n = 0
  for _, item in ipairs(look.items) do n = n + (item.comment and 1 or 0) end
  return n
end

-- Waits for both looks.
local function both(patient)
  local wait, every = patient.wait, math.max(math.min(COMMENTS, patient.wait / 4), 0.1)
  local function start(keep_alive)
    return sse.spawn(function() return patient:look({ events = 0, quiet = wait, keep_alive = keep_alive }, { seconds = wait + PATIENCE }) end)
  end
  local bare, kept = start(nil), start(every)
  return bare:join(), kept:join(), every
end

local function without(patient, look, kept_is_whole, every)
  local seconds, keep = silent_for(look), patient.greeting.keep_alive or COMMENTS
  local helps = kept_is_whole and ("; a comment each %s keeps it open"):format(duration(every)) or ""
  if look.how == "stopped" then
    patient.findings:add("half_open", "wrong",
      "a stream that was silent is gone, and the client is not told: only comments, and a timeout of its own, find that", seconds, "idle")
  elseif seconds <= keep then
    patient.findings:add("idle", "wrong", ("a stream that is silent for %s is cut, and the server's comments come each %s only%s"):format(
      duration(seconds), duration(keep), helps), seconds)
  else
    patient.findings:add("idle", "note", ("a stream that is silent for %s is cut%s"):format(duration(seconds), helps), seconds)
  end
end

local function of_doctor(patient)
  local bare, kept, every = both(patient)
  local kept_is_whole, findings = is_whole(kept), patient.findings
  if is_whole(bare) then
    findings:add("idle", "ok", ("a stream may be silent for %s"):format(duration(patient.wait)))
  else
    without(patient, bare, kept_is_whole, every)
  end
  if not kept_is_whole then
    findings:add("idle", "wrong", ("a stream is cut after %s, although a comment comes each %s"):format(duration(kept.ended), duration(every)),
      kept.ended, "total")
  elseif comments_of(kept) == 0 then
    findings:add("half_open", "wrong", "comments do not come through: neither side finds out that the other is gone", nil, "comments")
  elseif not patient.is_held and (bare.how ~= "stopped" or is_whole(bare)) then
    findings:add("half_open", "ok", "comments come through, by which both sides find out that the other is gone")
  end
end

local function of_other(patient)
  local look, findings = patient:look(nil, { seconds = patient.wait }), patient.findings
  local silence = math.max(look.silence or 0, silent_for(look))
  if look.how == "cut" then
    findings:add("idle", "wrong", ("the stream is cut after %s, of which the last %s were silent"):format(duration(look.ended),
      duration(silent_for(look))), look.ended)
  elseif look.how ~= "stopped" then
    findings:add("idle", "note", ("the stream ends by itself after %s"):format(duration(look.ended)), look.ended, false)
  else
    findings:add("idle", "ok", ("the stream is open for %s, of which %s at most were silent"):format(duration(patient.wait), duration(silence)))
  end
  if silence >= RARE then
    findings:add("half_open", "note", ("for %s nothing comes: have the server send a comment each %d s, by which both sides find out that the other is gone")
      :format(duration(silence), COMMENTS), silence, false)
  elseif comments_of(look) > 0 then
    findings:add("half_open", "ok", "comments come, by which both sides find out that the other is gone")
  end
end

return function(patient)
  if patient.wait <= 0 then return end
  if patient.greeting then of_doctor(patient) else of_other(patient) end
end
