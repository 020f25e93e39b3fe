-- SPDX-License-Identifier: MIT
local helper = require "spec.helper"

-- The data of a stream as it has come at the `times` (seconds since its start), each as one string, "|" at the end.
local function values(expression, times, before)
  local server = helper.serve((before or "") .. "\napp:get('/', function(req)\nreturn sse.reply(" .. expression .. ")\nend)")
  local res, list, now = server:get "/", {}, 0
  for i, at in ipairs(times or { 0 }) do
    server:advance(at - now)
    now = at
    list[i] = table.concat(res:data(), " ") .. (res:has_ended() and "|" or "")
  end
  local log = server:log():match "[^\n]* error [^\n]*"
  res:close()
  server:close()
  assert.is_nil(log)
  return list
end

-- after{ {1, "a"}, ... }: a stream of "a" one second later and so on.
local AFTER = [[
function after(list)
  return sse.stream(function(send)
    for _, pair in ipairs(list) do sse.sleep(pair[1]) send(pair[2]) end
  end)
end]]

describe("sse.interval", function()
  it("counts from 1, the first after one period", function()
    assert.same({ "", "", "1", "1 2", "1 2 3 4 5" }, values("sse.interval(2)", { 0, 1.9, 2, 4, 10 }))
  end)
  it("takes its values from a function", function()
    assert.same({ "2 4 6" }, values("sse.interval(1, function(n) return n * 2 end)", { 3 }))
  end)
  it("ends with the function's nil", function()
    assert.same({ "1 2", "1 2|" }, values("sse.interval(1, function(n) return n < 3 and n or nil end)", { 2, 3 }))
  end)
  it("waits in its function", function()
    assert.same({ "", "1", "1 2" }, values("sse.interval(1, function(n) sse.sleep(0.5) return n end)", { 1, 1.5, 2.5 }))
  end)
end)

describe("sse.from", function()
  it("takes a list", function() assert.same({ "a b 3|" }, values "sse.from { 'a', { data = 'b' }, 3 }") end)
  it("takes an empty list", function() assert.same({ "|" }, values "sse.from {}") end)
  it("takes an iterator", function() assert.same({ "a b c|" }, values "sse.from(('a b c'):gmatch '%a')") end)
  it("takes an iterator that waits", function()
    assert.same({ "", "1", "1 2" }, values("sse.from(function() sse.sleep(1) n = n + 1 return n end)", { 0, 1, 2 }, "n = 0"))
  end)
  it("takes a coroutine, which may wait", function()
    assert.same({ "1", "1 2|" }, values("sse.from(coroutine.create(function() coroutine.yield(1) sse.sleep(1) coroutine.yield(2) end))", { 0, 1 }))
  end)
  it("takes a coroutine that has ended", function()
    assert.same({ "|" }, values("sse.from(co)", nil, "co = coroutine.create(function() end) coroutine.resume(co)"))
  end)
  it("takes a stream as it is", function() assert.same({ "1|" }, values "sse.from(sse.once(1))") end)
end)

describe("sse.once, sse.never", function()
  it("is one value", function() assert.same({ "x|" }, values "sse.once 'x'") end)
  it("is one table", function() assert.same({ "x|" }, values "sse.once { data = 'x' }") end)
  it("is no value and no end", function() assert.same({ "" }, values("sse.never()", { 1e5 })) end)
  it("is so behind a combinator", function() assert.same({ "" }, values("sse.never():map(tostring)", { 1e5 })) end)
end)

describe("map, filter, inspect", function()
  it("maps", function() assert.same({ "2 4|" }, values "sse.from { 1, 2 }:map(function(n) return n * 2 end)") end)
  it("maps to false", function() assert.same({ "false|" }, values "sse.from { 1 }:map(function() return false end):map(tostring)") end)
  it("waits in the function", function()
    assert.same({ "", "1", "1 2|" }, values("sse.from { 1, 2 }:map(function(n) sse.sleep(1) return n end)", { 0, 1, 2 }))
  end)
  it("filters", function() assert.same({ "2 4|" }, values "sse.from { 1, 2, 3, 4, 5 }:filter(function(n) return n % 2 == 0 end)") end)
  it("looks on", function()
    assert.same({ "1 3|" }, values("sse.from { 1, 2 }:inspect(function(n) sum = sum + n end):map(function() return sum end)", nil, "sum = 0"))
  end)
  it("gives the function one value", function()
    assert.same({ "1 1|" }, values "sse.from { 'a', 'b' }:map(function(...) return select('#', ...) end)")
  end)
end)

