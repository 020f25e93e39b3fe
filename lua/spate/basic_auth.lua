-- SPDX-License-Identifier: MIT
-- User and password, as browsers ask for them (RFC 7617).
local check = require "spate.check"
local core = require "spate.core"
local reply = require "spate.reply"

local basic_auth = {}

-- nil where the field is no such thing.
local function credentials(field)
  local text = field and field:match("^[Bb][Aa][Ss][Ii][Cc] +(%S+)$")
  local plain = text and core.base64_decode(text, false, true)
  if not plain then return nil end
  return plain:match("^([^:]*):(.*)$")
end

local function check_users(users, what, expected)
  if type(users) ~= "table" then core.raise(("%s: expected a table of names and %s, got %s"):format(what, expected, type(users))) end
  for name, value in pairs(users) do
    if type(name) ~= "string" or name:find(":", 1, true) then core.raise(what .. ": expected names without ':' as keys") end
    if type(value) ~= "string" or value == "" then core.raise(("%s.%s: expected a %s"):format(what, name, expected:gsub("e?s$", ""))) end
  end
  return users
end

-- An unknown user costs the same comparison.
local function password_checker(users)
  check_users(users, "spate.basic_auth: users", "passwords")
  return function(user, password)
    local same = core.equal(users[user] or "", password)
    return users[user] ~= nil and same
  end
end

-- Browsers send the password with each request: what has been found right once is known again by its digest, for which
-- no other state and no other process has the key.
local function hash_checker(hashes)
  local key, known = core.random(32), {}
  for name, hash in pairs(check_users(hashes, "spate.basic_auth: hashes", "hashes")) do
    if not core.password_is_hash(hash) and not core.placeholders[hash] then
      core.raise(("spate.basic_auth: hashes.%s: expected a hash of the password, as `spate password` prints one"):format(name))
    end
  end
  return function(user, password)
    local digest = core.hmac("sha256", key, password)
    if known[user] and core.equal(known[user], digest) then return true end
    local ok, message, code = core.password_verify(password, hashes[user])
    if ok then known[user] = digest end
    return ok, message, code
  end
end

local function checker(options)
  local given = 0
  for _, name in ipairs { "users", "hashes", "check" } do given = given + (options[name] ~= nil and 1 or 0) end
  if given ~= 1 then core.raise("spate.basic_auth: expected one of users, hashes and check") end
  if options.users then return password_checker(options.users) end
  if options.hashes then return hash_checker(options.hashes) end
  return check.callable(options.check, "spate.basic_auth: check")
end

-- Middleware. Options: hashes ({ name = hash of the password }), users ({ name = "password" }) or check (fn(user,
-- password, req)), and realm. The user is in req.ctx.user.
function basic_auth.basic_auth(options)
  check.options(options, "spate.basic_auth", { "users", "hashes", "check", "realm" })
  local is_known = checker(options)
  local realm = check.text(options.realm or "spate", "spate.basic_auth: realm")
  if realm:find('[%c"\\]') then core.raise("spate.basic_auth: realm must not contain quotes, '\\' or control characters") end
  local challenge = ('Basic realm="%s", charset="UTF-8"'):format(realm)
  return function(req, next)
    local user, password = credentials(req.headers.authorization)
    local ok, _, code
    if user then ok, _, code = is_known(user, password, req) end
    if not ok and code == "busy" then return reply.error(503) end
    if not ok then return reply.error(401):header("WWW-Authenticate", challenge) end
    req.ctx.user = user
    return next()
  end
end

core.public(basic_auth, "basic_auth")

return basic_auth
