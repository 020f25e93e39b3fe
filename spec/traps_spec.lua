-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

-- A stream function with this body from line 3 on; what it sends.
local function run(code, options)
  local server = helper.serve("app:get('/', function(req) return sse.reply(function(send)\n" .. code .. "\nend) end)", options)
  local res = server:get "/"
  server:advance(10)
  local data = res:data()
  res:close()
  local log = server:log()
  server:close()
  return data, log
end

describe("waiting where a wait cannot cross", function()
  local places = {
    { "string.gsub", "local ok, err = pcall(string.gsub, 'a', 'a', function() sse.sleep(1) end)" },
    { "string.gsub", "local ok, err = pcall(function() return ('a'):gsub('a', function() sse.sleep(1) end) end)" },
    { "table.sort", "local ok, err = pcall(table.sort, { 2, 1 }, function(a, b) sse.sleep(1) return a < b end)" },
    { "table.sort", "local other_name = table.sort local ok, err = pcall(function() other_name({ 2, 1 }, function(a, b) sse.sleep(1) end) end)" },
    { "tostring", "local ok, err = pcall(tostring, setmetatable({}, { __tostring = function() sse.sleep(1) return '' end }))" },
    { "string.format", "local ok, err = pcall(string.format, '%s', setmetatable({}, { __tostring = function() sse.sleep(1) return '' end }))" },
    { "table.concat", "local ok, err = pcall(table.concat, setmetatable({}, { __len = function() return 1 end, __index = function() sse.sleep(1) return 'x' end }))" },
    { "require", "package.preload.waits = function() sse.sleep(1) end local ok, err = pcall(require, 'waits')" },
    { "load", "local ok, err = load(function() sse.sleep(1) end)" },
    { "an xpcall handler", "local ok, err = xpcall(error, function() return select(2, pcall(sse.sleep, 1)) end)" },
    { "an xpcall handler", "local ok, err = xpcall(function() local x = nil; return x.y end, function() return select(2, pcall(sse.sleep, 1)) end)" },
    { "__gc", "local err setmetatable({}, { __gc = function() err = select(2, pcall(sse.sleep, 1)) end }) collectgarbage()" },
  }
  for _, place in ipairs(places) do
    it("names " .. place[1] .. " and the user's line: " .. place[2], function()
      local data, log = run(place[2] .. " send(err)")
      assert.truthy(data[1], log)
      assert.truthy(data[1]:find(":4: sse.sleep: cannot wait inside " .. place[1] .. ", which calls back from C", 1, true), data[1])
    end)
  end

  it("is the same for all that wait", function()
    for code, name in pairs {
      ["send 'x'"] = "send", ["coroutine.yield 'x'"] = "send", ["task:join()"] = "task:join", ["ticks:next()"] = "sse.interval", ["never:next()"] = "sse.never",
    } do
      local data = run("local task = sse.spawn(sse.sleep, 1) local ticks, never = sse.interval(1), sse.never()\n" ..
        "local ok, err = pcall(string.gsub, 'a', 'a', function() " .. code .. " end) send(err)")
      assert.truthy(data[1]:find(name .. ": cannot wait inside string.gsub", 1, true), data[1])
    end
  end)

  it("is stated for the user's own coroutine, naming sse.wrap", function()
    for _, code in ipairs {
      "local ok, err = pcall(coroutine.wrap(function() sse.sleep(1) end))",
      "local ok, err = coroutine.resume(coroutine.create(function() sse.sleep(1) end))",
      "local ok, err = pcall(coroutine.wrap(function() for n in sse.wrap(function() sse.sleep(1) end) do end end))",
      "local ok, err = pcall(coroutine.wrap(function() return sse.interval(1):take(1):collect() end))",
    } do
      local data, log = run(code .. " send(tostring(err))")
      assert.truthy(data[1], log)
      assert.truthy(data[1]:find("cannot wait inside a coroutine of your own: its resume would get the wait; use sse.wrap", 1, true), data[1])
    end
  end)

  it("is stated for a loaded script, at its line", function()
    for code, name in pairs { ["sse.sleep(1)"] = "sse.sleep", ["sse.interval(1):collect()"] = "sse.interval", ["sse.spawn(print):join()"] = "task:join" } do
      local err = helper.load_error(code .. "\n")
      assert.truthy(err:find(":3: " .. name .. ": nothing can wait while the script is loaded", 1, true), err)
    end
  end)

  it("is stated for __gc between turns, where no task runs", function()
    local server = helper.serve([[
local kept = setmetatable({}, { __gc = function() err = select(2, pcall(sse.sleep, 1)) end })
app:get("/", function() return tostring(err) end)
app:get("/fill", function() kept, junk = nil, {} for i = 1, 20000 do junk[i] = {} end junk = nil return "" end)]])
    server:get "/fill"
    server:advance(60)
    local body = server:get("/"):body()
    assert.truthy(body:find("sse.sleep: cannot wait inside __gc", 1, true), body)
    server:close()
  end)

  it("is stated for __close while a task is cancelled", function()
    local server = helper.serve [[
app:get("/", function() return sse.reply(function(send)
  local a <close> = setmetatable({}, { __close = function() sse.sleep(1) end })
  sse.sleep(100)
end) end)]]
    server:get("/"):close()
    local log = server:log()
    assert.truthy(log:find(":4: sse.sleep: cannot wait in __close while its task is being cancelled", 1, true), log)
    server:close()
  end)
end)

