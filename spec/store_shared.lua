-- SPDX-License-Identifier: MIT
-- What holds of a channel whatever its events are kept in: in memory, in a file, on another server. A backend is a table:
--   name
--   serve(app, options): a server of spec.helper whose channels are kept in it, empty at first
--   settle(server): has it carry out all that it was asked for, and the server take that (memory: nothing)
--   restart(server, app): the server anew, with what was kept, as after it was killed; nil: nothing outlives it
--   close(server): ends it
-- A spec says require "spec.store_shared"(backend, _ENV): busted gives its functions to files of specs only.
local channels = require "spec.channels"
local helper = require "spec.helper"

local APP = channels.APP .. [[
app:get("/read/:name", function(req)
  local replay = math.tointeger(tonumber(req.query.replay)) or req.query.replay
  local sub, why = sse.channel(req.params.name, { history = 100 }):subscribe { after = req.last_event_id, replay = replay }
  if not sub then return reply.error(503, why) end
  return sse.reply(req.query.lua and sub:map(function(event) return event end) or sub)
end)
]]

return function(backend, env)
  local describe, it, before_each, after_each, assert = env.describe, env.it, env.before_each, env.after_each, env.assert

  describe("a channel in " .. backend.name, function()
    local server

    before_each(function() server = backend.serve(APP) end)
    after_each(function() backend.close(server) end)

    local function settle()
      for _ = 1, 20 do
        backend.settle(server)
        server:turn()
      end
    end

    -- What the code returns, once all is carried out that it asks for.
    local function run(code)
      local res = server:post("/lua", { body = code })
      settle()
      local list = assert(res:status() == 200 and res:json(), server:log())
      for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
      return table.unpack(list, 1, 4)
    end

    local function publish(from, to, name)
      return run(([[local ids = {}
        for i = %d, %d do ids[#ids + 1] = assert(sse.channel(%q, { history = 100 }):publish(i)) end
        return ids]]):format(from, to, name or "a"))
    end

    local function read(query, after, name)
      local res = server:get("/read/" .. (name or "a") .. (query or ""), { headers = after and { ["Last-Event-ID"] = after } })
      settle()
      return res
    end

    local function data(res) return table.concat(res:data(), " ") end

    it("has ids that rise, and gives its events in their order", function()
      local live = read()
      local ids = publish(1, 5)
      assert.equal("1 2 3 4 5", data(live))
      for i, event in ipairs((live:events())) do assert.equal(ids[i], event.id) end
      local epoch, first = ids[1]:match("^(%x+)%-(%d+)$")
      for i, id in ipairs(ids) do assert.equal(("%s-%d"):format(epoch, first + i - 1), id) end
    end)

    for _, query in ipairs { "", "?lua=1" } do
      it("resumes behind an id, without a loss and without a repetition " .. query, function()
        local ids = publish(1, 9)
        local res = read(query, ids[4])
        assert.equal("5 6 7 8 9", data(res))
        publish(10, 11)
        assert.equal("5 6 7 8 9 10 11", data(res))
        assert.equal("", data(read(query, publish(12, 12)[1])))
      end)

      it("tells of an id that it does not know " .. query, function()
        publish(1, 3)
        for _, id in ipairs { "1-1", "ffffffffffffff-1", "nonsense" } do
          local res = read(query, id)
          assert.equal("reset", res:events()[1].event)
        end
      end)
    end

    it("replays the newest, or all", function()
      publish(1, 6)
      assert.equal("5 6", data(read "?replay=2"))
      assert.equal("1 2 3 4 5 6", data(read "?replay=all"))
      assert.equal("", data(read()))
      assert.same({ 2, "5" }, { run "local l = sse.channel('a', { history = 100 }):history(2) return #l, l[1].data" })
    end)

    it("is none of the others", function()
      publish(1, 3, "a")
      publish(7, 8, "b")
      assert.equal("1 2 3", data(read("?replay=all", nil, "a")))
      assert.equal("7 8", data(read("?replay=all", nil, "b")))
    end)

    it("keeps all fields of an event, and what tells conflating ones apart", function()
      run [[sse.channel("a", { history = 100 }):publish { event = "e", data = "one\ntwo", retry = 2, comment = "c" }]]
      local events, comments = read("?replay=all"):events()
      assert.same({ { event = "e", data = "one\ntwo", retry = "2000", id = events[1].id } }, events)
      assert.same({ "c" }, comments)
    end)

    it("ends: what has been read to its end is not read again", function()
      local live = read()
      local ids = publish(1, 2)
      assert.equal(true, run 'return sse.channel("a"):finish "bye"')
      assert.equal("1 2 bye", data(live))
      assert.is_true(select(2, live:body()))
      assert.same({ nil, "finished" }, { run 'return sse.channel("a"):publish "x"' })
      local rest = read("", ids[2])
      assert.equal("bye", data(rest))
      assert.is_true(select(2, rest:body()))
      assert.equal(204, read("", rest:events()[1].id):status())
    end)

    it("tells who came and went", function()
      local live = read()
      assert.equal("ann", run 'me = sse.channel("a"):join("ann") return sse.channel("a"):members()[1].id')
      run "me:close()"
      assert.same({ "join", "leave" }, channels.names(live))
    end)

    it("takes many publishers at a time", function()
      local live = read()
      run [[
        local tasks = {}
        for i = 1, 64 do
          tasks[i] = sse.spawn(function() for k = 1, 5 do assert(sse.channel("a", { history = 100 }):publish(i * 10 + k)) end end)
        end
        for _, task in ipairs(tasks) do task:join() end]]
      local events, seen, last = live:events(), {}, {}
      assert.equal(320, #events)
      for _, event in ipairs(events) do
        assert.is_nil(seen[event.id])
        seen[event.id] = true
        local i, k = math.tointeger(tonumber(event.data)) // 10, math.tointeger(tonumber(event.data)) % 10
        assert.equal((last[i] or 0) + 1, k)
        last[i] = k
      end
    end)

    if not backend.restart then return end

    it("goes on behind the id where it was, after it was killed", function()
      local ids = publish(1, 5)
      server = backend.restart(server, APP)
      assert.equal("4 5", data(read("", ids[3])))
      assert.equal("", data(read("", ids[5])))
      local more = publish(6, 6)
      local epoch, number = ids[5]:match("^(%x+)%-(%d+)$")
      assert.equal(("%s-%d"):format(epoch, number + 1), more[1])
      assert.equal("4 5 6", data(read("", ids[3])))
    end)

    it("has ended still, after it was killed", function()
      local ids = publish(1, 2)
      run 'sse.channel("a"):finish()'
      server = backend.restart(server, APP)
      assert.equal("2", data(read("", ids[1])))
      assert.equal(204, read("", ids[2]):status())
      assert.same({ nil, "finished" }, { run 'return sse.channel("a", { history = 100 }):publish "x"' })
    end)
  end)
end
