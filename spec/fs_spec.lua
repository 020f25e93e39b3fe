-- SPDX-License-Identifier: MIT
-- spate.fs: real files in a folder of each spec, and what the kernel tells of them, in real time; the applications' clock
-- stands meanwhile.
local helper = require "spec.helper"
local lfs = require "lfs"

local folder, server

local function shell(command) assert(os.execute(("cd '%s' && %s"):format(folder, command))) end

local function write(name, text, mode)
  local f <close> = assert(io.open(folder .. "/" .. name, mode or "wb"))
  f:write(text)
end

local function append(name, text) write(name, text, "ab") end

local function read(name)
  local f <close> = io.open(folder .. "/" .. name, "rb")
  return f and f:read "a"
end

local function serve(source, options)
  server = helper.serve(('local fs = require "spate.fs"\nlocal DIR = %q\n'):format(folder) .. source, options)
end

-- What a handler with this body answers, as the string "value" or "nil message code".
local function run(body, options)
  serve(("app:get('/', function(req)\n%s\nend)"):format(body), options)
  local res = server:get "/"
  server:wait(function() return res:has_ended() end)
  return (res:body())
end

before_each(function()
  folder, server = os.tmpname(), nil
  os.remove(folder)
  assert(lfs.mkdir(folder))
end)

after_each(function()
  if server then server:close() end
  os.execute("rm -rf '" .. folder .. "'")
end)

-- Without what every message begins with, which regress/250 is about.
local TELL = [[
local function tell(a, b, c) return reply.text(a == nil and ('nil|%s|%s'):format(b:match "^fs%.%l+: '.-': (.*)$" or b, c) or tostring(a)) end
]]

describe("fs.read", function()
  it("has all bytes of a file", function()
    local bytes = ("\0\1\255\r\n"):rep(30000)
    write("a", bytes)
    assert.equal(bytes, run "return reply.text(assert(fs.read(DIR .. '/a')))")
  end)

  it("has an empty file, and one of the kernel's that says it is empty", function()
    write("a", "")
    assert.equal("0 true", run "return #fs.read(DIR .. '/a') .. ' ' .. tostring(#fs.read '/proc/self/status' > 100)")
  end)

  it("has a file beside the script", function() -- which is in /tmp here
    local name = os.tmpname()
    local f <close> = assert(io.open(name, "w"))
    f:write "beside"
    f:close()
    assert.equal("beside", run(("return fs.read %q"):format(name:match "[^/]+$")))
    os.remove(name)
  end)

  for name, case in pairs {
    ["a missing one"] = { "true", "fs.read(DIR .. '/a')", "nil|No such file or directory|missing" },
    ["one below a file"] = { "touch a", "fs.read(DIR .. '/a/b')", "nil|Not a directory|missing" },
    ["a folder"] = { "mkdir a", "fs.read(DIR .. '/a')", "nil|Is a directory|directory" },
    ["a pipe, without waiting for it"] = { "mkfifo a", "fs.read(DIR .. '/a')", "nil|neither a file nor a folder|not a file" },
    ["a device"] = { "true", "fs.read '/dev/zero'", "nil|neither a file nor a folder|not a file" },
    ["more than was asked for"] = { "printf 12345 > a", "fs.read(DIR .. '/a', 4)", "nil|more than 4 bytes|too large" },
    ["a link to itself"] = { "ln -s a a", "fs.read(DIR .. '/a')", "nil|Too many levels of symbolic links|name" },
    ["as much as was asked for"] = { "printf 12345 > a", "fs.read(DIR .. '/a', 5)", "12345" },
  } do
    it("tells of " .. name, function()
      shell(case[1])
      assert.equal(case[3], run(TELL .. "return tell(" .. case[2] .. ")"))
    end)
  end

  it("has a limit of its own", function()
    write("a", ("x"):rep(1001))
    assert.equal("nil|more than 1000 bytes (limits.file)|too large", run(TELL .. "return tell(fs.read(DIR .. '/a'))", { settings = { limits = { file = 1000 } } }))
  end)
end)

