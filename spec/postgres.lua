-- SPDX-License-Identifier: MIT
-- A PostgreSQL server for specs: in a folder of its own, on a UNIX socket there and on a free port of this machine, as the
-- user postgres where the specs are root's, which the server will not run as.
local socket = require "socket"

local postgres = { SECONDS = 30 }
postgres.__index = postgres

-- Without what a sanitizer has put before every program.
local function read(command)
  local f <close> = assert(io.popen("unset LD_PRELOAD; " .. command))
  return f:read "a"
end

local function binary(name)
  local path = read("ls /usr/lib/postgresql/*/bin/" .. name .. " 2>/dev/null | tail -1"):match "[^\n]+" or read("command -v " .. name):match "[^\n]+"
  return path
end

-- Whether there is one to start.
function postgres.is_there() return binary "postgres" ~= nil end

local function free_port()
  local s <close> = setmetatable({ s = assert(socket.bind("127.0.0.1", 0)) }, { __close = function(self) self.s:close() end })
  return tonumber((select(2, s.s:getsockname())))
end

local function as_owner(command)
  if read "id -u" ~= "0\n" then return command end
  return "setpriv --reuid=postgres --regid=postgres --clear-groups " .. command
end

local function alive(pid)
  local f <close> = io.open(("/proc/%d/stat"):format(pid))
  return f ~= nil and f:read "a":match "%) (%a)" ~= "Z"
end

local function eventually(what, probe)
  local deadline = socket.gettime() + postgres.SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.05)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 3)
end

-- A certificate for localhost, by an authority of its own, whose certificate is at the path that comes back.
local function certify(folder)
  assert(os.execute(([[unset LD_PRELOAD; cd %s/data && {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out %s/ca.crt
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout server.key -out server.csr
    echo subjectAltName=DNS:localhost > ext
    openssl x509 -req -days 2 -in server.csr -CA %s/ca.crt -CAkey ca.key -CAcreateserial -extfile ext -out server.crt
    chmod 600 server.key; [ $(id -u) != 0 ] || chown postgres:postgres server.key server.crt
    printf "ssl = on\n" >> postgresql.conf
  } >/dev/null 2>&1]]):format(folder, folder, folder)))
  return folder .. "/ca.crt"
end

-- A new server, once it answers. options: tls.
function postgres.new(options)
  local folder = read "mktemp -d /tmp/spate-pg-XXXXXX":match "[^\n]+"
  local self = setmetatable({ folder = folder, port = free_port() }, postgres)
  assert(os.execute(("chmod 755 %s && mkdir %s/data && { [ $(id -u) != 0 ] || chown postgres:postgres %s %s/data; }"):format(folder, folder, folder, folder)))
  assert(os.execute(("unset LD_PRELOAD; cd / && %s -D %s/data -U postgres -A trust --no-sync -E UTF8 --locale=C >%s/initdb.log 2>&1"):format(
    as_owner(binary "initdb"), folder, folder)), "initdb has failed: " .. folder)
  if options and options.tls then self.authority = certify(folder) end
  self:start()
  return self
end

local function own_pid()
  local f <close> = assert(io.open "/proc/self/stat")
  return math.tointeger(f:read "n")
end

-- It counts the descriptors that it is started with, and can do with few.
local CLOSE_OTHERS = 'for fd in /proc/self/fd/*; do fd=${fd##*/}; [ $fd -le 2 ] || eval "exec $fd>&-"; done'

local function launch(self)
  local pid = read(("exec bash -c 'cd /; exec 2>/dev/null; " .. CLOSE_OTHERS .. "; %s -D %s/data -k %s -h 127.0.0.1 -p %d -c fsync=off -c shared_buffers=16MB " ..
    "-c max_connections=60 -c log_min_messages=fatal </dev/null >>%s/server.log 2>&1 & echo $!'"):format(as_owner(binary "postgres"), self.folder, self.folder, self.port, self.folder))
  self.pid = assert(tonumber(pid))
  -- Where the specs are killed, so is it.
  os.execute(("unset LD_PRELOAD; (while kill -0 %d && kill -0 %d; do sleep 1; done; kill -0 %d || { kill -QUIT %d; sleep 1; rm -rf %s; }) >/dev/null 2>&1 &"):format(
    own_pid(), self.pid, own_pid(), self.pid, self.folder))
end

-- Returns once it answers. Behind a crash it does not start before the processes of the one before have ended.
function postgres:start()
  launch(self)
  eventually("PostgreSQL, see " .. self.folder, function()
    if not alive(self.pid) then launch(self) end
    return os.execute(("unset LD_PRELOAD; %s -q -h %s -p %d"):format(binary "pg_isready", self.folder, self.port))
  end)
end

-- What libpq connects by.
function postgres:conninfo() return ("host=%s port=%d user=postgres dbname=postgres"):format(self.folder, self.port) end

-- The rows of a statement, a line each, asked by another client.
function postgres:sql(text)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
  f:flush()
  local out = read(("%s -X -q -A -t -h %s -p %d -U postgres -v ON_ERROR_STOP=1 -f %s 2>&1"):format(binary "psql", self.folder, self.port, path))
  os.remove(path)
  return (out:gsub("\n$", ""))
end

function postgres:signal(name) os.execute(("kill -%s %d"):format(name, self.pid)) end

-- The same of the processes that serve its clients.
function postgres:signal_backends(name) os.execute(("kill -%s $(cat /proc/%d/task/%d/children)"):format(name, self.pid, self.pid)) end

-- Ends it at once, as a crash would; or with "INT" by cutting its clients.
function postgres:kill(signal)
  self:signal(signal or "KILL")
  eventually("the end of PostgreSQL", function() return not alive(self.pid) end)
end

function postgres:stop()
  if self.pid and alive(self.pid) then self:kill "INT" end
  os.execute("rm -rf " .. self.folder)
end

return postgres
