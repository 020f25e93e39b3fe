-- SPDX-License-Identifier: MIT
-- `make soak MINUTES=10`: streams that come, go, stall, are reset and kicked, beside plain requests, publishes, scrapes and a
-- reload every few seconds, in legs that each begin with an upgrade. When the streams have gone, what the process holds must be
-- what it held at the beginning of the leg. Some clients follow a channel of numbers, are kicked and come back with their last
-- id: they miss none. Prints a table for each leg; exit code 1 where something has grown, was lost or was refused.
local process = require "spec.process"
local socket = require "socket"

local MINUTES = tonumber(os.getenv "MINUTES") or 10
local STREAMS = tonumber(os.getenv "STREAMS") or 2000
local LEGS = math.max(1, math.min(3, MINUTES // 5))
local WORKERS, LEG_SECONDS = 2, MINUTES * 60 / LEGS
local WARM_UP_SECONDS = math.max(8, LEG_SECONDS / 5) -- until histories and allocators have what they will have
local IS_SANITIZED = os.getenv "TSAN_OPTIONS" ~= nil
local RELOAD_SECONDS, SCRAPE_SECONDS, KICK_SECONDS, FOLLOWERS = 3, 1, 0.7, 5

local APP = [[
local news = sse.channel("news", { history = 100, ttl = 5 })
app:get("/", function() return "fine" end)
app:get("/ticks", function() return sse.reply(sse.interval(0.1):map(function(n) return { id = n, json = { n = n } } end)) end)
app:get("/merged", function() return sse.reply(sse.merge(sse.interval(0.2), sse.interval(0.3)):batch(3, 1):map(function(l) return #l end)) end)
app:get("/news", function(req) return sse.reply(news:subscribe { after = req.last_event_id, replay = 5 }) end)
app:get("/large", function() return sse.reply(function(send) while true do send(("x"):rep(20000)) end end) end)
local numbers = sse.channel("numbers", { history = 500 })
app:get("/numbers", function(req)
  req:tag "numbers"
  return sse.reply(numbers:subscribe { after = req.last_event_id })
end)
app:post("/numbers", function(req) return { id = numbers:publish(req:body()) } end)
app:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })
app:get("/pid", function() local f <close> = io.open "/proc/self/stat" return "pid " .. f:read "n" end)
app:get("/room/:id", function(req)
  req:tag("room:" .. req.params.id)
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

-- What malloc keeps of a time with thousands of streams is no growth: a thread gives it back when a file is there, and then removes it.
local TRIM = [[
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void *wait_for_word(void *path) {
  for (;; usleep(20000)) {
    if (access(path, F_OK) != 0) continue;
    malloc_trim(0);
    unlink(path);
  }
  return NULL;
}
__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  sigset_t all, before;
  if (!getenv("TRIM")) return;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_create(&thread, NULL, wait_for_word, getenv("TRIM"));
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}
]]

local TARGETS = { "/ticks", "/ticks", "/news", "/news", "/news", "/merged", "/large", "/room/" }
local server

local function connect(target, last_id)
  local client = socket.tcp()
  client:settimeout(2)
  if not client:connect("127.0.0.1", server.port) then return nil end
  client:send(("GET %s HTTP/1.1\r\nHost: soak\r\n%s\r\n"):format(target, last_id and ("Last-Event-ID: %s\r\n"):format(last_id) or ""))
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
  local type = body and body:find "^{" and "Content-Type: application/json\r\n" or ""
  client:send(("%s %s HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"):format(method, target, type, #(body or ""), body or ""))
  local answer = client:receive "*a"
  client:close()
  return answer
end

local totals = { requests = 0, failures = 0, streams = 0, reloads = 0, bytes = 0, scrapes = 0, kicks = 0, upgrades = 0, numbers = 0,
  returns = 0, lost = 0 }

local function fail(what, answer)
  totals.failures = totals.failures + 1
  if totals.failures <= 20 then print(("%s was answered with %q"):format(what, (answer or "nothing"):sub(1, 200))) end
end

local function request(method, target, body)
  totals.requests = totals.requests + 1
  local answer = ask(method, target, body)
  if not (answer and answer:match "^HTTP/1.1 20") then fail(target, answer) end
end

-- Those who are to miss nothing.
local followers, published = {}, 0

local function follow(f)
  f.client, f.raw, f.has_head = connect("/numbers", f.last_id), "", false
  if f.seen then totals.returns = totals.returns + 1 end
end

local function take_number(f, event)
  local number = tonumber(event:match "data: (%d+)")
  f.last_id = event:match "id: (%S+)" or f.last_id
  if event:find("event: reset", 1, true) then totals.lost = totals.lost + 1 end
  if not number then return end
  if f.seen and number ~= f.seen + 1 then totals.lost = totals.lost + 1 end
  f.seen = number
end

-- What has come whole of a body in chunks, one for each event; whether it is at its end.
local function take_chunks(f)
  if not f.has_head then
    local at = f.raw:match "\r\n\r\n()"
    if not at then return false end
    f.raw, f.has_head = f.raw:sub(at), true
  end
  while true do
    local size, at = f.raw:match "^(%x+)\r\n()"
    local len = size and tonumber(size, 16)
    if not len or #f.raw < at + len + 1 then return false end
    if len == 0 then return true end
    take_number(f, f.raw:sub(at, at + len - 1))
    f.raw = f.raw:sub(at + len + 2)
  end
end

local function read_follower(f)
  if not f.client then follow(f) end
  if not f.client then return end
  local bytes, err, part = f.client:receive(65536)
  f.raw = f.raw .. (bytes or part)
  if take_chunks(f) or err == "closed" then
    f.client:close()
    f.client = nil
  end
end

-- They have all that was published, and begin anew: where channels are in memory, an upgrade begins these anew too.
local function gather()
  local deadline = socket.gettime() + 20
  repeat
    local late = false
    for _, f in ipairs(followers) do
      read_follower(f)
      late = late or (f.seen ~= nil and f.seen < published)
    end
    socket.sleep(0.01)
  until not late or socket.gettime() > deadline
  for i, f in ipairs(followers) do
    if f.seen and f.seen < published then totals.lost = totals.lost + 1 end
    if f.client then f.client:close() end
    followers[i] = {}
  end
end

local function publish()
  published, totals.numbers = published + 1, totals.numbers + 1
  request("POST", "/numbers", tostring(published))
end

local function scrape()
  totals.scrapes = totals.scrapes + 1
  local text = ask("GET", "/-/metrics") or ""
  local list = ask("GET", "/-/api/streams?limit=50&order=bytes") or ""
  if not (text:find("\nspate_streams_open ", 1, true) and list:find('"count":', 1, true)) then fail("a scrape", text .. list) end
end

local function kick()
  totals.kicks = totals.kicks + 1
  local tag = totals.kicks % 5 == 0 and "numbers" or "room:" .. math.random(50)
  request("POST", "/-/api/kick", ('{"tag":"%s","retry":0.01}'):format(tag))
end

-- Calls what is due, each in its rhythm.
local function rhythm()
  local due = {}
  return function(name, seconds, fn)
    local now = socket.gettime()
    due[name] = due[name] or now + seconds
    if now < due[name] then return end
    due[name] = now + seconds
    fn()
  end
end

local function reload()
  totals.reloads = totals.reloads + 1
  server:kill "HUP"
end

local function soak(seconds, streams)
  local deadline, every = socket.gettime() + seconds, rhythm()
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
    publish()
    for _, f in ipairs(followers) do read_follower(f) end
    every("reload", RELOAD_SECONDS, reload)
    every("scrape", SCRAPE_SECONDS, scrape)
    every("kick", KICK_SECONDS, kick)
  end
end

local function close_all()
  gather()
  for client in pairs(open) do close_stream(client) end
end

-- The program takes itself over while streams are open: nobody is refused, and the old process ends.
local function upgrade()
  totals.upgrades = totals.upgrades + 1
  gather()
  local command = process.spawn { "upgrade" }
  while not command:has_ended() do request("GET", "/") end
  if command:wait() ~= 0 then error("not upgraded: " .. command:stderr() .. server:stderr():sub(-2000), 0) end
  if server:wait() ~= 0 then fail("an upgrade", server:stderr()) end
  server.pid = assert(tonumber((ask("GET", "/pid") or ""):match "pid (%d+)"))
  published = 0
  for i = 1, FOLLOWERS do followers[i] = {} end
end

local directory

local function trim()
  local path = directory .. "/trim"
  process.write_file(path, "")
  process.eventually("memory to be given back", function()
    local f <close> = io.open(path)
    return not f
  end)
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
  if not IS_SANITIZED then trim() end
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
local NOISE = { lua_bytes = { 1.05, 0 }, shared_bytes = { 1, 4096 }, channel_bytes = { 1, 32768 }, resident_kb = { 1.2, 4096 } }
if not IS_SANITIZED then ABOUT[4] = "resident_kb" end -- the sanitizer's own memory grows

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
  return #grown == 0
end

directory = process.enter()
server = process.serve(APP, {
  environment = not IS_SANITIZED and process.preload("trim", TRIM) .. (" TRIM=%s/trim"):format(directory) or nil,
  arguments = { "-l", "127.0.0.1:0", "-w", tostring(WORKERS) },
  settings = "{ timeouts = { send = 3, idle = 2 }, reload = { max_age = 2, generations = 3 }, shutdown = { window = 1 }, log = { access = false, level = 'warn' } }",
})

-- A process that an upgrade has begun is nobody's child here.
local function is_alive()
  local f <close> = io.open(("/proc/%d/stat"):format(server.pid))
  return f ~= nil and not f:read("a"):find "%) Z"
end

local function leg()
  soak(4, STREAMS)
  -- A descriptor that is closed while a program is started is in the child for a moment. libev takes it out of its set then, by
  -- a number that may be another thread's by now, which the thread sanitizer tells. It is no race: the kernel knows what is in a
  -- set by its file and its number, so it answers ENOENT, touches nothing of the other's, and libev makes its set anew.
  if not IS_SANITIZED then upgrade() end
  soak(WARM_UP_SECONDS, STREAMS)
  close_all()
  local before = rest()
  soak(math.max(LEG_SECONDS - WARM_UP_SECONDS, WARM_UP_SECONDS), STREAMS)
  close_all()
  return is_alive() and report(before, rest())
end

local ok = true
for n = 1, LEGS do
  print(("leg %d of %d"):format(n, LEGS))
  ok = leg() and ok
end
print(("%d streams, %d requests (%d not answered by 200), %d reloads, %d upgrades, %d scrapes, %d kicks, %.0f MB read"):format(totals.streams,
  totals.requests, totals.failures, totals.reloads, totals.upgrades, totals.scrapes, totals.kicks, totals.bytes / 1e6))
print(("%d numbers to %d followers, who came back %d times and missed %d"):format(totals.numbers, FOLLOWERS, totals.returns, totals.lost))
local text, stops = server:stderr(), is_alive()
if stops then server:kill "TERM" else print("the server has ended:\n" .. text:sub(-4000)) end
for _ = 1, 100 do
  if not is_alive() then break end
  socket.sleep(0.1)
end
if is_alive() then server:kill "KILL" end
if text:find("Sanitizer", 1, true) then
  ok = false
  print(text:sub(-4000))
end
process.leave()
os.exit(ok and stops and totals.failures == 0 and totals.lost == 0 and 0 or 1)
