-- SPDX-License-Identifier: MIT
-- Timers by the order in which they wake who sleeps, and in which they fire, among many that are armed, armed anew and taken
-- away meanwhile.
local helper = require "spec.helper"

local APP = [[
local woken = {}
app:get("/sleep/:name/:seconds", function(req)
  sse.sleep(tonumber(req.params.seconds))
  woken[#woken + 1] = req.params.name
  return "ok"
end)
app:get("/woken", function() return table.concat(woken, " ") end)
]]

-- Numbers that are the same in each run.
local function random_from(seed)
  return function(max)
    seed = seed * 1103515245 + 12345 & 0x7fffffff
    return seed // 65536 % max + 1
  end
end

describe("timers", function()
  local server
  before_each(function() server = helper.serve(APP, { settings = { log = { access = false }, limits = { connections = 5000 } } }) end)
  after_each(function() server:close() end)

  local function sleep(name, seconds)
    local client = server:connect()
    client:send(("GET /sleep/%s/%s HTTP/1.1\r\nHost: a\r\n\r\n"):format(name, seconds))
    return client
  end

  for seed = 1, 4 do
    it("wake in the order of their ends, whoever leaves: seed " .. seed, function()
      local random, left, now = random_from(seed), {}, 0
      for round = 1, 6 do
        for i = 1, 60 do
          local sleeper = { name = ("%d-%d"):format(round, i), at = now + random(400) / 10 }
          sleeper.client = sleep(sleeper.name, sleeper.at - now)
          left[#left + 1] = sleeper
        end
        server:turn()
        for _ = 1, 25 do
          local i = random(#left)
          if left[i].at > now then table.remove(left, i).client:reset() end
        end
        server:advance(3)
        now = now + 3
      end
      server:advance(60)
      table.sort(left, function(a, b) return a.at < b.at end)
      local ends, woken = {}, {}
      for _, sleeper in ipairs(left) do ends[sleeper.name] = sleeper.at end
      for name in (server:get("/woken"):body()):gmatch "%S+" do
        if ends[name] then woken[#woken + 1] = name end
      end
      assert.equal(#left, #woken)
      for i = 2, #woken do
        if ends[woken[i]] < ends[woken[i - 1]] - 1e-9 then error(("%s woke before %s"):format(woken[i - 1], woken[i])) end
      end
    end)
  end

  it("with one end wake in the order of their beginnings", function()
    local names = {}
    for i = 1, 200 do
      sleep(i, 5)
      names[i] = tostring(i)
    end
    server:advance(5)
    assert.equal(table.concat(names, " "), (server:get("/woken"):body()))
  end)
end)

describe("timers of a loop", function()
  local turns
  before_each(function() turns = helper.harness.turns() end)
  after_each(function() turns:close() end)

  it("of none, one and two", function()
    assert.same({ math.huge }, { turns:next() })
    assert.same({ 0, "" }, { turns:fire(1e9) })
    turns:arm(1, 5)
    assert.same({ 5, 1 }, { turns:next() })
    turns:arm(2, 3)
    assert.same({ 3, 2 }, { turns:next() })
    assert.same({ 0, "" }, { turns:fire(2.9) })
    assert.same({ 1, "t2 " }, { turns:fire(3) })
    assert.same({ 5, 1 }, { turns:next() })
    turns:disarm(1)
    turns:disarm(1)
    assert.same({ math.huge }, { turns:next() })
  end)

  it("that are over as they are armed fire by their ends, and at once", function()
    turns:fire(100)
    turns:arm(1, 50)
    turns:arm(2, 30)
    turns:arm(3, 40)
    assert.same({ 30, 2 }, { turns:next() })
    assert.same({ 3, "t2 t3 t1 " }, { turns:fire(100) })
  end)

  it("fire before the first second as well", function()
    turns:arm(1, 0.5)
    assert.same({ 0.5, 1 }, { turns:next() })
    assert.same({ 1, "t1 " }, { turns:fire(0.5) })
    turns:arm(1, 0.6)
    assert.same({ 0.6, 1 }, { turns:next() })
  end)

  it("of one that is armed again as it fires, for a time that is over, fire in the next run, behind who was due before", function()
    turns:arm(1, 5, 3)
    turns:arm(2, 8)
    assert.same({ 1, "t1 " }, { turns:fire(6) })
    assert.same({ 6, 1 }, { turns:next() })
    turns:arm(3, 4)
    assert.same({ 2, "t3 t1 " }, { turns:fire(7) })
  end)

  it("of one period cost the heap one place, however many there are: a row for each power of two", function()
    for n = 0, 99 do turns:arm(n, 5 + n / 1000) end
    assert.equal(1, turns:slots())
    for n = 100, 199 do turns:arm(n, 5 + 99 / 1000) end -- as the last
    assert.equal(1, turns:slots())
    turns:arm(200, 5)
    assert.equal(2, turns:slots())
    for n = 0, 200 do turns:disarm(n) end
    assert.equal(0, turns:slots())
    turns:fire(1000)
    local n = 0
    for power = -6, 9 do
      for _, share in ipairs { 1, 1.5, 1.99 } do
        turns:arm(n, 1000 + 2 ^ power * share)
        n = n + 1
      end
      assert.equal(power + 7, turns:slots())
    end
    for _, seconds in ipairs { 0, 1 / 65, 1024, 1500, 2048, 1e9 } do
      local before = turns:slots()
      turns:arm(n, 1000 + seconds)
      n = n + 1
      assert.equal(before + 1, turns:slots(), seconds)
    end
    local fired = select(2, turns:fire(1e12))
    assert.equal(n, select(2, fired:gsub("t", "")))
    assert.equal(0, turns:slots())
  end)

  it("that are still armed at the end of their loop are no longer", function()
    turns:arm(1, 5)
    turns:arm(2, 6)
    turns:arm(3, 7)
    turns:disarm(2)
    assert.equal(0, turns:close())
    for _, count in ipairs { 63, 64, 65, 128, 1000 } do
      turns = helper.harness.turns()
      for n = 0, count - 1 do turns:arm(n, 5) end
      assert.equal(0, turns:close(), count)
    end
  end)

  for seed = 1, 6 do
    it("fire by their deadlines, then in the order of arming, whatever is moved or taken away: seed " .. seed, function()
      local state = seed
      local function random(max)
        state = state * 1103515245 + 12345 & 0x7fffffff
        return state // 65536 % max
      end
      local armed, order, now = {}, 0, 0
      local function due(limit)
        local list = {}
        for n, timer in pairs(armed) do
          if timer.at <= limit then list[#list + 1] = { n = n, at = timer.at, order = timer.order } end
        end
        table.sort(list, function(a, b) return a.at < b.at or a.at == b.at and a.order < b.order end)
        return list
      end
      for _ = 1, 400 do
        for _ = 1, random(seed * 6) do
          local n = random(seed * 60)
          order = order + 1
          armed[n] = { at = now + random(100), order = order }
          turns:arm(n, armed[n].at)
        end
        for _ = 1, random(8) do
          local n = random(seed * 60)
          turns:disarm(n)
          armed[n] = nil
        end
        local all = due(math.huge)
        assert.equal(all[1] and all[1].at or math.huge, (turns:next()))
        now = now + random(10)
        local expected = {}
        for i, timer in ipairs(due(now)) do
          expected[i] = ("t%d "):format(timer.n)
          armed[timer.n] = nil
        end
        assert.same({ #expected, table.concat(expected) }, { turns:fire(now) })
      end
    end)
  end
end)
