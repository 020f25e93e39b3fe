-- SPDX-License-Identifier: MIT
-- Three servers with one Redis: publishers and subscribers on each of them, while servers and Redis are killed, stopped, cut
-- off and replaced. One example has a thousand subscribers; NODES_SUBSCRIBERS=1000 has as many in each.
local nodes_fleet = require "spec.nodes_fleet"
local process = require "spec.process"
local redis_server = require "spec.redis_server"
local socket = require "socket"

local NODES, CHANNELS, SUBSCRIBERS = 3, 3, tonumber(os.getenv "NODES_SUBSCRIBERS" or "36")
local APP = [[
local OPTIONS = { history = 100000, queue = 100000 }
app:post("/pub/:name", function(req)
  local id, why, code = sse.channel(req.params.name, OPTIONS):publish(req:body())
  return id or reply.error(503, tostring(why) .. " " .. tostring(code))
end)
app:get("/sub/:name", function(req)
  local channel = sse.channel(req.params.name, OPTIONS)
  local stream, why = channel:subscribe { after = req.last_event_id, replay = req.query.replay }
  if not stream then return reply.error(503, why) end
  return sse.reply(stream)
end)
app:get("/stay/:name", function(req)
  local stream = sse.channel(req.params.name, OPTIONS):subscribe()
  return sse.reply(function(send)
    local _ <close> = sse.channel(req.params.name):join(req.query.id)
    for event in stream:each() do send(event) end
  end)
end)
app:get("/members/:name", function(req)
  local list, members = {}, assert(sse.channel(req.params.name, OPTIONS):members())
  for i, member in ipairs(members) do list[i] = member.id end
  table.sort(list)
  return table.concat(list, " ")
end)
app:get("/count/:name", function(req) return tostring(sse.channel(req.params.name, OPTIONS):count()) end)
]]

local function is_able() return os.execute "command -v redis-server redis-cli >/dev/null" == true end

if os.getenv "ASAN_OPTIONS" then return end -- it takes minutes there; e2e_redis_store_spec has the same code in one

