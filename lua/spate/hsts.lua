-- SPDX-License-Identifier: MIT
-- Has browsers use https for this host from now on (RFC 6797). Said over https only: by plain HTTP anybody could have.
local answer = require "spate.answer"
local check = require "spate.check"
local core = require "spate.core"

local OPTIONS = { "max_age", "include_subdomains", "preload" }
local YEAR = 365 * 24 * 3600

local hsts = {}

local function flag(options, name)
  local value = options[name]
  if value ~= nil and type(value) ~= "boolean" then
    core.raise(("spate.hsts: %s: expected true or false, got %s"):format(name, type(value)))
  end
  return value
end

-- Middleware. Options: max_age (seconds, a year), include_subdomains, preload.
function hsts.hsts(options)
  options = check.options(options or {}, "spate.hsts", OPTIONS)
  local value = { "max-age=" .. check.count(options.max_age or YEAR, "spate.hsts: max_age") }
  if flag(options, "include_subdomains") then value[#value + 1] = "includeSubDomains" end
  if flag(options, "preload") then value[#value + 1] = "preload" end
  local text = table.concat(value, "; ")
  return function(req, next)
    if req.scheme == "https" then
      answer.finish(req, function(_, r) r:header("Strict-Transport-Security", text) end)
    end
    return next()
  end
end

core.public(hsts, "hsts")

return hsts
