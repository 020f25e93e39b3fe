-- SPDX-License-Identifier: MIT
-- spate.admin: what keeps a server alive at night asks for, as an application to mount.
local app = require "spate.app"
local check = require "spate.check"
local reply = require "spate.reply"

local function not_allowed(authorize)
  return function(req, next)
    local allowed, why = authorize(req)
    if allowed then return next() end
    if getmetatable(why) == reply.Reply then return why end
    return reply.error(403, why)
  end
end

local OPTIONS = { "authorize" }

-- An application with the inspector's page, /metrics, /healthz, /readyz and /api/... `authorize(req)` says whether the
-- request is allowed; false and a reply, or a reason, else.
return function(options)
  options = check.options(options == nil and {} or options, "spate.admin", OPTIONS)
  check.callable(options.authorize, "spate.admin: authorize")
  local admin = app.new()
  admin:use(not_allowed(options.authorize))
  return require "spate.panel.routes" (admin)
end
