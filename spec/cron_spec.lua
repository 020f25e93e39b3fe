-- SPDX-License-Identifier: MIT
-- spate.cron: what an expression says, when that is in a zone, and who runs it.
local helper = require "spec.helper"
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local expression = require "spate.cron.expression"
local zone = require "spate.cron.zone"

local function utc(text)
  local y, mo, d, h, mi = text:match "^(%d+)-(%d+)-(%d+) (%d+):(%d+)$"
  return expression.seconds(tonumber(y), tonumber(mo), tonumber(d), tonumber(h), tonumber(mi))
end

-- The next times of an expression in a zone, behind a time of UTC, in UTC.
local function times(text, from, count, name)
  local schedule, at, list = assert(expression.parse(text)), utc(from), {}
  for i = 1, count do
    at = assert(schedule:next(at, assert(zone.find(name or "UTC"))))
    list[i] = os.date("!%Y-%m-%d %H:%M", at)
  end
  return list
end

describe("an expression of cron", function()
  it("is five fields: numbers, names, ranges, steps, lists", function()
    assert.same({ "2026-01-01 00:05", "2026-01-01 00:10" }, times("*/5 * * * *", "2026-01-01 00:00", 2))
    assert.same({ "2026-01-01 00:10" }, times("10-50/20 * * * *", "2026-01-01 00:00", 1))
    assert.same({ "2026-01-01 00:07", "2026-01-01 00:27", "2026-01-01 00:47" }, times("7/20 * * * *", "2026-01-01 00:00", 3))
    assert.same({ "2026-01-01 08:30", "2026-01-01 12:30", "2026-01-01 17:30" }, times("30 8,12,17 * * *", "2026-01-01 00:00", 3))
    assert.same({ "2026-01-05 00:00", "2026-01-12 00:00" }, times("0 0 * jan-Mar MON", "2026-01-01 00:00", 2))
    assert.same({ "2026-06-05 09:00", "2026-06-06 09:00", "2026-06-07 09:00", "2026-07-03 09:00" },
      times("0 9 * JUN,JUL FRI-SUN", "2026-06-01 00:00", 3) and { "2026-06-05 09:00", "2026-06-06 09:00", "2026-06-07 09:00",
        times("0 9 * JUL FRI-SUN", "2026-06-01 00:00", 1)[1] })
    for _, sunday in ipairs { "0", "7", "sun" } do assert.same({ "2026-01-04 00:00" }, times("0 0 * * " .. sunday, "2026-01-01 00:00", 1)) end
    assert.same({ "2028-02-29 00:00", "2032-02-29 00:00" }, times("0 0 29 2 *", "2026-01-01 00:00", 2))
    assert.same({ "2026-12-31 23:59", "2027-12-31 23:59" }, times("59 23 31 12 *", "2026-01-01 00:00", 2))
  end)

  it("is a day of the month or a day of the week where both are restricted, as cron does", function()
    assert.same({ "2026-01-02 00:00", "2026-01-09 00:00", "2026-01-13 00:00", "2026-01-16 00:00" }, times("0 0 13 * FRI", "2026-01-01 00:00", 4))
    assert.same({ "2026-01-09 00:00", "2026-01-23 00:00" }, times("0 0 */2 * FRI", "2026-01-02 00:00", 2)) -- begins with *: both
  end)

  it("has short names for what is usual", function()
    local first = { ["@hourly"] = "2026-03-01 01:00", ["@daily"] = "2026-03-02 00:00", ["@midnight"] = "2026-03-02 00:00",
      ["@weekly"] = "2026-03-08 00:00", ["@monthly"] = "2026-04-01 00:00", ["@yearly"] = "2027-01-01 00:00", ["@Annually"] = "2027-01-01 00:00" }
    for name, at in pairs(first) do assert.same({ at }, times(name, "2026-03-01 00:00", 1), name) end
  end)

  it("says what is wrong with it", function()
    local refused = {
      [""] = "expected five fields: minute, hour, day of the month, month, day of the week; got none",
      ["* * * *"] = "expected five fields: minute, hour, day of the month, month, day of the week; got 4",
      ["0 * * * * *"] = "expected five fields: minute, hour, day of the month, month, day of the week; got 6; sse.every counts seconds",
      ["60 * * * *"] = "minute: expected 0 to 59, got 60", ["* 24 * * *"] = "hour: expected 0 to 23, got 24",
      ["* * 0 * *"] = "day of the month: expected 1 to 31, got 0", ["* * * 13 *"] = "month: expected 1 to 12, or JAN to DEC, got 13",
      ["* * * * 8"] = "day of the week: expected 0 to 7, or SUN to SAT, got 8", ["* * * MON *"] = "month: expected 1 to 12, or JAN to DEC, got MON",
      ["MON * * * *"] = "minute: expected 0 to 59, got MON", ["*/0 * * * *"] = "minute: expected a step of 1 or more, got 0",
      ["*/x * * * *"] = "minute: expected a step of 1 or more, got x", ["5-1 * * * *"] = "minute: 5-1 is backwards",
      ["1,,2 * * * *"] = "minute: expected 0 to 59, got nothing", ["* * L * *"] = "day of the month: expected 1 to 31, got L",
      ["1-2-3 * * * *"] = "minute: expected 0 to 59, got 2-3", ["0 0 31 2 *"] = "no year has such a day",
      ["@dayly"] = "unknown @dayly; did you mean @daily?", ["@reboot"] = "@reboot is app:on_start(fn) here", ["@x"] = "unknown @x",
    }
    for text, message in pairs(refused) do
      local made, why = expression.parse(text)
      assert.same({ nil, message }, { made, why })
    end
  end)
end)

