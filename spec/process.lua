-- SPDX-License-Identifier: MIT
-- The real program for specs: started as a process in a directory of its own, spoken to by real sockets.
local assert = require "luassert"
local socket = require "socket"

local process = { SECONDS = 20 } -- that anything may take

process.ROOT = assert(assert(io.popen("pwd")):read("l"))
process.BUILD = os.getenv("BUILD") or "build"
local SPATE = os.getenv("SPATE") or process.BUILD .. "/spate"
if SPATE:sub(1, 1) ~= "/" then SPATE = process.ROOT .. "/" .. SPATE end

-- The first lines of an application for `serve`.
process.PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
]]

function process.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

function process.shell(...) return assert(os.execute((...):format(select(2, ...)))) end

function process.read_file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

function process.write_file(path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end

-- The first true value of `probe`, asked for until it comes.
function process.eventually(what, probe)
  local deadline = socket.gettime() + process.SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

local directory -- of this spec
local processes = {}

-- The environment in which a library of this source, in C, stands before libc and what else is preloaded.
function process.preload(name, source)
  process.write_file(("%s/%s.c"):format(directory, name), source)
  process.shell("cd %s && env -u LD_PRELOAD cc -shared -fPIC -o %s.so %s.c -ldl", directory, name, name)
  return ("LD_PRELOAD='%s %s/%s.so'"):format(os.getenv "LD_PRELOAD" or "", directory, name)
end

local TURNS = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
static int log;
__attribute__((constructor)) static void begin(void) { log = open(getenv("TURNS"), O_WRONLY | O_APPEND | O_CLOEXEC); }
int epoll_wait(int epoll, struct epoll_event *list, int count, int ms) {
  static int (*next)(int, struct epoll_event *, int, int);
  if (!next) next = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
  if (write(log, "x", 1) < 0) abort();
  return next(epoll, list, count, ms);
}
]]

-- For a program that is started with this environment: how many turns its loops have made, by the other value.
function process.count_turns()
  local turns = directory .. "/turns"
  process.write_file(turns, "")
  return process.preload("count_turns", TURNS) .. " TURNS=" .. turns, function() return #process.read_file(turns) end
end

local Process = {}
Process.__index = Process

-- Starts `build/spate ARGUMENTS`. options: dir, stderr (a path), redirect (appended to the command),
-- environment ("A=b C=d"), before (shell commands, such as "ulimit -n 64"), wrapper (a command that executes it).
function process.spawn(arguments, options)
  options = options or {}
  if options.before then collectgarbage() end -- sockets that earlier specs have dropped are inherited, and count for a limit
  local n = #processes + 1
  local self = setmetatable({ out = directory .. "/out" .. n, err = options.stderr or directory .. "/err" .. n }, Process)
  -- Leaks are looked for where a sanitizer is built in, however it was for this process.
  local leaks = os.getenv "ASAN_OPTIONS" and "ASAN_OPTIONS=detect_leaks=1 " or ""
  local env = ("XDG_RUNTIME_DIR=%s %s%s "):format(directory, leaks, options.environment or "")
  local list = {}
  for i, argument in ipairs(arguments) do list[i] = process.quote(argument) end
  process.write_file(self.out, "")
  if not options.stderr then process.write_file(self.err, "") end
  -- The shell redirects before what may leave it few descriptors: it keeps those that a command replaces.
  self.pipe = assert(io.popen(("echo $$; exec >%s 2>%s </dev/null; ulimit -c 0; %s; cd %s && %sexec %s %s %s %s"):format(
    self.out, self.err, options.before or ":", process.quote(options.dir or directory), env, options.wrapper or "",
    process.quote(SPATE), table.concat(list, " "), options.redirect or "")))
  self.pid = assert(tonumber(self.pipe:read("l")))
  processes[n] = self
  return self
end

function Process:kill(signal) os.execute(("kill -%s %d"):format(signal, self.pid)) end

function Process:stdout() return process.read_file(self.out) end

function Process:stderr() return process.read_file(self.err) end

-- Returns once `text` has been printed to stderr.
function Process:says(text)
  return process.eventually(("%q in the log"):format(text), function() return self:stderr():find(text, 1, true) end)
end

-- The letter that the kernel has for what it does, such as T where it is stopped; nil where it is gone.
function Process:state()
  local f <close> = io.open(("/proc/%d/stat"):format(self.pid))
  return f and f:read("a"):match("%) (%a)")
end

function Process:has_ended() return (self:state() or "Z") == "Z" end

-- How many it has open.
function Process:descriptors()
  local list <close> = assert(io.popen(("ls /proc/%d/fd | wc -l"):format(self.pid)))
  return tonumber(list:read("l"))
end

-- The same once its workers serve, which open some of their own after the address was printed. Too many by one where the
-- machine is so busy that the connection which asked is still open: later counts are no higher, rather than the same.
function Process:descriptors_at_rest()
  process.get(self.port, "/")
  local last, same
  process.eventually("descriptors at rest", function()
    local now = self:descriptors()
    same = now == last and same + 1 or 0
    last = now
    return same >= 5
  end)
  return last
