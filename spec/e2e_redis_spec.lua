-- SPDX-License-Identifier: MIT
-- spate.redis in the real program, with a real Redis server: restarts, silence, users, large values, TLS.
local helper = require "spec.helper"
local process = require "spec.process"
local redis_server = require "spec.redis_server"

local APP = [[
local OPTIONS = %s
local redis = spate.redis.open(%q, OPTIONS)
local function told(value, message, code) return { value = value, message = message, code = code } end
app:post("/command", function(req) return told(redis:command(table.unpack(req:json()))) end)
app:post("/pipeline", function(req) return told(redis:pipeline(req:json())) end)
app:post("/transaction", function(req) return told(redis:transaction(req:json())) end)
app:get("/listen", function(req) return sse.reply(redis:subscribe(req.query.channel)) end)
app:get("/shard", function(req) return sse.reply(redis:ssubscribe(req.query.channel)) end)
app:get("/read", function(req) return sse.reply(redis:xread("events", req.last_event_id)) end)
app:get("/large", function()
  local value = ("x"):rep(4 * 1024 * 1024)
  assert(redis:command("SET", "large", value))
  return tostring(redis:command("GET", "large") == value)
end)
app:get("/many", function()
  local done = 0
  local tasks = {}
  for i = 1, 50 do
    tasks[i] = sse.spawn(function()
      for j = 1, 20 do
        local text = i .. ":" .. j
        assert(redis:command("ECHO", text) == text)
        done = done + 1
      end
    end)
  end
  for _, task in ipairs(tasks) do task:join() end
  return tostring(done)
end)
]]

local server

local function serve(url, options) server = process.serve(APP:format(options or "{}", url)) end

