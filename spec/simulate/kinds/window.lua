-- SPDX-License-Identifier: MIT
-- A number of all workers that ends some time after its first increment, whatever follows.
local says = require "spec.simulate.promises"

local TTL = 3
local EPS = 1e-6

local kind = { weight = 1, answer = "window", method = "POST", lines = {}, prelude = 'local windows = spate.shared "windows"\n' }

function kind.code()
  return ([[local n = windows:incr("w", 1, { ttl = %d })
  log("window", n)
  return "window " .. t]]):format(TTL)
end

function kind.lines.window(model, text)
  model.window = model.window or { ends_at = -1, last = 0, numbers = {} }
  table.insert(model.window.numbers, math.tointeger(tonumber(text)))
end

-- The workers of a moment have logged in any order.
function kind.at_rest(model, now)
  local w = model.window
  if not w or not w.numbers[1] then return end
  table.sort(w.numbers)
  for _, n in ipairs(w.numbers) do
    if n == 1 then
      model:expect(now > w.ends_at - EPS, says.EXPIRES, "a number begins again before its end at %.3f s", w.ends_at)
      w.ends_at, w.last = now + TTL, 0
    end
    model:expect(now < w.ends_at + EPS, says.EXPIRES, "%d, where the end was at %.3f s", n, w.ends_at)
    model:expect(n == w.last + 1 or model:excused("window", "unsaid"), says.EXPIRES, "%d behind %d", n, w.last)
    w.last = n
  end
  w.numbers = {}
end

return kind
