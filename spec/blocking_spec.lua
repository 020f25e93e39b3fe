-- SPDX-License-Identifier: MIT
-- What a call that blocks does to the worker's time, and how it is told. `block(seconds)` stands for such a call: it moves
-- the clock within a turn.
local helper = require "spec.helper"

local server

local function serve(source, options)
  options = options or {}
  options.blocks = true
  server = helper.serve(source, options)
end

local function body(path) return (server:get(path):body()) end

local function warnings()
  local list = {}
  for line in server:log():gmatch "[^\n]* warn ([^\n]*)" do list[#list + 1] = line:gsub("^ +", ""):gsub("/[^ ]*:(%d+)", "app.lua:%1") end
  return list
end

describe("after a call that blocks", function()
  after_each(function() server:close() end)

  it("a task sees the time that has passed", function()
    serve 'app:get("/", function() local from = sse.now() block(1) return ("%.3f"):format(sse.now() - from) end)'
    assert.equal("1.000", body "/")
  end)

  it("a sleep lasts as long as it says", function()
    serve 'app:get("/", function() block(1) local from = sse.now() sse.sleep(0.5) return ("%.3f"):format(sse.now() - from) end)'
    local res = server:get "/"
    server:advance(0.49)
    assert.is_nil(res:status())
    server:advance(0.01)
    assert.equal("0.500", (res:body()))
  end)

  it("a sleep in a loop of them does so too, and makes up for no more than late turns", function()
    serve [[app:get("/", function() return sse.reply(function(send)
      for _ = 1, 3 do
        sse.sleep(0.5)
        block(0.2)
        send(("%.2f"):format(sse.now()))
      end
    end) end)]]
    local res = server:get "/"
    server:advance(3)
    assert.same({ "0.70", "1.40", "2.10" }, res:data())
  end)

  it("waits and timers of other tasks in the same turn know of it", function()
    serve [[
      app:get("/", function()
        local from = sse.now()
        sse.spawn(function() block(1) end)
        local later = sse.spawn(function()
          local began = sse.now()
          sse.sleep(0.25)
          return ("%.2f %.2f"):format(began - from, sse.now() - began)
        end)
        return (later:join())
      end)]]
    local res = server:get "/"
    server:advance(2)
    assert.equal("1.00 0.25", (res:body()))
  end)

  it("work of some milliseconds does not make a row of sleeps drift", function()
    serve [[app:get("/", function() return sse.reply(function(send)
      for _ = 1, 3 do sse.sleep(0.1) block(0.005) send(("%.3f"):format(sse.now())) end
    end) end)]]
    local res = server:get "/"
    server:advance(1)
    assert.same({ "0.105", "0.205", "0.305" }, res:data())
  end)

  it("an interval keeps its rate, but for the ticks that it has missed", function()
    serve [[app:get("/", function() local n = 0 return sse.reply(sse.interval(0.1):map(function()
      n = n + 1
      if n == 2 then block(0.25) end
      return ("%.2f"):format(sse.now())
    end):take(5)) end)]]
    local res = server:get "/"
    server:advance(1)
    assert.same({ "0.10", "0.45", "0.45", "0.50", "0.60" }, res:data())
  end)

  it("the access log has the true time", function()
    serve 'app:get("/", function() block(1.25) return "x" end)'
    server:get "/"
    assert.matches("ms=1250", server:log())
  end)
end)

describe("a turn longer than limits.turn", function()
  after_each(function() server:close() end)

  -- An application that blocks so and so many seconds when it is asked for them; in line 7.
  local ASKED = [[
local os = { execute = block }
app:get("/:seconds", function(req)
  local seconds = tonumber(req.params.seconds)

  os.execute(seconds, req.query.unseen ~= nil)
  return "x"
end)
app:get("/count", function() return tostring(spate.stats().long_turns_total) end)]]

  local function told(seconds, place, rest)
    return ("worker 0: a turn of its loop took %.2f s, in which it served nobody else (limits.turn): %s%s"):format(
      seconds, place or "app.lua:7, in a call of 'execute'", rest or "")
  end

  it("is told with the line that held the worker and what was called there", function()
    serve(ASKED)
    server:get "/1.5"
    assert.same({ told(1.5) }, warnings())
  end)

  it("is counted, and told once a minute with the number of the others", function()
    serve(ASKED)
    for _ = 1, 3 do server:get "/0.5" end
    assert.equal("3", body "/count")
    assert.same({ told(0.5) }, warnings())
    server:advance(58)
    server:get "/0.3"
    assert.same({}, warnings())
    server:advance(1)
    server:get "/0.2"
    assert.same({ told(0.2, nil, "; 3 more since the last word of it") }, warnings())
    server:advance(60)
    server:get "/0.25"
    assert.same({ told(0.25) }, warnings())
    assert.equal("6", body "/count")
  end)

  it("is one above the setting", function()
    serve(ASKED, { settings = { limits = { turn = 0.5 } } })
    server:get "/0.5"
    assert.equal("0", body "/count")
    server:get "/0.51"
    assert.equal("1", body "/count")
    assert.same({ told(0.51) }, warnings())
  end)

  it("is told without a line where nobody has looked, and not with that of an earlier turn", function()
    serve(ASKED)
    server:get "/0.05"
    server:get "/1?unseen"
    assert.same({ told(1, "not seen where") }, warnings())
  end)

  it("is told in spate dev with a way out, and again after a second", function()
    serve(ASKED, { dev = true })
    local way_out = "; a way out: spate.process runs programs, spate.http asks other servers, spate.fs reads files, "
      .. "spate.offload calls what blocks, and none of them holds the worker"
    server:get "/1"
    server:get "/0.5"
    server:advance(0.5)
    server:get "/0.2"
    assert.same({ told(1, nil, way_out), told(0.2, nil, "; 1 more since the last word of it" .. way_out) }, warnings())
  end)

  for name, case in pairs {
    ["through pcall"] = { "return tostring(pcall(block, 1))", "app.lua:4" },
    ["in a function of the user's"] = { "local function f() block(1) end f() return 'x'", "app.lua:4, in a call of 'block'" },
    ["in a coroutine of its own"] = { "coroutine.wrap(function()\nblock(1) end)() return 'x'", "app.lua:5, in a call of 'block'" },
    ["in a stream"] = { "return sse.reply(function(send) block(1) send 'x' end)", "app.lua:4, in a call of 'block'" },
    ["in a function that an iterator of the library calls"] =
      { "return sse.reply(sse.from { 1 }:map(function(n)\nblock(1) return n end))", "app.lua:5, in a call of 'block'" },
    ["as a method"] = { "local file = { read = function(_, n) return block(n) end } file:read(1) return 'x'", "app.lua:4, in a call of 'block'" },
  } do
    it("names the user's line " .. name, function()
      serve("app:get('/', function()\n" .. case[1] .. "\nend)")
      server:get "/"
      assert.same({ told(1, case[2]) }, warnings())
    end)
  end

  it("leaves no hook behind: a trace of lines goes on", function()
    serve(ASKED, { coverage = true })
    server:get "/1"
    server:get "/0.001"
    local hits = {}
    for path, lines in pairs(server.core:coverage()) do
      if not path:find "lua/spate/" then hits[#hits + 1] = lines[8] end
    end
    assert.same({ 2 }, hits)
  end)
end)
