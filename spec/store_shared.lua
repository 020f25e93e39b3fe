-- SPDX-License-Identifier: MIT
-- What holds of a channel whatever its events are kept in, and of a dictionary: in memory, in a file, on another server. A backend is a table:
--   name
--   serve(app, options): a server of spec.helper whose channels are kept in it, empty at first
--   settle(server): has it carry out all that it was asked for, and the server take that (memory: nothing)
--   restart(server, app): the server anew, with what was kept, as after it was killed; nil: nothing outlives it
--   pass(server): some tenths of a second go by where it counts time
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

  describe("a dictionary in " .. backend.name, function()
    local server
    local APP_OF_VALUES = channels.APP .. 'env.d = spate.shared("d", { store = true })'

    before_each(function() server = backend.serve(APP_OF_VALUES) end)
    after_each(function() backend.close(server) end)

    local function settle()
      for _ = 1, 30 do
        backend.settle(server)
        server:turn()
      end
    end

    local function ask(code)
      local res = server:post("/lua", { body = code })
      settle()
      return res
    end

    local function run(code)
      local res = ask(code)
      local list = assert(res:status() == 200 and res:json(), server:log())
      for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
      return table.unpack(list, 1, 6)
    end

    it("has values of all types", function()
      assert.same({ true, "a\0b", "", 5, 0.1, false }, { run [[
        local ok = d:set("text", "a\0b") and d:set("empty", "") and d:set("integer", 5) and d:set("float", 0.1) and d:set("no", false)
        return ok, d:get "text", d:get "empty", d:get "integer", d:get "float", d:get "no"]] })
      assert.same({ true, true, "integer", "float", true }, { run [[
        d:set("i", math.mininteger) d:set("f", -1 / 0)
        return d:get "i" == math.mininteger, d:get "f" == -1 / 0, math.type(d:get "integer"), math.type(d:get "float"),
          d:set("pi", 3.141592653589793) and d:get "pi" == 3.141592653589793]] })
      assert.same({ nil, true, nil, true, false }, { run [[return d:get "none", d:set("text", nil), d:get "text", d:delete "no", d:delete "no"]] })
      assert.equal("shared 'd'", run "return tostring(d)")
    end)

    it("sets where there is nothing, or where there is what is expected", function()
      assert.same({ true, false, 1 }, { run [[return d:add("a", 1), d:add("a", 2), d:get "a"]] })
      assert.same({ false, true, 3, true, nil, true }, { run [[
        return d:cas("a", 2, 3), d:cas("a", 1.0, 3), d:get "a", d:cas("a", 3, nil), d:get "a", d:cas("a", nil, "1")]] })
      assert.same({ false, true, true, false, true }, { run [[
        d:set("zero", -0.0)
        d:set("large", (1 << 53) + 1)
        return d:cas("a", 1, 2), d:cas("a", "1", true), d:cas("a", true, "x"), d:cas("large", 2.0 ^ 53, 1), d:cas("zero", 0, 1)]] })
    end)

    it("counts", function()
      assert.same({ 1, 3, 2.5, 10 }, { run [[return d:incr "n", d:incr("n", 2), d:incr("n", -0.5), d:incr("m", 3, { init = 7 })]] })
      assert.same({ true, true, true, true }, { run [[
        return d:incr("i", 1, { init = math.maxinteger }) == math.mininteger, d:incr("i", -1) == math.maxinteger,
          d:incr("j", math.mininteger, { init = math.mininteger }) == 0, d:incr("f", 0.2, { init = 0.1 }) == 0.1 + 0.2]] })
      run [[d:set("s", "1") d:set("b", true) d:set("infinite", 1 / 0)]]
      for key, what in pairs { s = "holds a string", b = "holds a boolean" } do
        assert.equal(500, ask(("return d:incr %q"):format(key)):status())
        assert.match(("shared:incr: '%s' %s, not a number"):format(key, what), server:log(), 1, true)
      end
      assert.equal(500, ask 'return d:incr("infinite", -1 / 0)':status())
      assert.match("the sum for 'infinite' is not a number (nan)", server:log(), 1, true)
    end)

    it("loses no step of many at a time", function()
      assert.same({ 640, 12 }, { run [[
        local tasks = {}
        for i = 1, 64 do tasks[i] = sse.spawn(function() for _ = 1, 10 do d:incr "n" end end) end
        for i = 1, 6 do tasks[#tasks + 1] = sse.spawn(function() for _ = 1, 2 do
          local seen
          repeat seen = d:get "swaps" until d:cas("swaps", seen, (seen or 0) + 1)
        end end) end
        for _, task in ipairs(tasks) do task:join() end
        return d:get "n", d:get "swaps"]] })
    end)

    it("lists its keys", function()
      assert.same({ { "a1", "a2", "b" }, { "a1", "a2" }, {}, 3 }, { run [[
        d:set("b", 1) d:set("a2", 1) d:set("a1", 1)
        return d:keys(), d:keys "a", json.array(d:keys "%"), d:count()]] })
      assert.is_true(run "return d:bytes() > 0")
    end)

    it("lets values expire", function()
      assert.same({ 1, 3 }, { run [[
        d:set("short", 1, { ttl = 0.2 }) d:set("stays", 1, { ttl = 100 }) d:add("lock", 1, { ttl = 0.2 })
        return d:get "short", d:count()]] })
      assert.same({ 2, 2 }, { run [[return d:incr("short"), d:incr("counted", 1, { init = 1, ttl = 0.2 })]] })
      run 'd:set("lock", 2)' -- it stays now
      backend.pass(server)
      assert.same({ nil, 1, 2, 2, true }, { run [[return d:get "short", d:get "stays", d:get "lock", d:count(), d:add("short", 5)]] })
      assert.same({ { "lock", "short", "stays" }, 1 }, { run [[return d:keys(), d:incr "counted"]] })
      backend.pass(server)
      assert.same({ 5, 1 }, { run [[return d:get "short", d:get "counted"]] })
    end)

    it("says what is wrong with an argument at its line", function()
      for code, message in pairs {
        ["d:get()"] = "shared:get: expected a string as key, got no value", ["d:set('a', {})"] = "shared:set: expected a string, number or boolean as value",
        ["d:add('a')"] = "shared:add: expected a string, number or boolean", ["d:set('a', 1, { tl = 1 })"] = "shared:set: unknown option 'tl'; did you mean 'ttl'?",
        ["d.get('x', 'a')"] = "shared:get: expected a dictionary before it", ["d:incr('a', 0/0)"] = "shared:incr: the step is not a number (nan)",
      } do
        assert.equal(500, ask("\n" .. code):status())
        assert.match("lua:2: " .. message, server:log(), 1, true)
      end
    end)

    if not backend.restart then return end

    it("has its values behind a restart", function()
      run [[d:set("a", "x") d:set("b", 7, { ttl = 100 }) d:incr "n"]]
      backend.pass(server)
      settle()
      server = backend.restart(server, APP_OF_VALUES)
      assert.same({ "x", 7, 2, 3 }, { run [[return d:get "a", d:get "b", d:incr "n", d:count()]] })
    end)
  end)
end
