-- SPDX-License-Identifier: MIT
-- Bearer tokens (RFC 6750) that are JSON Web Tokens (RFC 7519). The algorithm belongs to the key and is never the
-- token's choice; what a header says of where keys are (jku, x5u, jwk) is not read.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local reply = require "spate.reply"

local OPTIONS = { "key", "keys", "alg", "issuer", "audience", "leeway", "cookie", "query", "require_exp", "realm", "typ" }
local TOKEN_MAX, SECRET_MIN = 8192, 32
local TYPES = { "JWT" } -- that a token may say it is, where it says anything

local jwt = {}

local function checked_key(key, alg, what)
  if type(key) == "table" then key, alg = key.key, key.alg or alg end
  check.text(key, what)
  if core.placeholders[key] then key = key:rep(SECRET_MIN) end
  local made, fault = core.jwt_key(check.text(alg, what .. ": alg"), key)
  if not made then core.raise(("%s: %s"):format(what, fault)) end
  return { key = made, alg = alg }
end

-- fn(kid) -> key: of a fixed table, or the only one.
local function key_finder(options, what)
  if (options.key == nil) == (options.keys == nil) then core.raise(what .. ": expected one of key and keys") end
  if options.key then
    local only = checked_key(options.key, options.alg, what .. ": key")
    return function() return only end
  end
  if type(options.keys) ~= "table" then core.raise(("%s: keys: expected a table of kid and key, got %s"):format(what, type(options.keys))) end
  local keys = {}
  for kid, key in pairs(options.keys) do
    if type(kid) ~= "string" then core.raise(("%s: keys: expected strings as kid, got %s"):format(what, type(kid))) end
    keys[kid] = checked_key(key, options.alg, ("%s: keys[%q]"):format(what, kid))
  end
  return function(kid) return type(kid) == "string" and keys[kid] or nil end
end

local function one_of(value, what)
  if value == nil then return nil end
  local set = {}
  for _, text in ipairs(check.strings(type(value) == "string" and { value } or value, what)) do set[text] = true end
  return set
end

local function short_type(name) return (name:lower():gsub("^application/([^/]+)$", "%1")) end

-- What `typ` a token may have, and whether it must have one. RFC 7515 4.1.9: in any case, without "application/".
local function types_of(typ)
  local set = {}
  for name in pairs(one_of(typ == nil and TYPES or typ, "spate.jwt: typ")) do set[short_type(name)] = true end
  return { set = set, is_needed = typ ~= nil }
end

local function settings_of(options, what)
  check.options(options, "spate.jwt", OPTIONS)
  local leeway = options.leeway or 0
  if type(leeway) ~= "number" or not (leeway >= 0 and leeway <= 3600) then
    core.raise("spate.jwt: leeway: expected 0 to 3600 seconds, got " .. check.shown(leeway))
  end
  if options.query ~= nil and not core.is_redacted(check.text(options.query, "spate.jwt: query")) then
    core.raise(("spate.jwt: query: the log would have the value of '%s'; add it to the setting log.redact"):format(options.query))
  end
  local realm = check.text(options.realm or "spate", "spate.jwt: realm")
  if realm:find('[%c"\\]') then core.raise("spate.jwt: realm must not contain quotes, '\\' or control characters") end
  return {
    find_key = key_finder(options, what), issuer = one_of(options.issuer, "spate.jwt: issuer"),
    audience = one_of(options.audience, "spate.jwt: audience"), leeway = leeway, realm = realm, types = types_of(options.typ), query = options.query,
    cookie = options.cookie and check.text(options.cookie, "spate.jwt: cookie"), require_exp = options.require_exp ~= false,
  }
end

local function decoded(part)
  local text = core.base64_decode(part, true)
  local value = text and json.decode(text)
  return type(value) == "table" and value or nil
end

local function is_of_type(types, typ)
  if typ == nil then return not types.is_needed end
  return type(typ) == "string" and types.set[short_type(typ)] ~= nil
end

