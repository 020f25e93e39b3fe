-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

-- A server whose "/" answers with the `handler`'s body, `before` around it.
local function serve(handler, before, options)
  return helper.serve((before or "") .. "\napp:get('/', function(req)\n" .. handler .. "\nend)", options)
end

local function comments(res) return (select(2, res:events())) end

local function count(text, what) return (select(2, text:gsub(what, ""))) end

describe("sse.reply", function()
  it("flushes the head at once", function()
    local server = serve "return sse.reply(sse.never())"
    local res = server:get "/"
    assert.equal(200, res:status())
    assert.equal("text/event-stream", res:header "Content-Type")
    assert.equal("no-cache", res:header "Cache-Control")
    assert.equal("no", res:header "X-Accel-Buffering")
    assert.equal("chunked", res:header "Transfer-Encoding")
    assert.equal("", (res:body()))
    assert.is_false(res:has_ended())
    server:close()
  end)

  it("takes a stream, a function, a list", function()
    local server = helper.serve [[
app:get("/stream", function() return sse.reply(sse.from { "a", "b" }) end)
app:get("/function", function() return sse.reply(function(send) send "a" send "b" end) end)
app:get("/list", function() return sse.reply { "a", { data = "b" } } end)
app:get("/bare", function() return sse.from { "a", "b" } end)]]
    for _, path in ipairs { "/stream", "/function", "/list", "/bare" } do
      local res = server:get(path)
      assert.same({ "a", "b" }, res:data(), path)
      assert.is_true(res:has_ended(), path)
      assert.equal("open", res.client:state(), path) -- the connection is used again
    end
    server:close()
  end)

  it("takes status and headers, which may replace its own", function()
    local server = serve [[return sse.reply(sse.never(), { status = 206, headers = { ["x-a"] = "1", ["cache-control"] = "no-store" } })]]
    local res = server:get "/"
    assert.equal(206, res:status())
    assert.equal("1", res:header "X-A")
    assert.equal("no-store", res:header "Cache-Control")
    assert.equal("text/event-stream", res:header "Content-Type")
    server:close()
  end)

  local mistakes = {
    { "return sse.reply()", "sse.reply: expected a stream, a function(send) or a list, got nil" },
    { "return sse.reply(42)", "sse.reply: expected a stream, a function(send) or a list, got number" },
    { "return sse.reply({}, { stauts = 1 })", "sse.reply: unknown option 'stauts'" },
    { "return sse.reply({}, 200)", "sse.reply: expected a table of options, got number" },
    { "return sse.reply({}, { keep_alive = 5 })", "sse.reply: keep_alive is true or false" },
    { "return sse.reply({}, { status = 99 })", "status: expected an integer from 200 to 599, got 99" },
    { "return sse.reply({}, { headers = { ['a b'] = '1' } })", "the name may hold letters" },
    { "return sse.reply({}, { headers = { a = '1\\n' } })", "the value must not contain control characters: byte 0x0a at 2" },
  }
  for _, case in ipairs(mistakes) do
    it("answers 500 to " .. case[1] .. " and logs its line", function()
      local server = serve(case[1])
      assert.equal(500, server:get("/"):status())
      local log = server:log()
      assert.truthy(log:find(":5: ", 1, true), log)
      assert.truthy(log:find(case[2], 1, true), log)
      server:close()
    end)
  end

  it("sends HEAD no body and runs no producer", function()
    local server = serve("return sse.reply(function(send) ran = true send(1) end)", "app:get('/ran', function() return tostring(ran) end)")
    local res = server:head "/"
    assert.equal(200, res:status())
    assert.equal("text/event-stream", res:header "Content-Type")
    assert.equal("", res:raw():match("\r\n\r\n(.*)$"))
    assert.equal("nil", (server:get("/ran"):body()))
    server:close()
  end)

  it("ends with the connection for HTTP/1.0", function()
    local server = serve "return sse.reply { 1, 2 }"
    local res = server:get("/", { version = "1.0" })
    assert.is_nil(res:header "Transfer-Encoding")
    assert.equal("data: 1\n\ndata: 2\n\n", res:raw():match("\r\n\r\n(.*)$"))
    server:close()
  end)
end)

