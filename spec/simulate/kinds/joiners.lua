-- SPDX-License-Identifier: MIT
-- Several tasks that wait for the end of one.
local says = require "spec.simulate.promises"

local COUNT = 3
local EPS = 1e-6

local kind = { weight = 1, spawns = true, answer = "joiners", method = "POST", lines = {} }

function kind.random(r) return { delay = r:pick { 0, 0.7, 3 } } end

function kind.code(r)
  return ([[local task = sse.spawn(function() sse.sleep(%g) return 7 end)
  for i = 1, %d do
    sse.spawn(function()
      local value = task:join()
      log("met", t, i, tostring(value))
    end)
  end
  return "joiners " .. t]]):format(r.delay, COUNT)
end

function kind.lines.met(model, text)
  local token, i, value = text:match "^(%S+) (%d) (%S+)$"
  local request = model.tokens[token]
  request.met = request.met or {}
  model:expect((value == "7" or model:excused(request, "refused")) and not request.met[i], says.JOIN, "%s: joiner %s has %s", request, i, value)
  request.met[i], request.met_count = true, (request.met_count or 0) + 1
end

function kind.on_head(model, request, now)
  request.meets_at = now + request.route.delay
  model.joiners = model.joiners or {}
  table.insert(model.joiners, request)
end

function kind.at_rest(model, now)
  for i = #(model.joiners or {}), 1, -1 do
    local request = model.joiners[i]
    local is_over = request.meets_at <= now - EPS
    model:expect(not is_over or request.met_count == COUNT or model:excused(request, "refused", "replaced", "draining") or model:excused(request.head_at, "jumped"), says.JOIN,
      "%s: only %d of %d have met", request, request.met_count or 0, COUNT)
    if is_over or request.met_count == COUNT then table.remove(model.joiners, i) end
  end
end

return kind