describe("several servers with one Redis", function()
  local folder, redis, nodes, fleet

  local function serve(url, options)
    options = options or {}
    options.arguments = { "-l", (options.host or "127.0.0.1") .. ":" .. (options.port or 0), "--store", url }
    local node = process.serve(APP, options)
    node.url = url
    return node
  end

  local function begin(url, subscribers)
    subscribers = subscribers or SUBSCRIBERS
    local addresses = {}
    for i = 1, NODES do
      nodes[i] = serve(url)
      addresses[i] = { "127.0.0.1", nodes[i].port }
    end
    fleet = nodes_fleet(addresses)
    for i = 1, subscribers do fleet:subscribe("c" .. i % CHANNELS, i % NODES + 1) end
    for i = 1, NODES * 2 do fleet:publish("c" .. i % CHANNELS, i % NODES + 1, "p" .. i) end
    fleet.interval = subscribers > 100 and 0.05 or 0.01
    fleet:progress(60)
  end

  before_each(function()
    folder, nodes = process.enter(), {}
    if not is_able() then return end
    -- With everysec it answers up to two seconds before it writes where the disk is late; a kill loses that.
    redis = redis_server.start { appendonly = "yes", appendfsync = "always" }
  end)

  after_each(function()
    if fleet then fleet:close() end
    fleet = nil
    process.leave()
    process.leave()
    redis_server.stop()
  end)

  local function example(name, fn)
    if is_able() then it(name, fn) else pending(name .. ": there is no redis-server") end
  end

  example("give everybody all events once, in the order of Redis", function()
    begin(redis.unix_url)
    fleet:progress(300)
    local result = fleet:check()
    local total = 0
    for _, all in pairs(result.kept) do total = total + #all end
    assert.is_true(total >= 360)
  end)

  example("go on without one that is killed, whose clients come back elsewhere", function()
    begin(redis.unix_url)
    nodes[2]:kill "KILL"
    fleet:progress(200)
    nodes[2] = serve(redis.unix_url, { port = nodes[2].port })
    fleet:progress(100)
    nodes[1]:kill "KILL"
    fleet:progress(100)
    nodes[1] = serve(redis.unix_url, { port = nodes[1].port })
    fleet:check()
  end)

  example("serve a thousand subscribers, while one is killed and Redis restarts", function()
    begin(redis.unix_url, 1000)
    nodes[2]:kill "KILL"
    fleet:progress(50)
    nodes[2] = serve(redis.unix_url, { port = nodes[2].port })
    redis:kill "KILL"
    redis:start()
    fleet:progress(100)
    fleet:check()
  end)

  example("lose the members and the subscribers of one that is killed, half a minute later", function()
    for i = 1, 2 do nodes[i] = serve(redis.unix_url) end
    local live = nodes[1]:ask "/stay/c1?id=ann"
    process.read_until(live, '"id":"ann"')
    local gone = nodes[2]:ask "/stay/c1?id=bob" -- not before she hears of it
    process.read_until(live, '"id":"bob"')
    local function state() return select(2, process.get(nodes[1].port, "/members/c1")) .. " " .. select(2, process.get(nodes[1].port, "/count/c1")) end
    process.eventually("both", function() return state() == "ann bob 2" end)
    nodes[2]:kill "KILL"
    local began = socket.gettime()
    gone:close()
    assert.equal("ann bob 2", state())
    live:settimeout(60)
    process.read_until(live, "event: leave\n")
    process.read_until(live, '"id":"bob"')
    assert.is_true(socket.gettime() - began > 15) -- it might have been cut off only
    while state() ~= "ann 1" and socket.gettime() - began < 60 do socket.sleep(0.1) end
    assert.equal("ann 1", state())
    live:close()
  end)

  for signal, how in pairs { TERM = "is restarted", KILL = "is killed, and comes back from its log" } do
    example("lose nothing while Redis " .. how, function()
      begin(redis.unix_url)
      redis:kill(signal)
      fleet:run(1.5)
      redis:start()
      fleet:progress(200)
      redis:kill(signal)
      redis:start()
      fleet:progress(200)
      fleet:check()
      for _, node in ipairs(nodes) do assert.is_false(node:has_ended()) end
    end)
  end

  example("wait while Redis stands still, and answer that it is unavailable", function()
    begin(redis.unix_url .. "?timeout=1")
    redis:signal "STOP"
    fleet:run(2)
    local status, body = process.get(nodes[1].port, "/sub/never-seen-before")
    assert.equal(503, status)
    assert.match("unavailable", body)
    local began = socket.gettime()
    assert.equal(404, (process.get(nodes[2].port, "/nothing"))) -- no loop stands still
    assert.is_true(socket.gettime() - began < 1)
    fleet:run(3)
    redis:signal "CONT"
    fleet:progress(200)
    fleet:check()
  end)

  -- A namespace with two links of its own: by one it reaches Redis, by the other its clients reach it. Answers the first three
  -- numbers of the addresses of either link: .1 here and .2 there, of a network that no other run beside has.
  local function isolate(name, number)
    local nets = {}
    process.shell("ip netns add %s && ip netns exec %s ip link set lo up", name, name)
    for i, link in ipairs { "r", "c" } do
      local here, there = name .. link .. 0, name .. link .. 1
      nets[i] = ("10.%d.%d"):format(210 + i, number % 256)
      process.shell("ip link add %s type veth peer name %s && ip link set %s netns %s && ip addr add %s.1/30 dev %s && ip link set %s up", here, there, there, name, nets[i], here, here)
      process.shell("ip netns exec %s ip addr add %s.2/30 dev %s && ip netns exec %s ip link set %s up", name, nets[i], there, name, there)
    end
    return nets[1], nets[2]
  end

  example("catch up behind a link that was cut, and keep their clients meanwhile", function()
    local number = redis_server.free_port()
    local name = "sp" .. number
    if not os.execute(("ip netns add %sx 2>/dev/null && ip netns del %sx"):format(name, name)) then return pending "no right to make network namespaces" end
    finally(function() os.execute("ip netns del " .. name) end)
    local to_redis, to_clients = isolate(name, number)
    redis = redis_server.start { appendonly = "yes", lines = { ("bind 127.0.0.1 %s.1"):format(to_redis) } }
    local url = ("redis://%s.1:%d?timeout=2"):format(to_redis, redis.port)
    begin(url)
    nodes[1]:kill "KILL"
    nodes[1] = serve(url, { wrapper = "ip netns exec " .. name, host = to_clients .. ".2" })
    fleet.addresses[1] = { to_clients .. ".2", nodes[1].port }
    fleet:progress(200)
    local there = fleet:subscribe("c1", 1)
    fleet:run(1)
    process.shell("ip link set %sr0 down", name)
    fleet:run(5)
    fleet:progress(50) -- on the others
    assert.equal(1, there.at)
    assert.is_true(there.has_head)
    process.shell("ip link set %sr0 up", name)
    fleet:progress(100)
    fleet:check()
    assert.equal(1, there.at)
  end)

  example("find the new master by sentinels", function()
    local replica = redis_server.start { appendonly = "yes", replicaof = "127.0.0.1 " .. redis.port }
    process.eventually("a replica", function() return replica:cli("INFO", "replication"):find("master_link_status:up", 1, true) end)
    local sentinel = redis_server.sentinel(redis, "main")
    redis_server.eventually("what the sentinel knows", function() return sentinel:cli("SENTINEL", "replicas", "main"):find(tostring(replica.port), 1, true) end)
    begin(("redis+sentinel://127.0.0.1:%d/main?timeout=2"):format(sentinel.port))
    redis:kill()
    fleet:progress(200)
    assert.match("role:master", replica:cli("INFO", "replication"), 1, true)
    local result = fleet:check(true)
    assert.is_true(result.lost < 20, result.lost)
  end)

  example("have each channel at its node of a cluster", function()
    local masters = redis_server.cluster(3)
    begin(("redis+cluster://127.0.0.1:%d?timeout=3"):format(masters[1].port))
    local held = 0
    for _, master in ipairs(masters) do
      if master:cli("KEYS", "spate:*") ~= "" then held = held + 1 end
    end
    assert.is_true(held > 1, held .. " of three have some")
    fleet:progress(200)
    fleet:check()
  end)

  example("go on with the replica of a cluster's master that dies", function()
    local servers, dead = redis_server.cluster(3, 1), nil
    begin(("redis+cluster://127.0.0.1:%d,127.0.0.1:%d?timeout=3"):format(servers[1].port, servers[2].port))
    for i = 1, 3 do
      if not dead and servers[i]:cli("EXISTS", "spate:{c1}:s") == "1" then dead = servers[i] end
    end
    dead:kill()
    local function is_whole()
      for _, server in ipairs(servers) do
        if server ~= dead and not server:cli("CLUSTER", "INFO"):find("cluster_state:ok", 1, true) then return false end
      end
      return true
    end
    fleet:till("a master in its place", is_whole)
    fleet:progress(200)
    dead:start() -- as a replica of who has its place now
    fleet:progress(100)
    assert.is_true(fleet:check(true).lost < 20)
  end)

  example("tell of what a failover has lost, and of nothing else", function()
    local replica = redis_server.start { appendonly = "yes", replicaof = "127.0.0.1 " .. redis.port }
    local path = folder .. "/master.sock"
    process.shell("ln -s %s %s", redis.socket, path)
    process.eventually("a replica", function() return replica:cli("INFO", "replication"):find("master_link_status:up", 1, true) end)
    begin("unix://" .. path)
    replica:cli("REPLICAOF", "NO", "ONE") -- what the old one takes from now on is lost
    fleet:progress(60)
    redis:kill()
    process.shell("ln -sfn %s %s", replica.socket, path)
    fleet:progress(200)
    local result = fleet:check(true)
    assert.is_true(result.lost > 0 and result.resets > 0)
  end)
end)
