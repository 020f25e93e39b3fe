-- SPDX-License-Identifier: MIT
-- Ticks: as an example has them, and what they cost while they wait.
local helper = require "spec.helper"

describe("examples/ticks.lua", function()
  it("sends one numbered tick a second, until the client goes away", function()
    local server = helper.serve("examples/ticks.lua")
    local res = server:get("/ticks")
    assert.equal(200, res:status())
    assert.same({}, (res:events()))
    server:advance(3)
    assert.same({ { event = "tick", id = "1", data = "1" }, { event = "tick", id = "2", data = "2" },
      { event = "tick", id = "3", data = "3" } }, (res:events()))
    res:close()
    server:advance(60)
    assert.equal(3, #res:events())
    server:close()
  end)
end)

describe("a stream of ticks that nothing transforms", function()
  local server
  after_each(function() server:close() end)

  local APP = [[
  local state, made = "", {}
  app:get("/plain", function() return sse.reply(sse.interval(1)) end)
  app:get("/map", function() return sse.reply(sse.interval(1):map(function(n) made[#made + 1] = n return sse.event():data(n) end)) end)
  app:get("/waits", function() return sse.reply(sse.interval(1):map(function(n) sse.sleep(0.25) return n end)) end)
  app:get("/fails", function() return sse.reply(sse.interval(1):map(function(n) return n < 3 and n or error "third" end)) end)
  app:get("/nil", function() return sse.reply(sse.interval(1):map(function(n) return n < 2 and n or nil end)) end)
  app:get("/ends", function() return sse.reply(sse.interval(1, function(n) return n < 3 and n or nil end)) end)
  app:get("/after", function()
    local s = sse.interval(1)
    s:next()
    return sse.reply(s)
  end)
  app:get("/close", function() return sse.reply(sse.interval(1):on_close(function() state = state .. "closed" end)) end)
  app:get("/big", function() return sse.reply(sse.interval(1):map(function(n) made[#made + 1] = n return ("x"):rep(40000) .. n end)) end)
  app:get("/made", function() return #made .. state end)
  app:get("/memory", function() collectgarbage() collectgarbage() return tostring(collectgarbage "count" * 1024 // 1) end)]]

  local function data(res)
    local list = {}
    for i, event in ipairs((res:events())) do list[i] = event.data end
    return table.concat(list, " ")
  end

  it("sends one each period, whatever makes it", function()
    server = helper.serve(APP)
    local plain, map, waits = server:get "/plain", server:get "/map", server:get "/waits"
    server:advance(1)
    assert.same({ "1", "1", "" }, { data(plain), data(map), data(waits) })
    server:advance(3.2)
    assert.same({ "1 2 3 4", "1 2 3 4", "1 2 3" }, { data(plain), data(map), data(waits) })
    server:advance(0.1)
    assert.equal("1 2 3 4", data(waits))
    for _, res in ipairs { plain, map, waits } do res:close() end
    server:advance(10)
    assert.equal("4", server:get("/made"):body())
  end)

  it("goes on behind what was taken before", function()
    server = helper.serve(APP)
    local client = server:connect()
    client:send "GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
    server:advance(3)
    assert.matches("\ndata: 2\n\n.*\ndata: 3\n\n", (client:take():gsub("\r\n", "\n")))
    client:reset()
    server:advance(10)
  end)

  it("ends where its function does, and fails as it does", function()
    server = helper.serve(APP)
    local ends, fails, none = server:get "/ends", server:get "/fails", server:get "/nil"
    server:advance(5)
    assert.same({ "1 2", "1 2", "1" }, { data(ends), data(fails), data(none) })
    assert.same({ true, false, false }, { (select(2, ends:body())), (select(2, fails:body())), (select(2, none:body())) })
    local log = server:log()
    assert.matches(":7: third", log)
    assert.matches("stream:map: the function [^\n]*:8 returned nil; use filter to leave values out", log)
  end)

  it("closes what on_close was given", function()
    server = helper.serve(APP)
    local res = server:get "/close"
    server:advance(2)
    res:close()
    server:advance(1)
    assert.equal("0closed", server:get("/made"):body())
  end)

  it("waits for a client that does not read", function()
    server = helper.serve(APP, { settings = { limits = { queue_high = 100000, queue_low = 50000 } } })
    local client = server:connect()
    client:window(1000)
    client:send "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
    server:advance(20)
    assert.equal("3", server:get("/made"):body())
    client:window(nil)
    server:advance(0)
    assert.equal("4", server:get("/made"):body()) -- not those that were due meanwhile
    server:advance(3)
    assert.equal("7", server:get("/made"):body()) -- but the next ones at their time
    client:reset()
  end)

  it("keeps its rate, and counts without a gap, where it could not go on for several periods", function()
    server = helper.serve([[
      app:get("/slow", function()
        return sse.reply(sse.interval(1, function(n)
          if n == 2 then sse.sleep(3.7) end
          return ("%d@%.1f"):format(n, sse.now())
        end))
      end)
      app:get("/loop", function()
        return sse.reply(function(send)
          local ticks = sse.interval(1)
          for n in ticks do
            if n == 2 then sse.sleep(3.7) end
            send(("%d@%.1f"):format(n, sse.now()))
          end
        end)
      end)
      app:get("/now", function() return tostring(sse.now()) end)
    ]])
    local function now() return tonumber((server:get("/now"):body())) end
    for _, path in ipairs { "/slow", "/loop" } do
      local client = server:connect()
      client:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      local at = now()
      server:advance(8.5)
      local got = {}
      for n, when in client:take():gmatch "data: (%d+)@([%d.]+)" do got[#got + 1] = ("%s@%.1f"):format(n, when - at) end
      assert.same({ "1@1.0", "2@5.7", "3@5.7", "4@6.0", "5@7.0", "6@8.0" }, got)
      client:reset()
    end
  end)

  it("has no coroutine while it waits", function()
    server = helper.serve(APP, { settings = { limits = { connections = 1000 } } })
    local function bytes() return tonumber((server:get("/memory"):body())) end
    local all, count = {}, 200
    local function open(path)
      for _ = 1, count do all[#all + 1] = server:get(path) end
      server:advance(2)
      return bytes()
    end
    open "/map"
    local before = bytes()
    local each = (open "/map" - before) / count
    assert.is_true(each < 500, each .. " bytes of Lua's for each stream; a coroutine alone has 1000")
    for _, res in ipairs(all) do res:close() end
  end)
end)
