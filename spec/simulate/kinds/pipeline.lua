-- SPDX-License-Identifier: MIT
-- A stream of numbers, with all that makes another of it, perhaps two of them merged.
local pipeline = require "spec.simulate.pipeline"
local says = require "spec.simulate.promises"

local EPS = 1e-6

local kind = { weight = 8 }

function kind.random(r)
  return { pipeline = pipeline.random(r), beside = r:chance(20) and pipeline.random(r) or nil, keep = r:chance(20) and { interval = r:pick { 0.7, 3 }, text = r:pick { "", "ping" } } or nil,
    is_bare = r:chance(10) or nil }
end

function kind.code(r)
  local stream = pipeline.code(r.pipeline, 't .. ":a:"')
  if r.beside then stream = ("sse.merge(%s, %s)"):format(stream, pipeline.code(r.beside, 't .. ":b:"')) end
  if r.keep then stream = ("sse.keep_alive():interval(%g):text(%q):stream(%s)"):format(r.keep.interval, r.keep.text, stream) end
  return ("return sse.reply(%s%s)"):format(stream, r.is_bare and not r.keep and ", { keep_alive = false }" or "")
end

function kind.on_head(model, request, now)
  local route, horizon = request.route, model.plan.horizon or 4000
  request.tags = {}
  route.cache = route.cache or {}
  for _, of in ipairs { { "a", route.pipeline }, { "b", route.beside } } do
    local tag, p = of[1], of[2]
    if p and not route.cache[tag] then
      local items, ends = pipeline.evaluate(p, horizon)
      route.cache[tag] = { items = items, ends = ends, is_timed = pipeline.is_timed(p) }
    end
    if p then request.tags[#request.tags + 1] = { tag = tag, next = 1, from = route.cache[tag], t0 = now } end
  end
end

function kind.on_event(model, request, event, now)
  local token, tag, text = (event.data or ""):match "^(%w+):(%w):(.*)$"
  model:expect(token == request.token, says.OWN_STREAM, "%s: has got %q", request, event.data)
  local at = request.tags[tag == "a" and 1 or 2]
  if request.is_loose and at.from.is_timed then return end -- what is left out depends on when it was read
  local i = at.next
  local item = at.from.items[i]
  model:expect(item and tostring(item.v) == text, says.VALUES, "%s: %q instead of %s:%s", request, event.data, tag, item and item.v)
  model:expect(math.abs(at.t0 + item.at - now) < EPS or model:excused(request, "late"), says.VALUES, "%s: %q comes %.6f s late", request, event.data, now - at.t0 - item.at)
  at.next = i + 1
end

function kind.check(model, request, now)
  local function is_excused() return model:excused(request, "late", "refused") or model:is_left(request) end
  local ends = 0
  for _, at in ipairs(request.tags) do
    local item = at.from.items[at.next]
    model:expect(not item or at.t0 + item.at > now - EPS or is_excused(), says.VALUES, "%s: %s:%s is overdue", request, at.tag, item and item.v)
    ends = math.max(ends, at.from.ends and at.t0 + at.from.ends or math.huge)
  end
  model:expect(now < ends + (request.route.lasts or 0) + EPS or is_excused(), says.VALUES, "%s: has not ended", request)
end

function kind.on_end(model, request, how, now)
  if how ~= "end" then return end
  for _, at in ipairs(request.tags) do
    local item = at.from.items[at.next]
    model:expect(not item or at.from.is_timed and model:excused(request, "late") or model:is_left(request), says.VALUES, "%s: ended before %s:%s", request, at.tag, item and item.v)
    model:expect(at.from.ends and now > at.t0 + at.from.ends - EPS or model:excused(request, "late") or model:is_left(request), says.VALUES, "%s: ended early", request)
  end
end

local SPAWNS = { debounce = true, batch = true, within = true, timeout = true }

-- What waits for a value and for a time reads in a task of its own.
function kind.spawns(route)
  for _, op in ipairs(route.pipeline) do
    if SPAWNS[op[1]] then return true end
  end
  return route.beside ~= nil
end

return kind
