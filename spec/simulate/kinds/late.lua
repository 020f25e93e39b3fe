-- SPDX-License-Identifier: MIT
-- An answer that takes its time.
local says = require "spec.simulate.promises"

local kind = { weight = 1 }

function kind.random(r) return { delay = r:pick { 0.1, 1, 3 } } end

function kind.code(r) return ('sse.sleep(%g) return "late " .. t'):format(r.delay) end

function kind.on_end(model, request, how, now)
  if how ~= "end" then return end
  model:expect(request.content == "late " .. request.token, says.TEXT, "%s: %q", request, request.content)
  model:expect(now >= request.sent_at + request.route.delay - 1e-6, says.WAITS, "%s: after %.3f s", request, now - request.sent_at)
end

return kind
