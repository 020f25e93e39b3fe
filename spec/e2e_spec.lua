-- SPDX-License-Identifier: MIT
-- The real program: started as a process, spoken to by real sockets.
local helper = require "spec.helper"
local process = require "spec.process"
local socket = require "socket"

local connect, ask, get, reset = process.connect, process.ask, process.get, process.reset
local contains, eventually, failure, serve, spawn = process.contains, process.eventually, process.failure, process.serve, process.spawn
local read_file, read_head, read_until = process.read_file, process.read_head, process.read_until
local shell, write_file = process.shell, process.write_file
local ROOT, BUILD, SECONDS, PRELUDE = process.ROOT, process.BUILD, process.SECONDS, process.PRELUDE
local directory

local function descriptor(listener) return ("fd:%d"):format(listener:getfd()) end

local HELLO = 'app:get("/", function() return "hello" end)\n'
local STREAM = 'app:get("/stream", function() return sse.reply(sse.interval(0.02)) end)\n'
-- Answers once there is a file "go" beside it.
local SLOW = [[
app:get("/slow", function()
  print "asked"
  while not os.rename("go", "go") do sse.sleep(0.01) end
  return "done"
end)
]]
local QUICK = "{ shutdown = { window = 0.1, grace = 5, retry = 2 } }"

