-- SPDX-License-Identifier: MIT
-- Waits for a value that another request brings, to any worker. A name is of one stretch of time.
local says = require "spec.simulate.promises"

local EPS = 1e-6
local STRETCH = 10 -- seconds

local kind = { weight = 3, spawns = true, publishes = true, makes_channels = true, with = { "brings" }, lines = {} }

kind.prelude = ([[
local function promise_of(key) return ("k%%d.%%d"):format(key, math.floor(sse.now() / %d)) end
]]):format(STRETCH)

function kind.random(r)
  local seconds = r:pick { 0.4, 3, 7 }
  return { key = r:int(1, 2), seconds = seconds, wait = seconds }
end

function kind.code(r)
  return ([[local name = promise_of(%d)
  log("awaits", t, name)
  local value, why = spate.promise(name):await(%g)
  return ("promised %%s %%s"):format(tostring(value), tostring(why))]]):format(r.key, r.seconds)
end

function kind.of(model, name)
  model.promised = model.promised or { names = {}, waiting = {}, refused = {} }
  model.promised.names[name] = model.promised.names[name] or {}
  return model.promised.names[name]
end

function kind.lines.awaits(model, text, now)
  local token, name = text:match "^(%S+) (%S+)$"
  local request = model.tokens[token]
  request.promise, request.awaits_since = kind.of(model, name), now
  table.insert(model.promised.waiting, request)
end

function kind.is_vague(model, request) return model:excused(request, "refused", "store", "channel_bytes", "channels", "inbox", "subscriber") end

function kind.on_end(model, request, how, now)
  if how ~= "end" or not request.promise then return end
  local value, why = (request.content or ""):match "^promised (%S+) (%S+)$"
  local p = request.promise
  local function is_late() return model:excused(request, "late", "held") or model:excused(request.sent_at, "jumped") or kind.is_vague(model, request) end
  if value ~= "nil" and not p.value and kind.is_vague(model, request) then p.value, p.at = value, now end -- who brought it had no memory to say so
  if value ~= "nil" then
    return model:expect(value == p.value and (math.abs(now - math.max(p.at, request.awaits_since)) < EPS or is_late()), says.PROMISE, "%s: %q, and %s was brought", request, request.content, tostring(p.value))
  end
  local ends_at = request.awaits_since + request.route.seconds
  model:expect(why == "timeout" and math.abs(now - ends_at) < EPS or is_late(), says.PROMISE_TIMEOUT, "%s: %q, due at %.3f s", request, request.content, ends_at)
  model:expect(not p.at or p.at > ends_at - EPS or is_late(), says.PROMISE, "%s: nothing, and %s was brought at %.3f s", request, tostring(p.value), p.at or 0)
end

-- Who waits has what has been brought.
local function has_it(model, request)
  local client = request.client
  if request.ended or not model:listens(client) or not request.promise.at or not client.is_mux and client:current() ~= request then return true end
  return kind.is_vague(model, request) or model:excused(request, "half_closed", "late", "held") or model:excused(request.sent_at, "jumped")
end

function kind.at_rest(model)
  local state = model.promised
  if not state then return end
  for i = #state.refused, 1, -1 do
    model:expect(state.refused[i].p.value or kind.is_vague(model, state.refused[i].request), says.PROMISE_ONCE, "nothing was brought, and it is too late for another value")
    state.refused[i] = nil
  end
  for i = #state.waiting, 1, -1 do
    local request = state.waiting[i]
    model:expect(has_it(model, request), says.PROMISE, "%s: waits still for %s", request, tostring(request.promise.value))
    if request.ended or request.client.is_over then table.remove(state.waiting, i) end
  end
end

return kind
