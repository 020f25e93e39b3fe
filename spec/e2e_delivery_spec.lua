-- SPDX-License-Identifier: MIT
-- A channel in the real program: two workers, publishers at both, subscribers that drop and resume at random.
-- DELIVERY_SUBSCRIBERS and DELIVERY_SECONDS make it larger.
local process = require "spec.process"

local SUBSCRIBERS = tonumber(os.getenv("DELIVERY_SUBSCRIBERS")) or 200
local SECONDS = tonumber(os.getenv("DELIVERY_SECONDS")) or 5
local RATE = SUBSCRIBERS > 500 and 100 or 400 -- events per second
local APP = [[
local spate, sse = require "spate", require "spate.sse"
local app, channel = spate.app(), sse.channel("news", { history = 1000000, compress = true })

app:post("/publish", function(req) return (assert(channel:publish(req:body()))) end)
app:get("/live", function(req) return sse.reply(channel:subscribe { after = req.last_event_id }) end)
app:get("/all", function(req) return sse.reply(channel:subscribe { after = req.last_event_id, replay = "all" }) end)
app:get("/worker", function() return { worker = spate.worker, count = channel:count() } end)

return app
]]

local server

local function run(line)
  local f = assert(io.popen(line .. " 2>&1"))
  local text = f:read("a")
  local ok = f:close()
  return ok, text
end

local function build_client()
  assert(os.execute(("mkdir -p %s/bench && ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -pthread -o %s/bench/delivery spec/bench/delivery.c -lz")
    :format(process.BUILD, process.BUILD)))
end

describe("a channel of two workers", function()
  before_each(function()
    local app = process.enter() .. "/app.lua"
    process.write_file(app, APP)
    build_client()
    server = process.serve(app, { arguments = { "-l", "127.0.0.1:0", "-w", "2" }, settings = "{ log = { access = false } }" })
  end)

  after_each(process.leave)

  for how, option in pairs { [""] = "", [", compressed"] = " -z" } do
    it("brings every event once and in order to subscribers that drop and resume at random" .. how, function()
      local ok, text = run(("LD_PRELOAD= %s/bench/delivery -p %s -c %d -k 4 -d %g -r %d%s"):format(
        process.BUILD, server.port, SUBSCRIBERS, SECONDS, RATE, option))
      assert(ok, text)
      local seen = {}
      for name, value in text:gmatch('"(%w+)":(%d+)') do seen[name] = tonumber(value) end
      assert.equal(0, seen.faults)
      assert(seen.published > SECONDS * RATE / 20 and seen.connections > SUBSCRIBERS, text)
      assert(seen.closed > 0 and seen.reset > 0, text)
      if os.getenv("DELIVERY_SECONDS") then print(text) end
      server:stop()
    end)
  end
end)
