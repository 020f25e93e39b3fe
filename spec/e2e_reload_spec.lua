-- SPDX-License-Identifier: MIT
-- Reloads of the real program: by signal, by command, by saving a file while it is developed.
local process = require "spec.process"

local function app(answer, more)
  return process.PRELUDE .. (more or "") .. ("app:get('/', function() return %q end)\n"):format(answer) .. [[
app:get("/ticks", function() return sse.reply(sse.interval(0.05)) end)
app:get("/stats", function() return spate.stats() end)
return app
]]
end

describe("a reload of the program", function()
  local directory, server

  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function path(name) return directory .. "/" .. name end
  local function save(text, name) process.write_file(path(name or "app.lua"), text) end

  local function start(command, arguments)
    server = process.serve(path "app.lua", { command = command, arguments = table.move(arguments or {}, 1, 9, 3, { "-l", "127.0.0.1:0" }) })
    return server
  end

  local function body() return (select(2, process.get(server.port, "/"))) end

  local function becomes(text) process.eventually("the answer " .. text, function() return body() == text end) end

  local function stat(name)
    return math.tointeger((select(2, process.get(server.port, "/stats"))):match('"' .. name .. '":(%d+)'))
  end

  -- What a command prints, and its exit code.
  local function run(...)
    local started = process.spawn { ... }
    local code = started:wait()
    return code, started:stdout(), started:stderr()
  end

  it("comes with SIGHUP", function()
    save(app "one")
    start "serve"
    save(app "two")
    assert.equal("one", body())
    server:kill "HUP"
    becomes "two"
    server:stop()
    process.contains(server:stderr(), "reloaded: generation 2")
  end)

  it("comes with spate reload, which says how it went", function()
    save(app "one")
    start "serve"
    save(app "two")
    local code, out = run("reload")
    assert.equal(0, code)
    process.contains(out, "reloaded: " .. path "app.lua")
    assert.equal("two", body())
    save(app("three", "local x = nil + 1\n"))
    local err
    code, out, err = run("reload", path "app.lua")
    assert.equal(1, code)
    assert.equal("", out)
    process.contains(err, "app.lua:3: attempt to perform arithmetic on a nil value")
    assert.equal(1, select(2, err:gsub("local x = nil %+ 1", "")), err) -- once
    assert.equal("two", body())
    assert.equal(1, stat "reloads_total")
    assert.equal(1, stat "reloads_failed_total")
    server:stop()
    process.contains(server:stderr(), "app.lua:3: attempt to perform arithmetic on a nil value", ">    3 | local x = nil + 1",
      "not reloaded: generation 2 goes on")
  end)

  it("is for all workers or for none", function()
    save(app "one")
    start("serve", { "-w", "3" })
    save(app("two", "if spate.worker == 2 then error 'only here' end\n"))
    server:kill "HUP"
    process.eventually("the error", function() return server:stderr():find("not reloaded", 1, true) end)
    for _ = 1, 20 do assert.equal("one", body()) end
    server:stop()
    process.contains(server:stderr(), "only here")
  end)

  it("answers status and stop", function()
    save(app "one")
    start "serve"
    local code, out = run("status")
    assert.equal(0, code)
    process.contains(out, server.addresses[1]:match "//(.*)", path "app.lua", "pid                       " .. server.pid)
    code, out = run("status", "--json")
    assert.equal(0, code)
    process.contains(out, '"state":"serving"')
    code, out = run("stop")
    assert.equal(0, code)
    process.contains(out, "stopped: " .. path "app.lua")
    assert.same({ 0 }, { server:wait() })
    assert.equal(1, (run "status"))
    assert.equal(1, (run "reload"))
  end)

  it("asks which server is meant", function()
    save(app "one")
    save(app "other", "other.lua")
    start "serve"
    local other = process.serve(path "other.lua")
    local code, _, err = run("reload", "nobody.lua")
    assert.equal(1, code)
    process.contains(err, "no server of yours runs nobody.lua")
    assert.equal(0, (run "reload")) -- of the app.lua in this folder
    assert.equal(2, (stat "generation"))
    assert.equal(0, (run("stop", tostring(other.pid))))
    assert.same({ 0 }, { other:wait() })
    server:stop()
  end)

  describe("in development", function()
    it("comes with a save: in place, by rename, behind symlinks, after a deletion", function()
      save(app "one")
      start "dev"
      assert.matches("3 routes, watching 1 file\n", server:stdout())
      save(app "in place")
      becomes "in place"
      save(app "renamed", "app.lua.tmp")
      assert(os.rename(path "app.lua.tmp", path "app.lua"))
      becomes "renamed"
      os.remove(path "app.lua")
      process.eventually("the error", function() return server:stderr():find("cannot open", 1, true) end)
      assert.equal("renamed", body())
      save(app "created again")
      becomes "created again"
      save(app "elsewhere", "elsewhere.lua")
      process.shell("ln -sfn elsewhere.lua %s/link && mv -T %s/link %s/app.lua", directory, directory, directory)
      becomes "elsewhere"
      save(app "behind the link", "elsewhere.lua")
      becomes "behind the link"
      server:stop()
    end)

    it("comes with the swap of a folder's symlink", function()
      for _, version in ipairs { "v1", "v2" } do
        process.shell("mkdir %s/%s", directory, version)
        save(app(version), version .. "/app.lua")
      end
      process.shell("ln -s v1 %s/current", directory)
      server = process.serve(path "current/app.lua", { command = "dev" })
      assert.equal("v1", body())
      process.shell("ln -sfn v2 %s/next && mv -T %s/next %s/current", directory, directory, directory)
      becomes "v2"
      save(app "v2 changed", "v2/app.lua")
      becomes "v2 changed"
      server:stop()
    end)

    it("comes with a module's save, and with the module that was missing", function()
      save "return 'first'\n"
      save("return 'first'\n", "words.lua")
      save(app("", "app:get('/word', function() return require 'words' end) require 'words'\n"))
      start "dev"
      local function word() return (select(2, process.get(server.port, "/word"))) end
      assert.equal("first", word())
      save("return 'second'\n", "words.lua")
      process.eventually("the module", function() return word() == "second" end)
      save(app("new", "require 'later'\n"))
      process.eventually("the error", function() return server:stderr():find("module 'later' not found", 1, true) end)
      save("return true\n", "later.lua")
      becomes "new"
      server:stop()
    end)

    it("comes with the save of a page that the application serves or reads", function()
      process.shell("mkdir %s/public", directory)
      save("<p>one</p>", "public/index.html")
      save("page one", "page.html")
      save(app("one", [[
        app:static("/site", "public")
        local f <close> = assert(io.open "page.html")
        local page = f:read "a"
        app:get("/page", function() return page end)
      ]]))
      start "dev"
      local function get(target) return (select(2, process.get(server.port, target))) end
      process.contains(get "/site/", "<p>one</p>", "EventSource")
      local generation = stat "generation"
      save("<p>two</p>", "public/index.html")
      process.eventually("a reload", function() return stat "generation" > generation end)
      save("page two", "page.html")
      process.eventually("the page", function() return get "/page" == "page two" end)
      server:stop()
    end)

    it("takes a folder for the app.lua in it, and looks at nothing else", function()
      process.shell("mkdir %s/app.lua", directory)
      local message = process.failure(1, { "serve", path "app.lua/app.lua" })
      process.contains(message, "cannot open", "app.lua/app.lua")
      process.shell("rmdir %s/app.lua", directory)
      save(app "one")
      server = process.serve(directory, { command = "dev", arguments = { "-l", "127.0.0.1:0" } })
      assert.equal("one", body())
      local generation = stat "generation"
      save("of no interest", "notes.txt")
      server:ticks("/ticks", 4)
      assert.equal(generation, stat "generation")
      save(app "two")
      becomes "two"
      assert.equal(generation + 1, stat "generation")
      server:stop()
    end)

    it("ends a storm of saves, some half written, in the newest code, once", function()
      save(app "one")
      start "dev"
      local file = path "app.lua"
      for i = 1, 100 do
        local text = app("version " .. i)
        local f <close> = assert(io.open(file, "wb"))
        f:write(text:sub(1, 60))
        f:flush()
        f:write(text:sub(61))
      end
      becomes "version 100"
      local generation = stat "generation"
      server:ticks("/ticks", 6)
      assert.equal(generation, stat "generation")
      process.write_file(file, app "version 100") -- the same content
      server:ticks("/ticks", 6)
      assert.equal(generation, stat "generation")
      server:stop()
    end)

    it("shows why an application does not load, until it does", function()
      save(process.PRELUDE .. "app:get(\n")
      start "dev"
      process.contains(server:stderr(), "app.lua:4: ")
      local status, text = process.get(server.port, "/anything")
      assert.equal(500, status)
      process.contains(text, "app.lua:4: ")
      save(app("", "local x = nil + 1\n"))
      process.eventually("the other error", function() return body():find("perform arithmetic", 1, true) end)
      save(app "one")
      becomes "one"
      save(process.PRELUDE .. "app:get(\n")
      process.eventually("the message", function() return server:stderr():find("not reloaded", 1, true) end)
      assert.equal("one", body()) -- what has been served goes on
      server:stop()
    end)

    it("closes old streams at once, so that pages come back", function()
      save(app "one")
      start "dev"
      local client = process.ask(server.port, "/ticks")
      process.read_until(client, "data: 1\n")
      save(app "two")
      process.read_until(client, "retry: ")
      process.read_until(client, "0\r\n\r\n")
      assert.equal("two", body())
      client:close()
      server:stop()
    end)
  end)

  it("leaves streams their pace and the memory as it was", function()
    local lines = {}
    for i = 1, 5000 do lines[i] = ("local function f%d(a) return a + %d end"):format(i % 150, i) end
    local function large(answer)
      local parts = {}
      for at = 1, 5000, 100 do
        parts[#parts + 1] = ("do %s end\n"):format(table.concat(lines, "\n", at, at + 99))
      end
      return app(answer, table.concat(parts))
    end
    save(large "one")
    server = process.serve(path "app.lua", { settings = "{ reload = { generations = 1000 } }" })
    local client = process.ask(server.port, "/ticks")
    process.read_head(client)
    local function resident()
      local f <close> = assert(io.open(("/proc/%d/status"):format(server.pid)))
      return tonumber(f:read("a"):match("VmRSS:%s+(%d+)"))
    end
    local before
    for i = 1, 100 do
      server:kill "HUP"
      process.read_until(client, ("data: %d\n"):format(i))
      if i == 50 then before = resident() end
    end
    if not os.getenv "ASAN_OPTIONS" and not os.getenv "TSAN_OPTIONS" then
      assert(resident() < before * 1.2 + 2000, ("%d kB after %d"):format(resident(), before))
    end
    client:close()
    server:stop()
  end)
end)
