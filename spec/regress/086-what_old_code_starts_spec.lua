-- SPDX-License-Identifier: MIT
-- What old code starts when its successor serves already ends with the last of its streams, so that reloads do not
-- add up.
local helper = require "spec.helper"

local RELOADS, GRACE = 40, 5
local FOREVER = "function() while true do sse.sleep(1) end end"

local STARTS = {
  ["sse.every"] = "sse.every(1, function() end)",
  ["sse.spawn"] = ("sse.spawn(%s)"):format(FOREVER),
  ["sse.spawn that reads a merge"] = "sse.spawn(function() for _ in sse.merge(sse.never(), sse.interval(1)):each() do end end)",
  ["an on_close that waits"] = ("req:on_close(%s)"):format(FOREVER),
  ["an on_close that spawns one that waits"] = ("req:on_close(function() sse.spawn(%s):join() end)"):format(FOREVER),
  ["on_close, once all is over"] = ("sse.spawn(function() sse.sleep(1) req:on_close(%s) end)"):format(FOREVER),
}

local function app(code)
  return ([[
    app:on_stop(function() sse.sleep(1) sse.spawn(%s) end)
    app:get("/s", function(req)
      return sse.reply(function(send)
        send "old"
        sse.sleep(2) -- the new code serves
        %s
        send "started"
        sse.sleep(1)
      end)
    end)
  ]]):format(FOREVER, code)
end

describe("old code that starts", function()
  for name, code in pairs(STARTS) do
    it(name .. " is not kept for it", function()
      local server = helper.serve(app(code), { settings = { shutdown = { grace = GRACE } } })
      for _ = 1, RELOADS do
        local res = server:get "/s"
        assert(server:reload(app(code)))
        server:advance(4)
        assert.same({ "old", "started" }, res:data())
      end
      server:advance(2 * GRACE + 1)
      assert(server:stats().generations <= 2, server:stats().generations)
      assert.equal(0, server:stats().tasks)
      server:close()
    end)
  end

  it("something has shutdown.grace to come to its end", function()
    local server = helper.serve(app [[req:on_close(function()
      local _ <close> = setmetatable({}, { __close = function() spate.log.info "closed" end })
      sse.spawn(function() sse.sleep(4.5) spate.log.info "spawned" end)
      sse.sleep(4) spate.log.info "done"
      sse.sleep(60) spate.log.info "too late"
    end)]], { settings = { shutdown = { grace = GRACE } } })
    server:get "/s"
    assert(server:reload(app ""))
    server:advance(100)
    local log = server:log()
    assert.matches("done.*spawned.*generation 1.*closed", log)
    assert.is_nil(log:find("too late", 1, true))
    assert.equal(1, server:stats().generations)
    server:close()
  end)

  it("something may go on with its streams, and producers go on with their readers", function()
    local server = helper.serve [[
      app:get("/s", function() return sse.reply(function(send)
        sse.sleep(1)
        local n = 0
        sse.every(1, function() n = n + 1 end)
        while true do sse.sleep(10) send(n) end
      end) end)
      app:get("/r", function() return sse.reply(sse.resumable("a", function(send)
        sse.sleep(1)
        local helping = sse.spawn(function() sse.sleep(200) return "helped" end)
        send(helping:join())
      end)) end)
    ]]
    local res, resumable = server:get "/s", server:get "/r"
    assert(server:reload(app ""))
    server:advance(62)
    assert.equal("59", res:data()[6])
    res:close()
    server:advance(200)
    assert.same({ "helped" }, resumable:data())
    server:advance(400)
    assert.equal(1, server:stats().generations)
    server:close()
  end)
end)
