-- SPDX-License-Identifier: MIT
-- Handles of channels that nobody keeps, and a collection of them in a coroutine of its own. For spec.simulate.rare, which has memory
-- run short meanwhile.
local kind = { answer = "dropping", makes_channels = true, method = "POST" }

function kind.code() return [[for i = 1, 20 do sse.channel("dropped" .. i) end
  coroutine.wrap(function() collectgarbage() end)()
  return "dropping " .. t]] end

return kind
