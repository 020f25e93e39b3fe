-- SPDX-License-Identifier: MIT
-- A handler, or the stream that it has begun, raises.
local says = require "spec.simulate.promises"

local kind = { weight = 1 }

function kind.random(r) return { after = r:int(0, 2) } end

function kind.code(r)
  if r.after == 0 then return 'error "on purpose"' end
  return ([[return sse.reply(function(send)
    for i = 1, %d do send(t .. ":" .. i) end
    sse.sleep(0.3)
    error "on purpose"
  end)]]):format(r.after)
end

kind.statuses = { [500] = "always" }

function kind.may_be_cut() return true end

function kind.on_event(model, request, event)
  request.seen = (request.seen or 0) + 1
  model:expect(event.data == request.token .. ":" .. request.seen, says.OWN_STREAM, "%s: %q", request, event.data)
end

function kind.on_end(model, request, how)
  if request.status ~= 200 or how ~= "end" then return end
  model:expect(model:is_left(request), says.CUT, "%s: a clean end", request)
end

return kind
