-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("a channel", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function subscribe(name, query, after) return channels.subscribe(server, name, { query = query, after = after }) end

  before_each(function() server = helper.serve(channels.APP) end)
  after_each(function() server:close() end)

  it("reaches each subscriber once, in order, with ids of the form <epoch>-<seq>", function()
    run 'ch = sse.channel "a"'
    local one, two = subscribe "a", subscribe "a"
    local id = run 'return ch:publish "x"'
    run 'ch:publish { event = "e", data = "y", retry = 2 }; ch:publish(sse.event():json_data { n = 1 })'
    local epoch = id:match "^(%x+)%-1$"
    assert.is_string(epoch)
    local expected = { { id = epoch .. "-1", data = "x" }, { id = epoch .. "-2", event = "e", data = "y", retry = "2000" },
      { id = epoch .. "-3", data = '{"n":1}' } }
    assert.same(expected, (one:events()))
    assert.same(expected, (two:events()))
    one:close()
    run 'ch:publish "z"'
    assert.equal(4, #two:events())
    assert.equal(3, #one:events())
    assert.equal(1, run "return ch:count()")
  end)

  it("starts with nothing, the newest n, or all of its history", function()
    run 'ch = sse.channel("a", { history = 3 }); for i = 1, 5 do ch:publish(i) end'
    assert.same({}, subscribe("a"):data())
    assert.same({}, subscribe("a", "?replay=0"):data())
    assert.same({ "4", "5" }, subscribe("a", "?replay=2"):data())
    assert.same({ "3", "4", "5" }, subscribe("a", "?replay=99"):data())
    assert.same({ "3", "4", "5" }, subscribe("a", "?replay=all"):data())
    local live = subscribe("a", "?replay=1")
    run "ch:publish(6)"
    assert.same({ "5", "6" }, live:data())
  end)

  it("goes on behind every id that it can go on behind, and only there", function()
    for _, size in ipairs { 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13 } do
      run(("ch = sse.channel('h%d', { history = %d }); id = ch:publish(1); for i = 2, 12 do ch:publish(i) end"):format(size, size))
      local epoch = run("return id"):match "^(%x+)"
      for seq = 0, 12 do
        local res, expected = subscribe("h" .. size, nil, epoch .. "-" .. seq), {}
        if seq < 12 - size then expected[1] = "reset" end
        for i = math.max(seq, 12 - size) + 1, 12 do expected[#expected + 1] = tostring(i) end
        assert.same(expected, channels.names(res), ("history of %d after %d"):format(size, seq))
        res:close()
      end
    end
  end)

  it("tells of ids that it never gave, and replays all that history has", function()
    local id = run 'ch = sse.channel("a", { history = 3 }); ch:publish(1); ch:publish(2); return ch:publish(3)'
    local epoch = id:match "^(%x+)"
    for _, unknown in ipairs { "7", "x-1", epoch .. "-4", epoch .. "-", epoch .. "--1", epoch .. "-1x", epoch .. "-99999999999999999999",
      epoch, "0" .. epoch .. "-3", epoch .. "-03", "-3", epoch .. "-18446744073709551616", epoch .. "-3 " .. "x" } do
      local res = subscribe("a", "?replay=1", unknown)
      local events = res:events()
      assert.same({ "reset", "1", "2", "3" }, channels.names(res), unknown)
      assert.is_nil(events[1].id)
      assert.is_string(events[1].data) -- else a browser would not dispatch it
      res:close()
    end
  end)

  it("gives ids by the wall clock, in hexadecimal, and takes back those digits alone", function()
    server.core:set_wall(0xabcdef0123456 / 1e6)
    local id = run 'ch = sse.channel("wall", { history = 9 }); ch:publish(1); return ch:publish(2)'
    assert.equal("abcdef0123457-2", id) -- the first channel of all
    assert.same({}, channels.names(subscribe("wall", nil, id)))
    assert.same({ "1", "2" }, channels.names(subscribe("wall", nil, "abcdef0123457-0")))
    for _, other in ipairs { "ABCDEF0123457-2", "abcdef012345^-2", "abcdef01W3457-2", "gbcdef0123457-2", "abcdef0123457-R", "abcdef0123457-:", "abcdef0123457-/", "abcdef0123457-a",
      "abcdef0123457-02", "abcdef0123456-2", "abcdef0123458-2" } do
      assert.same({ "reset", "1", "2" }, channels.names(subscribe("wall", nil, other)), other)
    end
    assert.equal("abcdef0123458-1", run 'return sse.channel("next"):publish(1)')
  end)

  it("has ids of numbers as large as 64 bits can be, and none that are larger", function()
    local read = helper.harness.read_position
    assert.same({ "ffffffffffffffff", "ffffffffffffffff" }, { read "ffffffffffffffff-18446744073709551615" })
    assert.same({ "0", "0" }, { read "0-0" })
    for _, larger in ipairs { "10000000000000000-1", "1-18446744073709551616", "1-18446744073709551620", "1-20000000000000000000" } do
      assert.is_nil(read(larger), larger)
    end
  end)

  it("takes after, not replay, where both are given, and an empty id as none", function()
    local id = run 'ch = sse.channel("a", { history = 9 }); ch:publish(1); id = ch:publish(2); ch:publish(3); return id'
    assert.same({ "3" }, subscribe("a", "?replay=all", id):data())
    assert.same({ "2", "3" }, subscribe("a", "?replay=2", ""):data())
  end)

  it("tells without a history where something has been missed, and only there", function()
    local first = run 'ch = sse.channel "a"; return ch:publish(1)'
    assert.same({}, channels.names(subscribe("a", nil, first)))
    run "ch:publish(2)"
    assert.same({ "reset" }, channels.names(subscribe("a", nil, first)))
  end)

  it("does not continue a channel of the same name that is gone", function()
    local id = run 'local ch = sse.channel "a"; return ch:publish(1)'
    run "collectgarbage(); collectgarbage()"
    server:advance(2)
    run 'sse.channel "other"; ch = sse.channel "a"; ch:publish "new"'
    assert.same({ "reset" }, channels.names(subscribe("a", nil, id)))
  end)

  it("goes a second after nobody has had it", function()
    run 'sse.channel "a" collectgarbage() collectgarbage()'
    server:advance(1)
    run 'other = sse.channel "other"'
    assert.equal(1, run "return spate.stats().channels")
  end)

  it("says for how long nobody has been there", function()
    run 'ch = sse.channel "a"'
    server:advance(2)
    assert.equal(2, run "return ch.handle:lonely()")
    local one, two = subscribe "a", subscribe "a"
    one:close()
    assert.is_nil(run "return ch.handle:lonely()")
    server:advance(5)
    two:close()
    assert.equal(0, run "return ch.handle:lonely()")
    server:advance(0.5)
    assert.equal(0.5, run "return ch.handle:lonely()")
  end)

  it("keeps an event that is as long as history_bytes, and none that is longer", function()
    run 'long = sse.channel("a", { history = 9 }) long:publish "abc"'
    local bytes = run "return spate.stats().channel_bytes"
    run(("b = sse.channel('b', { history = 9, history_bytes = %d })"):format(bytes))
    for text, held in pairs { abc = 1, abcd = 0 } do
      run(("b:publish '%s'"):format(text))
      assert.equal(held, run "return #b:history()")
    end
    run(("c = sse.channel('c', { history = 9, history_bytes = %d }) c:publish 'abc' c:publish 'def'"):format(2 * bytes))
    assert.equal(2, run "return #c:history()")
  end)

  it("keeps what history_bytes allows, the newest always first to stay", function()
    run [[ch = sse.channel("a", { history = 100, history_bytes = 400 })
      for i = 1, 20 do ch:publish(i .. ("x"):rep(60)) end]]
    local held = run "return #ch:history()"
    assert.is_true(held >= 2 and held <= 5)
    assert.is_true(run "return spate.stats().channel_bytes" <= 400)
    assert.equal("20" .. ("x"):rep(60), run "return ch:history(1)[1].data")
    run 'ch:publish(("y"):rep(1000))'
    assert.equal(0, run "return #ch:history()")
    local id = run "return ch:publish(21)"
    assert.same({ "reset", "21" }, channels.names(subscribe("a", nil, id:gsub("%d+$", "20"))))
    assert.same({ "21" }, channels.names(subscribe("a", nil, id:gsub("%d+$", "21"))))
  end)

  it("lets go of what is older than ttl, an hour unless told", function()
    local id = run 'ch = sse.channel("a", { history = 9, ttl = 10 }); long = sse.channel("b", { history = 9 }); long:publish(0); return ch:publish(1)'
    server:advance(6)
    run "ch:publish(2)"
    server:advance(4)
    assert.equal(1, run "return #ch:history()")
    assert.same({ "2" }, subscribe("a", nil, id):data())
    assert.same({ "reset", "2" }, channels.names(subscribe("a", nil, id:gsub("1$", "0"))))
    server:advance(6)
    assert.same({}, subscribe("a", "?replay=all"):data())
    server:advance(3583.5)
    assert.equal(1, run "return #long:history()")
    server:advance(1)
    assert.equal(0, run "return #long:history()")
    run 'forever = sse.channel("c", { history = 1, ttl = 0 }); forever:publish(1)'
    server:advance(1e6)
    assert.equal(1, run "return #forever:history()")
  end)

  it("gives history as tables, oldest first", function()
    run [[ch = sse.channel("a", { history = 9 })
      ch:publish { event = "e", data = "a\nb\n", retry = 0.5 }; ch:publish { comment = "c" }; ch:publish { data = "" }
      ch:publish { json = { 1, 2 } }; ch:publish(": x\r\n y") ]]
    local list = run "return ch:history()"
    for _, e in ipairs(list) do e.id = e.id:match "%-(%d+)$" end
    assert.same({ { id = "1", event = "e", data = "a\nb\n", retry = 0.5 }, { id = "2", comment = "c" }, { id = "3", data = "" },
      { id = "4", data = "[1,2]" }, { id = "5", data = ": x\n y" } }, list)
    assert.equal(2, run "return #ch:history(2)")
    assert.equal(0, run "return #ch:history(0)")
    assert.equal(":", run "return ch:history(1)[1].data:sub(1, 1)")
  end)

  it("reads an event of very many lines", function()
    assert.equal(500001, run [[ch = sse.channel("a", { history = 1 }); ch:publish(("\n"):rep(500000):sub(1, 500000))
      local _, lines = ch:history()[1].data:gsub("\n", "\n") return lines + 1]])
  end)

  it("ends its subscribers when it is finished, then answers 204 behind the last id", function()
    local first = run 'ch = sse.channel("a", { history = 9 }); return ch:publish(1)'
    local live = subscribe("a", "?replay=all")
    assert.is_true(run 'return ch:finish { event = "done", data = "ok" }')
    assert.same({ "1", "done" }, channels.names(live))
    assert.is_true(live:has_ended())
    local last = live:events()[2].id
    local again = subscribe("a", nil, last)
    assert.equal(204, again:status())
    assert.is_nil(again:header "Content-Type")
    local behind = subscribe("a", nil, first)
    assert.same({ "done" }, channels.names(behind))
    assert.is_true(behind:has_ended())
    assert.equal(204, subscribe("a"):status())
    assert.same({ "1", "done" }, channels.names(subscribe("a", "?replay=all")))
    assert.same({ "reset", "1", "done" }, channels.names(subscribe("a", nil, "x-1")))
    local ok, why = run 'return ch:publish "late"'
    assert.same({ nil, "finished" }, { ok, why })
    ok, why = run "return ch:finish()"
    assert.same({ nil, "finished" }, { ok, why })
    assert.equal(0, run "return ch:count()")
  end)

  it("finishes without an event as well, and delivers what was published in that turn", function()
    run 'ch = sse.channel "a"'
    local res = subscribe "a"
    run 'ch:publish(1); ch:publish(2); ch:finish()'
    assert.same({ "1", "2" }, res:data())
    assert.is_true(res:has_ended())
    assert.equal(204, subscribe("a"):status())
  end)

  it("ends a subscription that Lua transforms, too", function()
    server:close()
    server = helper.serve(channels.APP .. [[app:get("/map", function(req)
      return sse.reply(sse.channel("a"):subscribe():map(function(e) return e.data .. "!" end)) end)
    app:get("/more", function() return sse.reply(sse.channel("a"):subscribe():start_with "more") end)]])
    local res = server:get "/map"
    run 'ch = sse.channel "a"; ch:publish(1); ch:finish "end"'
    assert.same({ "1!", "end!" }, res:data())
    assert.is_true(res:has_ended())
    assert.equal(204, server:get("/map"):status())
    assert.same({ "more" }, server:get("/more"):data())
  end)

  it("is found by its name, not made", function()
    assert.is_nil((run 'return sse.channel.find "a"'))
    assert.equal(0, server:stats().channels)
    run 'ch = sse.channel("a", { history = 1 }); sse.channel.find("a"):publish "x"'
    assert.equal("x", run "return ch:history()[1].data")
  end)

  it("keeps the options of whoever made it", function()
    run [[ch = sse.channel("a", { history = 2 }); other = sse.channel("a", { history = 50, ttl = 1 })
      for i = 1, 9 do other:publish(i) end]]
    server:advance(5)
    assert.equal(2, run "return #other:history()")
  end)

  it("refuses names, options and events that are wrong at the user's line", function()
    for code, message in pairs {
      ["sse.channel ''"] = "channel name: expected 1 to 255 bytes, got 0",
      ["sse.channel(('x'):rep(256))"] = "channel name: expected 1 to 255 bytes, got 256",
      ["sse.channel 'a\\nb'"] = "channel name: must not contain control characters",
      ["sse.channel 'a\\127'"] = "channel name: must not contain control characters",
      ["sse.channel(1)"] = "channel name: expected a string",
      ["sse.channel.find ''"] = "channel name: expected 1 to 255 bytes",
      ["sse.channel('a', { histroy = 1 })"] = "unknown option 'histroy'",
      ["sse.channel('a', { history = -1 })"] = "history: expected a number of 0 or more",
      ["sse.channel('a', { history = 'x' })"] = "history: expected a number",
      ["sse.channel('a', { history = math.huge })"] = "history: expected a number",
      ["sse.channel('a', { ttl = 0/0 })"] = "ttl: expected a number",
      ["sse.channel('a', { queue = 0 })"] = "queue: expected a number of 1 or more",
      ["sse.channel('a', { on_full = 'x' })"] = "on_full: expected",
      ["sse.channel('a', { on_full = 1 })"] = "on_full: expected",
      ["sse.channel('a', { key = 'x' })"] = "key: expected a function",
      ["sse.channel('a', 5)"] = "expected a table of options, got number",
      ["ch:publish { data = 'x', id = '7' }"] = "'id' is given by the server",
      ["ch:publish(sse.event():data 'x':id '7')"] = "'id' is given by the server",
      ["ch:finish { data = 'x', id = '7' }"] = "'id' is given by the server",
      ["ch:publish()"] = "expected an event",
      ["ch:publish { dta = 'x' }"] = "dta",
      ["ch:publish { event = 'a\\nb', data = '' }"] = "'event' must not contain a line break",
      ["ch.publish 'x'"] = "write it with a colon",
      ["ch:subscribe { afetr = 'x' }"] = "unknown option 'afetr'",
      ["ch:subscribe { after = 7 }"] = "after: expected an id as a string, got number",
      ["ch:subscribe { replay = -1 }"] = "replay: expected a number",
      ["ch:subscribe { replay = 1.5 }"] = "replay: expected a number",
      ["ch:subscribe { replay = 'many' }"] = "replay: expected a number",
      ["ch:subscribe 'x'"] = "channel:subscribe: expected a table of options, got string",
      ["ch:history(-3)"] = "channel:history: expected a number",
      ["ch:history 'x'"] = "channel:history: expected a number",
    } do
      local err = run(("ch = ch or sse.channel 'x'; local ok, err = pcall(function() local _ = %s end) return tostring(err)"):format(code))
      assert.is_true(err:find(message, 1, true) ~= nil, code .. ": " .. err)
      assert.equal("lua:1:", err:match "^lua:1:", code .. ": " .. err)
    end
    assert.is_nil((run "return sse.channel.find 'a'"))
  end)
end)

describe("the channels of a process", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function serve(settings) server = helper.serve(channels.APP, { settings = settings }) end

  after_each(function() server:close() end)

  it("refuse an event above limits.event, last or not, and nothing is lost", function()
    serve { limits = { event = 1000 } }
    run 'ch = sse.channel("a", { history = 9 }); sub = ch:subscribe()'
    assert.equal("too large", (select(2, run 'return ch:publish(("x"):rep(1000))')))
    assert.equal("too large", (select(2, run 'return ch:finish(("x"):rep(1000))')))
    assert.is_string((run 'return ch:publish(("x"):rep(900))'))
    assert.is_true((run "return ch:finish()"))
    run "sub:close()"
  end)

  it("are as many as limits.channels, and more are refused and counted", function()
    serve { limits = { channels = 2 } }
    run 'a, b = sse.channel "a", sse.channel "b"'
    assert.equal("full", (select(2, run 'return sse.channel "c"')))
    assert.is_table((run 'local again = sse.channel "a" return { again ~= nil }'))
    assert.equal(1, run "return spate.stats().full_total")
    assert.equal(2, run "return spate.stats().channels")
    run "a = nil collectgarbage() collectgarbage()"
    server:advance(1)
    assert.is_true((run 'c = sse.channel "c" return c ~= nil'))
  end)

  it("make room at once where the limit is reached and an idle one is left", function()
    serve { limits = { channels = 1 } }
    run 'a = sse.channel "a" a = nil collectgarbage() collectgarbage()'
    server:advance(1)
    assert.is_true((run 'b = sse.channel "b" return b ~= nil'))
    assert.equal(1, server:stats().channels)
  end)

  it("make room of all that are idle, whatever their names are", function()
    serve { limits = { channels = 50 } }
    for round = 1, 20 do
      run(([[local n = 0
        while spate.stats().channels < 50 do n = n + 1 assert(sse.channel("%d " .. n)) end collectgarbage() collectgarbage()]]):format(round))
      assert.equal(50, server:stats().channels)
      assert.is_true((run(("held = sse.channel 'one more %d' return held ~= nil"):format(round))))
      assert.equal(1, server:stats().channels)
      run "held = nil collectgarbage() collectgarbage()"
    end
  end)

  it("share limits.channel_bytes, and an event too many is refused and counted", function()
    serve { limits = { channel_bytes = 2000 } }
    run [[a, b, live = sse.channel("a", { history = 100, ttl = 10 }), sse.channel("b", { history = 2, ttl = 100 }), sse.channel "live"
      b:publish(1) b:publish(2) n = 0
      while a:publish(("x"):rep(100)) do n = n + 1 end]]
    assert.is_true(run "return n" > 10)
    assert.equal(1, run "return spate.stats().full_total")
    assert.is_true(run "return spate.stats().channel_bytes" <= 2200)
    assert.equal("full", (select(2, run "return a:publish(1)")))
    assert.is_string((run "return live:publish(1)")) -- without history it costs nothing
    assert.is_string((run "return b:publish(3)"))    -- takes the place of its oldest
    server:advance(11)
    assert.is_string((run "return a:publish(1)"))    -- its own past is over
    assert.equal(2, run "return spate.stats().full_total")
  end)

  it("take a history's event as long as there is less than limits.channel_bytes, to the byte", function()
    serve()
    run 'a = sse.channel("a", { history = 9 }) a:publish "x"'
    local one = run "return spate.stats().channel_bytes"
    for _, case in ipairs { { one, 1 }, { one + 1, 2 }, { 2 * one, 2 }, { 2 * one + 1, 3 } } do
      server:close()
      serve { limits = { channel_bytes = case[1] } }
      assert.equal(case[2], run 'a = sse.channel("a", { history = 9 }) while a:publish "x" do end return #a:history()', case[1] - one)
    end
  end)

  it("let go of pasts that are over, also where somebody holds the channel", function()
    serve { limits = { channel_bytes = 1000 } }
    run [[a = sse.channel("a", { history = 100, ttl = 10 }) b = sse.channel("b", { history = 1 })
      while a:publish(("x"):rep(100)) do end]]
    assert.equal("full", (select(2, run "return b:publish(1)")))
    server:advance(11)
    run 'sse.channel "c"'
    assert.is_string((run "return b:publish(1)"))
  end)

  it("are freed once idle and without history, when another is opened a second later", function()
    serve()
    run 'for i = 1, 50 do sse.channel("n" .. i) end sse.channel("h", { history = 1, ttl = 100 }):publish(1) collectgarbage() collectgarbage()'
    run 'held = sse.channel "held"'
    assert.equal(52, server:stats().channels)
    server:advance(1)
    run 'sse.channel "held"'
    assert.equal(2, server:stats().channels)
    local res = server:get "/sub/h"
    server:advance(200)
    run 'held = nil collectgarbage() collectgarbage()'
    run 'sse.channel "other"'
    assert.equal(2, server:stats().channels)
    res:close()
    run "collectgarbage() collectgarbage()"
    server:advance(2)
    run 'sse.channel "other"'
    assert.equal(1, server:stats().channels)
  end)

  it("leave no memory behind, nor do their members, subscribers and windows", function()
    serve { log = { access = false } }
    local function round()
      run [[_G.members = {} for i = 1, 300 do
        local ch = sse.channel("n" .. i, { history = 3, ttl = 10, compress = true })
        _G.members[i] = ch:join("m" .. i, ("x"):rep(50))
        for k = 1, 5 do ch:publish(k) end end]]
      for i = 1, 50 do
        local res = server:get("/sub/n" .. i .. "?replay=all", { headers = i > 10 and { ["Accept-Encoding"] = "gzip" } or nil })
        run(("sse.channel.find('n%d'):publish 'live'"):format(i))
        res:close()
      end
      run "for _, one in ipairs(_G.members) do one:close() end _G.members = nil collectgarbage() collectgarbage()"
      run [[local core = require "spate.core" for i = 1, 50 do
        local source = sse.channel("n" .. i)
        local past = source.handle:subscribe(nil, -1, 9)
        core.derive_channel(source.handle, past):publish("derived", nil, source:publish "live")
        past:close() end collectgarbage() collectgarbage()]]
      server:advance(20)
      for _ = 1, 3 do
        run "sse.channel 'other' collectgarbage() collectgarbage()"
        server:advance(1)
      end
      assert.is_true(server:stats().channels <= 1)
    end
    assert.is_true(server:comes_to_rest(round))
  end)

  it("are looked through once a second at most, however many are opened", function()
    serve()
    server:advance(10)
    run 'sse.channel "a" collectgarbage() collectgarbage()'
    server:advance(0.5)
    run 'held = sse.channel "held"'
    assert.equal(2, server:stats().channels)
    server:advance(0.5)
    run 'sse.channel "held"'
    assert.equal(1, server:stats().channels)
  end)

  it("count what is published", function()
    serve()
    run 'ch = sse.channel("a", { history = 9 }) ch:publish(1) ch:publish(2) ch:finish(3) ch:publish(4)'
    assert.same({ 1, 3, 0, 0 }, run "local s = spate.stats() return { s.channels, s.published_total, s.full_total, s.dropped_total }")
    assert.is_true(run "return spate.stats().channel_bytes" > 3)
  end)
end)