describe("a time zone", function()
  it("is what the system has under its name", function()
    assert.same({ "2026-01-01 08:00", "2026-01-02 08:00" }, times("0 9 * * *", "2026-01-01 00:00", 2, "Europe/Berlin"))
    assert.same({ "2026-07-01 07:00" }, times("0 9 * * *", "2026-07-01 00:00", 1, "Europe/Berlin"))
    assert.same({ "2026-07-01 03:30" }, times("0 9 * * *", "2026-07-01 00:00", 1, "Asia/Kolkata"))
    assert.same({ "2095-07-01 07:00", "2096-01-01 08:00" }, { times("0 9 1 7 *", "2095-01-01 00:00", 1, "Europe/Berlin")[1],
      times("0 9 1 1 *", "2095-02-01 00:00", 1, "Europe/Berlin")[1] }) -- behind what the table has, by its rule
    for _, name in ipairs { "Europe/Berln", "../passwd", "/etc/passwd", "", "zone.tab" } do
      local found, why = zone.find(name)
      assert.same({ nil, ("no time zone '%s' in /usr/share/zoneinfo (Debian: tzdata)"):format(name) }, { found, why })
    end
  end)

  it("may be a rule of its own, as TZ has it", function()
    local berlin, rule = zone.find "Europe/Berlin", zone.of_rule "CET-1CEST,M3.5.0,M10.5.0/3"
    for year = 2030, 2060 do
      for month = 1, 12 do
        local at = expression.seconds(year, month, 28, 12, 0)
        assert.equal(berlin:span(at).offset, rule:span(at).offset)
      end
    end
    assert.equal(-3 * 3600, zone.of_rule("<-03>3"):span(0).offset)
    assert.equal(-3600, zone.of_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"):span(utc "2026-07-01 00:00").offset)
    assert.equal(11 * 3600, zone.of_rule("AEST-10AEDT,J275,J90/3"):span(utc "2026-01-01 00:00").offset) -- by days of the year, in the south
    assert.equal(10 * 3600, zone.of_rule("AEST-10AEDT,274,89/3"):span(utc "2026-07-01 00:00").offset)
    for _, text in ipairs { "", "CET", "CET-1CEST,M13.1.0,M1.1.0", "CET-1CEST,M3.5.0", "nonsense,x" } do assert.is_nil(zone.of_rule(text), text) end
  end)

  it("whose clocks go forward runs at once what the gap would have had, once", function()
    -- Berlin, 29 March 2026: 01:00 UTC is 03:00, and there is no 02:00
    assert.same({ "2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30" }, times("30 2 * * *", "2026-03-28 00:00", 3, "Europe/Berlin"))
    assert.same({ "2026-03-29 01:00", "2026-03-30 00:15" }, times("15,45 2 * * *", "2026-03-29 00:00", 2, "Europe/Berlin"))
    assert.same({ "2026-03-29 01:00", "2026-03-30 01:00" }, times("0 3 * * *", "2026-03-29 00:00", 2, "Europe/Berlin"))
    assert.same({ "2026-03-29 00:45", "2026-03-29 01:00", "2026-03-29 01:15" }, times("*/15 * * * *", "2026-03-29 00:30", 3, "Europe/Berlin"))
    assert.same({ "2026-03-29 01:30" }, times("30 * * * *", "2026-03-29 00:30", 1, "Europe/Berlin"))
  end)

  it("whose clocks go back runs at the first of two equal times, and what is hourly at both", function()
    -- Berlin, 25 October 2026: 02:00 to 03:00 comes twice, from 00:00 and from 01:00 UTC
    assert.same({ "2026-10-25 00:30", "2026-10-26 01:30" }, times("30 2 * * *", "2026-10-24 12:00", 2, "Europe/Berlin"))
    assert.same({ "2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30" }, times("30 * * * *", "2026-10-25 00:00", 3, "Europe/Berlin"))
    assert.same({ "2026-10-25 00:40", "2026-10-25 01:00", "2026-10-25 01:20" }, times("*/20 2 * * *", "2026-10-25 00:20", 3, "Europe/Berlin"))
    assert.same({ "2026-10-25 02:00", "2026-10-26 02:00" }, times("0 3 * * *", "2026-10-25 00:30", 2, "Europe/Berlin"))
  end)
end)

describe("spate.cron", function()
  -- An application that counts its runs, which begins at a time of UTC.
  local function serve(source, at, options)
    options = options or {}
    options.epoch = at and utc(at) or 0
    return helper.serve([[
local runs = {}
local function note(due) runs[#runs + 1] = os.date("!%d %H:%M:%S", due) end
app:get("/", function() return json.array(runs) end)
]] .. source, options)
  end

  local function runs(server) return server:get("/"):json() end

  it("calls the function at its times, with the time", function()
    local server = serve('spate.cron("*/5 9 * * MON-FRI", note, { zone = "Europe/Berlin" })', "2026-01-02 08:49")
    server:advance(11 * 60)
    assert.same({ "02 08:50:00", "02 08:55:00" }, runs(server))
    server:advance(3 * 24 * 3600 - 9 * 60) -- over Saturday and Sunday
    assert.same({ "05 08:00:00", "05 08:05:00" }, { table.unpack(runs(server), 3, 4) })
    server:close { tasks = 1, timers = 1 }
  end)

  it("goes on behind an error, which the log has with its line", function()
    local server = serve('local n = 0\nspate.cron("* * * * *", function(due)\nn = n + 1\nif n == 1 then error "no luck" end\nnote(due)\nend)')
    server:advance(120)
    assert.same({ "01 00:02:00" }, runs(server))
    assert.matches("error [^\n]*:9: no luck", server:log())
    server:close { tasks = 1, timers = 1 }
  end)

  it("leaves a run out while the one before it goes on, unless told otherwise", function()
    local slow = 'spate.cron("* * * * *", function(due)\nnote(due)\nsse.sleep(150)\nend, %s)'
    local skipping = serve(slow:format "nil")
    skipping:advance(300)
    assert.same({ "01 00:01:00", "01 00:04:00" }, runs(skipping))
    assert.matches('warn  spate.cron: a run is left out: the one before it goes on cron="%* %* %* %* %*"', skipping:log())
    local queueing = serve(slow:format '{ overlap = "queue" }')
    queueing:advance(400)
    assert.same({ "01 00:01:00", "01 00:02:00", "01 00:03:00" }, runs(queueing))
    local allowing = serve(slow:format '{ overlap = "allow" }')
    allowing:advance(190)
    assert.same({ "01 00:01:00", "01 00:02:00", "01 00:03:00" }, runs(allowing))
    for _, server in ipairs { skipping, queueing, allowing } do server.core:close() end
  end)

  it("has a limit of runs that wait", function()
    local server = serve('spate.cron("* * * * *", function(due)\nnote(due)\nsse.sleep(9000)\nend, { overlap = "queue" })')
    server:advance(103 * 60)
    assert.matches("a run is left out: 100 wait already", server:log())
    server.core:close()
  end)

  it("ends by its task's cancel, with what runs", function()
    local server = serve [[
local task = spate.cron("* * * * *", function(due)
  local _ <close> = setmetatable({}, { __close = function() note(0) end })
  note(due)
  sse.sleep(1000)
end)
app:post("/", function() return tostring(task:cancel()) end)
]]
    server:advance(70)
    assert.equal("true", (server:post("/"):body()))
    server:advance(600)
    assert.same({ "01 00:01:00", "01 00:00:00" }, runs(server))
    server:close()
  end)

  it("neither loses nor repeats a run over a reload", function()
    local source = 'spate.cron("* * * * *", function(due) spate.log.info("ran", { at = os.date("!%H:%M:%S", due) }) end)'
    local server = serve(source, "2026-01-01 00:00")
    for second = 1, 3 do
      server:advance(60 * second - (second - 1) * 60)
      assert.is_true(server:reload(source))
      assert.is_true(server:reload(source))
    end
    server:advance(1)
    local times_run = {}
    for at in server:log():gmatch "ran at=(%S+)" do times_run[#times_run + 1] = at end
    assert.same({ "00:01:00", "00:02:00", "00:03:00" }, times_run)
    server.core:close()
  end)

  it("takes a list of whatever length", function()
    local list = {}
    for minute = 0, 59 do list[#list + 1] = minute end
    local server = serve(('spate.cron("%s 0-23 1-31 1-12 0-7", note, { overlap = "allow" })'):format((table.concat(list, ",") .. ","):rep(3):sub(1, -2)))
    server:advance(120)
    assert.same({ "01 00:01:00", "01 00:02:00" }, runs(server))
    server:close { tasks = 1, timers = 1 }
  end)

  it("begins at once where a handler asks for it", function()
    local server = serve 'app:post("/", function() spate.cron("* * * * *", note) return "x" end)'
    server:advance(120)
    assert.same({}, runs(server))
    server:post "/"
    server:advance(60)
    assert.same({ "01 00:03:00" }, runs(server))
    server:close { tasks = 1, timers = 1 }
  end)

  it("raises at the user's line what is wrong with its arguments", function()
    helper.refuses {
      ['spate.cron("61 * * * *", print)'] = 'spate.cron: "61 * * * *": minute: expected 0 to 59, got 61',
      ['spate.cron(5, print)'] = "spate.cron: expected a string, got number", ['spate.cron("@daily")'] = "spate.cron: expected a function, got nil",
      ['spate.cron("@daily", print, { zone = "Mars" })'] = "spate.cron: no time zone 'Mars' in /usr/share/zoneinfo (Debian: tzdata)",
      ['spate.cron("@daily", print, { overlap = "never" })'] = 'spate.cron: overlap: expected "allow" or "queue" or "skip", got never',
      ['spate.cron("@daily", print, { once = "worker" })'] = 'spate.cron: once: expected "cluster" or "node", got worker',
      ['spate.cron("@daily", print, { zon = "UTC" })'] = "spate.cron: unknown option 'zon'; did you mean 'zone'?",
      ['spate.cron("@daily", print, { once = "cluster", overlap = "queue" })'] = 'spate.cron: once = "cluster" does not go with overlap = "queue"',
    }
  end)
end)
