-- SPDX-License-Identifier: MIT
-- Scripts that ask too much of Lua: an error for the one request, and nothing for the others.
local helper = require "spec.helper"

-- Each is the body of a handler; the log then names what Lua says of it.
local FAULTS = {
  { "a string of 10 GB", 'return ("x"):rep(10000000000)', "resulting string too large", "not enough memory" },
  { "gsub that multiplies", 'local s = "x" for _ = 1, 9 do s = s:gsub("x", ("x"):rep(100)) end return s', "not enough memory" },
  { "a table that grows", "local t = {} while true do t[#t + 1] = 1 end", "not enough memory" },
  { "concat of much", 'local t = {} for i = 1, 100 do t[i] = ("x"):rep(1 << 20) end return table.concat(t)', "not enough memory" },
  { "recursion", "local function f() return 1 + f() end return f()", "stack overflow", "not enough memory" },
  { "recursion by a metamethod", "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 'x'] end return t.x",
    "C stack overflow", "not enough memory", "stack overflow" },
  { "forty captures", 'return (("x"):find(("("):rep(40)))', "too many captures" },
  { "an unfinished capture", 'return (("x"):find("(x"))', "unfinished capture" },
  { "100,000 nested parentheses", 'return assert(load("return " .. ("("):rep(100000) .. "1" .. (")"):rep(100000)))()', "C stack overflow" },
  { "100,000 nested tables", 'return assert(load("return " .. ("{"):rep(100000)))()', "C stack overflow" },
  { "a coroutine in a coroutine without end", "local function f() return coroutine.wrap(f)() end return f()", "C stack overflow", "not enough memory" },
  { "unpack of everything", "return table.unpack({}, 1, 10000000)", "too many results to unpack" },
  { "string.format with a wrong type", 'return ("%d"):format({})', "number expected, got table" },
  { "an index of nil", "return nil .. 'x'", "attempt to concatenate" },
  { "a yield of junk", "return coroutine.yield(42)", "coroutine.yield: no stream has begun" },
  { "a yield of nothing", "return coroutine.yield()", "coroutine.yield: no stream has begun" },
  { "sort with an order that is none", "local t = {} for i = 1, 100 do t[i] = i % 7 end table.sort(t, function() return true end) return 'x'",
    "invalid order function" },
  { "an error in __close", "local a <close> = setmetatable({}, { __close = function() error 'close fails' end }) return 'x'", "close fails" },
  { "an error of an error", "return error(setmetatable({}, { __tostring = function() error 'again' end }))", "__tostring fails" },
}

describe("faults:", function()
  local server

  for _, fault in ipairs(FAULTS) do
    it("a handler with " .. fault[1] .. " fails alone", function()
      server = helper.serve("app:get('/ticks', function() return sse.reply(sse.interval(1)) end)\n"
        .. "app:get('/ok', function() return 'ok' end)\napp:get('/', function(req) " .. fault[2] .. " end)",
        { settings = { limits = { lua_memory = 16 << 20 } } })
      local ticks = server:get "/ticks"
      for _ = 1, 2 do
        assert.truthy(server:get("/"):status() >= 500)
        server:advance(1)
      end
      assert.same({ "1", "2" }, ticks:data())
      assert.equal("ok", (server:get("/ok"):body()))
      local log, named = server:log(), false
      for i = 3, #fault do named = named or log:find(fault[i], 1, true) end
      assert.truthy(named, log)
      server:close()
    end)
  end

  it("a finalizer that fails is no worse off than without", function()
    server = helper.serve [[
app:get("/", function()
  for _ = 1, 100 do setmetatable({}, { __gc = function() error "gc fails" end }) end
  collectgarbage()
  return "ok"
end)]]
    for _ = 1, 2 do assert.equal("ok", (server:get("/"):body())) end
    server:close()
  end)

  it("a chain of coroutine.close in __close ends in an error at the worst", function()
    server = helper.serve [[
app:get("/:depth[%d]", function(req)
  local inner
  for _ = 1, tonumber(req.params.depth) do
    local below = inner
    inner = coroutine.create(function()
      local a <close> = setmetatable({}, { __close = function() if below then coroutine.close(below) end end })
      coroutine.yield()
    end)
    coroutine.resume(inner)
  end
  return tostring((coroutine.close(inner)))
end)
app:get("/failing", function()
  local function f(n)
    local a <close> = setmetatable({}, { __close = function() if n > 0 then coroutine.wrap(f)(n - 1) end end })
    error "e"
  end
  coroutine.wrap(f)(20000)
end)
app:get("/ok", function() return "ok" end)]]
    for _, depth in ipairs { 10, 150, 1000, 20000 } do
      local res = server:get("/" .. depth)
      assert.same({ 200, "true" }, { res:status(), (res:body()) }, depth)
      assert.equal("ok", (server:get("/ok"):body()))
    end
    assert.equal(500, server:get("/failing"):status())
    assert.equal("ok", (server:get("/ok"):body()))
    server:close()
  end)

  it("a value of the client's in a header has its line ends refused, and nothing of it is sent", function()
    server = helper.serve [[
app:get("/", function(req) return reply.text "x":header("X-Echo", req.query.u) end)
app:get("/to", function(req) return reply.redirect(req.query.u) end)
app:get("/stream", function(req) return sse.reply(sse.never(), { headers = { ["X-Echo"] = req.query.u } }) end)]]
    for _, target in ipairs { "/", "/to", "/stream" } do
      for _, value in ipairs { "a%0d%0aSet-Cookie:+b=c", "a%0aX:y", "a%0dX:y", "a%00b" } do
        local res = server:get(target .. "?u=" .. value)
        assert.equal(500, res:status(), target .. value)
        assert.is_nil(res:header "Set-Cookie")
        assert.is_nil(res:header "X-Echo")
        assert.equal("Internal Server Error\n", (res:body()))
      end
    end
    server:close()
  end)
end)
