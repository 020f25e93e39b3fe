-- SPDX-License-Identifier: MIT
-- Real Redis servers for specs, each in a folder of its own, on a UNIX socket and a free port: started, stopped, held up
-- and started again by the spec, and stopped with it however it ends.
--   local redis_server = require "spec.redis_server"
--   local server = redis_server.start { appendonly = "yes" }   -- options as in redis.conf
--   server.socket, server.port, server.url, server.unix_url; server:cli("SET", "a", "b"); server:signal "STOP"
--   server:kill(), server:start()                               -- the same data, socket and port
--   after_each(redis_server.stop)                               -- all of them
--   redis_server.program = "valkey-server"                      -- of those that are started from then on
local socket = require "socket"

local redis_server = { SECONDS = 30, program = "redis-server" }

local servers = {}

local Server = {}
Server.__index = Server

local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

local function read(command)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read("a"):gsub("\n$", ""))
end

-- A port that nobody had just now. A cluster's second one, 10000 above, has to be one as well.
function redis_server.free_port()
  for _ = 1, 100 do
    local s = assert(socket.bind("127.0.0.1", 0))
    local _, port = s:getsockname()
    port = tonumber(port)
    s:close()
    local above = port < 50000 and socket.bind("127.0.0.1", port + 10000)
    if above then
      above:close()
      return port
    end
  end
  error "no free ports"
end

local function eventually(what, probe)
  local deadline = socket.gettime() + redis_server.SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 3)
end

redis_server.eventually = eventually

-- What redis-cli prints, without its last line end.
function Server:cli(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = quote(word) end
  return read(("timeout 10 redis-cli -p %d %s %s 2>&1"):format(self.port, self.auth or "", table.concat(words, " ")))
end

function Server:signal(name) os.execute(("kill -%s %d 2>/dev/null"):format(name, self.pid)) end

local function is_alive(pid)
  local f <close> = io.open(("/proc/%d/stat"):format(pid))
  local state = f and f:read("a"):match "%) (%a)"
  return state and state ~= "Z"
end

-- Ends it at once, as a crash does, or with "TERM" as an administrator does; what it has kept stays.
function Server:kill(how)
  if not self.pipe then return end
  self:signal "CONT"
  self:signal(how or "KILL")
  eventually("the end of redis-server", function() return not is_alive(self.pid) end)
  self.pipe:close()
  self.pipe = nil
end

-- Starts it, again with what it has kept.
function Server:start()
  -- Who starts it takes it along: a spec that is killed leaves no server behind. And the spec's sockets are not the server's.
  local command = ("echo $$; for f in $(ls /proc/$$/fd); do [ $f -le 2 ] || eval \"exec $f>&-\"; done; " ..
    "exec setpriv --pdeathsig KILL %s %s/redis.conf %s >>%s/log 2>&1 </dev/null"):format(self.program, self.dir, self.arguments, self.dir)
  self.pipe = assert(io.popen("exec bash -c " .. quote(command)))
  self.pid = assert(tonumber(self.pipe:read "l"))
  eventually("redis-server on port " .. self.port, function()
    if not is_alive(self.pid) then error("redis-server has ended: " .. read("tail -5 " .. quote(self.dir .. "/log")), 0) end
    local answer = self:cli "PING"
    return answer == "PONG" or answer:find("NOAUTH", 1, true) or answer:find("NOPERM", 1, true)
  end)
  return self
end

local function new(arguments, lines, options)
  local dir = read "mktemp -d /tmp/spate-redis.XXXXXX"
  local self = setmetatable({ arguments = arguments, dir = dir, port = options.port or redis_server.free_port(), socket = dir .. "/redis.sock",
    auth = options.auth, program = redis_server.program }, Server)
  self.url, self.unix_url = ("redis://127.0.0.1:%d"):format(self.port), "unix://" .. self.socket
  table.insert(lines, 1, ("port %d\nbind 127.0.0.1\ndir %s\nunixsocket %s\ndaemonize no\nprotected-mode no"):format(self.port, dir, self.socket))
  local conf <close> = assert(io.open(dir .. "/redis.conf", "w"))
  conf:write(table.concat(lines, "\n"), "\n")
  conf:close()
  servers[#servers + 1] = self
  return self:start()
end

-- options: names and values of redis.conf; `port`; `auth`: what redis-cli is to be told, such as "-a secret"; `lines`: more of it.
function redis_server.start(options)
  options = options or {}
  local lines = { 'save ""' }
  for name, value in pairs(options) do
    if name ~= "port" and name ~= "auth" and name ~= "lines" then lines[#lines + 1] = name .. " " .. tostring(value) end
  end
  for _, line in ipairs(options.lines or {}) do lines[#lines + 1] = line end
  return new("", lines, options)
end

-- A sentinel that watches the server under the name; it takes a master for gone after a second. `lines`: more of its file.
function redis_server.sentinel(server, name, more, auth)
  local lines = { ("sentinel monitor %s 127.0.0.1 %d 1"):format(name, server.port), ("sentinel down-after-milliseconds %s 1000"):format(name),
    ("sentinel failover-timeout %s 3000"):format(name) }
  for _, line in ipairs(more or {}) do lines[#lines + 1] = line end
  return new("--sentinel", lines, { auth = auth })
end

-- A cluster of masters that share the slots, each with so many replicas, which are behind the masters in the list.
function redis_server.cluster(count, replicas)
  local nodes, addresses = {}, {}
  for i = 1, count * (1 + (replicas or 0)) do
    nodes[i] = redis_server.start { ["cluster-enabled"] = "yes", ["cluster-node-timeout"] = 2000, ["repl-diskless-sync-delay"] = 0, appendonly = "yes" }
    addresses[i] = "127.0.0.1:" .. nodes[i].port
  end
  local said = read(("timeout 30 redis-cli --cluster create %s --cluster-replicas %d --cluster-yes 2>&1"):format(table.concat(addresses, " "), replicas or 0))
  assert(said:find("All 16384 slots covered", 1, true), said)
  eventually("the cluster", function()
    for _, node in ipairs(nodes) do
      if not node:cli("CLUSTER", "INFO"):find("cluster_state:ok", 1, true) then return false end
    end
    return true
  end)
  return nodes
end

-- Ends all that were started, and removes their folders.
function redis_server.stop()
  for i = #servers, 1, -1 do
    servers[i]:kill()
    os.execute("rm -rf " .. quote(servers[i].dir))
    servers[i] = nil
  end
end

return redis_server
