-- SPDX-License-Identifier: MIT
-- A member whose handler keeps nothing of it: it leaves when that is collected.
local says = require "spec.simulate.promises"

local kind = { weight = 1, answer = "forgotten", publishes = true, makes_channels = true, method = "POST" }

function kind.code() return 'sse.channel("lost"):join("f" .. t) return "forgotten " .. t' end

function kind.on_head(model, request) model.owed[#model.owed + 1] = request end

-- Behind a full collection on each worker.
function kind.finish(model, request)
  model:expect(model.lost_members == "0", says.COLLECTED, "%s: %s members are left", request, model.lost_members)
end

return kind
