-- SPDX-License-Identifier: MIT
-- What spate status and spate.stats() say comes from one table, of all workers, while they serve, reload and stop.
local process = require "spec.process"
local json = require("spec.helper").json

describe("the numbers of a process", function()
  before_each(process.enter)
  after_each(process.leave)

  local function status(server)
    local asked = process.spawn { "status", "--json", tostring(server.pid) }
    assert.equal(0, (asked:wait()))
    return json.decode(asked:stdout())
  end

  it("are the same by spate status and spate.stats(), with 4 workers", function()
    local server = process.serve([[
      app:get("/", function() return "x" end)
      app:get("/stats", function() return spate.stats() end)
    ]], { arguments = { "-l", "127.0.0.1:0", "-w", "4" } })
    for _ = 1, 40 do assert.equal(200, (server:get "/")) end
    local stats = json.decode((select(2, server:get "/stats")))
    local told = status(server)
    assert.equal(41, stats.requests_total)
    assert.equal(41, told.requests_total)
    assert.equal(1, stats.generations)
    for name, value in pairs(stats) do assert.equal(math.type(value), math.type(told[name]), name) end
    server:kill "HUP"
    process.eventually("the reload", function() return status(server).generation == 2 end)
    process.eventually("the end of the old states", function() return status(server).generations == 1 end)
    server:stop()
  end)

  it("can be asked for while workers serve, reload and stop", function()
    local server = process.serve([[
      app:get("/", function() return spate.stats() end)
      app:get("/slow", function() return sse.reply(sse.interval(0.01)) end)
    ]], { arguments = { "-l", "127.0.0.1:0", "-w", "4" } })
    for _ = 1, 8 do server:ask "/slow" end
    for _ = 1, 4 do
      local reload = process.spawn { "reload", tostring(server.pid) }
      for _ = 1, 20 do server:get "/" end
      local told = status(server)
      assert.same({ server.addresses[1]:match "//(.*)" }, told.addresses)
      reload:wait()
    end
    server:kill "TERM"
    for _ = 1, 5 do process.spawn { "status", tostring(server.pid) }:wait() end
    server:wait()
    assert.is_nil(server:stderr():find("ThreadSanitizer", 1, true), server:stderr())
  end)
end)
