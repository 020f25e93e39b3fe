-- SPDX-License-Identifier: MIT
-- The connection to a Redis server: over memory, with a server that the spec plays byte by byte, in virtual time.
local helper = require "spec.helper"

local harness = helper.harness
local redis

local function open(options, url) redis = assert(harness.redis(url or "redis://db:7000", options)) end

after_each(function()
  if redis then redis:close() end
  redis = nil
end)

-- A command as it goes over the wire.
local function wire(...)
  local parts = { ("*%d\r\n"):format(select("#", ...)) }
  for i, word in ipairs { ... } do parts[i + 1] = ("$%d\r\n%s\r\n"):format(#word, word) end
  return table.concat(parts)
end

local function bulk(text) return ("$%d\r\n%s\r\n"):format(#text, text) end

local function array(...)
  local parts = { ("*%d\r\n"):format(select("#", ...)) }
  for i, value in ipairs { ... } do parts[i + 1] = math.type(value) and (":%d\r\n"):format(value) or bulk(value) end
  return table.concat(parts)
end

-- A client that is connected: connection 1 has been greeted.
local function connected(options)
  open(options)
  redis:ask(0, 0, "FIRST")
  redis:turn()
  redis:give(1, "+PONG\r\n")
  redis:turn()
  redis:take(1)
  redis:give(1, "+OK\r\n")
  assert.equal("0:ok:OK\n", redis:turn())
end

describe("an address of Redis", function()
  local function read(url) return (harness.redis_address(url)) end
  local function wrong(url) return select(2, harness.redis_address(url)) end

  it("is a URL", function()
    assert.equal("single host=db:6379 db=0", read "redis://db")
    assert.equal("single host=127.0.0.1:6379 db=0", read "redis://")
    assert.equal("single host=::1:7000 user=me password=p@s/s db=3", read "redis://me:p%40s%2Fs@[::1]:7000/3")
    assert.equal("single host=h:1 password=x:y db=0", read "redis://:x:y@h:1/")
    assert.equal("single tls host=db:6380 ca=/etc/ca.pem db=2 prefix=spate", read "rediss://db:6380/2?prefix=spate&ca=%2Fetc%2Fca.pem")
    assert.equal("unix path=/run/redis.sock password=x db=1", read "unix://:x@/run/redis.sock?db=1")
    assert.equal("sentinel host=a:26379 host=b:5 master=main db=4", read "redis+sentinel://a,b:5/main/4")
    assert.equal("cluster tls host=a:7000 host=b:6379 db=0 other=1", read "rediss+cluster://a:7000,b?other=1")
  end)

  it("names the port that is none, unless that may be of a password", function()
    assert.equal("expected 1 to 65535 as the port in the URL, got 99999", wrong "redis://127.0.0.1:99999/0")
    assert.equal("expected 1 to 65535 as the port in the URL, got 0", wrong "redis+cluster://a:1,b:0")
    for _, url in ipairs { "redis://db:", "redis://db:secret/x", "redis://me:99999/x@db", "redis://me:99999?x@db", "redis://db:" .. ("9"):rep(21) } do
      assert.equal("expected 1 to 65535 as the port in the URL", wrong(url))
    end
  end)

  it("is refused with a reason, and without the password", function()
    for _, url in ipairs { "http://db", "redis://a:b:c", "redis://db:0", "redis://db:70000", "redis://db:x", "redis://a,b", "redis://db/x",
      "redis+cluster://a/1", "redis+cluster://", "redis+sentinel://a", "unix://", "unix://host/x", "redis://a%zz@db", "redis://%00:x@db", "redis://[::1",
      "redis://[::1]x", "redis://db?db=x", "redis://db?a", "redis://db?ca=a&ca=b", "redis://db?%zz=1", "redis://db/99999", "redis://:secret@db:x" } do
      local why = url ~= "redis://db?a" and wrong(url) or wrong("redis://db?=a")
      assert.is_string(why, url)
      assert.is_nil(why:find("secret", 1, true))
    end
  end)
end)

describe("a connection to Redis", function()
  it("is made by the first command, and greets", function()
    open({}, "redis://me:secret@db:7000/3")
    assert.equal("", redis:turn())
    assert.equal(0, redis:connections())
    redis:ask(1, 0, "GET", "a")
    assert.equal("dial:db:7000\n", redis:turn())
    assert.equal(wire("AUTH", "me", "secret") .. wire("SELECT", "3") .. wire("PING"), (redis:take(1)))
    redis:give(1, "+OK\r\n+OK\r\n+PONG\r\n")
    redis:turn()
    assert.equal(wire("GET", "a"), (redis:take(1)))
    redis:give(1, "$2\r\n\r\n\r\n")
    assert.equal("1:ok:\r\n\n", redis:turn())
  end)

  it("sends commands together, and gives each its answer, in whatever pieces it comes", function()
    local answers = "+OK\r\n:-42\r\n" .. bulk(("x"):rep(300)) .. "$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n-ERR no\r\n"
    for piece = 1, 40 do
      connected()
      redis:narrow(1, piece, 1 << 30)
      local asked = {}
      for i = 1, 8 do
        redis:ask(i, 0, "C", tostring(i))
        asked[i] = wire("C", tostring(i))
      end
      redis:turn()
      assert.equal(table.concat(asked), (redis:take(1)))
      redis:give(1, answers)
      assert.equal("1:ok:OK\n2:ok:-42\n3:ok:#300\n4:ok:nil\n5:ok:nil\n6:ok:[]\n7:ok:[[1],]\n8:error:ERR no\n", redis:turn())
      redis:close()
    end
  end)

  it("waits for a peer that takes its bytes slowly", function()
    connected()
    redis:narrow(1, 1 << 30, 10)
    local long = ("y"):rep(1000000)
    redis:ask(1, 0, "SET", "a", long)
    redis:ask(2, 0, "GET", "a")
    redis:turn()
    assert.equal(10, #redis:take(1))
    redis:narrow(1, 1 << 30, 1 << 30)
    redis:turn()
    local rest = redis:take(1)
    assert.equal(wire("GET", "a"), rest:sub(-#wire("GET", "a")))
    assert.equal(#wire("SET", "a", long) + #wire("GET", "a") - 10, #rest)
  end)

  local WRONG = {
    ["an answer that nobody has asked for"] = "+OK\r\n+OK\r\n",
    ["a type of RESP3"] = ",1.5\r\n",
    ["no type at all"] = "hello\r\n",
    ["a line that ends with LF alone"] = "+OK\n",
    ["a line with CR in it"] = "+O\rK\r\n",
    ["a number that is none"] = ":1x\r\n",
    ["an empty number"] = ":\r\n",
    ["minus alone"] = ":-\r\n",
    ["a number that is too large"] = ":9223372036854775808\r\n",
    ["a length that no memory has"] = "$9223372036854775807\r\n",
    ["a string above the limit"] = ("$%d\r\n"):format((16 << 20) + 1),
    ["a negative length"] = "$-2\r\n",
    ["a string without its end"] = "$2\r\nabXX",
    ["an array above the limit"] = "*100001\r\n",
    ["a negative array"] = "*-2\r\n",
    ["arrays in arrays"] = ("*1\r\n"):rep(8),
    ["a line without end"] = "+" .. ("a"):rep((64 << 10) + 1),
  }
  for what, bytes in pairs(WRONG) do
    it("is given up for " .. what, function()
      connected()
      redis:ask(1, 0, "A")
      redis:turn()
      redis:give(1, bytes)
      local told = redis:turn()
      assert.truthy(told:find("1:unknown:redis db:7000: ", 1, true) or told:find("1:ok:OK", 1, true), told)
      assert.is_true(select(2, redis:take(1)))
      redis:ask(2, 0, "B")
      assert.equal("dial:db:7000\n", redis:advance(1))
    end)
  end

  it("takes the largest there may be", function()
    connected()
    redis:ask(1, 0, "A")
    redis:ask(2, 0, "B")
    redis:ask(3, 0, "C")
    redis:turn()
    redis:give(1, bulk(("z"):rep(16 << 20)) .. ":-9223372036854775808\r\n" .. ("*1\r\n"):rep(7) .. ":9223372036854775807\r\n")
    assert.equal("1:ok:#16777216\n2:ok:-9223372036854775808\n3:ok:[[[[[[[9223372036854775807]]]]]]]\n", redis:turn())
  end)

  it("bounds the elements of a reply", function()
    connected()
    redis:ask(1, 0, "A")
    redis:turn()
    redis:give(1, "*11\r\n" .. ("*100000\r\n" .. (":1\r\n"):rep(100000)):rep(10))
    assert.matches("1:unknown:redis db:7000: a reply of too many elements", redis:turn())
  end)

  it("is lost with what was sent, and made again for what was not", function()
    connected()
    redis:ask(1, 0, "A")
    redis:turn()
    redis:ask(2, 0, "B")
    redis:leave(2)
    redis:hang_up(1)
    assert.equal("logged\n1:unknown:redis db:7000: the server has closed the connection\n", redis:turn())
    redis:ask(3, 0, "C")
    assert.equal("dial:db:7000\n", redis:advance(0.2))
    redis:give(2, "+PONG\r\n")
    assert.equal("logged\n", redis:turn())
    redis:take(2)
    redis:give(2, "+OK\r\n")
    assert.equal("3:ok:OK\n", redis:turn())
    assert.equal(0, redis:waiting())
  end)

  it("loses what only half an answer has come to", function()
    connected()
    redis:ask(1, 0, "A")
    redis:turn()
    redis:give(1, "$10\r\nabc")
    redis:turn()
    redis:hang_up(1, true)
    assert.matches("1:unknown:redis db:7000: the connection is broken\n", redis:turn())
  end)

  it("waits for a connection, longer for each try, and no longer than it should", function()
    open { wait = 2 }
    redis:refuse(true)
    redis:ask(1, 0, "A")
    local told = redis:advance(1.99)
    assert.is_nil(told:find("1:", 1, true))
    assert.equal("dial:db:7000\nlogged\n", told:sub(1, 20))
    assert.matches("1:unavailable:redis db:7000: Connection refused\n", redis:advance(0.02))
    local _, tries = redis:advance(60):gsub("dial", "")
    assert.is_true(tries >= 8 and tries <= 30, tries)
    redis:ask(2, 0, "B") -- there has been no server for long: the next try decides
    assert.matches("2:unavailable", redis:advance(2))
    redis:refuse(false)
    assert.equal("dial:db:7000\n", redis:advance(8))
  end)

  it("is given up where connecting takes too long", function()
    open { wait = 10, connect = 3 }
    redis:ask(1, 0, "A")
    assert.equal("dial:db:7000\n", redis:advance(2.9))
    assert.equal("logged\n", redis:advance(0.11):sub(1, 7))
    assert.matches("1:unavailable:redis db:7000: no connection within 3 s", redis:advance(8))
  end)

  it("is given up where an answer does not come", function()
    connected { silence = 5, timeout = 8 }
    redis:ask(1, 0, "A")
    redis:turn()
    assert.equal("", redis:advance(3))
    redis:ask(2, 0, "B")
    redis:ask(3, 1, "C")
    assert.equal("", redis:advance(0.9))
    assert.equal("3:unknown:redis db:7000: no answer in time\n", redis:advance(0.2)) -- its own time
    assert.equal("logged\n1:unknown:redis db:7000: no answer for 5 s\n2:unknown:redis db:7000: no answer for 5 s\n", redis:advance(0.9):sub(1, 99))
  end)

  it("stays where others are answered, and passes over an answer that comes too late", function()
    connected { silence = 5, timeout = 2 }
    redis:ask(1, 0, "A")
    redis:ask(2, 9, "B")
    redis:turn()
    assert.equal("1:unknown:redis db:7000: no answer in time\n", redis:advance(2))
    redis:give(1, "+late\r\n+here\r\n")
    assert.equal("2:ok:here\n", redis:turn())
  end)

  it("finds a dead peer while nothing is asked, by pings", function()
    connected { ping = 5, silence = 5 }
    redis:advance(5)
    assert.equal(wire "PING", (redis:take(1)))
    redis:give(1, "+PONG\r\n")
    redis:advance(5)
    assert.equal(wire "PING", (redis:take(1)))
    assert.equal("logged\n", redis:advance(5):sub(1, 7))
    assert.is_true(select(2, redis:take(1)))
  end)

  it("bounds what waits, in number and in bytes", function()
    open { commands_max = 2, bytes_max = 1000 }
    assert.is_true(redis:ask(1, 0, "A"))
    assert.is_false(redis:ask(2, 0, "B", ("x"):rep(1000)))
    assert.is_true(redis:ask(2, 0, "B"))
    assert.is_false(redis:ask(3, 0, "C"))
    redis:leave(2)
    assert.is_true(redis:ask(3, 0, "C"))
    redis:turn()
    redis:give(1, "+PONG\r\n")
    redis:turn()
    redis:leave(1) -- it was sent: its answer is still due
    assert.is_false(redis:ask(4, 0, "D"))
    redis:give(1, "+OK\r\n+OK\r\n")
    assert.equal("3:ok:OK\n", redis:turn())
    assert.equal(0, redis:waiting())
  end)

  it("says what a server's error is", function()
    local ERRORS = { ["LOADING Redis is loading"] = "loading", ["BUSY script"] = "loading", ["CLUSTERDOWN x"] = "loading", ["MASTERDOWN x"] = "loading",
      ["TRYAGAIN x"] = "loading", ["MOVED 1 a:1"] = "moved", ["ASK 1 a:1"] = "ask", ["NOSCRIPT x"] = "noscript", ["ERR Function not found"] = "noscript",
      ["OOM x"] = "oom", ["NOREPLICAS x"] = "noreplicas", ["MISCONF x"] = "misconf", ["NOAUTH x"] = "noauth", ["WRONGPASS x"] = "wrongpass",
      ["NOPERM x"] = "noperm", ["WRONGTYPE x"] = "wrongtype", ["ERR x"] = "error", ["EXECABORT x"] = "error", [""] = "error" }
    for text, code in pairs(ERRORS) do
      connected()
      redis:ask(1, 0, "A")
      redis:turn()
      redis:give(1, "-" .. text .. "\r\n")
      assert.equal(("1:%s:%s\n"):format(code, text), redis:turn())
      redis:close()
    end
  end)

  it("is made anew where the server has become a replica", function()
    connected()
    redis:ask(1, 0, "SET", "a", "b")
    redis:turn()
    redis:give(1, "-READONLY You can't write\r\n")
    assert.equal("1:readonly:READONLY You can't write\nlogged\n", redis:turn())
    assert.equal("dial:db:7000\n", redis:advance(0.2))
  end)

  it("tells who is refused, and is slow to try again", function()
    open({}, "redis://:wrong@db:7000")
    redis:ask(1, 0, "A")
    redis:turn()
    redis:give(1, "-WRONGPASS invalid\r\n")
    assert.equal("logged\n", redis:turn())
    assert.matches("1:unavailable:redis db:7000: WRONGPASS invalid\n", redis:advance(2.4))
    assert.equal(1, redis:connections())
    redis:advance(10)
    assert.is_true(redis:connections() <= 4)
  end)

  it("tries again where the server loads", function()
    open {}
    redis:ask(1, 0, "A")
    redis:turn()
    redis:give(1, "-LOADING x\r\n")
    redis:advance(0.2)
    redis:give(2, "+PONG\r\n")
    redis:turn()
    redis:give(2, "+OK\r\n")
    assert.equal("1:ok:OK\n", redis:turn())
  end)

  for _, what in ipairs { "free", "reset", "leave" } do
    it("may be told to " .. what .. " while it tells", function()
      for _, cause in ipairs { "answer", "loss", "time" } do
        connected { timeout = 3 }
        for i = 1, 4 do redis:ask(i, 0, "A") end
        redis:turn()
        redis:then_do(what, 2)
        if cause == "answer" then redis:give(1, "+1\r\n+2\r\n+3\r\n+4\r\n")
        elseif cause == "loss" then redis:hang_up(1) end
        local told = redis:advance(2)
        if cause == "time" then told = told .. redis:advance(2) end
        assert.matches("1:", told)
        assert.equal(what == "reset", told:find("\n2:", 1, true) ~= nil, cause .. told)
        redis:close()
      end
    end)
  end
end)

describe("a feed of Redis", function()
  local function up(n)
    redis:turn()
    redis:give(n or 1, "+PONG\r\n")
    return redis:turn()
  end

  it("tells of what is published, once the server has confirmed", function()
    open()
    redis:subscribe(1, "channel", "news")
    redis:subscribe(2, "pattern", "n*")
    redis:subscribe(3, "shard", "s")
    up()
    assert.equal(wire "PING" .. wire("SUBSCRIBE", "news") .. wire("PSUBSCRIBE", "n*") .. wire("SSUBSCRIBE", "s"), (redis:take(1)))
    redis:give(1, array("subscribe", "news", 1) .. array("psubscribe", "n*", 2))
    assert.equal("1:live\n2:live\n", redis:turn())
    redis:give(1, array("message", "news", "a") .. array("pmessage", "n*", "nx", "b") .. array("smessage", "s", "early") .. array("ssubscribe", "s", 1) ..
      array("smessage", "s", "c"))
    assert.equal("1:news=a\n2:nx=b\n3:live\n3:s=c\n", redis:turn())
  end)

  it("shares a name, and lets go of it with the last", function()
    open()
    redis:subscribe(1, "channel", "a")
    up()
    redis:give(1, array("subscribe", "a", 1))
    redis:turn()
    redis:take(1)
    redis:subscribe(2, "channel", "a")
    assert.equal("2:live\n", redis:turn())
    redis:unsubscribe(1)
    redis:turn()
    assert.equal("", (redis:take(1)))
    redis:give(1, array("message", "a", "x"))
    assert.equal("2:a=x\n", redis:turn())
    redis:unsubscribe(2)
    redis:subscribe(3, "channel", "a") -- the answer to the former is still due
    redis:turn()
    assert.equal(wire("UNSUBSCRIBE", "a") .. wire("SUBSCRIBE", "a"), (redis:take(1)))
    redis:give(1, array("message", "a", "y") .. array("unsubscribe", "a", 0))
    assert.equal("", redis:turn())
    redis:give(1, array("subscribe", "a", 1) .. array("message", "a", "z"))
    assert.equal("3:live\n3:a=z\n", redis:turn())
  end)

  it("comes back, and says between what messages may be lost", function()
    open()
    redis:subscribe(1, "channel", "a")
    redis:subscribe(2, "channel", "b")
    up()
    redis:give(1, array("subscribe", "a", 1))
    redis:turn()
    redis:hang_up(1)
    assert.equal("logged\n1:lost\n", redis:turn())
    redis:advance(0.2)
    redis:give(2, "+PONG\r\n")
    redis:turn()
    assert.equal(wire "PING" .. wire("SUBSCRIBE", "a") .. wire("SUBSCRIBE", "b"), (redis:take(2)))
    redis:give(2, array("subscribe", "a", 1) .. array("subscribe", "b", 2))
    assert.equal("1:live\n2:live\n", redis:turn())
  end)

  it("pings, and is lost where nothing comes back", function()
    open { ping = 5, silence = 5 }
    redis:subscribe(1, "channel", "a")
    up()
    redis:give(1, array("subscribe", "a", 1))
    redis:turn()
    redis:take(1)
    redis:advance(5)
    assert.equal(wire "PING", (redis:take(1)))
    redis:give(1, array("pong", ""))
    assert.equal("", redis:advance(5))
    assert.equal(wire "PING", (redis:take(1)))
    assert.equal("logged\n1:lost\n", redis:advance(5):sub(1, 14))
  end)

  it("tells who is refused", function()
    open()
    redis:subscribe(1, "channel", "a")
    redis:subscribe(2, "channel", "b")
    up()
    redis:give(1, "-NOPERM no\r\n" .. array("subscribe", "b", 1))
    assert.equal("1:refused:NOPERM no\n2:live\n", redis:turn())
  end)

  it("subscribes anew where a slot has moved", function()
    open()
    redis:subscribe(1, "shard", "a")
    up()
    redis:give(1, array("ssubscribe", "a", 1))
    redis:turn()
    redis:take(1)
    redis:give(1, array("sunsubscribe", "a", 0))
    assert.equal("1:lost\n", redis:turn())
    assert.equal(wire("SSUBSCRIBE", "a"), (redis:take(1)))
    redis:give(1, "-MOVED 15495 other:7001\r\n")
    assert.equal("1:refused:MOVED 15495 other:7001\n", redis:turn())
  end)

  it("asks first, and is made anew where the answer is not wished", function()
    open { states = true, resets = true }
    redis:subscribe(1, "channel", "a")
    assert.equal("feed:up\n", up())
    assert.equal(wire "PING" .. wire "INFO" .. wire("SUBSCRIBE", "a"), (redis:take(1)))
    redis:give(1, bulk "role:slave" .. array("subscribe", "a", 1))
    assert.equal("asked:role:slave\nlogged\nfeed:down\n", redis:turn())
    redis:advance(0.2)
    redis:give(2, "+PONG\r\n")
    assert.equal("feed:up\n", redis:turn():gsub("logged\n", ""))
    redis:hang_up(2)
    assert.equal("asked:\nfeed:down\n", (redis:turn():gsub("logged\n", "")))
  end)

  it("bounds the names", function()
    open { channels_max = 1 }
    assert.is_true(redis:subscribe(1, "channel", "a"))
    assert.is_true(redis:subscribe(2, "channel", "a"))
    assert.is_false(redis:subscribe(3, "pattern", "a"))
    redis:unsubscribe(1)
    redis:unsubscribe(2)
    assert.is_true(redis:subscribe(3, "pattern", "a"))
  end)

  for what, bytes in pairs { ["a confirmation of something else"] = array("subscribe", "x", 1), ["one of another kind"] = array("unsubscribe", "a", 0),
    ["a number"] = ":1\r\n", ["nothing"] = "*0\r\n", ["a nil name"] = "*3\r\n$9\r\nsubscribe\r\n$-1\r\n:1\r\n" } do
    it("is given up for " .. what, function()
      open()
      redis:subscribe(1, "channel", "a")
      up()
      redis:give(1, bytes)
      assert.equal("logged\n", redis:turn())
      assert.is_true(select(2, redis:take(1)))
    end)
  end

  it("is given up for a confirmation too many, and passes odd messages over", function()
    open()
    redis:subscribe(1, "channel", "a")
    up()
    redis:give(1, array("subscribe", "a", 1) .. array("message", "b", "x") .. array("message") .. "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:1\r\n")
    assert.equal("1:live\n", redis:turn())
    redis:give(1, array("subscribe", "a", 1))
    assert.equal("logged\n1:lost\n", redis:turn())
  end)

  for _, what in ipairs { "free", "reset", "unsubscribe" } do
    it("may be told to " .. what .. " while it tells", function()
      for _, cause in ipairs { "live", "message", "loss" } do
        open()
        for i = 1, 3 do redis:subscribe(i, "channel", "a") end
        up()
        if cause == "live" then redis:then_do(what, 2) end
        redis:give(1, array("subscribe", "a", 1))
        redis:turn()
        if cause ~= "live" then redis:then_do(what, 2) end
        redis:give(1, array("message", "a", "x"))
        if cause == "loss" then redis:hang_up(1) end
        redis:turn()
        redis:advance(0.3)
        redis:close()
      end
    end)
  end
end)
