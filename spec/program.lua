-- SPDX-License-Identifier: MIT
-- The program as a child process, for specs that need real sockets, signals or limits of the kernel.
local assert = require "luassert"
local socket = require "socket"

local SPATE = os.getenv("SPATE") or (os.getenv("BUILD") or "build") .. "/spate"
local SECONDS = 10 -- that anything may take
local PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
]]

local Program = {}
Program.__index = Program

local program = { SECONDS = SECONDS, running = {} }

function program.read_file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

local function write_file(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

-- The first true value of `probe`, asked for until it comes.
function program.eventually(what, probe)
  local deadline = socket.gettime() + SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

-- Serves the application of `source`, between the usual first lines and `return app`. options: settings (source of
-- the table), arguments, before (shell commands, such as `ulimit -n 64;`), stderr (a path).
function program.serve(source, options)
  options = options or {}
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir " .. directory))
  write_file(directory .. "/app.lua", PRELUDE .. source .. "\nreturn app\n")
  write_file(directory .. "/settings.lua", "return " .. (options.settings or "{}"))
  write_file(directory .. "/out", "")
  local self = setmetatable({ directory = directory, err = options.stderr or directory .. "/err" }, Program)
  program.running[#program.running + 1] = self
  local env = os.getenv("ASAN_OPTIONS") and "ASAN_OPTIONS=detect_leaks=1 " or ""
  self.pipe = assert(io.popen(("echo $$; ulimit -c 0; %s %sexec %s serve %s/app.lua -c %s/settings.lua %s >%s/out 2>%s </dev/null")
    :format(options.before or "", env, SPATE, directory, directory, options.arguments or "-l 127.0.0.1:0", directory, self.err)))
  self.pid = assert(tonumber(self.pipe:read("l")))
  self.port = program.eventually("the address", function()
    if self:has_ended() then error("the server has ended: " .. self:stderr(), 0) end
    return tonumber(program.read_file(directory .. "/out"):match("serving [^\n]- on %S+:(%d+) "))
  end)
  return self
end

function Program:kill(signal) assert(os.execute(("kill -%s %d"):format(signal, self.pid))) end

function Program:stderr() return program.read_file(self.err) end

-- Fields 3 and on of /proc/PID/stat: the state first.
local function stat_of(pid)
  local f <close> = io.open(("/proc/%d/stat"):format(pid))
  local fields = {}
  for field in (f and f:read("a"):match("%)(.*)$") or ""):gmatch("%S+") do fields[#fields + 1] = field end
  return fields
end

function Program:has_ended()
  local state = stat_of(self.pid)[1]
  return not state or state == "Z"
end

-- Seconds of CPU time so far.
function Program:cpu()
  local fields = stat_of(self.pid)
  return (tonumber(fields[12]) + tonumber(fields[13])) / 100
end

function Program:descriptors()
  local list <close> = assert(io.popen(("ls /proc/%d/fd | wc -l"):format(self.pid)))
  return tonumber(list:read("l"))
end

-- Waits for the end: the exit code, or the signal's number and "signal".
function Program:wait()
  if not self.code then
    program.eventually("the end of the program", function() return self:has_ended() end)
    local _, how, code = self.pipe:close()
    self.code, self.how = code, how
  end
  return self.code, self.how == "signal" and "signal" or nil
end

-- Ends it by SIGTERM: code 0.
function Program:stop()
  self:kill "TERM"
  local code, how = self:wait()
  assert.same({ 0 }, { code, how }, self.err:find "^/dev/" and "" or self:stderr())
end

-- What after_each calls: ends what still runs.
function program.clean()
  for _, self in ipairs(program.running) do
    if not self.code then
      os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
      self:wait()
    end
    os.execute("rm -rf " .. self.directory)
  end
  program.running = {}
end

-- A connection to it. options: host; bytes: to send at once.
function Program:connect(bytes, host)
  local client = assert(socket.connect(host or "127.0.0.1", self.port))
  client:settimeout(SECONDS)
  if bytes then assert(client:send(bytes)) end
  return client
end

function Program:ask(target)
  return self:connect(("GET %s HTTP/1.1\r\nHost: spec\r\n\r\n"):format(target))
end

-- Status and body of one request on a connection of its own; nil and why where none comes.
function Program:get(target, host)
  local client = self:connect(("GET %s HTTP/1.1\r\nHost: spec\r\nConnection: close\r\n\r\n"):format(target), host)
  local bytes, err, rest = client:receive("*a")
  client:close()
  bytes = bytes or rest
  if not bytes:find "^HTTP/1%.1 %d%d%d" then return nil, err end
  return tonumber(bytes:match("^HTTP/1%.1 (%d+)")), bytes:match("\r\n\r\n(.*)$")
end

-- Cuts a connection with a reset.
function program.reset(client)
  client:setoption("linger", { on = true, timeout = 0 })
  client:close()
end

return program