describe("take, take_while, skip", function()
  it("takes", function() assert.same({ "1 2|" }, values "sse.from { 1, 2, 3 }:take(2)") end)
  it("takes none", function() assert.same({ "|" }, values "sse.interval(1):take(0)") end)
  it("takes more than there is", function() assert.same({ "1|" }, values "sse.from { 1 }:take(5)") end)
  it("ends with the last value that it takes", function() assert.same({ "1", "1 2|" }, values("sse.interval(1):take(2)", { 1, 2 })) end)
  it("takes while", function() assert.same({ "1 2|" }, values "sse.from { 1, 2, 3, 1 }:take_while(function(n) return n < 3 end)") end)
  it("skips", function() assert.same({ "3|" }, values "sse.from { 1, 2, 3 }:skip(2)") end)
  it("skips none", function() assert.same({ "1|" }, values "sse.from { 1 }:skip(0)") end)
  it("skips more than there is", function() assert.same({ "|" }, values "sse.from { 1 }:skip(5)") end)
end)

describe("chain, start_with, merge", function()
  it("chains", function() assert.same({ "1 2 3|" }, values "sse.once(1):chain(sse.from {}, sse.once(2), sse.once(3))") end)
  it("chains what waits", function()
    assert.same({ "1 2", "1 2 1", "1 2 1|" }, values("sse.interval(1):take(2):chain(sse.interval(1):take(1), sse.stream(function() sse.sleep(1) end))", { 2, 3, 4 }))
  end)
  it("lets go of a stream that has ended before the next", function()
    assert.same({ "a|" }, values("sse.from {}:on_close(function() closed = true end):chain(sse.stream(function(send) send(closed and 'a' or 'b') end))"))
  end)
  it("starts with", function() assert.same({ "a b 1|" }, values "sse.once(1):start_with('a', 'b')") end)
  it("merges as values come", function()
    assert.same({ "1 2", "1 2 3 4 5", "1 2 3 4 5 6|" },
      values("sse.merge(after { { 0, 1 }, { 2, 3 }, { 2, 5 } }, after { { 1, 2 }, { 2, 4 }, { 3, 6 } })", { 1, 4, 6 }, AFTER))
  end)
  it("merges as a method", function() assert.same({ "1 2|" }, values("after { { 1, 1 } }:merge(after { { 2, 2 } })", { 2 }, AFTER)) end)
  it("merges nothing", function() assert.same({ "|" }, values "sse.merge()") end)
  it("merges what never comes", function() assert.same({ "1" }, values("sse.merge(sse.never(), sse.once(1))", { 9 })) end)
  it("merges many", function()
    local list = values("sse.merge(table.unpack(list))", { 1 }, "list = {} for i = 1, 250 do list[i] = sse.interval(1) end")
    assert.equal(250, select(2, list[1]:gsub("1", "")))
  end)
  it("loses nothing of fast streams", function()
    local list = values("sse.merge(numbers(), numbers()):map(function(n) sum = sum + n return sum end):skip(1999)", { 0 },
      "sum = 0 function numbers() return sse.stream(function(send) for i = 1, 1000 do send(i) end end) end")
    assert.same({ "1001000|" }, list)
  end)
end)

describe("throttle", function()
  it("passes the first and drops what follows too soon", function()
    assert.same({ "1 4 7 10" }, values("sse.interval(0.5):throttle(1.5)", { 5 }))
  end)
end)

describe("debounce", function()
  it("passes a value once no other has followed", function()
    assert.same({ "", "b", "b", "b c" }, values("after { { 0, 'a' }, { 0.5, 'b' }, { 3, 'c' }, { 9, 'd' } }:debounce(1)", { 1.4, 1.5, 4.4, 4.5 }, AFTER))
  end)
  it("passes the last one at the end", function()
    assert.same({ "", "b|" }, values("after { { 1, 'a' }, { 0.5, 'b' } }:debounce(1)", { 1.4, 1.5 }, AFTER))
  end)
  it("passes nothing of nothing", function() assert.same({ "|" }, values "sse.from {}:debounce(1)") end)
  it("waits the whole time after a late turn", function()
    assert.same({ "", "a" }, values("after { { 0, 'a' }, { 9, 'b' } }:debounce(2)", { 1.9, 2 }, AFTER))
  end)
end)

