-- SPDX-License-Identifier: MIT
-- The same number of events a second, from few or many streams, channels and timers, by one or two workers, and by four
-- processes: CPU time of the server per event, beside the least of its row. `floor` only writes to as many sockets: what it
-- costs more, where there are more, the kernel does. Where a process may open 20,000 files, 19,000
-- streams are what one has. The servers run on the first core, the clients on the second.
package.path = "spec/bench/?.lua;" .. package.path
local process = require "process"
local socket = require "socket"

local quick = arg[1] == "--quick"
local SECONDS, ROUNDS, RATE = quick and 2 or 5, quick and 1 or 3, 20000
local STREAMS = { 1000, 5000, 15000, 19000 }
local cores = process.cores()
local SERVER, CLIENT = cores[1], cores[2] or cores[1]

local function say(format, ...) print(format:format(...)) end

local function shell(line) assert(os.execute(line)) end

local function write(path, text)
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
end

local work = process.line "mktemp -d"
write(work .. "/conf.lua", [[return { log = { access = false }, limits = { connections = 50000, connections_per_address = 50000,
  channels = 20000, tasks = 200000, lua_memory = 2 << 30 } }]])
shell "mkdir -p build/bench && ${CC:-cc} -O2 -pthread -o build/bench/sseload spec/bench/sseload.c"
shell "${CC:-cc} -O2 -o build/bench/floor_bare spec/bench/floor.c"

local function serve(workers, core)
  local port = process.free_port()
  local p = process.start { core = core or SERVER, log = ("%s/%d.log"):format(work, port), command =
    ("build/spate serve spec/bench/growth_app.lua -l 127.0.0.1:%d -c %s/conf.lua -w %d"):format(port, work, workers) }
  p.port = port
  p:wait_ready(port, "/wakes")
  return p
end

local function get(p, path)
  local s = assert(socket.connect("127.0.0.1", p.port))
  s:send(("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(path))
  local text = s:receive "*a"
  s:close()
  return text:match "\r\n\r\n(.*)$"
end

-- A shell's line that loads so many streams of a path.
local function load_line(p, path, count)
  return ("build/bench/sseload -p %d -g '%s' -c %d -d %g -w 1 -S %d"):format(p.port, path, count, SECONDS, p.pid)
end

local function figures_of(text)
  local figures = {}
  for name, value in text:gmatch '"([%w_]+)":([-%d.]+)' do figures[name] = tonumber(value) end
  assert(figures.conns and figures.ready == figures.conns and figures.dead == 0, text)
  return figures
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

-- Seconds of CPU time that all threads of a process have used.
local function cpu(p)
  local sum = 0
  for line in io.popen(("cat /proc/%d/task/*/schedstat"):format(p.pid)):lines() do sum = sum + tonumber(line:match "^%d+") / 1e9 end
  return sum
end

-- Prints what each of `sizes` costs by `measure(size)`, in microseconds, and kB per stream where that says so.
local function row(what, sizes, measure)
  local costs, least = {}, math.huge
  for _, size in ipairs(sizes) do
    local list, memory = {}, nil
    for round = 1, ROUNDS do
      local ok, us, kb = pcall(measure, size)
      if not ok then say("%s: %s", size, us) break end
      list[round], memory = us, kb
    end
    costs[size] = { us = median(list) or 0 / 0, kb = memory }
    least = math.min(least, costs[size].us)
  end
  for _, size in ipairs(sizes) do
    local c = costs[size]
    say("%-34s %7d  %6.2f us  x %.2f%s", what, size, c.us, c.us / least, c.kb and ("  %.2f kB"):format(c.kb) or "")
  end
end

row("floor, of so many streams", STREAMS, function(count)
  local port = process.free_port()
  local p <close> = process.start { core = SERVER, log = ("%s/%d.log"):format(work, port), command =
    ("build/bench/floor_bare %d -t %d -s"):format(port, count * 1000 // RATE) }
  p.port = port
  p:wait_ready(port, "/")
  return figures_of(process.run(CLIENT, load_line(p, "/", count))).server_us_per_event
end)

row("an event, of so many streams", STREAMS, function(count)
  local p <close> = serve(1)
  local f = figures_of(process.run(CLIENT, load_line(p, ("/ticks/%g/#"):format(count / RATE), count)))
  return f.server_us_per_event, f.kb_per_conn
end)

row("an event, 5,000 streams, workers", { 1, 2 }, function(workers)
  local p <close> = serve(workers)
  return figures_of(process.run(CLIENT, load_line(p, ("/ticks/%g/#"):format(5000 / RATE), 5000))).server_us_per_event
end)

row("a delivery, 10,000 of so many channels", { 1, 100, 10000 }, function(channels)
  local p <close> = serve(1)
  get(p, ("/publish/%d/%g"):format(channels, RATE / (10000 / channels)))
  return figures_of(process.run(CLIENT, load_line(p, ("/channel/%d/#"):format(channels), 10000))).server_us_per_event
end)

row("a wake, of so many sleepers", { 100, 1000, 10000, 100000 }, function(count)
  local p <close> = serve(1)
  get(p, ("/sleepers/%d/%g"):format(count, count / RATE))
  socket.sleep(1)
  local wakes, used = tonumber(get(p, "/wakes")), cpu(p)
  socket.sleep(SECONDS)
  return (cpu(p) - used) * 1e6 / (tonumber(get(p, "/wakes")) - wakes)
end)

-- kB that the kernel has in slabs and in sockets.
local function kernel_kb()
  local slab = tonumber(io.open("/proc/meminfo"):read("a"):match "Slab:%s+(%d+)")
  local pages = tonumber(io.open("/proc/net/sockstat"):read("a"):match "TCP: [^\n]*mem (%d+)")
  return slab + pages * 4
end

local function four(count)
  local servers, before = {}, kernel_kb()
  for i = 1, 4 do servers[i] = serve(1) end
  local lines = {}
  for i, p in ipairs(servers) do
    lines[i] = ("%s >%s/four.%d &"):format(load_line(p, ("/ticks/%g/#"):format(4 * count / RATE), count):gsub("-w 1", "-w 8"), work, i)
  end
  local clients = io.popen(("taskset -c %d sh -c %q"):format(CLIENT, table.concat(lines, " ") .. " wait"))
  socket.sleep(7)
  local kernel = (kernel_kb() - before) / (4 * count)
  clients:read "a"
  clients:close()
  local cost, memory = 0, 0
  for i = 1, 4 do
    local f = figures_of(assert(io.open(("%s/four.%d"):format(work, i))):read "a")
    cost, memory = cost + f.server_us_per_event / 4, memory + f.kb_per_conn / 4
  end
  for _, p in ipairs(servers) do p:stop() end
  say("%-34s %7d  %6.2f us  %.2f kB of the processes, %.2f kB of the kernel for both ends", "an event, of 4 processes", 4 * count,
    cost, memory, kernel)
end

four(19000)
shell("rm -rf " .. work)
