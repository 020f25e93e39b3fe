-- SPDX-License-Identifier: MIT
-- Texts that go through other hands and come back: signed with HMAC-SHA256.
local check = require "spate.check"
local core = require "spate.core"

local SECRET_MIN = 32

local sign = {}

-- Secrets as a list; the first signs, each verifies.
function sign.secrets(secret, what)
  local list = type(secret) == "string" and { secret } or secret
  if type(list) ~= "table" then
    core.raise(("%s: expected a string of %d bytes or more, or a list of them, got %s"):format(what, SECRET_MIN, type(secret)))
  end
  for _, one in ipairs(check.strings(list, what)) do
    if #one < SECRET_MIN and not core.placeholders[one] then core.raise(("%s: expected %d bytes or more, got %d"):format(what, SECRET_MIN, #one)) end
  end
  return list
end

-- The signature of parts for a purpose; each is led by its length, so that no two lists of parts are signed alike.
function sign.mac(secret, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    local part = select(i, ...)
    parts[i] = #part .. ":" .. part
  end
  return core.base64(core.hmac("sha256", secret, table.concat(parts)), true)
end

-- Whether it is the signature of these parts by one of the secrets.
function sign.is_mac(mac, secrets, ...)
  local found = false
  for _, secret in ipairs(secrets) do found = core.equal(mac, sign.mac(secret, ...)) or found end
  return found
end

-- The text with its signature behind it. `secret` may be a list, of which the first signs.
function sign.sign(value, secret)
  check.text(value, "spate.sign")
  return value .. "." .. sign.mac(sign.secrets(secret, "spate.sign: secret")[1], "spate.sign", value)
end

-- The text of what sign has made with this secret, or one in the list; else nil.
function sign.verify(signed, secret)
  local secrets = sign.secrets(secret, "spate.verify: secret")
  local value, mac = tostring(signed):match("^(.*)%.([%w_-]+)$")
  if value and sign.is_mac(mac, secrets, "spate.sign", value) then return value end
  return nil
end

-- Whether two strings are the same, in a time that tells nothing of where they differ.
function sign.equal(a, b)
  return core.equal(check.text(a, "spate.equal"), check.text(b, "spate.equal"))
end

core.public(sign, "sign", "verify", "equal")

return sign
