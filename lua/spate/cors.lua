-- SPDX-License-Identifier: MIT
-- Pages of which other origins may read the answers (the CORS protocol of the Fetch standard).
local answer = require "spate.answer"
local check = require "spate.check"
local core = require "spate.core"
local fields = require "spate.fields"
local origin = require "spate.origin"
local reply = require "spate.reply"

local OPTIONS = { "origins", "methods", "headers", "expose", "credentials", "max_age", "private_network" }
local HEADERS = { "Authorization", "Content-Type", "Last-Event-ID" }

local cors = {}

-- fn(origin, req) that tells whether it is allowed.
local function matcher(origins, what)
  if origins == "*" then return function() return true end end
  if type(origins) == "function" then return origins end
  for i, text in ipairs(check.strings(origins, what)) do origin.check(text, ("%s[%d]"):format(what, i)) end
  local set = origin.set(origins)
  return function(text) return set[text] end
end

local function list_of(names, what)
  for i, name in ipairs(check.strings(names, what)) do
    if name:find("[^%w!#$%%&'*+%-.^_`|~]") or name == "*" then
      core.raise(("%s[%d]: expected a name, got '%s'"):format(what, i, name))
    end
  end
  return table.concat(names, ", ")
end

local function settings_of(options)
  check.options(options, "spate.cors", OPTIONS)
  if options.origins == "*" and options.credentials then
    core.raise('spate.cors: credentials go to named origins only, not to "*"')
  end
  if options.max_age ~= nil then check.count(options.max_age, "spate.cors: max_age") end
  return {
    allows = matcher(options.origins, "spate.cors: origins"), is_any = options.origins == "*",
    methods = options.methods and list_of(options.methods, "spate.cors: methods"),
    headers = list_of(options.headers or HEADERS, "spate.cors: headers"),
    expose = options.expose and list_of(options.expose, "spate.cors: expose"),
    credentials = options.credentials, max_age = options.max_age, private_network = options.private_network,
  }
end

-- Caches keep an answer for the origin that it is for.
local function vary(r)
  for value in fields.each(r._fields, "vary") do
    if (" " .. value:lower() .. " "):find "[ ,]origin[ ,]" then return end
  end
  r:header("Vary", "Origin")
end

local function add_fields(s, from, r)
  if not s.is_any then vary(r) end
  if not from then return end
  r:header("Access-Control-Allow-Origin", s.is_any and "*" or from)
  if s.credentials then r:header("Access-Control-Allow-Credentials", "true") end
  if s.expose then r:header("Access-Control-Expose-Headers", s.expose) end
end

-- All that the application has routes for, which are known once it answers. OPTIONS is what is being asked with.
local function own_methods()
  local names = {}
  for _, name in ipairs(answer.methods) do
    if name ~= "OPTIONS" then names[#names + 1] = name end
  end
  return table.concat(names, ", ")
end

local function preflight(s, from, req)
  local r = reply.status(204)
  if not from then return r end
  s.methods = s.methods or own_methods()
  r:header("Access-Control-Allow-Methods", s.methods):header("Access-Control-Allow-Headers", s.headers)
  if s.max_age then r:header("Access-Control-Max-Age", s.max_age) end
  if s.private_network and req.headers["access-control-request-private-network"] == "true" then
    r:header("Access-Control-Allow-Private-Network", "true")
  end
  return r
end

-- Middleware. Options: origins (a list, "*", or fn(origin, req)), methods, headers, expose, credentials, max_age,
-- private_network.
function cors.cors(options)
  local s = settings_of(options)
  return function(req, next)
    local text = req.headers.origin
    local from = text and s.allows(text, req) and text or nil
    answer.finish(req, function(_, r) add_fields(s, from, r) end)
    if req.method == "OPTIONS" and text and req.headers["access-control-request-method"] then
      return preflight(s, from, req)
    end
    return next()
  end
end

core.public(cors, "cors")

return cors
