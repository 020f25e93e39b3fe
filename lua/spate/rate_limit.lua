-- SPDX-License-Identifier: MIT
-- So many requests in a time, by the generic cell rate algorithm: per key one number, the time at which its bucket
-- would be empty again, shared by all workers. It is forgotten once that time is past.
local check = require "spate.check"
local core = require "spate.core"
local reply = require "spate.reply"

local OPTIONS = { "rate", "per", "burst", "key", "status", "store" }
local KEY_MAX = 255

local rate_limit = {}

local made = 0 -- limits without a store of their own, in the order of the script

-- Parts as one key, each led by its length: "a_b" and "c" are not "a" and "b_c".
local function compose(count, ...)
  local parts = {}
  for i = 1, count do
    local part = tostring((select(i, ...)))
    parts[i] = #part .. ":" .. part
  end
  local key = table.concat(parts)
  return #key <= KEY_MAX and key or "#" .. core.base64(core.hmac("sha256", "spate.rate_limit", key), true)
end

local function key_of(count, first, ...)
  if first == nil then return nil end
  return compose(count, first, ...)
end

local function pack_key(...) return key_of(select("#", ...), ...) end

local function default_key(req) return core.network(req.remote_addr or "") end

-- True, or false and the seconds until there is room; nil where the store is full.
local function take(s, key)
  while true do
    local now, old = core.now(), s.store:get(key)
    local full_at = math.max(type(old) == "number" and old or now, now) + s.interval
    local wait = full_at - now - s.depth
    if wait > 1e-9 then return false, wait end
    local done, why = s.store:cas(key, old, full_at, { ttl = full_at - now })
    if done then return true end
    if why == "full" then return nil end -- else another request was faster: once more
  end
end

-- A limit that cannot count lets pass: a flood of keys must not shut everybody out. The log says so once a second.
local function report_full(s)
  s.passed = s.passed + 1
  if s.told_at and core.now() - s.told_at < 1 then return end
  core.log.warn("spate.rate_limit: no room in limits.shared, requests pass uncounted", { passed = s.passed })
  s.told_at, s.passed = core.now(), 0
end

local function check_rate(rate)
  if type(rate) ~= "number" or not (rate > 0 and rate <= 1e9) then
    core.raise("spate.rate_limit: rate: expected a number above 0, got " .. check.shown(rate))
  end
  return rate
end

local function check_burst(burst)
  if math.type(burst) ~= "integer" or burst < 1 then
    core.raise("spate.rate_limit: burst: expected a whole number of 1 or more, got " .. check.shown(burst))
  end
  return burst
end

local function settings_of(options)
  check.options(options, "spate.rate_limit", OPTIONS)
  local rate, per = check_rate(options.rate), check.seconds(options.per or 1, "spate.rate_limit: per")
  local burst = check_burst(options.burst or math.max(1, math.ceil(rate)))
  local status = options.status or 429
  if math.type(status) ~= "integer" or status < 400 or status > 599 then
    core.raise("spate.rate_limit: status: expected an integer from 400 to 599, got " .. check.shown(status))
  end
  if not options.store then made = made + 1 end
  local name = check.text(options.store or "spate.rate_limit." .. made, "spate.rate_limit: store")
  return {
    interval = per / rate, depth = burst * per / rate, status = status, store = core.shared(name), passed = 0,
    key = options.key and check.callable(options.key, "spate.rate_limit: key") or default_key,
  }
end

-- Middleware. Options: rate (requests) per (seconds, 1), burst (at once), key (fn(req), one value or several; nil: no
-- limit), status (429), store (limits with the same one count together).
function rate_limit.rate_limit(options)
  local s = settings_of(options)
  return function(req, next)
    local key = pack_key(s.key(req))
    if not key then return next() end
    local passes, wait = take(s, key)
    if passes == nil then report_full(s)
    elseif not passes then
      core.count_refused "rate_limit"
      return reply.error(s.status):header("Retry-After", math.max(1, math.ceil(wait - 1e-9)))
    end
    return next()
  end
end

core.public(rate_limit, "rate_limit")

return rate_limit
