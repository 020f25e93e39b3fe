-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local helper = require "spec.helper"
local http2 = helper.harness.hpack and require "spec.http2_client"

describe("a channel's subscriber", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function serve(more, settings) server = helper.serve(channels.APP .. (more or ""), { settings = settings }) end

  -- A subscriber whose client takes nothing more once the head has come, or not even that.
  local function stalled(name, query, before_head)
    local client = server:connect()
    if before_head then client:window(0) end
    local res = channels.subscribe(server, name, { query = query, client = client })
    client:window(0)
    return res, client
  end

  local function open(client)
    client:window(nil)
    server:turn()
  end

  after_each(function() server:close() end)

  for _, query in ipairs { "", "?lua=1" } do
    local how = query == "" and "served in C" or "served by Lua"

    it("is cut off where it falls behind, and counted once, " .. how, function()
      serve(nil, { limits = { queue_events = 2 } })
      run 'ch = sse.channel("a", { queue = 4, history = 100 }) closed = {}'
      local slow, client = stalled("a", query)
      local quick = channels.subscribe(server, "a", { query = query })
      for _ = 1, 20 do run "for i = 1, 4 do ch:publish(i) end" end
      if query == "" then
        assert.equal("reset", client:state())
        assert.equal(1, server:stats().slow_total)
        assert.is_true(server:log():find("reason=slow_consumer", 1, true) ~= nil)
        assert.equal(1, run "return ch:count()")
      else
        server:advance(31) -- its task waits in send: timeouts.send ends it
        assert.not_equal("open", client:state())
        assert.equal(1, server:stats().slow_total)
      end
      assert.equal(80, #quick:data())
      assert.is_false(slow:has_ended())
    end)

    it("takes the newest where it is to drop the oldest, " .. how, function()
      serve()
      run 'ch = sse.channel("a", { queue = 4, on_full = "drop_oldest" })'
      local res, client = stalled("a", query)
      local quick = channels.subscribe(server, "a", { query = query })
      for i = 1, 50 do run(("ch:publish('%d' .. ('x'):rep(9))"):format(i)) end
      open(client)
      local data = res:data()
      assert.equal("50xxxxxxxxx", data[#data])
      assert.equal(50, #quick:data())
      local last = 0
      for _, text in ipairs(data) do
        local n = tonumber(text:match "%d+")
        assert.is_true(n > last)
        last = n
      end
      if query == "" then
        assert.same(5, #data) -- one was on its way, four waited
        assert.equal(45, run "return spate.stats().dropped_total")
      end
      assert.equal(0, server:stats().slow_total)
      run "ch:publish 'more'"
      data = res:data()
      assert.equal("more", data[#data])
    end)
  end

  it("never loses the head of its response", function()
    serve()
    run 'ch = sse.channel("a", { queue = 2, on_full = "drop_oldest" })'
    local res, client = stalled("a", "", true)
    for _ = 1, 9 do run "ch:publish 'x'" end
    open(client)
    assert.equal(200, res:status())
    assert.equal("text/event-stream", res:header "Content-Type")
    assert.is_true(#res:data() >= 1 and #res:data() <= 3)
  end)

  it("gets no half of an event where the oldest is dropped", function()
    serve()
    run 'ch = sse.channel("a", { queue = 3, on_full = "drop_oldest" })'
    local res, client = stalled "a"
    run "ch:publish 'first'"
    client:window(5)
    server:turn()
    for i = 1, 20 do run(("ch:publish(%d)"):format(i)) end
    open(client)
    assert.same({ "first", "18", "19", "20" }, res:data())
  end)

  it("gets the newest of each key where they conflate, with ids that rise", function()
    serve()
    run [[ch = sse.channel("a", { queue = 4, on_full = "conflate", key = function(e) return e.json.k end })
      function set(k, v) return ch:publish { json = { k = k, v = v } } end]]
    local res, client = stalled "a"
    for i = 1, 9 do run(("set('x', %d) set('y', %d)"):format(i, -i)) end
    run "set('x', 10)"
    open(client)
    assert.same({ '{"k":"x","v":1}', '{"k":"y","v":-1}', '{"k":"y","v":-9}', '{"k":"x","v":10}' }, res:data()) -- two were on their way
    local events, last = res:events(), 0
    for _, e in ipairs(events) do
      local seq = tonumber(e.id:match "%-(%d+)")
      assert.is_true(seq > last)
      last = seq
    end
    assert.equal(15, run "return spate.stats().dropped_total")
  end)

  it("conflates by the event's name without a key, and drops the oldest key where there are too many", function()
    serve()
    run 'ch = sse.channel("a", { queue = 3, on_full = "conflate" })'
    local res, client = stalled "a"
    for i = 1, 5 do run(("for round = 1, 2 do ch:publish { event = 'e%d', data = tostring(round) } end"):format(i)) end
    open(client)
    assert.same({ "e1", "e1", "e3", "e4", "e5" }, channels.names(res)) -- two were on their way
    assert.same({ "1", "2", "2", "2", "2" }, res:data())
  end)

  it("whose task is behind finds the newest of each key, behind all of the past", function()
    serve([[app:get("/late", function()
      local sub = ch_of():subscribe { replay = "all" }
      sse.sleep(1)
      local list = {}
      for event in sub do
        list[#list + 1] = event.data
        if event.data == "end" then return table.concat(list, " ") end
      end
    end)
    function ch_of() return sse.channel("a", { queue = 3, history = 10, on_full = "conflate", key = function(e) return e.event end }) end]])
    run [[ch = sse.channel("a", { queue = 3, history = 10, on_full = "conflate", key = function(e) return e.event end })
      function set(k, v) ch:publish { event = k, data = k .. v } end
      for i = 1, 3 do set("p" .. i, i) end]]
    local res = server:get "/late"
    run "for i = 1, 5 do set('x', i) set('y', i) end; set('p2', 9); ch:publish 'end'"
    server:advance(1)
    assert.equal("p11 p33 x5 y5 p29 end", (res:body()))
    assert.equal(9, run "return spate.stats().dropped_total")
  end)

  for limit, expected in pairs { [1000000] = 10 + 5, [4000] = 10 + 3 } do -- an event is a bit more than 1000 bytes
    it("whose task is behind has the past and what limits.subscriber allows: " .. limit, function()
      serve([[app:get("/late", function(req)
        local sub = sse.channel("a", { history = 10 }):subscribe { replay = "all" }
        sse.sleep(1)
        local n = 0
        for event in sub do
          n = n + 1
          if event.event == "end" then return tostring(n) end
        end
      end)]], { limits = { subscriber = limit } })
      run "ch = sse.channel('a', { queue = 5, history = 10, on_full = 'drop_oldest' }); function put(k) ch:publish { event = k, data = ('x'):rep(1000) } end"
      run "for i = 1, 10 do put 'past' end"
      local res = server:get "/late"
      run "for i = 1, 4 do put 'live' end put 'end'"
      server:advance(1)
      assert.equal(tostring(expected), (res:body()))
    end)
  end

  it("that comes between two events of one turn has the first by its replay, and the second once", function()
    serve [[app:get("/between", function()
      local ch = sse.channel("a", { history = 10 })
      ch:publish "one"
      local sub = ch:subscribe { replay = "all" }
      ch:publish "two"
      ch:publish "three"
      local list = {}
      for event in sub do
        list[#list + 1] = event.data
        if event.data == "three" then return table.concat(list, " ") end
      end
    end)]]
    run "ch = sse.channel('a', { history = 10 })"
    local other = channels.subscribe(server, "a") -- for whom they are left meanwhile
    assert.equal("one two three", (server:get("/between"):body()))
    assert.same({ "one", "two", "three" }, other:data())
  end)

  it("is owed no room by what it has had", function()
    serve(nil, { limits = { inbox = 100000 } })
    run 'ch = sse.channel "a"'
    local res = channels.subscribe(server, "a")
    for _ = 1, 300 do run 'ch:publish(("x"):rep(1000))' end
    assert.equal(300, #res:data())
    assert.equal(0, run "return spate.stats().lost_total")
  end)

  it("gets every event of a client that keeps up, whatever the policy", function()
    serve()
    for _, on_full in ipairs { "disconnect", "drop_oldest", "conflate" } do
      run(("ch = sse.channel('%s', { queue = 2, on_full = '%s' })"):format(on_full, on_full))
      local res = channels.subscribe(server, on_full)
      run "for i = 1, 500 do ch:publish(i) end"
      assert.equal(500, #res:data())
    end
    assert.equal(0, run "return spate.stats().dropped_total")
  end)

  it("may have all of the history waiting beside its queue, and after that its queue alone", function()
    serve()
    run 'ch = sse.channel("a", { queue = 3, history = 100, on_full = "drop_oldest" }) for i = 1, 50 do ch:publish(i) end'
    local res, client = stalled("a", "?replay=all", true)
    for i = 51, 53 do run(("ch:publish(%d)"):format(i)) end
    open(client)
    assert.equal(53, #res:data())
    client:window(0)
    for i = 54, 90 do run(("ch:publish(%d)"):format(i)) end
    open(client)
    assert.equal(57, #res:data()) -- one was on its way, three waited
  end)

  for _, past in ipairs { 0, 2 } do
    it(("has room for its queue to the last event, and for no more, behind its head and %d of the past"):format(past), function()
      serve()
      run(('ch = sse.channel("a", { queue = 3, history = 100 }) for i = 1, %d do ch:publish(i) end'):format(past))
      local _, client = stalled("a", "?replay=all", true)
      for i = 1, 3 do
        run(("ch:publish(%d)"):format(i))
        assert.equal("open", client:state(), i)
      end
      run "ch:publish(4)"
      assert.equal("reset", client:state())
      assert.equal(1, server:stats().slow_total)
    end)
  end

  it("has room for limits.subscriber to the last byte, and for any one event", function()
    local function publish(len) run(("ch:publish(('x'):rep(%d))"):format(len)) end
    serve()
    run 'ch = sse.channel("a")'
    local res = channels.subscribe(server, "a")
    local before = #res:raw()
    publish(1000)
    local len = #res:raw() - before
    for room, fits in pairs { [3 * len] = 3, [3 * len - 1] = 2, [2 * len + 1] = 2, [len - 1] = 1 } do
      server:close()
      serve(nil, { limits = { subscriber = room } })
      run 'ch = sse.channel("a")'
      local list = { (select(2, stalled "a")), fits > 1 and (select(2, stalled("a", "", true))) or nil }
      for _ = 1, fits do
        publish(1000)
        for _, client in ipairs(list) do assert.equal("open", client:state(), room) end
      end
      publish(1000)
      for _, client in ipairs(list) do assert.equal("reset", client:state(), room) end
    end
  end)

  -- Subscribes, with what it is told; waits a second, or until it has read so many, and a second then; and tells all that it gets.
  local READER = [[app:get("/reads/:first", function(req)
    local sub, list = sse.channel("a", OPTIONS):subscribe { replay = req.query.replay and "all" }, {}
    for _ = 1, tonumber(req.params.first) do list[#list + 1] = sub().data:sub(1, 3) end
    sse.sleep(1)
    for event in sub do
      list[#list + 1] = event.data:sub(1, 3)
      if event.event == "end" then break end
    end
    return table.concat(list, " ")
  end)]]

  -- What a reader gets of what `code` publishes while it waits.
  local function read_late(options, first, code, settings)
    serve(READER:gsub("OPTIONS", options), settings)
    run("ch = sse.channel('a', " .. options .. [[) function put(k, n, v) for i = 1, n do ch:publish { event = k, data = (v or k) .. ("x"):rep(1000) } end end
      put("past", 3, "p")]])
    local res = server:get("/reads/" .. first .. "?replay=1")
    run(code .. " put('end', 1)")
    server:advance(1)
    return (res:body())
  end

  it("has what conflates forgotten, and its bytes with it", function()
    local options = "{ queue = 9, history = 3, on_full = 'conflate', key = function(e) return e.event end }"
    assert.equal("pxx pxx pxx yxx x99 end", read_late(options, 0, "put('y', 1) for i = 10, 99 do put('x', 1, 'x' .. i) end", { limits = { subscriber = 4000 } }))
    assert.equal(89, run "return spate.stats().dropped_total")
  end)

  it("has the less room beside its queue the more of its past has been conflated", function()
    serve(READER:gsub("OPTIONS", "{ queue = 2, history = 3, on_full = 'conflate', key = function(e) return e.event end }"))
    run [[ch = sse.channel("a", { queue = 2, history = 3, on_full = "conflate", key = function(e) return e.event end })
      function put(...) for _, k in ipairs { ... } do ch:publish { event = k:sub(1, 2), data = k } end end
      put("p1a", "p2a", "p3a")]]
    local res = server:get "/reads/0?replay=1"
    run 'put("p1b", "p2b", "p3b", "n1a", "n2a", "end") ch:publish { event = "end", data = "end" }'
    server:advance(1)
    assert.equal("n1a n2a end end", (res:body()))
  end)

  it("that has taken its past has room for its queue alone", function()
    local options = "{ queue = 2, history = 3, on_full = 'drop_oldest' }"
    assert.equal("pxx pxx pxx c03 end", read_late(options, 3, "for i = 1, 3 do put('c', 1, 'c0' .. i) end"))
    assert.equal(2, run "return spate.stats().dropped_total")
    server:close()
    assert.equal("pxx pxx c02 c03 end", read_late(options, 2, "for i = 1, 3 do put('c', 1, 'c0' .. i) end"))
  end)

  it("that has taken its past has room for limits.subscriber alone", function()
    local options = "{ queue = 100, history = 3, on_full = 'drop_oldest' }"
    local settings = { limits = { subscriber = 2500 } } -- two events
    assert.equal("pxx pxx pxx c03 end", read_late(options, 3, "for i = 1, 3 do put('c', 1, 'c0' .. i) end", settings))
    server:close()
    assert.equal("pxx pxx c02 c03 end", read_late(options, 2, "for i = 1, 3 do put('c', 1, 'c0' .. i) end", settings))
  end)

  it("whose task is behind loses as many of the oldest as stand in the way of a large one, and no more", function()
    local settings = { limits = { subscriber = 5200 } } -- five of these events, or two and the large one
    local code = "for i = 1, 5 do put('c', 1, 'c0' .. i) end ch:publish { data = 'big' .. ('x'):rep(2500) }"
    assert.equal("pxx pxx pxx c05 big end", read_late("{ queue = 100, history = 3, on_full = 'drop_oldest' }", 3, code, settings))
    assert.equal(4, run "return spate.stats().dropped_total")
  end)

  it("that waited when a burst began gets all of it, more than limits.subscriber as that may be", function()
    serve(nil, { limits = { subscriber = 5000 } })
    run 'ch = sse.channel("a", { queue = 3, on_full = "drop_oldest" })'
    local res = channels.subscribe(server, "a", { query = "?lua=1" })
    for _ = 1, 2 do run 'for i = 1, 50 do ch:publish(("x"):rep(1000)) end' end
    assert.equal(100, #res:data())
    assert.equal(0, run "return spate.stats().dropped_total")
  end)

  for what, options in pairs { queue = "{ queue = 3, on_full = 'drop_oldest' }", bytes = "{ queue = 100, on_full = 'drop_oldest' }" } do
    it("that goes on behind a burst loses one for each that comes beside it, by its " .. what, function()
      serve([[app:get("/slowly", function()
        local sub, list = sse.channel("a"):subscribe(), {}
        for event in sub do
          list[#list + 1] = event.data:sub(1, 2)
          if #list == 10 then return table.concat(list, " ") end
          sse.sleep(1)
        end
      end)]], { limits = { subscriber = what == "bytes" and 3500 or nil } })
      run("ch = sse.channel('a', " .. options .. ") function put(n) ch:publish(('%02d'):format(n) .. ('x'):rep(1000)) end")
      local res = server:get "/slowly"
      run "for i = 1, 10 do put(i) end"
      run "put(11)" -- the reader has one of them
      assert.equal(1, run "return spate.stats().dropped_total")
      server:advance(9)
      assert.equal("01 03 04 05 06 07 08 09 10 11", (res:body()))
    end)
  end

  it("whose answer comes when it has fallen behind is cut, as slow", function()
    serve [[app:get("/late", function()
      local sub = sse.channel("a"):subscribe()
      sse.sleep(1)
      return sse.reply(sub)
    end)]]
    run 'ch = sse.channel("a", { queue = 2 })'
    local res = server:get "/late"
    run "for i = 1, 3 do ch:publish(i) end"
    server:advance(1)
    assert.equal(200, res:status())
    assert.is_false(res:has_ended())
    assert.equal("closed", res.client:state())
    assert.equal(1, server:stats().slow_total)
    assert.equal(1, run "return spate.stats().closed_slow_consumer_total")
  end)

  it("gets an event that is larger than its room where only its head waits", function()
    serve(nil, { limits = { subscriber = 100 } })
    run 'ch = sse.channel("a", { on_full = "drop_oldest" })'
    local res, client = stalled("a", "", true)
    run 'ch:publish(("x"):rep(500))'
    open(client)
    assert.equal(500, #res:data()[1])
  end)

  if helper.harness.hpack then
    for len, left in pairs { [10] = "4 5", [2000] = "5" } do
      it("keeps a comment that waits, in front of events of " .. len .. " bytes of which the oldest are dropped", function()
        serve(nil, { limits = { subscriber = 1000 } })
        run 'ch = sse.channel("a", { queue = 3, on_full = "drop_oldest" })'
        local client = http2.connect(server, { [4] = 0 }) -- without a window nothing is on its way
        client:get(1, "/sub/a")
        server:advance(15)
        for i = 1, 5 do run(("ch:publish('%d' .. ('x'):rep(%d))"):format(i, len)) end
        client:window(1, 1 << 20)
        assert.matches("^:\n\n", client:stream(1).body)
        local got = {}
        for i, data in ipairs(client:data(1)) do got[i] = data:sub(1, 1) end
        assert.equal(left, table.concat(got, " "))
        assert.equal(5 - #got, run "return spate.stats().dropped_total")
      end)
    end
  end

  it("has the bytes that are on their way beside its room where it is to drop the oldest", function()
    serve()
    run 'ch = sse.channel("a", { on_full = "drop_oldest" })'
    local res = channels.subscribe(server, "a")
    local before = #res:raw()
    run 'ch:publish(("x"):rep(1000))'
    local len = #res:raw() - before
    for room, last in pairs { [2 * len] = 2, [2 * len - 1] = 1 } do
      server:close()
      serve(nil, { limits = { subscriber = room } })
      run 'ch = sse.channel("a", { on_full = "drop_oldest" }) function put(n) ch:publish(n .. ("x"):rep(999)) end'
      local slow, client = stalled "a"
      run "put(1)" -- is on its way
      for i = 2, 5 do run(("put(%d)"):format(i)) end
      open(client)
      local got = {}
      for i, data in ipairs(slow:data()) do got[i] = data:sub(1, 1) end
      assert.equal(last == 2 and "1 4 5" or "1 5", table.concat(got, " "))
    end
  end)

  it("that stalls never delays another", function()
    serve()
    run 'ch = sse.channel "a"'
    local _, client = stalled "a"
    local quick = channels.subscribe(server, "a")
    for i = 1, 100 do
      run(("ch:publish(%d)"):format(i))
      assert.equal(i, #quick:data())
    end
    open(client)
  end)

  it("gets all events of one turn by one write", function()
    serve()
    run 'ch = sse.channel "a"'
    local client = server:connect()
    local res = channels.subscribe(server, "a", { client = client })
    local before = client:writes()
    run "for i = 1, 200 do ch:publish(i) end"
    assert.equal(before + 1, client:writes())
    assert.equal(200, #res:data())
  end)

  local function tasks_with(code)
    serve(('app:get("/s", function(req) return sse.reply(%s) end)'):format(code))
    run 'sse.channel("a", { history = 1 }):publish "old"'
    local res = server:get "/s"
    local tasks = server:stats().tasks
    run 'sse.channel("a"):publish "x"'
    assert.equal("x", res:data()[#res:data()])
    return tasks, res
  end

  it("costs no task, behind keep_alive as well", function()
    assert.equal(0, (tasks_with 'sse.channel("a"):subscribe()'))
    server:close()
    assert.equal(0, (tasks_with 'sse.channel("a"):snapshot(function() return "s" end)'))
    server:close()
    local tasks, res = tasks_with 'sse.keep_alive():interval(2):text("hi"):stream(sse.channel("a"):subscribe { replay = 1 })'
    assert.equal(0, tasks)
    server:advance(4)
    local events, comments = res:events()
    assert.equal(2, #events)
    assert.same({ "hi", "hi" }, comments)
  end)

  it("is told of its end by on_close, and goes on until then", function()
    serve [[app:get("/s", function(req)
      return sse.reply(sse.channel("a"):subscribe():on_close(function() spate.log.info "closed" end)) end)]]
    local res = server:get "/s"
    run 'sse.channel("a"):publish "x"'
    assert.same({ "x" }, res:data())
    res:close()
    local _, n = server:log():gsub("info  closed", "")
    assert.equal(1, n)
    assert.equal(0, run 'return sse.channel("a"):count()')
  end)

  it("hears on_close of the request with its reason", function()
    serve [[app:get("/s", function(req)
      req:on_close(function(reason) spate.log.info("closed: " .. reason) end)
      return sse.reply(sse.channel("a", { queue = 1 }):subscribe()) end)]]
    local client = server:connect()
    server:get("/s", { client = client })
    client:window(0)
    for _ = 1, 4 do run 'sse.channel("a"):publish "x"' end
    assert.is_truthy(server:log():find("closed: slow_consumer", 1, true))
    server:get("/s"):close()
    assert.is_truthy(server:log():find("closed: client_closed", 1, true))
  end)

  it("is transformed on its own by map and filter", function()
    serve [[calls = 0
      app:get("/s/:who", function(req)
        return sse.reply(sse.channel("a"):subscribe():filter(function(e) return e.data ~= "skip" end):map(function(e)
          calls = calls + 1
          return { id = e.id, event = e.event, data = req.params.who .. e.data }
        end))
      end)]]
    local one, two = server:get "/s/1", server:get "/s/2"
    run 'local ch = sse.channel "a" ch:publish "x" ch:publish "skip" ch:publish { event = "n", data = "a\\nb" }'
    assert.same({ "1x", "1a\nb" }, one:data())
    assert.same({ "2x", "2a\nb" }, two:data())
    assert.equal(4, run "return calls")
    assert.equal("n", one:events()[2].event)
    assert.is_string(one:events()[2].id:match "%-3$")
  end)

  it("may be read by a task, which ends with its subscription", function()
    serve()
    run [[ch = sse.channel "a" seen = {} sub = ch:subscribe()
      task = sse.spawn(function() for e in sub:each() do seen[#seen + 1] = e.data end seen[#seen + 1] = "end" end)]]
    run 'ch:publish "x"'
    run "sub:close()"
    assert.same({ "x", "end" }, run "return seen")
    run 'sub = ch:subscribe() task = sse.spawn(function() while sub:next() do end end)'
    run "task:cancel()"
    run 'ch:publish "y" sub:close()'
  end)

  it("merges with others and leaves when they do", function()
    serve [[app:get("/s", function(req)
      return sse.reply(sse.channel("a"):subscribe():merge(sse.channel("b"):subscribe())) end)]]
    local res = server:get "/s"
    run 'sse.channel("a"):publish(1)'
    run 'sse.channel("b"):publish(2)'
    assert.same({ "1", "2" }, res:data())
    res:close()
    run 'sse.channel("a"):publish(1)'
    assert.equal(0, run 'return sse.channel("a"):count() + sse.channel("b"):count()')
  end)
end)

describe("a derived channel", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function get(after) return server:get("/d", after and { headers = { ["Last-Event-ID"] = after } }) end

  before_each(function()
    server = helper.serve(channels.APP .. [[
      calls = 0
      source = sse.channel("a", { history = 5 })
      local upper = source:derive(function(e)
        calls = calls + 1
        if e.data == "bad" then error "cannot" end
        if e.data:find "^%-" then return nil end
        return { event = e.event, data = e.data:upper() }
      end)
      app:get("/d", function(req) return sse.reply(upper:subscribe { after = req.last_event_id, replay = "all" }) end)]])
  end)

  after_each(function()
    run "source:finish()"
    server:close()
  end)

  it("transforms once per event for all subscribers, in C from there", function()
    local list = {}
    for i = 1, 10 do list[i] = get() end
    assert.equal(1, server:stats().tasks)
    run 'source:publish "x" source:publish { event = "e", data = "y" }'
    for _, res in ipairs(list) do assert.same({ "X", "Y" }, res:data()) end
    assert.equal(2, run "return calls")
    assert.equal("e", list[1]:events()[2].event)
  end)

  it("has the numbers of its source, gaps included, and resumes by them", function()
    local res = get()
    run 'for _, s in ipairs { "a", "-b", "c", "-d" } do last = source:publish(s) end'
    local events = res:events()
    assert.same({ "A", "C" }, res:data())
    assert.equal(run "return source:history()[3].id", events[2].id)
    assert.same({ "C" }, get(events[1].id):data())
    assert.same({}, get(events[2].id):data())
    local behind = get(run "return last") -- of an event that was left out
    assert.same({}, channels.names(behind))
    run 'source:publish "e"'
    assert.same({ "E" }, behind:data())
  end)

  it("is what its source was, and in that order", function()
    assert.equal("2 1", run [[
      local core = require "spate.core"
      local mine = core.derive_channel(source.handle, source.handle:subscribe(nil, -1, 10))
      local first, second = source:publish "x", source:publish "y"
      mine:publish("Y", nil, second)
      mine:publish("X", nil, first)
      mine:publish("Y", nil, second)
      return mine:newest():match "%d+$" .. " " .. #mine:history(-1)]])
  end)

  it("gives who comes from a worker that is ahead of this one nothing again", function()
    assert.same({ "Y", "Z" }, run [[
      local core = require "spate.core"
      local mine = core.derive_channel(source.handle, source.handle:subscribe(nil, -1, 10))
      local first, second, third = source:publish "x", source:publish "y", source:publish "z"
      local behind_first, behind_second = mine:subscribe(first, -1, 10), mine:subscribe(second, -1, 10)
      mine:publish("X", nil, first) mine:publish("Y", nil, second) mine:publish("Z", nil, third)
      local list = { core.reader(behind_first)().data, core.reader(behind_second)().data }
      behind_first:close() behind_second:close()
      return list]])
  end)

  it("is where its source is behind what was left out, and never goes back", function()
    assert.equal("2 2", run [[
      local core = require "spate.core"
      local mine = core.derive_channel(source.handle, source.handle:subscribe(nil, -1, 10))
      local first, second = source:publish "x", source:publish "y"
      mine:publish("X", nil, first)
      mine:skip(second)
      local there = mine:newest():match "%d+$"
      mine:skip(first)
      return there .. " " .. mine:newest():match "%d+$"]])
  end)

  it("begins directly before the first event that waits for it, also where its source has let go of that", function()
    run [[short, core = sse.channel("short", { history = 1 }), require "spate.core"
      early, late = short.handle:subscribe(nil, -1, 10), short.handle:subscribe(nil, -1, 10)]]
    run 'for i = 1, 3 do short:publish(i) end'
    assert.same({ "0", "1" }, run [[
      local list = { core.derive_channel(short.handle, early):newest():match "%d+$" }
      core.reader(late)()
      list[2] = core.derive_channel(short.handle, late):newest():match "%d+$"
      early:close() late:close()
      return list]])
  end)

  it("begins with what history has, and tells of what was gone before", function()
    run 'for i = 1, 8 do source:publish("s" .. i) end'
    local all = get()
    assert.same({ "S4", "S5", "S6", "S7", "S8" }, all:data())
    assert.equal(5, run "return calls")
    local epoch = all:events()[1].id:match "^%x+"
    assert.same({ "S8" }, get(epoch .. "-7"):data())
    assert.same({ "S4", "S5", "S6", "S7", "S8" }, get(epoch .. "-3"):data())
    assert.same({ "reset", "S4", "S5", "S6", "S7", "S8" }, channels.names(get(epoch .. "-2")))
    assert.same({ "reset", "S4", "S5", "S6", "S7", "S8" }, channels.names(get(epoch .. "-99")))
    assert.equal(5, run "return calls")
  end)

  it("outlives a burst longer than the queue", function()
    local res = get()
    run "for i = 1, 3000 do source:publish('n' .. i) end"
    assert.equal(3000, #res:data())
    assert.is_false(res:has_ended())
  end)

  it("leaves out an event that its function fails on, and logs that", function()
    local res = get()
    run 'source:publish "bad" source:publish "good"'
    assert.same({ "GOOD" }, res:data())
    assert.is_truthy(server:log():find("cannot", 1, true))
  end)

  it("ends with its source, and is over for those who come later", function()
    local res = get()
    run 'source:publish "x" source:finish "bye"'
    assert.same({ "X", "BYE" }, res:data())
    assert.is_true(res:has_ended())
    assert.equal(204, get(res:events()[2].id):status())
  end)

  it("is over at once where its source was finished before", function()
    local id = run 'source:publish "x" return source:publish "y"'
    run "source:finish()"
    assert.equal(204, get(id):status())
    assert.same({ "X", "Y" }, get():data())
  end)
end)

it("what is handed out leaves alone who turns out to be gone as room is made for it", function()
  local server = helper.serve [[
    local ch = sse.channel("news", { queue = 4 })
    app:get("/sub", function() return sse.reply(ch:subscribe()) end)
    app:post("/pub", function() for i = 1, 30 do ch:publish(("x"):rep(100)) end return "" end)]]
  for _ = 1, 6 do server:get("/sub").client:fail("send", false) end
  assert.equal(200, server:post("/pub"):status())
  assert.same({ 1, 0 }, { server:stats().connections, server:stats().streams })
  server:close()
end)
