-- SPDX-License-Identifier: MIT
-- A POST that brings what others wait for, unless another has.
local promised = require "spec.simulate.kinds.promised"
local says = require "spec.simulate.promises"

local kind = { weight = 1, answer = "brought", publishes = true, makes_channels = true, method = "POST", with = { "promised" }, lines = {} }

function kind.random(r) return { key = r:int(1, 2) } end

function kind.code(r)
  return ([[local name = promise_of(%d)
  log("brought", name, t, tostring(spate.promise(name):fulfil(t)))
  return "brought " .. t]]):format(r.key)
end

function kind.lines.brought(model, text, now)
  local name, token, is_first = text:match "^(%S+) (%S+) (%S+)$"
  local p = promised.of(model, name)
  if is_first == "true" then
    model:expect(not p.value or promised.is_vague(model, model.tokens[token]), says.PROMISE_ONCE, "%s: %s is brought, and %s was", name, token, tostring(p.value))
    p.value, p.at = token, now
  elseif is_first == "false" then table.insert(model.promised.refused, { p = p, request = model.tokens[token] }) end
end

return kind
