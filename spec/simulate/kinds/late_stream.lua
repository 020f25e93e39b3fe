-- SPDX-License-Identifier: MIT
-- A stream that begins late: its code may be old by then.
local base = require "spec.simulate.kinds.pipeline"

local kind = { weight = 2, on_head = base.on_head, on_event = base.on_event, on_end = base.on_end, check = base.check }

function kind.random(r)
  local delay = r:pick { 0.3, 2, 12 }
  return { delay = delay, wait = delay, pipeline = { { "interval", 1 } } }
end

function kind.code(r)
  return ([[sse.sleep(%g)
  return sse.reply(sse.interval(1):map(function(v) return t .. ":a:" .. v end))]]):format(r.delay)
end

return kind
