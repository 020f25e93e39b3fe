-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local helper = require "spec.helper"

local QUIET = { log = { access = false } } -- what the first logs once the second is closed goes to stderr

describe("channels of two workers", function()
  local one, two

  local function on(server, code) return channels.run(server, code) end

  before_each(function()
    one = helper.serve(channels.APP, { settings = QUIET })
    on(one, 'ch = sse.channel("a", { history = 1000 })')
    channels.subscribe(one, "a"):close() -- makes the keep-alive comment, which would count as one of the other's events
    two = helper.serve(channels.APP, { with = one.core, worker = 1, settings = QUIET })
    on(two, 'ch = sse.channel "a"')
  end)

  after_each(function()
    two:close()
    one:close()
  end)

  it("are one: a publish reaches the other's subscribers with its next turn", function()
    local here, there = channels.subscribe(one, "a"), channels.subscribe(two, "a")
    local id = on(one, "return ch:publish 'x'")
    assert.same({ { id = id, data = "x" } }, (here:events()))
    assert.same({}, there:data())
    assert.is_true(two:turn() <= 2)
    assert.same({ { id = id, data = "x" } }, (there:events()))
    assert.equal(2, on(two, "return ch:count()"))
  end)

  it("leave all that one turn published by one write", function()
    local client = two:connect()
    local there = channels.subscribe(two, "a", { client = client })
    local before = client:writes()
    for i = 1, 50 do on(one, ("ch:publish(%d)"):format(i)) end
    two:turn()
    assert.equal(before + 1, client:writes())
    assert.equal(50, #there:data())
  end)

  it("leave nothing for a worker whose subscribers have gone, and do not wake it", function()
    channels.subscribe(two, "a"):close()
    two:turn()
    on(one, 'live = sse.channel "live"')
    on(two, 'live = sse.channel "live"')
    channels.subscribe(two, "live"):close()
    two:turn()
    local before = helper.harness.events()
    on(one, "for i = 1, 10 do live:publish(i) end; live:finish()")
    assert.equal(before, helper.harness.events())
    assert.is_false(two.core:step())
  end)

  it("have as much room again once what was too much for a worker is dropped", function()
    local settings = { log = QUIET.log, limits = { inbox = 4000 } }
    local first = helper.serve(channels.APP, { settings = settings })
    on(first, 'ch = sse.channel "a"')
    local second = helper.serve(channels.APP, { with = first.core, worker = 1, settings = settings })
    on(second, 'ch = sse.channel "a"')
    for round = 1, 3 do
      local there = channels.subscribe(second, "a")
      on(first, "ch:publish(('x'):rep(3000))")
      second:turn()
      assert.equal(1, #there:data())
      on(first, "for _ = 1, 4 do ch:publish(('x'):rep(3000)) end")
      second:turn()
      assert.equal(round, on(first, "return spate.stats().lost_total"))
      assert.equal("reset", there.client:state())
    end
    second:close()
    first:close()
  end)

  it("hold as many bytes for a busy worker as limits.inbox, and one event of any length", function()
    local first = helper.serve(channels.APP, { settings = QUIET })
    on(first, 'ch = sse.channel("a", { history = 1 }) ch:publish(("x"):rep(500))')
    local each = on(first, "return spate.stats().channel_bytes")
    first:close()
    for _, case in ipairs { { 3 * each, 3, true }, { 3 * each - 1, 3, false }, { 3 * each, 4, false }, { each - 1, 1, true }, { 1, 1, true } } do
      local settings = { log = QUIET.log, limits = { inbox = case[1] } }
      first = helper.serve(channels.APP, { settings = settings })
      local second = helper.serve(channels.APP, { with = first.core, worker = 1, settings = settings })
      on(first, 'ch = sse.channel "a"')
      local there = channels.subscribe(second, "a")
      on(first, ("for _ = 1, %d do ch:publish(('x'):rep(500)) end"):format(case[2]))
      second:turn()
      assert.equal(case[3] and case[2] or 0, #there:data(), case[1] .. " " .. case[2])
      second:close()
      first:close()
    end
  end)

  it("hold 65,536 events for a busy worker, and cut its subscribers with one more", function()
    for _, count in ipairs { 65536, 65537 } do
      on(one, "wide = sse.channel('wide', { queue = 1000000 })")
      on(two, "wide = sse.channel 'wide'")
      local there = channels.subscribe(two, "wide")
      on(one, ("for i = 1, %d do wide:publish(i) end"):format(count))
      two:turn()
      assert.equal(count == 65536 and "open" or "reset", there.client:state())
      assert.equal(count == 65536 and 65536 or 0, select(2, there:raw():gsub("data: ", "")))
      assert.equal(count - 65536, on(one, "return spate.stats().lost_total"))
      there:close()
      two:turn()
    end
  end)

  it("have one order for all", function()
    local here, there = channels.subscribe(one, "a"), channels.subscribe(two, "a")
    for i = 1, 100 do on(i % 3 == 0 and two or one, ("ch:publish(%d)"):format(i)) end
    one:turn()
    two:turn()
    assert.equal(100, #here:data())
    assert.same(here:events(), (there:events()))
  end)

  it("lose and repeat nothing for who subscribes with a replay meanwhile", function()
    local seed, n, readers = 7, 0, {}
    local function random(max)
      seed = seed * 1103515245 + 12345 & 0x7fffffff
      return seed // 65536 % max + 1
    end
    local ids = {}
    for _ = 1, 400 do
      local what = random(6)
      local server = random(2) == 1 and one or two
      if what <= 3 then
        n = n + 1
        ids[n] = on(server, ("return ch:publish(%d)"):format(n))
      elseif what == 4 and #readers < 60 then
        local from = n > 0 and random(n) or 0
        readers[#readers + 1] = { from = from, res = channels.subscribe(server, "a", { after = ids[from], query = from == 0 and "?replay=all" or "" }) }
      else
        server:turn()
      end
    end
    one:turn()
    two:turn()
    assert.is_true(#readers > 20 and n > 100)
    for _, reader in ipairs(readers) do
      local data = reader.res:data()
      assert.equal(n - reader.from, #data)
      for i, text in ipairs(data) do assert.equal(reader.from + i, tonumber(text)) end
    end
  end)

  it("do not hand an event to a subscriber that came after it, nor its replay twice", function()
    local first = channels.subscribe(two, "a")
    on(one, "ch:publish(1)") -- on its way to worker two
    local client = two:connect()
    client:send "GET /sub/a?replay=all HTTP/1.1\r\nHost: spec\r\n\r\n"
    local late = two:send("", client)
    on(one, "ch:publish(2)")
    two:turn()
    assert.same({ "1", "2" }, first:data())
    assert.same({ "1", "2" }, late:data())
  end)

  it("end for both when one finishes", function()
    local here, there = channels.subscribe(one, "a"), channels.subscribe(two, "a")
    on(two, "ch:publish 'x' ch:finish 'end'")
    one:turn()
    assert.same({ "x", "end" }, here:data())
    assert.same({ "x", "end" }, there:data())
    assert.is_true(here:has_ended() and there:has_ended())
    assert.equal(204, channels.subscribe(one, "a", { after = here:events()[2].id }):status())
  end)

  it("derive on each, with ids that mean the same on both", function()
    local code = [[derived = ch:derive(function(e) return e.data .. "!" end)
      function read(after) local list, sub = {}, derived:subscribe { after = after, replay = "all" }
        sse.spawn(function() for e in sub:each() do list[#list + 1] = e.event or e.data end end) return list, sub end]]
    on(one, code)
    on(two, code)
    on(one, "list = read()")
    on(two, "list = read()")
    local id = on(one, "return ch:publish 'x'")
    on(one, "again = read('" .. id .. "')")
    on(two, "again = read('" .. id .. "')") -- whose own is still to come there
    two:turn()
    assert.same({ "x!" }, on(one, "return list"))
    assert.same({ "x!" }, on(two, "return list"))
    assert.same({}, on(one, "return again"))
    assert.same({}, on(two, "return again"))
    on(one, "ch:publish 'y'")
    two:turn()
    assert.same({ "y!" }, on(one, "return again"))
    assert.same({ "y!" }, on(two, "return again"))
    on(one, "ch:finish()")
    two:turn()
  end)

  it("go on where one worker has gone", function()
    local here = channels.subscribe(one, "a")
    channels.subscribe(two, "a")
    on(one, "ch:publish(1)")
    two:close()
    on(one, "ch:publish(2)")
    assert.same({ "1", "2" }, here:data())
    two = helper.serve(channels.APP, { with = one.core, worker = 1, settings = QUIET })
    local there = channels.subscribe(two, "a", { query = "?replay=all" })
    on(one, "ch:publish(3)")
    two:turn()
    assert.same({ "1", "2", "3" }, there:data())
    assert.equal(2, on(one, "return ch:count()"))
  end)
end)
