-- SPDX-License-Identifier: MIT
-- A stream with names by which others may end it.
local says = require "spec.simulate.promises"

local kind = { weight = 2, with = { "kick" }, lines = {} }

function kind.random(r) return { tag = r:int(1, 2) } end

function kind.code(r)
  return ([[req:tag("g%d", "all")
  return sse.reply(sse.interval(0.5):map(function(n) return t .. ":" .. n end))]]):format(r.tag)
end

function kind.of(model)
  model.kicks = model.kicks or { asked = {}, reasons = {}, news = {} }
  return model.kicks
end

function kind.on_request(model, request) table.insert(kind.of(model).asked, request) end

local function is_named(request, tag) return tag == "all" or request.route and tag == "g" .. request.route.tag end

-- Whoever is there, or comes in this moment, may be ended.
function kind.lines.kicks(model, text, now)
  local token, tag = text:match "^(%S+) (%S+)$"
  local state = kind.of(model)
  state.reasons["r" .. token] = tag
  table.insert(state.news, tag)
  for _, request in ipairs(state.asked) do
    if is_named(request, tag) or not request.route then
      request.may_be_kicked = true
      request.has_to_go = request.status == 200 and request.head_at < now or nil
    end
  end
end

function kind.may_be_cut(request) return request.may_be_kicked end

function kind.on_event(model, request, event)
  if event.event == "kick" then
    local tag, retry = kind.of(model).reasons[event.data], tonumber(event.retry)
    model:expect(tag and is_named(request, tag), says.KICK, "%s: %s", request, tostring(event.data))
    model:expect(retry and retry >= 6999 and retry <= 14001, says.KICK, "%s: retry %s", request, tostring(event.retry))
    request.was_kicked = true
    return
  end
  local token, n = (event.data or ""):match "^(%w+):(%d+)$"
  model:expect(token == request.token, says.OWN_STREAM, "%s: has got %q", request, event.data)
  model:expect(not request.was_kicked and tonumber(n) > (request.number or 0), says.VALUES, "%s: %s behind %d", request, n, request.number or 0)
  request.number = tonumber(n)
end

function kind.on_end(model, request, how)
  model.remove(kind.of(model).asked, request)
  if how == "end" then model:expect(request.was_kicked or model:is_left(request), says.KICK, "%s: ended", request) end
end

local function stays(model, request)
  local client = request.client
  return request.has_to_go and not request.ended and model:listens(client) and (client.is_mux or client:current() == request)
end

function kind.at_rest(model)
  local state = model.kicks
  if not state or not state.news[1] then return end
  state.news = {}
  for i = #state.asked, 1, -1 do
    local request = state.asked[i]
    model:expect(not stays(model, request) or model:excused(request, "late", "held", "refused") or model:is_left(request), says.KICK, "%s: goes on", request)
    if request.ended or request.client.is_over then table.remove(state.asked, i) end
  end
end

return kind
