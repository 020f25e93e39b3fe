-- SPDX-License-Identifier: MIT
-- spate.process: programs are real here, and so is the time that they take; the server's clock stands meanwhile.
local helper = require "spec.helper"

local PRELUDE = 'local process = require "spate.process"\n'

local server

local function serve(source, options)
  server = helper.serve(PRELUDE .. source, options)
  return server
end

-- The answer of a request, once it is there.
local function answer(target)
  local res = server:get(target or "/")
  server:wait(function() return select(2, res:body()) end)
  return res
end

local function ask(body)
  serve('app:get("/", function(req)\n' .. body .. '\nend)')
  return answer():json()
end

local function processes() return server:stats().processes end

local function is_alive(pid)
  local f <close> = io.open(("/proc/%d/stat"):format(pid))
  return f ~= nil and f:read("a"):match("%) (%a)") ~= "Z"
end

-- Ends the server once its programs have ended; time passes for what they have left behind, which whoever is to reap it
-- may leave as a zombie.
local function close()
  server:wait(function()
    if processes() > 0 then server:advance(0.1) end
    return processes() == 0
  end)
  server:close()
end

-- What no program is started for.
local function refusal(expression)
  serve('app:get("/", function(req) local r, message, code = ' .. expression .. '; return { message = message, code = code, r = r } end)')
  local res = server:get "/"
  local body = res:status() == 200 and res:json() or server:log()
  close()
  return body
end

