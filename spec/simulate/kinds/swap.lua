-- SPDX-License-Identifier: MIT
-- A value of all workers that is replaced where it is still what was read.
local says = require "spec.simulate.promises"

local kind = { weight = 1, answer = "swap", method = "POST", lines = {}, prelude = 'local marks = spate.shared "marks"\n' }

function kind.code()
  return [[local old = marks:get "m"
  log("swap", tostring(old), t, tostring(marks:cas("m", old, t)), tostring(marks:cas("m", "none", "x")))
  return "swap " .. t]]
end

function kind.lines.swap(model, text)
  local old, new, is_done, is_wrong = text:match "^(%S+) (%S+) (%S+) (%S+)$"
  model:expect(is_done == "true" and is_wrong == "false", says.SHARED, "%s for %s: %s, and %s for what is not there", new, old, is_done, is_wrong)
  model.swaps = model.swaps or { mark = "nil", news = {} }
  model.swaps.news[old] = new
end

-- What was read, and none of these has put there.
local function head_of(news)
  local is_put = {}
  for _, new in pairs(news) do is_put[new] = true end
  for old in pairs(news) do
    if not is_put[old] then return old end
  end
end

-- Of one moment: one behind the other, from what was there.
function kind.at_rest(model)
  local s = model.swaps
  if not s or not next(s.news) then return end
  repeat
    while s.news[s.mark] do s.mark, s.news[s.mark] = s.news[s.mark], nil end
    local old = head_of(s.news)
    model:expect(not old or model:excused(model.tokens[old] or {}, "refused"), says.SHARED, "%s has become %s, and was %s", tostring(old), tostring(s.news[old or 1]), s.mark)
    s.mark = old or s.mark
  until not old
end

return kind
