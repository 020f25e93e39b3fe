-- SPDX-License-Identifier: MIT
-- Servers that share one Redis: what goes through it as fast as 64 publishers at each server can, how long an event takes at
-- a fixed rate, and what it costs whom. Each server has a channel with 10 subscribers; whatever is published goes to Redis
-- and comes back. Nchan does the same beside, where it is installed. Started by spec/bench/nodes.
package.path = "spec/bench/?.lua;" .. package.path
local process, report, servers = require "process", require "report", require "servers"

local quick = arg[1] == "--quick"
local STREAMS, PUBLISHERS, RATE = 10, 64, 1000
local MESSAGES = quick and 10000 or 50000
local out = "build/bench"
local cores = process.cores()

local function seconds_of(pid)
  local f <close> = io.open(("/proc/%d/stat"):format(pid))
  local user, system = f:read("a"):match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
  return (user + system) / 100
end

local function start_redis()
  local folder = out .. "/redis"
  os.execute(("rm -rf %s && mkdir -p %s"):format(folder, folder))
  local socket, port = process.line("realpath " .. folder) .. "/redis.sock", process.free_port()
  local redis = process.start { core = cores[1], log = folder .. "/log",
    command = ("redis-server --dir %s --port %d --unixsocket %s --appendonly yes --save ''"):format(folder, port, socket) }
  process.wait_until(5, 0.05, function() return process.line(("redis-cli -s %s ping"):format(socket)) == "PONG" end)
  redis.port, redis.socket = port, socket
  return redis
end

-- What is compared: how its servers are started, and where they publish and subscribe.
local KINDS = {
  memory = { get = "/pair/n%d", post = "/pair/n%d", command = function(port) return servers.spate.command(port) end },
  redis = { get = "/pair/n%d", post = "/pair/n%d",
    command = function(port, redis) return servers.spate.command(port) .. " --store unix://" .. redis.socket end },
  nchan = { get = "/sub/n%d", post = "/pub/n%d", command = function(port, redis) return servers["nchan-redis"].command(port, redis.port) end },
}

-- All load clients at once: a list of what they say.
local function load(nodes, rate, messages, kind)
  local pipes, results = {}, {}
  for i, node in ipairs(nodes) do
    pipes[i] = io.popen(("taskset -c %d %s/sseload -p %d -g %s -P %s -c %d -k %d -n %d -r %d -s 64 -w 1"):format(
      cores[2] or cores[1], out, node.port, KINDS[kind].get:format(i), KINDS[kind].post:format(i), STREAMS, rate < 1e6 and 4 or PUBLISHERS, messages, rate))
  end
  for i, pipe in ipairs(pipes) do
    local text = pipe:read "a"
    pipe:close()
    results[i] = setmetatable({}, { __index = function(_, name) return tonumber(text:match('"' .. name .. '":([%d.]+)')) end })
  end
  return results
end

local function sum(results, name)
  local total = 0
  for _, r in ipairs(results) do total = total + r[name] end
  return total
end

local function most(results, name)
  local highest = 0
  for _, r in ipairs(results) do highest = math.max(highest, r[name]) end
  return highest
end

local function measure(count, kind)
  local redis = start_redis()
  local nodes = {}
  for i = 1, count do
    local port = process.free_port()
    nodes[i] = process.start { core = cores[1], log = ("%s/node%d.log"):format(out, i),
      command = KINDS[kind].command(port, redis) }
    nodes[i].port = port
    nodes[i]:wait_ready(port, "/hello")
  end
  local function used()
    local spate = 0
    for _, node in ipairs(nodes) do spate = spate + seconds_of(node.pid) end
    return spate, seconds_of(redis.pid)
  end
  load(nodes, 1e9, 2000, kind) -- warms all up
  local spate, server = used()
  local fast = load(nodes, 1e9, MESSAGES, kind)
  local spate_after, server_after = used()
  local total, longest = sum(fast, "published"), most(fast, "seconds")
  local row = {
    nodes = count, published_per_s = total / longest, events_per_s = sum(fast, "events") / longest, lost = sum(fast, "lost"),
    spate_us = (spate_after - spate) * 1e6 / total, redis_us = (server_after - server) * 1e6 / total,
  }
  local slow = load(nodes, RATE, RATE * (quick and 3 or 10), kind)
  row.p50_ms, row.p99_ms = most(slow, "p50_ms"), most(slow, "p99_ms")
  for _, node in ipairs(nodes) do node:stop() end
  redis:stop()
  return row
end

if not process.installed "redis-server" then
  print "skipped: redis-server is not installed"
  os.exit(0)
end
os.execute(("mkdir -p %s && ${CC:-cc} -O2 -o %s/sseload spec/bench/sseload.c -pthread"):format(out, out))
local rows = { { "", "published/s", "events/s", "lost", "server us", "Redis us", "p50 ms", "p99 ms" } }
local list = {}
local cases = { { 1, "memory" }, { 1, "redis" }, { 2, "redis" }, { 3, "redis" } }
local missing = servers["nchan-redis"].missing()
if missing then print("skipped: Nchan: " .. missing) end
for i = 1, missing and 0 or 3 do cases[#cases + 1] = { i, "nchan" } end
for _, case in ipairs(cases) do
  local row = measure(case[1], case[2])
  row.store = case[2]
  list[#list + 1] = row
  rows[#rows + 1] = {
    ("%d %s, %s"):format(row.nodes, row.nodes > 1 and "servers" or "server", row.store), report.thousands(row.published_per_s),
    report.thousands(row.events_per_s), report.thousands(row.lost), ("%.0f"):format(row.spate_us), ("%.0f"):format(row.redis_us),
    ("%.1f"):format(row.p50_ms), ("%.1f"):format(row.p99_ms),
  }
end
report.table(("servers on one Redis (AOF each second): %d publishers and %d subscribers at each, 64 bytes; times at %d/s at each"):format(
  PUBLISHERS, STREAMS, RATE), rows)
report.write_json("build/nodes.json", list)
