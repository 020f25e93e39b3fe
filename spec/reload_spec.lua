-- SPDX-License-Identifier: MIT
-- Generations: what a reload replaces, what goes on, and when the old code is gone.
local helper = require "spec.helper"

local OLD = [[
  app:get("/", function() return "old" end)
  app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return "old " .. n end)) end)
]]
local NEW = [[
  app:get("/", function() return "new" end)
  app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return "new " .. n end)) end)
]]

describe("a reload", function()
  local server
  after_each(function()
    if server then server.core:close() end
    server = nil
  end)

  local function body(target) return (server:get(target):body()) end

  local function serve(source, options)
    server = helper.serve(source, options)
    return server
  end

  it("serves new requests by the new code at once", function()
    serve(OLD)
    assert.equal("old", body "/")
    assert.is_true(server:reload(NEW))
    assert.equal("new", body "/")
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("lets open streams go on in the code that opened them, until they end", function()
    serve(OLD)
    local old = server:get("/ticks")
    server:advance(1)
    server:reload(NEW)
    local new = server:get("/ticks")
    server:advance(2)
    assert.same({ "old 1", "old 2", "old 3" }, old:data())
    assert.same({ "new 1", "new 2" }, new:data())
    assert.equal(2, server:stats().generations)
    old:close()
    assert.equal(1, server:stats().generations)
    new:close()
    server:close()
  end)

  it("lets a request that waits be answered by the old code", function()
    serve [[app:get("/slow", function() sse.sleep(5) return "old and slow" end)]]
    local slow = server:get("/slow")
    server:reload(NEW)
    server:advance(5)
    assert.equal("old and slow", (slow:body()))
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("takes the next request of a connection to the new code", function()
    serve(OLD)
    local first = server:get("/")
    assert.equal("old", (first:body()))
    server:reload(NEW)
    assert.equal("new", (server:get("/", { client = first.client }):body()))
    server:close()
  end)

  it("cancels the old code's tasks and timers and starts the new code's", function()
    serve [[
      sse.every(1, function() print "old tick" end)
      app:on_start(function()
        local _ <close> = setmetatable({}, { __close = function() print "old task closed" end })
        sse.sleep(1000)
      end)
      app:on_stop(function() print "old stop" end)
    ]]
    server:advance(1)
    assert.matches("old tick", server:log())
    server:reload [[
      app:on_start(function() print "new start" end)
      sse.every(1, function() print "new tick" end)
    ]]
    local said = server:log()
    assert.matches("old task closed", said)
    assert.matches("old stop", said)
    assert.matches("new start", said)
    server:advance(1)
    said = server:log()
    assert.matches("new tick", said)
    assert.not_matches("old tick", said)
    server:close { tasks = 1, timers = 1 }
  end)

  it("leaves alone the tasks that belong to a stream", function()
    serve [[app:get("/batch", function() return sse.reply(sse.interval(1):batch(2, 10):map(function(l) return #l end)) end)]]
    local batch = server:get("/batch")
    server:advance(1)
    server:reload(NEW)
    server:advance(3)
    assert.same({ "2", "2" }, batch:data())
    batch:close()
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("keeps channels, their history and their subscribers, and shared values", function()
    local APP = [[
      local ch, hits = sse.channel("news", { history = 10 }), spate.shared "hits"
      app:get("/news", function(req) return sse.reply(ch:subscribe { after = req.last_event_id, replay = 5 }) end)
      app:post("/news", function(req) ch:publish(VERSION .. req:body()) return { hits = hits:incr "n" } end)
    ]]
    serve("local VERSION = 'old '\n" .. APP)
    local a = server:get("/news")
    assert.equal(1, server:post("/news", { body = "1" }):json().hits)
    assert.is_true(server:reload("local VERSION = 'new '\n" .. APP))
    assert.equal(2, server:post("/news", { body = "2" }):json().hits)
    assert.same({ "old 1", "new 2" }, a:data())
    local b = server:get("/news", { headers = { ["Last-Event-ID"] = a:events()[1].id } })
    assert.same({ "new 2" }, b:data())
    assert.equal(1, server:stats().generations) -- what C alone serves does not hold the old state
    a:close()
    b:close()
    server:close()
  end)

  it("keeps a derived channel for those who read it", function()
    local APP = [[
      local items = sse.channel("news"):derive(function(event) return VERSION .. event.data end)
      app:get("/items", function() return sse.reply(items:subscribe()) end)
      app:post("/news", function(req) sse.channel("news"):publish(req:body()) return "" end)
    ]]
    serve("local VERSION = 'old '\n" .. APP)
    local old = server:get("/items")
    server:reload("local VERSION = 'new '\n" .. APP)
    local new = server:get("/items")
    server:post("/news", { body = "1" })
    assert.same({ "old 1" }, old:data())
    assert.same({ "new 1" }, new:data())
    assert.equal(2, server:stats().generations)
    old:close()
    server:advance(2)
    assert.equal(1, server:stats().generations)
    new:close()
    server.core:close()
    server = nil
  end)

  it("lets the producer of a resumable stream run to its end", function()
    serve [[app:get("/job", function(req)
      return sse.reply(sse.resumable("job", function(send)
        for i = 1, 4 do sse.sleep(1) send("old step " .. i) end
      end, { after = req.last_event_id, ttl = 5 }))
    end)]]
    local first = server:get("/job")
    server:advance(1)
    server:reload [[app:get("/job", function(req)
      return sse.reply(sse.resumable("job", function(send) send "new producer" end, { after = req.last_event_id, ttl = 5 }))
    end)]]
    server:advance(1)
    local id = first:events()[2].id
    first:close()
    local again = server:get("/job", { headers = { ["Last-Event-ID"] = id } })
    server:advance(2)
    assert.same({ "old step 3", "old step 4" }, again:data())
    assert.is_true(again:has_ended())
    server:advance(6)
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("runs the on_close functions of old streams in the old code", function()
    serve [[app:get("/", function(req)
      req:on_close(function(reason) print("old stream: " .. reason) end)
      return sse.reply(sse.never())
    end)]]
    local res = server:get("/")
    server:reload(NEW)
    assert.equal(2, server:stats().generations)
    res:close()
    assert.matches("old stream: client_closed", server:log())
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("ends old streams after reload.max_age, with a retry and a clean end", function()
    serve(OLD .. [[
      app:get("/never", function(req) return sse.reply(sse.never()) end)
      app:get("/told", function(req)
        req:on_close(function(reason) print("told " .. reason) end)
        return sse.reply(sse.never())
      end)
    ]], { settings = { reload = { max_age = 100 }, keep_alive = { interval = 1000 } } })
    local list = { server:get("/ticks"), server:get("/never"), server:get("/told") }
    server:reload(NEW)
    local new = server:get("/ticks")
    server:advance(99)
    for _, res in ipairs(list) do assert.is_false(res:has_ended()) end
    server:advance(7)
    for _, res in ipairs(list) do
      assert.is_true(res:has_ended())
      local events = res:events()
      local retry = tonumber(events[#events].retry)
      assert.is_true(retry >= 1000 and retry <= 2000)
    end
    assert.matches("told reload", server:log())
    assert.is_false(new:has_ended())
    assert.equal(1, server:stats().generations)
    new:close()
    server:close()
  end)

  it("ends the oldest streams early where reloads are frequent", function()
    serve(OLD, { settings = { reload = { generations = 3 } } })
    local streams = {}
    for i = 1, 6 do
      streams[i] = server:get("/ticks")
      server:reload(i % 2 == 0 and OLD or NEW)
    end
    server:advance(6)
    for i = 1, 6 do assert.equal(i <= 3, streams[i]:has_ended()) end
    assert.equal(4, server:stats().generations)
    for i = 4, 6 do streams[i]:close() end
    server:close()
  end)

  for _, reloads in ipairs { 2, 3 } do
    it("ends at once what old code begins after its others have been ended, by reload " .. reloads, function()
      local LATE = [[
        app:get("/raw", function() sse.sleep(20) return reply.stream(function(write) write "x" sse.sleep(1000) end) end)
        app:get("/events", function() sse.sleep(20) return sse.reply(sse.never()) end)
        app:get("/ticks", function() return sse.reply(sse.interval(1)) end)]]
      serve(LATE, { settings = { reload = { generations = 1 } } })
      local raw, events, ticks = server:get "/raw", server:get "/events", server:get "/ticks"
      for _ = 1, reloads do server:reload(LATE) end
      server:advance(6)
      assert.is_true(ticks:has_ended())
      assert.same({ "", "" }, { raw:raw(), events:raw() })
      server:advance(14)
      server:turn()
      for _, res in ipairs { raw, events } do assert.equal(200, res:status()) end
      assert.is_true(events:has_ended())
      assert.is_false(raw:has_ended())
      assert.not_equal("open", raw.client:state())
      assert.equal(1, server:stats().generations)
      server:close()
    end)
  end

  it("leaves the old code serving where the new does not load", function()
    serve(OLD)
    local old = server:get("/ticks")
    for _, broken in ipairs { "app:get(", "error 'broken'", "local x = nil + 1", "app:get('/', 1)", 'require "no_such"' } do
      local ok, err = server:reload(broken .. "\n")
      assert.is_nil(ok)
      assert.matches(":%d+:", err)
    end
    assert.equal("old", body "/")
    server:advance(1)
    assert.same({ "old 1" }, old:data())
    assert.equal(1, server:stats().generations)
    old:close()
    server:close()
  end)

  it("counts reloads, those that failed too, and says the generation", function()
    local APP = [[app:get("/stats", function() return spate.stats() end)]]
    serve(APP)
    server:reload(APP)
    server:reload "app:get("
    local stats = server:get("/stats"):json()
    assert.equal(2, stats.generation)
    assert.equal(1, stats.reloads_total)
    assert.equal(1, stats.reloads_failed_total)
    server:close()
  end)

  it("refuses to subscribe while the script is loaded", function()
    assert.matches(":3: channel:subscribe: nothing can subscribe while the script is loaded",
      helper.load_error 'sse.channel("x"):subscribe()\n')
  end)

  it("frees the old states: five hundred reloads with a hundred changing streams", function()
    serve(OLD)
    local open = {}
    local early, late = 0, 0 -- the most that was allocated: how much of it is garbage differs from time to time
    for i = 1, 500 do
      for _ = 1, 10 do
        open[#open + 1] = server:get("/ticks")
        if #open > 100 then table.remove(open, 1):close() end
      end
      assert.is_true(server:reload(i % 2 == 0 and OLD or NEW))
      if i % 50 == 0 then server:advance(1) end
      if i % 20 == 0 then
        collectgarbage()
        local allocated = helper.harness.allocated()
        if i <= 250 then early = math.max(early, allocated) else late = math.max(late, allocated) end
      end
      server.clients = {}
      server:log()
    end
    assert.is_true(server:stats().generations <= 11)
    assert.is_true(late < early + (2 << 20), late .. " bytes after " .. early)
    for _, res in ipairs(open) do res:close() end
    server:close()
  end)
end)
