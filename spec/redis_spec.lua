-- SPDX-License-Identifier: MIT
-- spate.redis as scripts use it, against stubs in virtual time; and the stubs themselves.
package.cpath = "./" .. (os.getenv("BUILD") or "build") .. "/lib/?.so;" .. package.cpath
package.path = "./lua/?.lua;./lua/?/init.lua;" .. package.path
local t = require "spate.test"

local PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
local redis = spate.redis.open("redis://db:6379", { timeout = 5, wait = 2 })
local function told(...) return table.concat({ json.encode((...)), select(2, ...), select(3, ...) }, " | ") end
]]

local function load(source, options, keeps)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(PRELUDE, source, "\nreturn app\n")
  f:close()
  local ok, app = pcall(t.load, path, options)
  if not keeps then os.remove(path) end
  if not ok then error(app, 0) end
  return app, path
end

local RESET = { event = "reset", data = "messages before this one may have been lost" } -- as pg:listen has it

describe("redis:command", function()
  it("returns what the server answers, as values of Lua", function()
    local app = load [[app:get("/", function(req)
      return told(redis:command("GET", req.query.key))
    end)]]
    t.redis.stub("GET text", "hello")
    t.redis.stub("GET number", 42)
    t.redis.stub("GET ok", true)
    t.redis.stub("GET none", nil)
    t.redis.stub("GET list", { "a", 1, false, { "b", { err = "ERR inside" } } })
    t.redis.stub("GET wrong", { err = "WRONGTYPE Operation against a key" })
    t.redis.stub("GET large", ("x"):rep(100000))
    local function get(key) return app:get("/?key=" .. key):body() end
    assert.equal('"hello"', get "text")
    assert.equal("42", get "number")
    assert.equal('"OK"', get "ok")
    assert.equal("null", get "none")
    assert.equal('["a",1,false,["b",{"code":"error","err":"ERR inside"}]]', get "list")
    assert.equal("null | redis:command: redis: WRONGTYPE Operation against a key | wrongtype", get "wrong")
    assert.equal(100002, #get "large")
  end)

  it("sends words as they are: texts, integers, floats", function()
    local app = load [[app:get("/", function() return told(redis:command("SET", "a\0b\r\n", 1, 2.0, 1.5)) end)]]
    local stub = t.redis.stub("set", true)
    assert.equal('"OK"', app:get("/"):body())
    assert.same({ { "SET", "a\0b\r\n", "1", "2", "1.5" } }, stub.commands)
  end)

  it("is one connection for all", function()
    local app = load [[app:get("/", function() return told(redis:command("INCR", "n")) end)]]
    local n = 0
    t.redis.stub("INCR n", function() n = n + 1 return { n, after = 1 } end)
    local list = {}
    for i = 1, 5 do list[i] = app:get "/" end
    assert.is_nil(list[1].status)
    t.advance(1)
    for i = 1, 5 do assert.equal(tostring(i), list[i]:body()) end
  end)

  it("is misuse where it is no command, and what belongs elsewhere is named", function()
    local app = load [[app:get("/", function(req) return redis:command(json.decode(req.query.c)) end)
      app:get("/nil", function() return redis:command("GET", nil, "x") end)
      app:get("/end", function() return redis:command("GET", nil) end)
      app:get("/table", function() return redis:command("GET", {}) end)
      app:get("/dot", function() return redis.command("GET") end)]]
    t.strict(false)
    for command, message in pairs { ['"MULTI"'] = "MULTI is not for a connection that others use; use redis:transaction",
      ['"subscribe"'] = "use redis:subscribe", ['"monitor"'] = "MONITOR is not for a connection", ["1"] = "expected a command such as" } do
      app:get("/?c=" .. command:gsub('"', "%%22"))
      assert.matches(message, app:log(), 1, true)
    end
    app:get "/nil"
    assert.matches("redis:command: word 2: expected a string or a number, got nil", app:log(), 1, true)
    app:get "/end"
    app:get "/table"
    assert.matches("redis:command: word 2: expected a string or a number, got table", app:log(), 1, true)
    app:get "/dot"
    assert.matches("write it with a colon", app:log(), 1, true)
  end)

  it("says at its line what is wrong with a URL or an option, without the password", function()
    for source, message in pairs { ['spate.redis.open("http://:secret@db")'] = "redis.open: expected a URL of redis://",
      ['spate.redis.open("redis://db?prefix=x")'] = "redis.open: unknown option 'prefix' in the URL",
      ['spate.redis.open("redis://db", { timeot = 1 })'] = "redis.open: unknown option 'timeot'; did you mean 'timeout'?",
      ['spate.redis.open("redis://db", { timeout = 0 })'] = "redis.open: timeout: expected more than 0 seconds, got 0",
      ['spate.redis.open("redis://db", { queue = 0 })'] = "redis.open: queue: expected 1 or more, got 0",
      ['spate.redis.open("redis://db", { verify = 1 })'] = "redis.open: verify: expected true or false, got number",
      ['spate.redis.open(1)'] = "redis.open: expected a string, got number",
      ['redis:command("GET", "a")'] = "redis:command" } do
      local ok, err = pcall(load, source)
      assert.is_false(ok)
      assert.matches(message, err, 1, true)
      assert.is_nil(err:match("^[^\n]*"):find("secret", 1, true)) -- of the message; the lines of source have it
    end
  end)

  it("is nil and unavailable while there is no server, and tries again by itself", function()
    local app = load [[app:get("/", function() return told(redis:command("GET", "a")) end)]]
    t.redis.stub("GET", "x")
    t.redis.down()
    local res = app:get "/"
    assert.is_nil(res.status)
    t.advance(2)
    assert.equal("null | redis:command: redis db:6379: Connection refused | unavailable", res:body())
    t.redis.up()
    t.advance(6)
    assert.equal('"x"', app:get("/"):body())
  end)

  it("is unknown where the connection is lost after it was sent", function()
    local app = load [[app:get("/", function() return told(redis:command("INCR", "a")) end)]]
    t.redis.stub("INCR a", { 1, after = 1 })
    local res = app:get "/"
    t.redis.down()
    assert.matches("^null | redis:command: redis db:6379: the server has closed the connection | unknown$", res:body())
  end)

  it("is unknown where no answer comes in time", function()
    local app = load [[app:get("/", function() return told(redis:command("GET", "a")) end)]]
    t.redis.stub("GET a", { 1, after = math.huge })
    local res = app:get "/"
    t.advance(4.9)
    assert.is_nil(res.status)
    t.advance(0.2)
    assert.matches("no answer .* | unknown$", res:body())
  end)

  it("leaves with its task, and its answer is passed over", function()
    local app = load [[app:get("/slow", function() return told(redis:command("GET", "slow")) end)
      app:get("/", function() return told(redis:command("GET", "fast")) end)]]
    t.redis.stub("GET slow", { "late", after = 1 })
    t.redis.stub("GET fast", "here")
    local slow = app:get "/slow"
    slow:close()
    local fast = app:get "/"
    t.advance(1)
    assert.equal('"here"', fast:body())
  end)

  it("waits in a queue with an end", function()
    local app = load [[local small = spate.redis.open("redis://db", { queue = 2 })
      app:get("/", function() return told(small:command("GET", "a")) end)]]
    t.redis.stub("GET a", { "x", after = 1 })
    local list = {}
    for i = 1, 3 do list[i] = app:get "/" end
    assert.equal("null | redis:command: too much waits for the server already | unavailable", list[3]:body())
    t.advance(1)
    assert.equal('"x"', list[2]:body())
  end)

  it("has a connection of its own where it blocks, which goes with its task", function()
    local app = load [[app:get("/pop", function() return told(redis:command("BLPOP", "jobs", 30)) end)
      app:get("/", function() return told(redis:command("GET", "a")) end)]]
    local stub = t.redis.stub("BLPOP jobs", { { "jobs", "1" }, after = 20 })
    t.redis.stub("GET a", "x")
    local first, second = app:get "/pop", app:get "/pop"
    assert.equal('"x"', app:get("/"):body())
    second:close()
    t.advance(20)
    assert.equal('["jobs","1"]', first:body())
    assert.equal(2, #stub.commands)
    local third = app:get "/pop" -- on the first one's
    t.advance(20)
    assert.equal('["jobs","1"]', third:body())
  end)

  it("blocks only so often at a time", function()
    local app = load [[local one = spate.redis.open("redis://db", { blocking = 1 })
      app:get("/", function() return told(one:command("BLPOP", "jobs", 30)) end)]]
    t.redis.stub("BLPOP", { nil, after = 30 })
    local first, second = app:get "/", app:get "/"
    assert.equal("null | redis:command: as many commands block as may at a time | busy", second:body())
    t.advance(30)
    assert.equal("null", first:body())
  end)

  it("goes on in old code until that ends, and leaves no connection behind", function()
    local app, path = load([[app:get("/pop", function() return told(redis:command("BLPOP", "jobs", 30)) end)
      app:get("/get", function() return told(redis:command("GET", "a")) end)
      app:get("/news", function() return sse.reply(redis:subscribe("news")) end)
      app:get("/read", function() return sse.reply(redis:xread("s")) end)]], { settings = { reload = { max_age = 60 } } }, true)
    t.redis.stub("BLPOP", { { "jobs", "x" }, after = 5 })
    t.redis.stub("GET a", { "late", after = 4 })
    t.redis.stub("XREVRANGE", {})
    t.redis.stub("XREAD", { nil, after = 20 })
    local pop, get, news, read = app:get "/pop", app:get "/get", app:get "/news", app:get "/read"
    assert.is_true(app:reload())
    assert.equal(1, t.redis.publish("news", "x"))
    t.advance(6)
    assert.equal('["jobs","x"]', pop:body())
    assert.equal('"late"', get:body())
    assert.events(news, { RESET, { data = "x" } })
    t.advance(200)
    assert.is_string(news.close_reason)
    assert.is_string(read.close_reason)
    assert.equal(0, t.redis.publish("news", "x"))
    os.remove(path)
  end)

  it("is over where it is closed", function()
    local app = load [[app:get("/", function() return told(redis:command("GET", "a")) end)
      app:get("/close", function() redis:close() return "" end)]]
    t.redis.stub("GET a", { 1, after = 1 })
    local res = app:get "/"
    app:get "/close"
    assert.equal("null | redis:command: redis: it has been closed | closed", res:body())
    assert.equal("null | redis:command: it has been closed | closed", app:get("/"):body())
  end)
end)

describe("redis:pipeline", function()
  it("sends all at once, and returns all", function()
    local app = load [[app:get("/", function()
      return told(redis:pipeline { { "SET", "a", 1 }, { "GET", "none" }, { "LPUSH", "a", "x" } })
    end)]]
    t.redis.stub("SET a 1", true)
    t.redis.stub("GET none", nil)
    t.redis.stub("LPUSH", { err = "WRONGTYPE no" })
    assert.equal('["OK",false,{"code":"wrongtype","err":"WRONGTYPE no"}]', app:get("/"):body())
  end)

  it("is a failure as a whole where there is no server", function()
    local app = load [[app:get("/", function() return told(redis:pipeline { { "GET", "a" }, { "GET", "b" } }) end)]]
    t.redis.down()
    local res = app:get "/"
    t.advance(3)
    assert.matches("| unavailable$", res:body())
    t.redis.up()
  end)

  it("is misuse where a command is none, before any is sent", function()
    local app = load [[app:get("/", function(req) return told(redis:pipeline(json.decode(req.query.c))) end)]]
    t.strict(false)
    for command, message in pairs { ["[]"] = "expected a list of commands", ["[1]"] = "command 1: expected a list of words, got number",
      ["[[]]"] = "expected a command such as", ['[["GET","a"],["SET",true]]'] = "word 2: expected a string or a number, got boolean",
      ['[["BLPOP","a",1]]'] = "command 1: BLPOP blocks" } do
      app:get("/?c=" .. command:gsub('["%[%]]', function(c) return ("%%%02X"):format(c:byte()) end))
      assert.matches(message, app:log(), 1, true)
    end
  end)
end)

describe("redis:transaction", function()
  it("is MULTI and EXEC around its commands", function()
    local app = load [[app:get("/", function() return told(redis:transaction { { "INCR", "a" }, { "GET", "b" } }) end)]]
    local stub = t.redis.stub("INCR a", 1)
    t.redis.stub("GET b", nil)
    assert.equal("[1,false]", app:get("/"):body())
    assert.equal(1, #stub.commands)
  end)
end)

describe("redis:subscribe", function()
  it("is a stream of messages", function()
    local app = load [[app:get("/", function() return sse.reply(redis:subscribe("news")) end)
      app:get("/all", function() return sse.reply(redis:psubscribe("n*")) end)
      app:get("/two", function() return sse.reply(redis:subscribe("news", "other")) end)]]
    local one, all, two = app:get "/", app:get "/all", app:get "/two"
    assert.equal(200, one.status)
    assert.equal(2, t.redis.publish("news", "hello")) -- subscriptions of its one connection
    assert.equal(1, t.redis.publish("other", "two\nlines"))
    assert.equal(1, t.redis.publish("nothing", "x"))
    assert.equal(0, t.redis.publish("elsewhere", "x"))
    assert.events(one, { RESET, { data = "hello" } })
    assert.events(all, { RESET, { event = "news", data = "hello" }, { event = "nothing", data = "x" } })
    assert.events(two, { RESET, { event = "news", data = "hello" }, { event = "other", data = "two\nlines" } })
    one:close()
    all:close()
    two:close()
    assert.equal(0, t.redis.publish("news", "x"))
  end)

  it("comes back, and tells of what may have been lost", function()
    local app = load [[app:get("/", function() return sse.reply(redis:subscribe("news")) end)]]
    local res = app:get "/"
    t.redis.publish("news", "1")
    t.redis.down()
    t.advance(3)
    t.redis.up()
    t.advance(6)
    t.redis.publish("news", "2")
    assert.events(res, { RESET, { data = "1" }, RESET, { data = "2" } })
    res:close()
  end)

  it("begins without a server, after the time to wait, and with a reset", function()
    local app = load [[app:get("/", function() return sse.reply(redis:subscribe("news")) end)]]
    t.redis.down()
    local res = app:get "/"
    assert.is_nil(res.status)
    t.advance(2)
    assert.equal(200, res.status)
    t.redis.up()
    t.advance(6)
    t.redis.publish("news", "1")
    assert.equal("reset", res:events()[1].event)
    assert.equal("1", res:events()[2].data)
    res:close()
  end)

  it("is relayed to a channel, from when the application loads", function()
    local app = load [[local news = sse.channel("news"):relay(redis:subscribe("news"))
      app:get("/", function() return sse.reply(news:subscribe()) end)]]
    local one, two = app:get "/", app:get "/"
    assert.equal(1, t.redis.publish("news", "hello"))
    assert.events(one, { { event = "reset", id = "1-1", data = RESET.data }, { id = "1-2", data = "hello" } })
    assert.events(two, { { id = "1-2", data = "hello" } })
    one:close()
    two:close()
    t.advance(60)
    assert.equal(0, t.redis.publish("news", "hello"))
  end)

  it("bounds what its reader does not take", function()
    local app = load([[app:get("/", function()
      local stream <close>, seen = redis:subscribe("news"), {}
      sse.sleep(1)
      for event in stream:each() do
        seen[#seen + 1] = event.event or event.data
        if event.data == "last" then break end
      end
      return table.concat(seen, " ")
    end)]], { settings = { limits = { queue_events = 3 } } })
    local res = app:get "/"
    for i = 1, 8 do t.redis.publish("news", tostring(i)) end
    t.redis.publish("news", "last")
    t.advance(1)
    assert.matches("^reset ", res:body())
    assert.matches(" last$", res:body())
  end)
end)

describe("redis:xread", function()
  -- A stream of Redis's in the spec's memory.
  local function stand_for(entries)
    local function after(id, from)
      local a, b = id:match "(%d+)%-(%d+)"
      local c, d = from:match "(%d+)%-?(%d*)"
      a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d) or 0
      return a > c or a == c and b > d
    end
    t.redis.stub("XREVRANGE s + -", function() return { entries[#entries] } end)
    t.redis.stub("XRANGE s", function(_, _, from)
      for _, entry in ipairs(entries) do if entry[1] == from then return { entry } end end
      return {}
    end)
    return t.redis.stub("XREAD", function(...)
      local from, found = select(8, ...), {}
      for _, entry in ipairs(entries) do if after(entry[1], from) then found[#found + 1] = entry end end
      if #found == 0 then return { nil, after = 20 } end
      return { { "s", found } }
    end)
  end

  local SOURCE = [[app:get("/", function(req) return sse.reply(redis:xread("s", req.last_event_id)) end)]]

  it("is a stream with ids, which resumes", function()
    local app = load(SOURCE)
    local entries = { { "1-0", { "data", "one" } }, { "2-0", { "a", "1", "b", "2" } } }
    stand_for(entries)
    local res = app:get "/"
    entries[3] = { "3-0", { "data", "three" } }
    t.advance(20)
    assert.events(res, { { id = "3-0", data = "three" } })
    local again = app:get("/", { headers = { ["Last-Event-ID"] = "1-0" } })
    assert.events(again, { { id = "2-0", data = '{"a":"1","b":"2"}' }, { id = "3-0", data = "three" } })
    res:close()
    again:close()
  end)

  it("tells where what was behind is gone", function()
    local app = load(SOURCE)
    stand_for { { "5-0", { "data", "five" } } }
    for _, id in ipairs { "3-0", "9-0", "of-elsewhere" } do
      local res = app:get("/", { headers = { ["Last-Event-ID"] = id } })
      assert.same({ "reset", "five" }, { res:events()[1].event, res:events()[2].data })
      res:close()
    end
  end)

  describe("whose stream is deleted while it waits", function()
    local function info(id) return { "length", 1, "last-generated-id", id, "groups", 0 } end

    it("tells so where that begins anew with lower ids, and reads it", function()
      local app, newest = load(SOURCE), "9-18446744073709551614"
      local entries = { { newest, { "data", "old" } } }
      stand_for(entries)
      t.redis.stub("XINFO STREAM s", function() return info(newest) end)
      local res = app:get("/", { headers = { ["Last-Event-ID"] = newest } })
      t.advance(41)
      assert.events(res, {})
      entries[1], newest = { "9-9223372036854775807", { "data", "new" } }, "9-9223372036854775807"
      t.advance(21)
      assert.same({ "reset", "new" }, { res:events()[1].event, res:events()[2].data })
      assert.equal(newest, res:events()[2].id)
      t.advance(41)
      assert.equal(2, #res:events())
      res:close()
    end)

    it("says nothing where it only loses what it had, or is not there, or may not be looked at", function()
      local app = load(SOURCE)
      local entries = { { "10-0", { "data", "old" } } }
      stand_for(entries)
      local res = app:get("/", { headers = { ["Last-Event-ID"] = "10-0" } })
      entries[1] = nil
      for _, answer in ipairs { info "10-0", { err = "ERR no such key" }, { err = "NOPERM no permission" } } do
        t.redis.stub("XINFO STREAM s", answer)
        t.advance(21)
      end
      entries[1] = { "10-1", { "data", "more" } }
      t.advance(21)
      assert.events(res, { { id = "10-1", data = "more" } })
      res:close()
    end)

    it("needs no stub for that", function()
      local app = load(SOURCE)
      stand_for { { "1-0", { "data", "one" } } }
      local res = app:get "/"
      t.advance(61)
      res:close()
      assert.is_nil(require("spate.test.session").redis.keep(0))
    end)
  end)

  it("goes on where the server was away", function()
    local app = load(SOURCE)
    local entries = { { "1-0", { "data", "one" } } }
    stand_for(entries)
    local res = app:get("/", { headers = { ["Last-Event-ID"] = "1-0" } })
    t.redis.down()
    t.advance(10)
    entries[2] = { "2-0", { "data", "two" } }
    t.redis.up()
    t.advance(15)
    assert.events(res, { { id = "2-0", data = "two" } })
    res:close()
  end)

  it("is relayed to a channel, and read on where it was left", function()
    local app = load [[local news = sse.channel("news"):relay(redis:xread("s", "0"))
      app:get("/", function() return sse.reply(news:subscribe()) end)]]
    local entries = { { "1-0", { "data", "one" } } }
    stand_for(entries)
    local res = app:get "/"
    assert.equal("one", res:events()[1].data)
    res:close()
    t.advance(60)
    entries[2] = { "2-0", { "data", "two" } }
    local again = app:get "/"
    assert.equal("two", again:events()[1].data)
    again:close()
    t.advance(60)
  end)

  it("raises where trying again does not help", function()
    local app = load [[app:get("/", function()
      local ok, err = pcall(function() return redis:xread("s", "0"):next() end)
      return tostring(err)
    end)]]
    t.redis.stub("XREVRANGE", { err = "WRONGTYPE no stream" })
    assert.matches("redis:xread: redis: WRONGTYPE no stream", app:get("/"):body())
  end)
end)

describe("t.redis.stub", function()
  it("names what is asked without one", function()
    local app = load [[app:get("/", function() return told(redis:command("GET", "secret")) end)]]
    assert.matches("no stub is for it: GET secret: t.redis.stub(pattern, answer) | error", app:get("/"):body(), 1, true)
    local left = require("spate.test.session").redis.keep(0)
    assert.equal("asked without a stub (t.redis.stub): GET secret", left)
  end)

  it("is found by its pattern, the newest first", function()
    local app = load [[app:get("/", function(req) return told(redis:command("get", req.query.k)) end)]]
    t.redis.stub("GET", "any")
    t.redis.stub("GET user:*", "user")
    t.redis.stub("GET user:*:name", function(_, key) return key end)
    assert.equal('"any"', app:get("/?k=a"):body())
    assert.equal('"user"', app:get("/?k=user:1"):body())
    assert.equal('"user:1:name"', app:get("/?k=user:1:name"):body())
  end)

  it("is misuse where its answer is none", function()
    assert.has_error(function() t.redis.stub("GET", function() end, 1); t.redis.stub("GET", { a = 1 }) end)
    assert.has_error(function() t.redis.stub(1) end)
    assert.has_error(function() t.redis.stub("GET", print and {{ x = 1 }}) end)
    assert.has_error(function() t.redis.publish("a") end)
  end)

  it("serves all workers", function()
    local app = load([[app:get("/", function() return sse.reply(redis:subscribe("a")) end)]], { workers = 2 })
    local one, two = app:get("/", { worker = 0 }), app:get("/", { worker = 1 })
    assert.equal(2, t.redis.publish("a", "x"))
    assert.events(one, { RESET, { data = "x" } })
    assert.events(two, { RESET, { data = "x" } })
    one:close()
    two:close()
  end)
end)
