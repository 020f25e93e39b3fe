-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

-- A plain handler with this body; `before` is at the top of the script, its globals are read by GET /global/NAME.
local function serve(handler, before, options)
  return helper.serve((before or "") .. "\napp:get('/global/:name', function(req) return tostring(_G[req.params.name]) end)\n" ..
    "app:get('/', function(req)\n" .. handler .. "\nend)", options)
end

local function global(server, name) return (server:get("/global/" .. name):body()) end

local function errors(server)
  local list = {}
  for line in server:log():gmatch "[^\n]* error ([^\n]*)" do list[#list + 1] = line end
  return list
end

describe("sse.sleep, sse.now", function()
  it("waits for so many seconds", function()
    local server = serve "local from = sse.now() sse.sleep(1.5) return ('%.2f'):format(sse.now() - from)"
    local res = server:get "/"
    server:advance(1.4)
    assert.is_nil(res:status())
    server:advance(0.2)
    assert.equal("1.50", (res:body()))
    server:close()
  end)

  it("of 0 seconds lets others have their turn", function()
    local server = serve([[
sse.spawn(function() order = order .. "b" end)
order = order .. "a"
sse.sleep(0)
return order .. "c"]], "order = ''")
    assert.equal("abc", (server:get("/"):body()))
    server:close()
  end)

  for code, text in pairs {
    ["sse.sleep()"] = "sse.sleep: expected seconds, got no value",
    ["sse.sleep('1')"] = "sse.sleep: expected seconds, got string",
    ["sse.sleep(-1)"] = "sse.sleep: expected 0 or more seconds, got -1",
    ["sse.sleep(0/0)"] = "sse.sleep: expected 0 or more seconds",
    ["sse.sleep(1/0)"] = "sse.sleep: expected 0 or more seconds",
  } do
    it("refuses " .. code, function()
      local server = serve("return select(2, pcall(function()\n" .. code .. " end))")
      local body = server:get("/"):body()
      assert.truthy(body:find(":7: " .. text, 1, true), body)
      server:close()
    end)
  end
end)

describe("the rate", function()
  it("of a sleep loop does not drift with the work between", function()
    local server = serve([[
return sse.reply(function(send)
  while true do send(("%.3f"):format(sse.now())) sse.sleep(0.1) end
end)]])
    local res = server:get "/"
    server:advance(10)
    assert.equal(101, #res:events())
    assert.equal("10.000", res:data()[101])
    server:close()
  end)

  for name, stream in pairs {
    ["a sleep loop"] = "function(send) while true do sse.sleep(0.1) send(('%.2f'):format(sse.now())) end end",
    ["an interval"] = "sse.interval(0.1):map(function() return ('%.2f'):format(sse.now()) end)",
    ["sse.every"] = "function(send) local t = sse.every(0.1, function() send(('%.2f'):format(sse.now())) end) local _ <close> = setmetatable({}, { __close = function() t:cancel() end }) sse.sleep(100) end",
  } do
    it("of " .. name .. " is kept where turns come late", function()
      local server = serve("return sse.reply(" .. stream .. ")")
      local res = server:get "/"
      for _ = 1, 10 do
        server.core:jump(0.155)
        server:advance(0)
      end
      assert.equal(15, #res:events())
      assert.equal("1.55", res:data()[15])
      res:close()
      server:close()
    end)
  end

  it("is caught up by neither an interval nor a sleep loop after a long stand-still", function()
    local server = serve("return sse.reply(req.query.sleep and function(send) while true do sse.sleep(0.1) send(1) end end or sse.interval(0.1))")
    local ticks, naps = server:get "/", server:get "/?sleep=1"
    server.core:jump(1)
    server:advance(0)
    assert.same({ 2, 2 }, { #ticks:events(), #naps:events() })
    server:advance(0.35)
    assert.same({ 5, 5 }, { #ticks:events(), #naps:events() })
    server:close()
  end)

  it("of two sleeps counts the work between, but no wait for something else", function()
    local server = serve [[
local signal = sse.spawn(function() sse.sleep(0.15) end)
sse.sleep(0.1)
signal:join()
local from = sse.now()
sse.sleep(0.1)
return ("%.2f"):format(sse.now() - from)]]
    local res = server:get "/"
    server:advance(1)
    assert.equal("0.10", (res:body()))
    server:close()
  end)

  it("of an interval is kept over a day", function()
    local server = serve "return sse.reply(sse.interval(0.1):map(function(n) if n % 1000 == 0 then return n end return json.null end):filter(math.type))"
    local res = server:get "/"
    server:advance(8640)
    assert.equal(86, #res:events())
    assert.equal("86000", res:data()[86])
    server:close()
  end)
end)

describe("sse.spawn", function()
  it("runs at the next turn, and goes on when its caller has ended", function()
    local server = serve "sse.spawn(function(a, b) sse.sleep(1) sum = a + b end, 1, 2) return 'x'"
    assert.equal("x", (server:get("/"):body()))
    assert.equal("nil", global(server, "sum"))
    server:advance(1)
    assert.equal("3", global(server, "sum"))
    server:close()
  end)

  it("goes on when the client of its caller leaves", function()
    local server = serve "sse.spawn(function() sse.sleep(5) done = true end) return sse.reply(sse.never())"
    server:get("/"):close()
    server:advance(5)
    assert.equal("true", global(server, "done"))
    server:close()
  end)

  it("joins what the function returns", function()
    local server = serve "local t = sse.spawn(function() sse.sleep(1) return 1, nil, 3, nil end) return table.pack(t:join()).n .. ' ' .. tostring(select(3, t:join()))"
    local res = server:get "/"
    server:advance(1)
    assert.equal("4 3", (res:body()))
    server:close()
  end)

  it("joins from several tasks, before and after the end", function()
    local server = serve([[
t = t or sse.spawn(function() sse.sleep(1) return "done" end)
return t:join()]])
    local a, b = server:get "/", server:get "/"
    server:advance(1)
    assert.equal("done", (a:body()))
    assert.equal("done", (b:body()))
    assert.equal("done", (server:get("/"):body()))
    server:close()
  end)

  it("joins an error: nil and the error, which is logged once with its traceback", function()
    local server = serve([[
local t = sse.spawn(function() sse.sleep(1)
error "oops" end)
local value, err = t:join()
return tostring(value) .. " " .. err]])
    local res = server:get "/"
    server:advance(1)
    assert.truthy((res:body()):find("^nil [^\n]*:7: oops$"), (res:body()))
    local log = server:log()
    assert.equal(1, select(2, log:gsub("oops", "")))
    assert.truthy(log:find("stack traceback", 1, true))
    server:close()
  end)

  it("joins an error that is a table as it was raised", function()
    local server = serve "local t = sse.spawn(function() error({ code = 42 }) end) local _, err = t:join() return tostring(err.code)"
    assert.equal("42", (server:get("/"):body()))
    assert.equal(1, #errors(server))
    server:close()
  end)

  it("logs an error that nobody joins", function()
    local server = serve "sse.spawn(function() local x = nil; x() end) return 'x'"
    server:get "/"
    assert.truthy(errors(server)[1]:find(":6: attempt to call a nil value", 1, true))
    server:close()
  end)

  it("is cancelled at its wait", function()
    local server = serve([[
local t = sse.spawn(function()
  local a <close> = setmetatable({}, { __close = function() closed = true end })
  pcall(sse.sleep, 10)
  woken = true
end)
sse.sleep(1)
local first, second = t:cancel(), nil
local value, why = t:join()
return table.concat({ tostring(first), tostring(value), tostring(why), tostring(closed), tostring(woken), tostring(t:cancel()) }, " ")]])
    local res = server:get "/"
    server:advance(20)
    assert.equal("true nil cancelled true nil false", (res:body()))
    server:close()
  end)

  it("is cancelled before it has begun", function()
    local server = serve "local t = sse.spawn(function() ran = true end) t:cancel() return tostring(select(2, t:join()))"
    assert.equal("cancelled", (server:get("/"):body()))
    assert.equal("nil", global(server, "ran"))
    server:close()
  end)

  it("may cancel itself: it ends at its next wait", function()
    local server = serve([[
local t
t = sse.spawn(function() t:cancel() before = true sse.sleep(0) after = true end)
return tostring(select(2, t:join()))]])
    assert.equal("cancelled", (server:get("/"):body()))
    assert.equal("true", global(server, "before"))
    assert.equal("nil", global(server, "after"))
    server:close()
  end)

  it("cannot be cancelled after its end", function()
    local server = serve "local t = sse.spawn(function() return 7 end) sse.sleep(1) return tostring(t:cancel()) .. ' ' .. t:join()"
    local res = server:get "/"
    server:advance(1)
    assert.equal("false 7", (res:body()))
    server:close()
  end)

  it("runs on when its handle is collected", function()
    local server = serve "sse.spawn(function() sse.sleep(1) done = true end) collectgarbage() return 'x'"
    server:get "/"
    server:advance(1)
    assert.equal("true", global(server, "done"))
    server:close()
  end)

  it("may be nested", function()
    local server = serve [[
local function sum(n)
  if n == 0 then return 0 end
  sse.sleep(0.1)
  return n + sse.spawn(sum, n - 1):join()
end
return tostring(sum(20))]]
    local res = server:get "/"
    server:advance(3)
    assert.equal("210", (res:body()))
    server:close()
  end)

  it("runs many at a time", function()
    local server = serve [[
local tasks, total = {}, 0
for i = 1, 5000 do tasks[i] = sse.spawn(function(n) sse.sleep(n % 10 / 10) return n end, i) end
for _, t in ipairs(tasks) do total = total + t:join() end
return tostring(total)]]
    local res = server:get "/"
    server:advance(1)
    assert.equal(tostring(5000 * 5001 // 2), (res:body()))
    assert.equal(0, server:stats().tasks)
    server:close()
  end)

  it("starts at load too", function()
    local server = serve("return tostring(ran)", "sse.spawn(function() sse.sleep(1) ran = true end)")
    server:advance(1)
    assert.equal("true", (server:get("/"):body()))
    server:close()
  end)

  it("has nobody to yield to", function()
    local server = serve "return tostring(select(2, sse.spawn(function() coroutine.yield(1) end):join()))"
    assert.truthy((server:get("/"):body()):find(":6: coroutine.yield: a spawned task has nobody to yield to", 1, true))
    server:close()
  end)

  it("is limited by limits.tasks, at the user's line", function()
    local server = serve("for i = 1, 100 do sse.spawn(sse.sleep, 1) end", nil, { settings = { limits = { tasks = 50 } } })
    assert.equal(500, server:get("/"):status())
    assert.truthy(errors(server)[1]:find(":6: more than 50 tasks at a time (limits.tasks)", 1, true))
    server:advance(1)
    assert.equal(0, server:stats().tasks)
    server:close()
  end)

  for code, text in pairs {
    ["sse.spawn()"] = "sse.spawn: expected a function, got nil",
    ["sse.spawn(1)"] = "sse.spawn: expected a function, got number",
    ["local t = sse.spawn(function() end) t.cancel()"] = "task:cancel(): write it with a colon",
    ["local t = sse.spawn(function() end) t.join()"] = "task:join(): write it with a colon",
    ["sse.spawn(print, table.unpack({}, 1, 300))"] = "sse.spawn: more than 199 arguments",
  } do
    it("refuses " .. code, function()
      local server = serve("return select(2, pcall(function()\n" .. code .. " end))")
      local body = server:get("/"):body()
      assert.truthy(body:find(":7: " .. text, 1, true), body)
      server:close()
    end)
  end
end)

describe("sse.every", function()
  local STOP = "app:get('/stop', function() return tostring(every:cancel()) end)\n"

  it("calls from the server's start, the first time after one period", function()
    local server = serve("return tostring(n)", STOP .. "n = 0 every = sse.every(2, function() n = n + 1 end)")
    server:advance(1.9)
    assert.equal("0", (server:get("/"):body()))
    server:advance(8.2)
    assert.equal("5", (server:get("/"):body()))
    assert.equal("true", (server:get("/stop"):body()))
    server:advance(10)
    assert.equal("5", (server:get("/"):body()))
    assert.equal("false", (server:get("/stop"):body()))
    server:close()
  end)

  it("runs on worker 0 only, on each with each_worker", function()
    local script = "app:get('/stop', function() a:cancel() b:cancel() end)\n" ..
      "x, y = 0, 0 a = sse.every(1, function() x = x + 1 end) b = sse.every(1, function() y = y + 1 end, { each_worker = true })"
    for worker, expected in pairs { [0] = "3 3", [1] = "0 3" } do
      local server = serve("return x .. ' ' .. y", script, { worker = worker })
      server:advance(3)
      assert.equal(expected, (server:get("/"):body()))
      server:get "/stop"
      server:close()
    end
  end)

  it("starts at once in a handler", function()
    local server = serve("n = 0 every = sse.every(1, function() n = n + 1 end) return 'x'", STOP)
    server:advance(5)
    server:get "/"
    server:advance(3)
    assert.equal("3", global(server, "n"))
    server:get "/stop"
    server:close()
  end)

  it("goes on after an error, which it logs", function()
    local server = serve("return tostring(n)", STOP .. "n = 0 every = sse.every(1, function() n = n + 1 if n == 2 then error 'oops' end end)")
    server:advance(4)
    assert.equal("4", (server:get("/"):body()))
    assert.equal(1, #errors(server))
    server:get "/stop"
    server:close()
  end)

  it("never runs twice at a time", function()
    local server = serve("return most .. ' ' .. n", STOP .. [[
n, now, most = 0, 0, 0
every = sse.every(1, function()
  now, n = now + 1, n + 1
  most = math.max(most, now)
  sse.sleep(2.5)
  now = now - 1
end)]])
    server:advance(10)
    assert.equal("1 4", (server:get("/"):body()))
    server:get "/stop"
    server:close()
  end)

  it("cancelled while the script is loaded does not start", function()
    local server = serve("return tostring(n)", "sse.every(1, function() n = 1 end):cancel()")
    server:advance(5)
    assert.equal("nil", (server:get("/"):body()))
    server:close()
  end)

  for code, text in pairs {
    ["sse.every()"] = "sse.every: expected seconds, got nil",
    ["sse.every(0, print)"] = "sse.every: expected more than 0 seconds, got 0",
    ["sse.every(1)"] = "sse.every: expected a function, got nil",
    ["sse.every(1, print, { each = true })"] = "sse.every: unknown option 'each'; it has each_worker",
  } do
    it("refuses " .. code, function()
      local err = helper.load_error(code .. "\n")
      assert.truthy(err:find(":3: " .. text, 1, true), err)
    end)
  end
end)

describe("sse.wrap", function()
  local function run(code)
    local server = serve("local out = {}\n" .. code .. "\nreturn table.concat(out, ' ')")
    local res = server:get "/"
    server:advance(10)
    local body = res:body()
    assert.same({}, errors(server))
    server:close()
    return body
  end

  it("iterates over what a function yields, in which it may wait", function()
    assert.equal("1 2", run "for n in sse.wrap(function() coroutine.yield(1) sse.sleep(1) coroutine.yield(2) end) do out[#out + 1] = n end")
  end)

  it("passes several values", function()
    assert.equal("1a 2b", run "for n, s in sse.wrap(function() coroutine.yield(1, 'a') coroutine.yield(2, 'b') end) do out[#out + 1] = n .. s end")
  end)

  it("may be nested, waiting at each depth", function()
    assert.equal("10 11 20 21", run [[
for n in sse.wrap(function()
  for i = 1, 2 do
    sse.sleep(0.1)
    for j in sse.wrap(function() sse.sleep(0.1) coroutine.yield(0) sse.sleep(0.1) coroutine.yield(1) end) do coroutine.yield(i * 10 + j) end
  end
end) do out[#out + 1] = n end]])
  end)

  it("raises what the function raises, after its <close> variables", function()
    assert.equal("closed caught", run [[
local ok, err = pcall(function()
  for _ in sse.wrap(function()
    local a <close> = setmetatable({}, { __close = function() out[#out + 1] = "closed" end })
    sse.sleep(1)
    error({ "caught" })
  end) do end
end)
out[#out + 1] = err[1] ]])
  end)

  it("raises what a <close> variable raises when the loop is left", function()
    assert.equal("false bad", run [[
local ok, err = pcall(function()
  for _ in sse.wrap(function()
    local a <close> = setmetatable({}, { __close = function() error("bad", 0) end })
    coroutine.yield(1)
  end) do break end
end)
out[1], out[2] = tostring(ok), err]])
  end)

  it("holds a coroutine of the user's inside it", function()
    assert.equal("1 2 3", run [[
for n in sse.wrap(function()
  local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
  for i in co do sse.sleep(0.1) coroutine.yield(i) end
end) do out[#out + 1] = n end]])
  end)

  it("cannot ask itself", function()
    assert.truthy(run([[
local step
step = sse.wrap(function() step() end)
out[1] = select(2, pcall(step))]]):find(":8: a generator cannot ask itself for its next value", 1, true))
  end)
end)
