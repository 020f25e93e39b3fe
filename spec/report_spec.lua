-- SPDX-License-Identifier: MIT
-- Errors as a person reads them: what loading says, what the log says, and whose functions a traceback has.
local helper = require "spec.helper"

local directory

local function write(name, text)
  local path = directory .. "/" .. name
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
  return path
end

-- What loading the file says.
local function load_error(path)
  local core = helper.harness.new {}
  local ok, err = core:load(path)
  core:close()
  assert.is_nil(ok)
  return err
end

local function contains(text, ...)
  for _, part in ipairs { ... } do assert.truthy(text:find(part, 1, true), ("%q is not in\n%s"):format(part, text)) end
end

local function lacks(text, ...)
  for _, part in ipairs { ... } do assert.is_nil(text:find(part, 1, true), ("%q is in\n%s"):format(part, text)) end
end

setup(function()
  directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir " .. directory))
end)

teardown(function() os.execute("rm -r " .. directory) end)

describe("the report of a script that does not load", function()
  it("has the message first, then the excerpt with its line marked, then the hint", function()
    local path = write("syntax.lua", "local a = 1\nlocal b = = 2\nreturn a\n")
    assert.equal(path .. ":2: unexpected symbol near '='\n" .. [[
       1 | local a = 1
  >    2 | local b = = 2
       3 | return a
hint: Lua cannot read this line; the mistake may be at the end of the one before]], load_error(path))
  end)

  it("shows two lines on each side", function()
    local report = load_error(write("middle.lua", "-- 1\n-- 2\n-- 3\nerror 'x'\n-- 5\n-- 6\n-- 7\n"))
    contains(report, "       2 | -- 2\n", "  >    4 | error 'x'\n", "       6 | -- 6")
    lacks(report, "-- 1", "-- 7")
  end)

  it("has a traceback where the user's functions call each other, without the library's and C's", function()
    local path = write("deep.lua", [[
local spate, sse = require "spate", require "spate.sse"
local app = spate.app()
local function inner() app:get("/x", 5) end
local function outer() table.sort({ 1, 2 }, function() inner() end) end
app:group("/g", function() outer() end)
]])
    local report = load_error(path)
    contains(report, path .. ":3: app:get(\"/x\"): expected a function, got number\n", "stack traceback:\n\t" .. path .. ":3: in upvalue 'inner'",
      "\n\t" .. path .. ":4: in function <" .. path .. ":4>", "\n\t" .. path .. ":5: in main chunk")
    lacks(report, "spate/", "[C]", "(...")
  end)

  it("has no traceback where the excerpt shows all that it would", function()
    lacks(load_error(write("flat.lua", "error 'x'\n")), "stack traceback")
  end)

  it("knows a user's functions in a folder named spate", function()
    assert(os.execute("mkdir -p " .. directory .. "/spate"))
    local path = write("spate/app.lua", "local t\nlocal function f() return t.x end\nf()\n")
    contains(load_error(path), "\n\t" .. path .. ":3: in main chunk")
  end)

  it("skips the middle of an endless recursion", function()
    local report = load_error(write("recursion.lua", "local function f() return 1 + f() end\nf()\n"))
    contains(report, "stack overflow", "\n\t...\n", ":2: in main chunk")
    assert.is_true(select(2, report:gsub("\n", "")) < 90)
  end)

  it("finds the file behind a path that Lua has shortened", function()
    assert(os.execute("mkdir -p " .. directory .. "/" .. ("d"):rep(80)))
    local path = write(("d"):rep(80) .. "/app.lua", "local a\na.b = 1\n")
    contains(load_error(path), ">    2 | a.b = 1")
  end)

  it("begins with the place in a module that is not Lua", function()
    local module = write("broken_module.lua", "return {\n  a = ,\n}\n")
    local report = load_error(write("uses_broken.lua", 'local m = require "broken_module"\n'))
    assert.equal(module .. ":2: unexpected symbol near ',' (in module 'broken_module')", report:match("^[^\n]*"))
    contains(report, ">    2 |   a = ,")
  end)

  it("points at the last line of a script that returns no app", function()
    local path = write("no_app.lua", "local x = 1\nlocal y = 2\n")
    local report = load_error(path)
    contains(report, path .. ":2: expected the script to return its app, got nil", ">    2 | local y = 2", "\nhint: the last line of the script is `return app`")
  end)

  it("tells of an error that is no text, and of a file that is not there", function()
    assert.equal("an error value of type table", load_error(write("value.lua", "error {}\n")))
    contains(load_error(directory .. "/none.lua"), "cannot open " .. directory .. "/none.lua")
  end)

  it("cuts long lines and goes without the excerpt of what is no file", function()
    local report = load_error(write("long.lua", "error 'x' -- " .. ("y"):rep(1000) .. "\n"))
    contains(report, "  >    1 | error 'x' -- yyy", "yyy...")
    assert.is_true(#report < 500)
    contains(load_error(write("string.lua", 'load("\\n\\nlocal x = nil + 1", "chunk")()\n')), ']:3: attempt to perform arithmetic', ": in main chunk")
  end)

  it("is the plain message where memory is short", function()
    local core = helper.harness.new { settings = { limits = { lua_memory = 3 * 1024 * 1024 } } }
    local ok, err = core:load(write("memory.lua", "local t = {} for i = 1, 1e9 do t[i] = { i } end\n"))
    core:close()
    assert.is_nil(ok)
    contains(err, "not enough memory")
  end)
end)

describe("the hint", function()
  for name, package_name in pairs {
    ["cjson.safe"] = "lua-cjson", socket = "lua-socket", ["socket.http"] = "lua-socket", lfs = "lua-filesystem", lpeg = "lua-lpeg",
    ssl = "lua-sec", ["luasql.sqlite3"] = "lua-sql-sqlite3", ["luasql.postgres"] = "lua-sql-postgres",
  } do
    it("for the module " .. name .. " names Debian's package", function()
      local preload = ("local name = %q\npackage.path, package.cpath = './none/?.lua', './none/?.so'\n"):format(name)
      contains(load_error(write("module.lua", preload .. "local m = require(name)\n")), "module '" .. name .. "' not found", ":3: ",
        "hint: modules are looked for beside the script", "apt install " .. package_name, "no file './none/")
    end)
  end

  it("for another module says how packages are named, and for JSON that spate has it", function()
    contains(load_error(write("module.lua", 'require "no.such"\n')), "Debian's are packages named lua-NAME", "no file '")
    contains(load_error(write("module.lua", 'package.cpath = "" require "cjson"\n')), "spate.json needs no package")
    contains(load_error(write("module.lua", 'require "spate.ssee"\n')), "did you mean 'spate.sse'?")
  end)

  for _, case in ipairs {
    { "app:gett('/x', print)", "did you mean 'get'?" }, { "reply.jsn {}", "did you mean 'json'?" }, { "sse.intervall(1)", "did you mean 'interval'?" },
    { "sse.never():fliter(print)", "did you mean 'filter'?" }, { "sse.event():dta 'x'", "did you mean 'data'?" },
    { "app:entirely_else()", "check its name against README's API" }, { "reply.nothing_like_it()", "check its name against README's API" },
    { "aap:get('/x')", "is a `local name = require ...` missing at the top?" }, { "interval(1)", 'come from require "spate"' },
  } do
    it("for " .. case[1] .. " is " .. case[2], function() contains(helper.load_error("\n" .. case[1]), "hint: ", case[2]) end)
  end
end)

describe("an error in the log of spate serve", function()
  it("has a traceback without the library's functions, and neither excerpt nor hint", function()
    local server = helper.serve [[
      local function deep() error "boom" end
      app:use(function(req, next) return next() end)
      app:get("/x", function() deep() end)
      app:get("/s", function() return sse.reply(function(send) send(1) deep() end) end)
      app:get("/spawn", function() return tostring(sse.spawn(function() deep() end):join()) end)
      app:get("/close", function(req) req:on_close(function() deep() end) return "x" end)
      sse.every(1, function() deep() end)
    ]]
    for _, path in ipairs { "/x", "/s", "/spawn", "/close" } do
      server:get(path):close()
      local log = server:log()
      contains(log, ":3: boom", "stack traceback:\n\t", "in upvalue 'deep'")
      lacks(log, "\tspate/", "[C]", "(...", " | ", "hint: ")
    end
    server:advance(1)
    local log = server:log()
    contains(log, ":3: boom", "stack traceback:\n\t")
    lacks(log, "\tspate/", "[C]")
    server:close { tasks = 1, timers = 1 }
  end)

  it("names the request whose stream failed", function()
    local server = helper.serve [[ app:get("/s/:id", function() return sse.reply { 1, {} } end) ]]
    server:get "/s/7"
    contains(server:log(), 'request="GET /s/7"')
    server:close()
  end)
end)

describe("the pretty log", function()
  local function serve(source) return helper.serve(source, { settings = { log = { format = "pretty" } } }) end

  it("has the time of day, the level, the message and the fields", function()
    local server = serve [[ app:get("/x", function() spate.log.warn("late", { room = "a b", n = 3, esc = "\27[1m" }) return "x" end) ]]
    server:get "/x"
    local line = server:log():match("[^\n]* warn [^\n]*")
    assert.matches("^%d%d:%d%d:%d%d%.%d%d%d warn  late ", line)
    contains(line, ' room="a b"', " n=3", ' esc="\\x1b[1m"')
    lacks(line, "\27")
    server:close()
  end)

  it("keeps the lines of a message, indented below the fields, and escapes what is no text", function()
    local server = serve [[ app:get("/x", function() spate.log.error("one\ntwo\n\tthree \27[2J\n00:00:00.000 info  forged", { n = 1 }) return "x" end) ]]
    server:get "/x"
    contains(server:log(), " error one n=1\n    two\n\tthree \\x1b[2J\n    00:00:00.000 info  forged\n")
    server:close()
  end)
end)