describe("fs.write", function()
  it("makes a file, and replaces it as a whole", function()
    write("b", "old")
    shell "ln b other && chmod 640 b"
    assert.equal("true true", run "return tostring(fs.write(DIR .. '/a', 'new\\0')) .. ' ' .. tostring(fs.write(DIR .. '/b', ''))")
    assert.equal("new\0", read "a")
    assert.equal("", read "b")
    assert.equal("old", read "other") -- who has it open still has that
    assert.equal("rw-r-----", lfs.attributes(folder .. "/b", "permissions"))
    local names = {}
    for name in lfs.dir(folder) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ ".", "..", "a", "b", "other" }, names)
  end)

  it("lets a new file have the mode that others get", function()
    shell "umask > mask"
    run "fs.write(DIR .. '/a', 'x') return 'x'"
    shell "touch b"
    assert.equal(lfs.attributes(folder .. "/b", "permissions"), lfs.attributes(folder .. "/a", "permissions"))
  end)

  it("replaces what a link leads to", function()
    shell "mkdir d && printf old > d/b && ln -s d/b a"
    run "fs.write(DIR .. '/a', 'new') return 'x'"
    assert.equal("link", lfs.symlinkattributes(folder .. "/a", "mode"))
    assert.equal("new", read "d/b")
  end)

  for name, case in pairs {
    ["a folder that is not there"] = { "true", "/d/a", "nil|No such file or directory|missing" },
    ["a folder of that name"] = { "mkdir a", "/a", "nil|Is a directory|directory" },
    ["a pipe of that name"] = { "mkfifo a", "/a", "nil|neither a file nor a folder|not a file" },
  } do
    it("tells of " .. name .. " and leaves nothing behind", function()
      shell(case[1])
      local before = #io.popen(("ls -a '%s'"):format(folder)):read "a"
      assert.equal(case[3], run(TELL .. "return tell(fs.write(DIR .. '" .. case[2] .. "', 'x'))"))
      assert.equal(before, #io.popen(("ls -a '%s'"):format(folder)):read "a")
    end)
  end

  it("tells of more than limits.file", function()
    assert.equal("nil|more than 10 bytes (limits.file)|too large",
      run(TELL .. "return tell(fs.write(DIR .. '/a', ('x'):rep(11)))", { settings = { limits = { file = 10 } } }))
    assert.is_nil(read "a")
  end)
end)

describe("fs.list", function()
  it("has names and types in order", function()
    shell "mkdir d && touch c .hidden && ln -s c b && mkfifo e"
    assert.same({ { name = ".hidden", type = "file" }, { name = "b", type = "link" }, { name = "c", type = "file" }, { name = "d", type = "directory" },
      { name = "e", type = "other" } }, helper.json.decode(run "return json.encode(fs.list(DIR))"))
  end)

  it("has nothing of an empty folder, and tells of a missing one", function()
    assert.equal("0|No such file or directory|missing",
      run "local none, err, code = fs.list(DIR .. '/x') return #fs.list(DIR) .. '|' .. err:match ': ([^:]*)$' .. '|' .. code")
  end)
end)

