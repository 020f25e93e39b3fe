-- SPDX-License-Identifier: MIT
-- `spate test` as a program, and busted as it is where the library has been installed.
local socket = require "socket"

local ROOT = assert(assert(io.popen("pwd")):read("l"))
local BUILD = os.getenv("BUILD") or "build"
local SPATE = os.getenv("SPATE") or ROOT .. "/" .. BUILD .. "/spate"
local SECONDS = 20 -- that anything may take

local APP = [[local spate, sse = require "spate", require "spate.sse"
local words = require "words"
local app = spate.app()

app:get("/", function(req)
  if req.query.loud then
    return words.shout "hello"
  end
  return words.say "hello"
end)

app:get("/ticks", function(req) return sse.reply(sse.interval(1)) end)

app:get("/task", function(req)
  sse.spawn(function() sse.sleep(60) end)
  return "started"
end)

return app
]]

local WORDS = [[local words = {}

function words.say(word)
  return word
end

function words.shout(word)
  return word:upper()
end

return words
]]

local HEAD = [[local t = require "spate.test"
describe("app", function()
  local app = t.load "app.lua"
]]

local PASSING = HEAD .. [[
  it("says hello", function() assert.equal("hello", app:get("/"):body()) end)
  it("ticks", function()
    local res = app:get "/ticks"
    t.advance(2)
    assert.events(res, { "1", "2" })
    res:close()
  end)
end)
]]

local directory

local function write(name, text)
  local f <close> = assert(io.open(directory .. "/" .. name, "w"))
  f:write(text)
end

-- What is in a file, "" where there is none yet.
local function read(path)
  local f <close> = io.open(path)
  return f and f:read("a") or ""
end

-- Exit code and output of a command in the directory.
local function run(command)
  local pipe = assert(io.popen(("cd %s && { %s; } 2>&1 </dev/null"):format(directory, command)))
  local output = pipe:read("a")
  local _, _, code = pipe:close()
  return code or 0, output
end

local function test(arguments) return run(("'%s' test %s"):format(SPATE, arguments or "")) end

