-- SPDX-License-Identifier: MIT
-- States are closed off the workers' threads. What their finalizers use of a worker is there until they have run.
local process = require "spec.process"

describe("finalizers that use channels and dictionaries", function()
  before_each(process.enter)
  after_each(process.leave)

  local APP = [[
    local seconds = 0.02 -- of CPU time; the stop gives them a second
    local channel, shared = sse.channel, spate.shared
    local function finalizer()
      local started = os.clock()
      while os.clock() - started < seconds do end -- the worker's thread has ended meanwhile
      channel("news", { history = 5 }):publish "closing"
      shared("d"):incr "closed"
      io.stderr:write("finalized ", tostring(channel.find "news" ~= nil), " ", tostring(spate.stats().channels), "\n")
    end
    _G.last = setmetatable({}, { __gc = finalizer })
    app:get("/", function() return "ok" end)
  ]]

  it("run with the server's end", function()
    local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    assert.equal(200, (server:get "/"))
    server:kill "TERM"
    assert.same({ 0 }, { server:wait() }, server:stderr())
    assert.equal(2, select(2, server:stderr():gsub("finalized true 1\n", "")), server:stderr())
  end)
end)