describe("waiting where a wait can cross", function()
  local places = {
    { "pcall", "pcall(sse.sleep, 1)" },
    { "xpcall", "xpcall(sse.sleep, debug.traceback, 1)" },
    { "a metamethod", "local x = setmetatable({}, { __index = function() sse.sleep(1) end }).y" },
    { "a generic for", "for _ in function() sse.sleep(1) end do end" },
    { "__close at the end of a block", "do local a <close> = setmetatable({}, { __close = function() sse.sleep(1) end }) end" },
    { "__close on an error in pcall", "pcall(function() local a <close> = setmetatable({}, { __close = function() sse.sleep(1) end }) error 'x' end)" },
    { "dofile", "local p = os.tmpname() local f = io.open(p, 'w') f:write 'local sse = require \"spate.sse\" sse.sleep(1)' f:close() dofile(p) os.remove(p)" },
    { "sse.wrap", "for _ in sse.wrap(function() pcall(sse.sleep, 1) end) do end" },
  }
  for _, place in ipairs(places) do
    it("works: " .. place[1], function()
      assert.same({ "1" }, (run("local from = sse.now() " .. place[2] .. " send(sse.now() - from)")))
    end)
  end

  it("keeps xpcall's results and its handler", function()
    assert.same({ "true 1 2", "false handled: oops nil" }, (run [[
send(table.concat({ tostring(xpcall(function(...) sse.sleep(1) return ... end, print, 1, 2)), 1, 2 }, " "))
local ok, err, none = xpcall(function() sse.sleep(1) error("oops", 0) end, function(e) return "handled: " .. e end)
send(table.concat({ tostring(ok), err, tostring(none) }, " "))]]))
  end)
end)