describe("spate test", function()
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir -p " .. directory .. "/spec"))
    write("app.lua", APP)
    write("words.lua", WORDS)
    write("spec/app_spec.lua", PASSING)
  end)

  after_each(function() os.execute("rm -rf " .. directory) end)

  it("runs the specs below spec/ and exits with 0", function()
    local code, output = test()
    assert.matches("2 successes / 0 failures / 0 errors", output)
    assert.equal(0, code)
  end)

  it("exits with 1 where something failed, however much", function()
    write("spec/app_spec.lua", 'describe("many", function() for i = 1, 300 do it(tostring(i), function() assert.equal(1, 2) end) end end)')
    assert.equal(1, (test "-o TAP"))
    write("spec/app_spec.lua", 'describe("many", function() for i = 1, 256 do it(tostring(i), function() error "x" end) end end)')
    assert.equal(1, (test "-o TAP"))
    write("spec/app_spec.lua", "describe(")
    assert.equal(1, (test()))
  end)

  it("passes options on to busted, and exits with 2 where there is no such", function()
    local code, output = test "--filter=hello"
    assert.matches("1 success / 0 failures", output)
    assert.equal(0, code)
    code, output = test "--no-such-option"
    assert.matches("spate test: error: .*no%-such%-option", output)
    assert.equal(2, code)
    code, output = test "--help"
    assert.equal(0, code)
    assert.matches("^Usage: spate test ", output)
    for _, option in ipairs { "%-%-watch", "%-%-coverage%[=FILE%]", "%-%-filter", "busted %-%-help" } do assert.matches(option, output) end
    assert.is_nil(output:find("moonscript", 1, true))
  end)

  it("fails where an application asks another server that nothing stands for", function()
    write("app.lua", [[
local spate, http = require "spate", require "spate.http"
local app = spate.app()
app:get("/", function() return http.get("http://other.example/x") and "there" or "not there" end)
return app
]])
    local check = '  it("asks", function() %s assert.equal("%s", app:get("/"):body()) end)\nend)\n'
    write("spec/app_spec.lua", HEAD .. check:format("", "not there"))
    local code, output = test()
    assert.matches("asked without a stub %(t.http.stub%): GET http://other.example/x", output)
    assert.equal(1, code)
    write("spec/app_spec.lua", HEAD .. check:format('t.http.stub("GET", "http://other.example/x", {})', "there"))
    assert.equal(0, (test()))
  end)

  it("tells of streams that are left open, and fails where a task runs on", function()
    write("spec/app_spec.lua", HEAD .. '  it("forgets", function() app:get "/ticks" app:get "/ticks?a=b" end)\nend)')
    local code, output = test()
    assert.matches("spate.test: app forgets: left open: GET /ticks, GET /ticks%?a=b\n", output)
    assert.equal(0, code)
    write("spec/app_spec.lua", 'require("spate.test").strict(true)\n' .. HEAD .. '  it("forgets", function() app:get "/ticks" end)\nend)')
    code, output = test()
    assert.matches("app forgets: left open: GET /ticks", output)
    assert.equal(1, code)
    write("spec/app_spec.lua", HEAD .. '  it("spawns", function() app:get "/task" end)\n  it("goes on", function() app:get "/" end)\nend)')
    code, output = test()
    assert.matches("app spawns: 1 task runs on after all clients have left", output)
    assert.matches("2 successes / 0 failures / 1 error", output)
    assert.equal(1, code)
  end)

  it("writes the lines of the application that have run, in LCOV", function()
    local code, output = test "--coverage"
    assert.matches("lcov.info: %d+ of %d+ lines", output)
    assert.equal(0, code)
    local records = {}
    for path, rows in read(directory .. "/lcov.info"):gmatch("TN:\nSF:([^\n]+)\n(.-)end_of_record\n") do
      records[path] = {}
      for line, hits in rows:gmatch("DA:(%d+),(%d+)\n") do records[path][tonumber(line)] = tonumber(hits) end
      local found, hit = tonumber(rows:match("LF:(%d+)")), tonumber(rows:match("LH:(%d+)"))
      assert.is_true(found > hit and hit > 0)
    end
    local app, words = records["app.lua"], records["words.lua"]
    assert.same({ 1, 0, 1 }, { app[6], app[7], app[9] })
    assert.equal(0, app[15]) -- a coroutine of its own, never started
    assert.is_nil(app[8]) -- an end
    assert.same({ 1, 0 }, { words[4], words[8] })
    local files = 0
    for _ in pairs(records) do files = files + 1 end
    assert.equal(2, files)
    test "--coverage=other.info"
    assert.matches("SF:app.lua", read(directory .. "/other.info"))
  end)

  it("counts lines in coroutines, and after an error", function()
    write("app.lua", [[local spate, sse = require "spate", require "spate.sse"
local app = spate.app()
app:get("/", function(req)
  local co = coroutine.wrap(function()
    coroutine.yield(1)
    return 2
  end)
  pcall(error, "x")
  local sum = co() + co()
  sse.sleep(1)
  return tostring(sum)
end)
return app
]])
    write("spec/app_spec.lua", HEAD .. [[  it("sums", function()
      local a, b = app:get "/", app:get "/"
      t.advance(1)
      assert.equal("3", a:body() and b:body())
    end)
end)]])
    local code, output = test "--coverage"
    assert.equal(0, code, output)
    local text = read(directory .. "/lcov.info")
    for _, line in ipairs { 5, 6, 8, 9, 10, 11 } do assert.matches(("DA:%d,2\n"):format(line), text) end
  end)

  it("says what a spec is where there is none", function()
    os.remove(directory .. "/spec/app_spec.lua")
    local code, output = test()
    assert.truthy(output:find("there are no specs: files such as spec/app_spec.lua", 1, true), output)
    assert.equal(1, code)
  end)

  it("says which package has busted where there is none", function()
    local code, output = run(("LUA_PATH=/nowhere/?.lua '%s' test"):format(SPATE))
    assert.equal("spate: spate test needs busted: apt install lua-busted\n", output)
    assert.equal(1, code)
  end)

  it("watches: a save runs the specs that loaded the file, and no others", function()
    write("spec/other_spec.lua", 'describe("other", function() it("is", function() end) end)')
    local pipe = assert(io.popen(("cd %s && echo $$ && exec '%s' test --watch -o TAP >watch.log 2>&1 </dev/null"):format(directory, SPATE)))
    local pid = pipe:read("l")
    finally(function()
      os.execute("kill " .. pid)
      pipe:close()
    end)
    local function wait_for(pattern)
      local deadline = socket.gettime() + SECONDS
      repeat
        local log = read(directory .. "/watch.log")
        if log:find(pattern) then return log end
        socket.sleep(0.02)
      until socket.gettime() > deadline
      error(("waited in vain for %s in\n%s"):format(pattern, read(directory .. "/watch.log")))
    end
    wait_for("ok 3 .*%-%- watching %d+ files")
    write("words.lua.new", (WORDS:gsub("return word\n", "return word .. 1\n")))
    os.rename(directory .. "/words.lua.new", directory .. "/words.lua") -- as editors do
    local log = wait_for("running spec/app_spec.lua.*not ok 1.*%-%- watching")
    assert.not_matches("running.*other is", log)
    write("spec/other_spec.lua", 'describe("other", function() it("was", function() end) end)')
    wait_for("running spec/other_spec.lua.*ok 1 %- other was.*%-%- watching")
    write("new.lua", "return 1")
    wait_for("running all.*not ok.*ok 3")
  end)

  it("is the same with busted alone where the library is installed", function()
    local prefix = directory .. "/prefix"
    local pipe = assert(io.popen(("make --no-print-directory install PREFIX=%s BUILD=%s 2>&1"):format(prefix, BUILD)))
    local output = pipe:read("a")
    assert.is_true(pipe:close(), output)
    local code
    code, output = run(("LUA_PATH='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua;;' LUA_CPATH='%s/lib/lua/5.4/?.so;;' lua5.4 /usr/bin/busted")
      :format(prefix, prefix, prefix))
    assert.matches("2 successes / 0 failures / 0 errors", output)
    assert.equal(0, code)
  end)
end)
