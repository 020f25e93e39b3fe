-- SPDX-License-Identifier: MIT
-- Dictionaries that a real Redis server keeps for several servers, of which the spec has the stores do what there is; the
-- servers' own time stands.
local channels = require "spec.channels"
local helper = require "spec.helper"
local redis_server = require "spec.redis_server"

if not os.execute "command -v redis-server redis-cli >/dev/null" then
  describe("a dictionary of several servers", function() pending "there is no redis-server" end)
  return
end

local APP = channels.APP .. 'env.d, env.own = spate.shared("d", { store = true }), spate.shared "d"'

describe("a dictionary of several servers", function()
  local redis, one, two

  local function serve(app, query) return helper.serve(app or APP, { epoch = 1700000000, settings = { store = "unix://" .. redis.socket .. (query or "") } }) end

  setup(function() redis = redis_server.start {} end)
  teardown(redis_server.stop)

  before_each(function()
    redis:cli "FLUSHALL"
    one, two = serve(), serve()
  end)

  after_each(function()
    if two then two.core:close() end -- what is left over is counted for both
    one:close()
  end)

  local function settle(server, seconds)
    for _ = 1, 10 do
      server.core:store():settle(seconds or 0.001)
      server:turn()
    end
  end

  local function start(server, code) return server:post("/lua", { body = code }) end

  local function answer(server, res)
    local list = assert(res:status() == 200 and res:json(), server:log())
    for i = 1, #list do if list[i] == helper.json.null then list[i] = nil end end
    return table.unpack(list, 1, 4)
  end

  local function run(server, code)
    local res = start(server, code)
    settle(server)
    return answer(server, res)
  end

  it("has what any of them has set, at once, and each its own without a store", function()
    run(one, 'd:set("a", 1) own:set("a", 2)')
    assert.same({ 1, nil }, { run(two, 'return d:get "a", own:get "a"') })
    assert.same({ 2, true }, { run(two, 'return d:incr "a", d:cas("a", 2, "x")') })
    assert.same({ "x", 2 }, { run(one, 'return d:get "a", own:get "a"') })
  end)

  it("loses no step of several", function()
    local code = [[local tasks = {}
      for i = 1, 20 do tasks[i] = sse.spawn(function() for _ = 1, 5 do d:incr "n" end end) end
      for _, task in ipairs(tasks) do task:join() end]]
    local here, there = start(one, code), start(two, code)
    for _ = 1, 12 do settle(one, 0) settle(two, 0) end
    assert.same({ 200, 200 }, { here:status(), there:status() })
    assert.equal(200, run(two, 'return d:get "n"'))
  end)

  it("is unavailable while there is no Redis, and says why; no call is made twice", function()
    run(one, 'd:set("n", 1)')
    redis:kill()
    local res = start(one, [[
      local function why(value, ...) return value == nil and { ... } end
      return why(d:get "n"), why(d:incr "n"), why(d:keys())]])
    for _ = 1, 5 do
      one.core:store():poll(0.02)
      one:advance(6)
    end
    local get, incr, keys = answer(one, res)
    for _, failure in ipairs { get, incr, keys } do
      assert.equal("unavailable", failure[1])
      assert.is_string(failure[2])
    end
    redis:start()
    settle(two, 0.02)
    for _ = 1, 5 do
      one:advance(5)
      settle(one, 0.02)
    end
    assert.equal(1, run(one, 'return d:incr "n"')) -- nothing is kept without a log
  end)

  it("is not told of to who has gone, nor to a state that is replaced", function()
    local leaves, stays = start(one, 'return d:incr "n"'), start(one, 'return d:incr "n"')
    leaves:close()
    one:reload(APP)
    settle(one)
    assert.is_nil(leaves:status())
    assert.equal(200, stays:status()) -- a request of old code is served to its end
    assert.equal(2, run(one, 'return d:get "n"'))
    two:post("/lua", { body = 'return d:incr "n"' })
    two.core:close()
    two = nil
  end)

  it("comes with its functions, where the server has lost them", function()
    redis:cli("FUNCTION", "FLUSH")
    assert.equal(1, run(one, 'return d:incr "n"'))
  end)

  it("is full where Redis is, and can be read and deleted from", function()
    run(one, 'd:set("a", ("x"):rep(100000))')
    redis:cli("CONFIG", "SET", "maxmemory", "1")
    assert.same({ nil, "full" }, { run(one, 'return d:set("b", 1)') })
    finally(function() redis:cli("CONFIG", "SET", "maxmemory", "0") end)
    assert.same({ 100000, true, nil }, { run(one, 'return #d:get "a", d:delete "a", d:get "a"') })
  end)

  it("is unavailable where somebody else has its name there, and what he has put into it is none", function()
    redis:cli("SET", "spate:{d}:v", "x")
    assert.same({ nil, "unavailable", "wrongtype" }, { run(one, 'return d:get "a"') })
    redis:cli("DEL", "spate:{d}:v")
    for _, value in ipairs { "fnan", "f1x", "b2", "99999999999999999999", "q" } do
      redis:cli("HSET", "spate:{d}:v", "a", value)
      assert.same({ nil, "unavailable", "protocol" }, { run(one, 'return d:get "a"') })
    end
  end)

  it("has names of any bytes, and keys likewise", function()
    assert.equal(3, run(one, [[
      local odd = spate.shared("}{%\r\n\0", { store = true })
      odd:set("\0\r\n", 3)
      return odd:get "\0\r\n"]]))
    assert.equal(3, run(two, [[return spate.shared("}{%\r\n\0", { store = true }):get "\0\r\n"]]))
  end)

  it("cannot wait where nothing can: it says so at the line", function()
    assert.match("shared:get", helper.load_error('\nspate.shared("x", { store = true }):get "a"\n', { settings = { store = "unix://" .. redis.socket } }), 1, true)
    assert.equal(500, start(one, 'table.sort({ 1, 2 }, function() d:get "a" end)'):status())
    assert.match("shared:get", one:log(), 1, true)
  end)
end)
