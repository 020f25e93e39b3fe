-- SPDX-License-Identifier: MIT
-- Who may ask what looks after the server. A page of any site can send requests to this machine, and can let its own name
-- point here, so a listener that asks for no token is called by names that nobody else can have, and what changes something
-- comes from a page of its own, or from a program.
local core = require "spate.core"
local origin = require "spate.origin"
local origins = require "spate.origins"
local reply = require "spate.reply"

local guard = {}

local SAFE = { GET = true, HEAD = true, OPTIONS = true }

-- What no other site's name server can give out: localhost, what is below it, and addresses.
local function is_own(host)
  if host == "localhost" or host:find "%.localhost$" then return true end
  return host:find "^%[[%x:.]+%]$" ~= nil or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end

-- What calls the server so: true for these names, the machine's own, addresses, and where there is none, as of no browser.
local function caller(list)
  local set = {}
  for _, name in ipairs(list) do set[(origin.split_host(name))] = true end
  return function(host) return is_own(host) or set[host] or host == "" end
end

-- Middleware of the listener: 421 for other names. Its UNIX socket is no browser's.
function guard.hosts(list)
  local is_called = caller(list)
  return function(req, next)
    local host = origin.split_host(req.host or "")
    if is_called(host) or req.remote_addr == "unix" then return next() end
    return reply.error(421, ("the admin listener is not called %q; admin = { ADDRESS, hosts = { %q } } in the settings lets it be"):format(host, host))
  end
end

-- The same of what is mounted, where a proxy may hand on through a UNIX socket what a browser says.
function guard.mounted(list)
  local is_called = caller(list)
  return function(req, next)
    local host = origin.split_host(req.host or "")
    if is_called(host) then return next() end
    return reply.error(421, ("spate.admin is not called %q; spate.admin { hosts = { %q } } lets it be"):format(host, host))
  end
end

-- The token that the request has: as Bearer, or as the password of Basic, which browsers ask for.
local function token_of(req)
  local scheme, rest = (req.headers.authorization or ""):match "^(%a+) +(%S+)$"
  if not scheme then return nil end
  if scheme:lower() == "bearer" then return rest end
  local text = scheme:lower() == "basic" and core.base64_decode(rest, false, true)
  return text and text:match "^[^:]*:(.*)$" or nil
end

-- What probes ask, which have no token, and are told nothing that needs one.
local PROBES = { ["/healthz"] = true, ["/readyz"] = true }

-- Middleware: 401 for those without the token, but for probes.
function guard.token(token)
  return function(req, next)
    if PROBES[req.path] then return next() end
    local given = token_of(req)
    if given and core.equal(given, token) then return next() end
    return reply.error(401, "a token is needed: Authorization: Bearer TOKEN, or TOKEN as the password of any name")
      :header("WWW-Authenticate", 'Basic realm="spate", charset="UTF-8"')
  end
end

local same_origin = origins.allow_origins {}

-- Middleware: what changes something comes as JSON, which a page of another origin cannot send unasked, and not from such a
-- page.
function guard.changes(req, next)
  if SAFE[req.method] then return next() end
  local media = (req.headers["content-type"] or ""):match "^%s*([^;%s]*)"
  if media:lower() ~= "application/json" then return reply.error(415, "expected Content-Type: application/json") end
  return same_origin(req, next)
end

return guard
