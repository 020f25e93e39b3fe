-- SPDX-License-Identifier: MIT
-- spate.stream_limit: how many requests of one key may be open at a time, over all workers; streams are what lasts.
local check = require "spate.check"
local core = require "spate.core"
local reply = require "spate.reply"

local OPTIONS = { "max", "key", "status", "store" }
local DAY = 86400
local KEY_MAX = 200 -- bytes; what a client names may be longer

local made = 0

local function default_key(req) return core.network(req.remote_addr or "") end

local function key_in_store(key)
  if #key <= KEY_MAX then return key end
  return "#" .. core.base64(core.hmac("sha256", "spate.stream_limit", key), true)
end

local function settings_of(options)
  check.options(options, "spate.stream_limit", OPTIONS)
  local max = options.max
  if math.type(max) ~= "integer" or max < 1 then
    core.raise("spate.stream_limit: max: expected a whole number of 1 or more, got " .. check.shown(max))
  end
  local status = options.status or 429
  if math.type(status) ~= "integer" or status < 400 or status > 599 then
    core.raise("spate.stream_limit: status: expected an integer from 400 to 599, got " .. check.shown(status))
  end
  if not options.store then made = made + 1 end
  local name = check.text(options.store or "spate.stream_limit." .. made, "spate.stream_limit: store")
  return { max = max, status = status, store = core.shared(name),
    key = options.key and check.callable(options.key, "spate.stream_limit: key") or default_key }
end

-- Another one, or false where there are as many as may be. A full dictionary lets pass, uncounted.
local function enter(s, key)
  local count, why = s.store:incr(key, 1, { ttl = DAY })
  if not count then return nil, why end
  if count <= s.max then return true end
  s.store:incr(key, -1, { ttl = DAY })
  return false
end

local function leave(s, key)
  local count = s.store:incr(key, -1, { ttl = DAY })
  if count and count <= 0 then s.store:cas(key, count, nil) end
end

-- Middleware. Options: max (requests at a time), key (fn(req): a string; nil: no limit; the client's address), status (429), store
-- (limits with the same one count together).
local function stream_limit(options)
  local s = settings_of(options)
  return function(req, next)
    local key = s.key(req)
    if key == nil then return next() end
    key = key_in_store(tostring(key))
    local entered = enter(s, key)
    if entered == false then
      core.count_refused "stream_limit"
      return reply.error(s.status, "too many streams")
    end
    if entered then req:on_close(function() leave(s, key) end) end
    return next()
  end
end

return { stream_limit = stream_limit }
