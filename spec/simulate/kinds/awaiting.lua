-- SPDX-License-Identifier: MIT
-- A promise among tasks: one brings a value, or comes too late.
local says = require "spec.simulate.promises"

local kind = { weight = 2, spawns = true, lines = {} }

function kind.random(r)
  local after, seconds = r:pick { 0.1, 0.5, 2 }, r:pick { 0.3, 1, 5 }
  return { after = after, seconds = seconds, wait = seconds } -- a reload may end the task that brings it
end

function kind.code(r)
  return ([[local p = sse.promise()
  log("hopes", t)
  sse.spawn(function()
    sse.sleep(%g)
    log("fulfils", t, tostring(p:fulfil(t)), tostring(p:fulfil "second"))
  end)
  local value, why = p:await(%g)
  return ("awaited %%s %%s"):format(tostring(value), tostring(why))]]):format(r.after, r.seconds)
end

function kind.lines.fulfils(model, text)
  model:expect(text:match "^%S+ true false$", says.PROMISE_ONCE, "fulfilled: %s", text)
end

function kind.lines.hopes(model, token, now) model.tokens[token].hopes_since = now end

function kind.on_end(model, request, how, now)
  if how ~= "end" then return end
  local r = request.route
  local function is_open() return model:excused(request, "held", "refused", "replaced", "draining") or model:excused(request.sent_at, "jumped") end
  local brought, over = ("awaited %s nil"):format(request.token), "awaited nil timeout"
  model:expect(request.content == (r.after < r.seconds and brought or over) or (request.content == brought or request.content == over) and is_open(), says.PROMISE_TIMEOUT, "%s: %q", request, request.content)
  local due = (request.hopes_since or 0) + math.min(r.after, r.seconds)
  model:expect(math.abs(now - due) < 1e-6 or is_open() or model:excused(request, "late"), says.PROMISE_TIMEOUT, "%s: at %.3f s, due at %.3f", request, now, due)
end

return kind
