-- SPDX-License-Identifier: MIT
-- Requests that change something, from pages of other origins. A browser sends a form across origins without asking
-- first, cookies included, so whoever reads cookies has to look at where a request comes from.
local check = require "spate.check"
local core = require "spate.core"
local origin = require "spate.origin"
local reply = require "spate.reply"

local SAFE = { GET = true, HEAD = true, OPTIONS = true }

local origins = {}

-- Scripts of a page cannot forge Sec-Fetch-Site; programs that are no browsers send neither it nor Origin.
local function is_allowed(set, req)
  local from, site = req.headers.origin, req.headers["sec-fetch-site"]
  if from == "null" then return set.null end
  if from and (set[from] or from:lower() == origin.of_request(req)) then return true end
  if site then return site == "same-origin" or site == "none" end
  if from then return false end
  local authorization = req.headers.authorization or ""
  return not req.headers.cookie or authorization:lower():find("^bearer +%S") ~= nil
end

-- Middleware: 403 for those, unless they come from one of these origins.
function origins.allow_origins(list)
  if type(list) ~= "table" then core.raise("spate.allow_origins: expected a list of origins, got " .. type(list)) end
  if #list > 0 then check.strings(list, "spate.allow_origins") end
  for i, text in ipairs(list) do origin.check(text, ("spate.allow_origins[%d]"):format(i)) end
  local set = origin.set(list)
  return function(req, next)
    if SAFE[req.method] or is_allowed(set, req) then return next() end
    return reply.error(403, "requests of this origin are not allowed")
  end
end

core.public(origins, "allow_origins")

return origins