local function post(target, value)
  local body = helper.json.encode(value)
  local client = process.connect(server.port)
  assert(client:send(("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
    target, #body, body)))
  local bytes = assert(client:receive("*a"))
  client:close()
  return assert(helper.json.decode(bytes:match("\r\n\r\n(.*)$")), bytes)
end

local function command(...) return post("/command", { ... }) end

before_each(function() process.enter() end)
after_each(function()
  process.leave()
  redis_server.stop()
end)

for _, kind in ipairs { "a UNIX socket", "TCP" } do
  describe("spate.redis over " .. kind, function()
    local redis

    before_each(function()
      redis = redis_server.start()
      serve(kind == "TCP" and redis.url or redis.unix_url, "{ wait = 1, timeout = 2 }")
    end)

    it("asks and is answered", function()
      assert.same({ value = "OK" }, command("SET", "a", "1"))
      assert.same({ value = "1" }, command("GET", "a"))
      assert.same({}, command("GET", "none"))
      assert.same({ value = { "OK", 2, false } }, post("/pipeline", { { "SET", "n", "1" }, { "INCR", "n" }, { "GET", "none" } }))
      assert.same({ value = { 3, 4 } }, post("/transaction", { { "INCR", "n" }, { "INCR", "n" } }))
      assert.equal("wrongtype", command("LPUSH", "a", "x").code)
      assert.equal("error", command("NOSUCH").code)
      local wrong = post("/transaction", { { "INCR", "n" }, { "NOSUCH" } })
      assert.equal("error", wrong.code)
      assert.matches("unknown command", wrong.message)
      assert.same({ value = "4" }, command("GET", "n"))
      assert.same({ value = { "jobs", "x" } }, (function()
        redis:cli("LPUSH", "jobs", "x")
        return command("BLPOP", "jobs", 1)
      end)())
      assert.same({}, command("BLPOP", "jobs", 0.2))
    end)

    it("carries large values", function() assert.equal("true", select(2, server:get "/large")) end)

    it("serves many tasks by one connection", function()
      assert.equal("1000", select(2, server:get "/many"))
      assert.matches("connected_clients:[12]\r?\n", redis:cli("INFO", "clients"))
    end)

    it("hears what is published, also behind a restart, which it tells of", function()
      local stream = server:ask "/listen?channel=news"
      process.read_head(stream)
      redis:cli("PUBLISH", "news", "one")
      process.read_until(stream, "data: one\n")
      redis:kill()
      redis:start()
      process.read_until(stream, "event: reset\n")
      redis:cli("PUBLISH", "news", "two")
      process.read_until(stream, "data: two\n")
      stream:close()
      redis_server.eventually("the end of the subscription", function() return redis:cli("PUBSUB", "NUMSUB", "news"):find "0" end)
    end)

    it("is unavailable while there is no server, and comes back by itself", function()
      assert.same({ value = "PONG" }, command("PING"))
      redis:kill()
      assert.equal("unavailable", command("GET", "a").code)
      redis:start()
      redis_server.eventually("another connection", function() return command("PING").value == "PONG" end)
    end)

    it("does not wait for a server that stands still, and goes on with it", function()
      assert.same({ value = "OK" }, command("SET", "a", "1"))
      redis:signal "STOP"
      assert.equal("unknown", command("GET", "a").code)
      assert.equal("unavailable", command("GET", "a").code) -- its connection was given up, and another does not come about
      redis:signal "CONT"
      redis_server.eventually("another connection", function() return command("GET", "a").value == "1" end)
    end)

    it("reads a stream of Redis's, and resumes it", function()
      redis:cli("XADD", "events", "1-1", "data", "one")
      redis:cli("XADD", "events", "1-2", "kind", "two")
      local stream = process.ask(server.port, "/read", "Last-Event-ID: 1-1\r\n")
      assert.matches('id: 1%-2\ndata: {"kind":"two"}\n', process.read_until(stream, "\n\n"))
      redis:cli("XADD", "events", "1-3", "data", "three")
      process.read_until(stream, "id: 1-3\ndata: three\n")
      redis_server.eventually("the reader", function() return redis:cli("CLIENT", "LIST"):find "cmd=xread" end)
      stream:close()
      redis_server.eventually("the end of the reader", function() return not redis:cli("CLIENT", "LIST"):find "cmd=xread" end)
    end)
  end)
end

describe("spate.redis", function()
  it("speaks as a user, in a database", function()
    local redis = redis_server.start { auth = "-a top --no-auth-warning", lines = { "user default on >top ~* &* +@all", "user app on >p@ss ~app:* &app:* +get +set +ping +select" } }
    serve(("redis://app:p%%40ss@127.0.0.1:%d/2"):format(redis.port))
    assert.same({ value = "OK" }, command("SET", "app:a", "1"))
    assert.equal("noperm", command("GET", "other").code)
    assert.equal("noperm", command("INCR", "app:a").code)
    assert.matches("1", redis:cli("-n", "2", "GET", "app:a"))
    process.leave()
    process.enter()
    serve(("redis://app:wrong@127.0.0.1:%d"):format(redis.port), "{ wait = 0.5 }")
    local refused = command("GET", "app:a")
    assert.equal("unavailable", refused.code)
    assert.matches("WRONGPASS", refused.message)
    assert.is_nil(server:stderr():find("wrong@", 1, true))
  end)

  it("finds a server by its name", function()
    local redis = redis_server.start()
    serve(("redis://localhost:%d"):format(redis.port))
    assert.same({ value = "PONG" }, command("PING"))
    process.leave()
    process.enter()
    serve("redis://no-such-host.invalid", "{ wait = 5 }")
    assert.equal("unavailable", command("PING").code)
  end)

  it("speaks TLS, and to whom it should only", function()
    local dir = process.enter()
    process.shell("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost " ..
      "-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null", dir)
    local port = redis_server.free_port()
    local redis = redis_server.start { lines = { "tls-port " .. port, "tls-cert-file " .. dir .. "/cert.pem", "tls-key-file " .. dir .. "/key.pem",
      "tls-ca-cert-file " .. dir .. "/cert.pem", "tls-auth-clients no" } }
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      serve(("rediss://%s:%d?ca=%s/cert.pem"):format(host, port, dir))
      assert.same({ value = "OK" }, command("SET", "a", "1"), host)
      assert.equal("true", select(2, server:get "/large"))
      assert.equal("1000", select(2, server:get "/many"))
      server:stop()
    end
    serve(("rediss://localhost:%d"):format(port), "{ wait = 3 }")
    local refused = command("GET", "a")
    assert.equal("unavailable", refused.code)
    assert.matches("certificate", refused.message)
    server:stop()
    serve(("rediss://127.0.0.2:%d?ca=%s/cert.pem"):format(port, dir), "{ wait = 0.5 }")
    assert.equal("unavailable", command("GET", "a").code)
    server:stop()
    serve(("rediss://localhost:%d"):format(port), "{ verify = false }")
    assert.same({ value = "1" }, command("GET", "a"))
    server:stop()
    serve(("rediss://localhost:%d"):format(redis.port), "{ wait = 0.5, connect = 0.4 }")
    assert.equal("unavailable", command("GET", "a").code)
  end)
end)

describe("spate.redis with sentinels", function()
  it("finds the master by its name, and the next one behind a failover", function()
    local master = redis_server.start()
    local replica = redis_server.start { replicaof = "127.0.0.1 " .. master.port }
    redis_server.eventually("the replica", function() return replica:cli("INFO", "replication"):find "master_link_status:up" end)
    local sentinel = redis_server.sentinel(master, "main")
    redis_server.eventually("the sentinel", function() return sentinel:cli("SENTINEL", "REPLICAS", "main"):find(tostring(replica.port), 1, true) end)
    local dead = redis_server.free_port()
    serve(("redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/main"):format(dead, sentinel.port), "{ wait = 3, timeout = 4 }")
    assert.same({ value = "OK" }, command("SET", "a", "1"))
    local stream = server:ask "/listen?channel=news"
    process.read_head(stream)
    master:cli("PUBLISH", "news", "one")
    process.read_until(stream, "data: one\n")
    master:kill()
    redis_server.eventually("a failover", function() return replica:cli("ROLE"):find "^master" end)
    redis_server.eventually("the new master", function() return command("SET", "a", "2").value == "OK" end)
    assert.equal("2", replica:cli("GET", "a"))
    process.read_until(stream, "event: reset\n")
    replica:cli("PUBLISH", "news", "two")
    process.read_until(stream, "data: two\n")
    stream:close()
  end)

  it("says that nobody knows the name", function()
    local master = redis_server.start()
    local sentinel = redis_server.sentinel(master, "main")
    serve(("redis+sentinel://127.0.0.1:%d/other"):format(sentinel.port), "{ wait = 1 }")
    local answer = command("GET", "a")
    assert.equal("unavailable", answer.code)
    assert.matches("no sentinel knows where 'other' is", answer.message)
  end)
end)

describe("spate.redis with a cluster", function()
  local nodes

  before_each(function()
    nodes = redis_server.cluster(3)
    serve(("redis+cluster://127.0.0.1:%d"):format(nodes[1].port), "{ wait = 2, timeout = 4 }")
  end)

  -- The node that has the key, and its slot.
  local function owner(key)
    local slot = tonumber(nodes[1]:cli("CLUSTER", "KEYSLOT", key))
    for _, node in ipairs(nodes) do
      for from, to in (node:cli("CLUSTER", "NODES"):match("[^\n]*myself[^\n]*") or ""):gmatch "%f[%d](%d+)%-(%d+)" do
        if slot >= tonumber(from) and slot <= tonumber(to) then return node, slot end
      end
    end
  end

  local function id_of(node) return node:cli("CLUSTER", "MYID") end

  it("asks the node that has the key", function()
    local commands = {}
    for i = 1, 60 do
      assert.same({ value = "OK" }, command("SET", "key" .. i, tostring(i)))
      commands[i] = { "GET", "key" .. i }
    end
    local values = post("/pipeline", commands).value
    for i = 1, 60 do assert.equal(tostring(i), values[i]) end
    local with_keys = 0
    for _, node in ipairs(nodes) do with_keys = with_keys + (tonumber(node:cli "DBSIZE") > 0 and 1 or 0) end
    assert.equal(3, with_keys)
    assert.same({ value = { 1, 2 } }, post("/transaction", { { "INCR", "{t}a" }, { "INCRBY", "{t}a", "1" } }))
    owner("jobs"):cli("LPUSH", "jobs", "x")
    assert.same({ value = { "jobs", "x" } }, command("BLPOP", "jobs", 1))
    assert.same({ value = "x" }, command("EVAL", "return redis.call('get', KEYS[1]) or 'x'", 1, "none"))
  end)

  it("follows a slot that moves, while it moves and after", function()
    assert.same({ value = "OK" }, command("SET", "a", "1"))
    local from, slot = owner "a"
    local to = nodes[1] == from and nodes[2] or nodes[1]
    to:cli("CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(from))
    from:cli("CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(to))
    from:cli("MIGRATE", "127.0.0.1", to.port, "a", "0", "1000")
    assert.same({ value = "1" }, command("GET", "a")) -- by ASK
    for _, node in ipairs(nodes) do node:cli("CLUSTER", "SETSLOT", slot, "NODE", id_of(to)) end
    assert.same({ value = "1" }, command("GET", "a")) -- by MOVED
    assert.same({ value = "OK" }, command("SET", "a", "2"))
    assert.equal("2", to:cli("GET", "a"))
  end)

  it("hears of a slot's channel, also where that moves", function()
    local stream = server:ask "/shard?channel=a"
    process.read_head(stream)
    local from, slot = owner "a"
    redis_server.eventually("the subscription", function() return from:cli("PUBSUB", "SHARDNUMSUB", "a"):find "1" end)
    from:cli("SPUBLISH", "a", "one")
    process.read_until(stream, "data: one\n")
    local to = nodes[1] == from and nodes[2] or nodes[1]
    to:cli("CLUSTER", "SETSLOT", slot, "IMPORTING", id_of(from))
    from:cli("CLUSTER", "SETSLOT", slot, "MIGRATING", id_of(to))
    for _, node in ipairs { to, from, nodes[3] } do node:cli("CLUSTER", "SETSLOT", slot, "NODE", id_of(to)) end
    process.read_until(stream, "event: reset\n")
    redis_server.eventually("the subscription", function() return to:cli("PUBSUB", "SHARDNUMSUB", "a"):find "1" end)
    to:cli("SPUBLISH", "a", "two")
    process.read_until(stream, "data: two\n")
    stream:close()
  end)

  it("hears of other channels from any node", function()
    local stream = server:ask "/listen?channel=news"
    process.read_head(stream)
    for i, node in ipairs(nodes) do
      node:cli("PUBLISH", "news", "from " .. i)
      process.read_until(stream, ("data: from %d\n"):format(i))
    end
    stream:close()
  end)
end)
