-- SPDX-License-Identifier: MIT
-- Programs of a real server: hundreds come and go, and none is left, whatever ends them or the server.
local helper = require "spec.helper"
local process = require "spec.process"

local APP = [[
local process = require "spate.process"
local kept = {}

app:get("/lines", function() return sse.reply(process.spawn({ "sh", "-c", "echo $$; seq 3" }):lines()) end)

app:get("/fds", function() return process.run({ "ls", "-l", "/proc/self/fd" }).out end)

app:get("/group", function(req)
  return sse.reply(function(send)
    local p = process.spawn { "sh", "-c", "sleep 1000 & echo $!; echo $$; wait" }
    for line in p:lines() do send(line) end
  end)
end)

app:get("/orphan", function() return process.run({ "sh", "-c", "sleep 1000 >/dev/null & echo $!" }).out end)

app:get("/task", function(req) -- one that outlives its request; `ignore` SIGTERM
  local script = req.query.ignore and "trap '' TERM; echo $$; while :; do sleep 0.05; done" or "echo $$; exec sleep 1000"
  local p = process.spawn { "sh", "-c", script }
  local pid
  for line in p:lines() do pid = line break end
  sse.spawn(function() p:wait() end)
  return pid
end)

app:get("/bomb", function()
  local refused, code = 0
  for i = 1, 5000 do
    local p, message, why = process.spawn { "sleep", "1000" }
    if p then kept[#kept + 1] = p
    else refused, code = refused + 1, why end
    if i % 100 == 0 then sse.sleep(0) end
  end
  return { refused = refused, kept = #kept, code = code }
end)

app:get("/defuse", function()
  for _, p in ipairs(kept) do p:close() end
  kept = {}
  return "ok"
end)

app:get("/code", function() return tostring(process.spawn({ "sh", "-c", "exit 7" }):wait()) end)
app:get("/", function() return spate.stats() end)
]]

local server

local function json(target)
  local status, body = server:get(target)
  assert.equal(200, status, body)
  return assert(helper.json.decode(body))
end

local function is_alive(pid)
  local f <close> = io.open(("/proc/%d/stat"):format(pid))
  return f ~= nil and f:read("a"):match("%) (%a)") ~= "Z"
end

-- Every child that the server has, zombies included.
local function children()
  local list = {}
  local tasks <close> = assert(io.popen(("cat /proc/%d/task/*/children"):format(server.pid)))
  for pid in tasks:read("a"):gmatch "%d+" do list[#list + 1] = tonumber(pid) end
  return list
end

-- The server's descriptors: what each is, and whether exec closes it.
local function descriptors()
  local set = {}
  local list <close> = assert(io.popen(("cd /proc/%d && for fd in fd/*; do echo $(readlink $fd) $(sed -n 's/^flags:.//p' fdinfo/${fd#fd/} 2>/dev/null); done"):format(server.pid)))
  for name, flags in list:read("a"):gmatch "([^\n]+) (%d+)\n" do set[name] = tonumber(flags, 8) & tonumber("2000000", 8) ~= 0 end
  return set
end

local function await_end_of(...)
  for _, pid in ipairs { ... } do
    process.eventually("the end of " .. pid, function() return not is_alive(pid) end)
  end
end

local function serve(settings, options)
  process.enter()
  options = options or {}
  options.settings = settings
  server = process.serve(APP, options)
end

describe("programs of the server", function()
  after_each(process.leave)

  it("come and go by the hundred: no zombie and no descriptor is left", function()
    serve("{ limits = { processes = 50 } }", { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    server:get "/fds" -- so that what is opened once is open
    local before = server:descriptors_at_rest()
    local started = json("/").processes_total
    for _ = 1, 20 do
      local clients = {}
      for i = 1, 25 do clients[i] = process.ask(server.port, "/lines", "Connection: close\r\n") end
      for _, client in ipairs(clients) do
        local bytes = assert(client:receive("*a"), server:stderr())
        assert.matches("data: 1.*data: 2.*data: 3", bytes .. server:stderr():sub(-2000))
        client:close()
      end
    end
    local stats = process.eventually("the end of all", function()
      local now = json "/"
      return now.processes == 0 and now
    end)
    assert.equal(500, stats.processes_total - started)
    assert.equal(0, stats.processes_refused_total)
    assert.same({}, children())
    assert.is_true(server:descriptors_at_rest() <= before)
    server:stop()
  end)

  it("have three descriptors, and those that the server has for them are closed by any exec", function()
    serve("{}", { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    server:get "/"
    local before = descriptors()
    local client = server:ask "/group"
    process.read_until(client, "data: ")
    local theirs = {}
    for fd, target in select(2, server:get "/fds"):gmatch "(%d+) %-> ([^\n]+)" do theirs[#theirs + 1] = fd .. " " .. target:gsub("%d+", "N") end
    assert.same({ "0 /dev/null", "1 pipe:[N]", "2 pipe:[N]", "3 /proc/N/fd" }, theirs)
    local n = 0
    for name, is_closed in pairs(descriptors()) do
      if before[name] == nil and (name:find "^pipe" or name:find "pidfd") then
        n = n + 1
        assert.is_true(is_closed, name)
      end
    end
    assert.equal(3, n)
    client:close()
    server:stop()
  end)

  it("are refused where a script asks for thousands, and can be had again", function()
    serve "{ limits = { processes = 30 } }"
    assert.same({ refused = 4970, kept = 30, code = "limit" }, json "/bomb")
    assert.equal(30, #children())
    local stats = json "/"
    assert.equal(30, stats.processes)
    assert.equal(4970, stats.processes_refused_total)
    assert.equal("ok", select(2, server:get "/defuse"))
    process.eventually("the end of all", function() return #children() == 0 and json("/").processes == 0 end)
    assert.equal("7", select(2, server:get "/code"))
    server:stop()
  end)

  it("end with their client, the whole group", function()
    serve "{}"
    local client = server:ask "/group"
    process.read_until(client, "data: ")
    local child = process.read_until(client, "\n"):match "%d+"
    process.read_until(client, "data: ")
    local leader = process.read_until(client, "\n"):match "%d+"
    assert.is_true(is_alive(child) and is_alive(leader))
    client:close()
    await_end_of(child, leader)
    process.eventually("the reaping", function() return #children() == 0 end)
    server:stop()
  end)

  it("leave no zombie of what they left behind either, where orphans become the server's, as they do in a container", function()
    process.enter()
    server = process.serve(APP, { environment = process.preload("reaper", [[
      #include <sys/prctl.h>
      __attribute__((constructor)) static void begin(void) { prctl(PR_SET_CHILD_SUBREAPER, 1); }
    ]]) })
    local body = select(2, server:get "/orphan")
    local orphan = body:match "%d+"
    await_end_of(orphan)
    process.eventually("the reaping", function() return #children() == 0 and json("/").processes == 0 end)
    assert.is_nil(io.open("/proc/" .. orphan))
    server:stop()
  end)

  it("end with the code that has started them, at a reload", function()
    serve "{}"
    local pid = select(2, server:get "/task")
    assert.is_true(is_alive(pid))
    server:kill "HUP"
    await_end_of(pid)
    process.eventually("the reaping", function() return #children() == 0 end)
    server:stop()
  end)

  it("end with the server, by SIGKILL where they ignore SIGTERM", function()
    serve "{ timeouts = { kill = 0.5 } }"
    local one, stubborn = select(2, server:get "/task"), select(2, server:get "/task?ignore=1")
    assert.is_true(is_alive(one) and is_alive(stubborn))
    server:stop()
    assert.is_false(is_alive(one) or is_alive(stubborn))
  end)

  it("end with a server that is told twice to stop, and waits for nobody", function()
    serve "{ timeouts = { kill = 100 } }"
    local stubborn = select(2, server:get "/task?ignore=1")
    server:kill "TERM"
    server:says "stopping"
    server:kill "TERM"
    assert.equal(0, (server:wait()), server:stderr())
    await_end_of(stubborn)
  end)

  it("tell how they have ended also where the server was started with SIGCHLD ignored", function()
    serve("{}", { before = "trap '' CHLD" })
    assert.equal("7", select(2, server:get "/code"))
    server:stop()
  end)
end)
