-- SPDX-License-Identifier: MIT
-- The mistakes that newcomers make, each with what the log and the page of spate dev say.
local helper = require "spec.helper"

local function contains(text, ...)
  for _, part in ipairs { ... } do assert.truthy(text:find(part, 1, true), ("%q is not in\n%s"):format(part, text)) end
end

local function escaped(text) return (text:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" })) end

local COLON = "object:method(...) hands the object to its method, object.method(...) does not"

-- In a handler: what is wrong, the line, the message, the hint.
local MISTAKES = {
  { "a dot on a request", "return req.body()", "expected a request, got no value; write req:name(), with a colon", COLON },
  { "a dot on a request, with an argument", 'return tostring(req.accepts "text/html")', "req:accepts", nil },
  { "a dot on a reply", 'return reply.text("x").header("X", "y")', "expected a reply, got string; write r:header(...), with a colon", COLON },
  { "a dot on a stream", "return sse.reply(sse.never().take(1))", "stream:take: write it with a colon", COLON },
  { "a dot on a channel", 'sse.channel("a").publish "x"', "channel:publish(...): write it with a colon", COLON },
  { "a dot on an event", 'return sse.reply { sse.event().data "x" }', "expected an event, got string; write event:data(...), with a colon", COLON },
  { "a dot on a task", "sse.spawn(print).join()", "task:join(): write it with a colon", COLON },
  { "a colon on reply", 'return reply:text "x"', "reply.text(...): write it with a dot", nil },
  { "an answer that is not returned", 'reply.text "x"', "returned nil; did you forget `return`?", "a handler ends with `return` and its answer" },
  { "a stream function that is returned bare", "return function(send) send(1) end", "returned function; sse.reply(function(send) ... end) makes a stream of it", nil },
  { "a wait in a comparator", "table.sort({ 2, 1 }, function(a, b) sse.sleep(1) return a < b end) return 'x'",
    "sse.sleep: cannot wait inside table.sort, which calls back from C", "wait before the call, keep the result in a local" },
  { "a wait in gsub", "return (('x'):gsub('x', function() sse.sleep(1) end))", "cannot wait inside string.gsub", "wait before the call" },
  { "a wait in a coroutine of one's own", "local f = coroutine.wrap(function() sse.sleep(1) coroutine.yield(1) end) return tostring(f())",
    "cannot wait inside a coroutine of your own: its resume would get the wait; use sse.wrap", "for value in sse.wrap(fn) do ... end" },
  { "a module that is not there", 'return require "cjson"', "module 'cjson' not found", "modules are looked for beside the script, then on LUA_PATH; Debian has this one in lua-cjson: apt install lua-cjson; spate.json needs no package",
    "package.cpath = '' " },
  { "an unknown option of a reply", "return sse.reply({ 1 }, { stauts = 201 })", "sse.reply: unknown option 'stauts'; did you mean 'status'?", nil },
  { "an unknown option of a channel", "sse.channel('a', { histry = 5 }) return 'x'", "sse.channel: unknown option 'histry'; did you mean 'history'?", nil },
  { "an unknown option of a cookie", "return reply.text('x'):cookie('a', 'b', { maxage = 1 })", "unknown option 'maxage'; did you mean 'max_age'?", nil },
  { "an option that resembles none", "return sse.reply({ 1 }, { zzzzzzzzz = 1 })", "unknown option 'zzzzzzzzz'; it has status, headers, keep_alive", nil },
  { "a colon on sse", "sse:sleep(1)", "sse.sleep: expected seconds, got table", "write sse.sleep(...), with a dot: sse is a module" },
  { "a colon on the log", 'spate.log:info "x"', "spate.log: expected a table of fields, got string", "write log.info(...), with a dot: log is a module" },
  { "a tail call with a dot on a channel", 'return sse.channel("a").publish "x"', "channel:publish(...): write it with a colon", COLON },
  { "an unknown method", "return req:bdy()", "attempt to call a nil value (method 'bdy')", "did you mean 'body'?" },
  { "an unknown function of a module", 'return reply.txt "x"', "attempt to call a nil value (field 'txt')", "did you mean 'text'?" },
}

describe("in a handler,", function()
  for _, case in ipairs(MISTAKES) do
    it(case[1] .. " is named in the log and in the page, with its line", function()
      local server = helper.serve(("%s\napp:get('/x', function(req)\n%s\nend)"):format(case[5] or "", case[2]), { dev = true })
      local page = server:get("/x", { headers = { Accept = "text/html" } })
      local log = server:log()
      assert.equal(500, page:status())
      contains(log, " error ", case[3], " | " .. case[2], " | app:get('/x', function(req)")
      contains(page:body(), escaped(case[3]), escaped(" | " .. case[2]))
      if case[4] then
        contains(log, "hint: " .. case[4])
        contains(page:body(), '<p class="hint">' .. escaped(case[4]))
      end
      server:close()
    end)
  end
end)

describe("while the script is loaded,", function()
  for _, case in ipairs {
    { "a dot on the app", 'app.get("/x", print)', "app:get(...): write it with a colon", COLON },
    { "a wait", "sse.sleep(1)", "sse.sleep: nothing can wait while the script is loaded", "app:on_start(function() ... end) runs once the server does" },
    { "a module that is not there", 'local socket = require "socket.nothing"', "module 'socket.nothing' not found", "apt install lua-socket" },
    { "a server that is started by the script", "app:listen(3000)", "attempt to call a nil value (method 'listen')", "the script ends with `return app`; spate dev serves it" },
    { "an unknown option", "sse.every(1, print, { each_wroker = true })", "sse.every: unknown option 'each_wroker'; did you mean 'each_worker'?" },
    { "an unknown option of a pair", 'app:channel("/x", { repaly = 1 })', "app:channel: unknown option 'repaly'; did you mean 'replay'?" },
  } do
    it(case[1] .. " is named with its line", function()
      local report = helper.load_error("\n" .. case[2])
      contains(report, ":4: " .. case[3], "  >    4 | " .. case[2])
      if case[4] then contains(report, case[4]) end
    end)
  end
end)

describe("what is no mistake of Lua's", function()
  it("has no hint about the line: JSON that cannot be read", function()
    local server = helper.serve("app:post('/x', function(req)\nreturn assert(req:json())\nend)", { dev = true })
    local text = server:post("/x", { body = "{x" }):body()
    contains(text, ":4: line 1, column 2: ", " | return assert(req:json())")
    assert.is_nil(text:find("hint: ", 1, true))
    server:close()
  end)
end)

describe("io.lines and io.open in spate dev", function()
  it("fail at the script's line, and by their own names", function()
    local server = helper.serve("app:get('/lines', function()\nfor line in io.lines('none.html') do return line end\nend)\n"
      .. "app:get('/open', function()\nlocal f = io.open({})\nreturn f\nend)", { dev = true })
    contains(server:get("/lines"):body(), ":4: ", "none.html", "No such file or directory", " | for line in io.lines")
    contains(server:get("/open"):body(), ":7: bad argument #1 to 'open' (string expected, got table)", " | local f = io.open({})")
    server:close()
  end)
end)

describe("a file that is not there", function()
  local SOURCE = "app:get('/x', function() return reply.file 'none/page.html' end)\napp:get('/y', function() return reply.file '/' end)"

  it("is a 404, and spate dev logs where it was looked for", function()
    local server = helper.serve(SOURCE, { dev = true })
    assert.equal(404, server:get("/x"):status())
    contains(server:log(), " warn ", "reply.file: ", "/none/page.html: no such file")
    assert.equal(404, server:get("/y"):status())
    contains(server:log(), "reply.file: /: is a folder")
    server:close()
  end)

  it("is nothing to log in spate serve", function()
    local server = helper.serve(SOURCE)
    assert.equal(404, server:get("/x"):status())
    assert.is_nil(server:log():find("reply.file", 1, true))
    server:close()
  end)
end)

describe("in an event,", function()
  for field, near in pairs { dta = "data", evnt = "event", josn = "json", rerty = "retry", coment = "comment", idd = "id" } do
    it("the unknown field " .. field .. " is an error that names " .. near, function()
      local server = helper.serve(("app:get('/x', function() return sse.reply(function(send)\nsend { %s = 'x' }\nend) end)"):format(field), { dev = true })
      local message = (":4: unknown event field '%s'; did you mean '%s'?"):format(field, near)
      local events = server:get("/x"):events()
      assert.equal("error", events[1].event)
      contains(events[1].data, message)
      contains(server:log(), message, "hint: an event has event, data, json, id, retry and comment", " | send { " .. field)
      server:close()
    end)
  end
end)

describe("milliseconds for seconds", function()
  local function serve(source, options) return helper.serve(source, options or { dev = true }) end

  for _, case in ipairs {
    { "sse.sleep(5000)", "sse.sleep: 5000 seconds" }, { "return sse.reply(sse.interval(1000))", "sse.interval: 1000 seconds" },
    { "return sse.reply { sse.event():data('x'):retry(3000) }", "retry: 3000 seconds" }, { "return sse.reply { { data = 'x', retry = 3000 } }", "retry: 3000 seconds" },
    { "sse.every(2000, print)", "sse.every: 2000 seconds" }, { "return sse.reply(sse.never():throttle(700))", "stream:throttle: 700 seconds" },
    { "return sse.reply(sse.keep_alive():interval(15000):stream(sse.never()))", "keep_alive:interval: 15000 seconds" },
  } do
    it("in " .. case[1] .. " are warned of, once per place", function()
      local server = serve("app:get('/x', function(req)\n" .. case[1] .. "\nend)")
      local responses = { server:get "/x", server:get "/x" }
      local log = server:log()
      contains(log, " warn ", case[2] .. "; durations are seconds, not milliseconds")
      assert.equal(1, select(2, log:gsub("durations are seconds", "")), log)
      for _, res in ipairs(responses) do res.client:reset() end
      server:close(case[1]:find("every") and { tasks = 2, timers = 2 } or nil)
    end)
  end

  it("are warned of at each place", function()
    local server = serve "app:get('/x', function(req)\nif req.query.a then sse.sleep(700) end\nsse.sleep(601) end)"
    for _, target in ipairs { "/x", "/x?a=1" } do server:get(target).client:reset() end
    contains(server:log(), ":5: sse.sleep: 601 seconds", ":4: sse.sleep: 700 seconds")
    server:close()
  end)

  it("are no error, and ten minutes are none", function()
    local server = serve "app:get('/x', function(req) sse.sleep(600) return 'x' end) app:get('/y', function() sse.sleep(601) return 'y' end)"
    local x, y = server:get "/x", server:get "/y"
    server:advance(601)
    assert.equal("x", (x:body()))
    assert.equal("y", (y:body()))
    assert.equal(1, select(2, server:log():gsub("durations are seconds", "")))
    server:close()
  end)

  it("in a list or a loop are one warning", function()
    local server = serve "app:get('/x', function() for _ = 1, 50 do sse.event():retry(3000) end return 'x' end)"
    server:get "/x"
    assert.equal(1, select(2, server:log():gsub("durations are seconds", "")))
    server:close()
  end)
end)

describe("a global that is written", function()
  local SOURCE = "early = 1\napp:get('/x', function(req)\nearly = 2\ncuonter = (rawget(_G, 'cuonter') or 0) + 1\nreturn tostring(cuonter) .. tostring(undefined)\nend)"

  it("in a handler is warned of once per name, and is written; reading stays silent", function()
    local server = helper.serve(SOURCE, { dev = true })
    assert.equal("1nil", (server:get("/x"):body()))
    contains(server:log(), " warn ", ":6: global 'cuonter' written; is a `local` missing?")
    assert.equal("2nil", (server:get("/x"):body()))
    assert.is_nil(server:log():find("global", 1, true))
    server:close()
  end)

  it("while the script is loaded is the application's own", function()
    local server = helper.serve(SOURCE, { dev = true })
    assert.is_nil(server:log():find("global", 1, true))
    server:close()
  end)

  it("costs nothing in spate serve", function()
    local server = helper.serve("app:get('/x', function() return tostring(getmetatable(_G)) end)", {})
    assert.equal("nil", (server:get("/x"):body()))
    server:close()
  end)

  it("leaves the script's own metatable alone", function()
    local server = helper.serve("setmetatable(_G, { __index = function(_, name) return 'no ' .. name end })\napp:get('/x', function() return zzz end)", { dev = true })
    assert.equal("no zzz", (server:get("/x"):body()))
    server:close()
  end)
end)

-- A page from elsewhere may not read what this machine's server says of its sources, whatever name it is reached by.
describe("what failed is shown to a host", function()
  local HOSTS = {
    ["localhost"] = true, ["LOCALHOST:8080"] = true, ["localhost."] = true, ["a.localhost"] = true, ["[::1]"] = true, ["[::1]:80"] = true,
    ["127.0.0.1"] = true, ["127.255.255.255"] = true, ["127.255.255.255:1"] = true, [".localhost"] = false, ["xlocalhost"] = false,
    ["localhost.a"] = false, ["[::2]"] = false, ["128.0.0.1"] = false, ["127.0.0.1.a"] = false, ["127.255.255.2555"] = false,
  }
  for host, is_shown in pairs(HOSTS) do
    it(host .. (is_shown and "" or ": not"), function()
      local server = helper.serve("app:get('/x', function() error 'on purpose' end)", { dev = true })
      local page = server:get("/x", { headers = { Host = host, Accept = "text/html" } })
      assert.equal(500, page:status())
      assert.equal(is_shown, page:body():find("on purpose", 1, true) ~= nil)
      server:close()
    end)
  end
end)
