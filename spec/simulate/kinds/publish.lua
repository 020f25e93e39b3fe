-- SPDX-License-Identifier: MIT
-- A POST that publishes.
local says = require "spec.simulate.promises"

local kind = { weight = 4, method = "POST" }

function kind.random(r, n) return { channel = r:int(1, n), count = r:pick { 1, 1, 2, 12 }, pad = r:pick { 0, 0, 10, 3000 } } end

function kind.code(r)
  return ('local last for _ = 1, %d do last = publish(%d, %d) end log("burst", "c%d", %d) return "published " .. tostring(last)')
    :format(r.count, r.channel, r.pad, r.channel, (r.count - 1) * (r.pad + 8))
end

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  local c = model.channels["c" .. request.route.channel]
  local epoch, seq = (request.content or ""):match "^published (%w+)-(%d+)$"
  local is_refused = request.content == "published nil"
  if is_refused then
    return model:expect(c.is_finishing or model:excused(request, "channel_bytes", "store"), says.REFUSED, "%s: nothing published", request)
  end
  if model.plan.has_epochs then return model:expect(c.place[epoch .. "-" .. seq], says.PUBLISHED, "%s: %q", request, request.content) end
  model:expect(c.events[tonumber(seq)] and epoch == c.epoch, says.PUBLISHED, "%s: %q", request, request.content)
end

return kind