describe("the program", function()
  before_each(function()
    directory = process.enter()
  end)

  after_each(function()
    process.leave()
  end)

  describe("serves", function()
    it("a tick a second to curl, from another directory and with nothing installed", function()
      local server = serve(ROOT .. "/examples/ticks.lua", { dir = "/" })
      assert.equal(("serving %s/examples/ticks.lua on http://127.0.0.1:%d (1 worker)\n"):format(ROOT, server.port),
        server:stdout())
      local curl <close> = assert(io.popen(("env -u LD_PRELOAD curl -sN --max-time 2.5 http://127.0.0.1:%d/ticks"):format(server.port)))
      contains(curl:read("a"), "event: tick\n", "id: 1\n", "data: 1\n\n", "id: 2\n")
      server:stop()
    end)

    it("the application in the working directory, with the settings file beside it", function()
      write_file(directory .. "/app.lua", PRELUDE .. HELLO .. "return app")
      write_file(directory .. "/spate.conf.lua", 'return { listen = "127.0.0.1:0", workers = 2, log = { level = "off" } }')
      local server = spawn { "serve" }
      local port = eventually("the address", function()
        return server:stdout():match("^serving app.lua on http://127.0.0.1:(%d+) %(2 workers%)\n")
      end)
      assert.same({ 200, "hello" }, { get(port, "/") })
      server:stop()
      assert.equal("", server:stderr())
    end)

    it("modules that lie beside the script", function()
      write_file(directory .. "/greeting.lua", 'return "from beside"')
      local server = serve('local text = require "greeting"\napp:get("/", function() return text end)\n', { dir = "/" })
      assert.same({ 200, "from beside" }, { get(server.port, "/") })
      server:stop()
    end)

    it("by every worker, each with a state of its own", function()
      local server = serve([[
local count = 0
app:get("/", function()
  count = count + 1
  return { worker = spate.worker, count = count }
end)
]], { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
      contains(server:stdout(), "(2 workers)")
      local total, last = 0, {}
      for _ = 1, 64 do
        local status, body = get(server.port, "/")
        assert.equal(200, status)
        local answer = helper.json.decode(body)
        last[answer.worker] = math.max(last[answer.worker] or 0, answer.count)
      end
      for worker, count in pairs(last) do
        assert(worker == 0 or worker == 1)
        total = total + count
      end
      assert(last[0] and last[1], "one worker had all of the requests")
      assert.equal(64, total)
      server:stop()
    end)

    it("at several addresses", function()
      local server = serve(HELLO, { arguments = { "-l", "127.0.0.1:0", "-l", "127.0.0.1:0", "-w", "2" } })
      assert.equal(2, #server.addresses)
      assert.not_equal(server.addresses[1], server.addresses[2])
      for _, address in ipairs(server.addresses) do
        assert.same({ 200, "hello" }, { get(tonumber(address:match("%d+$")), "/") })
      end
      server:stop()
    end)

    it("at the addresses of the command line rather than those of the settings", function()
      local server = serve(HELLO, { settings = '{ listen = { "127.0.0.1:1", "127.0.0.1:2" }, workers = 3 }',
        arguments = { "-l", "127.0.0.1:0", "-w", "1" } })
      assert.equal(1, #server.addresses)
      contains(server:stdout(), "(1 worker)")
      server:stop()
    end)

    it("at a descriptor that it was given", function()
      local listener = assert(socket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      local server = serve(HELLO, { arguments = { "-l", descriptor(listener), "-w", "2" } })
      listener:close()
      assert.same({ "http://127.0.0.1:" .. port }, server.addresses)
      for _ = 1, 8 do assert.same({ 200, "hello" }, { get(port, "/") }) end
      server:stop()
    end)
  end)

  describe("at a UNIX socket", function()
    local function fetch(path)
      local curl <close> = assert(io.popen(("env -u LD_PRELOAD curl -s --max-time %d --unix-socket %s http://spec/"):format(SECONDS, path)))
      return curl:read("a")
    end

    it("serves, and takes its file along when it ends", function()
      local path = directory .. "/s"
      local server = serve(HELLO, { arguments = { "-l", "unix:" .. path, "-w", "2" } })
      assert.same({ "unix:" .. path }, server.addresses)
      for _ = 1, 4 do assert.equal("hello", fetch(path)) end
      server:stop()
      assert.is_nil(io.open(path))
    end)

    it("replaces the file of a server that was killed", function()
      local path = directory .. "/s"
      local first = serve(HELLO, { arguments = { "-l", "unix:" .. path } })
      first:kill("KILL")
      first:wait()
      local second = serve(HELLO, { arguments = { "-l", "unix:" .. path } })
      assert.equal("hello", fetch(path))
      second:stop()
    end)

    it("leaves the socket of a living server, and any other file, alone", function()
      local path, file = directory .. "/s", directory .. "/file"
      local server = serve(HELLO, { arguments = { "-l", "unix:" .. path } })
      write_file(file, "precious")
      for _, taken in ipairs { path, file } do
        contains(failure(4, { "serve", directory .. "/app.lua", "-l", "unix:" .. taken }),
          "cannot listen on unix:" .. taken, "\nhint: ")
      end
      assert.equal("precious", read_file(file))
      assert.equal("hello", fetch(path))
      server:stop()
    end)

    it("leaves the socket of the next server alone when it ends late", function()
      local path = directory .. "/s"
      local first = serve(SLOW, { arguments = { "-l", "unix:" .. path } })
      local curl <close> = assert(io.popen(("env -u LD_PRELOAD curl -s --unix-socket %s http://spec/slow"):format(path)))
      first:says "asked"
      first:kill("TERM")
      eventually("its file to go", function() return not os.rename(path, path) end)
      local second = serve(HELLO, { arguments = { "-l", "unix:" .. path } })
      write_file(directory .. "/go", "")
      assert.equal("done", curl:read("a"))
      assert.equal(0, (first:wait()))
      assert.equal("hello", fetch(path))
      second:stop()
    end)
  end)

  describe("says what is wrong and", function()
    local function app() return directory .. "/app.lua" end

    before_each(function() write_file(directory .. "/app.lua", PRELUDE .. "return app\n") end)

    for _, workers in ipairs { "1", "2" } do
      it("ends with 4 where the port is in use, with " .. workers .. " worker(s)", function()
        local listener = assert(socket.bind("127.0.0.1", 0))
        local _, port = listener:getsockname()
        local address = "127.0.0.1:" .. port
        contains(failure(4, { "serve", app(), "-l", address, "-w", workers }),
          "spate: cannot listen on " .. address .. ": Address already in use\n", "\nhint: process ", " has " .. address)
        listener:close()
      end)
    end

    it("ends with 4 where another spate has the port, however many workers both have", function()
      local server = serve(HELLO, { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
      failure(4, { "serve", app(), "-l", "127.0.0.1:" .. server.port, "-w", "2" })
      server:stop()
    end)

    it("ends with 4 where an address is given twice or is not this machine's", function()
      local probe = assert(socket.bind("127.0.0.1", 0))
      local _, port = probe:getsockname()
      probe:close()
      local address = "127.0.0.1:" .. port
      failure(4, { "serve", app(), "-l", address, "-l", address, "-w", "2" })
      failure(4, { "serve", app(), "-l", "192.0.2.1:0" })
    end)

    for _, case in ipairs {
      { "an unknown flag", { "serve", "--listn", "127.0.0.1:0" }, "unknown option '--listn'", "did you mean '--listen'?", "see spate serve --help" },
      { "an unknown flag of one letter", { "serve", "-q" }, "unknown option '-q'", "see spate serve --help" },
      { "an unknown command", { "sreve" }, "unknown command 'sreve'", "did you mean 'serve'?" },
      { "no command", {}, "command" },
      { "a flag without its value", { "serve", "-w" }, "-w" },
      { "a number of workers that is none", { "serve", "app.lua", "-w", "many" }, '-w: expected a number from 1 to 256 or "auto"', "'many'" },
      { "no workers", { "serve", "app.lua", "-w", "0" }, "-w: expected a number from 1 to 256" },
      { "an address without a port", { "serve", "app.lua", "-l", "localhost" }, "localhost", "expected HOST:PORT" },
      { "a port out of range", { "serve", "app.lua", "-l", "127.0.0.1:65536" }, "127.0.0.1:65536", "such as 127.0.0.1:8080" },
      { "a scheme that is mistyped", { "serve", "app.lua", "-l", "htps://127.0.0.1:1" }, "-l: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT, got 'htps://127.0.0.1:1'; did you mean 'https://'?" },
      { "another scheme", { "serve", "app.lua", "-l", "ftp://127.0.0.1:1" }, "-l: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT, got 'ftp://127.0.0.1:1'" },
      { "no descriptor", { "serve", "app.lua", "-l", "fd:x" }, "fd:N" },
      { "an empty path", { "serve", "app.lua", "-l", "unix:" }, "unix:PATH" },
      { "two scripts", { "serve", "app.lua", "b.lua" }, "too many arguments" },
    } do
      it("ends with 2 for " .. case[1], function()
        contains(failure(2, case[2]), "spate: ", table.unpack(case, 3))
      end)
    end

    for _, case in ipairs {
      { "an unknown key", "return { limits = { boddy = 1 } }", "unknown setting 'limits.boddy'", "did you mean 'limits.body'?" },
      { "an unknown group", "return { timeout = {} }", "unknown setting 'timeout'", "did you mean 'timeouts'?" },
      { "an unknown key far from all", "return { zzzzzz = 1 }", "unknown setting 'zzzzzz'" },
      { "another way to send", 'return { io_uring = "always" }', 'io_uring: expected "auto" or "off", got "always"' },
      { "a way to send that is no word", "return { io_uring = true }", 'io_uring: expected "auto" or "off", got true' },
      { "a way to send that is a table", "return { io_uring = {} }", 'io_uring: expected "auto" or "off", got table' },
      { "a switch of HTTP/2 that is none", "return { http2 = 5 }", "http2: expected true, false or a table, got 5" },
      { "a coding's name", 'return { compress = "gzip" }', "compress: expected true, false or a table, got \"gzip\"" },
      { "a window of some bytes", "return { http2 = { window = 10 } }", "http2.window: expected a whole number of 1024 or more, got 10" },
      { "a small window of connections", "return { http2 = { connection_window = 1000 } }", "http2.connection_window: expected a whole number of 65535 or more, got 1000" },
      { "windows in the wrong order", "return { http2 = { window = 100000, connection_window = 70000 } }", "http2.window: expected at most the 70000 of http2.connection_window, got 100000; lower it or raise that" },
      { "certificates that are no table", "return { tls = true }", 'tls: expected { cert = "FILE", key = "FILE" }, got true' },
      { "what is of all hosts at one of them", 'return { tls = { cert = "a", key = "b", { cert = "a", key = "b", min = "1.2" } } }', "tls[1].min: it is of all hosts together: expected as tls.min" },
      { "a version of TLS that is a number", "return { tls = { cert = 'a', key = 'b', min = 1.2 } }", 'tls.min: expected a string, "1.2" or "1.3", got the number 1.2' },
      { "a version of TLS that is too old", "return { tls = { cert = 'a', key = 'b', min = '1.1' } }", 'tls.min: expected "1.2" or "1.3", got "1.1"' },
      { "a list of ciphers", 'return { tls = { cert = "a", key = "b", ciphers = {} } }', "tls.ciphers: expected a text, got table" },
      { "a part of a label as a host's name", 'return { tls = { name = "a*.b", cert = "a", key = "b" } }',
        'tls.name: expected one such as "b.example", or "*.b.example" for one label, got a*.b' },
      { "a host's name with a port", 'return { tls = { cert = "a", key = "b", { name = "b.example:443", cert = "a", key = "b" } } }', "tls[1].name: expected one such as" },
      { "a scheme that is mistyped", 'return { listen = { "htps://127.0.0.1:0" } }', "listen[1]: expected HOST:PORT", "did you mean 'https://'?" },
      { "a key that is a number", "return { 1 }", "unknown setting '1'" },
      { "a group that is no table", "return { limits = 3 }", "limits: expected a table such as { head = ... }, got 3" },
      { "a value of the wrong type", "return { limits = { body = '1 MB' } }", "limits.body: expected a whole number of 1 or more, got \"1 MB\"" },
      { "a value out of range", "return { timeouts = { idle = 0 } }", "timeouts.idle: expected seconds above 0, got 0" },
      { "marks in the wrong order", "return { limits = { queue_low = 2, queue_high = 1 } }", "limits.queue_low: expected at most the 1 of limits.queue_high, got 2; lower it or raise that" },
      { "a hang below the burst", "return { limits = { burst = 2, hang = 1 } }", "limits.burst: expected at most the 1 of limits.hang, got 2; lower it or raise that" },
      { "io", 'local f = io.open("x")\nreturn {}', "settings.lua:1: ", "global 'io'", ">    1 | local f = io.open", "hint: a settings file is read without io and os" },
      { "os", 'return {\n  listen = os.getenv "L" }', "settings.lua:2: ", "global 'os'", "hint: " },
      { "require", 'return require "x"', "settings.lua:1: ", "global 'require'" },
      { "a syntax error", "return {\n  limits =\n}", "settings.lua:3: ", ">    3 | }" },
      { "a table that it does not return", "local t = {}", "settings.lua: expected the file to return a table, got nil" },
      { "an error that is no text", "error({})", "table: " },
      { "a number of workers that is none", "return { workers = 1.5 }", "workers: expected a number from 1 to 256" },
      { "no address", "return { listen = {} }", "listen: expected at least one address" },
      { "a bad address", 'return { listen = "nowhere" }', "nowhere: expected HOST:PORT" },
      { "an address of the wrong type", "return { listen = { 8080 } }", "listen[1]: expected an address" },
      { "an address with a NUL", "return { listen = { \"127.0.0.1:0\\0x\" } }", "listen[1]: a NUL in the address" },
    } do
      it("ends with 3 where the settings have " .. case[1], function()
        write_file(directory .. "/settings.lua", case[2])
        contains(failure(3, { "serve", app(), "-c", "settings.lua" }), "spate: ", table.unpack(case, 3))
      end)
    end

    it("ends with 3 where the settings file is missing", function()
      contains(failure(3, { "serve", app(), "-c", "none.lua" }), "cannot open none.lua")
    end)

    for _, case in ipairs {
      { "a syntax error", "local a = 1\nlocal b = = 2\nreturn a", "app.lua:2: unexpected symbol near '='", ">    2 | local b = = 2\n       3 | return a", "\nhint: " },
      { "an open block", "local function f()\n  return 1\n", "app.lua:3: ", "'end' expected", "     2 |   return 1", "\nhint: " },
      { "no app", 'local x = 1\nlocal y = 2\n', "app.lua:2: expected the script to return its app, got nil", ">    2 | local y = 2", "\nhint: the last line of the script is `return app`" },
      { "a module that is missing", 'local a\nlocal b = require "no.such"\n', "app.lua:2: module 'no.such' not found", '>    2 | local b = require "no.such"', "\nhint: modules are looked for beside the script" },
      { "an error while it is loaded", 'local t\nlocal function f() return t.x end\nf()', "app.lua:2: attempt to index a nil value", ">    2 | local function f()", "app.lua:3: in main chunk" },
      { "a loop #watchdog", "while true do end", "app.lua:1: stopped after 0.5 s of CPU time" },
      { "a wait", 'require("spate.sse").sleep(1)', "app.lua:1: ", "\nhint: app:on_start" },
      { "an error that is no text", "error({})", "an error value of type table" },
    } do
      it("ends with 1 where the script has " .. case[1], function()
        write_file(app(), case[2])
        for _, workers in ipairs { "1", "2" } do
          contains(failure(1, { "serve", "app.lua", "-l", "127.0.0.1:0", "-w", workers }), "spate: ", table.unpack(case, 3))
        end
      end)
    end

    it("ends with 1 and the excerpt where the script's path is long", function()
      local path = directory .. "/" .. ("d"):rep(80)
      shell("mkdir %s", path)
      write_file(path .. "/app.lua", "local a\na.b = 1\n")
      contains(failure(1, { "serve", path .. "/app.lua", "-l", "127.0.0.1:0" }), "app.lua:2: ", ">    2 | a.b = 1")
    end)

    it("ends with 1 where there is no script", function()
      contains(failure(1, { "serve", "none.lua" }), "cannot open none.lua: No such file", "spate serve FILE.lua")
      shell("mkdir %s/empty %s/folder %s/folder/app.lua", directory, directory, directory)
      contains(failure(1, { "serve", directory .. "/empty", "-l", "127.0.0.1:0" }), "empty/app.lua: No such file")
      contains(failure(1, { "serve", directory .. "/folder", "-l", "127.0.0.1:0" }), "folder/app.lua: Is a directory")
    end)
  end)

  it("prints its version and its help to stdout", function()
    for flag, text in pairs { ["--version"] = "^spate %d+%.%d+%.%d+\n$", ["--help"] = "^Usage: spate .*serve" } do
      local started = spawn { flag }
      assert.equal(0, (started:wait()))
      assert.matches(text, started:stdout())
      assert.equal("", started:stderr())
    end
    local started = spawn { "serve", "--help" }
    assert.equal(0, (started:wait()))
    contains(started:stdout(), "--listen", "--workers", "--config", "unix:PATH", "fd:N")
  end)

  describe("at SIGTERM", function()
    for _, signal in ipairs { "TERM", "INT" } do
      it("ends its streams cleanly and with 0, by SIG" .. signal, function()
        local server = serve(STREAM, { settings = QUICK, arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
        local clients = {}
        for i = 1, 8 do
          clients[i] = ask(server.port, "/stream")
          assert.equal(200, read_head(clients[i]))
          read_until(clients[i], "data: 1\n\n")
        end
        server:kill(signal)
        for _, client in ipairs(clients) do
          local rest = client:receive("*a")
          local retry = tonumber(rest:match("retry: (%d+)\n"))
          assert(retry and retry >= 2000 and retry <= 4000, rest)
          assert.matches("\r\n0\r\n\r\n$", rest)
          client:close()
        end
        assert.equal(0, (server:wait()))
      end)
    end

    it("lets requests finish, and takes no more connections", function()
      local server = serve(SLOW, { settings = QUICK })
      local client = ask(server.port, "/slow")
      server:says "asked"
      server:kill("TERM")
      eventually("connections to be refused", function()
        local more, err = socket.connect("127.0.0.1", server.port)
        if more then more:close() end
        return err == "connection refused"
      end)
      assert(not server:has_ended())
      write_file(directory .. "/go", "")
      assert.equal(200, read_head(client))
      assert.equal("done", client:receive("*a"))
      assert.equal(0, (server:wait()))
    end)

    it("closes connections that wait for a request", function()
      local server = serve(HELLO, { settings = QUICK })
      local client = ask(server.port, "/")
      assert.equal(200, read_head(client))
      assert.equal("hello", client:receive(5))
      server:stop()
      assert.equal("closed", (select(2, client:receive(1))))
    end)

    it("runs on_stop to its end, and does not wait for what on_start has spawned", function()
      local server = serve([[
app:on_start(function() sse.spawn(function() while true do sse.sleep(0.01) end end) end)
app:on_stop(function()
  sse.sleep(0.2)
  print("stopped well")
end)
]], { settings = "{ shutdown = { grace = 60 } }" })
      server:stop() -- long before its grace is over
      contains(server:stderr(), "stopped well")
    end)

    it("ends with 0 after shutdown.grace whatever still runs", function()
      local server = serve([[
app:get("/", function()
  local forever <close> = setmetatable({}, { __close = function() while true do end end })
  print "asked"
  sse.sleep(3600)
end)
]], { settings = "{ shutdown = { grace = 0.2 } }" })
      local client = ask(server.port, "/")
      server:says "asked"
      server:kill("TERM")
      assert.equal(0, (server:wait()))
      contains(server:stderr(), "shutdown.grace")
      client:close()
    end)
  end)

  it("ends with 130 at once by a second SIGINT", function()
    local path = directory .. "/s"
    local server = serve('app:get("/", function() print "asked" sse.sleep(3600) end)\n', { settings = "{ shutdown = { grace = 3600 } }",
      arguments = { "-l", "127.0.0.1:0", "-l", "unix:" .. path } })
    local client = ask(server.port, "/")
    server:says "asked"
    server:kill("INT")
    server:says "stopping"
    assert(not server:has_ended())
    server:kill("INT")
    assert.equal(130, (server:wait())) -- an hour before its grace is over
    assert.is_nil(io.open(path))
    client:close()
  end)

  it("can be interrupted while its script is loaded", function()
    write_file(directory .. "/app.lua", 'local f <close> = io.popen("echo x > loading; exec sleep 20")\nf:read("a")')
    local started = spawn { "serve", "-l", "127.0.0.1:0", "-w", "2" }
    eventually("the script", function() return io.open(directory .. "/loading") end)
    started:kill("INT")
    assert.same({ 2, "signal" }, { started:wait() })
  end)

  describe("survives", function()
    it("clients that vanish", function()
      local server = serve(HELLO .. STREAM .. [[
app:get("/flood", function()
  return sse.reply(sse.stream(function(send) while true do send(("x"):rep(10000)) end end))
end)
]], { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
      for _ = 1, 40 do
        local flood, stream, half = ask(server.port, "/flood"), ask(server.port, "/stream"), connect(server.port)
        assert(half:send("GET / HT"))
        read_until(flood, "data: ")
        read_until(stream, "data: 1")
        reset(flood)
        reset(stream)
        reset(half)
      end
      for _ = 1, 4 do assert.same({ 200, "hello" }, { get(server.port, "/") }) end
      server:stop()
    end)

    it("500 streams, opened and closed", function()
      local server = serve(STREAM .. 'app:get("/stats", function() return spate.stats() end)\n')
      local clients = {}
      for i = 1, 500 do clients[i] = ask(server.port, "/stream") end
      for _, client in ipairs(clients) do
        assert.equal(200, read_head(client))
        read_until(client, "data: 3\n\n")
      end
      local function stats() return helper.json.decode((select(2, get(server.port, "/stats")))) end
      assert.equal(500, stats().streams)
      for _, client in ipairs(clients) do client:close() end
      eventually("the streams to end", function() return stats().streams == 0 end)
      server:stop()
    end)

    it("a start without stdin, stdout and stderr", function()
      local listener = assert(socket.bind("127.0.0.1", 0))
      local _, port = listener:getsockname()
      write_file(directory .. "/app.lua", PRELUDE .. HELLO .. "return app")
      local started = spawn({ "serve", "-l", descriptor(listener) }, { redirect = "<&- >&- 2>&-" })
      listener:close()
      for _ = 1, 3 do assert.same({ 200, "hello" }, { get(port, "/") }) end
      started:kill("TERM")
      assert.equal(0, (started:wait()))
    end)

    it("not a C call that never returns: names the place and aborts #watchdog", function()
      local server = serve([[
app:get("/", function()
  return tostring((("a"):rep(3000)):find(".-.-.-.-b"))
end)
]], { settings = "{ limits = { burst = 0.1, hang = 0.4 } }" })
      local client = ask(server.port, "/")
      assert.same({ 6, "signal" }, { server:wait() })
      contains(server:stderr(), "app.lua:4: a script cannot be stopped", "limits.hang")
      client:close()
    end)
  end)

  describe("with a log", function()
    local LOUD = HELLO .. 'app:get("/loud", function() spate.log.info(("x"):rep(10000)) return "said" end)\n'

    local function stalled_server()
      local fifo = directory .. "/log"
      shell("mkfifo %s", fifo)
      local reader = assert(io.open(fifo, "r+"))
      return serve(LOUD, { stderr = fifo, settings = QUICK }), reader, fifo
    end

    it("whose reader stalls goes on serving, and says later how much it has lost", function()
      local server, reader, fifo = stalled_server()
      for _ = 1, 300 do assert.same({ 200, "said" }, { get(server.port, "/loud") }) end
      write_file(directory .. "/log.txt", "")
      shell("timeout %d cat %s >%s/log.txt 2>/dev/null &", SECONDS, fifo, directory)
      local line = eventually("the note", function()
        for line in io.lines(directory .. "/log.txt", "L") do
          if line:find("log lines dropped.*\n") then return line end
        end
      end)
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z warn .* lines=%d+\n$", line)
      server:kill("TERM")
      assert.equal(0, (server:wait()))
      reader:close()
    end)

    it("whose reader stalls ends all the same", function()
      local server, reader = stalled_server()
      for _ = 1, 300 do assert.same({ 200, "said" }, { get(server.port, "/loud") }) end
      server:kill("TERM")
      assert.equal(0, (server:wait()))
      reader:close()
    end)

    it("whose reader is gone goes on serving", function()
      local server, reader = stalled_server()
      reader:close()
      for _ = 1, 50 do assert.same({ 200, "said" }, { get(server.port, "/loud") }) end
      server:kill("TERM")
      assert.equal(0, (server:wait()))
    end)

    it("in JSON writes one object a line, whatever is in it", function()
      local server = serve([[
app:get("/", function()
  spate.log.warn("é \255 \n \"q\" \\ \0", { name = "ü\n\127", n = 1.5 })
  return "x"
end)
]], { settings = '{ log = { format = "json" } }' })
      assert.equal(200, (get(server.port, "/")))
      server:stop()
      local found
      for line in server:stderr():gmatch("[^\n]+") do
        local entry = assert(helper.json.decode(line))
        assert(entry.time and entry.level and entry.msg)
        if entry.level == "warn" then found = entry end
      end
      assert.equal("é ÿ \n \"q\" \\ \0", found.msg)
      assert.same({ "ü\n\127", 1.5 }, { found.name, found.n })
    end)

    it("in text lets no message pass for a line of its own", function()
      local server = serve([[
app:get("/", function()
  spate.log.info("one\n2000-01-01T00:00:00.000Z info  forged\27[2J\rx")
  return "x"
end)
]])
      assert.equal(200, (get(server.port, "/")))
      server:stop()
      contains(server:stderr(), "one\n\t2000-01-01T00:00:00.000Z info  forged\\x1b[2J\\x0dx\n")
    end)
  end)

  it("is installed so that stock lua5.4 and busted find harness and spate.test", function()
    local target = directory .. "/root"
    shell("env -u LD_PRELOAD -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s install BUILD=%s DESTDIR=%s PREFIX=/usr >%s/make 2>&1", BUILD,
      target, directory)
    local paths = ("LUA_PATH='%s/usr/share/lua/5.4/?.lua;%s/usr/share/lua/5.4/?/init.lua;;' LUA_CPATH='%s/usr/lib/lua/5.4/?.so;;'"):format(
      target, target, target)
    shell("cd / && %s lua5.4 -e 'assert(require(\"spate.harness\").new)'", paths)
    shell("cd / && %s lua5.4 -e 'assert(not package.searchpath(\"spate.sse\", package.path))'", paths) -- it is inside the program
    shell("cd / && %s lua5.4 -e 'assert(select(2, pcall(require, \"spate\")):find \"run .spate dev app.lua.\")'", paths)
    write_file(directory .. "/app.lua", PRELUDE .. HELLO .. "return app")
    write_file(directory .. "/some_spec.lua", ([[
it("serves", function()
  local server = require("spate.harness").new {}
  assert(server:load("%s/app.lua"))
  local client = server:connect()
  client:send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
  server:turn()
  assert.matches("hello$", client:take())
  client:finish()
  server:close()
end)
]]):format(directory))
    shell("cd %s && %s lua5.4 /usr/bin/busted -o TAP some_spec.lua >/dev/null", directory, paths)
    write_file(directory .. "/other_spec.lua", [[
local t = require "spate.test"
it("serves", function()
  local res = t.load("app.lua"):get "/"
  assert.status(200, res)
  assert.is_nil(res:events()[1])
  assert.same({}, t.channel("c"):history(1))
end)
]])
    shell("cd %s && %s lua5.4 /usr/bin/busted -o TAP other_spec.lua >/dev/null", directory, paths)
    local version <close> = assert(io.popen(target .. "/usr/bin/spate --version"))
    assert.matches("^spate %d", version:read("a"))
  end)
end)
