-- SPDX-License-Identifier: MIT
-- What spate check reads in a source and in a table of routes.
local helper = require "spec.helper"
package.path = "./lua/?.lua;" .. package.path
local blocking = require "spate.inspect.blocking"
local durations = require "spate.inspect.durations"
local globals = require "spate.inspect.globals"
local lexer = require "spate.inspect.lexer"
local packages = require "spate.inspect.packages"
local shadows = require "spate.inspect.shadows"

describe("the lexer", function()
  local function texts(source)
    local list = {}
    for i, token in ipairs(lexer(source)) do list[i] = token.kind .. ":" .. token.text .. ":" .. token.line end
    return list
  end

  for name, case in pairs {
    ["names, numbers and operators"] = { "local a1 = b.c(0x1F, 1e-3)", { "name:local:1", "name:a1:1", "op:=:1", "name:b:1", "op:.:1", "name:c:1",
      "op:(:1", "number:0x1F:1", "op:,:1", "number:1e-3:1", "op:):1" } },
    ["strings with escaped quotes"] = { [[f "a\"b" 'c\'d' g]], { "name:f:1", [[string:a\"b:1]], [[string:c\'d:1]], "name:g:1" } },
    ["long strings and the lines in them"] = { "a [==[x\n]] y\n]==] b", { "name:a:1", "string:x\n]] y\n:1", "name:b:3" } },
    ["no comments"] = { "a -- b\nc --[[ d\ne ]] f --[=[ g ]] ]=] h", { "name:a:1", "name:c:2", "name:f:3", "name:h:3" } },
    ["no first line of a shell"] = { "#!/usr/bin/env spate\na", { "name:a:2" } },
    ["dots apart from numbers"] = { "a..b ... .5", { "name:a:1", "op:..:1", "name:b:1", "op:...:1", "number:.5:1" } },
    ["a string without an end"] = { 'a "b\nc', { "name:a:1", "string:b:1", "name:c:2" } },
  } do
    it("reads " .. name, function() assert.same(case[2], texts(case[1])) end)
  end
end)

describe("globals", function()
  local function found(source)
    local list = {}
    for i, write in ipairs(globals(assert(load(source)))) do list[i] = write.line .. ":" .. write.name end
    return list
  end

  for name, case in pairs {
    ["written in a function"] = { "local function f()\n\n  x = 1\nend", { "3:x" } },
    ["written as a function in a function"] = { "return function()\n  function g() end\nend", { "2:g" } },
    ["however deep"] = { "return function() return function()\n return function() deep = 1 end end end", { "2:deep" } },
    ["in one of many targets"] = { "local a\nreturn function(t)\n a, t.x, b = 1, 2, 3 end", { "3:b" } },
    ["not those of the chunk itself"] = { "x = 1\nfunction y() end\nlocal z = x", {} },
    ["not locals, upvalues, fields and reads"] = { "local a, t = 1, {}\nreturn function(b) local c = print; a, b, c, t.x = x, y, z, w end", {} },
    ["not fields of an _ENV of one's own"] = { "local function f()\n local _ENV = {}\n x = 1\n return function() y = 2 end\nend", {} },
    ["after a line far below"] = { "return function()" .. ("\n"):rep(1000) .. "x = 1 end", { "1001:x" } },
  } do
    it("are found, " .. name, function() assert.same(case[2], found(case[1])) end)
  end

  it("are found in functions of many constants", function()
    local lines, expected = {}, {}
    for i = 1, 600 do
      lines[i] = ("g%d = 'v%d'"):format(i, i)
      expected[i] = ("%d:g%d"):format(i + 1, i)
    end
    assert.same(expected, found("return function()\n" .. table.concat(lines, "\n") .. "\nend"))
  end)
end)

describe("durations", function()
  local function found(source)
    local list = {}
    for i, each in ipairs(durations(lexer(source))) do list[i] = ("%d:%s %s"):format(each.line, each.what, each.number) end
    return list
  end

  for name, case in pairs {
    ["a sleep"] = { "local x\nsse.sleep(5000)", { "2:sse.sleep 5000" } },
    ["an interval and an every"] = { "sse.interval(1000)\nsse.every(60e3, f)", { "1:sse.interval 1000", "2:sse.every 60e3" } },
    ["another name of the module"] = { 'local events = require "spate.sse"\nevents.sleep(601)', { "2:events.sleep 601" } },
    ["a retry"] = { "sse.event():retry(2500)\nsend { data = 1, retry = 3000 }", { "1::retry 2500", "2:retry = 3000" } },
    ["a keep-alive"] = { "sse.keep_alive():interval(15000)", { "1::interval 15000" } },
    ["nothing of 600 and less"] = { "sse.sleep(600) sse.interval(0.5) e:retry(10)", {} },
    ["nothing that is worked out"] = { "sse.every(60 * 60, f) sse.sleep(n) sse.sleep(5000 / 1000)", {} },
    ["nothing of others"] = { "socket.sleep(5000) sleep(5000) local retry = 5000", {} },
    ["nothing in comments and strings"] = { "-- sse.sleep(5000)\nlocal s = 'sse.sleep(5000)'", {} },
  } do
    it("that are too long: " .. name, function() assert.same(case[2], found(case[1])) end)
  end
end)

describe("calls that block", function()
  local function found(source)
    local list = {}
    for i, each in ipairs(blocking(lexer(source))) do list[i] = ("%d:%s %s"):format(each.line, each.what, each.hint:match "^[%w_.]+") end
    return list
  end

  for name, case in pairs {
    ["a program in a handler"] = { "app:get('/', function()\n os.execute 'x'\n return io.popen('y'):read 'a' end)",
      { "2:os.execute spate.process", "3:io.popen spate.process" } },
    ["requests by LuaSocket and LuaSec"] = { [[local http, https = require "socket.http", require("ssl.https")
      local function f() return http.request "http://x", https.request { url = "https://x" } end]],
      { "2:http.request spate.http", "2:https.request spate.http" } },
    ["a module that is named at the call"] = { "function f()\n return require('socket.http').request(x), require 'socket'.sleep(1) end",
      { "2:socket.http.request spate.http", "2:socket.sleep sse.sleep" } },
    ["SQLite by another library"] = { "local s = require 'lsqlite3'\nlocal function f() return s.open 'a.db' end", { "2:s.open spate.sqlite" } },
    ["sleeps"] = { "local socket = require 'socket'\nlocal u = require 'posix.unistd'\nlocal function f() socket.sleep(1) u.sleep(2) os.sleep(3) end",
      { "3:socket.sleep sse.sleep", "3:u.sleep sse.sleep", "3:os.sleep sse.sleep" } },
    ["sockets"] = { "local socket = require 'socket'\nreturn function() return socket.connect('x', 1), socket.select(a) end",
      { "2:socket.connect sse.wait_fd", "2:socket.select sse.wait_fd" } },
    ["a local name of the function"] = { "local run, open = os.execute, io.popen\nlocal function f() run 'x' open('y') end",
      { "2:run spate.process", "2:open spate.process" } },
    ["in blocks of a function"] = { "local function f()\n for i = 1, 2 do if i then repeat os.execute 'x' until i end end\n while a do io.popen 'y' end\nend",
      { "2:os.execute spate.process", "3:io.popen spate.process" } },
    ["after a function that has ended, in one around it"] = { "local function f() local function g() end\n os.execute 'x' end", { "2:os.execute spate.process" } },
    ["not while the script is loaded"] = { "os.execute 'x'\nlocal f = function() end\nif x then io.popen 'y' end", {} },
    ["not at the start and the end"] = { "app:on_start(function() if x then os.execute 'x' end end)\napp:on_stop(function() io.popen 'x' end)", {} },
    ["but after them"] = { "app:on_start(function() os.execute 'x' end)\napp:get('/', function() os.execute 'y' end)", { "2:os.execute spate.process" } },
    ["not what is only named"] = { "local function f() local e = os.execute return e end", {} },
    ["not fields and methods of others"] = { "local function f() self.os.execute(1) x:popen(2) sse.sleep(1) job.sleep(2) end", {} },
    ["not those of a table of the file's own"] = { "local os = { execute = f }\nlocal http = fake\nlocal function g() os.execute(1) http.request(2) end", {} },
    ["not in comments and strings"] = { "local function f() -- os.execute 'x'\n return 'os.execute(1)' end", {} },
  } do
    it("are found: " .. name, function() assert.same(case[2], found(case[1])) end)
  end
end)

describe("the package of a missing module", function()
  it("is Debian's", function()
    for module, package in pairs { lfs = "lua-filesystem", ["socket.http"] = "lua-socket", lpeg = "lua-lpeg", re = "lua-lpeg",
      ["luasql.sqlite3"] = "lua-sql-sqlite3", ["luasql.postgres"] = "lua-sql-postgres", ["ssl.https"] = "lua-sec" } do
      assert.equal("Debian has it: apt install " .. package, packages(module))
    end
    assert.equal("spate.json needs no package; Debian has this one: apt install lua-cjson", packages "cjson")
  end)

  it("is guessed by its name elsewhere, and said to be a guess", function()
    assert.matches("apt search lua%-frob$", packages "frob.core")
  end)
end)

describe("routes that are never reached", function()
  local function found(...)
    local routes, list = {}, {}
    for i, path in ipairs { ... } do routes[i] = { method = "GET", path = path } end
    for i, shadow in ipairs(shadows(routes)) do list[i] = shadow.route.path .. " by " .. shadow.by.path end
    return list
  end

  for name, case in pairs {
    ["a set within an earlier one"] = { { "/:a[%w]", "/:b[%d]" }, { "/:b[%d] by /:a[%w]" } },
    ["a literal behind a wider set"] = { { "/:a[%w]/:x", "/:b[%d]/edit" }, { "/:b[%d]/edit by /:a[%w]/:x" } },
    ["a name behind a set of everything"] = { { "/:a[%z\1-\255]", "/:b" }, { "/:b by /:a[%z\1-\255]" } },
    ["a rest behind one"] = { { "/:a[%w]/*all", "/:b[%d]/x/y", "/:c[%d]/*more" }, { "/:b[%d]/x/y by /:a[%w]/*all", "/:c[%d]/*more by /:a[%w]/*all" } },
    ["not a wider set that comes later"] = { { "/:b[%d]", "/:a[%w]" }, {} },
    ["not sets that only overlap"] = { { "/:a[a-m]", "/:b[k-z]" }, {} },
    ["not a literal before a name"] = { { "/:a", "/x", "/*all" }, {} },
    ["not where a later segment differs"] = { { "/:a[%w]/x", "/:b[%d]/y" }, {} },
    ["not a name behind a set that lacks the slash, which may be escaped"] = { { "/:a[^/]", "/:b" }, {} },
    ["not an empty last segment behind a rest"] = { { "/:a[%w]/*all", "/:b[%d]/" }, {} },
  } do
    it("are found: " .. name, function() assert.same(case[2], found(table.unpack(case[1]))) end)
  end

  it("are those of one method only", function()
    assert.same({}, shadows { { method = "GET", path = "/:a[%w]" }, { method = "POST", path = "/:b[%d]" } })
  end)

  it("are never reached in the real router either, and pairs of others are", function()
    math.randomseed(7)
    local kinds = { "a", "1", ":%s[%%d]", ":%s[%%w]", ":%s[a1]", ":%s" }
    local parts, paths, reported = { "a", "1", "ab", "7", "a1", "-", "1a" }, {}, 0
    for _, x in ipairs(parts) do
      paths[#paths + 1] = "/" .. x
      for _, y in ipairs(parts) do paths[#paths + 1] = "/" .. x .. "/" .. y end
    end
    for _ = 1, 150 do
      local patterns, source, seen = {}, {}, {}
      for i = 1, 2 do
        local path = ""
        for depth = 1, math.random(2) do path = path .. "/" .. kinds[math.random(#kinds)]:format("p" .. depth) end
        if not seen[path] then
          seen[path] = true
          patterns[#patterns + 1] = { method = "GET", path = path }
          source[i] = ('app:get(%q, function() return "%d" end)'):format(path, #patterns)
        end
      end
      local server, reached = helper.serve(table.concat(source, "\n") .. "\n"), {}
      for _, path in ipairs(paths) do
        local res = server:get(path)
        if res:status() == 200 then reached[tonumber((res:body()))] = true end
      end
      server:close()
      local shadowed = {}
      for _, shadow in ipairs(shadows(patterns)) do shadowed[shadow.route.path] = true end
      for i, pattern in ipairs(patterns) do
        assert.equal(not reached[i], shadowed[pattern.path] or false, table.concat(source, "\n"))
        reported = reported + (shadowed[pattern.path] and 1 or 0)
      end
    end
    assert(reported > 0)
  end)
end)
