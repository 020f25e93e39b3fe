-- SPDX-License-Identifier: MIT
-- Whether events that were sent apart arrive so. A stream of spate.doctor says when it sent each; what is counted are the
-- bursts in which they come.
local json = require "spate.json"
local sse = require "spate.sse"

local timing = {}

local TICK = 0.02 -- seconds

-- The greeting of spate.doctor, and the moments at which its events were sent and came: { sent =, at = }.
function timing.read(look)
  local greeting, list = nil, {}
  for _, item in ipairs(look.items) do
    local value = (item.event == "doctor" or item.event == "sent") and item.data and json.decode(item.data)
    if type(value) == "table" and type(value.sent) == "number" then
      if item.event == "doctor" and value.doctor then greeting = value end
      list[#list + 1] = { sent = value.sent, at = item.at, n = value.n }
    end
  end
  return greeting, list
end

-- Of events that were sent `gap` seconds apart or more: in how many bursts they came, and how much longer than the
-- quickest the slowest was under way.
function timing.bursts(list, gap)
  local count, least, most, last = 0, math.huge, 0, nil
  for _, each in ipairs(list) do
    if not last or each.at - last > gap / 4 then count = count + 1 end
    last = each.at
    least, most = math.min(least, each.at - each.sent), math.max(most, each.at - each.sent)
  end
  return count, #list > 0 and most - least or 0
end

-- Whether they were held back: they came in half as many bursts, or fewer.
function timing.is_held(list, gap)
  local count, late = timing.bursts(list, gap)
  return #list >= 2 and count * 2 <= #list and late > gap, late
end

-- Runs fn, and returns what it returns behind how late this process itself was at most: what comes meanwhile comes late
-- through no fault of the stream's.
function timing.watched(fn, ...)
  local lateness, last = 0, sse.now()
  local watch = sse.spawn(function()
    while true do
      sse.sleep(TICK)
      lateness, last = math.max(lateness, sse.now() - last - TICK), sse.now()
    end
  end)
  local result = fn(...)
  watch:cancel()
  return math.max(lateness, sse.now() - last - TICK), result
end

return timing
