-- SPDX-License-Identifier: MIT
-- What waits for a subscriber or for a worker was bounded by the number of events only: 500 of 1 MiB are 500 MiB.
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("large events", function()
  local server

  local function run(code) return channels.run(server, code) end

  local function serve(limits, more) server = helper.serve(channels.APP .. (more or ""), { settings = { limits = limits } }) end

  after_each(function() server:close() end)

  local LARGE = "('x'):rep(100000)"

  it("that wait for a client which does not read are bounded in bytes", function()
    serve { subscriber = 1000000 }
    run 'ch = sse.channel("a", { queue = 1000 })'
    local client = server:connect()
    local res = channels.subscribe(server, "a", { client = client })
    client:window(0)
    for _ = 1, 9 do run(("ch:publish(%s)"):format(LARGE)) end
    assert.equal("open", client:state())
    for _ = 1, 2 do run(("ch:publish(%s)"):format(LARGE)) end
    assert.not_equal("open", client:state())
    assert.equal(1, server:stats().slow_total)
    assert.is_false(res:has_ended())
  end)

  it("that wait for it push the oldest out where the channel says so", function()
    serve { subscriber = 1000000 }
    run 'ch = sse.channel("a", { queue = 1000, on_full = "drop_oldest" })'
    local client = server:connect()
    local res = channels.subscribe(server, "a", { client = client })
    client:window(0)
    for i = 1, 50 do run(("ch:publish('%d:' .. %s)"):format(i, LARGE)) end
    run "ch:publish(('y'):rep(500000))"
    client:window(nil)
    server:turn()
    local data = res:data()
    assert.equal(6, #data) -- the first was on its way
    assert.equal("47:", data[2]:sub(1, 3))
    assert.equal(45, run "return spate.stats().dropped_total")
  end)

  it("that wait for a task are bounded in bytes, the replay beside them", function()
    serve({ subscriber = 1000000 }, [[
      app:get("/slow", function()
        local sub = sse.channel("a"):subscribe { replay = "all" }
        return sse.reply(sub:map(function(event) sse.sleep(1) return event end))
      end)]])
    run(("ch = sse.channel('a', { queue = 1000, history = 100 }) for i = 1, 50 do ch:publish(%s) end"):format(LARGE))
    local client = server:connect()
    local res = server:get("/slow", { client = client })
    server:advance(1)
    for _ = 1, 9 do run(("ch:publish(%s)"):format(LARGE)) end
    server:advance(100)
    assert.equal("open", client:state())
    assert.equal(59, #res:data())
    for _ = 1, 12 do
      run(("ch:publish(%s)"):format(LARGE))
    end
    server:advance(100)
    assert.not_equal("open", client:state())
    assert.equal(1, server:stats().slow_total)
  end)

  it("that are left for a worker which does not come for them are bounded, and its subscribers told", function()
    serve { inbox = 1000000 }
    run 'ch = sse.channel("a", { history = 1000 })'
    local client = server:connect()
    local res = channels.subscribe(server, "a", { client = client })
    run(("for i = 1, 9 do ch:publish(%s) end"):format(LARGE))
    assert.equal(9, #res:data())
    run(("for i = 1, 20 do ch:publish(%s) end"):format(LARGE))
    assert.not_equal("open", client:state())
    assert.equal(9, #res:data())
    assert.equal(1, run "return spate.stats().lost_total")
    local again = channels.subscribe(server, "a", { after = res:events()[9].id })
    assert.equal(20, #again:data())
  end)
end)
