-- SPDX-License-Identifier: MIT
-- The store on Redis by each way to it: two servers that share a channel and a dictionary, over a socket in the file system,
-- TLS, as a user with no more rights than ../lua/README.md says, by sentinels, in a cluster, in a database, under a prefix.
local helper = require "spec.helper"
local process = require "spec.process"
local redis_server = require "spec.redis_server"

if not os.execute "command -v redis-server redis-cli >/dev/null" then
  describe("a store on Redis", function() pending "there is no redis-server" end)
  return
end

local APP = [[
local shared = spate.shared("d", { store = true })
app:post("/pub", function(req)
  local id, why, code = sse.channel("a", { history = 100 }):publish(req:body())
  return id or reply.error(503, tostring(why) .. " " .. tostring(code))
end)
app:get("/sub", function(req)
  local stream, why = sse.channel("a", { history = 100 }):subscribe { after = req.last_event_id, replay = req.query.replay }
  if not stream then return reply.error(503, why) end
  return sse.reply(stream)
end)
app:get("/stay", function(req)
  local stream = sse.channel("a", { history = 100 }):subscribe()
  return sse.reply(function(send)
    local _ <close> = sse.channel("a"):join(req.query.id)
    for event in stream:each() do send(event) end
  end)
end)
app:get("/state", function()
  local list, members = {}, assert(sse.channel("a"):members())
  for i, member in ipairs(members) do list[i] = member.id end
  return { members = json.array(list), count = sse.channel("a"):count(), shared = assert(shared:incr "n"), keys = assert(shared:keys()), first = shared:add("lock", 1, { ttl = 100 }),
    got = shared:get "n", swapped = shared:cas("lock", 1, 2), size = shared:count(), took = assert(shared:bytes()) > 0, gone = shared:delete "lock" }
end)
app:post("/finish", function() return tostring(sse.channel("a"):finish "bye") end)
]]

local function post(server, target, body)
  local client = process.connect(server.port)
  assert(client:send(("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(target, #body, body)))
  local bytes = assert(client:receive("*a"))
  client:close()
  return tonumber(bytes:match "^HTTP/1%.1 (%d+)"), bytes:match "\r\n\r\n(.*)$"
end

local function stream_of(server, target, fields)
  local client = process.ask(server.port, target, fields)
  process.read_head(client)
  return client
end

local function serve(url)
  process.enter()
  return process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "--store", url } })
end

local function state(server)
  local status, body = process.get(server.port, "/state")
  assert.equal(200, status, body)
  return helper.json.decode(body)
end

-- What two servers of this URL do together.
local function converse(url)
  local one, two = serve(url), serve(url)
  local here, there = stream_of(one, "/sub"), stream_of(two, "/stay?id=ann")
  process.read_until(here, "event: join\n")
  local status, id = post(two, "/pub", "first")
  assert.equal(200, status, id)
  for _, client in ipairs { here, there } do process.read_until(client, "data: first\n") end
  assert.equal(200, (post(one, "/pub", "second")))
  process.read_until(there, "data: second\n")
  assert.same({ members = { "ann" }, shared = 1 }, (function(s) return { members = s.members, shared = s.shared } end)(state(one)))
  local second = state(two)
  assert.same({ 2, { "n" }, true, true, 2, true, true },
    { second.shared, second.keys, second.first, second.swapped, second.size, second.took, second.gone })
  process.eventually("the subscribers of the other", function() return state(one).count == 2 end)
  there:close()
  process.read_until(here, "event: leave\n")
  two:stop()
  two = serve(url)
  local back = stream_of(two, "/sub", "Last-Event-ID: " .. id .. "\r\n") -- at another, behind the first
  process.read_until(back, "data: second\n")
  assert.equal("true", select(2, post(one, "/finish", "")))
  process.read_until(back, "data: bye\n")
  one:stop()
  two:stop()
end

-- The list of rights that the manual gives.
local function rights_of_the_manual()
  local f <close> = assert(io.open "lua/README.md")
  local own, called = f:read("a"):match "With an ACL it needs `([^`]+)`, and what its functions call: `([^`]+)`"
  return ((own .. " " .. called):gsub("%s+", " "))
end

local function refused(url)
  local f <close> = io.popen(("%s/spate serve /dev/null -l 127.0.0.1:0 --store '%s' 2>&1"):format(process.BUILD, url))
  return f:read "a"
end

