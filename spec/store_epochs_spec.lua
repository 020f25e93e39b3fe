-- SPDX-License-Identifier: MIT
-- The store of a channel begins a new epoch while the channel lives, as Redis does behind a restart and a failover: with
-- all of what it had, or without the newest. Numbers begin anew there; who had the last that survived goes on.
local channels = require "spec.channels"
local helper = require "spec.helper"

local APP = channels.APP .. [[
app:get("/read", function(req)
  return sse.reply(sse.channel("a", { history = 100 }):subscribe { after = req.last_event_id, replay = req.query.replay })
end)
]]

describe("over epochs", function()
  local server, store

  before_each(function()
    server = helper.serve(APP, { store = true })
    store = server.core:store()
  end)
  after_each(function() server:close() end)

  local function run_all()
    repeat
      local done = store:carry_out()
      server:turn()
    until done == 0
  end

  local function run(code)
    local res = server:post("/lua", { body = code })
    run_all()
    return res:json()[1]
  end

  local function publish(from, to) run(("for i = %d, %d do sse.channel('a', { history = 100 }):publish(i) end"):format(from, to)) end

  -- A subscriber behind the id.
  local function resume(id)
    local res = server:get("/read", { headers = { ["Last-Event-ID"] = id } })
    run_all()
    return res
  end

  local function data(res) return table.concat(res:data(), " ") end

  local function ids(res)
    local list = {}
    for i, event in ipairs((res:events())) do list[i] = event.id end
    return list
  end

  local function numbers(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = i end
    return table.concat(list, " ")
  end

  it("a lower number of a later epoch comes later", function()
    publish(1, 3)
    local res = resume "e0-3"
    store:begin_epoch "a"
    assert.equal("e1-1", store:put("a", "new"))
    assert.equal("ok", store:admit("a", 4))
    server:turn()
    assert.same({ { id = "e1-1", data = "new" } }, (res:events()))
    assert.equal("new", data(resume "e0-3"))
    local lost = resume "e0-4" -- given out, and lost with its epoch
    run_all()
    assert.equal("reset", lost:events()[1].event)
  end)

  for _, is_held in ipairs { true, false } do
    it("an id that survived crosses, " .. (is_held and "in memory" or "in the store"), function()
      publish(1, 3)
      local live = resume "e0-3"
      store:begin_epoch "a"
      publish(4, 5)
      store:begin_epoch "a"
      publish(6, 6)
      assert.same({ "e1-1", "e1-2", "e2-1" }, ids(live))
      if not is_held then
        live:close()
        server:advance(3700)
        run 'return sse.channel "other" ~= nil'
      end
      for i, id in ipairs { "e0-1", "e0-2", "e0-3", "e1-1", "e1-2", "e2-1" } do
        assert.equal(numbers(i + 1, 6), data(resume(id)), id)
      end
      for _, id in ipairs { "e0-4", "e1-3", "e2-2", "e3-1", "e1-0" } do
        local res = resume(id)
        assert.equal("reset", res:events()[1].event, id)
        assert.match("gone " .. numbers(1, 6) .. "$", data(res))
      end
    end)
  end

  it("what a failover has lost is told to who had it, and to nobody else", function()
    publish(1, 4)
    local live = resume()
    store:begin_epoch("a", 2)
    store:put("a", "new")
    assert.equal("jump", store:admit("a", 3))
    store:hear "a"
    server:turn()
    assert.equal("reset", live.client:state())
    for _, id in ipairs { "e0-3", "e0-4" } do
      local res = resume(id)
      assert.equal("reset", res:events()[1].event)
      assert.match("gone 1 2 new$", data(res))
    end
    local survived = resume "e0-2"
    assert.equal("new", data(survived))
    publish(6, 7)
    assert.equal("new 6 7", data(survived))
    assert.same({ "e1-1", "e1-2", "e1-3" }, ids(survived))
  end)

  it("what cannot be caught up with wakes only who has subscribers", function()
    publish(1, 4)
    local live = resume()
    store:give_up "a"
    assert.is_true(server.core:has_mail())
    server:turn()
    assert.equal("reset", live.client:state())
    store:give_up "a"
    assert.is_false(server.core:has_mail())
  end)

  it("who publishes on a node that lags behind a failover", function()
    publish(1, 4)
    local live = resume()
    store:begin_epoch("a", 4)
    assert.equal("e1-1", run 'return sse.channel("a"):publish "x"')
    assert.equal("reset", live.client:state())
    local all = server:get "/read?replay=all"
    run_all()
    assert.equal("x", data(all))
    publish(2, 2)
    assert.equal("2", data(resume "e1-1"))
  end)
end)