end

-- A connection to its first address, on which `bytes` have been sent.
function Process:connect(bytes, host)
  local client = assert(socket.connect(host or "127.0.0.1", self.port))
  client:settimeout(process.SECONDS)
  if bytes then assert(client:send(bytes)) end
  return client
end

function Process:ask(target) return process.ask(self.port, target) end

-- Returns once a new stream of `target` has had as many events: time has passed for the server as well.
function Process:ticks(target, events)
  local stream = self:ask(target)
  process.read_until(stream, ("data: %d\n"):format(events))
  stream:close()
end

-- Status and body of one request; the connection may be refused before the request is read.
function Process:get(target, host)
  local client = self:connect(("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(target), host)
  local bytes, _, rest = client:receive("*a")
  client:close()
  return tonumber((bytes or rest):match("^HTTP/1%.1 (%d+)")), (bytes or rest):match("\r\n\r\n(.*)$")
end

-- Waits for the end: the exit code, or the signal's number and "signal".
function Process:wait()
  if not self.code then
    process.eventually("the end of the program", function() return self:has_ended() end)
    local _, how, code = self.pipe:close()
    self.code, self.how = code, how
  end
  return self.code, self.how == "signal" and "signal" or nil
end

-- Ends it by SIGTERM: code 0, and nothing to say.
function Process:stop()
  self:kill("TERM")
  local code, how = self:wait()
  assert.same({ 0 }, { code, how }, self:stderr())
end

local function abandon(started)
  if started.code then return end
  started:kill("KILL")
  started:wait()
end

-- A server for an application's source (or path), once it has printed its addresses. options: arguments,
-- settings (source of the table), command ("serve"), and those of spawn.
function process.serve(source, options)
  options = options or {}
  local app = source
  if source:find("\n") then
    app = directory .. "/app.lua"
    process.write_file(app, process.PRELUDE .. source .. "\nreturn app\n")
  end
  local arguments = { options.command or "serve", app }
  if options.settings then
    process.write_file(directory .. "/settings.lua", "return " .. options.settings)
    table.move({ "-c", directory .. "/settings.lua" }, 1, 2, #arguments + 1, arguments)
  end
  local more = options.arguments or { "-l", "127.0.0.1:0" }
  local started = process.spawn(table.move(more, 1, #more, #arguments + 1, arguments), options)
  started.addresses = process.eventually("the address", function()
    if started:has_ended() then error("the server has ended: " .. started:stderr(), 0) end
    local list = {}
    for address in started:stdout():gmatch("serving [^\n]- on (%S+) %(%d+ workers?%)[^\n]*\n") do list[#list + 1] = address end
    return #list > 0 and list
  end)
  started.port = tonumber(started.addresses[1]:match(":(%d+)$"))
  return started
end

function process.connect(port)
  local client = assert(socket.connect("127.0.0.1", port))
  client:settimeout(process.SECONDS)
  return client
end

-- A client that has sent a request, with `fields` ("Name: value\r\n") where given.
function process.ask(port, target, fields)
  local client = process.connect(port)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"):format(target, fields or "")))
  return client
end

function process.read_head(client)
  local status = assert(client:receive("*l"))
  repeat local line = assert(client:receive("*l")) until line == ""
  return tonumber(status:match("^HTTP/1%.1 (%d+)"))
end

-- Reads until the bytes contain `text`.
function process.read_until(client, text)
  local bytes = ""
  while not bytes:find(text, 1, true) do
    local some, err, rest = client:receive(1)
    assert(some, err)
    bytes = bytes .. (some or rest)
  end
  return bytes
end

-- Status and body of one request on a connection of its own.
function process.get(port, target)
  local client = process.connect(port)
  assert(client:send(("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(target)))
  local bytes = assert(client:receive("*a"))
  client:close()
  return tonumber(bytes:match("^HTTP/1%.1 (%d+)")), bytes:match("\r\n\r\n(.*)$")
end

function process.reset(client)
  client:setoption("linger", { on = true, timeout = 0 })
  client:close()
end

-- What a start that fails prints to stderr.
function process.failure(code, arguments, options)
  local started = process.spawn(arguments, options)
  local status, how = started:wait()
  local message = started:stderr()
  assert.same({ code }, { status, how }, message)
  assert.equal("", started:stdout())
  return message
end

function process.contains(text, ...)
  for _, part in ipairs { ... } do
    assert(text:find(part, 1, true), ("expected %q in:\n%s"):format(part, text))
  end
end

-- Before each spec: a new directory, the current one of what is spawned.
function process.enter()
  directory = os.tmpname()
  os.remove(directory)
  process.shell("mkdir %s", directory)
  return directory
end

-- After each spec: nothing that was started goes on, and the directory is gone.
function process.leave()
  for _, started in ipairs(processes) do abandon(started) end
  processes = {}
  process.shell("rm -rf %s", directory)
end

return process