describe("spate.fs", function()
  for call, message in pairs {
    ["fs.read()"] = "fs.read: expected a string, got nil",
    ["fs.read ''"] = "fs.read: expected a path, got \"\"",
    ["fs.read 'a\\0b'"] = "fs.read: expected a path, got \"a\\0b\"",
    ["fs.read('a', -1)"] = "fs.read: expected an integer of 0 or more, got -1",
    ["fs.write('a', nil)"] = "fs.write: expected a string, got nil",
    ["fs.list(1)"] = "fs.list: expected a string, got number",
    ["fs.tail('a', { form = 1 })"] = "fs.tail: unknown option 'form'; did you mean 'from'?",
    ["fs.tail('a', { from = 1.5 })"] = "fs.tail: from: expected an offset or minus a number of lines, got 1.5",
    ["fs.tail('a', { from = {} })"] = "fs.tail: from: expected an offset or minus a number of lines, got table",
    ["fs.watch(nil)"] = "fs.watch: expected a string, got nil",
  } do
    it("raises at the user's line: " .. call, function()
      local body = run("return select(2, pcall(function()\n" .. call .. " end))")
      assert.truthy(body:find(":7: " .. message, 1, true), body)
    end)
  end

  for _, call in ipairs { "fs.read 'a'", "fs.write('a', 'b')", "fs.list 'a'", "fs.tail 'a'", "fs.watch 'a'" } do
    it("cannot wait while the script is loaded: " .. call, function()
      assert.matches("%f[%w]" .. call:match "^[%w.]+" .. ": nothing can wait while the script is loaded", helper.load_error('local fs = require "spate.fs"\n' .. call .. "\n"))
    end)
  end

  it("lets go of what a task that is cancelled was waiting for", function()
    write("a", "x\n")
    serve [[
local function start(fn) local task = sse.spawn(fn) sse.sleep(0) task:cancel() end
app:get("/", function()
  start(function() fs.read(DIR .. "/a") end)
  start(function() fs.write(DIR .. "/b", "x") end)
  start(function() fs.tail(DIR .. "/a") end)
  start(function() for _ in fs.tail(DIR .. "/a"):each() do end end)
  start(function() for _ in fs.watch(DIR):each() do end end)
  sse.sleep(0)
  collectgarbage()
  return "x"
end)]]
    local res = server:get "/"
    server:wait(function() return res:has_ended() end)
    server:wait(function()
      server.core:run "collectgarbage()"
      return server:stats().files == 0
    end)
  end)

  it("is dropped with its state, whatever is open and under way", function()
    write("a", "x\n")
    serve [[
KEPT = {}
app:get("/", function()
  for i = 1, 3 do KEPT[i] = assert(fs.tail(DIR .. "/a")) end
  KEPT[4] = fs.watch(DIR)
  return "x"
end)]]
    local res = server:get "/"
    server:wait(function() return res:has_ended() end)
    assert.equal(4, server:stats().files)
    server.core:close()
    server = nil
  end)

  it("counts, and has a limit of how many are followed", function()
    write("a", "one\ntwo\n")
    assert.equal("nil|more than 2 files are followed (limits.files)|busy 2 8", run(TELL .. [[
      local a, b = fs.tail(DIR .. '/a', { from = 0 }), fs.watch(DIR)
      a:next()
      local answer = ("%s %d %d"):format("nil|" .. select(2, fs.tail(DIR .. '/a')):match "': (.*)$" .. "|" .. select(3, fs.watch(DIR)), spate.stats().files_followed,
        spate.stats().file_bytes_total)
      a:close()
      b:close()
      return answer]], { settings = { limits = { files = 2 } } }))
  end)
end)

local TAIL = [[
app:get("/tail", function(req)
  local from = tonumber(req.query.from)
  local lines, err, code = fs.tail(DIR .. "/" .. (req.query.name or "log"), { from = from or req.query.from, wait = req.query.wait ~= nil })
  if not lines then return reply.text("nil|" .. err:match "': (.*)$" .. "|" .. code) end
  return sse.reply(lines:map(function(l) return { json = { l.text, l.offset, l.part } } end))
end)]]

local function follow(query, options)
  if not server then serve(TAIL, options) end
  local res = server:get("/tail?" .. (query or ""))
  return res
end

