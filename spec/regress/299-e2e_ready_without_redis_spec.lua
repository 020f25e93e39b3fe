-- SPDX-License-Identifier: MIT
-- A server whose Redis had gone said that it was ready until somebody published, and behind that that it was not, until somebody published
-- once more.
local process = require "spec.process"
local redis_server = require "spec.redis_server"

if not os.execute "command -v redis-server redis-cli >/dev/null" then
  describe("a server without its Redis", function() pending "there is no redis-server" end)
  return
end

describe("a server without its Redis", function()
  before_each(process.enter)
  after_each(function()
    process.leave()
    redis_server.stop()
  end)

  it("is not ready, and is again with it, though nobody asks anything of it", function()
    local redis = redis_server.start {}
    local server = process.serve([[
app:mount("/-", spate.admin { authorize = function() return true end })
app:get("/publish", function() return sse.channel("a", { history = 1 }):publish "x" or reply.error(503) end)]],
      { arguments = { "-l", "127.0.0.1:0", "--store", redis.url } })
    local function becomes(wanted)
      process.eventually("readyz " .. wanted, function() return process.get(server.port, "/-/readyz") == wanted end)
    end
    becomes(200)
    redis:kill()
    becomes(503)
    redis:start()
    becomes(200)
    assert.equal(200, (process.get(server.port, "/publish")))
  end)
end)
