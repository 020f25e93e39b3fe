-- SPDX-License-Identifier: MIT
-- What systemd asks of a service: sockets that it has opened, and word of what becomes of the process. The spec is systemd here.
local process = require "spec.process"
local socket = require "socket"

local APP = [[
app:get("/", function() return "fine" end)
app:get("/block", function() os.execute "sleep 2" return "late" end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/env", function() return { fds = os.getenv "LISTEN_FDS" or "none" } end)]]

-- Prints each datagram that comes to a socket (at a path, or "@name"), its lines joined by a blank.
local READER = [[
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  char text[4096];
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  (void)argc;
  memcpy(a.sun_path, argv[1], strlen(argv[1]));
  if (a.sun_path[0] == '@') a.sun_path[0] = 0;
  if (bind(fd, (void *)&a, offsetof(struct sockaddr_un, sun_path) + strlen(argv[1])) < 0) return 1;
  puts("ready");
  for (ssize_t n; fflush(stdout), (n = recv(fd, text, sizeof text - 1, 0)) >= 0;) {
    text[n] = 0;
    for (char *c = text; *c; c++) if (*c == '\n') *c = ' ';
    puts(text);
  }
  return 0;
}
]]

describe("under systemd", function()
  local directory, readers, heirs
  before_each(function()
    directory, readers, heirs = process.enter(), {}, {}
    collectgarbage() -- sockets that earlier specs have dropped: dash knows descriptors of one digit only
  end)
  after_each(function()
    for _, pid in ipairs(readers) do os.execute(("kill %d 2>/dev/null"):format(pid)) end
    for _, pid in ipairs(heirs) do os.execute(("kill -9 %d 2>/dev/null"):format(pid)) end
    process.leave()
  end)

  -- What has been told so far, a line for each message.
  local function listen(name)
    local file = directory .. "/told"
    process.write_file(file, "")
    process.write_file(directory .. "/reader.c", READER)
    process.shell("cd %s && env -u LD_PRELOAD cc -o reader reader.c", directory)
    local pipe <close> = assert(io.popen(("cd %s && (env -u LD_PRELOAD ./reader '%s' >told 2>&1 & echo $!)"):format(directory, name)))
    readers[#readers + 1] = assert(pipe:read "n")
    local function told() return process.read_file(file) end
    process.eventually("the socket", function() return told():find "ready" end)
    return told
  end

  local function says(told, pattern)
    return process.eventually(pattern .. " of " .. told(), function() return told():match(pattern) end)
  end

  -- Has the shell give the program these descriptors from 3 on, and its own number.
  local function passed(fds, names)
    local redirects = {}
    for i, fd in ipairs(fds) do redirects[i] = ("%d<&%d"):format(2 + i, fd) end
    return { redirect = table.concat(redirects, " "), wrapper = "sh -c 'LISTEN_PID=$$ exec \"$@\"' sh",
      environment = ("LISTEN_FDS=%d LISTEN_FDNAMES=%s"):format(#fds, names) }
  end

  local function with(options, more)
    for name, value in pairs(more) do options[name] = value end
    return options
  end

  it("takes the sockets that were passed, by name or by address, and opens none itself", function()
    local web, api = assert(socket.bind("127.0.0.1", 0)), assert(socket.bind("127.0.0.1", 0))
    local _, web_port = web:getsockname()
    local _, api_port = api:getsockname()
    local server = process.serve(APP, with(passed({ web:getfd(), api:getfd() }, "web:api"),
      { arguments = { "-l", "systemd:web", "-l", "127.0.0.1:" .. api_port, "-w", "2" } }))
    for _ = 1, 5 do
      assert.same({ 200, "fine" }, { process.get(tonumber(web_port), "/") })
      assert.same({ 200, "fine" }, { process.get(tonumber(api_port), "/") })
    end
    assert.equal('{"fds":"none"}', (select(2, process.get(tonumber(api_port), "/env"))))
    server:stop()
    assert.equal("", server:stderr():match "which no %-l takes" or "")
  end)

  it("serves all of them where no address is named", function()
    local web = assert(socket.bind("127.0.0.1", 0))
    local _, port = web:getsockname()
    process.serve(APP, with(passed({ web:getfd() }, ""), { arguments = {} }))
    assert.same({ 200, "fine" }, { process.get(tonumber(port), "/") })
  end)

  it("has the inspector at one of them, and serves the others", function()
    local web, admin = assert(socket.bind("127.0.0.1", 0)), assert(socket.bind("127.0.0.1", 0))
    local _, port = web:getsockname()
    local _, admin_port = admin:getsockname()
    local server = process.serve(APP, with(passed({ web:getfd(), admin:getfd() }, "web:admin"), { arguments = { "--admin", "systemd:admin" } }))
    assert.same({ 200, "fine" }, { process.get(tonumber(port), "/") })
    assert.same({ 200, "ready\n" }, { process.get(tonumber(admin_port), "/readyz") })
    assert.is_nil(server:stderr():find("takes", 1, true))
  end)

  it("says which there are where one is missing, and which nobody takes", function()
    local web = assert(socket.bind("127.0.0.1", 0))
    local _, port = web:getsockname()
    process.write_file(directory .. "/app.lua", process.PRELUDE .. APP .. "\nreturn app\n")
    local started = process.spawn({ "serve", directory .. "/app.lua", "-l", "systemd:wbe" }, passed({ web:getfd() }, "web"))
    assert.equal(4, (started:wait()))
    process.contains(started:stderr(), "systemd:wbe: systemd has passed no socket of this name", "systemd:web (127.0.0.1:" .. port .. ")")
    started = process.spawn({ "serve", directory .. "/app.lua", "-l", "systemd:web" })
    assert.equal(4, (started:wait()))
    process.contains(started:stderr(), "systemd has passed no sockets")
    local server = process.serve(APP, passed({ web:getfd() }, "web"))
    process.contains(server:stderr(), "systemd:web (127.0.0.1:" .. port .. "), which no -l takes")
  end)

  it("refuses nobody over a restart, whose streams end over the window", function()
    local web = assert(socket.bind("127.0.0.1", 0, 4096))
    local _, port = web:getsockname()
    port = tonumber(port)
    local options = with(passed({ web:getfd() }, "web"), { arguments = { "-l", "systemd:web" }, settings = "{ shutdown = { window = 1, retry = 0.5 } }" })
    local server = process.serve(APP, options)
    local streams = {}
    for i = 1, 1000 do
      streams[i] = process.ask(port, "/never")
      process.read_head(streams[i])
    end
    server:kill "TERM"
    local back = {}
    for i = 1, 1000 do -- each as soon as its stream has ended, whether anybody serves or not
      local rest = streams[i]:receive "*a" or ""
      assert(rest:find "retry: %d+\n\n" and rest:find "0\r\n\r\n$", rest)
      streams[i]:close()
      back[i] = process.ask(port, "/never")
    end
    assert.same({ 0 }, { server:wait() })
    local ends = {}
    for minute, second in server:stderr():gmatch "T%d+:(%d+):([%d.]+)Z info  close [^\n]*reason=shutdown" do ends[#ends + 1] = minute * 60 + second end
    table.sort(ends)
    assert.equal(1000, #ends)
    assert.is_true(ends[#ends] - ends[1] > 0.5, "all ended within " .. ends[#ends] - ends[1])
    local next_one = process.serve(APP, options)
    for i = 1, 1000 do
      assert.equal(200, process.read_head(back[i]))
      back[i]:close()
    end
    next_one:stop()
  end)

  it("loses nothing over a restart where a store keeps it, and has who publishes meanwhile wait", function()
    local web = assert(socket.bind("127.0.0.1", 0, 100))
    local _, port = web:getsockname()
    port = tonumber(port)
    local options = with(passed({ web:getfd() }, "web"), { settings = "{ shutdown = { window = 0.1 } }",
      arguments = { "-l", "systemd:web", "--store", "sqlite:" .. directory .. "/store.db" } })
    local source = [[
local numbers = sse.channel("numbers", { history = 1000 })
app:get("/numbers", function(req) return sse.reply(numbers:subscribe { after = req.last_event_id, replay = "all" }) end)
app:post("/numbers", function(req) return assert(numbers:publish(req:body())) end)]]
    local server = process.serve(source, options)
    local function post(n)
      local client = process.connect(port)
      client:send(("POST /numbers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%d"):format(#tostring(n), n))
      return client
    end
    for n = 1, 20 do assert.equal(200, process.read_head(post(n))) end
    local stream = process.ask(port, "/numbers")
    local last = process.read_until(stream, "data: 20\n"):match ".*id: (%S+)"
    server:kill "TERM"
    assert.same({ 0 }, { server:wait() })
    local waiting, back = post(21), process.ask(port, "/numbers", ("Last-Event-ID: %s\r\n"):format(last))
    server = process.serve(source, options)
    assert.equal(200, process.read_head(waiting))
    assert.equal(200, process.read_head(post(22)))
    local events = process.read_until(back, "data: 22\n")
    assert.falsy(events:find("reset", 1, true), events)
    assert.matches("data: 21\n.*data: 22\n", events)
    assert.falsy(events:find("data: 20\n", 1, true))
    back:close()
    server:stop()
  end)

  for where, name in pairs { ["at a path"] = "notify", ["of an abstract name"] = "@spate-" .. math.random(1e9) } do
    it("tells a socket " .. where .. " what becomes of it", function()
      local told = listen(name)
      local server = process.serve(APP, { environment = "NOTIFY_SOCKET=" .. (name:find "^@" and name or directory .. "/" .. name) })
      says(told, "READY=1 STATUS=serving: %S+app.lua, generation 1, on 127.0.0.1:%d+\n")
      server:kill "HUP"
      local usec = says(told, "\nRELOADING=1 MONOTONIC_USEC=(%d+) STATUS=reloading\n")
      local now = tonumber(process.read_file("/proc/uptime"):match "^%S+")
      assert.is_true(math.abs(usec / 1e6 - now) < 60, usec)
      says(told, "RELOADING=1.-\nREADY=1 STATUS=serving: [^\n]+ generation 2")
      process.write_file(directory .. "/app.lua", "error 'broken'")
      server:kill "HUP"
      says(told, "READY=1 STATUS=serving; the last reload failed: [^\n]+ generation 2")
      server:stop()
      says(told, "\nSTOPPING=1 STATUS=stopping\n")
      assert.falsy(told():find("WATCHDOG", 1, true))
    end)
  end

  it("feeds the watchdog while all workers turn, and not while one hangs", function()
    local told = listen "notify"
    local server = process.serve(APP, { environment = ("NOTIFY_SOCKET=%s/notify WATCHDOG_USEC=300000"):format(directory), arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    local function fed() return select(2, told():gsub("WATCHDOG=1\n", "")) end
    process.eventually("food", function() return fed() >= 5 end) -- of workers that sleep
    local late = server:ask "/block"
    local before
    process.eventually("hunger", function()
      local n = fed()
      local is_same = n == before
      before = n
      socket.sleep(0.5)
      return is_same
    end)
    assert.equal(200, process.read_head(late))
    process.eventually("food again", function() return fed() > before + 1 end)
  end)

  it("says which process goes on behind an upgrade", function()
    local told = listen "notify"
    local server = process.serve(APP, { settings = "{ shutdown = { window = 0.2 } }",
      environment = ("NOTIFY_SOCKET=%s/notify WATCHDOG_USEC=300000"):format(directory), wrapper = "sh -c 'WATCHDOG_PID=$$ exec \"$@\"' sh" })
    local command = process.spawn { "upgrade", directory .. "/app.lua" }
    assert.equal(0, (command:wait()))
    heirs[1] = tonumber(says(told, "\nMAINPID=(%d+)\n"))
    assert.same({ 0 }, { server:wait() })
    assert.falsy(told():find("STOPPING", 1, true))
    local function fed() return select(2, told():gsub("WATCHDOG=1\n", "")) end
    local before = fed()
    process.eventually("food by the heir", function() return fed() > before + 2 end)
  end)
end)
