-- SPDX-License-Identifier: MIT
-- A function that sends events in each of the ways that there are.
local says = require "spec.simulate.promises"

local kind = { weight = 2 }

local SHAPES = { -- what is sent, where `k` is t and the number of it, and what comes
  { code = "send(k)", event = function(k) return { data = k } end },
  { code = "coroutine.yield(k)", event = function(k) return { data = k } end },
  { code = "send(42)", event = function() return { data = "42" } end },
  { code = 'send { event = "move", id = k, json = { x = k } }', event = function(k) return { event = "move", id = k, data = ('{"x":"%s"}'):format(k) } end },
  { code = 'send { data = k .. "\\nb", retry = 2.5 }', event = function(k) return { data = k .. "\nb", retry = "2500" } end },
  { code = 'send(sse.event("made"):id(k):json_data { 1 }:retry(1))', event = function(k) return { event = "made", id = k, data = "[1]", retry = "1000" } end },
  { code = 'send(sse.event():data(k):comment("of " .. k))', event = function(k) return { data = k } end, has_comment = true },
}

function kind.random(r)
  local list = {}
  for i = 1, r:int(1, 6) do list[i] = r:int(1, #SHAPES) end
  return { list = list, pause = r:pick { 0, 0.2, 1 } }
end

function kind.code(r)
  local parts = {}
  for i, n in ipairs(r.list) do parts[i] = ("k = t .. %q %s%s"):format(":" .. i, SHAPES[n].code, r.pause > 0 and (" sse.sleep(%g)"):format(r.pause) or "") end
  return ("return sse.reply(function(send)\n    local k\n    %s\n  end)"):format(table.concat(parts, "\n    "))
end

function kind.on_head(_, request) request.at, request.list = 1, request.route.list end

-- One that belongs to an event comes with it. True: it is none that keeps the stream open.
function kind.on_comment(model, request, text)
  if text == "" then return false end
  local n = request.list[request.at]
  model:expect(n and SHAPES[n].has_comment and text == ("of %s:%d"):format(request.token, request.at), says.EVENTS, "%s: comment %q", request, text)
  return true
end

function kind.on_event(model, request, event)
  local n = request.list[request.at]
  local wanted = n and SHAPES[n].event(("%s:%d"):format(request.token, request.at)) or {}
  for _, name in ipairs { "event", "id", "data", "retry" } do
    model:expect(event[name] == wanted[name], says.EVENTS, "%s: number %d: %s is %q, expected %q", request, request.at, name, tostring(event[name]), tostring(wanted[name]))
  end
  request.at = request.at + 1
end

function kind.check(model, request, now)
  local sent = request.route.pause > 0 and math.floor((now - request.head_at - 1e-6) / request.route.pause) + 1 or #request.list
  model:expect(request.at > math.min(sent, #request.list) or model:excused(request, "late", "refused") or model:is_left(request), says.EVENTS, "%s: number %d is overdue", request, request.at)
end

function kind.on_end(model, request, how)
  if how == "end" then model:expect(request.at > #request.list or model:is_left(request), says.VALUES, "%s: ended before number %d", request, request.at) end
end

return kind
