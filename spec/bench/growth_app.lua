-- SPDX-License-Identifier: MIT
-- What spec/bench/growth puts under load: the same work per second, spread over few or many of something.
local spate, sse = require "spate", require "spate.sse"

local app = spate.app()

-- A stream whose events are so many seconds apart.
app:get("/ticks/:period/:n", function(req)
  return sse.reply(sse.interval(tonumber(req.params.period)):map(function(n) return sse.event():data(n) end))
end)

-- The subscribers number 1, 2, 3 ... of so many channels.
app:get("/channel/:of/:n", function(req)
  return sse.reply(sse.channel("c" .. tonumber(req.params.n) % tonumber(req.params.of)):subscribe())
end)

local SLICE = 0.05 -- seconds

-- So many events a second, to one of so many channels after the other.
app:get("/publish/:of/:rate", function(req)
  local of, due, at = tonumber(req.params.of), 0, 0
  local per_slice = tonumber(req.params.rate) * SLICE
  sse.spawn(function()
    while true do
      sse.sleep(SLICE)
      due = due + per_slice
      while due >= 1 do
        sse.channel("c" .. at % of):publish("an event of a channel, as long as most are")
        due, at = due - 1, at + 1
      end
    end
  end)
  return "ok"
end)

local wakes = 0

-- So many tasks that sleep for so long, again and again, each from a time of its own on.
app:get("/sleepers/:count/:period", function(req)
  local count, period = tonumber(req.params.count), tonumber(req.params.period)
  for i = 1, count do
    sse.spawn(function()
      sse.sleep(period * i / count)
      while true do
        wakes = wakes + 1
        sse.sleep(period)
      end
    end)
    if i % 1000 == 0 then sse.sleep(0) end
  end
  return "ok"
end)

app:get("/wakes", function() return tostring(wakes) end)

return app
