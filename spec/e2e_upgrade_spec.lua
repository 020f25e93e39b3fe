-- SPDX-License-Identifier: MIT
-- spate upgrade: a new process takes the sockets over while clients come.
local process = require "spec.process"

describe("an upgrade", function()
  local directory, server, heirs

  before_each(function() directory, heirs = process.enter(), {} end)
  after_each(function()
    for _, pid in ipairs(heirs) do os.execute(("kill -9 %d 2>/dev/null"):format(pid)) end
    process.leave()
  end)

  local APP = [[
app:get("/", function() return "%s" end)
app:get("/pid", function() local f <close> = io.open "/proc/self/stat" return f:read "l" end)
app:get("/ticks", function() return sse.reply(sse.interval(0.05)) end)
app:get("/never", function() return sse.reply(sse.never()) end)]]

  local function save(text) process.write_file(directory .. "/app.lua", process.PRELUDE .. text .. "\nreturn app\n") end

  local function run(...)
    local started = process.spawn { ... }
    local code = started:wait()
    return code, started:stdout(), started:stderr()
  end

  local function body(target) return (select(2, process.get(server.port, target or "/"))) end

  local function upgrade()
    local code, out, err = run("upgrade", directory .. "/app.lua")
    local stat = body "/pid"
    local pid = assert(tonumber(stat:match "^%d+"), stat)
    if code == 0 then heirs[#heirs + 1] = pid end
    return code, out, err, pid
  end

  it("has a new process serve, and lets the old one's streams go with a retry and a clean end", function()
    server = process.serve(APP:format "old", { settings = "{ shutdown = { window = 0.2, retry = 1 } }", arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    local stream = server:ask "/ticks"
    process.read_until(stream, "data: 2\n")
    save(APP:format "new")
    local code, out, err, pid = upgrade()
    assert.equal(0, code, err)
    process.contains(out, "upgraded: " .. directory .. "/app.lua")
    assert.are_not.equal(server.pid, pid)
    process.eventually("the new code", function() return body() == "new" end) -- a worker may just have accepted one more
    for _ = 1, 20 do assert.equal("new", body()) end
    local rest = stream:receive "*a" or ""
    assert.truthy(rest:find "retry: %d+\n\n\r\n0\r\n\r\n$" or rest:find "retry: %d+", rest)
    assert.same({ 0 }, { server:wait() })
    process.contains(server:stderr(), "stopping: a new process serves")
    assert.equal("new", body())
  end)

  it("has the new process begin with no signal blocked or ignored", function()
    local copy = directory .. "/program"
    process.shell("cp %s/%s/spate %s", process.ROOT, process.BUILD, copy)
    server = process.serve(APP:format "old", { wrapper = "sh -c 'shift; exec " .. copy .. " \"$@\"' sh" })
    process.write_file(copy .. ".new", "#!/usr/bin/env lua5.4\nio.stderr:write(io.open('/proc/self/status'):read 'a')\nos.exit(1)\n")
    process.shell("chmod +x %s.new && mv %s.new %s", copy, copy, copy)
    assert.equal(1, (run("upgrade", directory .. "/app.lua")))
    server:says "not upgraded"
    for _, name in ipairs { "Blk", "Ign" } do
      local set = tonumber(server:stderr():match("Sig" .. name .. ":\t(%x+)"), 16)
      assert.equal(0, set & 0x7fffffff, name) -- signals 32 and 33 are the C library's own
    end
  end)

  it("refuses nobody who comes meanwhile", function()
    server = process.serve(APP:format "old", { settings = "{ shutdown = { window = 0.2 } }", arguments = { "-l", "127.0.0.1:0", "-l", "unix:" .. directory .. "/s", "-w", "2" } })
    local client = process.spawn({}, { wrapper = "sh -c " .. process.quote(
      ("unset LD_PRELOAD; for i in $(seq 60); do curl -sS --max-time 5 http://127.0.0.1:%d/ && curl -sS --max-time 5 --unix-socket %s/s http://x/; done"):format(server.port, directory)) })
    save(APP:format "new")
    assert.equal(0, (upgrade()))
    assert.same({ 0 }, { server:wait() })
    client:wait()
    assert.equal("", client:stderr())
    local answers, others = 0, client:stdout():gsub("old", ""):gsub("new", "")
    for _ in client:stdout():gmatch "%l%l%l" do answers = answers + 1 end
    assert.equal("", others)
    assert.equal(120, answers)
    process.contains(client:stdout(), "new")
    assert.equal(0, os.execute(("LD_PRELOAD= curl -sf --unix-socket %s/s http://x/ >/dev/null"):format(directory)) and 0) -- its file is there still
  end)

  it("that does not load leaves the old process serving", function()
    server = process.serve(APP:format "old")
    save "error 'broken'"
    local code, _, err = run("upgrade", directory .. "/app.lua")
    assert.equal(1, code)
    process.contains(err, "the new process has not come to serve")
    process.contains(server:stderr(), "broken")
    server:says "not upgraded"
    assert.equal("old", body())
    save(APP:format "new")
    assert.equal(0, (upgrade())) -- the next one may
    assert.equal("new", body())
  end)

  -- Its file tells who it is: it has no other way before it serves.
  local HANGS = [[
local f <close> = io.open("%s/new", "w")
f:write(io.open "/proc/self/stat":read "l")
f:close()
while true do os.execute "sleep 0.1" end]]

  local function await_new()
    local path = directory .. "/new"
    process.eventually("a new process", function()
      local f <close> = io.open(path)
      return f and f:read "n"
    end)
    local pid = tonumber(process.read_file(path):match "^%d+")
    heirs[#heirs + 1] = pid
    return pid
  end

  local function runs(pid) return os.execute(("kill -0 %d 2>/dev/null"):format(pid)) end

  it("ends a new process that does not come to serve in time", function()
    server = process.serve(APP:format "old", { settings = "{ timeouts = { start = 1 } }" })
    save(HANGS:format(directory))
    local code, _, err = run("upgrade", directory .. "/app.lua")
    assert.equal(1, code)
    process.contains(err, "the new process has not come to serve within timeouts.start and 5 s more: it was killed")
    assert.falsy(runs(await_new()))
    assert.equal("old", body())
    save(APP:format "new")
    assert.equal(0, (upgrade()))
    process.eventually("the new code", function() return body() == "new" end)
  end)

  it("is over where the old process stops meanwhile", function()
    server = process.serve(APP:format "old")
    save(HANGS:format(directory))
    local asking = process.spawn { "upgrade", directory .. "/app.lua" }
    local pid = await_new()
    assert.same({ 0, "stopped: " .. directory .. "/app.lua\n", "" }, { run("stop", directory .. "/app.lua") }) -- not the new one, which serves nobody yet
    assert.same({ 0 }, { server:wait() })
    assert.equal(1, (asking:wait()))
    process.contains(asking:stderr(), "the server is stopping")
    assert.falsy(runs(pid))
  end)

  it("gives the new process its sockets, and no other descriptor that is open", function()
    server = process.serve(APP:format "old", { settings = "{ shutdown = { window = 0.2 } }" })
    local counts = {}
    for i = 1, 3 do
      local code, _, err, pid = upgrade()
      assert.equal(0, code, err)
      counts[i] = setmetatable({ pid = pid, port = server.port }, getmetatable(server)):descriptors_at_rest()
    end
    assert.is_true(counts[3] < counts[1] + 2, table.concat(counts, " ")) -- each has handed on four where it did so
  end)

  it("keeps addresses and workers", function()
    server = process.serve(APP:format "old", { settings = "{ workers = 1 }", arguments = { "-l", "127.0.0.1:0" } })
    process.write_file(directory .. "/settings.lua", "return { workers = 2 }")
    local code = run("upgrade", directory .. "/app.lua")
    assert.equal(1, code)
    process.contains(server:stderr(), "an upgrade keeps addresses and number of workers; restart for others")
    assert.equal("old", body())
  end)

  it("takes the program as it lies on the disk by then", function()
    local copy = directory .. "/program"
    process.shell("cp %s/%s/spate %s", process.ROOT, process.BUILD, copy)
    server = process.serve(APP:format "old", { wrapper = "sh -c 'shift; exec " .. copy .. " \"$@\"' sh" })
    process.shell("cp %s %s.new && mv %s.new %s", copy, copy, copy, copy)
    local code, _, err, pid = upgrade()
    assert.equal(0, code, err)
    local link <close> = assert(io.popen(("readlink /proc/%d/exe"):format(pid)))
    assert.equal(copy, link:read "l")
  end)

  it("has a thousand clients come back over the window, and refuses none", function()
    server = process.serve(APP:format "old", { settings = "{ shutdown = { window = 1, retry = 0.5 } }" })
    local streams = {}
    for i = 1, 1000 do
      streams[i] = server:ask "/never"
      process.read_head(streams[i])
    end
    assert.equal(0, (upgrade()))
    assert.same({ 0 }, { server:wait() })
    local ends = {}
    for minute, second in server:stderr():gmatch "T%d+:(%d+):([%d.]+)Z info  close [^\n]*reason=shutdown" do ends[#ends + 1] = minute * 60 + second end
    table.sort(ends)
    assert.equal(1000, #ends)
    assert.is_true(ends[#ends] - ends[1] > 0.5, "all ended within " .. ends[#ends] - ends[1])
    for i = 1, 1000 do
      streams[i]:close()
      streams[i] = process.ask(server.port, "/never")
      assert.equal(200, process.read_head(streams[i]))
    end
  end)
end)