describe("keep-alive", function()
  it("is an empty comment after 15 seconds without an event", function()
    local server = serve "return sse.reply(sse.never())"
    local res = server:get "/"
    server:advance(14.9)
    assert.equal("", (res:body()))
    server:advance(0.1)
    assert.equal(":\n\n", (res:body()))
    server:advance(86400 - 15)
    assert.equal((":\n\n"):rep(86400 // 15), (res:body()))
    server:close()
  end)

  it("has an interval and a text", function()
    local server = serve [[return sse.reply(sse.keep_alive():interval(5):text("thump"):stream(sse.never()))]]
    local res = server:get "/"
    server:advance(10)
    assert.equal(": thump\n\n: thump\n\n", (res:body()))
    server:close()
  end)

  it("may be different for each stream at the same time", function()
    local server = serve [[return sse.reply(sse.keep_alive():interval(1):text(req.query.t):stream(sse.never()))]]
    local list = {}
    for i, text in ipairs { "a", "bb", "cc", "a", "" } do list[i] = { text, server:get("/?t=" .. text) } end
    server:advance(2)
    for _, pair in ipairs(list) do assert.same({ pair[1], pair[1] }, comments(pair[2])) end
    server:close()
  end)

  it("takes its interval from the settings", function()
    local server = serve("return sse.reply(sse.never())", nil, { settings = { keep_alive = { interval = 3 } } })
    local res = server:get "/"
    server:advance(7)
    assert.equal(2, #comments(res))
    server:close()
  end)

  it("is off by keep_alive = false, also of a stream that has its own", function()
    local server = serve [[return sse.reply(sse.keep_alive():interval(5):stream(sse.never()), { keep_alive = false })]]
    local res = server:get "/"
    server:advance(3600)
    assert.equal("", (res:body()))
    server:close()
  end)

  it("is put off by every event", function()
    local server = serve [[return sse.reply(sse.interval(14))]]
    local res = server:get "/"
    server:advance(140)
    assert.same({}, comments(res))
    assert.equal(10, #res:events())
    server:close()
  end)

  it("comes the whole interval after the last event", function()
    local server = serve [[return sse.reply(function(send) sse.sleep(10) send "x" sse.sleep(100) end)]]
    local res = server:get "/"
    server:advance(24.9)
    assert.same({}, comments(res))
    server:advance(0.2)
    assert.same({ "" }, comments(res))
    server:close()
  end)

  it("is never inside an event", function()
    local server = serve [[return sse.reply(sse.keep_alive():interval(1):stream(sse.interval(2.5):map(function(n) return "a\nb" .. n end)))]]
    local res = server:get "/"
    server:advance(7.4)
    assert.equal(":\n\n:\n\ndata: a\ndata: b1\n\n:\n\n:\n\ndata: a\ndata: b2\n\n:\n\n:\n\n", (res:body()))
    server:close()
  end)

  it("does not queue up for a client that takes nothing", function()
    local server = serve([[return sse.reply(sse.keep_alive():interval(1):stream(function(send) send(("x"):rep(1000)) sse.sleep(100) end))]])
    local client = server:connect()
    client:window(500)
    local res = server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    server:advance(20)
    client:window()
    server:turn()
    assert.truthy(#comments(res) <= 1)
    res:close()
    server:close()
  end)

  it("stays with a stream that is made from it", function()
    local server = serve [[
local s = sse.keep_alive():interval(1):text("k"):stream(sse.never())
local made = { map = s:map(tostring), take = s:take(5), batch = s:batch(3), merge = s:merge(sse.never()), chain = s:chain(sse.once(1)),
  start_with = s:start_with("a"), filter = s:filter(print), timeout = s:timeout(50), throttle = s:throttle(1), on_close = s:on_close(print) }
return sse.reply(made[req.query.as])]]
    for _, as in ipairs { "map", "take", "batch", "merge", "chain", "start_with", "filter", "timeout", "throttle", "on_close" } do
      local res = server:get("/?as=" .. as)
      server:advance(2.5)
      assert.same({ "k", "k" }, comments(res), as)
      res:close()
    end
    server:close()
  end)

  it("takes a function and a list", function()
    local server = serve [[return sse.reply(sse.keep_alive():interval(1):stream(req.query.list and { 1 } or function(send) sse.sleep(1.5) send(1) end))]]
    local a, b = server:get "/", server:get "/?list=1"
    server:advance(3)
    assert.equal(":\n\ndata: 1\n\n", (a:body()))
    assert.equal("data: 1\n\n", (b:body()))
    server:close()
  end)

  for code, text in pairs {
    ["sse.keep_alive():interval(0)"] = "keep_alive:interval: expected more than 0 seconds, got 0",
    ["sse.keep_alive():interval('1')"] = "keep_alive:interval: expected seconds, got string",
    ["sse.keep_alive():text('a\\nb')"] = "keep_alive:text: expected a string without line breaks",
    ["sse.keep_alive():text('a\\0b')"] = "keep_alive:text: expected a string without line breaks",
    ["sse.keep_alive():text(nil)"] = "keep_alive:text: expected a string",
    ["sse.keep_alive():stream(1)"] = "keep_alive:stream: expected a stream, a function(send) or a list, got number",
  } do
    it("refuses " .. code .. " at the user's line", function()
      local err = helper.load_error(code)
      assert.truthy(err:find(":3: " .. text, 1, true), err)
    end)
  end
end)

describe("a function stream", function()
  it("sends what it yields", function()
    local server = serve "return sse.reply(function(send) coroutine.yield 'a' send 'b' coroutine.yield { data = 'c' } end)"
    assert.same({ "a", "b", "c" }, server:get("/"):data())
    server:close()
  end)

  it("has its events in one turn's write, and waits in between", function()
    local server = serve "return sse.reply(function(send) for i = 1, 3 do send(i) sse.sleep(1) end end)"
    local res = server:get "/"
    assert.same({ "1" }, res:data())
    server:advance(1)
    assert.same({ "1", "2" }, res:data())
    server:advance(2)
    assert.same({ "1", "2", "3" }, res:data())
    assert.is_true(res:has_ended())
    server:close()
  end)

  it("cannot yield before the head is sent", function()
    local server = serve "coroutine.yield 'x'\nreturn sse.reply {}"
    assert.equal(500, server:get("/"):status())
    local log = server:log()
    assert.truthy(log:find(":5: coroutine.yield", 1, true), log)
    server:close()
  end)

  it("is suspended while the client is behind, and goes on when it has caught up", function()
    local server = serve("return sse.reply(function(send) for i = 1, 10000 do sent = i send(('x'):rep(1000)) end end)",
      "app:get('/sent', function() return tostring(sent) end)")
    local client = server:connect()
    client:window(1000)
    local res = server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    local sent = tonumber((server:get("/sent"):body()))
    assert.truthy(sent > 200 and sent < 300, sent) -- limits.queue_high is 256 KiB
    client:window()
    server:turn()
    server:advance(1)
    assert.equal(10000, #res:events())
    assert.is_true(res:has_ended())
    server:close()
  end)

  it("may hand send to a task of its own; that is told when the stream is over", function()
    local server = serve([[
return sse.reply(function(send)
  sse.spawn(function()
    for i = 1, 3 do
      local ok, why = send(i)
      said = said .. tostring(ok) .. " " .. tostring(why) .. "\n"
      sse.sleep(1)
    end
  end)
  sse.sleep(1.5)
end)]], "said = ''\napp:get('/said', function() return said end)")
    local res = server:get "/"
    server:advance(5)
    assert.same({ "1", "2" }, res:data())
    assert.is_true(res:has_ended())
    assert.equal("true nil\ntrue nil\nnil closed\n", (server:get("/said"):body()))
    server:close()
  end)

  it("may be used for several streams", function()
    local server = serve("return sse.reply(req.query.m and s:map(tostring) or s)", "s = sse.stream(function(send) send(1) sse.sleep(1) send(2) end)")
    local list = { server:get "/", server:get "/?m=1", server:get "/", server:get "/?m=1" }
    server:advance(1)
    for _, res in ipairs(list) do assert.same({ "1", "2" }, res:data()) end
    server:close()
  end)

  it("ends at once where a stop drains the server while it sends", function()
    local server = serve "return sse.reply(function(send) while true do send(('x'):rep(100)) end end)"
    local client = server:connect()
    client:window(5000)
    local res = server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    server.core:drain()
    server:advance(6)
    client:window()
    server:advance(1)
    assert.is_true(res:has_ended())
    assert.truthy(res:body():find("retry: %d+\n\n$"))
    assert.equal(0, server:stats().tasks)
    server:close()
  end)
end)

describe("<close> variables", function()
  local CLOSING = [[log = {}
local function closing(name) return setmetatable({}, { __close = function(_, err) log[#log + 1] = name .. (err and " with an error" or "") end }) end
app:get("/log", function() return table.concat(log, ",") end)
]]
  local producers = {
    { "a function stream", [[
return sse.reply(function(send)
  local a <close> = closing "a"
  send(1)
  sse.sleep(10)
  if req.query.fail then error "oops" end
end)]] },
    { "a generator inside map", [[
return sse.reply(sse.stream(function(send)
  local a <close> = closing "a"
  send(1)
  sse.sleep(10)
  if req.query.fail then error "oops" end
end):map(function(n) return n end))]] },
    { "a generator behind a task", [[
return sse.reply(sse.stream(function(send)
  local a <close> = closing "a"
  send(1)
  sse.sleep(10)
  if req.query.fail then error "oops" end
end):batch(1):map(function(list) return list[1] end))]] },
    { "sse.wrap in a loop", [[
return sse.reply(function(send)
  for n in sse.wrap(function()
    local a <close> = closing "a"
    coroutine.yield(1)
    sse.sleep(10)
    if req.query.fail then error "oops" end
  end) do send(n) end
end)]] },
    { "a nested stream in a loop", [[
return sse.reply(function(send)
  local inner = sse.stream(function(out)
    local a <close> = closing "a"
    out(1)
    sse.sleep(10)
    if req.query.fail then error "oops" end
  end)
  for n in inner:map(function(x) return x end):each() do send(n) end
end)]] },
    { "sse.from(coroutine)", [[
return sse.reply(sse.from(coroutine.create(function()
  local a <close> = closing "a"
  coroutine.yield(1)
  sse.sleep(10)
  if req.query.fail then error "oops" end
end)))]] },
    { "on_close", [[
return sse.reply(sse.stream(function(send)
  send(1)
  sse.sleep(10)
  if req.query.fail then error "oops" end
end):on_close(function() log[#log + 1] = "a" end))]] },
    { "on_close of a source", [[
return sse.reply(sse.stream(function(send)
  send(1)
  sse.sleep(10)
  if req.query.fail then error "oops" end
end):on_close(function() log[#log + 1] = "a" end):map(function(n) return n end):merge(sse.from {}):timeout(99))]] },
  }
  for _, case in ipairs(producers) do
    local function start(path)
      local server = serve(case[2], CLOSING)
      local res = server:get(path)
      assert.same({ "1" }, res:data())
      assert.equal("", (server:get("/log"):body()))
      return server, res
    end

    it("of " .. case[1] .. " run when the client leaves", function()
      local server, res = start "/"
      res:close()
      assert.equal("a", (server:get("/log"):body():gsub(" with an error", "")))
      assert.equal("", server:log():match("level=error[^\n]*") or server:log():match("ERROR[^\n]*") or "")
      server:close()
    end)

    it("of " .. case[1] .. " run when the connection is reset", function()
      local server, res = start "/"
      res.client:reset()
      server:turn()
      assert.equal("a", (server:get("/log"):body():gsub(" with an error", "")))
      server:close()
    end)

    it("of " .. case[1] .. " run at the end", function()
      local server, res = start "/"
      server:advance(10)
      assert.equal("a", (server:get("/log"):body()))
      assert.is_true(res:has_ended())
      server:close()
    end)

    it("of " .. case[1] .. " run on an error, which cuts the stream", function()
      local server, res = start "/?fail=1"
      server:advance(10)
      assert.equal("a", (server:get("/log"):body():gsub(" with an error", "")))
      assert.is_false(res:has_ended())
      assert.equal(1, count(server:log(), "oops"))
      server:close()
    end)
  end

  it("run for each nested generator, from the outer one inwards or back, each once", function()
    local server = serve([[
return sse.reply(sse.stream(function(send)
  local a <close> = closing "a"
  local inner = sse.stream(function(out)
    local b <close> = closing "b"
    for n in sse.wrap(function()
      local c <close> = closing "c"
      while true do coroutine.yield "x" sse.sleep(1) end
    end) do out(n) end
  end)
  for n in inner:map(function(n) return n end):each() do send(n) end
end):filter(function() return true end))]], CLOSING)
    local res = server:get "/"
    server:advance(3)
    assert.equal(4, #res:events())
    res:close()
    local names = {}
    for name in server:get("/log"):body():gmatch("%a[^,]*") do names[#names + 1] = name:sub(1, 1) end
    table.sort(names)
    assert.same({ "a", "b", "c" }, names)
    server:close()
  end)

  it("run all of them although one fails, which is logged", function()
    local server = serve([[
return sse.reply(function(send)
  local a <close> = closing "a"
  local b <close> = setmetatable({}, { __close = function() error "bad closer" end })
  local c <close> = closing "c"
  send(1)
  sse.sleep(100)
end)]], CLOSING)
    server:get("/"):close()
    assert.equal("c,a with an error", (server:get("/log"):body()))
    assert.equal(1, count(server:log(), "bad closer"))
    server:close()
  end)

  it("of a generator are logged where they fail", function()
    local server = serve([[
return sse.reply(sse.stream(function(send)
  local b <close> = setmetatable({}, { __close = function() error "bad closer" end })
  send(1)
  sse.sleep(100)
end):map(tostring))]], CLOSING)
    server:get("/"):close()
    assert.equal(1, count(server:log(), "bad closer"))
    server:close()
  end)

  it("do not run where the stream has not begun, but on_close does", function()
    local server = serve("return sse.reply(sse.never():on_close(function() log[#log + 1] = 'never' end))", CLOSING)
    server:get("/"):close()
    server:head("/")
    assert.equal("never,never", (server:get("/log"):body()))
    server:close()
  end)

  it("of a source that fails to close do not keep the others open", function()
    local server = serve([[
local function source(name) return sse.interval(1):on_close(function() log[#log + 1] = name if name == "b" then error "bad" end end) end
return sse.reply(source "a" :merge(source "b", source "c"):on_close(function() log[#log + 1] = "d" end))]], CLOSING)
    server:get("/"):close()
    assert.equal("a,b,c,d", (server:get("/log"):body()))
    assert.equal(1, count(server:log(), ": bad request="))
    server:close()
  end)

  it("may send no more, and may not wait", function()
    local server = serve([[
return sse.reply(function(send)
  local a <close> = setmetatable({}, { __close = function()
    log[1] = table.concat({ tostring((send "x")), tostring(select(2, send "x")) }, " ")
    log[2] = select(2, pcall(sse.sleep, 1)):gsub("^.-:", "")
  end })
  send(1)
  sse.sleep(100)
end)]], CLOSING)
    server:get("/"):close()
    assert.truthy((server:get("/log"):body()):find("^nil closed,.*cannot wait in __close while its task is being cancelled"))
    server:close()
  end)
end)

describe("a client that leaves", function()
  it("cancels its task at its wait, also inside pcall", function()
    local server = serve([[
return sse.reply(function(send)
  while true do pcall(function() send(1) sse.sleep(1) end) pcall(error) ticks = (ticks or 0) + 1 end
end)]], "app:get('/ticks', function() return tostring(ticks) end)")
    local res = server:get "/"
    server:advance(3)
    res:close()
    server:advance(100)
    assert.equal("3", (server:get("/ticks"):body()))
    server:close()
  end)

  it("leaves the others' streams alone", function()
    local server = serve "return sse.reply(sse.interval(1))"
    local a, b = server:get "/", server:get "/"
    server:advance(1)
    a:close()
    server:advance(2)
    assert.same({ "1", "2", "3" }, b:data())
    server:close()
  end)

  it("ends a task that waits for room to send", function()
    local server = serve([[
return sse.reply(function(send)
  local a <close> = setmetatable({}, { __close = function() ended = true end })
  while true do send(("x"):rep(10000)) end
end)]], "app:get('/ended', function() return tostring(ended) end)")
    local client = server:connect()
    client:window(1000)
    server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client):close()
    assert.equal("true", (server:get("/ended"):body()))
    server:close()
  end)
end)

describe("an error", function()
  it("before the head is a 500, logged with its traceback", function()
    local server = serve "local x = nil\nreturn sse.reply(x.y)"
    local res = server:get "/"
    assert.equal(500, res:status())
    assert.is_nil(res:body():find("attempt", 1, true))
    local log = server:log()
    assert.equal(1, count(log, "attempt to index a nil value"))
    assert.truthy(log:find("stack traceback", 1, true))
    server:close()
  end)

  local producers = {
    { "a function stream", "return sse.reply(function(send) send(1) sse.sleep(1)\nerror 'oops' end)" },
    { "map", "return sse.reply(sse.interval(1):start_with(0):map(function(n)\nif n == 1 then error 'oops' end return n end))" },
    { "a generator", "return sse.reply(sse.stream(function(send) send(1) sse.sleep(1)\nerror 'oops' end):filter(tostring))" },
    { "merge", "return sse.reply(sse.merge(sse.stream(function(send) send(1) sse.sleep(1)\nerror 'oops' end), sse.never()))" },
    { "an iterator", "local n = 0 return sse.reply(sse.from(function() n = n + 1 if n == 1 then return 1 end sse.sleep(1)\nerror 'oops' end))" },
    { "a value that is no event", "return sse.reply(sse.from { 1, { oops = 1 } })" },
    { "an error value", "return sse.reply(function(send) send(1) sse.sleep(1) error(setmetatable({}, { __tostring = function() return 'oops' end })) end)" },
  }
  for _, case in ipairs(producers) do
    it("of " .. case[1] .. " after it cuts the stream without its last chunk and is logged once", function()
      local server = serve(case[2])
      local res = server:get "/"
      server:advance(5)
      assert.equal(1, #res:events())
      assert.is_false(res:has_ended())
      assert.is_not.equal("open", res.client:state())
      local log = server:log()
      assert.equal(1, count(log, "oops[^\n]*\n"), log)
      assert.truthy(log:find('request="GET /"', 1, true), log)
      server:close()
    end)
  end

  it("names the line in the producer", function()
    local server = serve(producers[1][2])
    server:get "/"
    server:advance(1)
    assert.truthy(server:log():find(":6: oops", 1, true))
    server:close()
  end)

  it("in the producer of one stream leaves the others alone", function()
    local server = serve "return sse.reply(sse.interval(1):map(function(n) if req.query.bad and n == 2 then error 'oops' end return n end))"
    local good, bad = server:get "/", server:get "/?bad=1"
    server:advance(4)
    assert.same({ "1", "2", "3", "4" }, good:data())
    assert.same({ "1" }, bad:data())
    server:close()
  end)
end)
