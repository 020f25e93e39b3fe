-- SPDX-License-Identifier: MIT
-- `make soak MINUTES=10`: streams that come, go, stall and are reset, beside plain requests, publishes and a reload every
-- few seconds. When they have gone, what the process holds must be what it held at the beginning. Prints a table; exit
-- code 1 where something has grown.
local process = require "spec.process"
local socket = require "socket"

local MINUTES = tonumber(os.getenv "MINUTES") or 10
local STREAMS = tonumber(os.getenv "STREAMS") or 2000
local WORKERS, RELOAD_SECONDS, WARM_UP_SECONDS = 2, 3, 8

local APP = [[
local news = sse.channel("news", { history = 100, ttl = 5 })
app:get("/", function() return "fine" end)
app:get("/ticks", function() return sse.reply(sse.interval(0.1):map(function(n) return { id = n, json = { n = n } } end)) end)
app:get("/merged", function() return sse.reply(sse.merge(sse.interval(0.2), sse.interval(0.3)):batch(3, 1):map(function(l) return #l end)) end)
app:get("/news", function(req) return sse.reply(news:subscribe { after = req.last_event_id, replay = 5 }) end)
app:get("/large", function() return sse.reply(function(send) while true do send(("x"):rep(20000)) end end) end)
app:get("/room/:id", function(req)
  local room = sse.channel("room:" .. req.params.id)
  return sse.reply(function(send)
    local feed <close> = room:subscribe()
    local _me <close> = room:join(req.id)
    for event in feed:each() do send(event) end
  end)
end)
app:post("/news", function(req) return { id = news:publish { event = "item", json = { text = req:body() } } } end)
app:get("/work", function()
  local task = sse.spawn(function() sse.sleep(0.05) return 1 end)
  spate.shared("d"):set("k" .. math.random(100), "v", { ttl = 2 })
  return { value = task:join() }
end)
app:get("/stats", function()
  for _ = 1, 2 do collectgarbage() end
  sse.channel "news" -- opening one lets go of those that nobody needs any more
  local stats = spate.stats()
  stats.worker = spate.worker
  return stats
end)
sse.every(1, function() news:publish "tick" end)
]]

local TARGETS = { "/ticks", "/ticks", "/news", "/news", "/news", "/merged", "/large", "/room/" }
local server

local function connect(target)
  local client = socket.tcp()
  client:settimeout(2)
  if not client:connect("127.0.0.1", server.port) then return nil end
  client:send(("GET %s HTTP/1.1\r\nHost: soak\r\n\r\n"):format(target))
  client:settimeout(0)
  return client
end

local open, count = {}, 0

local function open_stream()
  local target = TARGETS[math.random(#TARGETS)]
  if target == "/room/" then target = target .. math.random(50) end
  local client = connect(target)
  if not client then return end
  count = count + 1
  -- One in eight never reads.
  open[client] = { ends = socket.gettime() + math.random() * 20, stalls = math.random(8) == 1, resets = math.random(4) == 1 }
end

local function close_stream(client)
  if open[client].resets then process.reset(client) else client:close() end
  open[client] = nil
  count = count - 1
end

local function read_streams(seconds)
  local reading = {}
  for client, state in pairs(open) do
    if not state.stalls and client:getfd() < 1024 then reading[#reading + 1] = client end
  end
  local ready = socket.select(reading, nil, seconds)
  local totals = 0
  for _, client in ipairs(ready) do
    local _, err, part = client:receive(65536)
    totals = totals + #(part or "")
    if err == "closed" then close_stream(client) end
  end
  return totals
end

local function ask(method, target, body)
  local ok, client = pcall(process.connect, server.port)
  if not ok then return end
  client:send(("%s %s HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(method, target, #(body or ""), body or ""))
  local answer = client:receive "*a"
  client:close()
  return answer
end

local totals = { requests = 0, failures = 0, streams = 0, reloads = 0, bytes = 0 }

local function request(...)
  totals.requests = totals.requests + 1
  local answer = ask(...)
  if not (answer and answer:match "^HTTP/1.1 200") then totals.failures = totals.failures + 1 end
end

local function soak(seconds, streams)
  local deadline, reload_at = socket.gettime() + seconds, socket.gettime() + RELOAD_SECONDS
  while socket.gettime() < deadline do
    local now = socket.gettime()
    for _ = 1, 40 do
      if count < streams then
        totals.streams = totals.streams + 1
        open_stream()
      end
    end
    totals.bytes = totals.bytes + read_streams(0.01)
    for client, state in pairs(open) do
      if state.ends < now then close_stream(client) end
    end
    request("GET", "/")
    request("GET", "/work")
    request("POST", "/news", ("n"):rep(200))
    if now > reload_at then
      server:kill "HUP"
      totals.reloads, reload_at = totals.reloads + 1, now + RELOAD_SECONDS
    end
  end
  for client in pairs(open) do close_stream(client) end
end

-- One number of each worker's stats, added up; the process's own are the same for each.
local function stats()
  local sums, seen, workers = {}, 0, {}
  for _ = 1, 200 do
    local text = (ask("GET", "/stats") or ""):match "{.*}"
    local worker = text and text:match '"worker":(%d+)'
    if worker and not workers[worker] then
      workers[worker], seen = true, seen + 1
      for name, value in text:gmatch '"([%a_]+)":(%d+)' do sums[name] = (sums[name] or 0) + tonumber(value) end
    end
    if seen == WORKERS then break end
  end
  for _, name in ipairs { "channels", "channel_bytes", "shared_bytes" } do sums[name] = (sums[name] or 0) // WORKERS end
  local status = process.read_file(("/proc/%d/status"):format(server.pid))
  sums.resident_kb = tonumber(status:match "VmRSS:%s*(%d+)")
  sums.threads = tonumber(status:match "Threads:%s*(%d+)")
  local pipe <close> = io.popen(("ls /proc/%d/fd | wc -l"):format(server.pid))
  sums.descriptors = pipe:read "n"
  return sums
end

-- Streams that have gone are found, old code ends, times in dictionaries and histories pass.
local function rest()
  local state
  for _ = 1, 60 do
    socket.sleep(0.5)
    state = stats()
    if state.streams == 0 and state.generations == WORKERS and state.channels <= 1 and state.shared_bytes < 8192 then break end
  end
  local least = { connections = math.huge, descriptors = math.huge } -- one of those that asked may just be going
  for _ = 1, 10 do
    socket.sleep(0.2)
    state = stats()
    for name, most in pairs(least) do least[name] = math.min(most, state[name]) end
  end
  for name, number in pairs(least) do state[name] = number end
  return state
end

local EXACT = { "streams", "connections", "tasks", "generations", "channels", "threads", "descriptors" }
local ABOUT = { "lua_bytes", "shared_bytes", "channel_bytes" }
-- What of them is noise: a factor of what was there after the warm-up, and what comes and goes with the moment (keys and
-- events of the last seconds, whole).
local NOISE = { lua_bytes = { 1.05, 0 }, shared_bytes = { 1, 4096 }, channel_bytes = { 1, 4096 }, resident_kb = { 1.2, 4096 } }
if not os.getenv "TSAN_OPTIONS" then ABOUT[4] = "resident_kb" end -- the sanitizer's own memory grows

local function report(before, after)
  local grown = {}
  print(("%-15s %12s %12s"):format("", "before", "after"))
  for _, name in ipairs(table.move(ABOUT, 1, #ABOUT, #EXACT + 1, { table.unpack(EXACT) })) do
    local limit, noise = before[name], NOISE[name]
    if noise then limit = limit * noise[1] + noise[2] end
    local mark = after[name] > limit and "grown" or ""
    if mark ~= "" then grown[#grown + 1] = name end
    print(("%-15s %12d %12d  %s"):format(name, before[name], after[name], mark))
  end
  print(("%d streams, %d requests (%d not answered by 200), %d reloads, %.0f MB read"):format(totals.streams, totals.requests,
    totals.failures, totals.reloads, totals.bytes / 1e6))
  return #grown == 0
end

process.enter()
server = process.serve(APP, {
  arguments = { "-l", "127.0.0.1:0", "-w", tostring(WORKERS) },
  settings = "{ timeouts = { send = 3, idle = 2 }, reload = { max_age = 2, generations = 3 }, shutdown = { window = 1 }, log = { access = false, level = 'warn' } }",
})
soak(WARM_UP_SECONDS, STREAMS)
local before = rest()
soak(MINUTES * 60, STREAMS)
local alive = not server:has_ended()
local ok = alive and report(before, rest()) and totals.failures == 0
if alive then server:stop() else print("the server has ended:\n" .. server:stderr():sub(-4000)) end
process.leave()
os.exit(ok and 0 or 1)
