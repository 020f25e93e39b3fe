-- SPDX-License-Identifier: MIT
-- Bearer tokens (RFC 6750) that are JSON Web Tokens (RFC 7519). The algorithm belongs to the key and is never the
-- token's choice; what a header says of where keys are (jku, x5u, jwk) is not read.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local reply = require "spate.reply"

local OPTIONS = { "key", "keys", "alg", "issuer", "audience", "leeway", "cookie", "query", "require_exp", "realm" }
local TOKEN_MAX = 8192

local jwt = {}

local function checked_key(key, alg, what)
  if type(key) == "table" then key, alg = key.key, key.alg or alg end
  check.text(key, what)
  local fault = core.jwt_key_fault(check.text(alg, what .. ": alg"), key)
  if fault then core.raise(("%s: %s"):format(what, fault)) end
  return { key = key, alg = alg }
end

-- fn(kid) -> key: of a fixed table, or the only one.
local function key_finder(options)
  if (options.key == nil) == (options.keys == nil) then core.raise("spate.jwt: expected one of key and keys") end
  if options.key then
    local only = checked_key(options.key, options.alg, "spate.jwt: key")
    return function() return only end
  end
  if type(options.keys) ~= "table" then core.raise("spate.jwt: keys: expected a table of kid and key, got " .. type(options.keys)) end
  local keys = {}
  for kid, key in pairs(options.keys) do
    if type(kid) ~= "string" then core.raise("spate.jwt: keys: expected strings as kid, got " .. type(kid)) end
    keys[kid] = checked_key(key, options.alg, ("spate.jwt: keys[%q]"):format(kid))
  end
  return function(kid) return type(kid) == "string" and keys[kid] or nil end
end

local function one_of(value, what)
  if value == nil then return nil end
  local set = {}
  for _, text in ipairs(check.strings(type(value) == "string" and { value } or value, what)) do set[text] = true end
  return set
end

local function settings_of(options)
  check.options(options, "spate.jwt", OPTIONS)
  local leeway = options.leeway or 0
  if type(leeway) ~= "number" or not (leeway >= 0 and leeway <= 3600) then
    core.raise("spate.jwt: leeway: expected 0 to 3600 seconds, got " .. tostring(leeway))
  end
  if options.query ~= nil and not core.is_redacted(check.text(options.query, "spate.jwt: query")) then
    core.raise(("spate.jwt: query: the log would have the value of '%s'; add it to the setting log.redact"):format(options.query))
  end
  local realm = check.text(options.realm or "spate", "spate.jwt: realm")
  if realm:find('[%c"\\]') then core.raise("spate.jwt: realm must not contain quotes, '\\' or control characters") end
  return {
    find_key = key_finder(options), issuer = one_of(options.issuer, "spate.jwt: issuer"),
    audience = one_of(options.audience, "spate.jwt: audience"), leeway = leeway, realm = realm, query = options.query,
    cookie = options.cookie and check.text(options.cookie, "spate.jwt: cookie"), require_exp = options.require_exp ~= false,
  }
end

local function decoded(part)
  local text = core.base64url_decode(part)
  local value = text and json.decode(text)
  return type(value) == "table" and value or nil
end

-- What the token says, if it is signed by a key of ours.
local function claims_of(s, token)
  if #token > TOKEN_MAX then return nil end
  local head, payload = token:match("^([%w_-]+)%.([%w_-]+)%.[%w_-]+$")
  local header = head and decoded(head)
  if not header or header.crit ~= nil then return nil end -- extensions that must be understood: none is
  local known = s.find_key(header.kid)
  if not known or header.alg ~= known.alg or not core.jwt_verify(token, known.alg, known.key) then return nil end
  return decoded(payload)
end

-- Whether a value, or one in a list of them, is in the set.
local function any_in(set, value)
  if type(value) ~= "table" then return type(value) == "string" and set[value] or false end
  for _, one in ipairs(value) do
    if type(one) == "string" and set[one] then return true end
  end
  return false
end

-- The comparisons are such that whatever is no proper time is refused.
local function is_in_time(s, claims, now)
  local exp, nbf = claims.exp, claims.nbf
  if exp == nil and s.require_exp then return false end
  if exp ~= nil and not (math.type(exp) == "integer" and now < exp * 1.0 + s.leeway) then return false end
  return nbf == nil or math.type(nbf) == "integer" and nbf * 1.0 - s.leeway <= now
end

local function is_for_us(s, claims)
  if s.issuer and not (type(claims.iss) == "string" and s.issuer[claims.iss]) then return false end
  return not s.audience or any_in(s.audience, claims.aud)
end

-- The token, false where the field is malformed, nil where there is none.
local function token_of(s, req)
  local field = req.headers.authorization
  if field then return field:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)$") or false end
  return s.cookie and req.cookies[s.cookie] or s.query and req.query[s.query] or nil
end

local function refuse(s, has_token)
  local challenge = ('Bearer realm="%s"'):format(s.realm)
  if has_token then challenge = challenge .. ', error="invalid_token"' end
  return reply.error(401):header("WWW-Authenticate", challenge)
end

-- Middleware. Options: key and alg, or keys ({ kid = key }, a key being a text or { key =, alg = }), issuer, audience,
-- leeway (seconds), require_exp, realm; cookie and query: where else than in Authorization the token may be. What it
-- says is in req.ctx.claims; an event stream ends when the token does.
function jwt.jwt(options)
  local s = settings_of(options)
  return function(req, next)
    local token = token_of(s, req)
    local claims, now = token and claims_of(s, token), core.wall()
    if not claims or not is_in_time(s, claims, now) or not is_for_us(s, claims) then return refuse(s, token ~= nil) end
    if claims.exp then req:close_after(claims.exp * 1.0 + s.leeway - now) end
    req.ctx.claims = claims
    return next()
  end
end

core.public(jwt, "jwt")

return jwt
