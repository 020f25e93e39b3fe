-- SPDX-License-Identifier: MIT
-- A body that is written piece by piece: to its end, with or without a length, or to an error.
local says = require "spec.simulate.promises"

local QUEUE_HIGH, QUEUE_EVENTS = 256 * 1024, 1000

local kind = { weight = 2, lines = {} }

function kind.random(r)
  return { count = r:int(0, 6), bytes = r:pick { 1, 10, 3000, 20000 }, pause = r:pick { 0, 0, 0.5 }, how = r:pick { "open", "open", "length", "error", "short" } }
end

local function piece(route, i) return (string.char(96 + i)):rep(route.bytes) end

function kind.code(r)
  local length = r.how == "length" and r.count * r.bytes or r.how == "short" and r.count * r.bytes + 1
  return ([[return reply.stream(function(write)
    for i = 1, %d do
      if write((string.char(96 + i)):rep(%d)) then log("wrote", t, i) end
      %s
    end
    %s
  end, { type = "text/plain"%s })]]):format(r.count, r.bytes, r.pause > 0 and ("sse.sleep(%g)"):format(r.pause) or "", r.how == "error" and 'error "on purpose"' or "",
    length and (", length = %d"):format(length) or "")
end

function kind.lines.wrote(model, text)
  local token, i = text:match "^(%S+) (%d+)$"
  model.written = model.written or {}
  model.written[model.tokens[token]] = math.tointeger(tonumber(i))
end

-- What is written and not taken is bounded, but for the piece that goes beyond and, of what this client has in part, one more.
local function check_waiting(model, request, count)
  if request.kind ~= kind then return end -- its head has not come
  local limits, bytes = model.plan.settings.limits, request.route.bytes
  local taken = #(request.content or "")
  model:expect(count * bytes - taken <= (limits.queue_high or QUEUE_HIGH) + 2 * bytes, says.QUEUE_HIGH, "%s: %d bytes wait", request, count * bytes - taken)
  model:expect(count - taken // bytes <= (limits.queue_events or QUEUE_EVENTS) + 2, says.QUEUE_EVENTS, "%s: %d pieces wait", request, count - taken // bytes)
end

function kind.at_rest(model)
  for request, count in pairs(model.written or {}) do
    if not request.ended and not request.client.is_over then check_waiting(model, request, count) end
  end
  model.written = nil
end

function kind.may_be_cut(request) return request.route.how == "error" or request.route.how == "short" end

function kind.on_end(model, request, how)
  local route, parts = request.route, {}
  for i = 1, route.count do parts[i] = piece(route, i) end
  local all, got = table.concat(parts), request.content or ""
  model:expect(all:sub(1, #got) == got, says.PIECES, "%s: %d bytes are others", request, #got)
  if how ~= "end" then return end
  model:expect(not kind.may_be_cut(request), says.BODY_CUT, "%s: a clean end", request)
  model:expect(#got == #all, says.BODY_CUT, "%s: ends after %d of %d bytes", request, #got, #all)
end

return kind
