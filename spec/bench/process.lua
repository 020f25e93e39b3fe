-- SPDX-License-Identifier: MIT
-- Child processes: start one on a core, wait until it answers, read its memory, end it.
-- Invariant: no child outlives this program, however it ends: the kernel kills what it started (PDEATHSIG).
local socket = require "socket"

local process = {}
process.__index = process

local commands = {} -- in the order of their first run; also a set

local function read_file(path)
  local f <close> = io.open(path)
  return f and f:read("a")
end

local function remember(command)
  if not commands[command] then
    commands[command] = true
    commands[#commands + 1] = command
  end
end

-- Every command line that was run, once each.
function process.commands_list() return table.move(commands, 1, #commands, 1, {}) end

-- The first line of output of a shell command, "" when it has none.
function process.line(command)
  local f <close> = assert(io.popen(command .. " 2>/dev/null"))
  return f:read("l") or ""
end

function process.installed(program) return process.line("command -v " .. program) ~= "" end

-- The cores that this program may use, in order.
function process.cores()
  local cores = {}
  local list = read_file("/proc/self/status"):match("Cpus_allowed_list:%s*(%S+)")
  for first, last in (list .. ","):gmatch("(%d+)%-?(%d*),") do
    for core = tonumber(first), tonumber(last) or tonumber(first) do cores[#cores + 1] = core end
  end
  return cores
end

local TICKS, KERNEL_THREAD = 100, 0x00200000 -- a second has; a flag of the kernel's

local function descends(pid, root, parents)
  for _ = 1, 100 do
    if pid == root then return true end
    pid = parents[pid]
  end
  return false
end

-- Of lines of /proc/PID/stat: the CPU time of those that neither descend from `root` nor are threads of the kernel, with that of
-- their children that have ended.
function process.foreign_ticks(text, root)
  local parents, ticks, sum = {}, {}, 0
  for line in text:gmatch "[^\n]+" do
    local pid, parent, flags, user, system, user_below, system_below =
      line:match "^(%d+) %(.*%) %a (%d+) %S+ %S+ %S+ %S+ (%d+) %S+ %S+ %S+ %S+ (%d+) (%d+) (%d+) (%d+) "
    if pid then
      parents[pid] = parent
      if tonumber(flags) & KERNEL_THREAD == 0 then ticks[pid] = user + system + user_below + system_below end
    end
  end
  for pid, n in pairs(ticks) do
    if not descends(pid, tostring(root), parents) then sum = sum + n end
  end
  return sum
end

-- Of /proc/stat: the time that these cores have run programs, and that the machine's host has taken from them.
function process.core_ticks(text, cores)
  local busy, stolen = 0, 0
  for _, core in ipairs(cores) do
    local user, nice, system, steal = text:match(("\ncpu%d (%%d+) (%%d+) (%%d+) %%d+ %%d+ %%d+ %%d+ (%%d+)"):format(core))
    busy, stolen = busy + user + nice + system, stolen + steal
  end
  return busy, stolen
end

-- The part of a core that was lost to others between two looks: where they ran is not known, so at most what these cores did.
function process.part(before, after, seconds)
  local foreign = math.max(0, math.min(after.foreign - before.foreign, after.busy - before.busy))
  return (foreign + after.stolen - before.stolen) / TICKS / seconds
end

local function look(cores)
  local f <close> = assert(io.popen "cat /proc/[0-9]*/stat 2>/dev/null")
  local busy, stolen = process.core_ticks(read_file "/proc/stat", cores)
  return { foreign = process.foreign_ticks(f:read "a", read_file("/proc/self/stat"):match "^%d+"), busy = busy, stolen = stolen }
end

-- Calls fn; returns its result and the part of a core that others had of these cores meanwhile.
function process.contention(cores, fn)
  local start, before = socket.gettime(), look(cores)
  local result = fn()
  local seconds = socket.gettime() - start
  return result, process.part(before, look(cores), seconds)
end

-- A port below those that the kernel gives to clients, free at this moment.
function process.free_port()
  for _ = 1, 1000 do
    local port = math.random(20000, 31999)
    local s = socket.bind("127.0.0.1", port)
    if s then
      s:close()
      return port
    end
  end
  error("no free port between 20000 and 31999")
end

-- `setpriv` stays for its signal at the parent's end, `exec` makes the shell's pid the program's.
local function pinned(core, command)
  return ("exec setpriv --pdeathsig KILL taskset -c %d %s"):format(core, command)
end

-- Starts a command on a core with its output in a file. Takes { command =, core =, log = }.
function process.start(options)
  remember(("taskset -c %d %s"):format(options.core, options.command))
  local line = ("echo $$; %s >%s 2>&1"):format(pinned(options.core, options.command), options.log)
  local handle = assert(io.popen(line))
  return setmetatable({ handle = handle, pid = handle:read("n"), log = options.log }, process)
end

-- Runs a command on a core to its end and returns what it printed.
function process.run(core, command)
  remember(("taskset -c %d %s"):format(core, command))
  local f <close> = assert(io.popen(pinned(core, command)))
  local text = f:read("a")
  local ok, how, code = f:close()
  if not ok then error(("%s: %s %d"):format(command, how, code), 0) end
  return text
end

function process:is_alive()
  local stat = read_file(("/proc/%d/stat"):format(self.pid))
  return stat ~= nil and not stat:find("^%d+ %(.*%) [ZX]")
end

local function answers(port, path)
  local s <close> = setmetatable({ tcp = socket.tcp() }, { __close = function(t) t.tcp:close() end })
  s.tcp:settimeout(1)
  if not s.tcp:connect("127.0.0.1", port) then return false end
  s.tcp:send(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"):format(path))
  local status = s.tcp:receive("*l")
  return status ~= nil and status:find("^HTTP/1%.%d 200") ~= nil
end

-- Polls `condition` until it holds; false when it did not within the seconds.
function process.wait_until(seconds, pause, condition)
  local deadline = socket.gettime() + seconds
  while not condition() do
    if socket.gettime() > deadline then return false end
    socket.sleep(pause)
  end
  return true
end

-- Waits until GET path is answered with 200, for a while that a server under valgrind has time in, too.
function process:wait_ready(port, path)
  local ready
  process.wait_until(60, 0.01, function()
    ready = answers(port, path)
    return ready or not self:is_alive()
  end)
  if ready then return end
  error(("does not answer; %s says: %s"):format(self.log, process.line("tail -n 1 " .. self.log)), 0)
end

-- Resident memory; smaps_rollup is exact where VmRSS lags behind by some pages per core.
function process:rss_kb()
  local text = read_file(("/proc/%d/smaps_rollup"):format(self.pid))
    or read_file(("/proc/%d/status"):format(self.pid)) or ""
  return tonumber(text:match("Rss:%s*(%d+)") or text:match("VmRSS:%s*(%d+)"))
end

function process:open_files() return tonumber(process.line(("ls /proc/%d/fd | wc -l"):format(self.pid))) end

-- Waits until no more than `files` are open and memory has stood still for half a second; returns it.
function process:wait_idle(files)
  if not process.wait_until(30, 0.02, function() return self:open_files() <= files end) then
    error(("still has %d files open, %d before"):format(self:open_files(), files), 0)
  end
  local last, same = nil, 0
  process.wait_until(10, 0.1, function()
    local rss = self:rss_kb()
    same = rss == last and same + 1 or 0
    last = rss
    return same == 5
  end)
  return last
end

-- Asks it to end, and insists after three seconds, or so many.
function process:stop(patience)
  if not self.handle then return end
  local handle = self.handle
  self.handle = nil
  os.execute(("kill -TERM %d 2>/dev/null"):format(self.pid))
  if not process.wait_until(patience or 3, 0.01, function() return not self:is_alive() end) then
    os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
  end
  handle:close()
end
process.__close = function(p) p:stop() end

return process
