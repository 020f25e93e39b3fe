-- SPDX-License-Identifier: MIT
-- A table per visitor that the visitor keeps: a cookie of base64url(JSON) "." expiry "." signature. The server keeps
-- nothing. Whoever has the cookie can read it, and nobody can change it.
local answer = require "spate.answer"
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local sign = require "spate.sign"

local OPTIONS = { "secret", "cookie", "max_age", "same_site", "secure", "http_only", "path", "domain" }
local COOKIE_MAX = 4096 -- bytes of name and value together that browsers keep
local TOO_LARGE = "req.session: %d bytes of JSON do not fit into a cookie of %d bytes"
local PURPOSE = "spate.session"

local session = {}

-- The JSON that the cookie carries, or nil for whatever is not ours.
local function open(s, value)
  if not value or #value > COOKIE_MAX then return nil end
  local payload, expires, mac = value:match("^([%w_-]+)%.(%d+)%.([%w_-]+)$")
  if not payload or not sign.is_mac(mac, s.secrets, PURPOSE, s.cookie, payload, expires) then return nil end
  local at = math.tointeger(tonumber(expires))
  if not at or core.wall() >= at then return nil end
  return core.base64_decode(payload, true)
end

local function seal(s, text)
  if #text > COOKIE_MAX then error(TOO_LARGE:format(#text, COOKIE_MAX), 0) end
  local payload, expires = core.base64(text, true), tostring(math.floor(core.wall()) + s.max_age)
  local value = ("%s.%s.%s"):format(payload, expires, sign.mac(s.secrets[1], PURPOSE, s.cookie, payload, expires))
  if #s.cookie + 1 + #value > COOKIE_MAX then
    error(TOO_LARGE:format(#text, COOKIE_MAX), 0)
  end
  return value
end

local function attributes(s, req, max_age)
  local secure = s.secure
  if secure == "auto" then secure = req.scheme == "https" end
  return { max_age = max_age, secure = secure, http_only = s.http_only, same_site = s.same_site, path = s.path, domain = s.domain }
end

-- `before`: the JSON that came.
local function save(s, req, r, before)
  local now = req.session
  if now ~= nil and type(now) ~= "table" then error("req.session: expected a table or nil, got " .. type(now), 0) end
  if now == nil or next(now) == nil then
    if req.cookies[s.cookie] then r:cookie(s.cookie, "", attributes(s, req, 0)) end
    return
  end
  local text = json.encode(now)
  if text ~= before then r:cookie(s.cookie, seal(s, text), attributes(s, req, s.max_age)) end
end

local function check_name(name)
  if check.text(name, "spate.session: cookie") == "" or name:find("[^%w!#$%%&'*+%-.^_`|~]") then
    core.raise("spate.session: cookie: expected letters, digits, '-' and '_', got " .. name)
  end
  return name
end

-- RFC 6265 4.1.1, without blanks and commas, at which some readers end a value.
local function check_path(path)
  if path == nil then return nil end
  if not check.text(path, "spate.session: path"):find("^/[!-+%-./0-9:<-~]*$") then
    core.raise(("spate.session: path: expected a path that begins with '/', without ';', ',' and blanks, got %q"):format(path))
  end
  return path
end

local function check_domain(domain)
  if domain == nil then return nil end
  local rest = check.text(domain, "spate.session: domain"):gsub("^%.", "") .. "."
  if rest == "." or rest:gsub("%w[%w-]*%.", "") ~= "" then
    core.raise(("spate.session: domain: expected a domain such as example.com, got %q"):format(domain))
  end
  return domain
end

local function check_flag(value, name, or_auto)
  if value == nil or type(value) == "boolean" or or_auto and value == "auto" then return value end
  core.raise(("spate.session: %s: expected %s, got %s"):format(name, or_auto and 'true, false or "auto"' or "true or false", tostring(value)))
end

local function settings_of(options)
  check.options(options, "spate.session", OPTIONS)
  local s = {
    secrets = sign.secrets(options.secret, "spate.session: secret"), cookie = check_name(options.cookie or "session"),
    max_age = check.count(options.max_age or 7 * 86400, "spate.session: max_age"), same_site = options.same_site or "Lax",
    secure = "auto", http_only = check_flag(options.http_only, "http_only") ~= false, path = check_path(options.path),
    domain = check_domain(options.domain),
  }
  if check_flag(options.secure, "secure", true) ~= nil then s.secure = options.secure end
  local site = tostring(s.same_site):lower()
  if site ~= "lax" and site ~= "strict" and site ~= "none" then core.raise("spate.session: same_site is Strict, Lax or None") end
  if site == "none" and s.secure ~= true then core.raise("spate.session: same_site None goes with secure = true only") end
  return s
end

-- Middleware that gives req.session, a table to read and write; what a handler has changed in it goes out with the
-- answer, whatever that is. Options: secret (32 bytes or more, or a list: the first signs), cookie, max_age, same_site,
-- secure ("auto": where the request came by https), http_only, path, domain.
function session.session(options)
  local s = settings_of(options)
  return function(req, next)
    local before = open(s, req.cookies[s.cookie])
    local value = before and json.decode(before)
    req.session = type(value) == "table" and value or {}
    answer.finish(req, function(_, r) save(s, req, r, before) end)
    return next()
  end
end

core.public(session, "session")

return session
