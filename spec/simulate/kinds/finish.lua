-- SPDX-License-Identifier: MIT
-- A POST that finishes a channel for good.
local says = require "spec.simulate.promises"

local kind = { weight = 1, method = "POST", with = { "channel", "publish" } }

function kind.random(r, n) return { channel = r:int(1, n) } end

function kind.code(r) return ('log("finishing", "c%d") C[%d]:finish() log("finished", "c%d") return "finished " .. t'):format(r.channel, r.channel, r.channel) end

function kind.on_end(model, request, how)
  if how ~= "end" then return end
  model:expect(request.content == "finished " .. request.token, says.TEXT, "%s: %q", request, request.content)
end

return kind
