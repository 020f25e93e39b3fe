-- SPDX-License-Identifier: MIT
-- Scripts that loop, block or never end while the program loads, reloads and stops them; and whoever disturbs its
-- control socket. The code that was good goes on.
local process = require "spec.process"
local unix = require "socket.unix"

local function app(answer, more)
  return process.PRELUDE .. (more or "") .. ("app:get('/', function() return %q end)\n"):format(answer) .. [[
app:get("/ticks", function() return sse.reply(sse.interval(0.05)) end)
app:get("/stats", function() return spate.stats() end)
return app
]]
end

describe("the program withstands", function()
  local directory, server

  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function path(name) return directory .. "/" .. name end
  local function save(text) process.write_file(path "app.lua", text) end

  local function start(settings)
    save(app "one")
    server = process.serve(path "app.lua", { settings = settings, arguments = { "-l", "127.0.0.1:0" } })
  end

  local function body() return (select(2, process.get(server.port, "/"))) end

  local function run(...)
    local started = process.spawn { ... }
    local code = started:wait()
    return code, started:stdout(), started:stderr()
  end

  local function reload_fails(...)
    local code, _, err = run("reload", tostring(server.pid))
    assert.equal(1, code)
    process.contains(err, ...)
    assert.equal("one", body())
  end

  local function finds(text) return server:stderr():find(text, 1, true) end

  local function generations()
    return tonumber((select(2, process.get(server.port, "/stats"))):match '"generations":(%d+)')
  end

  local LOOPS = {
    ["while true do end"] = "while true do end",
    ["a loop in pcall"] = "while true do pcall(function() while true do end end) end",
    ["a loop in an error handler"] = "xpcall(error, function() while true do end end)",
    ["a loop in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
    ["a loop in a sort"] = "while true do pcall(table.sort, { 1, 2, 3 }, function() while true do end end) end",
  }
  for name, loop in pairs(LOOPS) do
    it(name .. " while a script is loaded", function()
      save(app("never", loop .. "\n"))
      local err = process.failure(1, { "serve", path "app.lua", "-l", "127.0.0.1:0" })
      process.contains(err, "app.lua:3:", "limits.burst")
      start()
      save(app("two", loop .. "\n"))
      reload_fails("app.lua:3:", "limits.burst")
      server:stop()
    end)
  end

  it("a script that blocks while it is loaded", function()
    start()
    save(app("two", "os.execute 'echo loading >&2; exec sleep 30'\n")) -- longer than anything may take
    server:kill "HUP"
    server:says "loading"
    for _ = 1, 20 do assert.equal("one", body()) end
    server:stop()
  end)

  it("a finalizer that blocks while an old state is closed", function()
    start()
    save(app("two", "KEPT = setmetatable({}, { __gc = function() os.execute 'sleep 30' end })\n"))
    assert.equal(0, (run("reload", tostring(server.pid))))
    save(app "three")
    assert.equal(0, (run("reload", tostring(server.pid))))
    assert.equal("three", body())
    server:stop() -- does not wait for the finalizer
  end)

  it("a finalizer that loops while an old state is closed, but for its supervisor", function()
    start "{ limits = { burst = 0.1, hang = 0.5 } }"
    save(app("two", "KEPT = setmetatable({}, { __gc = function() while true do end end })\n"))
    assert.equal(0, (run("reload", tostring(server.pid))))
    save(app "three")
    server:kill "HUP"
    assert.same({ 6, "signal" }, { server:wait() })
    assert.is_truthy(finds "cannot be stopped")
  end)

  it("on_stop functions that never end", function()
    save(app("one", "app:on_stop(function() while true do sse.sleep(1) end end)\napp:on_stop(function() while true do end end)\n"))
    server = process.serve(path "app.lua", { settings = "{ shutdown = { grace = 0.5 }, limits = { burst = 0.1 } }", arguments = { "-l", "127.0.0.1:0" } })
    for _ = 1, 3 do assert.equal(0, (run("reload", tostring(server.pid)))) end
    process.eventually("the end of the old states", function() return generations() == 1 end)
    server:stop()
  end)

  it("a reload while it stops", function()
    local count = path "count"
    save(app("one", ("app:on_stop(function() local f <close> = io.open(%q, 'a') f:write 'x' sse.sleep(0.5) end)\n"):format(count)))
    server = process.serve(path "app.lua", { arguments = { "-l", "127.0.0.1:0" } })
    save(app("two", "os.execute 'echo loading >&2; sleep 0.2'\n"))
    server:kill "HUP"
    server:says "loading"
    server:kill "TERM"
    server:says "stopping"
    local code, _, err = run("reload", tostring(server.pid))
    assert.equal(1, code)
    process.contains(err, "stopping")
    assert.same({ 0 }, { server:wait() })
    assert.equal("x", process.read_file(count))
  end)

  it("many reloads at once", function()
    start()
    save(app "two")
    local started = {}
    for i = 1, 50 do started[i] = process.spawn { "reload", tostring(server.pid) } end
    for _, one in ipairs(started) do assert.same({ 0 }, { one:wait() }, one:stderr()) end
    assert.equal("two", body())
    process.eventually("the end of the old states", function() return generations() == 1 end)
    server:stop()
  end)

  it("streams of many generations", function()
    start "{ reload = { generations = 3 }, shutdown = { window = 0.1 } }"
    local streams = {}
    for i = 1, 10 do
      streams[i] = process.ask(server.port, "/ticks")
      assert.equal(200, process.read_head(streams[i]))
      assert.equal(0, (run("reload", tostring(server.pid))))
    end
    process.eventually("few generations", function() return generations() <= 5 end)
    for _, client in ipairs(streams) do client:close() end
    process.eventually("one generation", function() return generations() == 1 end)
    server:stop()
  end)

  local function control()
    local client = unix()
    client:settimeout(process.SECONDS)
    assert(client:connect(("%s/spate/%d"):format(directory, server.pid)))
    return client
  end

  it("clients of its control socket that say nothing, garbage or too much", function()
    start()
    local clients = {}
    for i = 1, 100 do
      clients[i] = control()
      if i % 3 == 1 then clients[i]:send "re" end
      if i % 3 == 2 then clients[i]:send(("x"):rep(1000)) end
    end
    local code, out = run("status", tostring(server.pid))
    assert.equal(0, code)
    assert.matches("\nstate +serving\n", "\n" .. out)
    save(app "two")
    assert.equal(0, (run("reload", tostring(server.pid))))
    local odd = control()
    odd:send "nonsense\n"
    assert.equal("failed\nunknown command\n", odd:receive "*a")
    for _, client in ipairs(clients) do client:close() end
    server:stop()
  end)

  it("spate stop while it loads", function()
    save(app("one", "os.execute 'sleep 5'\n"))
    server = process.spawn { "serve", path "app.lua", "-l", "127.0.0.1:0" }
    process.eventually("the control socket", function() return (run("status", tostring(server.pid))) == 0 end)
    assert.equal(0, (run("stop", tostring(server.pid))))
    assert.same({ 15, "signal" }, { server:wait() })
  end)
end)
