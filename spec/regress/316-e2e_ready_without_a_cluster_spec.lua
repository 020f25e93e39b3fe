-- SPDX-License-Identifier: MIT
-- A server whose Redis Cluster had failed or gone said that it was ready: of a cluster nobody asked, but who published.
local process = require "spec.process"
local redis_server = require "spec.redis_server"

if not os.execute "command -v redis-server redis-cli >/dev/null" then
  describe("a server without its Redis Cluster", function() pending "there is no redis-server" end)
  return
end

describe("a server without its Redis Cluster", function()
  before_each(process.enter)
  after_each(function()
    process.leave()
    redis_server.stop()
  end)

  it("is not ready, and is again with it, though nobody asks anything of it", function()
    local nodes = redis_server.cluster(3)
    local server = process.serve([[
app:mount("/-", spate.admin { authorize = function() return true end })
app:get("/publish", function() return sse.channel("a", { history = 1 }):publish "x" or reply.error(503) end)]],
      { arguments = { "-l", "127.0.0.1:0", "--store", ("redis+cluster://127.0.0.1:%d"):format(nodes[1].port) } })
    local function becomes(wanted)
      process.eventually("readyz " .. wanted, function() return process.get(server.port, "/-/readyz") == wanted end)
    end
    local function says(text) process.eventually(text, function() return server:stderr():find(text, 1, true) end) end
    becomes(200)
    nodes[1]:kill()
    nodes[2]:kill() -- the third says that the cluster has failed
    becomes(503)
    says "nothing can be published to the channels that are kept there"
    nodes[3]:kill()
    for _, node in ipairs(nodes) do node:start() end
    becomes(200)
    says "store: goes on"
    process.eventually("a publish", function() return process.get(server.port, "/publish") == 200 end)
  end)
end)
