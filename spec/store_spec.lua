-- SPDX-License-Identifier: MIT
-- A channel whose events a store numbers and keeps: the harness's, which carries out what it is told to, when it is
-- told to. What is asked and not carried out yet is what a slow disk or another host would have in hand.
local channels = require "spec.channels"
local helper = require "spec.helper"

local APP = channels.APP .. [[
app:get("/read/:name", function(req)
  local replay = math.tointeger(tonumber(req.query.replay)) or req.query.replay
  local sub, why = sse.channel(req.params.name, { history = tonumber(req.query.history) or 100 })
    :subscribe { after = req.last_event_id, replay = replay }
  if not sub then return reply.error(503, why) end
  return sse.reply(req.query.lua and sub:map(function(event) return event end) or sub)
end)
]]

describe("a store", function()
  local server, store

  local function serve(options)
    options = options or {}
    options.store = true
    server = helper.serve(APP, options)
    store = server.core:store()
  end

  before_each(function() serve() end)
  after_each(function() server:close() end)

  local function ask(code) return server:post("/lua", { body = code }) end

  local function carry_out(n)
    local done = store:carry_out(n)
    server:turn()
    return done
  end

  local function run_all()
    local turns = 0
    while carry_out() > 0 do
      turns = turns + 1
      assert(turns < 1000, "the store is asked without end")
    end
  end

  -- What the code returns, once the store has carried out all it asks for.
  local function run(code)
    local res = ask(code)
    run_all()
    local list = assert(res:status() == 200 and res:json(), server:log())
    for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
    return table.unpack(list, 1, 4)
  end

  local function publish(from, to) run(("for i = %d, %d do sse.channel('a', { history = 100 }):publish(i) end"):format(from, to)) end

  local function read(query, after, client)
    return server:get("/read/a" .. (query or ""), { headers = after and { ["Last-Event-ID"] = after }, client = client })
  end

  local function data(res) return table.concat(res:data(), " ") end

  local function numbers(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = i end
    return table.concat(list, " ")
  end

  it("that keeps channels only says so of a dictionary", function()
    assert.equal(500, ask('spate.shared("d", { store = true })'):status())
    assert.truthy(server:log():find("spate.shared: store: the store of the settings keeps no dictionaries", 1, true))
    assert.same({ 1 }, run('local d = spate.shared("d", { store = false }) return { d:incr "n" }'))
  end)

  describe("is waited for by who publishes", function()
    it("until it has the event, whose id it gives", function()
      local res = ask 'return sse.channel("a"):publish "x"'
      assert.is_nil(res:status())
      assert.same({ "append a" }, store:asked())
      carry_out()
      assert.same({ "e0-1" }, res:json())
    end)

    it("or says that it is unavailable", function()
      local res = ask 'return sse.channel("a"):publish "x"'
      store:refuse()
      server:turn()
      assert.same({ helper.json.null, "unavailable" }, res:json())
    end)

    it("and several at a time are answered in order", function()
      local res = {}
      for i = 1, 3 do res[i] = ask(('return sse.channel("a"):publish(%d)'):format(i)) end
      assert.same({ "append a", "append a", "append a" }, store:asked())
      carry_out(2)
      assert.same({ "e0-2" }, res[2]:json())
      assert.is_nil(res[3]:status())
      carry_out()
      assert.same({ "e0-3" }, res[3]:json())
    end)

    it("whose client has left finds nobody, and is freed", function()
      local res = ask 'return sse.channel("a", { history = 1 }):publish "x"'
      res.client:reset()
      server:turn()
      assert.equal(0, server:stats().tasks)
      carry_out()
      assert.equal("x", run "return sse.channel('a'):history()[1].data")
    end)

    it("whose state is replaced finds nobody, and is freed", function()
      local res = ask 'return sse.channel("a"):publish "x"'
      assert(server:reload(APP))
      res:close()
      server:advance(60)
      carry_out()
    end)

    it("not by load time, and then not by finalizers", function()
      server:close()
      serve()
      assert.equal(true, run [[
        local ch = sse.channel("a", { history = 1 })
        setmetatable({}, { __gc = function() ended = ch:publish "late" end })
        collectgarbage() collectgarbage()
        return ended]])
      assert.equal("late", run "return sse.channel('a'):history()[1].data")
      assert(server:reload(APP .. 'ok = assert(sse.channel("a"):publish "loaded")'))
      assert.same({ "append a" }, store:asked())
      store:refuse()
      server:turn()
      assert.match('channel a: publishing it has failed where nothing could wait for that: unavailable', server:log(), 1, true)
    end)

    it("who finishes: the channel has ended when the store says so", function()
      publish(1, 2)
      local live = read()
      local res = ask 'return sse.channel("a"):finish "bye"'
      assert.is_nil(res:status())
      assert.equal("", data(live))
      carry_out()
      assert.same({ true }, res:json())
      assert.equal("bye", data(live))
      assert.is_true(select(2, live:body()))
      assert.same({ nil, "finished" }, { run 'return sse.channel("a"):publish "y"' })
      assert.equal(204, read("", "e0-3"):status())
    end)

    it("who joins is a member at once, and told of in order", function()
      publish(1, 1)
      local live = read()
      assert.equal(1, run 'me = sse.channel("a"):join("ann") return #sse.channel("a"):members()')
      ask 'me:close() me = sse.channel("a"):join("bob")'
      assert.same({ "append a", "append a" }, store:asked())
      carry_out()
      assert.same({ "join", "leave", "join" }, channels.names(live))
      run "me:close()"
    end)
  end)

  describe("that has not said where the channel is", function()
    it("is waited for by who subscribes", function()
      store:put("a", "old")
      local res = read "?replay=all"
      assert.is_nil(res:status())
      assert.same({ "open a" }, store:asked())
      carry_out()
      assert.same({ "read a" }, store:asked())
      carry_out()
      assert.equal("old", data(res))
      publish(2, 2)
      assert.equal("old 2", data(res))
    end)

    it("answers that it is unavailable, and is asked anew", function()
      local res = read()
      store:refuse()
      server:turn()
      assert.equal(503, res:status())
      res = read()
      run_all()
      publish(1, 1)
      assert.equal("1", data(res))
    end)

    it("says of a channel that has ended that nothing follows", function()
      publish(1, 2)
      run 'sse.channel("a"):finish()'
      server:advance(3700) -- the broker lets go of it
      run 'return sse.channel "b" ~= nil'
      local res = read("", "e0-2")
      run_all()
      assert.equal(204, res:status())
    end)
  end)

  describe("replays", function()
    local function forget() -- of the process; the store has all
      server:advance(3700)
      run 'return sse.channel "other" ~= nil'
    end

    for _, query in ipairs { "", "&lua=1" } do
      it("page by page what history no longer holds, then what came meanwhile" .. query, function()
        publish(1, 10)
        forget()
        local res = read("?replay=all" .. query)
        carry_out() -- open
        carry_out(1)
        assert.equal("1 2 3 4", data(res))
        assert.same({ "read a" }, store:asked())
        local more = ask "for i = 11, 14 do sse.channel('a'):publish(i) end return 'done'"
        run_all()
        assert.equal(numbers(1, 14), data(res))
        assert.same({ "done" }, more:json())
        publish(15, 15)
        assert.equal(numbers(1, 15), data(res))
      end)

      it("behind an id" .. query, function()
        publish(1, 10)
        forget()
        local res = read("?x=1" .. query, "e0-3")
        run_all()
        assert.equal(numbers(4, 10), data(res))
      end)

      it("and tells of an id that is gone" .. query, function()
        publish(1, 10)
        forget()
        store:trim("a", 6)
        for _, id in ipairs { "e0-3", "e0-99", "df-1", "e1-1", "nonsense" } do
          local res = read("?x=1" .. query, id)
          run_all()
          local events = res:events()
          assert.equal("reset", events[1].event)
          assert.equal("7 8 9 10", data(res):match("these are gone (.*)"))
        end
      end)
    end

    it("all there is, and tells of it, behind an id that is none", function()
      publish(1, 10)
      forget()
      for _, id in ipairs { "e0-x", "e0-", "e0" } do
        local res = read("", id)
        run_all()
        assert.equal("reset", res:events()[1].event, id)
        assert.equal(numbers(1, 10), data(res):match("these are gone (.*)"), id)
      end
    end)

    it("not what history holds", function()
      publish(1, 10)
      local res = read("", "e0-3")
      assert.equal(numbers(4, 10), data(res))
      assert.equal("9 10", data(read "?replay=2"))
      assert.equal(numbers(1, 10), data(read "?replay=10"))
      assert.equal("", data(read("", "e0-10")))
      assert.same({}, store:asked())
    end)

    it("one page to all who want the same, however many come back at once", function()
      publish(1, 10)
      forget()
      local readers = {}
      for i = 1, 100 do readers[i] = read(i % 2 == 0 and "?replay=all" or "?replay=all&lua=1") end
      carry_out() -- open
      local pages = 0
      while true do
        assert.is_true(#store:asked() <= 1)
        for i = 1, 4 do readers[10 * pages + i]:close() end
        if store:carry_out() == 0 then break end
        pages = pages + 1
        for _ = 1, 8 do server:turn() end
      end
      assert.is_true(pages <= 4, pages .. " pages")
      for i = 41, 100 do assert.equal(numbers(1, 10), data(readers[i])) end
    end)

    local function readers_of_each(count)
      local readers = {}
      publish(1, count + 1)
      forget()
      for i = 1, count do readers[i] = read("", "e0-" .. i) end
      carry_out() -- open
      return readers
    end

    it("a few pages at a time, however many want others at once", function()
      local readers = readers_of_each(50)
      assert.equal(32, #store:asked())
      for i = 31, 34 do readers[i]:close() end -- two of them were asked for
      carry_out(1)
      assert.equal(32, #store:asked())
      run_all()
      for i = 1, 50 do
        if i < 31 or i > 34 then assert.equal(numbers(i + 1, 51), data(readers[i])) end
      end
    end)

    it("nothing to who is held back for too long, and is cut", function()
      local readers = readers_of_each(40)
      server:advance(29)
      assert.equal("open", readers[40].client:state())
      server:advance(2)
      for i = 33, 40 do assert.equal("closed", readers[i].client:state()) end
      assert.equal(32, #store:asked())
      run_all()
      for i = 1, 32 do assert.equal(numbers(i + 1, 41), data(readers[i])) end
    end)

    it("nothing, where the store names an event that does not come: it is not asked without end", function()
      publish(1, 1)
      local res = read("", store:put("a", "never heard of"))
      local pages = 0
      while carry_out() > 0 do pages = pages + 1 end
      assert.is_true(pages > 1 and pages < 20, pages .. " pages")
      assert.equal("closed", res.client:state())
      store:hear "a"
      assert.equal("", data(read("", store:kept("a")[2])))
    end)

    it("eight pages in vain, counted from the last that had an event, and no more", function()
      publish(1, 1)
      store:put("a", "never heard of")
      read "?replay=all"
      local pages = 0
      while carry_out() > 0 do pages = pages + 1 end
      assert.equal(1 + 8 + 1, pages)
      store:hear "a"
    end)

    it("and waits for no page when who was held back for one has left", function()
      local readers = readers_of_each(40)
      for i = 1, 32 do readers[i]:close() end
      local armed = server:stats().timers
      for i = 33, 40 do readers[i]:close() end
      assert.equal(armed - 2 * 8 - 1, server:stats().timers) -- of connections, of streams, and of who is held
    end)

    it("and cuts who cannot be served, so that it comes back", function()
      publish(1, 10)
      forget()
      local res = read "?replay=all"
      carry_out()
      carry_out(1)
      store:refuse()
      server:turn()
      assert.equal("1 2 3 4", data(res))
      assert.equal("closed", res.client:state())
      assert.is_false(select(2, res:body()))
      local again = read("", "e0-4")
      run_all()
      assert.equal(numbers(5, 10), data(again))
    end)

    it("to a task that reads, which is told where it cannot go on", function()
      publish(1, 10)
      forget()
      local res = ask [[
        local n, sub = 0, sse.channel("a", { history = 100 }):subscribe { replay = "all" }
        local ok, err = pcall(function() for _ in sub:each() do n = n + 1 end end)
        return n, ok, err]]
      carry_out()
      carry_out()
      store:refuse()
      server:turn()
      local list = res:json()
      assert.same({ 4, false }, { list[1], list[2] })
      assert.match("the past cannot be read: its store is unavailable", list[3])
    end)

    it("as slowly as its client reads", function()
      local text = ("x"):rep(50000)
      for _ = 1, 40 do run(("sse.channel('a', { history = 100 }):publish(('x'):rep(%d))"):format(#text)) end
      forget()
      local client = server:connect()
      client:window(0)
      local res = read("?replay=all", nil, client)
      local pages = 0
      while carry_out() > 0 do pages = pages + 1 end
      assert.is_true(pages < 6, pages .. " pages for a client that reads nothing")
      client:window(1 << 30)
      server:turn()
      run_all()
      assert.equal(40, #res:data())
    end)

    it("to who asks for history", function()
      publish(1, 10)
      forget()
      local count = "local list = assert(sse.channel('a', { history = 100 }):history(%s)) return #list, list[1] and list[1].data"
      assert.same({ 10, "1" }, { run(count:format "") })
      assert.same({ 6, "5" }, { run(count:format "6") })
      assert.same({ 0 }, { run(count:format "0") })
      assert.same({ 0 }, { run "return #sse.channel('none'):history()" })
      local res = ask "return sse.channel('a'):history()"
      store:refuse()
      server:turn()
      assert.same({ helper.json.null, "unavailable" }, res:json())
    end)

    it("nothing to a client that has left meanwhile", function()
      publish(1, 10)
      forget()
      local res = read "?replay=all"
      carry_out()
      res:close()
      assert.equal(0, server:stats().tasks)
      carry_out()
      assert.same({}, store:asked())
    end)
  end)

  describe("hears of other nodes", function()
    it("in order only: what jumps waits for what is missing, what is known is ignored", function()
      publish(1, 2)
      local res = read()
      for i = 3, 5 do store:put("a", tostring(i)) end
      assert.equal("jump", store:admit("a", 5))
      assert.equal("jump", store:admit("a", 4))
      assert.equal("known", store:admit("a", 2))
      assert.equal("ok", store:admit("a", 3))
      assert.equal("known", store:admit("a", 3))
      assert.equal("ok", store:admit("a", 4))
      assert.equal("ok", store:admit("a", 5))
      server:turn()
      assert.equal("3 4 5", data(res))
    end)

    it("of what was published before its own event", function()
      publish(1, 1)
      local res = read()
      store:put("a", "theirs")
      publish(3, 3)
      assert.equal("theirs 3", data(res))
    end)

    it("and subscribers are cut where what is missing cannot be had", function()
      publish(1, 2)
      local res = read()
      store:put("a", "3")
      store:put("a", "4")
      store:give_up "a"
      server:turn()
      assert.equal("reset", res.client:state())
      store:trim("a", 3)
      local again = read("", "e0-2")
      run_all()
      assert.equal("reset", again:events()[1].event)
      assert.match("gone 4$", data(again))
    end)
  end)

  it("has what memory has no room for", function()
    server:close()
    serve { settings = { limits = { channel_bytes = 2000 } } }
    publish(1, 100)
    local held = server:stats().channel_bytes
    assert.is_true(held <= 1000 and held > 900, held) -- half of the room
    local res = read "?replay=all"
    run_all()
    assert.equal(numbers(1, 100), data(res))
  end)

  it("leaves memory its half of the room to the last byte", function()
    publish(1, 1)
    local one = server:stats().channel_bytes
    server:close()
    serve { settings = { limits = { channel_bytes = 4 * one } } }
    publish(1, 9)
    assert.equal(2 * one, server:stats().channel_bytes)
  end)

  it("is asked for what is older than ttl by the time that a reader comes to it", function()
    run "ch = sse.channel('a', { history = 9, ttl = 5 }) for i = 1, 4 do ch:publish(i) end"
    server:advance(6)
    run "ch:publish(5)"
    local res = read "?replay=all"
    server:advance(6)
    carry_out(1)
    assert.equal("1 2 3 4", data(res))
    assert.same({ "read a" }, store:asked())
    run_all()
    assert.equal("1 2 3 4 5", data(res))
  end)

  it("has what is older than ttl as well, and memory lets go of that with the next event", function()
    run "ch = sse.channel('a', { history = 10, ttl = 5 }) ch:publish 'one'"
    local one = server:stats().channel_bytes
    server:advance(6)
    run "ch:publish 'two'"
    assert.equal(one, server:stats().channel_bytes)
  end)

  describe("no longer keeps up to date what nobody has needed for a while:", function()
    it("counted from when the last reader left", function()
      run "ch = sse.channel('a', { history = 100 })"
      server:advance(100)
      publish(1, 2)
      local reader = read()
      run_all()
      server:advance(20)
      assert.is_false(store:unload("a", 10))
      reader:close()
      assert.is_false(store:unload("a", 10))
      server:advance(9.75)
      assert.is_false(store:unload("a", 10))
      server:advance(0.25)
      assert.is_true(store:unload("a", 10))
    end)

    it("no member is in it", function()
      run "ch = sse.channel('a', { history = 100 }) me = ch:join 'x'"
      server:advance(20)
      assert.is_false(store:unload("a", 10))
      run "me:close()"
      assert.is_true(store:unload("a", 10))
    end)

    it("nobody is read the past to", function()
      publish(1, 10)
      server:advance(20)
      local reader = read("?replay=all&history=5")
      assert.same({ "read a" }, store:asked())
      assert.is_false(store:unload("a", 10))
      run_all()
      assert.equal(numbers(1, 10), data(reader))
      reader:close()
    end)

    it("counted as well from when somebody left who waited for the past", function()
      publish(1, 10)
      server:advance(20)
      read("?replay=all&history=5"):close()
      server:advance(9.75)
      assert.is_false(store:unload("a", 10))
      run_all()
      server:advance(0.25)
      assert.is_true(store:unload("a", 10))
    end)

    it("who comes back with the newest id is told what has come since", function()
      publish(1, 3)
      server:advance(20)
      assert.is_true(store:unload("a", 10))
      store:put("a", "4") -- elsewhere
      local reader = read("", "e0-3")
      run_all()
      assert.equal("4", data(reader))
      reader:close()
    end)

    it("it is asked for anew, and nothing of the past is lost", function()
      publish(1, 3)
      server:advance(20)
      assert.is_true(store:unload("a", 10))
      assert.equal(0, run "return spate.stats().channel_bytes")
      store:put("a", "4") -- elsewhere
      local reader = read "?replay=2"
      assert.same({ "open a" }, store:asked())
      run_all()
      assert.equal("3 4", data(reader))
      publish(5, 5)
      assert.equal("3 4 5", data(reader))
      reader:close()
    end)
  end)

  it("that cannot give what is missing says so to a task that reads", function()
    publish(1, 2)
    local res = ask [[
      local sub = sse.channel("a", { history = 100 }):subscribe()
      local ok, err = pcall(function() for _ in sub:each() do end end)
      return ok, err]]
    store:put("a", "3")
    store:give_up "a"
    server:turn()
    assert.is_false(res:json()[1])
    assert.match("its store has lost what follows: subscribe again, behind the id of the last event", res:json()[2], 1, true)
  end)

  for how, go in pairs { ["cannot give what is missing"] = function() store:put("a", "3") store:give_up "a" end, ["does not answer"] = function() store:refuse() end } do
    it("that " .. how .. " has a stream that begins then cut, and not as slow", function()
      server:close()
      server = helper.serve(APP .. [[
        app:get("/late", function(req)
          local sub = sse.channel("a", { history = 100 }):subscribe { replay = tonumber(req.query.replay) }
          sse.sleep(1)
          return sse.reply(sub)
        end)]], { store = true })
      store = server.core:store()
      publish(1, 2)
      local res = server:get("/late" .. (how == "does not answer" and "?replay=9" or ""))
      go()
      server:advance(1)
      server:turn()
      assert.equal(200, res:status())
      assert.is_false(res:has_ended())
      assert.equal("closed", res.client:state())
      assert.match("close [^\n]*target=/late[^\n]* events=0 reason=error", server:log())
      assert.equal(0, server:stats().slow_total)
    end)
  end

  it("that cannot give what is missing cuts nobody who comes later", function()
    publish(1, 2)
    local gone = read()
    gone:close()
    store:put("a", "3")
    store:give_up "a"
    local res = read()
    assert.equal("open", res.client:state())
    store:put("a", "4")
    store:admit("a", 4)
    server:turn()
    assert.equal("4", data(res))
  end)

  it("stands behind snapshots, derived channels and resumable streams", function()
    server:close()
    server = helper.serve(APP .. [[
      local upper = sse.channel("a", { history = 100 }):derive(function(event) return { data = "<" .. event.data .. ">" } end)
      app:get("/upper", function(req) return sse.reply(upper:subscribe { after = req.last_event_id, replay = "all" }) end)
      app:get("/shot", function() return sse.reply(sse.channel("a"):snapshot(function() return "shot" end)) end)
      app:get("/answer", function(req)
        return sse.reply(sse.resumable("k", function(send) for i = 1, 3 do send(i) end end, { after = req.last_event_id, store = true }))
      end)]], { store = true })
    store = server.core:store()
    publish(1, 2)
    local upper, shot, answer = server:get "/upper", server:get "/shot", server:get "/answer"
    run_all()
    store:begin_epoch "a"
    store:put("a", "3")
    store:admit("a", 3)
    server:turn()
    assert.equal("<1> <2> <3>", data(upper))
    assert.equal("shot 3", data(shot))
    assert.equal("1 2 3", data(answer))
    assert.equal("<2> <3>", data(server:get("/upper", { headers = { ["Last-Event-ID"] = "e0-1" } })))
    local again = server:get("/answer", { headers = { ["Last-Event-ID"] = "e0-2" } })
    assert.equal("3", data(again))
    run "sse.channel('a'):finish()"
    assert.is_true(select(2, upper:body()))
    server:advance(61)
    run_all()
  end)

  it("that answers from a thread of its own loses nothing, and gives nothing twice", function()
    store:begin()
    local first = read "?replay=all&history=0"
    local res = ask "for i = 1, 300 do assert(sse.channel('a'):publish(i)) end return 'done'"
    local readers, turns = { first }, 0
    while not res:status() do
      server:turn()
      turns = turns + 1
      if turns % 64 == 0 and #readers < 40 then readers[#readers + 1] = read "?replay=all&history=0" end
    end
    for _ = 1, 5 do
      store:finish()
      store:begin()
      server:turn()
    end
    store:finish()
    server:turn() -- what it has answered last may ask for more
    run_all()
    for _, reader in ipairs(readers) do assert.equal(numbers(1, 300), data(reader)) end
  end)
end)
