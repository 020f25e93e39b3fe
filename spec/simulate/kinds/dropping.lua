-- SPDX-License-Identifier: MIT
-- Handles of channels that nobody keeps, and a collection of them in a coroutine of its own. For spec.simulate.rare, which has memory
-- run short meanwhile.
local says = require "spec.simulate.promises"

local kind = { makes_channels = true, method = "POST" }

function kind.random() return {} end

function kind.code() return [[for i = 1, 20 do sse.channel("dropped" .. i) end
  coroutine.wrap(function() collectgarbage() end)()
  return "dropping " .. t]] end

function kind.on_end(model, request, how)
  if how == "end" then model:expect(request.content == "dropping " .. request.token, says.TEXT, "%s: %q", request, request.content) end
end

return kind