describe("batch", function()
  local JOIN = ":map(function(list) return table.concat(list, ',') end)"
  it("makes lists of n, the last one shorter", function()
    assert.same({ "1,2 3,4 5|" }, values("sse.from { 1, 2, 3, 4, 5 }:batch(2)" .. JOIN))
  end)
  it("waits for n where it is given no time", function()
    assert.same({ "", "1,2,3" }, values("sse.interval(10):batch(3)" .. JOIN, { 29, 30 }))
  end)
  it("sends what it has some time after the first value", function()
    assert.same({ "", "1,2,3", "1,2,3", "1,2,3 4,5,6" }, values("sse.interval(1):batch(10, 2.5)" .. JOIN, { 3.4, 3.5, 6.4, 6.5 }))
  end)
  it("makes no empty lists", function() assert.same({ "" }, values("sse.never():batch(2, 1)" .. JOIN, { 100 })) end)
  it("takes lists of one", function() assert.same({ "1 2|" }, values("sse.from { 1, 2 }:batch(1)" .. JOIN)) end)
end)

describe("timeout", function()
  it("ends where no value comes", function()
    assert.same({ "a b", "a b|" }, values("after { { 1, 'a' }, { 1, 'b' }, { 3, 'c' } }:timeout(2)", { 3.9, 4 }, AFTER))
  end)
  it("lets pass what comes in time", function()
    assert.same({ "1 2 3" }, values("sse.interval(1):timeout(1.5)", { 3 }))
  end)
  it("lets the end pass", function() assert.same({ "1|" }, values "sse.once(1):timeout(2)") end)
end)

describe("each, collect", function()
  it("is a loop", function()
    assert.same({ "1 2 end|" }, values("function(send) for n in sse.interval(1):take(2):each() do send(n) end send 'end' end", { 2 }))
  end)
  it("closes when the loop is left", function()
    assert.same({ "1 closed|" }, values("function(send) for n in sse.interval(1):on_close(function() state = 'closed' end):each() do send(n) break end send(state) end", { 1 }))
  end)
  it("collects", function()
    assert.same({ "1,2,3|" }, values("function(send) send(table.concat(sse.interval(1):take(3):collect(), ',')) end", { 3 }))
  end)
  it("collects in a plain handler", function()
    local server = helper.serve "app:get('/', function() return sse.interval(1):take(3):collect() end)"
    local res = server:get "/"
    assert.is_nil(res:status())
    server:advance(3)
    assert.same({ 1, 2, 3 }, res:json())
    server:close()
  end)
end)

describe("a function stream behind a combinator", function()
  it("may send in loops that ask whether it went", function()
    assert.same({ "1 2 3|" }, values("sse.stream(function(send) local n = 1 while n < 4 and send(n) do n = n + 1 end end):map(function(n) return n end)"))
  end)
  it("may yield", function()
    assert.same({ "a b|" }, values("sse.stream(function(send) coroutine.yield 'a' send 'b' end):filter(tostring)"))
  end)
  it("raises at send(nil)", function()
    local server = helper.serve "app:get('/', function() return sse.reply(sse.stream(function(send)\nsend(nil) end):map(tostring)) end)"
    local res = server:get "/"
    assert.is_false(res:has_ended())
    assert.truthy(server:log():find(":4: send: expected an event", 1, true))
    server:close()
  end)
  it("is asked only as far as it is read", function()
    assert.same({ "1 2 3|" }, values("sse.stream(function(send) for i = 1, math.huge do last = i send(i) end end):take(2):chain(sse.stream(function(send) send(last + 1) end))"))
  end)
end)

describe("backpressure", function()
  it("reaches the source", function()
    local server = helper.serve [[
app:get("/", function() return sse.reply(sse.from(function() n = (n or 0) + 1 return { data = ("x"):rep(1000) } end):map(function(v) return v end)) end)
app:get("/n", function() return tostring(n) end)]]
    local client = server:connect()
    client:window(100)
    local res = server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
    local n = tonumber((server:get("/n"):body()))
    assert.truthy(n > 200 and n < 300, n)
    server:advance(10)
    assert.equal(n, tonumber((server:get("/n"):body())))
    res:close()
    server:close()
  end)
end)

