-- SPDX-License-Identifier: MIT
-- spate.cron with once = "cluster": servers that have a real Redis server together, whose own time stands.
local helper = require "spec.helper"
local redis_server = require "spec.redis_server"

if not os.execute "command -v redis-server redis-cli >/dev/null" then
  describe("spate.cron of several servers", function() pending "there is no redis-server" end)
  return
end

local APP = [[
local runs = {}
spate.cron("* * * * *", function(due)
  runs[#runs + 1] = due
  sse.sleep(SECONDS)
end, { once = "cluster" })
app:get("/", function() return json.array(runs) end)
]]

describe("spate.cron of several servers", function()
  local redis, servers

  setup(function() redis = redis_server.start {} end)
  teardown(redis_server.stop)
  after_each(function()
    for _, server in ipairs(servers) do server.core:close() end
  end)

  local function serve(seconds)
    redis:cli "FLUSHALL"
    servers = {}
    for i = 1, 2 do
      servers[i] = helper.serve(APP:gsub("SECONDS", seconds), { settings = { store = "unix://" .. redis.socket } })
    end
  end

  local function advance(seconds)
    for _, server in ipairs(servers) do server:advance(seconds) end
    for _ = 1, 20 do
      for _, server in ipairs(servers) do
        server.core:store():settle(0.001)
        server:turn()
      end
    end
  end

  local function runs()
    local list = {}
    for _, server in ipairs(servers) do table.move(server:get("/"):json(), 1, 100, #list + 1, list) end
    table.sort(list)
    return list
  end

  it("runs each time at one of them", function()
    serve "0.1"
    for _ = 1, 3 do advance(60) end
    assert.same({ 60, 120, 180 }, runs())
  end)

  it("leaves a run out while the one before it goes on elsewhere", function()
    serve "100"
    advance(60)
    for _ = 1, 6 do advance(10) end
    assert.same({ 60 }, runs())
    assert.matches("a run is left out: the one before it goes on", servers[1]:log() .. servers[2]:log())
    for _ = 1, 12 do advance(10) end
    assert.same({ 60, 180 }, runs())
  end)

  it("leaves a run out where nobody can know, and says so", function()
    serve "0.1"
    redis:kill()
    servers[1]:advance(60)
    for _ = 1, 5 do
      servers[1].core:store():poll(0.02)
      servers[1]:advance(6)
    end
    assert.same({}, servers[1]:get("/"):json())
    assert.matches("a run is left out: the store is unavailable", servers[1]:log())
    redis = redis_server.start {}
  end)
end)
