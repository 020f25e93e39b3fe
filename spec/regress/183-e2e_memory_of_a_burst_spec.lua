-- SPDX-License-Identifier: MIT
-- What a burst had taken of memory stayed with the process for ever: 300 events of 500 kB that waited for a Redis that had
-- stopped left 270 MB resident. It is given back once the workers are idle.
local process = require "spec.process"
local redis_server = require "spec.redis_server"

local APP = [[
local ch
app:get("/burst", function()
  ch = ch or sse.channel "c"
  local tasks, kept = {}, 0
  for i = 1, 300 do tasks[i] = sse.spawn(function() return ch:publish(("x"):rep(500000)) end) end
  for _, task in ipairs(tasks) do
    local _, id = task:join()
    kept = kept + (id and 1 or 0)
  end
  return tostring(kept)
end)
]]

local MB = 256 -- pages

if os.getenv "ASAN_OPTIONS" then return end -- its allocator keeps what is freed

describe("the memory of a burst", function()
  after_each(function()
    redis_server.stop()
    process.leave()
  end)

  it("is given back", function()
    process.enter()
    local redis = redis_server.start()
    local server = process.serve(APP, { settings = ('{ store = "%s?timeout=1", log = { level = "debug" } }'):format(redis.unix_url) })
    local function resident() return tonumber(process.read_file(("/proc/%d/statm"):format(server.pid)):match "^%d+ (%d+)") / MB end
    local before = resident()
    redis:signal "STOP"
    local burst = process.ask(server.port, "/burst")
    local peak = before
    process.eventually("the burst", function()
      peak = math.max(peak, resident())
      return peak > before + 150
    end)
    redis:signal "CONT"
    process.read_head(burst)
    process.eventually(("less than the %.0f MB of the burst, %.0f MB before"):format(peak, before), function() return resident() < before + 30 end)
    process.eventually("the log's line", function() return server:stderr():find("memory: %d+ MB that nothing uses are given back") end)
    server:stop()
  end)
end)
