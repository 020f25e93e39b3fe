-- SPDX-License-Identifier: MIT
-- require "spate.crypto": digests, random bytes, texts for bytes, and passwords.
local check = require "spate.check"
local core = require "spate.core"

local RANDOM_MAX = 1 << 20
local COST_MAX = 11 -- 3 seconds and 1 GB

local BASE64_OPTIONS, PASSWORD_OPTIONS = { "url", "pad" }, { "cost" }

local FORMS = {
  hex = core.hex, raw = function(bytes) return bytes end, base64 = function(bytes) return core.base64(bytes, false, true) end,
  base64url = function(bytes) return core.base64(bytes, true, false) end,
}

local crypto = { password = {} }

local function in_form(bytes, form, what)
  local fn = FORMS[form == nil and "hex" or form]
  if not fn then core.raise(('%s: expected "hex", "raw", "base64" or "base64url", got %s'):format(what, tostring(form))) end
  return fn(bytes)
end

-- The digest of a text by md5, sha1, sha256 ...: in hex, or in the form that is asked for.
function crypto.hash(name, text, form)
  local bytes = core.hash(check.text(name, "crypto.hash"), check.text(text, "crypto.hash"))
  return in_form(bytes, form, "crypto.hash")
end

-- The same with a key (RFC 2104).
function crypto.hmac(name, key, text, form)
  local what = "crypto.hmac"
  return in_form(core.hmac(check.text(name, what), check.text(key, what), check.text(text, what)), form, what)
end

-- So many bytes that nobody can guess.
function crypto.random(n)
  if math.type(n) ~= "integer" or n < 0 or n > RANDOM_MAX then
    core.raise(("crypto.random: expected a number of bytes up to %d, got %s"):format(RANDOM_MAX, check.shown(n)))
  end
  return core.random(n)
end

-- RFC 4648: { url = true } has '-' and '_', and no padding unless { pad = true }.
local function kind_of(options, what)
  if options == nil then return false, true end
  check.options(options, what, BASE64_OPTIONS)
  local url = options.url and true or false
  if options.pad == nil then return url, not url end
  return url, options.pad and true or false
end

function crypto.base64(bytes, options)
  return core.base64(check.text(bytes, "crypto.base64"), kind_of(options, "crypto.base64"))
end

-- The bytes; nil and a message for what crypto.base64 with these options would not have written.
function crypto.base64_decode(text, options)
  local bytes = core.base64_decode(check.text(text, "crypto.base64_decode"), kind_of(options, "crypto.base64_decode"))
  if not bytes then return nil, "no base64 of this kind" end
  return bytes
end

function crypto.hex(bytes) return core.hex(check.text(bytes, "crypto.hex")) end

-- The bytes, of digits in either case; nil and a message for what is no hex.
function crypto.hex_decode(text)
  local bytes = core.hex_decode(check.text(text, "crypto.hex_decode"))
  if not bytes then return nil, "no hex" end
  return bytes
end

-- Whether two strings are the same, in a time that tells nothing of where they differ.
function crypto.equal(a, b) return core.equal(check.text(a, "crypto.equal"), check.text(b, "crypto.equal")) end

-- A text to keep in place of the password; waits. nil, a message and "busy" where too many are hashed already, and
-- "refused" for what is too long. Each step of `cost`, 5 by itself, doubles what guessing takes, and what this takes.
function crypto.password.hash(password, options)
  local what, cost = "crypto.password.hash", nil
  check.text(password, what)
  if options ~= nil then cost = check.options(options, what, PASSWORD_OPTIONS).cost end
  if cost ~= nil and (math.type(cost) ~= "integer" or cost < 1 or cost > COST_MAX) then
    core.raise(("%s: cost: expected 1 to %d, got %s"):format(what, COST_MAX, check.shown(cost)))
  end
  return core.password_hash(password, cost)
end

-- Whether the hash is that of the password; waits. Without a hash, as where nobody has this name, false after the same
-- time. nil, a message and "busy", or "hash" for what password.hash does not make.
function crypto.password.verify(password, hash)
  check.text(password, "crypto.password.verify")
  if hash ~= nil then check.text(hash, "crypto.password.verify: hash") end
  return core.password_verify(password, hash)
end

core.public(crypto, "hash", "hmac", "random", "base64", "base64_decode", "hex", "hex_decode", "equal")
core.public(crypto.password, "hash", "verify")

return crypto