-- The key that a token's header asks for; nil and why it is none of ours.
local function key_for(s, header)
  if header.crit ~= nil then return nil, "it has extensions that must be understood (crit)" end
  if not is_of_type(s.types, header.typ) then return nil, "it is of another typ" end
  local known = s.find_key(header.kid)
  if not known then return nil, "no key has its kid" end
  if header.alg ~= known.alg then return nil, "its alg is not the key's" end
  return known.key
end

-- What the token says, if it is signed by a key of ours; nil and why it is not believed.
local function claims_of(s, token)
  if #token > TOKEN_MAX then return nil, "it is longer than 8 KiB" end
  local head, payload = token:match("^([%w_-]+)%.([%w_-]+)%.[%w_-]+$")
  local header = head and decoded(head)
  if not header then return nil, "it is malformed" end
  local key, why = key_for(s, header)
  if not key then return nil, why end
  if not core.jwt_verify(key, token) then return nil, "its signature is wrong" end
  local claims = decoded(payload)
  return claims, not claims and "it is malformed" or nil
end

-- Whether a value, or one in a list of them, is in the set.
local function any_in(set, value)
  if type(value) ~= "table" then return type(value) == "string" and set[value] or false end
  for _, one in ipairs(value) do
    if type(one) == "string" and set[one] then return true end
  end
  return false
end

-- Why a token is of no use now, or nil. Only whole numbers are times, so that NaN is none.
local function time_fault(s, claims, now)
  local exp, nbf = claims.exp, claims.nbf
  if exp == nil and s.require_exp then return "it has no exp" end
  if exp ~= nil and math.type(exp) ~= "integer" then return "its exp is no whole number" end
  if exp and now >= exp * 1.0 + s.leeway then return "it has expired" end
  if nbf ~= nil and math.type(nbf) ~= "integer" then return "its nbf is no whole number" end
  if nbf and nbf * 1.0 - s.leeway > now then return "it is not valid yet (nbf)" end
end

local function audience_fault(s, claims)
  if s.issuer and not (type(claims.iss) == "string" and s.issuer[claims.iss]) then return "it is of another issuer" end
  if s.audience and not any_in(s.audience, claims.aud) then return "it is for another audience" end
end

-- The claims of a token that is to be believed now; nil and why not.
local function believed(s, token, now)
  if not token then return nil, "the Authorization field is malformed" end
  local claims, why = claims_of(s, token)
  why = why or time_fault(s, claims, now) or audience_fault(s, claims)
  return not why and claims or nil, why
end

-- The token, false where the field is malformed, nil where there is none.
local function token_of(s, req)
  local field = req.headers.authorization
  if field then return field:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)$") or false end
  return s.cookie and req.cookies[s.cookie] or s.query and req.query[s.query] or nil
end

-- The client is told that its token is no good, and the log why: to the client that would be advice.
local function refuse(s, req, why)
  local challenge = ('Bearer realm="%s"'):format(s.realm)
  if why then
    core.log.info("spate.jwt: token refused: " .. why, { id = req.id, path = req.path })
    challenge = challenge .. ', error="invalid_token"'
  end
  return reply.error(401):header("WWW-Authenticate", challenge)
end

-- Middleware. Options: key and alg, or keys ({ kid = key }, a key being a text or { key =, alg = }), issuer, audience,
-- leeway (seconds), require_exp, realm, typ; cookie and query: where else than in Authorization the token may be. What it
-- says is in req.ctx.claims; an event stream ends when the token does.
function jwt.jwt(options, what)
  local s = settings_of(options, what or "spate.jwt")
  return function(req, next)
    local token, now = token_of(s, req), core.wall()
    if token == nil then return refuse(s, req) end
    local claims, why = believed(s, token, now)
    if not claims then return refuse(s, req, why) end
    if claims.exp then req:close_after(claims.exp * 1.0 + s.leeway - now) end
    req.ctx.claims = claims
    return next()
  end
end

core.public(jwt, "jwt")

return jwt
