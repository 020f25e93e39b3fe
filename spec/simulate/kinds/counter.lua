-- SPDX-License-Identifier: MIT
-- A number that all workers share.
local says = require "spec.simulate.promises"

local kind = { weight = 1, method = "POST" }

function kind.code() return 'return "count " .. counts:incr "n"' end

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  local n = math.tointeger(tonumber((request.content or ""):match "^count (%d+)$"))
  model:expect(n and not model.counts[n] and n > request.highest_count, says.DICTIONARY, "%s: %q", request, request.content)
  model.counts[n] = true
  model.highest_count = math.max(model.highest_count, n)
end

return kind
