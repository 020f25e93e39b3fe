-- SPDX-License-Identifier: MIT
-- req:tag, spate.kick: who is on a stream, and its end from elsewhere.
local check = require "spate.check"
local core = require "spate.core"

local TAG_MAX, REASON_MAX = 200, 1000 -- bytes

local function check_tag(tag, what)
  check.text(tag, what)
  if #tag == 0 or #tag > TAG_MAX then core.raise(("%s: expected 1 to %d bytes, got %d"):format(what, TAG_MAX, #tag)) end
  return tag
end

-- Names the request's stream, by which spate.kick finds it; the request. nil, "closed" where it is over.
function core.request_methods.tag(req, ...)
  local count = select("#", ...)
  if count == 0 then core.raise "req:tag: expected one tag or more, got none" end
  for i = 1, count do check_tag((select(i, ...)), "req:tag") end
  for i = 1, count do
    local ok, why = core.tag(req, (select(i, ...)))
    if not ok then return nil, why end
  end
  return req
end

core.public(core.request_methods, "tag")

local WHATS = { "tag", "channel", "stream" }
local OPTIONS = { "tag", "channel", "stream", "reason", "retry" }

-- The one of them that is given.
local function what_of(options)
  local found
  for _, what in ipairs(WHATS) do
    if options[what] ~= nil then
      if found then return nil end
      found = what
    end
  end
  return found
end

-- What, its name, reason and retry of them; raises where they are none.
local function read(options)
  options = check.options(options, "spate.kick", OPTIONS)
  local what = what_of(options)
  if not what then core.raise "spate.kick: expected one of tag, channel and stream" end
  local reason = options.reason == nil and "" or check.text(options.reason, "spate.kick: reason")
  if #reason > REASON_MAX then core.raise(("spate.kick: reason: expected %d bytes at most, got %d"):format(REASON_MAX, #reason)) end
  local retry = options.retry == nil and 0 or check.seconds(options.retry, "spate.kick: retry")
  return what, check.text(options[what], "spate.kick: " .. what), reason, retry
end

-- Ends the streams of a tag, of a channel's subscribers, or the one of an id (spate.streams), on all workers, and on all servers that share their channels:
-- with an event `kick` whose data is the reason, a retry (seconds, one to two times of it) and a clean end. True.
local function kick(options)
  core.kick(read(options))
  return true
end

-- The same; waits until each worker has said how many it had, but for so many seconds: a list with a text of that, or false. Then
-- whether other servers were told.
function core.kick_and_count(options, seconds)
  local what, name, reason, retry = read(options)
  local is_told = core.kick_elsewhere(what, name, reason, retry)
  return core.kick_asking(seconds, what, name, reason, retry), is_told
end

return kick