describe("a store on Redis", function()
  local dir

  before_each(function()
    dir = process.enter()
  end)

  after_each(function()
    for _ = 1, 5 do process.leave() end
    redis_server.stop()
  end)

  it("is reached by a socket in the file system, in a database, under a prefix", function()
    local redis = redis_server.start {}
    converse(redis.unix_url .. "?db=3&prefix=one&timeout=3")
    converse(("redis://127.0.0.1:%d/3?prefix=two"):format(redis.port))
    local keys = redis:cli("-n", "3", "KEYS", "*")
    for _, key in ipairs { "one:{a}:s", "one:{a}:m", "one:{d}:v", "two:{a}:s", "two:{d}:v" } do assert.match(key, keys, 1, true) end
    assert.equal("", redis:cli("KEYS", "*"))
  end)

  it("is reached over TLS, with a certificate of one's own, by who trusts the server's", function()
    process.shell("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost " ..
      "-addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2>/dev/null", dir)
    local port = redis_server.free_port()
    redis_server.start { lines = { "tls-port " .. port, "tls-cert-file " .. dir .. "/cert.pem", "tls-key-file " .. dir .. "/key.pem",
      "tls-ca-cert-file " .. dir .. "/cert.pem", "tls-auth-clients yes" } }
    converse(("rediss://localhost:%d?ca=%s/cert.pem&cert=%s/cert.pem&key=%s/key.pem"):format(port, dir, dir, dir))
    for _, url in ipairs { ("rediss://localhost:%d?timeout=0.5"):format(port), ("rediss://localhost:%d?ca=%s/cert.pem&timeout=0.5"):format(port, dir) } do
      local server = serve(url)
      assert.same({ 503, "unavailable" }, (function(status, body) return { status, body:match "unavailable" } end)(post(server, "/pub", "x")))
      process.eventually("why", function() return server:stderr():find("nothing can be published to the channels that are kept there", 1, true) end)
      server:stop()
    end
  end)

  it("is spoken to with a password, or as a user with the rights that the manual names and no others", function()
    local redis = redis_server.start { auth = "-a top --no-auth-warning",
      lines = { "user default on >top ~* &* +@all", "user app on >p@ss " .. rights_of_the_manual(), "user less on >x ~spate:* &spate:* +@connection +info" } }
    converse(("redis://:top@127.0.0.1:%d"):format(redis.port))
    redis:cli "FLUSHALL"
    redis:cli("FUNCTION", "FLUSH")
    converse(("redis://app:p%%40ss@127.0.0.1:%d"):format(redis.port))
    assert.equal("", redis:cli("ACL", "LOG"))
    local server = serve(("redis://less:x@127.0.0.1:%d?timeout=1"):format(redis.port))
    local status, body = post(server, "/pub", "x")
    assert.equal(503, status)
    assert.match("noperm", body)
    server:stop()
    server = serve(("redis://app:wrong@127.0.0.1:%d?timeout=1"):format(redis.port))
    assert.equal(503, (post(server, "/pub", "x")))
    process.eventually("why", function() return server:stderr():find("WRONGPASS", 1, true) end)
    assert.is_nil(server:stderr():find("wrong@", 1, true))
    server:stop()
  end)

  it("is found by sentinels, that want a password of their own", function()
    local redis = redis_server.start { requirepass = "secret", auth = "-a secret --no-auth-warning" }
    local sentinel = redis_server.sentinel(redis, "main", { "sentinel auth-pass main secret", "requirepass watch" }, "-a watch --no-auth-warning")
    redis_server.eventually("the sentinel", function() return sentinel:cli("SENTINEL", "MASTER", "main"):find(tostring(redis.port), 1, true) end)
    converse(("redis+sentinel://:secret@127.0.0.1:%d/main?sentinel_password=watch"):format(sentinel.port))
  end)

  it("is each channel's node of a cluster", function()
    converse(("redis+cluster://127.0.0.1:%d?timeout=4"):format(redis_server.cluster(3)[1].port))
  end)
end)

describe("a store's URL", function()
  before_each(function() process.enter() end)
  after_each(function() process.leave() end)

  for url, message in pairs {
    ["redis://localhost:0"] = "expected 1 to 65535 as the port in the URL, got 0",
    ["redis://user:p%zz@localhost"] = "an escape in the URL's user or password is none",
    ["redis://localhost/x"] = "expected a database's number at the end of the URL",
    ["redis+cluster://localhost/1"] = "expected a database's number at the end of the URL; a cluster has 0 only",
    ["redis+sentinel://localhost"] = "expected the master's name behind the sentinels",
    ["unix://"] = "expected the path of a socket in the URL",
    ["redis://localhost?prefix="] = "prefix: expected some characters",
    ["redis://localhost?timeout=soon"] = "timeout: expected 0.1 to 60 seconds",
    ["redis://localhost?timeout=0.01"] = "timeout: expected 0.1 to 60 seconds",
    ["redis://localhost?timeout=61"] = "timeout: expected 0.1 to 60 seconds",
    ["redis://localhost?retries=3"] = "the URL has an option 'retries', which is not known; there are prefix and timeout",
    ["redis://localhost?prefix"] = "prefix: expected some characters",
    ["redis+odd://localhost"] = "expected a URL of redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://",
  } do
    it("is refused as " .. url .. ", with what is wrong, and without the password", function()
      local said = refused(url)
      assert.match("spate: --store: " .. message, said, 1, true)
      assert.is_nil(said:find("p%zz", 1, true))
    end)
  end
end)
