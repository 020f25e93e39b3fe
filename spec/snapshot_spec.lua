-- SPDX-License-Identifier: MIT
local channels = require "spec.channels"
local helper = require "spec.helper"

describe("channel:snapshot", function()
  local server

  local function run(code) return channels.run(server, code) end

  before_each(function()
    server = helper.serve(channels.APP .. [[
      total, calls = 0, 0
      local ch = sse.channel("a", { history = 9 })
      function add(n) total = total + n ch:publish(tostring(n)) end
      function snap() calls = calls + 1 return { event = "total", data = tostring(total) } end
      app:get("/s", function(req) return sse.reply(ch:snapshot(snap)) end)
      app:get("/few", function() return sse.reply(few:snapshot(snap)) end)
      app:get("/map", function(req)
        return sse.reply(ch:snapshot(snap):map(function(e) return e.data .. "!" end)) end)]])
  end)

  after_each(function() server:close() end)

  it("sends what the function returns and then what follows", function()
    run "add(1) add(2)"
    local res = server:get "/s"
    run "add(4)"
    assert.same({ "3", "4" }, res:data())
    assert.is_nil(res:events()[1].id)
    assert.equal("total", res:events()[1].event)
    assert.equal(1, run "return calls")
  end)

  it("may be transformed", function()
    run "add(1)"
    local res = server:get "/map"
    run "add(2)"
    assert.same({ "1!", "2!" }, res:data())
  end)

  it("takes another where events came while the function waited, so that none is in both", function()
    run [[function _G.snap() calls = calls + 1 local seen = total sse.sleep(1) return tostring(seen) end add(1)]]
    local res = server:get "/s"
    server:advance(0.5)
    run "add(10)"
    server:advance(3)
    run "add(100)"
    assert.same({ "11", "100" }, res:data())
    assert.equal(2, run "return calls")
  end)

  describe("where events never stop coming", function()
    -- 40 numbers, ten while the function waits: what a client has of them, and the client.
    local function count_to_40(queue)
      run(([[_G.few = sse.channel("few", { queue = %d })
        function _G.snap() calls = calls + 1 local seen = total sse.sleep(1) return tostring(seen) end]]):format(queue))
      local res = server:get "/few"
      for _ = 1, 40 do
        server:advance(0.1)
        run "total = total + 1 few:publish(tostring(total))"
      end
      assert.equal(3, run "return calls")
      local data = res:data()
      for i = 2, #data do assert.equal(tonumber(data[1]) + i - 1, tonumber(data[i])) end -- none is left out
      return tonumber(data[#data]), res.client
    end

    it("loses nothing that its queue holds", function()
      local last, client = count_to_40(16)
      assert.equal(40, last)
      assert.equal("open", client:state())
    end)

    it("is cut where its queue does not hold them, so that its client comes back for another", function()
      local last, client = count_to_40(4)
      assert.is_true(last < 40)
      assert.equal("closed", client:state())
      local again = server:get "/few"
      server:advance(1)
      run "total = total + 1 few:publish(tostring(total))"
      assert.same({ "40", "41" }, again:data())
    end)
  end)

  it("is what a finished channel still has to say", function()
    run [[add(1) sse.channel("a"):finish()]]
    local res = server:get "/s"
    assert.equal(200, res:status())
    assert.same({ "1" }, res:data())
    assert.is_true(res:has_ended())
  end)

  it("leaves no subscription behind where the function fails, returns nothing, or its client leaves", function()
    run "function _G.snap() error 'no' end"
    assert.equal(500, server:get("/s"):status())
    run "function _G.snap() end"
    assert.equal(500, server:get("/s"):status())
    assert.is_truthy(server:log():find("channel:snapshot: the function returned nil", 1, true))
    run "function _G.snap() sse.sleep(9) end"
    local res = server:get "/s"
    res.client:reset()
    server:turn()
    assert.equal(0, run 'return sse.channel("a"):count()')
  end)
end)
