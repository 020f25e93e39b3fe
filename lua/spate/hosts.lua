-- SPDX-License-Identifier: MIT
-- The names under which an application is served. Any site can let its own name point to 127.0.0.1, and its pages
-- are then of the same origin as the server there, but for the name.
local check = require "spate.check"
local core = require "spate.core"
local origin = require "spate.origin"
local reply = require "spate.reply"

local hosts = {}

local function rule_of(text, what)
  local is_below = text:sub(1, 1) == "."
  local name, port = origin.split_host(is_below and text:sub(2) or text)
  if name == "" or name:find("[%s/*@]") then
    core.raise(("%s: expected a host, such as \"a.example\", \".a.example\" or \"localhost:8080\", got '%s'"):format(what, text))
  end
  return { name = is_below and "." .. name or name, is_below = is_below, port = port }
end

local function matches(rule, name, port)
  if rule.port and rule.port ~= port then return false end
  if rule.is_below then return #name > #rule.name and name:sub(-#rule.name) == rule.name end
  return name == rule.name
end

-- Middleware: 421 for other hosts than these; ".a.example" is what is below that name.
function hosts.allow_hosts(list)
  local rules = {}
  for i, text in ipairs(check.strings(list, "spate.allow_hosts")) do
    rules[i] = rule_of(text, ("spate.allow_hosts[%d]"):format(i))
  end
  return function(req, next)
    local name, port = origin.split_host(req.host or "")
    port = port or origin.PORTS[req.scheme]
    for _, rule in ipairs(rules) do
      if matches(rule, name, port) then return next() end
    end
    return reply.error(421)
  end
end

core.public(hosts, "allow_hosts")

return hosts
