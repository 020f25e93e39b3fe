-- SPDX-License-Identifier: MIT
-- Twelve hours of a working day in virtual time: followers that miss nothing, visitors that come and go, scrapes, kicks and a
-- reload each hour. Nothing is lost, and at the end the server holds what it held after the first hour.
local helper = require "spec.helper"

local HOURS, FOLLOWERS, STEP = 12, 6, 30 -- seconds between two scrapes

local APP = [[
local numbers = sse.channel("numbers", { history = 200 })
local asked = spate.metrics.counter("day_visits_total", { help = "Visits.", labels = { "page" } })
app:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })
app:get("/numbers", function(req)
  req:tag("follower", "user:" .. (req.query.user or ""))
  return sse.reply(numbers:subscribe { after = req.last_event_id }, { recheck = function() return true end, every = 60 })
end)
app:get("/visit/:page", function(req)
  asked:inc { page = req.params.page }
  spate.shared("day"):set("seen:" .. req.params.page, sse.now(), { ttl = 120 })
  return sse.reply(sse.interval(1):take(5))
end)
app:on_start(function()
  sse.spawn(function()
    while not spate.shared("day"):get "is_over" do
      sse.sleep(5)
      numbers:publish(tostring(spate.shared("day"):incr("number")))
    end
  end)
end)]]

local COMPARED = { "streams", "connections", "tasks", "timers", "channels", "generations", "shared_bytes", "files_followed" }

it("a day's work loses nothing and leaves nothing behind", function()
  local server = helper.serve(APP)
  local followers = {}

  local function follow(i)
    local f = followers[i]
    f.res = server:get("/numbers?user=" .. i, { headers = f.last_id and { ["Last-Event-ID"] = f.last_id } or nil })
    f.read = 0
  end

  -- What has come since the last look: numbers one by one, else what the library says by itself.
  local function read(i)
    local f = followers[i]
    local events = f.res:events()
    for n = f.read + 1, #events do
      local e = events[n]
      if e.event == "kick" then f.kicks = f.kicks + 1
      elseif e.data then
        assert.is_nil(e.event, tostring(e.event))
        assert.equal((f.number or tonumber(e.data) - 1) + 1, tonumber(e.data))
        f.number, f.last_id, f.count = tonumber(e.data), e.id, f.count + 1
      end
    end
    f.read = #events
    if f.res:has_ended() then
      f.res:close()
      f.returns = f.returns + 1
      follow(i)
    end
  end

  for i = 1, FOLLOWERS do
    followers[i] = { kicks = 0, count = 0, returns = 0 }
    follow(i)
  end

  local function scrape()
    local text = server:get("/-/metrics"):body()
    assert.matches("\nspate_streams_open %d+\n", text)
    return tonumber(text:match "\nspate_streams_open (%d+)\n")
  end

  local function kick(step)
    local what = step % 20 == 0 and "follower" or "user:" .. step // 4 % FOLLOWERS + 1
    local res = server:post("/-/api/kick", { json = { tag = what, retry = 1 }, headers = { ["Content-Type"] = "application/json" } })
    assert.equal(202, res:status())
    server:turn()
  end

  -- What is held when visitors have gone, followers have come back to the code of now, so that the state of the one before it, which
  -- nobody would collect, is closed, and the collector has run.
  local function rest()
    kick(20)
    for i = 1, FOLLOWERS do read(i) end
    server:advance(400)
    for i = 1, FOLLOWERS do read(i) end
    server.core:run "for _ = 1, 3 do collectgarbage() end return ''"
    local stats = helper.json.decode(server.core:run 'return require("spate.json").encode(require("spate").stats())')
    return stats
  end

  local after_first
  for hour = 1, HOURS do
    for step = 1, (3600 - 400) // STEP do
      server:get("/visit/" .. step % 10)
      server:advance(STEP)
      assert.is_true(scrape() >= FOLLOWERS - 1)
      if step % 4 == 0 then kick(step) end
      for i = 1, FOLLOWERS do read(i) end
    end
    assert.is_true(server:reload(APP))
    local held = rest()
    after_first = after_first or held
    for _, name in ipairs(COMPARED) do assert.equal(after_first[name], held[name], ("%s after %d hours"):format(name, hour)) end
    assert.is_true(held.lua_bytes < after_first.lua_bytes + 1024, ("%d bytes of Lua after %d hours, %d after one"):format(held.lua_bytes, hour, after_first.lua_bytes))
    assert.is_true(held.channel_bytes < after_first.channel_bytes + 2048, held.channel_bytes)
  end

  server.core:run 'require("spate").shared("day"):set("is_over", true) return ""'
  server:advance(5)
  for i = 1, FOLLOWERS do read(i) end
  local number = tonumber(server.core:run 'return require("spate").shared("day"):get "number"')
  assert.is_true(number > HOURS * 3500 / 5, tostring(number))
  for i, f in ipairs(followers) do
    assert.equal(number, f.number, "follower " .. i)
    assert.is_true(f.kicks > 10 and f.returns >= f.kicks, f.kicks)
  end
  server:close()
end)