describe("a runaway loop", function()
  local OPTIONS = { watch = true, settings = { limits = { burst = 0.05, hang = 5 } } }
  local loops = {
    { "while true do end" },
    { "repeat until false" },
    { "goto", "::again:: goto again" },
    { "recursion", "local function f(n) return f(n + 1) end f(1)" },
    { "pcall in a loop", "while true do pcall(error) end" },
    { "pcall of a loop in a loop", "while true do pcall(function() while true do end end) end" },
    { "pcall of pcall", "local function f() while true do pcall(pcall, error) end end while true do pcall(f) end" },
    { "xpcall with a looping handler", "xpcall(error, function() while true do end end)" },
    { "xpcall with a looping handler in a loop", "while true do xpcall(error, function() while true do end end) end" },
    { "xpcall whose handler fails", "while true do xpcall(error, error) end" },
    { "a comparator", "table.sort({ 3, 1, 2 }, function() while true do end end)" },
    { "a comparator in pcall in a loop", "while true do pcall(table.sort, { 3, 1, 2 }, function() while true do end end) end" },
    { "a comparator with pcall in it", "table.sort({ 3, 1, 2 }, function() while true do pcall(function() while true do end end) end end)" },
    { "gsub's callback with pcall in it", "while true do pcall(string.gsub, 'a', 'a', function() while true do pcall(error) end end) end" },
    { "the user's coroutine", "coroutine.wrap(function() while true do end end)()" },
    { "the user's coroutines in a loop", "while true do pcall(coroutine.wrap(function() while true do end end)) end" },
    { "nested coroutines", "local function nest(n) if n == 0 then while true do end end coroutine.wrap(nest)(n - 1) end while true do pcall(nest, 20) end" },
    { "a coroutine in a comparator", "while true do pcall(table.sort, { 3, 1, 2 }, function() while true do pcall(coroutine.wrap(function() while true do end end)) end end) end" },
    { "sse.wrap", "for _ in sse.wrap(function() while true do end end) do end" },
    { "sse.wrap in pcall in a loop", "while true do pcall(function() for _ in sse.wrap(function() while true do pcall(error) end end) do end end) end" },
    { "a generator behind map", "for _ in sse.stream(function(out) while true do end end):map(tostring):each() do end" },
    { "a merged stream", "for _ in sse.merge(sse.stream(function(out) while true do end end), sse.never()):each() do end" },
    { "closing a coroutine", [[
local co = coroutine.create(function() local a <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end)
coroutine.resume(co)
coroutine.close(co)]] },
    { "a metamethod", "local x = setmetatable({}, { __index = function() while true do end end }).y" },
    { "__tostring", "while true do pcall(tostring, setmetatable({}, { __tostring = function() while true do end end })) end" },
    { "a load reader", "while true do load(function() while true do end end) end" },
    { "require", "package.preload.endless = function() while true do end end while true do pcall(require, 'endless') end" },
    { "sends that find the client gone", "local s = require 'spate.sse' while true do pcall(send, {}) end" },
  }
  local function serve_with(code)
    return helper.serve("app:get('/ticks', function() return sse.reply(sse.interval(1)) end)\n" ..
      "app:get('/again', function() return 'still here' end)\n" ..
      "app:get('/', function(req) return sse.reply(function(send)\n" .. code .. "\nend) end)", OPTIONS)
  end

  for _, loop in ipairs(loops) do
    it("is stopped, and the others go on: " .. loop[1], function()
      local server = serve_with("send 'begun'\n" .. (loop[2] or loop[1]))
      local ticks = server:get "/ticks"
      server:advance(1)
      local res = server:get "/"
      assert.same({ "begun" }, res:data())
      assert.is_false(res:has_ended())
      server:advance(2)
      assert.same({ "1", "2", "3" }, ticks:data())
      assert.equal("still here", (server:get("/again"):body()))
      local log = server:log()
      assert.truthy(log:find("stopped after 0.05 s of CPU time without waiting (limits.burst)", 1, true), log)
      server:close()
    end)
  end

  it("has its place in the log", function()
    local server = serve_with "send 'begun'\n\nwhile true do end"
    server:get "/"
    assert.truthy(server:log():find("%S+:8: stopped after"))
    server:close()
  end)

  it("before the head is a 500", function()
    local server = helper.serve("app:get('/', function() while true do pcall(error) end end)", OPTIONS)
    assert.equal(500, server:get("/"):status())
    server:close()
  end)

  local function stops(body, closed)
    local server = helper.serve("app:get('/closed', function() return tostring(closed) end)\napp:get('/', function() return sse.reply(function(send)\n" ..
      "local a <close> = setmetatable({}, { __close = function() closed = 'yes' end })\n" ..
      "local b <close> = setmetatable({}, { __close = function() " .. body .. " end })\nsse.sleep(100) end) end)", OPTIONS)
    server:get("/"):close()
    local seen = server:get("/closed"):body()
    assert.equal(closed or seen, seen)
    assert.truthy(server:log():find("limits.burst", 1, true))
    server:close()
  end

  it("in __close while its client leaves is stopped, and the other <close> variables run", function()
    for _, body in ipairs { "while true do end", "for i = 1, math.huge do end", "pcall(error) while true do end" } do
      stops(body, "yes")
    end
  end)

  it("in __close that catches its stop is stopped once more", function()
    for _, body in ipairs { "while true do pcall(error) end", "while true do pcall(function() while true do end end) end",
      "while true do pcall(coroutine.wrap(function() while true do end end)) end" } do
      stops(body)
    end
  end)

  it("has its <close> variables run, with time of their own", function()
    local server = helper.serve([[
app:get("/closed", function() return tostring(closed) end)
app:get("/", function() return sse.reply(function(send)
  local a <close> = setmetatable({}, { __close = function()
    local n = 0
    for i = 1, 100000 do n = n + i end
    closed = n
  end })
  while true do end
end) end)]], OPTIONS)
    server:get "/"
    assert.equal("5000050000", (server:get("/closed"):body()))
    server:close()
  end)

  it("in a generator has its <close> variables run too", function()
    local server = helper.serve([[
app:get("/closed", function() return tostring(closed) end)
app:get("/", function() return sse.reply(sse.stream(function(send)
  local a <close> = setmetatable({}, { __close = function()
    local n = 0
    for i = 1, 100000 do n = n + i end
    closed = n
  end })
  while true do end
end):map(tostring)) end)]], OPTIONS)
    server:get "/"
    assert.equal("5000050000", (server:get("/closed"):body()))
    server:close()
  end)

  it("in a spawned task ends its join", function()
    local server = helper.serve("app:get('/', function() return tostring(select(2, sse.spawn(function() while true do end end):join())) end)", OPTIONS)
    assert.equal("stopped", (server:get("/"):body()))
    server:close()
  end)

  it("in sse.every does not end the others", function()
    local server = helper.serve([[
n = 0
local a = sse.every(1, function() n = n + 1 end)
local b = sse.every(1, function() while true do end end)
app:get("/", function() a:cancel() b:cancel() return tostring(n) end)]], OPTIONS)
    server:advance(3)
    assert.equal("3", (server:get("/"):body()))
    server:close()
  end)

  it("while the script is loaded is an error of loading", function()
    for _, code in ipairs { "while true do end", "while true do pcall(error) end", "while true do pcall(function() while true do end end) end" } do
      local err = helper.load_error(code .. "\n", OPTIONS)
      assert.truthy(err:find("limits.burst", 1, true), err)
      assert.truthy(err:find(":3: ", 1, true), err)
    end
  end)

  it("is not one that waits: short work for longer than the burst", function()
    local server = serve_with "for i = 1, 8 do local from = os.clock() while os.clock() - from < 0.01 do end send(i) sse.sleep(0) end"
    local res = server:get "/"
    server:advance(0)
    assert.equal(8, #res:events())
    assert.is_true(res:has_ended())
    server:close()
  end)

  it("leaves nothing behind in coroutines that are used again", function()
    local server = helper.serve([[
app:get("/late", function() local from = os.clock() pcall(string.rep, "x", 100) while os.clock() - from < 0.045 do end return "late" end)
app:get("/", function() local n = 0 for i = 1, 10000 do n = n + i end return tostring(n) end)]], OPTIONS)
    for _ = 1, 8 do
      server:get "/late"
      assert.equal("50005000", (server:get("/"):body()))
    end
    server:close()
  end)
end)

describe("limits.lua_memory", function()
  local OPTIONS = { settings = { limits = { lua_memory = 8 << 20 } } }
  local eaters = {
    { "one long string", "local s = ('x'):rep(1 << 30)" },
    { "a string that grows", "local s = 'x' while true do s = s .. s end" },
    { "many small tables", "local t = {} while true do t[#t + 1] = {} end" },
    { "many tables in pcall", "local t = {} while pcall(function() for i = 1, 1000 do t[#t + 1] = { i } end end) do end error 'full'" },
    { "many coroutines", "local t = {} while true do t[#t + 1] = coroutine.create(print) end" },
    { "deep recursion", "local function f(n) local a, b, c = n, n, n return f(n + 1) + a + b + c end f(1)" },
    { "a generator", "for _ in sse.wrap(function() local t = {} while true do t[#t + 1] = {} end end) do end" },
    { "an event", "send(setmetatable({}, { __index = {} })) send { json = ('x'):rep(7 << 20) }" },
  }
  for _, eater in ipairs(eaters) do
    it("fails the one task, and the memory is there again: " .. eater[1], function()
      local server = helper.serve("app:get('/ticks', function() return sse.reply(sse.interval(1)) end)\n" ..
        "app:get('/use', function() return tostring(#('x'):rep(2 << 20)) end)\n" ..
        "app:get('/', function(req) return sse.reply(function(send) send 'begun'\n" .. eater[2] .. "\nend) end)", OPTIONS)
      local ticks = server:get "/ticks"
      server:advance(1)
      for _ = 1, 3 do
        local res = server:get "/"
        assert.same({ "begun" }, res:data())
        assert.is_false(res:has_ended())
        server:advance(2)
      end
      assert.equal(7, #ticks:data())
      assert.equal(tostring(2 << 20), (server:get("/use"):body()))
      assert.truthy(server:stats().lua_bytes < 8 << 20)
      assert.truthy(server:log():find(" error ", 1, true))
      server:close()
    end)
  end

  it("ends a flood of tasks", function()
    local server = helper.serve("app:get('/', function() while true do sse.spawn(sse.sleep, 1) end end)\napp:get('/ok', function() return 'ok' end)",
      { settings = { limits = { lua_memory = 2 << 20 } } })
    server:get "/"
    server:advance(2)
    assert.equal("ok", (server:get("/ok"):body()))
    assert.equal(0, server:stats().tasks)
    server:close()
  end)

  it("before the head is an error of that request", function()
    local server = helper.serve("app:get('/', function() local t = {} while true do t[#t + 1] = {} end end)\napp:get('/ok', function() return 'ok' end)", OPTIONS)
    assert.truthy(server:get("/"):status() >= 500)
    assert.truthy(server:log():find("not enough memory", 1, true))
    assert.equal("ok", (server:get("/ok"):body()))
    server:close()
  end)

  it("runs the <close> variables of the task", function()
    local server = helper.serve([[
app:get("/", function() return sse.reply(function(send)
  local a <close> = setmetatable({}, { __close = function() closed = true end })
  local t = {} while true do t[#t + 1] = {} end
end) end)
app:get("/closed", function() return tostring(closed) end)]], OPTIONS)
    server:get "/"
    assert.equal("true", (server:get("/closed"):body()))
    server:close()
  end)
end)

describe("what would hurt the server", function()
  it("is an error: os.exit", function()
    for _, code in ipairs { "os.exit()", "os.exit(0, true)" } do
      assert.truthy(run("local ok, err = pcall(function() " .. code .. " end) send(err)")[1]:find(":4: os.exit would end every client's stream", 1, true))
    end
  end)

  it("is refused: binary chunks", function()
    local data = run [[
local chunk = string.dump(function() return 1 end)
local path = os.tmpname()
local f = io.open(path, "wb") f:write(chunk) f:close()
send(select(2, load(chunk)))
send(select(2, load(chunk, "x", "b")))
send(select(2, load(chunk, "x", "bt", {})))
local once = chunk
send(select(2, load(function() local c = once once = nil return c end)))
send(select(2, loadfile(path)))
send(select(2, loadfile(path, "b")))
send(select(2, pcall(dofile, path)))
package.path = path:match "^(.*)/" .. "/?"
send(select(2, pcall(require, (path:match "[^/]*$"))))
os.remove(path)]]
    assert.equal(8, #data)
    for _, text in ipairs(data) do assert.truthy(text:find("binary chunk", 1, true), text) end
  end)

  it("is gone: os.setlocale", function() assert.same({ "nil" }, (run "send(tostring(os.setlocale))")) end)

  it("is refused: to resume or close the coroutine of a task", function()
    local server = helper.serve [[
app:get("/", function() return sse.reply(function(send) co = coroutine.running() send(1) sse.sleep(1) send(2) end) end)
app:get("/resume", function() return tostring(select(2, coroutine.resume(co))) end)
app:get("/close", function() return tostring(select(2, pcall(coroutine.close, co))) end)
app:get("/from", function() return tostring(select(2, pcall(sse.from, co))) end)
app:get("/wrap", function() return tostring(select(2, pcall(function() for _ in sse.wrap(co) do end end))) end)]]
    local res = server:get "/"
    assert.truthy(server:get("/resume"):body():find("cannot resume the coroutine of a task", 1, true))
    assert.truthy(server:get("/close"):body():find("cannot close the coroutine of a task", 1, true))
    assert.truthy(server:get("/from"):body():find("coroutine of a task", 1, true))
    assert.truthy(server:get("/wrap"):body():find("coroutine of a task", 1, true))
    server:advance(1)
    assert.same({ "1", "2" }, res:data())
    assert.is_true(res:has_ended())
    assert.truthy(server:get("/resume"):body():find("cannot resume", 1, true))
    server:close()
  end)
end)

describe("load", function()
  local function results(code)
    local body = "local function try() local ok, a, b = pcall(function() " .. code .. " end) return tostring(ok) .. ' ' .. tostring(a) .. ' ' .. tostring(b) end "
    local here = assert(load(body .. "return try()", "=load", "t", setmetatable({}, { __index = _G })))()
    return (here:gsub("load:1:", "")), (run(body .. "send(try())")[1]:gsub("%S+lua_%w+:4:", ""))
  end
  for _, code in ipairs {
    "return load('return 1')()", "return load('x =')", "return load('return ...', 'name', 't')(7)", "return load('error \"e\"', '=name')()",
    "x = 5 return load('return x', 'n', 't', { x = 6 })()", "return pcall(load('return x', 'n', 't', nil))",
    "local parts = { 'return', ' 4' } return load(function() return table.remove(parts, 1) end)()", "return load(function() error 'r' end)",
    "return load()", "return load('return _ENV', 'n', nil, 3)()", "return loadfile('/nonexistent')", "return pcall(dofile, '/nonexistent')",
  } do
    it("is Lua's: " .. code, function()
      local here, there = results(code)
      assert.equal(here, there)
    end)
  end
end)

describe("coroutine", function()
  -- Each is run by stock Lua here, in a coroutine, and in a handler.
  local cases = {
    "return coroutine.resume(coroutine.create(function(a, b) return a + b end), 1, 2)",
    "local co = coroutine.create(function(a) local b = coroutine.yield(a) return b end) return { coroutine.resume(co, 1) }, { coroutine.resume(co, 2) }, { coroutine.resume(co, 3) }",
    "local co = coroutine.create(error) return { coroutine.resume(co, 'e') }, { coroutine.resume(co) }, coroutine.status(co)",
    "local co = coroutine.create(error) return { coroutine.resume(co, { 1 }) }",
    "local co = coroutine.create(error) return { coroutine.resume(co) }",
    "return coroutine.resume(coroutine.running())",
    "local co co = coroutine.create(function() return coroutine.resume(co) end) return coroutine.resume(co)",
    "local co co = coroutine.create(function() return coroutine.resume(coroutine.create(function() return coroutine.resume(co) end)) end) return coroutine.resume(co)",
    "local a a = coroutine.wrap(function() return coroutine.wrap(function() return pcall(a) end)() end) return a()",
    "local a a = coroutine.wrap(function() return pcall(a) end) return a()",
    "local co = coroutine.wrap(function() coroutine.yield(1) return 2 end) return co(), co(), pcall(co)",
    "return pcall(coroutine.wrap(function() error 'e' end))",
    "return pcall(coroutine.wrap(function() error('e', 0) end))",
    "return pcall(coroutine.wrap(function() error({ 'e' }) end))",
    "return pcall(coroutine.wrap(function() local x = nil; x() end))",
    "local f = coroutine.wrap(function() error 'e' end) pcall(f) return pcall(f)",
    "return pcall(coroutine.wrap(function() local a <close> = setmetatable({}, { __close = function(_, e) error(e .. ' and more', 0) end }) error('e', 0) end))",
    "return coroutine.resume(coroutine.create(function() local a <close> = setmetatable({}, { __close = function(_, e) error(e .. ' and more', 0) end }) error('e', 0) end))",
    "local co = coroutine.create(function() local a <close> = setmetatable({}, { __close = function(_, e) error(tostring(e) .. ' x', 0) end }) coroutine.yield() end) coroutine.resume(co) return { coroutine.close(co) }, coroutine.status(co), { coroutine.close(co) }",
    "local co = coroutine.create(print) return coroutine.close(co), coroutine.status(co), coroutine.resume(co)",
    "local co = coroutine.create(error) coroutine.resume(co, 'e') return { coroutine.close(co) }, { coroutine.close(co) }",
    "return pcall(coroutine.close, (coroutine.running()))",
    "local co co = coroutine.create(function() return coroutine.wrap(function() return pcall(coroutine.close, co) end)() end) return coroutine.resume(co)",
    "local co co = coroutine.create(function() return coroutine.status(co), coroutine.wrap(function() return coroutine.status(co) end)() end) return coroutine.status(co), { coroutine.resume(co) }, coroutine.status(co)",
    "return coroutine.isyieldable(), select(2, coroutine.running())",
    "return coroutine.wrap(function() return coroutine.isyieldable(), select(2, coroutine.running()) end)()",
    "return coroutine.isyieldable(coroutine.create(print))",
    "local out = {} for n in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do out[#out + 1] = n end return out",
    "return coroutine.resume(coroutine.create(function() return pcall(function() coroutine.yield(1) end) end))",
    "local co = coroutine.wrap(function() return pcall(function() coroutine.yield(1) error('e', 0) end) end) return co(), { co() }",
    "local co = coroutine.wrap(function() return xpcall(function() coroutine.yield(1) error('e', 0) end, function(e) return e .. '!' end) end) return co(), { co() }",
    "return coroutine.resume(coroutine.create(function() table.sort({ 2, 1 }, function() coroutine.yield() end) end))",
    "return coroutine.resume(coroutine.create(function() return (('a'):gsub('a', coroutine.yield)) end))",
    "local co = coroutine.wrap(function(...) local n = 0 while true do n = n + select('#', coroutine.yield(n)) end end) co() return co(1, nil), co(nil, nil, nil), co()",
    "return select('#', coroutine.resume(coroutine.create(function() return table.unpack({}, 1, 100) end)))",
    "local function deep(n) if n == 0 then return 'end' end return coroutine.wrap(deep)(n - 1) end return deep(100)",
    "local function deep(n) return coroutine.wrap(deep)(n + 1) end local ok, e = pcall(deep, 1) return ok, (e:gsub('^.*: ', ''))",
    "return pcall(coroutine.resume)", "return pcall(coroutine.resume, 1)", "return pcall(coroutine.create, 1)", "return pcall(coroutine.wrap)",
    "return pcall(coroutine.close)", "return pcall(coroutine.status, 1)", "return pcall(coroutine.isyieldable, 1)",
  }
  local SHOW = [[
local function show(v)
  if type(v) ~= "table" then return (tostring(v):gsub("0x%x+", "0x")) end
  local list = {}
  for i = 1, v.n or #v do list[i] = show(v[i]) end
  return "{" .. table.concat(list, ", ") .. "}"
end
]]
  for _, case in ipairs(cases) do
    it("is Lua's: " .. case, function()
      local code = SHOW .. "local function try()\n" .. case .. "\nend\nreturn show(table.pack(try()))"
      local here = coroutine.wrap(assert(load(code, "=case")))()
      local server = helper.serve("app:post('/', function(req) return load(req:body(), '=case')() end)")
      assert.equal(here, (server:post("/", { body = code }):body()))
      server:close()
    end)
  end
end)
