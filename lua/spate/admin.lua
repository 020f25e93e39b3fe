-- SPDX-License-Identifier: MIT
-- spate.admin: what keeps a server alive at night asks for, as an application to mount.
local app = require "spate.app"
local check = require "spate.check"
local core = require "spate.core"
local guard = require "spate.panel.guard"
local reply = require "spate.reply"

local function not_allowed(authorize)
  return function(req, next)
    local allowed, why = authorize(req)
    if allowed then return next() end
    if getmetatable(why) == reply.Reply then return why end
    return reply.error(403, why)
  end
end

local OPTIONS = { "authorize", "hosts" }

-- The names by which it may be called; nil: any.
local function names_of(hosts)
  if hosts == nil then return {} end
  if hosts == "any" then return nil end
  if type(hosts) ~= "table" then core.raise('spate.admin: hosts: expected a list of names, or "any", got ' .. tostring(hosts)) end
  return check.strings(hosts, "spate.admin: hosts")
end

-- An application with the inspector's page, /metrics, /healthz, /readyz and /api/... `authorize(req)` says whether the
-- request is allowed; false and a reply, or a reason, else. `hosts`: the names by which it is called, beside localhost and addresses;
-- "any" where whoever is allowed has shown a secret.
return function(options)
  options = check.options(options == nil and {} or options, "spate.admin", OPTIONS)
  check.callable(options.authorize, "spate.admin: authorize")
  local names, admin = names_of(options.hosts), app.new()
  if names then admin:use(guard.mounted(names)) end
  admin:use(not_allowed(options.authorize))
  return require "spate.panel.routes" (admin)
end
