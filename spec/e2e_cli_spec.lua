-- SPDX-License-Identifier: MIT
-- The commands of the real program.
local helper = require "spec.helper"
local process = require "spec.process"
local socket = require "socket"

local contains, spawn, write_file = process.contains, process.spawn, process.write_file
local json = helper.json
local PRELUDE, SECONDS = process.PRELUDE, process.SECONDS

local directory

-- Runs a command to its end: exit code, stdout, stderr.
local function run(arguments, options)
  local command = spawn(arguments, options)
  local code = command:wait()
  return code, command:stdout(), command:stderr()
end

local function app(source, name) write_file(directory .. "/" .. (name or "app.lua"), PRELUDE .. source .. "\nreturn app\n") end

describe("the command line", function()
  before_each(function() directory = process.enter() end)

  after_each(process.leave)

  it("prints the version, the commit and the libraries' versions", function()
    local code, out = run { "version" }
    assert.equal(0, code)
    local version, commit = out:match "^spate (%d+%.%d+%.%d+) %(commit (%w[%w-]*)%)\n"
    assert.matches("\nLua 5%.4%.%d+, libev 4%.%d+, llhttp %d+%.%d+%.%d+, jansson 2%.%d[%d.]*, OpenSSL 3%.%d+%.%d+%l*, libcurl [78]%.%d+%.%d+%S*, SQLite 3%.%d[%d.]*, libpq %d+%.%d+, nghttp2 1%.%d[%d.]*, hiredis %d+%.%d+%.%d+, zlib 1%.%d+[%d.]*, liburing [%w.][%w. ]*\n$", out)
    code, out = run { "version", "--json" }
    assert.equal(0, code)
    local found = json.decode(out)
    assert.same({ version, commit }, { found.version, found.commit or "none" })
    assert.matches("^5%.4%.", found.libraries.Lua)
  end)

  it("prints the hash of a password that it reads", function()
    local function hash(input, ...)
      write_file(directory .. "/input", input)
      local code, out, err = run({ "password", ... }, { redirect = "<input" })
      return code == 0 and out or err
    end
    local made = hash("secret\n", "--cost", "1")
    assert.matches("^%$y%$j75%$[./%w]+%$[./%w]+\n$", made)
    assert.is_true(hash("secret\n", "--cost", "1") ~= made)
    assert.matches("^%$y%$j9T%$", hash "secret")
    assert.equal("spate: no password\n", hash "\n")
    assert.equal("spate: a password has at most 511 bytes, and no NUL\n", hash(("x"):rep(512)))
    assert.equal("spate: --cost: expected 1 to 11, got 12\n", hash("x", "--cost", "12"))
    assert.matches("^spate: %-%-cost: expected a number, got x\n", hash("x", "--cost", "x"))
  end)

  it("is built with no commit where its source is not in git", function()
    local command = "cd %s && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -f %s/Makefile --eval='shown: ; @echo $(COMMIT)' shown 2>&1"
    local pipe <close> = assert(io.popen(command:format(directory, process.ROOT)))
    assert.equal("none\n", pipe:read "a")
  end)

  for _, case in ipairs {
    { "a script in place of a command", { "app.lua" }, "did you mean 'serve app.lua'?" },
    { "a command", { "chekc" }, "unknown command 'chekc'; did you mean 'check'?" },
    { "a flag of dev", { "dev", "--no-injcet" }, "unknown option '--no-injcet'; did you mean '--no-inject'?" },
    { "a flag of tail", { "tail", "x", "--sinse", "1" }, "did you mean '--since'?" },
    { "another server's flag", { "serve", "--port", "80" }, "did you mean '-l HOST:PORT'?" },
    { "a template", { "new", "x", "-t", "tick" }, "tick", "'ticks', 'chat', 'llm', 'htmx', 'agent'" },
    { "a shell", { "completion", "csh" }, "'bash', 'zsh', 'fish'" },
    { "a URL", { "tail", "ftp://x/y" }, "expected a URL with http or https" },
    { "a header", { "tail", "x", "-H", "nothing" }, "-H: expected 'Name: value', got 'nothing'" },
  } do
    it("ends with 2 and a hint for " .. case[1] .. " that it does not know", function()
      contains(process.failure(2, case[2]), "spate: ", table.unpack(case, 3))
    end)
  end

  it("says how to begin where there is no script", function()
    for _, command in ipairs { "serve", "dev", "check", "routes" } do
      contains(process.failure(1, { command }), "cannot open app.lua", "try `spate new .`")
    end
  end)

  it("says that a folder has no script", function()
    for _, command in ipairs { "serve", "dev", "check" } do
      contains(process.failure(1, { command, directory }), "cannot open " .. directory .. "/app.lua: No such file or directory; name the script")
    end
  end)

  it("names the whole address where one was meant", function()
    app ""
    contains(process.failure(2, { "serve", "-l", "8080" }), "cannot listen on 8080: expected HOST:PORT such as 127.0.0.1:8080")
  end)

  it("serves a script with a byte order mark, with CRLF at its lines' ends, with `#!`, and one with blanks in its path", function()
    local source = 'local spate = require "spate"\nlocal app = spate.app()\napp:get("/", function() return "x" end)\nreturn app\n'
    process.shell("mkdir '%s/a b'", directory)
    for path, text in pairs { ["bom.lua"] = "\xEF\xBB\xBF" .. source, ["crlf.lua"] = source:gsub("\n", "\r\n"), ["script"] = "#!/bin/x\n" .. source, ["a b/my app.lua"] = source } do
      write_file(directory .. "/" .. path, text)
      assert.equal(0, (run { "check", path }), path)
      local server = process.serve(path)
      assert.same({ 200, "x" }, { server:get "/" })
      server:stop()
    end
  end)

  it("tells plain Lua what runs the script", function()
    app ""
    local f <close> = assert(io.popen(("cd %s && LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua' lua5.4 app.lua 2>&1"):format(directory, process.ROOT, process.ROOT)))
    contains(f:read "a", "run `spate dev app.lua`")
  end)

  it("names the process that has the port", function()
    local listener = assert(socket.bind("127.0.0.1", 0))
    local _, port = listener:getsockname()
    app ""
    local f <close> = assert(io.open "/proc/self/stat")
    local pid, name = f:read("a"):match("^(%d+) %((.-)%)")
    contains(process.failure(4, { "serve", "-l", "127.0.0.1:" .. port }), ("\nhint: process %s (%s) has 127.0.0.1:%d; "):format(pid, name, port))
    listener:close()
  end)

  it("completes commands and flags in bash", function()
    local code, out = run { "completion", "bash" }
    assert.equal(0, code)
    write_file(directory .. "/complete", out .. "\nCOMP_WORDS=(spate tail --s) COMP_CWORD=2\n_spate\necho ${COMPREPLY[@]}\n")
    process.shell("bash %s/complete >%s/completed", directory, directory)
    contains(process.read_file(directory .. "/completed"), "--since")
    for _, shell in ipairs { "zsh", "fish" } do
      code, out = run { "completion", shell }
      assert.equal(0, code)
      contains(out, "since", "serve")
    end
  end)

  describe("check", function()
    local function problems(arguments)
      local code, out, err = run { "check", "--json", table.unpack(arguments or {}) }
      assert.equal("", err)
      local list = {}
      for i, each in ipairs(assert(json.decode(out)).problems) do
        list[i] = ("%s:%s: %s"):format(each.file, each.line or "?", each.problem)
      end
      return list, code
    end

    it("ends with 0 where it finds nothing", function()
      app 'app:get("/", function() return "x" end)'
      local code, out, err = run { "check" }
      assert.same({ 0, "app.lua: 1 route, no problems\n", "" }, { code, out, err })
      assert.same({ {}, 0 }, { problems() })
    end)

    it("finds nothing in the examples", function()
      for name in assert(io.popen("ls " .. process.ROOT .. "/examples/*.lua")):lines() do
        assert.equal(0, (run { "check", name }), name)
      end
    end)

    it("lists every problem, each with its line", function()
      write_file(directory .. "/broken.lua", "local x = = 1\n")
      write_file(directory .. "/deeper.lua", "return {\n")
      write_file(directory .. "/fine.lua", 'require "deeper"\nreturn { n = 1 }\n')
      app [[
local broken = require "broken"
local fine = require "fine"
local gone = require "gone.away"
local ok = pcall(require, "optional")
app:get("/a", function() counter = 1 end)
app:get("/a", function() sse.sleep(5000) end)
app:get("/:id[%w]", function() end)
app:get("/:n[%d]", function() end)
app:post("nowhere", function() end)
app:get("/b")
app:get("/c", function() return io.popen("date"):read "a" end)]]
      assert.same({ {
        "app.lua:5: module 'gone.away' not found", "app.lua:7: writes the global 'counter' inside a function",
        "app.lua:8: GET /a is defined already at app.lua:7", "app.lua:8: sse.sleep 5000: durations are seconds",
        "app.lua:10: GET /:n[%d] is never reached: /:id[%w] at app.lua:9 takes all of its paths",
        [[app.lua:11: "nowhere": a path begins with '/']], [[app.lua:12: app:get("/b"): expected a handler function]],
        "app.lua:13: io.popen holds the worker, and everybody it serves, until it returns",
        "broken.lua:1: unexpected symbol near '='", "deeper.lua:2: unexpected symbol near <eof>",
      }, 1 }, { problems() })
    end)

    it("goes on to the modules of a script that Lua cannot read", function()
      write_file(directory .. "/mod.lua", "x =\n")
      write_file(directory .. "/app.lua", 'local mod = require "mod"\nlocal gone = require("gone")\nlocal a = = 1\n')
      assert.same({ { "app.lua:2: module 'gone' not found", "app.lua:3: unexpected symbol near '='", "mod.lua:2: unexpected symbol near <eof>" }, 1 },
        { problems() })
    end)

    it("names the places and the package of a module that is missing", function()
      app 'require "luasql.none"\nrequire "spate.see"'
      local code, out = run { "check" }
      assert.equal(1, code)
      contains(out, "app.lua:3: module 'luasql.none' not found\n  hint: Debian has it: apt install lua-sql-sqlite3; looked for ./luasql/none.lua, ",
        "app.lua:4: module 'spate.see' not found\n  hint: did you mean 'spate.sse'?")
    end)

    for name, case in pairs {
      ["an error while it is loaded"] = { "local t\nt.x = 1\n", "app.lua:2: attempt to index a nil value (local 't')" },
      ["no app"] = { "local a = 1\nlocal b = 2\n", "app.lua:2: expected the script to return its app, got nil" },
      ["a wait"] = { 'require "spate.sse".sleep(1)\n', "app.lua:1: sse.sleep: nothing can wait while the script is loaded" },
      ["a loop #watchdog"] = { "while true do end\n", "app.lua:1: stopped after 0.5 s of CPU time" },
    } do
      it("tells of " .. name, function()
        write_file(directory .. "/app.lua", case[1])
        local list, code = problems()
        assert.equal(1, code)
        assert.equal(1, #list)
        contains(list[1], case[2])
      end)
    end

    describe("with --start", function()
      it("runs on_start and on_stop functions, on all workers, and listens nowhere", function()
        app [[
          app:on_start(function() sse.sleep(0.05) io.open("started", "w"):close() sse.spawn(function() sse.sleep(600) end) end)
          app:on_start(function() io.open("each" .. spate.worker, "w"):close() end, { each_worker = true })
          app:on_stop(function() io.open("stopped", "w"):close() end)
          app:get("/", function() return "x" end)]]
        write_file(directory .. "/spate.conf.lua", 'return { workers = 2, listen = { "127.0.0.1:1" } }\n')
        local code, out, err = run { "check", "--start" }
        assert.same({ 0, "app.lua: 1 route\napp.lua: starts, no problems\n", "" }, { code, out, err })
        for _, name in ipairs { "started", "each0", "each1", "stopped" } do assert(io.open(directory .. "/" .. name), name):close() end
      end)

      it("tells why it would not be served", function()
        app 'app:on_start(function()\n  error "no database"\nend)'
        local code, out, err = run { "check", "--start" }
        assert.equal(1, code, out)
        contains(err, "app.lua:4: no database")
        write_file(directory .. "/spate.conf.lua", "return { timeouts = { start = 0.1 } }\n")
        app 'app:on_start(function()\n  sse.sleep(100)\nend)'
        code, out, err = run { "check", "--start" }
        assert.equal(1, code, out)
        contains(err, "app.lua:4: an on_start function has not ended after 0.1 s (timeouts.start)")
      end)

      it("does not start what has a problem", function()
        app 'app:on_start(function() io.open("started", "w"):close() end)\nsse.every(5000, function() end)'
        local code, out = run { "check", "--start" }
        assert.equal(1, code)
        contains(out, "sse.every 5000: durations are seconds")
        assert.is_nil(io.open(directory .. "/started"))
      end)
    end)

    it("starts nothing", function()
      app 'app:on_start(function() io.open("started", "w"):close() end)\nsse.every(0.001, function() io.open("started", "w"):close() end)'
      assert.same({ {}, 0 }, { problems() })
      assert.is_nil(io.open(directory .. "/started"))
    end)

    it("has the settings from beside the script, wherever it is run, as `spate serve`", function()
      os.execute("mkdir " .. directory .. "/site")
      write_file(directory .. "/site/app.lua", 'local app = require "spate".app()\nreturn app\n')
      write_file(directory .. "/site/spate.conf.lua", "return { limits = { body = 'x' } }\n")
      write_file(directory .. "/spate.conf.lua", "return { limits = { event = 'y' } }\n")
      for _, path in ipairs { "site/app.lua", directory .. "/site/app.lua", "site" } do
        local code, out = run { "check", path }
        assert.equal(3, code)
        contains(out, "site/spate.conf.lua:1: limits.body: expected a whole number of 1 or more, got \"x\"")
        assert.falsy(out:find("limits.event", 1, true))
        local err
        code, out, err = run { "serve", path, "-l", "127.0.0.1:0" }
        assert.equal(3, code, out)
        contains(err, "site/spate.conf.lua: limits.body: expected")
      end
    end)

    it("lists every problem of the settings, and ends with 3", function()
      app ""
      write_file(directory .. "/spate.conf.lua", "return {\n  limits = { boddy = 1,\n    event = 'x' },\n  timeout = {},\n  shutdown = 3,\n}\n")
      assert.same({ { "spate.conf.lua:2: unknown setting 'limits.boddy'", "spate.conf.lua:3: limits.event: expected a whole number of 1 or more, got \"x\"",
        "spate.conf.lua:4: unknown setting 'timeout'", "spate.conf.lua:5: shutdown: expected a table such as { grace = ... }, got 3" }, 3 }, { problems() })
      contains(select(2, run { "check" }), "hint: did you mean 'limits.body'?")
      write_file(directory .. "/spate.conf.lua", "return {\n  timeouts = { head = 10000, send = 90,\n    idle = 60 * 60 },\n  keep_alive = { interval = 15000 },\n}\n")
      assert.same({ { "spate.conf.lua:2: timeouts.head 10000: durations are seconds", "spate.conf.lua:4: keep_alive.interval 15000: durations are seconds" }, 3 },
        { problems() })
      for source, problem in pairs {
        ["return { limits = { queue_low = 2, queue_high = 1 } }"] = "conf.lua:1: limits.queue_low: expected at most the 1 of limits.queue_high, got 2",
        ["return {\n  http2 = { connection_window = 70000,\n    window = 100000 },\n}"] =
          "conf.lua:3: http2.window: expected at most the 70000 of http2.connection_window, got 100000",
        ["return {\n  store = 'redis://h:0' }"] = "conf.lua:2: store: expected 1 to 65535 as the port in the URL, got 0",
        ["return {\n  store = 'redis://h/0?retries=3' }"] = "conf.lua:2: store: the URL has an option 'retries', which is not known",
        ["return { limits = { queue_high = 1000, queue_low = 10 } }"] = false,
        ["return { workers = 0 }"] = "conf.lua:1: workers: expected a number from 1 to 256 or \"auto\", got '0'",
        ["return {\n  x =\n}"] = "conf.lua:3: unexpected symbol near '}'",
        ["return 1"] = "conf.lua:?: expected the file to return a table, got number",
      } do
        write_file(directory .. "/conf.lua", source)
        assert.same({ { problem or nil }, problem and 3 or 0 }, { problems { "-c", "conf.lua" } })
      end
    end)
  end)

  describe("routes", function()
    before_each(function()
      app [[
local function mw(req, next) return next() end
app:use(mw)
app:get("/", function() end)
app:group("/api", mw, function(g) g:post("/things/:id", mw, function() end) end)
local admin = spate.app()
admin:use(mw)

admin:get("/stats", function() end)
app:mount("/admin", admin)]]
    end)

    it("lists method, path, place and middleware in columns", function()
      local code, out = run { "routes" }
      assert.equal(0, code)
      assert.equal([[
METHOD  PATH             AT          MIDDLEWARE
GET     /                app.lua:5   1
POST    /api/things/:id  app.lua:6   3
GET     /admin/stats     app.lua:10  2
]], out)
    end)

    it("as JSON", function()
      local code, out = run { "routes", "--json" }
      assert.equal(0, code)
      assert.same({ method = "POST", path = "/api/things/:id", file = "app.lua", line = 6, middleware = 3 }, json.decode(out)[2])
    end)

    it("ends with 1 where the application does not load", function()
      app "local t\nt.x = 1"
      contains(process.failure(1, { "routes" }), "app.lua:4: attempt to index a nil value")
    end)
  end)

  describe("new", function()
    for _, template in ipairs { "ticks", "chat", "llm", "htmx" } do
      it("begins an application of the template " .. template .. " that loads and has nothing to find fault with", function()
        local code, out = run { "new", "deep/my app", "-t", template }
        assert.equal(0, code)
        contains(out, "deep/my app/app.lua\n", "/spec/app_spec.lua\n", "\nNext:\n", "spate dev", "spate test")
        local made = directory .. "/deep/my app"
        assert.equal(0, (run({ "check" }, { dir = made })))
        helper.serve(made .. "/app.lua"):close()
        process.shell("cd '%s' && luacheck --quiet . >../../luacheck 2>&1", made)
        assert(loadfile(made .. "/spec/app_spec.lua"))
        local settings = assert(dofile(made .. "/spate.conf.lua"))
        assert.same({}, settings)
        assert.equal("table", type(json.decode(process.read_file(made .. "/.luarc.json"))))
        contains(process.read_file(made .. "/.spate/spate/sse.lua"), "---@type spate.sse")
      end)
    end

    it("writes into the directory where it is, but over nothing", function()
      assert.equal(0, (run { "new", "." }))
      process.shell("cd %s && rm app.lua .busted", directory)
      local before = process.read_file(directory .. "/spec/app_spec.lua")
      local message = process.failure(1, { "new", ".", "-t", "chat" })
      contains(message, "written over: spec/app_spec.lua, spate.conf.lua, .luacheckrc and ")
      assert.is_nil(message:find(".busted", 1, true))
      assert.equal(before, process.read_file(directory .. "/spec/app_spec.lua"))
      assert.is_nil(io.open(directory .. "/app.lua"))
    end)
  end)

  it("prints the types, and puts them where an editor finds them", function()
    local code, out = run { "types" }
    assert.same({ 0, 1 }, { code, select(2, out:gsub("%-%-%-@meta\n", "")) })
    for _, name in ipairs { "spate", "spate.Reply", "spate.sse", "spate.Channel", "spate.http", "spate.fs", "spate.Process", "spate.test" } do
      contains(out, "---@class " .. name .. "\n")
    end
    assert.is_nil(assert(load(out, "types", "t", {}))())
    assert.equal(0, (run { "types", "--luarc" }))
    assert.equal(out, process.read_file(directory .. "/.spate/types.lua"))
    assert.same({ ".spate" }, json.decode(process.read_file(directory .. "/.luarc.json"))["workspace.library"])
    write_file(directory .. "/.luarc.json", "{}")
    local again, _, err = run { "types", "--luarc" }
    assert.equal(0, again)
    contains(err, '"workspace.library": [".spate"]')
    assert.equal("{}", process.read_file(directory .. "/.luarc.json"))
  end)

  describe("tail", function()
    -- A listener, and the command that is to connect to it.
    local function tail(...)
      local listener = assert(socket.bind("127.0.0.1", 0))
      listener:settimeout(SECONDS)
      local _, port = listener:getsockname()
      return listener, spawn { "tail", ("127.0.0.1:%d/x"):format(port), ... }, port
    end

    -- The next request's head, by line and by field, and its body; answered with `answer`.
    local function serve(listener, answer)
      local client = assert(listener:accept())
      client:settimeout(SECONDS)
      local request = { line = assert(client:receive "*l") }
      for line in function() return assert(client:receive "*l") end do
        if line == "" then break end
        local name, value = line:match("^(%S+): (.*)$")
        request[name:lower()] = value
      end
      if request["content-length"] then request.body = client:receive(tonumber(request["content-length"])) end
      client:send(answer)
      return request, client
    end

    local OK = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    local GONE = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

    it("prints events as they come", function()
      local listener, command = tail()
      local request, client = serve(listener, OK .. "id: 1\nevent: tick\ndata: one\n\n")
      assert.same({ "GET /x HTTP/1.1", "text/event-stream" }, { request.line, request.accept })
      process.eventually("the event", function() return command:stdout() == "tick #1: one\n" end)
      client:send("data: two\ndata: \27[31mred\n\n")
      process.eventually("the other", function() return command:stdout() == "tick #1: one\nmessage #1: two\n  \\x1B[31mred\n" end)
      command:kill "INT"
      assert.equal(130, (command:wait()))
    end)

    it("comes back after the time that it was told, with the last id, until 204", function()
      local listener, command = tail("--since", "5", "-H", "X-Key: k", "--json")
      local first, client = serve(listener, OK .. "retry: 10\nid: 6\ndata: a\n\n: half an event\ndata: b")
      client:close()
      local second, again = serve(listener, OK .. "data: c\n\n")
      again:close()
      local third, last = serve(listener, GONE)
      last:close()
      assert.equal(0, (command:wait()))
      assert.same({ "5", "6", "6", "k" }, { first["last-event-id"], second["last-event-id"], third["last-event-id"], third["x-key"] })
      assert.equal('{"data":"a","event":"message","id":"6"}\n{"data":"c","event":"message","id":"6"}\n', command:stdout())
      contains(command:stderr(), "again in 0.01 s")
    end)

    it("follows a real server over its streams' ends", function()
      local server = process.serve('app:get("/three", function(req)\n  local n = tonumber(req.last_event_id or 0)\n'
        .. '  if n >= 4 then return reply.status(204) end\n  return sse.reply(function(send)\n'
        .. '    for i = n + 1, n + 2 do send { id = i, data = i, retry = 0.01 } end\n  end)\nend)')
      local code, out = run { "tail", ("http://127.0.0.1:%d/three"):format(server.port) }
      assert.same({ 0, "message #1: 1\nmessage #2: 2\nmessage #3: 3\nmessage #4: 4\n" }, { code, out })
      server:stop()
    end)

    it("ends with 1 and the first line of any other answer", function()
      for answer, message in pairs {
        ["HTTP/1.1 404 None\r\nContent-Length: 15\r\n\r\nno such\nstream\n"] = "404 Not Found: no such\n",
        ["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"] = "503 Service Unavailable\n",
        ["HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>\n"] = "expected Content-Type text/event-stream, got text/html: <p>\n",
      } do
        local listener, command = tail()
        local _, client = serve(listener, answer)
        assert.equal(1, (command:wait()))
        contains(command:stderr(), "/x: " .. message)
        client:close()
        listener:close()
      end
    end)

    it("follows redirects, and takes no secret to another origin", function()
      local listener, command, port = tail("-H", "Authorization: secret")
      local other = assert(socket.bind("127.0.0.1", 0))
      other:settimeout(SECONDS)
      local _, elsewhere = other:getsockname()
      local first = serve(listener, "HTTP/1.1 302 Found\r\nLocation: /y?z=1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
      local second = serve(listener, ("HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:%d/w\r\nContent-Length: 0\r\n\r\n"):format(elsewhere))
      local third = serve(other, GONE)
      assert.equal(0, (command:wait()))
      assert.same({ "GET /x HTTP/1.1", "secret" }, { first.line, first.authorization })
      assert.same({ "GET /y?z=1 HTTP/1.1", "secret" }, { second.line, second.authorization })
      assert.same({ "GET /w HTTP/1.1", "127.0.0.1:" .. elsewhere }, { third.line, third.host })
      assert.is_nil(third.authorization)
      assert.are_not.equal(port, elsewhere)
    end)

    it("posts a body once, and again only where the stream was cut and has ids", function()
      local CHUNKED = OK:gsub("Connection: close", "Transfer-Encoding: chunked")
      local listener, command = tail("-d", '{"a":1}')
      local request, client = serve(listener, CHUNKED .. "9\r\ndata: 1\n\n\r\n0\r\n\r\n")
      client:close()
      assert.equal(0, (command:wait()))
      assert.same({ "POST /x HTTP/1.1", '{"a":1}', "application/json" }, { request.line, request.body, request["content-type"] })
      listener, command = tail("-d", "a=1")
      request, client = serve(listener, CHUNKED .. "9\r\ndata: 1\n\n\r\n")
      client:close()
      assert.equal(1, (command:wait()))
      contains(command:stderr(), "the stream was cut")
      assert.equal("application/x-www-form-urlencoded", request["content-type"])
      listener, command = tail("-d", "a=1")
      client = select(2, serve(listener, CHUNKED .. "1A\r\nid: 1\nretry: 1\ndata: one\n\n\r\n"))
      client:close()
      request, client = serve(listener, CHUNKED .. "0\r\n\r\n")
      client:close()
      assert.same({ "POST /x HTTP/1.1", "1" }, { request.line, request["last-event-id"] })
      assert.equal(0, (command:wait()))
    end)

    it("reads by TLS what it can trust, and nothing else", function()
      process.shell("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 2 -subj /CN=x "
        .. "-addext subjectAltName=DNS:localhost 2>openssl.log", directory)
      write_file(directory .. "/x", "HTTP/1.0 204 No Content\r\n\r\n")
      local probe = assert(socket.bind("127.0.0.1", 0))
      local _, port = probe:getsockname()
      probe:close()
      local server <close> = setmetatable({ pipe = assert(io.popen(("cd %s && echo $$ && exec openssl s_server -accept 127.0.0.1:%d -cert cert "
        .. "-key key -HTTP 2>&1"):format(directory, port))) }, { __close = function(self)
          os.execute("kill " .. self.pid)
          self.pipe:close()
        end })
      server.pid = assert(server.pipe:read "l")
      repeat local line = assert(server.pipe:read "l") until line:find "ACCEPT"
      local trust = { environment = "SSL_CERT_FILE=" .. directory .. "/cert" }
      assert.equal(0, (run({ "tail", ("https://localhost:%d/x"):format(port) }, trust)))
      local stranger = spawn({ "tail", ("https://127.0.0.1:%d/x"):format(port) }, trust)
      process.eventually("the refusal", function() return stranger:stderr():find("cannot reach it: .*127.0.0.1") end)
      process.eventually("why", function() return stranger:stderr():find("certificate", 1, true) end)
      process.shell("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other -days 2 "
        .. "-subj /CN=other 2>openssl.log", directory)
      local unknown = spawn({ "tail", ("https://localhost:%d/x"):format(port) }, { environment = "SSL_CERT_FILE=" .. directory .. "/other" })
      process.eventually("the refusal", function() return unknown:stderr():find("certificate problem", 1, true) end)
      local nobody = spawn({ "tail", ("https://localhost:%d/x"):format(port) }, { environment = "SSL_CERT_FILE=" .. directory .. "/none" })
      process.eventually("the refusal", function() return nobody:stderr():find("/none", 1, true) end)
    end)

    it("needs no module of Lua's, and ends where nobody reads what it prints", function()
      local server = process.serve('app:get("/fast", function()\n  return sse.interval(0.01)\nend)')
      local began = socket.gettime()
      local pipe = assert(io.popen(("LUA_PATH='/none/?.lua' LUA_CPATH='/none/?.so' timeout 10 %s tail http://127.0.0.1:%d/fast | head -n 2"):format(
        process.quote(process.ROOT .. "/" .. process.BUILD .. "/spate"), server.port)))
      local out = pipe:read "a"
      pipe:close()
      assert.matches("^message: 1\nmessage: 2\n", out)
      assert(socket.gettime() - began < 8)
      process.eventually("the end of the stream", function() return server:stderr():find "reason=client_closed" end)
      server:stop()
    end)
  end)
end)
