-- SPDX-License-Identifier: MIT
-- Where a Redis server is: as sentinels say, and as a cluster's nodes do, over memory.
local helper = require "spec.helper"

local harness = helper.harness
local redis

local function open(url, options) redis = assert(harness.redis(url, options)) end

after_each(function()
  if redis then redis:close() end
  redis = nil
end)

local function wire(...)
  local parts = { ("*%d\r\n"):format(select("#", ...)) }
  for i, word in ipairs { ... } do parts[i + 1] = ("$%d\r\n%s\r\n"):format(#word, word) end
  return table.concat(parts)
end

local function bulk(text) return ("$%d\r\n%s\r\n"):format(#text, text) end

-- Lists of texts, integers and lists.
local function reply(value)
  if math.type(value) then return (":%d\r\n"):format(value) end
  if type(value) == "string" then return bulk(value) end
  local parts = { ("*%d\r\n"):format(#value) }
  for i, one in ipairs(value) do parts[i + 1] = reply(one) end
  return table.concat(parts)
end

local PONG = "+PONG\r\n"

local function quiet(text) return (text:gsub("logged\n", "")) end

describe("a slot", function()
  it("is of the key, or of what is in its braces", function()
    assert.equal(12739, harness.redis_slot "123456789")
    assert.equal(15495, harness.redis_slot "a")
    assert.equal(0, harness.redis_slot "")
    assert.equal(harness.redis_slot "user", harness.redis_slot "x{user}y{other}")
    assert.not_equal(harness.redis_slot "", harness.redis_slot "x{}y")
    assert.not_equal(harness.redis_slot "user", harness.redis_slot "{user")
  end)
end)

describe("a sentinel", function()
  local ASKED = wire("SENTINEL", "get-master-addr-by-name", "main")

  it("is asked before each connection, as whom it knows", function()
    open "redis+sentinel://app:secret@s1,s2:5/main/3?sentinel_user=watch&sentinel_password=x"
    redis:ask(1, 0, "GET", "a")
    assert.equal("dial:s1:26379\n", redis:turn())
    assert.equal(wire("AUTH", "watch", "x") .. wire "PING", (redis:take(1)))
    redis:give(1, "+OK\r\n" .. PONG)
    redis:turn()
    assert.equal(ASKED, (redis:take(1)))
    redis:give(1, reply { "m1", "7000" })
    assert.equal("dial:m1:7000\n", redis:turn())
    assert.equal(wire("AUTH", "app", "secret") .. wire("SELECT", "3") .. wire "ROLE" .. wire "PING", (redis:take(2)))
    redis:give(2, "+OK\r\n+OK\r\n" .. reply { "master", 0, {} } .. PONG)
    redis:turn()
    redis:take(2)
    redis:give(2, bulk "x")
    assert.equal("1:ok:x\n", redis:turn())
    redis:hang_up(2)
    redis:ask(2, 0, "GET", "a")
    assert.matches("dial:s1:26379\n$", redis:advance(0.2))
  end)

  it("is followed by the next, where it does not answer, or does not know", function()
    open "redis+sentinel://s1,s2,s3/main"
    redis:ask(1, 0, "GET", "a")
    redis:turn()
    redis:give(1, PONG)
    redis:turn()
    redis:give(1, "*-1\r\n")
    assert.equal("dial:s2:26379\n", redis:turn())
    assert.equal("dial:s3:26379\n", quiet(redis:advance(1.1)):match "dial:s3[^\n]*\n")
    local n = redis:connections()
    redis:give(n, PONG)
    redis:turn()
    redis:give(n, reply { "m1", "7000" })
    assert.equal("dial:m1:7000\n", redis:turn())
  end)

  it("that names no master is not believed", function()
    open("redis+sentinel://s1/main", { wait = 0.02 })
    redis:ask(1, 0, "GET", "a")
    redis:turn()
    redis:give(1, PONG)
    redis:turn()
    redis:give(1, reply { "m1", "7000" })
    redis:turn()
    redis:give(2, reply { "slave", "m2", 7000, "connected", 0 } .. PONG)
    redis:turn()
    assert.matches("1:unavailable:redis m1:7000: it is no master", redis:advance(0.02))
  end)

  it("is none for long where none knows the name", function()
    for _, answer in ipairs { "*-1\r\n", "*2\r\n$1\r\na\r\n$1\r\nx\r\n", "*1\r\n$1\r\na\r\n", "-NOPERM no\r\n", ":1\r\n" } do
      open("redis+sentinel://s1/main", { wait = 0.5 })
      redis:ask(1, 0, "GET", "a")
      redis:turn()
      redis:give(1, PONG)
      redis:turn()
      redis:give(1, answer)
      redis:turn()
      assert.matches("1:unavailable:redis s1:26379: no sentinel knows where 'main' is", redis:advance(1))
      redis:close()
    end
  end)

  it("may be left while it is asked", function()
    open "redis+sentinel://s1/main"
    redis:ask(1, 0, "GET", "a")
    redis:subscribe(1, "channel", "news")
    redis:turn()
    redis:then_do "free"
    redis:give(1, PONG)
    redis:turn()
    redis:leave(1)
    redis:unsubscribe(1)
  end)
end)

describe("a cluster", function()
  local MAP = { { 0, 8191, { "n1", 7001, "id1", {} } }, { 8192, 16383, { "n2", 7002, "id2" }, { "r2", 7003, "id3" } } }

  -- With the map: connections 1 to n1, which was named.
  local function with_map()
    open "redis+cluster://n1:7001"
    redis:ask(0, 0, "PING")
    assert.equal("dial:n1:7001\n", redis:turn())
    redis:give(1, PONG)
    redis:turn()
    redis:give(1, PONG)
    redis:turn()
    redis:take(1)
    redis:ask(0, 0, "GET", "b") -- slot 3300; nothing is known yet
    redis:turn()
    redis:give(1, bulk "x")
    redis:turn()
    redis:take(1)
    redis:advance(0.4)
    assert.equal(wire("CLUSTER", "SLOTS"), (redis:take(1)))
    redis:give(1, reply(MAP))
    redis:turn()
  end

  it("has a command go to the node of its key", function()
    with_map()
    redis:ask(1, 0, "GET", "a")
    assert.equal("dial:n2:7002\n", redis:turn())
    redis:give(2, PONG)
    redis:turn()
    assert.equal(wire "PING" .. wire("GET", "a"), (redis:take(2)))
    redis:give(2, bulk "x")
    assert.equal("1:ok:x\n", redis:turn())
  end)

  it("follows a node's word of another", function()
    with_map()
    redis:ask(1, 0, "GET", "b")
    redis:turn()
    redis:take(1)
    redis:give(1, "-MOVED 3300 n3:7005\r\n")
    assert.equal("dial:n3:7005\n", redis:turn())
    redis:give(2, PONG)
    redis:turn()
    redis:take(2)
    redis:give(2, bulk "moved")
    assert.equal("1:ok:moved\n", redis:turn())
    redis:ask(2, 0, "GET", "b") -- has been learned
    redis:turn()
    assert.equal(wire("GET", "b"), (redis:take(2)))
    redis:give(2, "-ASK 3300 n1:7001\r\n")
    redis:turn()
    assert.equal(wire "ASKING" .. wire("GET", "b"), (redis:take(1)))
    redis:give(1, "+OK\r\n" .. bulk "asked")
    assert.equal("2:ok:asked\n", redis:turn())
    redis:ask(3, 0, "GET", "b") -- has not
    redis:turn()
    assert.equal(wire("GET", "b"), (redis:take(2)))
  end)

  it("is not led in circles", function()
    with_map()
    redis:ask(1, 0, "GET", "b")
    local told
    for _ = 1, 6 do
      redis:turn()
      redis:give(1, "-MOVED 3300 n1:7001\r\n")
      told = redis:turn()
    end
    assert.equal("1:moved:MOVED 3300 n1:7001\n", told)
  end)

  it("passes on what is no word of another", function()
    for _, text in ipairs { "MOVED x n1:7001", "MOVED 99999 n1:7001", "MOVED 1", "MOVED 1 n1", "MOVED 1 :7001", "MOVED 1 n1:0", "MOVED 1 n1:99999" } do
      with_map()
      redis:ask(1, 0, "GET", "b")
      redis:turn()
      redis:give(1, "-" .. text .. "\r\n")
      assert.equal("1:moved:" .. text .. "\n", redis:turn())
      redis:close()
    end
  end)

  it("goes on with the map that it has where another is none", function()
    for _, map in ipairs { "*0\r\n", ":1\r\n", "-ERR no cluster\r\n", reply { 1, { 1 }, { 1, 2, { "n9" } }, { -1, 2, { "n9", 7009 } }, { 5, 16384, { "n9", 7009 } },
      { 7, 3, { "n9", 7009 } }, { 0, 1, { "n9", 0 } }, { 0, 1, { "n9", "x" } } } } do
      with_map()
      redis:ask(1, 0, "GET", "b")
      redis:turn()
      redis:give(1, "-MOVED 3300 n2:7002\r\n")
      redis:turn()
      redis:take(1)
      redis:advance(0.4)
      assert.equal(wire("CLUSTER", "SLOTS"), (redis:take(1)))
      redis:give(1, map)
      redis:turn()
      redis:ask(2, 0, "GET", "{b}2")
      redis:turn()
      redis:give(2, PONG)
      redis:turn()
      assert.matches("GET\r\n$1\r\nb", (redis:take(2)), 1, true)
      redis:close()
    end
  end)

  it("may be freed while it tells, and left", function()
    with_map()
    redis:ask(1, 0, "GET", "b")
    redis:ask(2, 0, "GET", "b")
    redis:leave(2)
    redis:turn()
    redis:then_do "free"
    redis:give(1, bulk "x" .. bulk "y")
    assert.equal("1:ok:x\n", redis:turn())
  end)

  it("has a shard's channel at its node, and moves with it", function()
    with_map()
    redis:subscribe(1, "shard", "a")
    redis:subscribe(2, "channel", "news")
    assert.equal("dial:n2:7002\ndial:n1:7001\n", redis:turn())
    redis:give(2, PONG)
    redis:give(3, PONG)
    redis:turn()
    assert.equal(wire "PING" .. wire("SSUBSCRIBE", "a"), (redis:take(2)))
    assert.equal(wire "PING" .. wire("SUBSCRIBE", "news"), (redis:take(3)))
    redis:give(2, reply { "ssubscribe", "a", 1 } .. reply { "smessage", "a", "one" })
    assert.equal("1:live\n1:a=one\n", redis:turn())
    redis:give(2, reply { "sunsubscribe", "a", 0 })
    assert.equal("1:lost\n", redis:turn())
    redis:give(2, "-MOVED 15495 n1:7001\r\n")
    redis:turn()
    assert.equal(wire("SSUBSCRIBE", "a"), (redis:take(3)))
    redis:give(3, reply { "subscribe", "news", 1 } .. reply { "ssubscribe", "a", 1 })
    assert.equal("2:live\n1:live\n", redis:turn())
    redis:unsubscribe(1)
    redis:turn()
    assert.equal(wire("SUNSUBSCRIBE", "a"), (redis:take(3)))
  end)

  it("moves what it has at a node that the map does not name any more", function()
    with_map()
    redis:subscribe(1, "shard", "a")
    redis:turn()
    redis:give(2, PONG)
    redis:turn()
    redis:give(2, reply { "ssubscribe", "a", 1 })
    redis:turn()
    redis:hang_up(2)
    redis:refuse(true)
    assert.equal("1:lost\n", quiet(redis:turn()))
    redis:take(1)
    redis:refuse(false)
    redis:advance(0.4)
    assert.equal(wire("CLUSTER", "SLOTS"), (redis:take(1)))
    redis:give(1, reply { { 0, 8191, { "n1", 7001 } }, { 8192, 16383, { "r2", 7003 } } })
    assert.matches("dial:r2:7003\n", redis:turn())
    local n = redis:connections()
    redis:give(n, PONG)
    redis:turn()
    redis:give(n, reply { "ssubscribe", "a", 1 })
    assert.equal("1:live\n", redis:turn())
  end)
end)