-- The lines so far as texts and offsets: { "one", 4, "two", 8 }.
local function lines_of(res)
  local list = {}
  for _, data in ipairs(res:data()) do
    local line = helper.json.decode(data)
    list[#list + 1], list[#list + 2] = line[1], line[2]
  end
  return list
end

local function says(res, ...)
  local expected, last = { ... }, nil
  local ok = pcall(server.wait, server, function()
    last = lines_of(res)
    return #last >= #expected
  end, 3)
  assert.same(expected, ok and last or lines_of(res))
end

local function settle(seconds)
  local until_then = helper.harness.seconds() + (seconds or 0.05)
  server:wait(function() return helper.harness.seconds() > until_then end)
end

describe("fs.tail", function()
  describe("begins", function()
    before_each(function() write("log", "one\ntwo\nthree\nfou") end)

    for query, expected in pairs {
      [""] = {}, ["from=0"] = { "one", 4, "two", 8, "three", 14 }, ["from=4"] = { "two", 8, "three", 14 }, ["from=-1"] = { "three", 14 },
      ["from=-2"] = { "two", 8, "three", 14 }, ["from=-3"] = { "one", 4, "two", 8, "three", 14 }, ["from=-99"] = { "one", 4, "two", 8, "three", 14 },
      ["from=14"] = {}, ["from=17"] = {}, ["from=18"] = { "one", 4, "two", 8, "three", 14 }, ["from=10"] = { "ree", 14 },
      ["from=-9223372036854775808"] = { "one", 4, "two", 8, "three", 14 },
    } do
      it("where it is told: " .. query, function()
        local res = follow(query)
        says(res, table.unpack(expected))
        append("log", "r\nfive\n")
        local all = { table.unpack(expected) }
        table.move(query == "from=17" and { "r", 19, "five", 24 } or { "four", 19, "five", 24 }, 1, 4, #all + 1, all)
        if query == "from=18" then all = { "one", 4, "two", 8, "three", 14, "four", 19, "five", 24 } end
        says(res, table.unpack(all))
        res:close()
      end)
    end

    it("behind the line of an offset that is a text, such as a client's last id", function()
      serve 'app:get("/", function(req) return sse.reply(fs.tail(DIR .. "/log", { from = req.last_event_id }):map(function(l) return l.text end)) end)'
      local res = server:get("/", { headers = { ["Last-Event-ID"] = "8" } })
      server:wait(function() return #res:data() == 1 end)
      assert.same({ "three" }, res:data())
      res:close()
    end)

    for _, from in ipairs { "x", "-1x", "1e3", "0x10", "4.0", "9999999999999999999999" } do
      it("nowhere by a text that is no offset: " .. from, function()
        serve(TELL .. ("app:get('/', function() return tell(fs.tail(DIR .. '/log', { from = %q })) end)"):format(from))
        local res = server:get "/"
        assert.equal("nil|fs.tail: from: not an offset: " .. from .. "|offset", (res:body()))
      end)
    end

    it("with many lines from the end of a large file", function()
      local f <close> = assert(io.open(folder .. "/log", "wb"))
      for i = 1, 30000 do f:write(("line %d\n"):format(i)) end
      f:close()
      local res = follow "from=-20000"
      server:wait(function() return #res:data() >= 1 end)
      assert.equal("line 10001", lines_of(res)[1])
      server:wait(function() return #res:data() == 20000 end)
      assert.equal("line 30000", lines_of(res)[39999])
      res:close()
    end)
  end)

  it("has each line as it is written, by who keeps the file open", function()
    local f <close> = assert(io.open(folder .. "/log", "wb"))
    local res = follow()
    settle()
    for i = 1, 5 do
      f:write(("line %d\n"):format(i))
      f:flush()
      says(res, table.unpack({ "line 1", 7, "line 2", 14, "line 3", 21, "line 4", 28, "line 5", 35 }, 1, 2 * i))
    end
    res:close()
  end)

  it("waits for the end of a line", function()
    write("log", "")
    local res = follow()
    append("log", "o")
    settle()
    append("log", "ne")
    settle()
    assert.same({}, lines_of(res))
    append("log", "\n")
    says(res, "one", 4)
    res:close()
  end)

  it("has bytes of any kind, and empty lines", function()
    write("log", "")
    serve [[app:get("/", function() return sse.reply(fs.tail(DIR .. "/log"):map(function(l) return { json = { l.text:byte(1, -1) } } end)) end)]]
    local res = server:get "/"
    settle()
    append("log", "\0\1\255\r\n\n\xEF\xBB\xBF\n")
    server:wait(function() return #res:data() == 3 end)
    assert.same({ "[0,1,255,13]", "{}", "[239,187,191]" }, { res:data()[1], (res:data()[2]:gsub("%[%]", "{}")), res:data()[3] })
    res:close()
  end)

  it("has a line longer than the window in parts", function()
    write("log", "")
    serve([[app:get("/", function() return sse.reply(fs.tail(DIR .. "/log"):map(function(l)
      return ("%d %d %s"):format(#l.text, l.offset, l.part)
    end)) end)]], { settings = { limits = { file_window = 1000 } } })
    local res = server:get "/"
    settle()
    append("log", ("x"):rep(2500) .. "\nshort\n" .. ("y"):rep(1000) .. "\n")
    server:wait(function() return #res:data() == 6 end)
    assert.same({ "1000 1000 true", "1000 2000 true", "500 2501 nil", "5 2507 nil", "1000 3507 true", "0 3508 nil" }, res:data())
    res:close()
  end)

  it("reads no more than a window ahead of who takes the lines", function()
    write("log", ("x"):rep(99) .. "\n")
    shell "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do cat log log > more; mv more log; done" -- 3.2 MB
    serve([[app:get("/", function() return sse.reply(fs.tail(DIR .. "/log", { from = 0 }):map(function(l) return l.text end)) end)
      app:get("/bytes", function() return tostring(spate.stats().file_bytes_total) end)]], { settings = { limits = { queue_high = 10000, queue_low = 5000 } } })
    local client = server:connect()
    client:window(0)
    server:send("GET / HTTP/1.1\r\nHost: spec\r\n\r\n", client)
    settle(0.2)
    assert.is_true(tonumber((server:get("/bytes"):body())) <= 2 * 65536)
    client:leave()
    server:turn()
  end)

  describe("tells why it cannot be read:", function()
    for name, case in pairs {
      ["a missing file"] = { "true", "nil|No such file or directory|missing" },
      ["a missing folder"] = { "true", "nil|No such file or directory|missing", "d/log" },
      ["a folder"] = { "mkdir log", "nil|Is a directory|directory" },
      ["a pipe"] = { "mkfifo log", "nil|neither a file nor a folder|not a file" },
      ["a dangling link"] = { "ln -s nowhere log", "nil|No such file or directory|missing" },
    } do
      it(name, function()
        shell(case[1])
        local res = follow("name=" .. (case[3] or "log"))
        server:wait(function() return res:has_ended() end)
        assert.equal(case[2], (res:body()))
      end)
    end
  end)

  -- The old file is left once it has been quiet for a second.
  local function left()
    settle()
    server:advance(1.1)
  end

  describe("goes on", function()
    local res
    before_each(function()
      write("log", "one\n")
      res = follow "from=0"
      says(res, "one", 4)
    end)
    after_each(function() res:close() end)

    it("where the file is renamed and a new one made", function()
      shell "mv log log.1 && printf 'two\\n' > log"
      left()
      says(res, "one", 4, "two", 4)
      append("log", "three\n")
      says(res, "one", 4, "two", 4, "three", 10)
    end)

    it("with what a writer still adds to a file that was renamed", function()
      shell "mv log log.1"
      settle()
      append("log.1", "late\n")
      says(res, "one", 4, "late", 9)
      shell "printf 'new\\n' > log"
      settle()
      server:advance(0.5)
      append("log.1", "later\n")
      says(res, "one", 4, "late", 9, "later", 15)
      server:advance(0.6)
      settle()
      assert.same({ "one", 4, "late", 9, "later", 15 }, lines_of(res))
      left()
      says(res, "one", 4, "late", 9, "later", 15, "new", 4)
    end)

    it("with the last line of the old file, also without its end", function()
      append("log", "unfinished")
      shell "mv log log.1 && printf 'two\\n' > log"
      left()
      says(res, "one", 4, "unfinished", 14, "two", 4)
    end)

    it("where the file is copied and truncated", function()
      append("log", "unfin")
      settle()
      shell "cp log log.1 && : > log"
      settle()
      append("log", "two\n")
      says(res, "one", 4, "two", 4)
    end)

    it("where the file is truncated and holds less than before", function()
      append("log", "two\nthree\n")
      says(res, "one", 4, "two", 8, "three", 14)
      shell "printf 'x\\n' > log"
      says(res, "one", 4, "two", 8, "three", 14, "x", 2)
    end)

    it("where the file is removed, and made again later", function()
      local f <close> = assert(io.open(folder .. "/log", "ab"))
      os.remove(folder .. "/log")
      settle()
      f:write "gone\n"
      f:flush()
      says(res, "one", 4, "gone", 9)
      write("log", "again\n")
      left()
      says(res, "one", 4, "gone", 9, "again", 6)
    end)

    it("where another file is renamed over it", function()
      shell "printf 'two\\n' > new && mv new log"
      left()
      says(res, "one", 4, "two", 4)
      append("log", "three\n")
      says(res, "one", 4, "two", 4, "three", 10)
    end)

    it("where the file is renamed away and comes back", function()
      shell "mv log away"
      settle()
      append("away", "two\n")
      says(res, "one", 4, "two", 8)
      shell "mv away log"
      settle()
      append("log", "three\n")
      says(res, "one", 4, "two", 8, "three", 14)
    end)

    it("with the file that came next, also where that is renamed before the old one is left", function()
      shell "mv log log.1 && printf 'two\\n' > log"
      settle()
      shell "mv log log.2 && printf 'three\\n' > log"
      left()
      says(res, "one", 4, "two", 4)
      left()
      says(res, "one", 4, "two", 4, "three", 6)
    end)

    it("at once, where the old file was gone and quiet for long before a new one came", function()
      shell "mv log log.1"
      left()
      shell "printf 'two\\n' > log"
      says(res, "one", 4, "two", 4)
    end)

    it("where the file is renamed, and comes back over the one that was made meanwhile", function()
      shell "mv log away && printf 'other\\n' > log"
      settle()
      shell "mv away log"
      settle()
      append("log", "two\n")
      says(res, "one", 4, "two", 8)
      shell "mv log log.1 && printf 'three\\n' > log"
      left()
      says(res, "one", 4, "two", 8, "three", 6)
    end)

    it("through many rotations, each line once and in order", function()
      local expected = { "one", 4 }
      for i = 1, 5 do
        shell(("mv log log.%d && printf 'a%d\\nb%d\\n' > log"):format(i, i, i))
        left()
        table.move({ "a" .. i, 3, "b" .. i, 6 }, 1, 4, #expected + 1, expected)
        says(res, table.unpack(expected))
      end
    end)
  end)

  describe("goes on behind a link", function()
    local res
    before_each(function()
      shell "mkdir a b && printf 'one\\n' > a/log && ln -s a/log log"
      res = follow "from=0"
      says(res, "one", 4)
    end)
    after_each(function() res:close() end)

    it("that is made to lead elsewhere", function()
      shell "printf 'two\\n' > b/log && ln -s b/log new && mv -T new log"
      left()
      says(res, "one", 4, "two", 4)
      append("b/log", "three\n")
      says(res, "one", 4, "two", 4, "three", 10)
    end)

    it("whose file is rotated in its own folder", function()
      append("a/log", "two\n")
      says(res, "one", 4, "two", 8)
      shell "mv a/log a/log.1 && printf 'three\\n' > a/log"
      left()
      says(res, "one", 4, "two", 8, "three", 6)
    end)
  end)

  it("goes on behind a link to a folder that is made to lead elsewhere", function()
    shell "mkdir a b && printf 'one\\n' > a/log && printf 'two\\n' > b/log && ln -s a current"
    local res = follow "name=current/log&from=0"
    says(res, "one", 4)
    shell "ln -s b new && mv -T new current"
    settle()
    server:advance(1.1)
    says(res, "one", 4, "two", 4)
    res:close()
  end)

  it("waits for a file that is to appear, where it is told to", function()
    local res = follow "wait&from=0"
    settle()
    assert.equal(200, res:status())
    write("log", "one\n")
    says(res, "one", 4)
    append("log", "two\n")
    says(res, "one", 4, "two", 8)
    res:close()
  end)

  it("waits for the folder, too", function()
    local res = follow "name=d/e/log&wait&from=0"
    settle()
    shell "mkdir d"
    settle()
    shell "mkdir d/e"
    settle()
    shell "printf 'one\\n' > d/e/log"
    says(res, "one", 4)
    res:close()
  end)

  it("looks at everything anew where word was lost", function()
    write("log", "one\n")
    local res = follow "from=0"
    says(res, "one", 4)
    -- Unread, until the queue is full: 16,384 notices, or what the machine allows.
    local f <close> = assert(io.open "/proc/sys/fs/inotify/max_queued_events")
    local max = f:read "n"
    for _ = 1, max // 4 + 100 do
      os.rename(folder .. "/log", folder .. "/x")
      os.rename(folder .. "/x", folder .. "/log")
    end
    shell "mv log log.1 && printf 'two\\n' > log"
    settle()
    server:advance(1.1)
    says(res, "one", 4, "two", 4)
    res:close()
  end)

  it("is followed by many who each begin where they like", function()
    write("log", "")
    serve(TAIL)
    local all = {}
    for i = 1, 50 do all[i] = follow(i % 2 == 0 and "from=0" or "") end
    settle(0.2)
    append("log", "one\n")
    for i = 1, 50 do says(all[i], "one", 4) end
    for i = 1, 50 do all[i]:close() end
    assert.equal(0, server:stats().files)
    local notes <close> = assert(io.popen "cat /proc/$PPID/fdinfo/* 2>/dev/null | grep -c '^inotify wd'")
    assert.equal(0, notes:read "n") -- the kernel watches nothing any more
  end)

  it("is let go of when its client leaves", function()
    write("log", "")
    local res = follow()
    settle()
    assert.equal(1, server:stats().files)
    res:close()
    assert.equal(0, server:stats().files)
  end)
end)

describe("fs.watch", function()
  local function watch(name)
    serve(TELL .. ([[
app:get("/", function()
  local changes, err, code = fs.watch(DIR .. %q)
  if not changes then return tell(nil, err, code) end
  return sse.reply(changes:map(function(c) return ("%%s %%s %%s"):format(c.what, c.path:sub(#DIR + 1), c.name) end))
end)]]):format(name))
    local res = server:get "/"
    settle()
    return res
  end

  local function has(res, ...)
    local expected = { ... }
    pcall(server.wait, server, function() return #res:data() >= #expected end, 3)
    assert.same(expected, res:data())
  end

  it("tells what comes, goes and changes in a folder", function()
    shell "touch old"
    local res = watch ""
    append("old", "x")
    has(res, "changed /old old")
    shell "mv old new"
    has(res, "changed /old old", "removed /old old", "created /new new")
    shell "rm new"
    has(res, "changed /old old", "removed /old old", "created /new new", "removed /new new")
    res:close()
  end)

  it("tells what becomes of a file, those beside it left out", function()
    shell "touch a b"
    local res = watch "/a"
    append("b", "x")
    append("a", "x")
    has(res, "changed /a nil")
    shell "rm a"
    has(res, "changed /a nil", "removed /a nil")
    shell "printf x > c && mv c a"
    has(res, "changed /a nil", "removed /a nil", "created /a nil")
    res:close()
  end)

  it("tells that a file appears", function()
    local res = watch "/later"
    write("later", "x")
    has(res, "created /later nil", "changed /later nil")
    res:close()
  end)

  it("says a change that waits once", function()
    serve [[
app:get("/", function()
  local changes, list = assert(fs.watch(DIR)), {}
  sse.sleep(1)
  for i = 1, 4 do
    local change = changes:next()
    list[i] = change.what .. " " .. change.name
  end
  changes:close()
  return table.concat(list, ", ")
end)]]
    local res = server:get "/"
    settle()
    for _ = 1, 5 do
      append("a", "x")
      settle(0.02) -- or the kernel leaves out what is the same
    end
    append("z", "x")
    settle()
    server:advance(1)
    server:wait(function() return res:has_ended() end)
    assert.equal("created a, changed a, created z, changed z", (res:body()))
  end)

  it("says where too many wait that anything may have changed", function()
    serve [[
local go = spate.shared "go"
app:get("/", function()
  local changes = assert(fs.watch(DIR))
  go:set("on", true)
  while go:get "on" do sse.sleep(1) end
  local first, second = changes:next(), changes:next()
  changes:close()
  return first.what .. " " .. second.what
end)
app:get("/go", function() go:delete "on" return "x" end)]]
    local res = server:get "/"
    settle()
    shell "for i in 1 2 3 4 5; do echo x >> a; done; seq 1200 | sed 's/^/b/' | xargs touch; sleep 0.1; touch z"
    settle(0.2)
    server:get "/go"
    server:advance(1)
    shell "touch last"
    server:wait(function() return res:has_ended() end)
    assert.matches("^unknown created$", (res:body()))
  end)

  it("tells where there is nothing to watch", function()
    shell "mkdir d && chmod 0 d"
    local res = watch "/d"
    local is_root = io.popen("id -u"):read "n" == 0
    if is_root then res:close() else assert.equal("nil|Permission denied|forbidden", (res:body())) end
  end)
end)
