-- SPDX-License-Identifier: MIT
-- spate top: a server's figures and streams in a terminal, which `script` gives it.
local process = require "spec.process"
local json = require("spec.helper").json

local APP = [[
app:mount("/-", spate.admin { authorize = function() return true end })
app:get("/ticks", function(req) req:tag("user:" .. (req.query.user or "")) return sse.reply(sse.interval(0.05)) end)
app:get("/never", function() return sse.reply(sse.never()) end)
local news, alpha = sse.channel "news", sse.channel "alpha"
app:get("/news", function() return sse.reply(news:subscribe()) end)]]

describe("spate top", function()
  local directory, server
  before_each(function()
    directory = process.enter()
    server = process.serve(APP)
  end)
  after_each(process.leave)

  local function url() return ("http://127.0.0.1:%d/-"):format(server.port) end

  local function top() return ("%s/%s/spate top %s --interval 0.2"):format(process.ROOT, process.BUILD, url()) end

  -- A shell's command on a terminal: what takes keys, and a function of all that it has shown. The command ends once the keys are closed.
  local function session(command)
    local pipe, typescript = directory .. "/keys", directory .. "/typescript"
    process.shell("mkfifo %s", pipe)
    local script = assert(io.popen(("exec script -qfc %s %s < %s > /dev/null 2>&1"):format(process.quote(command), typescript, pipe)))
    local keys = assert(io.open(pipe, "w"))
    keys:setvbuf "no"
    local function shown() local f <close> = io.open(typescript) return f and f:read "a" or "" end
    local closing = { __index = { write = function(_, key) keys:write(key) end }, __close = function() keys:close() script:close() end }
    return setmetatable({}, closing), shown
  end

  local function run(...)
    local started = process.spawn { "top", ... }
    local code = started:wait()
    return code, started:stdout(), started:stderr()
  end

  local function open(target)
    local client = server:ask(target)
    process.read_head(client)
    return client
  end

  it("prints once where there is no terminal, or as JSON", function()
    local ann, never = open "/ticks?user=ann", open "/never"
    process.read_until(ann, "data: 3\n")
    local code, out, err = run(url(), "--interval", "0.3", "--sort", "events")
    assert.equal(0, code, err)
    process.contains(out, "streams 2 (0 opened/s)", "2 streams by events", "AGE    LAG  QUEUED EVENTS  BYTES  REMOTE")
    assert.matches("127.0.0.1 +w0 +/ticks%?user=ann  %[user:ann%]\n.+/never\n", out)
    assert.is_true(tonumber(out:match "events ([%d.]+)/s") > 0)
    assert.falsy(out:find("\27", 1, true))
    code, out = run(url(), "--interval", "0.1", "--json")
    assert.equal(0, code)
    local look = json.decode(out)
    assert.same({ 2, 2, 2 }, { look.count, #look.streams, look.stats.streams })
    ann:close()
    never:close()
  end)

  it("has views of channels, tasks, upstreams, workers and the log", function()
    local news, ticks = open "/news", open "/ticks"
    local function view(...)
      local code, out, err = run(url(), "--interval", "0.1", "--view", ...)
      assert.equal(0, code, err)
      return out
    end
    local out = view "channels"
    process.contains(out, "2 channels by subscribers", "READERS")
    assert.matches("  1 +0 +[%d-.]+ +0 +0  live +news\n.*live +alpha\n", out)
    assert.matches("alpha\n.*news\n", view("channels", "--sort", "name"))
    out = view "tasks"
    process.contains(out, "STATE")
    assert.matches("waiting +w0 +1 +%S*app.lua:%d+ +GET /ticks\n", out)
    out = view "upstreams"
    process.contains(out, "0 requests to other servers", "pool threads:files")
    out = view "overview"
    process.contains(out, "serving, 1 workers")
    assert.matches("worker 0  generation 1 %(served%)  2 streams", out)
    assert.matches("the log\n.*target=/%-/api/stats", view "log")
    local code, json_out = run(url(), "--interval", "0.1", "--view", "channels", "--json")
    assert.equal(0, code)
    assert.equal(2, json.decode(json_out).count)
    local _, err
    code, _, err = run(url(), "--view", "channel")
    assert.equal(2, code)
    process.contains(err, "--view: expected overview, streams, channels, tasks, upstreams or log, got channel")
    code, _, err = run(url(), "--view", "log", "--sort", "age")
    assert.equal(2, code)
    process.contains(err, "--sort: the view log has no order")
    news:close()
    ticks:close()
  end)

  it("shows no bytes that a terminal would obey", function()
    local client = open "/ticks?user=%1B%C3%BC"
    local _, out = run(url(), "--interval", "0.1")
    process.contains(out, "[user:???]")
    client:close()
  end)

  it("says where nobody answers, and what is wrong", function()
    local code, _, err = run("http://127.0.0.1:1/", "--once")
    assert.equal(1, code)
    process.contains(err, "127.0.0.1:1")
    code, _, err = run(("http://127.0.0.1:%d/nowhere"):format(server.port))
    assert.equal(1, code)
    process.contains(err, "/nowhere/api/stats: 404 Not Found")
    code, _, err = run(url(), "--sort", "name")
    assert.equal(2, code)
    process.contains(err, "--sort: expected age, bytes, events, lag or queued, got name")
    code, _, err = run(url(), "--interval", "0")
    assert.equal(2, code)
    process.contains(err, "--interval: expected seconds from 0.1 on, got 0")
    code, _, err = run(directory .. "/app.lua")
    assert.equal(1, code)
    process.contains(err, "--admin 127.0.0.1:9090")
  end)

  it("has the token of SPATE_ADMIN_TOKEN, and prints none", function()
    local admin = process.serve("\n", { arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0" }, environment = "SPATE_ADMIN_TOKEN=0123456789abcdef" })
    local listener = "127.0.0.1:" .. admin:stdout():match "inspector on http://127%.0%.0%.1:(%d+)"
    local function look(token, address)
      local started = process.spawn({ "top", address or listener, "--once", "--interval", "0.1" }, { environment = token and "SPATE_ADMIN_TOKEN=" .. token })
      local code = started:wait()
      return code, started:stdout(), started:stderr()
    end
    local code, out, err, _ = look "0123456789abcdef"
    assert.equal(0, code, err)
    process.contains(out, "streams 0")
    code, _, err = look()
    assert.equal(1, code)
    process.contains(err, "/api/stats: 401 Unauthorized; the token of an admin listener goes into SPATE_ADMIN_TOKEN")
    code, _, err = look "hunter2hunter2hunter2"
    assert.equal(1, code)
    process.contains(err, "401 Unauthorized, with the token of SPATE_ADMIN_TOKEN")
    assert.is_nil(err:find("hunter2", 1, true))
    code, _, err = look(nil, "http://any:hunter2@" .. listener)
    assert.equal(1, code)
    assert.is_nil(err:find("hunter2", 1, true), err)
  end)

  it("draws on a terminal, obeys keys and a new size, and gives the terminal back", function()
    local first, second = open "/ticks?user=ann", open "/never"
    process.read_until(first, "data: 9\n")
    local keys <close>, shown = session(("tty > %s/tty; stty rows 12 cols 60; %s; echo rc $?; stty -a"):format(directory, top()))
    local function shows(text, plain) return process.eventually(text .. " in " .. shown(), function() return shown():find(text, 1, plain) end) end
    shows("2 streams by lag", true)
    shows("\27%[12;1H.-sort: a age")
    for line in shown():gmatch "\27%[[%d;]*m(AGE[^\27]*)" do assert.is_true(#line <= 60) end
    keys:write "e"
    shows("2 streams by events\27", true)
    keys:write "r"
    shows("2 streams by events, least first", true)
    local name = process.read_file(directory .. "/tty"):match "%S+"
    process.shell("stty rows 30 cols 100 < %s", name)
    shows("\27[30;1H", true)
    for key, title in pairs { ["3"] = "2 channels by subscribers", ["4"] = " tasks\27", ["6"] = "the log", ["1"] = "serving, 1 workers", ["5"] = "0 requests to other servers" } do
      keys:write(key)
      shows(title, true)
    end
    keys:write "2"
    shows "REMOTE.*serving, 1 workers.*REMOTE"
    process.shell("stty rows 4 cols 15 < %s", name)
    shows "\27%[4;1H.*\27%[H.-\27%[J\27%[4;1H"
    local frame = shown():match "^.*\27%[H(.-)\27%[J\27%[4;1H"
    assert.equal(3, select(2, frame:gsub("\n", "")))
    process.shell("stty rows 30 cols 100 < %s", name)
    keys:write "\3" -- Ctrl-C, which is a key
    shows "rc 0"
    shows "\27%[%?25h\27%[%?1049l.*rc 0.* icanon.* echo "
    first:close()
    second:close()
  end)

  for name, number in pairs { TERM = 15, HUP = 1, QUIT = 3, INT = 2 } do
    it("gives the terminal back where it is ended by SIG" .. name, function()
      local stream = open "/never"
      local command = ("sh -c 'ulimit -c 0; echo $$ > %s/pid; exec %s'; echo rc $?; stty -a"):format(directory, top())
      local _ <close>, shown = session(command)
      local function shows(text) return process.eventually(text .. " in " .. shown(), function() return shown():find(text) end) end
      shows "1 streams by lag"
      process.shell("kill -%s %s", name, process.read_file(directory .. "/pid"):match "%d+")
      shows("\27%[%?25h\27%[%?1049l.*rc " .. 128 + number .. ".* icanon.* echo ")
      stream:close()
    end)
  end
end)