describe("a mistake raises at the user's line", function()
  local cases = {
    { "sse.stream()", "sse.stream: expected a function, got nil" },
    { "sse.interval(0)", "sse.interval: expected more than 0 seconds, got 0" },
    { "sse.interval(-1)", "sse.interval: expected more than 0 seconds, got -1" },
    { "sse.interval(0/0)", "sse.interval: expected more than 0 seconds" },
    { "sse.interval('1')", "sse.interval: expected seconds, got string" },
    { "sse.interval(1, 2)", "sse.interval: expected a function, got number" },
    { "sse.from()", "sse.from: expected a list, an iterator or a coroutine, got nil" },
    { "sse.from(1)", "sse.from: expected a list, an iterator or a coroutine, got number" },
    { "sse.once()", "sse.once: expected a value, got nil" },
    { "sse.merge(1)", "sse.merge: expected a stream, got number" },
    { "sse.merge(sse.never(), nil)", "sse.merge: expected a stream, got nil" },
    { "sse.never():map()", "stream:map: expected a function, got nil" },
    { "sse.never():filter(1)", "stream:filter: expected a function, got number" },
    { "sse.never():inspect(1)", "stream:inspect: expected a function, got number" },
    { "sse.never():take()", "stream:take: expected an integer of 0 or more, got nil" },
    { "sse.never():take(1.5)", "stream:take: expected an integer of 0 or more, got 1.5" },
    { "sse.never():take_while()", "stream:take_while: expected a function, got nil" },
    { "sse.never():skip(-1)", "stream:skip: expected an integer of 0 or more, got -1" },
    { "sse.never():chain(1)", "stream:chain: expected a stream, got number" },
    { "sse.never():throttle(0)", "stream:throttle: expected more than 0 seconds, got 0" },
    { "sse.never():debounce('x')", "stream:debounce: expected seconds, got string" },
    { "sse.never():batch(0)", "stream:batch: expected 1 or more" },
    { "sse.never():batch(2, 0)", "stream:batch: expected more than 0 seconds, got 0" },
    { "sse.never():timeout()", "stream:timeout: expected seconds, got nil" },
    { "sse.never().next()", "stream:next: write it with a colon" },
    { "sse.never():on_close()", "stream:on_close: expected a function, got nil" },
    { "sse.never().map(tostring)", "stream:map: write it with a colon" },
    { "sse.wrap(1)", "sse.wrap: expected a function" },
  }
  for _, case in ipairs(cases) do
    for _, how in ipairs { "", "return " } do
      it(how .. case[1], function()
        local err = helper.load_error("local function f()\n" .. how .. case[1] .. "\nend\nlocal x = f()")
        assert.truthy(err:find(":4: " .. case[2], 1, true), err)
      end)
    end
  end

  it("where map's function returns nil, which names the function", function()
    local server = helper.serve "app:get('/', function()\nlocal f = function() end\nreturn sse.reply(sse.once(1):map(f)) end)"
    local res = server:get "/"
    assert.is_false(res:has_ended())
    local log = server:log()
    assert.truthy(log:find("stream:map: the function (%S+:4) returned nil; use filter to leave values out"), log)
    server:close()
  end)
end)

describe("stream:next", function()
  local function serve(body) return helper.serve("app:get('/', function(req)\n" .. body .. "\nend)") end

  it("takes value by value, nil at the end", function()
    local server = serve [[local s = sse.from { "a", "b" }
return json.array { s:next(), s:next(), tostring(s:next()), tostring(s:next()) }]]
    assert.same({ "a", "b", "nil", "nil" }, server:get("/"):json())
    server:close()
  end)

  it("waits, and leaves what follows to the reply", function()
    for _, source in ipairs { "sse.interval(1):take(3)", "sse.stream(function(send) for i = 1, 3 do sse.sleep(1) send(i) end end)" } do
      local server = serve(("local s = %s\nlocal first = s:next()\nreturn sse.reply(s:map(function(n) return first * 10 + n end))"):format(source))
      local res = server:get "/"
      server:advance(1.5)
      assert.equal(200, res:status())
      server:advance(3)
      assert.same({ "12", "13" }, res:data())
      assert.is_true(res:has_ended())
      server:close()
    end
  end)

  it("closes what a function holds where the stream goes", function()
    local server = serve [[
local s <close> = sse.stream(function(send)
  local _ <close> = setmetatable({}, { __close = function() spate.log.info "closed" end })
  while true do send "x" end
end)
return s:next()]]
    assert.equal("x", (server:get("/"):body()))
    assert.truthy(server:log():find "closed")
    server:close()
  end)

  it("takes the events of a channel, and its reply goes on behind them", function()
    local server = serve [[
local ch = sse.channel "a"
local s = ch:subscribe()
sse.spawn(function() for i = 1, 3 do ch:publish(i) end end)
local first = s:next()
return sse.reply(s, { headers = { first = first.data } })]]
    local res = server:get "/"
    assert.equal("1", res:header "First")
    assert.same({ "2", "3" }, res:data())
    server:close()
  end)
end)