describe("process.spawn", function()
  it("runs a program without a shell, and waits for its exit code", function()
    assert.same({ lines = { "$HOME; a b", "*" }, code = 0 }, ask [[
      local p = assert(process.spawn { "printf", "%s\n", "$HOME; a b", "*" })
      local list = {}
      for line in p:lines() do list[#list + 1] = line end
      return { lines = list, code = p:wait() }]])
    close()
  end)

  it("tells the code and the signal of the end", function()
    assert.same({ code = 7, none = true, signal = "KILL" }, ask [[
      local a, b = process.spawn { "sh", "-c", "exit 7" }, process.spawn { "sh", "-c", "kill -9 $$" }
      local code, no_signal = a:wait()
      local no_code, signal = b:wait()
      return { code = code, none = no_code == nil and no_signal == nil, signal = signal }]])
    close()
  end)

  it("gives numbers as arguments, a directory, variables beside the server's", function()
    local result = ask [[
      local p = process.spawn({ "sh", "-c", 'pwd; echo $1 $A $B; echo ${PATH:+path}${HOME+home}', "sh", 42 },
        { cwd = "/usr/bin/..", env = { A = "x y", B = 1.5, HOME = false } })
      return p:lines():collect()]]
    assert.same({ "/usr", "42 x y 1.5", "path" }, result)
    close()
  end)

  it("has a relative directory beside the script", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir -p %s/in; printf '#!/bin/sh\npwd' > %s/in/tool; chmod +x %s/in/tool"):format(folder, folder, folder)))
    local f <close> = assert(io.open(folder .. "/app.lua", "w"))
    f:write [[
      local app, process = require("spate").app(), require "spate.process"
      app:get("/", function() return process.spawn({ "./tool" }, { cwd = "in" }):lines():collect() end)
      return app]]
    f:flush()
    server = helper.serve(folder .. "/app.lua")
    assert.same({ folder .. "/in" }, answer():json())
    close()
    os.execute("rm -r " .. folder)
  end)

  it("gives it no other descriptor, no blocked and no ignored signal, a group of its own", function()
    local result = ask [[
      local p = process.spawn({ "sh", "-c", "ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f5 /proc/$$/stat; ls -l /proc/$$/fd/0" })
      return { list = p:lines():collect(), pid = p.pid }]]
    local list = result.list
    assert.equal(4, tonumber(list[1])) -- 0, 1, 2 and the one by which ls reads the directory
    assert.equal("SigBlk:\t0000000000000000", list[2])
    local ignored = tonumber(list[3]:match "SigIgn:\t(%x+)", 16)
    assert.equal(0, ignored & ~(3 << 31)) -- 32 and 33 are the C library's own
    assert.equal(result.pid, tonumber(list[4]))
    assert.matches("/dev/null", list[5])
    close()
  end)

  describe("says what is wrong", function()
    it("with the program, apart from the directory", function()
      local r = refusal 'process.spawn { "no-such-program" }'
      assert.equal("missing", r.code)
      assert.matches("^process.spawn: 'no%-such%-program': no such program in PATH %(", r.message)
      r = refusal 'process.spawn({ "true" }, { cwd = "/no/such" })'
      assert.same({ code = "directory", message = "process.spawn: cwd '/no/such': no such directory" }, r)
      r = refusal 'process.spawn({ "true" }, { cwd = "/etc/passwd" })'
      assert.same({ code = "directory", message = "process.spawn: cwd '/etc/passwd': not a directory" }, r)
      r = refusal 'process.spawn({ "./nothing" }, { cwd = "/usr" })'
      assert.same({ code = "missing", message = "process.spawn: './nothing': no such program from /usr" }, r)
      r = refusal 'process.spawn { "/etc/passwd" }'
      assert.same({ code = "denied", message = "process.spawn: '/etc/passwd': not a file that may be executed; chmod +x makes it one" }, r)
    end)

    it("with a file that is no program, or whose interpreter is missing", function()
      local path = os.tmpname()
      local function write(text)
        local f <close> = assert(io.open(path, "w"))
        f:write(text)
      end
      write "echo no first line\n"
      assert(os.execute("chmod +x " .. path))
      local r = refusal(('process.spawn { %q }'):format(path))
      assert.equal("format", r.code)
      assert.matches("not a program of this machine; a script begins with a line such as #!/bin/sh", r.message, 1, true)
      write "#!/no/such/interpreter\n"
      r = refusal(('process.spawn { %q }'):format(path))
      assert.equal("missing", r.code)
      assert.matches("the interpreter that its first line names is missing", r.message, 1, true)
      os.remove(path)
    end)

    it("with arguments that are too long", function()
      local r = refusal 'process.spawn { "true", ("x"):rep(4000000) }'
      assert.same({ code = "too long", message = "process.spawn: arguments and environment are too long" }, r)
    end)

    it("at the user's line, where it is a mistake", function()
      for expression, message in pairs {
        ['process.spawn "ls"'] = 'process.spawn: expected a list such as { "ls", "-l" }, got string',
        ["process.spawn {}"] = "got an empty one",
        ['process.spawn { "" }'] = "the program's name is empty",
        ['process.spawn { "ls", {} }'] = "process.spawn: argument 2: expected a string, got table",
        ['process.spawn { "ls", "a\\0b" }'] = "argument 2 has a NUL in it",
        ['process.spawn { "ls", cwd = "/" }'] = "unexpected 'cwd' among the arguments; options are a second table",
        ['process.spawn({ "ls" }, { cmd = 1 })'] = "process.spawn: unknown option 'cmd'; did you mean 'cwd'?",
        ['process.spawn({ "ls" }, { cwd = 1 })'] = "cwd: expected a directory, got number",
        ['process.spawn({ "ls" }, { env = { ["A=B"] = 1 } })'] = "env: expected names of variables, got A=B",
        ['process.spawn({ "ls" }, { env = { A = {} } })'] = "env.A: expected a string, or false to leave it out, got table",
        ['process.spawn({ "ls" }, { stdin = 1 })'] = "stdin: expected a string, true, an iterator or a stream, got number",
        ['process.spawn({ "ls" }, { stderr = "out" })'] = 'stderr: expected "log", "merge" or "separate", got out',
        ['process.run({ "ls" }, { stdin = true })'] = "process.run: stdin: expected a string, an iterator or a stream, got true",
        ['process.run({ "ls" }, { max = 1 << 40 })'] = "process.run: max: expected at most 536870912 bytes (limits.lua_memory), got 1099511627776",
        ['process.spawn({ "ls" }):lines(1 << 40)'] = "p:lines: expected at most 536870912 bytes (limits.lua_memory)",
        ['process.run({ "ls" }, { max = 0 })'] = "process.run: max: expected a number of bytes of 1 or more, got 0",
      } do
        local log = refusal(expression)
        assert.truthy(type(log) == "string" and log:find(message, 1, true), expression .. "\n" .. helper.json.encode(log))
        assert.matches("lua_%w+:%d+: p", log)
      end
    end)

    it("where nothing can be started: while the script is loaded", function()
      local err = helper.load_error(PRELUDE .. 'process.spawn { "true" }')
      assert.matches("no program can be started while the script is loaded, or in a finalizer; do it in a handler", err, 1, true)
    end)
  end)

  it("is refused above limits.processes", function()
    serve([[
      app:get("/", function()
        local list, refused = {}, {}
        for i = 1, 5 do
          local p, message, code = process.spawn { "sleep", "100" }
          list[i] = p or false
          if not p then refused[#refused + 1] = { message, code } end
        end
        for _, p in ipairs(list) do if p then p:close() end end
        return refused
      end)]], { settings = { limits = { processes = 3 } } })
    local message = "process.spawn: more than 3 programs at a time (limits.processes)"
    assert.same({ { message, "limit" }, { message, "limit" } }, answer():json())
    close()
  end)
end)

describe("a program's output", function()
  it("comes in lines: empty ones, one without an end, binary", function()
    assert.same({ "a", "", { 98, 0, 99, 255 }, "end" }, ask [[
      local p, list = process.spawn { "printf", "a\\n\\nb\\0c\\377\\nend" }, {}
      for line in p:lines() do list[#list + 1] = line:find "^%w*$" and line or { line:byte(1, -1) } end
      return list]])
    close()
  end)

  it("comes in lines of at most so many bytes", function()
    local lengths = ask [[
      local p = process.spawn { "sh", "-c", "head -c 150000 /dev/zero; echo; echo short" }
      return { p:lines():map(function(line) return #line end):collect(), process.spawn { "printf", "abcd\nefghi" }:lines(4):collect() }]]
    assert.same({ { 65536, 65536, 150000 - 2 * 65536, 5 }, { "abcd", "efgh", "i" } }, lengths)
    close()
  end)

  it("comes in pieces as it is written", function()
    serve [[
      app:get("/", function()
        local p = process.spawn { "sh", "-c", "printf one; read x; printf two" }
        return p:chunks():collect()
      end)
      local p
      app:get("/steps", function()
        p = process.spawn({ "sh", "-c", "printf one; read x; printf two; read x" }, { stdin = true })
        return sse.reply(p:chunks())
      end)
      app:get("/go", function() return tostring(p:write "\n") end)]]
    local res = server:get "/steps"
    server:wait(function() return #res:data() == 1 end)
    server:get "/go"
    server:wait(function() return #res:data() == 2 end)
    assert.same({ "one", "two" }, res:data())
    server:get "/go"
    server:wait(function() return res:has_ended() end)
    close()
  end)

  it("is a stream: map, filter, take, merge, straight into a reply", function()
    serve [[
      app:get("/", function()
        local p = process.spawn { "seq", "10" }
        return sse.reply(p:lines():filter(function(n) return n % 2 == 0 end):map(function(n) return "n " .. n end):take(3))
      end)
      app:get("/merge", function()
        local p = process.spawn({ "sh", "-c", "echo out; echo err >&2" }, { stderr = "separate" })
        return sse.reply(sse.merge(p:lines(), p:errors()))
      end)]]
    local res = server:get "/"
    server:wait(function() return res:has_ended() end)
    assert.same({ "n 2", "n 4", "n 6" }, res:data())
    res = server:get "/merge"
    server:wait(function() return res:has_ended() end)
    local list = res:data()
    table.sort(list)
    assert.same({ "err", "out" }, list)
    close()
  end)

  it("goes on where a loop has left it", function()
    assert.same({ "1", { "2", "3" }, 0 }, ask [[
      local p, first = process.spawn { "seq", "3" }
      for line in p:lines() do first = line break end
      local rest = {}
      for line in p:lines() do rest[#rest + 1] = line end
      return { first, rest, (p:wait()) }]])
    close()
  end)

  it("has its errors among it, apart, or in the log", function()
    local result = ask [[
      local script = { "sh", "-c", "echo out; echo err >&2" }
      local merged = process.spawn(script, { stderr = "merge" })
      local apart = process.spawn(script, { stderr = "separate" })
      local logged = process.spawn(script)
      local list = { merged:lines():collect(), apart:errors():collect(), apart:lines():collect(), logged:lines():collect() }
      logged:wait()
      return { list = list, pid = logged.pid, error = select(2, pcall(logged.errors, logged)) }]]
    assert.same({ { "out", "err" }, { "err" }, { "out" }, { "out" } }, result.list)
    assert.matches('p:errors: spawn it with stderr = "separate"', result.error, 1, true)
    assert.matches(("info  err program=sh pid=%d\n"):format(result.pid), server:log(), 1, true)
    close()
  end)

  it("that nobody reads holds up neither the program that is waited for, nor what can be read afterwards", function()
    assert.same({ 0, { "small" } }, ask [[
      local p = process.spawn { "echo", "small" }
      local code = p:wait()
      return { code, p:lines():collect() }]])
    close()
  end)

  it("is never thrown away without a word", function()
    local result = ask [[
      local p = process.spawn { "seq", "100000" }
      local code, last = (p:wait())
      local ok, err = pcall(function()
        for line in p:lines() do last = line end
      end)
      return { code = code, last = last, ok = ok, err = err }]]
    assert.equal(0, result.code)
    assert.is_false(result.ok)
    assert.matches("p:lines: what the program wrote behind this was thrown away while p:wait() waited", result.err, 1, true)
    assert.is_true(tonumber(result.last) > 10000 and tonumber(result.last) < 20000)
    close()
  end)

  it("ends with its group: a grandchild in the background is ended with it", function()
    local result = ask [[
      local p = process.spawn { "sh", "-c", "sleep 100 & echo $!" }
      local pid = tonumber(p:lines():collect()[1])
      return { code = p:wait(), pid = pid }]]
    assert.equal(0, result.code)
    server:wait(function() return not is_alive(result.pid) end)
    close()
  end)

  it("ends where a program outside of the group keeps the pipe", function()
    local result = ask [[
      local p = process.spawn { "sh", "-c", "f=$(mktemp -u); setsid sh -c 'echo $$; : > $0; exec sleep 100' $f & until [ -e $f ]; do sleep 0.01; done; rm $f; echo last" }
      return { list = p:lines():collect(), code = p:wait() }]]
    assert.equal("last", result.list[2])
    assert.is_true(is_alive(tonumber(result.list[1])))
    os.execute("kill " .. result.list[1])
    close()
  end)

  it("of a hundred megabytes waits for a slow reader, in little memory", function()
    serve [[
      app:get("/", function()
        local p = process.spawn { "sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 99" }
        local bytes, most, n = 0, 0, 0
        for line in p:lines() do
          bytes, n = bytes + #line + 1, n + 1
          if n % 10000 == 0 then
            most = math.max(most, spate.stats().lua_bytes)
            sse.sleep(0.001)
          end
        end
        return { bytes = bytes, n = n, most = most, code = p:wait() }
      end)]]
    local res = server:get "/"
    local function rss() -- or what is allocated, where a sanitizer keeps what was freed
      local f <close> = assert(io.open "/proc/self/statm")
      local allocated = helper.harness.allocated()
      return allocated > 0 and allocated or tonumber(f:read("a"):match "^%d+ (%d+)") * 4096
    end
    local before, most = rss(), 0
    server:wait(function()
      server:advance(0.001)
      most = math.max(most, rss())
      return res:status()
    end, 60)
    local result = res:json()
    assert.equal(0, result.code)
    assert.is_true(result.bytes >= 100000000, result.bytes)
    assert.is_true(result.most < 4e6, result.most)
    assert.is_true(most - before < 20e6, most - before)
    close()
  end)

  it("is read by windows, not line by line", function()
    serve [[
      local function calls()
        local f <close> = assert(io.open "/proc/self/io")
        return tonumber(f:read("a"):match "syscr: (%d+)")
      end
      app:get("/", function()
        local p = process.spawn { "seq", "100000" }
        local before, n = calls(), 0
        for line in p:lines() do n = n + 1 end
        return { n = n, reads = calls() - before }
      end)]]
    local result = answer():json()
    assert.equal(100000, result.n)
    assert.is_true(result.reads < 1000, result.reads)
    close()
  end)
end)

describe("a program's input", function()
  it("is a text, an iterator, a stream or nothing", function()
    assert.same({ "text", "abc", "123", "" }, ask [[
      local list = {}
      for i, stdin in ipairs { "text", sse.wrap(function() for c in ("abc"):gmatch "." do coroutine.yield(c) end end),
        sse.from { "1", "2", "3" }, false } do
        list[i] = table.concat(process.spawn({ "cat" }, { stdin = stdin or nil }):chunks():collect())
      end
      return list]])
    close()
  end)

  it("is the body of a request, as it comes", function()
    serve [[
      app:post("/", function(req)
        return process.run({ "wc", "-c" }, { stdin = req:chunks(1e6) })
      end)]]
    local client = server:connect()
    client:send "POST / HTTP/1.1\r\nHost: spec\r\nContent-Length: 300000\r\n\r\n"
    local res
    for _ = 1, 3 do
      res = server:send(("x"):rep(100000), client)
      server.core:wait(0.01)
    end
    server:wait(function() return res:status() end)
    assert.same({ code = 0, out = "300000\n", err = "" }, res:json())
    close()
  end)

  it("ends where what makes it fails", function()
    assert.same({ code = 0, out = "one", err = "" }, ask [[
      local n = 0
      return process.run({ "cat" }, { stdin = function()
        n = n + 1
        return n == 1 and "one" or error "mine"
      end })]])
    assert.matches("error /tmp/lua_%w+:%d+: mine", server:log())
    close()
  end)

  it("is written while the program takes it: the writer waits", function()
    local result = ask [[
      local p = process.spawn({ "sh", "-c", "read go; wc -c" }, { stdin = true })
      local written, all = 0, false
      local writer = sse.spawn(function()
        p:write "go\n"
        for i = 1, 100 do
          assert(p:write(("x"):rep(10000)))
          written = i
        end
        p:close_stdin()
      end)
      local total = p:lines():collect()[1]
      writer:join()
      return { total = tonumber(total), written = written, code = p:wait() }]]
    assert.same({ total = 1000000, written = 100, code = 0 }, result)
    close()
  end)

  it("of a program that never reads holds its writer, two windows at most, until the program ends", function()
    serve [[
      local written, p, result = 0
      app:get("/", function()
        p = process.spawn({ "sleep", "100" }, { stdin = true })
        sse.spawn(function()
          local ok
          repeat
            ok, result = p:write(("x"):rep(1000))
            written = written + 1000
          until not ok
        end)
        return "ok"
      end)
      app:get("/state", function() return { written = written, result = result } end)
      app:get("/end", function() return { p:kill "KILL" } end)]]
    server:get "/"
    local function state() return server:get("/state"):json() end
    assert.is_true(state().written >= 60000 and state().written <= 2 * 65536 + 1000, state().written)
    server:turn()
    assert.is_nil(state().result)
    server:get "/end"
    server:wait(function() return state().result end)
    assert.equal("closed", state().result)
    close()
  end)

  it("is closed where the program has closed it", function()
    assert.same({ "closed", "closed" }, ask [[
      local p = process.spawn({ "sh", "-c", "exec <&-; echo closed; sleep 100" }, { stdin = true })
      for line in p:lines() do break end
      local _, why = p:write "x"
      p:close()
      local _, late = p:write "x"
      return { why, late }]])
    close()
  end)

  it("is not read once it is closed", function()
    assert.same({ "p:lines: it has been closed; a `<close>` variable is closed where its function returns: start the program in the function that reads it",
      "p:chunks: it has been closed", "p:errors: it has been closed" }, ask [[
      local function start()
        local p <close> = process.spawn({ "true" }, { stderr = "separate" })
        return p
      end
      local said, p = {}, start()
      for i, name in ipairs { "lines", "chunks", "errors" } do said[i] = select(2, pcall(p[name], p)):match(i == 1 and "p:%l+:.*" or "p:%l+:[^;]*") end
      return said]])
    close()
  end)

  it("is asked for", function()
    serve [[
      app:get("/", function()
        local p = process.spawn { "true" }
        return { select(2, pcall(p.write, p, "x")), select(2, pcall(p.close_stdin, p)), select(2, pcall(p.write, "x")) }
      end)]]
    local list = answer():json()
    assert.matches("p:write: spawn it with stdin = true", list[1], 1, true)
    assert.matches("p:close_stdin: spawn it with stdin = true", list[2], 1, true)
    assert.matches("p:write: write it with a colon", list[3], 1, true)
    close()
  end)
end)

describe("a program is ended", function()
  -- An application whose handler at / runs `body` with the program p, and says at /pid what it is.
  local function serve_program(script, body, options)
    serve(([[
      local pid, outcome
      app:get("/pid", function() return { pid = pid, outcome = outcome } end)
      app:get("/", function(req)
        local p = assert(process.spawn({ "sh", "-c", %q }, { stdin = true }))
        pid = p.pid
        do %s end
      end)]]):format(script, body), options)
    local res = server:get "/"
    local pid = assert(server:get("/pid"):json().pid)
    return res, pid
  end

  local function is_gone(pid)
    server:wait(function() return not is_alive(pid) end)
    close()
  end

  local ENDLESS = "while :; do echo line; sleep 0.01; done"

  it("where the client leaves a stream of its lines", function()
    local res, pid = serve_program(ENDLESS, "return sse.reply(p:lines())")
    server:wait(function() return #res:data() > 1 end)
    res:close()
    is_gone(pid)
  end)

  it("where the client leaves one that is made of them", function()
    for _, stream in ipairs { "p:lines():map(string.upper)", "sse.merge(p:lines(), sse.never())", "p:chunks():batch(2):map(function(list) return #list end)", "p:lines():timeout(9)" } do
      local res, pid = serve_program(ENDLESS, "return sse.reply(" .. stream .. ")")
      server:wait(function() return #res:data() > 1 end)
      res:close()
      is_gone(pid)
    end
  end)

  it("where the task that reads it is cancelled in a loop, or while it does something else", function()
    for _, wait in ipairs { "", "sse.sleep(100)" } do
      local res, pid = serve_program(ENDLESS, "return sse.reply(function(send) for line in p:lines() do send(line) " .. wait .. " end end)")
      server:wait(function() return #res:data() > 0 end)
      res:close()
      is_gone(pid)
    end
  end)

  it("where the client leaves while the handler waits, with p or without", function()
    for _, body in ipairs { "return tostring(p:wait())", "sse.sleep(100)", "p:write(('x'):rep(1e6))" } do
      local res, pid = serve_program("exec sleep 100", body)
      res.client:reset()
      server:turn()
      is_gone(pid)
    end
  end)

  it("where the handler fails", function()
    local res, pid = serve_program("exec sleep 100", "error 'mine'")
    assert.equal(500, res:status())
    is_gone(pid)
  end)

  it("where its lines are asked for by HEAD, or cannot be sent", function()
    serve [[
      local p
      app:get("/", function()
        p = process.spawn { "sleep", "100" }
        return sse.reply(p:lines())
      end)
      app:get("/pid", function() return tostring(p.pid) end)]]
    assert.equal(200, server:head("/"):status())
    is_gone(tonumber((server:get("/pid"):body())))
  end)

  it("at the end of a block that has it as <close>", function()
    local res, pid = serve_program("exec sleep 100", "do local q <close> = p end return 'done'")
    assert.equal("done", (res:body()))
    is_gone(pid)
  end)

  it("where its lines are let go of before their end, and only then", function()
    local res, pid = serve_program(ENDLESS, "for line in p:lines():each() do break end return tostring(select(2, p:wait()))")
    server:wait(function() return res:status() end)
    assert.equal("TERM", (res:body()))
    is_gone(pid)
    serve [[
      app:get("/", function()
        local p = process.spawn { "sh", "-c", "echo a; exec >&-; sleep 0.1; exit 5" }
        for line in p:lines():each() do end
        return tostring(p:wait())
      end)]]
    assert.equal("5", (answer():body()))
    close()
  end)

  it("with all of its group", function()
    local res, pid = serve_program("sleep 100 & echo $!; wait", "for line in p:lines() do outcome = line break end sse.sleep(100)")
    local child = tonumber(server:wait(function() return server:get("/pid"):json().outcome end))
    assert.is_true(is_alive(child))
    res.client:reset()
    server:turn()
    server:wait(function() return not is_alive(child) end)
    is_gone(pid)
  end)

  it("by SIGKILL where it ignores SIGTERM, after timeouts.kill", function()
    local res, pid = serve_program("trap '' TERM; echo ready; while :; do sleep 0.01; done",
      "for line in p:lines() do outcome = line break end sse.sleep(100)", { settings = { timeouts = { kill = 7 } } })
    server:wait(function() return server:get("/pid"):json().outcome end)
    res.client:reset()
    server:advance(6.9)
    server.core:wait(0.1)
    assert.is_true(is_alive(pid))
    server:advance(0.1)
    server:wait(function() return not is_alive(pid) end)
    close()
  end)

  it("as is what it leaves behind and ignores SIGTERM", function()
    local result = ask [[
      local p = process.spawn { "sh", "-c", "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.01; done' & sleep 0.2" }
      for line in p:lines() do return { pid = tonumber(line), code = p:wait() } end]]
    assert.equal(0, result.code)
    server:advance(4)
    server.core:wait(0.05)
    assert.is_true(is_alive(result.pid))
    assert.equal(1, processes())
    server:advance(1)
    server:wait(function() return not is_alive(result.pid) end)
    close()
  end)

  it("though it is stopped", function()
    local res, pid = serve_program("exec sleep 100", "p:kill 'STOP' sse.sleep(100)")
    res.client:reset()
    server:turn()
    is_gone(pid)
  end)

  it("with its server, and with the state of code that is replaced", function()
    local res, pid = serve_program("exec sleep 100", "sse.spawn(function() p:wait() end) return 'on'")
    assert.equal("on", (res:body()))
    server:turn()
    assert.is_true(is_alive(pid))
    assert.is_true(server:reload 'app:get("/", function() return "new" end)')
    server:wait(function() return not is_alive(pid) end)
    assert.equal("new", (server:get("/"):body()))
    close()
    res, pid = serve_program("exec sleep 100", "return 'on'")
    assert.equal("on", (res:body()))
    server:close()
    assert.is_false(is_alive(pid))
  end)

  it("with the state of replaced code also where nobody has it any more", function()
    serve [[app:get("/", function() return tostring(process.spawn { "sleep", "100" }.pid) end)
      app:get("/collect", function() collectgarbage() collectgarbage() return "ok" end)]]
    local kept, dropped = tonumber((answer():body())), tonumber((answer():body()))
    server:get "/collect"
    server:turn()
    assert.is_true(is_alive(kept) and is_alive(dropped))
    assert.is_true(server:reload 'app:get("/", function() return "new" end)')
    server:wait(function() return not is_alive(kept) and not is_alive(dropped) end)
    close()
  end)

  it("by p:kill: signals by name and number", function()
    assert.same({ "INT", "USR1", "HUP", false, "ended", true }, ask [[
      local list = {}
      for i, signal in ipairs { "INT", "SIGUSR1", 1 } do
        local p = process.spawn { "sleep", "100" }
        assert(p:kill(signal))
        list[i] = select(2, p:wait())
        if i == 3 then
          local ok, why = p:kill()
          list[4], list[5] = ok or false, why
        end
      end
      local p = process.spawn { "true" }
      list[6] = select(2, pcall(p.kill, p, "NIX")):find('p:kill: expected a signal such as "TERM", got NIX', 1, true) ~= nil
      return list]])
    close()
  end)

  it("not, where nobody has it any more: it goes on, its output dropped", function()
    local path = os.tmpname()
    serve(([[
      app:get("/", function()
        process.spawn { "sh", "-c", "seq 100000; echo done > %s" }
        collectgarbage() collectgarbage()
        return "started"
      end)]]):format(path))
    assert.equal("started", (answer():body()))
    server:wait(function()
      local f <close> = io.open(path)
      return f and f:read("l") == "done"
    end)
    os.remove(path)
    close()
  end)
end)

describe("process.run", function()
  it("collects output and errors, and the end", function()
    assert.same({ { code = 3, out = "in", err = "oops\n" }, { signal = "TERM", out = "", err = "" }, { code = 0, out = "a\nb\n", err = "" } }, ask [[
      return { process.run({ "sh", "-c", "cat; echo oops >&2; exit 3" }, { stdin = "in" }), process.run { "sh", "-c", "kill $$" },
        process.run({ "sh", "-c", "echo a; echo b >&2" }, { stderr = "merge" }) }]])
    close()
  end)

  it("ends what takes too long or writes too much", function()
    serve [[
      app:get("/late", function() return { process.run({ "sleep", "100" }, { timeout = 2 }) or false, select(2, process.run({ "sleep", "100" }, { timeout = 2 })) } end)
      app:get("/large", function() return { select(2, process.run({ "yes" }, { max = 5000 })) } end)]]
    local res = server:get "/late"
    server:advance(1.9)
    assert.is_nil(res:status())
    server:advance(2.1)
    assert.same({ false, "process.run: 'sleep' has not ended after 2 s", "timeout" }, res:json())
    assert.same({ "process.run: 'yes' has written more than 5000 bytes", "too large" }, answer("/large"):json())
    close()
  end)

  it("takes exactly as much as it may", function()
    assert.same({ 5000, "too large" }, ask [[
      return { #process.run({ "head", "-c", "5000", "/dev/zero" }, { max = 5000 }).out,
        select(3, process.run({ "head", "-c", "5001", "/dev/zero" }, { max = 5000 })) }]])
    close()
  end)
end)
