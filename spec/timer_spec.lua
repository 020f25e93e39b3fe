-- SPDX-License-Identifier: MIT
-- Timers by the order in which they wake who sleeps, among many that are armed, armed anew and taken away meanwhile.
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
