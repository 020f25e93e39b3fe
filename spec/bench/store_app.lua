-- SPDX-License-Identifier: MIT
-- What spec/bench/store serves: 64 tasks that publish to 100 channels as fast as they are answered, and a replay.
local spate, sse = require "spate", require "spate.sse"
local app = spate.app()
local PUBLISHERS, text = 64, ("x"):rep(64)

local function publish(count, channel_of)
  local tasks, each = {}, count // PUBLISHERS + 1
  for i = 1, PUBLISHERS do
    tasks[i] = sse.spawn(function()
      for k = 1, each do assert(channel_of(i * 7 + k):publish(text)) end
    end)
  end
  for _, task in ipairs(tasks) do task:join() end
  return each * PUBLISHERS
end

local function one(n) return sse.channel("c" .. n % 100, { history = 1000000 }) end
local function all() return sse.channel("all", { history = 1000000 }) end

app:get("/publish", function(req)
  local begin = sse.now()
  local events = publish(math.tointeger(tonumber(req.query.n)), one)
  return ("%.0f"):format(events / (sse.now() - begin))
end)

app:get("/fill", function(req) -- the id behind which there are so many
  local count = math.tointeger(tonumber(req.query.n))
  publish(count + PUBLISHERS, all)
  return all():history(count + 1)[1].id
end)

app:get("/replay", function(req) return sse.reply(all():subscribe { after = req.last_event_id }) end)

return app
