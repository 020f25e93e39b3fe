-- SPDX-License-Identifier: MIT
-- The store on a real Redis server: what holds of any store, and what several servers see of each other; their own time
-- stands, and the spec has their stores do what there is.
local helper = require "spec.helper"
local redis_server = require "spec.redis_server"

if not os.execute "command -v redis-server redis-cli >/dev/null" then
  describe("a store on Redis", function() pending "there is no redis-server" end)
  return
end

local redis
local prefixes = 0

setup(function() redis = redis_server.start { appendonly = "yes" } end)
teardown(redis_server.stop)

local function serve(app, prefix)
  return helper.serve(app, { epoch = 1700000000, settings = { store = ("unix://%s?prefix=%s"):format(redis.socket, prefix) } })
end

require "spec.store_shared"({
  name = "Redis",
  serve = function(app)
    prefixes = prefixes + 1
    return serve(app, "p" .. prefixes)
  end,
  settle = function(server) server.core:store():settle(0.001) end,
  pass = function(server) server.core:store():settle(0.3) end,
  restart = function(server, app)
    server:close()
    return serve(app, "p" .. prefixes)
  end,
  close = function(server) server:close() end,
}, _ENV)

local APP = require "spec.channels".APP .. [[
app:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })]]

describe("several servers on one Redis", function()
  local one, two

  before_each(function()
    prefixes = prefixes + 1
    one, two = serve(APP, "p" .. prefixes), serve(APP, "p" .. prefixes)
  end)
  after_each(function()
    two.core:close() -- what is left over is counted for both
    one:close()
  end)

  -- Until neither has anything to do; time does not go by for them.
  local function settle()
    for _ = 1, 5 do
      for _, server in ipairs { one, two } do
        server.core:store():settle()
        server:turn()
      end
    end
  end

  local function settle_till(probe)
    one:wait(function()
      settle()
      return probe()
    end)
  end

  local function pass(seconds, step)
    for _ = 1, seconds, step or 1 do
      for _, server in ipairs { one, two } do server:advance(step or 1) end
      settle()
    end
  end

  local function start(server, code)
    local res = server:post("/lua", { body = code })
    settle()
    return res
  end

  local function run(server, code)
    local res = start(server, code)
    local list = assert(res:status() == 200 and res:json(), server:log())
    for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
    return table.unpack(list, 1, 4)
  end

  local function subscribe(server, after)
    run(server, "sse.channel('a', { history = 100 })")
    local res = server:get("/sub/a", { headers = after and { ["Last-Event-ID"] = after } })
    settle()
    return res
  end

  -- How often the functions were called, but for looks that come by themselves.
  local function calls() return tonumber(redis:cli("INFO", "commandstats"):match "cmdstat_fcall:calls=(%d+)" or "0") end

  it("ask once for what the store has not, though the channel here has been there", function()
    subscribe(one)
    run(one, "return sse.channel('a'):publish 'x'")
    for key in redis:cli("KEYS", ("p%d*"):format(prefixes)):gmatch "%S+" do redis:cli("DEL", key) end
    local res = one:get("/sub/a", { headers = { ["Last-Event-ID"] = "1-1" } })
    for _ = 1, 5 do settle() end
    local before = calls()
    for _ = 1, 5 do settle() end
    assert.is_true(calls() - before < 10, calls() - before)
    assert.equal("reset", res:events()[1].event)
  end)

  it("end each other's streams by spate.kick", function()
    local here, there = subscribe(one), subscribe(two)
    run(two, "return spate.kick { channel = 'a', reason = 'moved', retry = 5 }")
    settle()
    for _, res in ipairs { here, there } do
      local last = res:events()[1]
      assert.equal("kick", last.event)
      assert.equal("moved", last.data)
      assert.is_true(tonumber(last.retry) >= 5000)
      assert.is_true(res:has_ended())
    end
  end)

  it("are told of a kick by the inspector, which says so", function()
    local there = subscribe(two)
    local res = one:post("/-/api/kick", { json = { channel = "a" }, headers = { ["Content-Type"] = "application/json" } })
    settle()
    assert.same({ kicked = 0, others_told = true }, res:json())
    assert.is_true(there:has_ended())
    res = one:post("/-/api/kick", { json = { stream = "0123456789abcdef" }, headers = { ["Content-Type"] = "application/json" } })
    settle()
    assert.same({ kicked = 0, others_told = true }, res:json())
  end)

  it("keep the trace of an event, for who hears it and for who reads the past", function()
    local TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run(two, "sse.channel('a', { history = 10 }) seen = {} sse.spawn(function() for e in sse.channel('a'):subscribe():each() do seen[#seen + 1] = e.traceparent or 'none' end end)")
    run(one, ("return sse.channel('a', { history = 10 }):publish { event = 'e', data = '1', comment = 'c', traceparent = %q }"):format(TRACE))
    run(one, "return sse.channel('a'):publish '2'")
    assert.same({ TRACE, "none" }, (run(two, "return seen")))
    run(two, "task = nil")
    local three = serve(APP, "p" .. prefixes)
    local res = three:post("/lua", { body = "local list = {} for i, e in ipairs(sse.channel('a', { history = 10 }):history()) do list[i] = { e.traceparent or 'none', e.event or '', e.data, e.comment or '' } end return list" })
    for _ = 1, 5 do three.core:store():settle() three:turn() end
    assert.same({ { TRACE, "e", "1", "c" }, { "none", "", "2", "" } }, res:json()[1])
    three.core:close()
    local raw = subscribe(two, "0-0")
    assert.is_nil(raw:raw():find("0af7651916cd43dd", 1, true))
  end)

  it("hear each other in one order, and resume at any", function()
    local here, there = subscribe(one), subscribe(two)
    for i = 1, 6 do run(i % 2 == 1 and one or two, ("return sse.channel('a'):publish(%d)"):format(i)) end
    assert.same({ "1", "2", "3", "4", "5", "6" }, here:data())
    assert.same(here:events(), there:events())
    assert.same({ "5", "6" }, subscribe(two, here:events()[4].id):data())
  end)

  it("keep nothing up to date that nobody reads", function()
    local res = subscribe(one)
    res:close()
    local function listeners() return tonumber(redis:cli("PUBSUB", "SHARDNUMSUB", ("p%d:{a}:s"):format(prefixes)):match "(%d+)$") end
    assert.equal(1, listeners())
    pass(15)
    assert.equal(0, listeners())
    run(two, "for i = 1, 3 do sse.channel('a', { history = 100 }):publish(i) end")
    assert.equal(0, listeners())
    assert.same({ "2", "3" }, (function()
      local again = one:get("/sub/a?replay=2")
      settle()
      return again:data()
    end)())
  end)

  it("count each other's subscribers", function()
    local streams = { subscribe(one), subscribe(one), subscribe(two) }
    pass(7) -- each says how many it has, and then learns of the others
    assert.equal(3, run(one, "return sse.channel('a'):count()"))
    assert.equal(3, run(two, "return sse.channel('a'):count()"))
    streams[1]:close()
    streams[2]:close()
    pass(7)
    assert.equal(1, run(two, "return sse.channel('a'):count()"))
  end)

  it("have their members together: one is there once, until the last of it has gone", function()
    local live = subscribe(two)
    run(one, "me = sse.channel('a'):join('ann', { age = 7 })")
    run(two, "me = sse.channel('a'):join('ann') you = sse.channel('a'):join('bob')")
    local names = "local l = {} for i, m in ipairs(sse.channel('a'):members()) do l[i] = m.id end return table.concat(l, ' '), sse.channel('a'):members()[1].meta.age"
    for _, server in ipairs { one, two } do assert.same({ "ann bob", 7 }, { run(server, names) }) end
    run(one, "me:close()")
    assert.same({ "ann bob", 7 }, { run(one, names) })
    run(two, "me:close() you:close()")
    assert.equal(0, run(one, "return #sse.channel('a'):members()"))
    assert.same({ "join", "join", "leave", "leave" }, require "spec.channels".names(live))
  end)

  it("lose the members of one that is gone, in time", function()
    local live = subscribe(two)
    run(one, "me = sse.channel('a'):join('ann')")
    run(two, "you = sse.channel('a'):join('bob')")
    local until_now = redis:cli("ZRANGE", ("p%d:{a}:p"):format(prefixes), 0, -1)
    assert.equal(2, select(2, until_now:gsub("%x+ %a+", "")))
    local gone = until_now:match "(%x+) ann"
    redis:cli("ZADD", ("p%d:{a}:p"):format(prefixes), 1, gone .. " ann") -- as after half a minute without a word of it
    pass(4)
    assert.equal("bob", run(two, "local l = sse.channel('a'):members() return #l == 1 and l[1].id"))
    assert.same({ "join", "join", "leave" }, require "spec.channels".names(live))
    pass(12) -- it was cut off only
    assert.equal(2, run(two, "return #sse.channel('a'):members()"))
    assert.same({ "join", "join", "leave", "join" }, require "spec.channels".names(live))
    run(one, "me:close()")
    run(two, "you:close()")
  end)

  it("leave out what another version has written, and what is broken, and go on behind it", function()
    local live = subscribe(one)
    run(one, "return sse.channel('a'):publish 'first'")
    local stream = ("p%d:{a}:s"):format(prefixes)
    local last = redis:cli("XREVRANGE", stream, "+", "-", "COUNT", 1):match "^%d+"
    local function add(bytes) return redis:cli("EVAL", "return redis.call('XADD', KEYS[1], ARGV[1], 'b', (string.gsub(ARGV[2], '%x%x', function(h) return string.char(tonumber(h, 16)) end)))",
      1, stream, last .. "-*", bytes) end
    local odd = { "", "01", "0204", "011f", "0102ff", "0108ffffffffffffffffffff7f", "010205", "0101056162", "01020361620a" }
    for _, bytes in ipairs(odd) do assert.match("^%d+%-%d+$", add(bytes)) end
    run(two, "return sse.channel('a', { history = 100 }):publish 'last'")
    pass(4)
    local events, comments = live:events()
    assert.same({ "first", "last", #odd }, { events[1].data, events[#events].data, #comments })
    local again, more = subscribe(two, events[1].id):events()
    assert.same({ "last", #odd }, { again[#again].data, #more })
    assert.match("was written by another version: it is left out", one:log() .. two:log(), 1, true)
  end)

  -- Events of so many bytes each, behind what the channel's stream has there; nobody is told.
  local function add_behind(count, bytes)
    local stream = ("p%d:{a}:s"):format(prefixes)
    local code = [[local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]
      for i = 1, tonumber(ARGV[1]) do
        redis.call('XADD', KEYS[1], string.match(last, '^%d+') .. '-*', 'b', '\1\4' .. i .. string.rep('x', tonumber(ARGV[2])))
      end]]
    assert.equal("", redis:cli("EVAL", code, 1, stream, count, bytes))
  end

  local function numbers_of(res)
    local list = {}
    for _, text in ipairs(res:data()) do list[#list + 1] = text:match "^%d+" end
    return table.concat(list, " ")
  end

  local FORTY = {}
  for i = 1, 40 do FORTY[i] = i end
  FORTY = table.concat(FORTY, " ")

  it("read the past in pages that have a bound in bytes", function()
    local live = subscribe(one)
    local first = run(one, "return sse.channel('a'):publish 'first'")
    add_behind(40, 100000)
    local name = redis:cli("FUNCTION", "LIST"):match "spate_%x+"
    for _, function_of in ipairs { "_read", "_tail" } do
      local page = redis:cli("FCALL", name .. function_of, 1, ("p%d:{a}:s"):format(prefixes), function_of == "_read" and "-" or 30, 257)
      assert.is_true(#page > 256 * 1024 and #page < 1024 * 1024, #page)
    end
    local back = subscribe(two, first)
    settle_till(function() return numbers_of(back) == FORTY end)
    pass(3) -- a look finds out
    settle_till(function() return numbers_of(live) == FORTY end)
  end)

  it("read a page once for all who come back at once", function()
    local first = run(one, "return sse.channel('a', { history = 1000 }):publish(0)")
    add_behind(600, 10)
    run(two, "sse.channel('a', { history = 1000 })")
    local before, readers = calls(), {}
    for i = 1, 50 do readers[i] = two:get("/sub/a", { headers = { ["Last-Event-ID"] = first } }) end
    settle_till(function()
      for i = 1, 50 do if #readers[i]:data() < 600 then return false end end
      return true
    end)
    for i = 1, 50 do
      local events = readers[i]:data()
      assert.same({ 600, "1xx", "600" }, { #events, events[1]:sub(1, 3), events[600]:sub(1, 3) })
    end
    assert.is_true(calls() - before < 12, calls() - before)
  end)

  it("replay the newest over epochs", function()
    run(one, "for i = 1, 5 do sse.channel('a', { history = 100 }):publish(i) end")
    redis:cli("HSET", ("p%d:{a}:m"):format(prefixes), "r", "another")
    run(one, "for i = 6, 8 do sse.channel('a', { history = 100 }):publish(i) end")
    for n, expected in pairs { [2] = "7 8", [3] = "6 7 8", [6] = "3 4 5 6 7 8", [9] = "1 2 3 4 5 6 7 8" } do
      run(two, "sse.channel('a', { history = 100 })")
      local res = two:get("/sub/a?replay=" .. n)
      settle()
      assert.equal(expected, table.concat(res:data(), " "))
    end
  end)

  it("share it with servers of another release, whose functions differ", function()
    local live = subscribe(one)
    local file <close> = assert(io.open "server/client/redis_library.lua")
    local theirs = file:read("a"):gsub("VERSION", "ffffffffffffffff") .. "\ndefine('newer', function() return 'newer' end)\n"
    assert.equal("spate_ffffffffffffffff", redis:cli("FUNCTION", "LOAD", theirs))
    local keys = { ("p%d:{a}:s"):format(prefixes), ("p%d:{a}:m"):format(prefixes) }
    local function they(what, ...) return redis:cli("FCALL", "spate_ffffffffffffffff_" .. what, ...) end
    run(one, "return sse.channel('a'):publish 'ours'")
    assert.match("^%d+%-2$", they("append", 2, keys[1], keys[2], 256, 0, "\1\4theirs"))
    run(two, "return sse.channel('a', { history = 100 }):publish 'ours again'")
    assert.same({ "ours", "theirs", "ours again" }, live:data())
    assert.match("ours again", they("read", 1, keys[1], "-", 10), 1, true)
    assert.equal("newer", they("newer", 0))
    redis:cli("FUNCTION", "FLUSH")
    run(two, "return sse.channel('a', { history = 100 }):publish 'anew'")
    assert.equal("anew", live:data()[4])
  end)

  it("tell each other", function()
    local store, other = one.core:store(), two.core:store()
    other:told()
    settle()
    store:tell "all of you"
    settle()
    assert.equal("all of you", other:told())
  end)

  describe("have of sse.resumable { store = true }", function()
    local ANSWER = APP .. [[
      env.runs = 0
      app:get("/answer", function(req)
        local stream, why = sse.resumable("k", function(send)
          env.runs = env.runs + 1
          for i = 1, 3 do
            send(("%d.%d"):format(env.runs, i))
            sse.sleep(tonumber(req.query.pause or 0))
          end
          send "end"
        end, { after = req.last_event_id, store = true, ttl = 20, linger = 10 })
        return stream and sse.reply(stream) or reply.error(503, why)
      end)
    ]]

    before_each(function()
      for _, server in ipairs { one, two } do assert(server:reload(ANSWER)) end
    end)

    local function read(server, query, after)
      local res = server:get("/answer" .. (query or ""), { headers = after and { ["Last-Event-ID"] = after } })
      settle()
      return res
    end

    local function data(res) return table.concat(res:data(), " ") end
    local function runs() return run(one, "return runs") + run(two, "return runs") end
    local function claim_of() return ("p%d:{spate resumable}:v"):format(prefixes) end

    it("one producer, which all read, and what it has left", function()
      local here = read(one, "?pause=1")
      local there = read(two, "?pause=1")
      assert.same({ "1.1", "1.1", 1 }, { data(here), data(there), runs() })
      pass(3)
      assert.same({ "1.1 1.2 1.3 end", "1.1 1.2 1.3 end" }, { data(here), data(there) })
      assert.is_true(select(2, there:body()))
      assert.equal("1.3 end", data(read(two, "", here:events()[2].id)))
      pass(60, 2) -- it is forgotten by both
      assert.equal("0", redis:cli("EXISTS", ("p%d:{resumable:k}:s"):format(prefixes)))
      local anew = read(two)
      pass(3)
      assert.equal("1.1 1.2 1.3 end", data(anew))
      assert.equal(2, runs())
      pass(60, 2)
    end)

    it("a producer for as long as somebody reads it anywhere", function()
      local here = read(one, "?pause=30")
      local there = read(two, "?pause=30")
      pass(8)
      here:close()
      pass(30, 2)
      assert.equal("1.1 1.2", data(there))
      there:close()
      pass(30, 2) -- nobody does
      assert.equal("0", redis:cli("EXISTS", ("p%d:{resumable:k}:s"):format(prefixes)))
      assert.equal("", redis:cli("HKEYS", claim_of()))
      assert.equal(1, runs())
    end)

    it("a producer that begins anew at another where its server has died, and tell of that", function()
      local here = read(one, "?pause=30")
      local there = read(two, "?pause=30")
      local id = there:events()[1].id
      redis:cli("HSET", claim_of(), "k", "sa-server-that-died")
      pass(6)
      assert.is_false(select(2, there:body()))
      redis:cli("HDEL", claim_of(), "k") -- as after a quarter of a minute without a word of it
      pass(6)
      assert.is_true(select(2, there:body())) -- ended, to come back
      assert.is_true(select(2, here:body()))
      local again = read(two, "", id)
      pass(3)
      assert.equal("reset", again:events()[1].event)
      assert.equal("1.1 1.2 1.3 end", data(again):match "1%.1.*")
      pass(60, 2)
    end)

    -- The claim has ended when Redis goes on, and whoever has waited comes first or last.
    for _, first in ipairs { "its server", "another" } do
      it("a producer that outlives a pause of Redis which is longer than its claim, whose first word there is of " .. first, function()
        local here, there = read(one, "?pause=30"), read(two, "?pause=30")
        local seconds, micros = redis:cli("TIME"):match "(%d+)%s+(%d+)"
        local soon = math.tointeger(tonumber(seconds)) * 1000 + tonumber(micros) // 1000 + 50
        redis:cli("ZADD", ("p%d:{spate resumable}:e"):format(prefixes), math.tointeger(soon), "k")
        redis:signal "STOP"
        local order = first == "another" and { two, one } or { one, two }
        for _ = 1, 18 do
          for _, server in ipairs(order) do
            server.core:store():poll(0.01)
            server:advance(1)
          end
        end
        redis:signal "CONT"
        for _ = 1, 3 do
          order[1].core:store():settle()
          order[1]:turn()
        end
        pass(24, 4)
        assert.same({ "1.1 1.2", "1.1 1.2", 1 }, { data(here), data(there), runs() })
        here:close()
        there:close()
        pass(25, 5)
      end)
    end

    it("nothing without Redis, and say so", function()
      redis:signal "STOP"
      local res = one:get "/answer"
      for _ = 1, 4 do
        one.core:store():poll(0.05)
        one:advance(3)
      end
      redis:signal "CONT"
      assert.same({ 503, 0 }, { res:status(), runs() })
      settle()
    end)
  end)
end)
