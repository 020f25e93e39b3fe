-- SPDX-License-Identifier: MIT
-- How many bytes of its own the program has for each stream that waits: what it has dirtied for 800 more of them.
-- As few as that pay for the garbage that a small heap may grow by, some 0.5 MB; of thousands each pays less.
local process = require "spec.process"
local socket = require "socket"

local FEW, MORE = 150, 800

local SOURCE = [[
app:get("/ticks", function() return sse.reply(sse.interval(0.5):map(function(n) return sse.event():data(n) end)) end)
app:get("/loop", function()
  return sse.reply(function(send)
    while true do
      send(1)
      sse.sleep(0.5)
    end
  end)
end)
app:get("/never", function() return sse.reply(sse.never()) end)
local ch = sse.channel "news"
app:get("/channel", function() return sse.reply(ch:subscribe()) end)]]

local function bytes_of(pid)
  return 1024 * tonumber(process.read_file(("/proc/%d/smaps_rollup"):format(pid)):match "Private_Dirty:%s+(%d+)")
end

local function per_stream(path)
  process.enter()
  local p = process.serve(SOURCE, { settings = "{ log = { access = false } }", before = "ulimit -n 4096" })
  local clients = {}
  local function open(count)
    for _ = 1, count do
      local client = p:ask(path)
      process.read_head(client)
      clients[#clients + 1] = client
    end
    socket.sleep(2) -- in which what the handlers have left is collected
    return bytes_of(p.pid)
  end
  local few = open(FEW)
  local each = (open(MORE) - few) // MORE
  for _, client in ipairs(clients) do client:close() end
  process.leave()
  return each
end

return {
  { "bytes of a stream of interval:map", function() return per_stream "/ticks" end },
  { "bytes of a stream of a loop of send and sleep", function() return per_stream "/loop" end },
  { "bytes of a stream that never sends", function() return per_stream "/never" end },
  { "bytes of a subscriber of a channel", function() return per_stream "/channel" end },
}
