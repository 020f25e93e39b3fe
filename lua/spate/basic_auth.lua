-- SPDX-License-Identifier: MIT
-- User and password, as browsers ask for them (RFC 7617).
local check = require "spate.check"
local core = require "spate.core"
local reply = require "spate.reply"

local basic_auth = {}

-- nil where the field is no such thing.
local function credentials(field)
  local text = field and field:match("^[Bb][Aa][Ss][Ii][Cc] +(%S+)$")
  local plain = text and core.base64_decode(text)
  if not plain then return nil end
  return plain:match("^([^:]*):(.*)$")
end

-- An unknown user costs the same comparison.
local function checker(users, what)
  if type(users) ~= "table" then core.raise(("%s: expected a table of names and passwords, got %s"):format(what, type(users))) end
  for name, password in pairs(users) do
    if type(name) ~= "string" or name:find(":", 1, true) then core.raise(what .. ": expected names without ':' as keys") end
    if type(password) ~= "string" or password == "" then core.raise(("%s.%s: expected a password"):format(what, name)) end
  end
  return function(user, password)
    local same = core.equal(users[user] or "", password)
    return users[user] ~= nil and same
  end
end

-- Middleware. Options: users ({ name = "password" }) or check (fn(user, password, req)), and realm. The user is in
-- req.ctx.user.
function basic_auth.basic_auth(options)
  check.options(options, "spate.basic_auth", { "users", "check", "realm" })
  if (options.users == nil) == (options.check == nil) then core.raise("spate.basic_auth: expected one of users and check") end
  local is_known = options.check and check.callable(options.check, "spate.basic_auth: check")
    or checker(options.users, "spate.basic_auth: users")
  local realm = check.text(options.realm or "spate", "spate.basic_auth: realm")
  if realm:find('[%c"\\]') then core.raise("spate.basic_auth: realm must not contain quotes, '\\' or control characters") end
  local challenge = ('Basic realm="%s", charset="UTF-8"'):format(realm)
  return function(req, next)
    local user, password = credentials(req.headers.authorization)
    if not user or not is_known(user, password, req) then
      return reply.error(401):header("WWW-Authenticate", challenge)
    end
    req.ctx.user = user
    return next()
  end
end

core.public(basic_auth, "basic_auth")

return basic_auth
