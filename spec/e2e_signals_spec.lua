-- SPDX-License-Identifier: MIT
-- Signals at the running program, and a log that cannot be written.
local process = require "spec.process"

local APP = [[
app:get("/", function() return "hello" end)
app:get("/stream", function() return sse.reply(sse.interval(0.02)) end)
app:get("/slow", function() sse.sleep(3600) end)
app:get("/loud", function() spate.log.info "loud" return "said" end)
]]

describe("the program", function()
  before_each(process.enter)
  after_each(process.leave)

  for _, signal in ipairs { "USR1", "PIPE", "WINCH", "CHLD", "URG" } do
    it("goes on at SIG" .. signal, function()
      local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
      local stream = server:ask "/stream"
      process.read_until(stream, "data: 2\n")
      for _ = 1, 5 do server:kill(signal) end
      process.read_until(stream, "data: 8\n")
      assert.same({ 200, "hello" }, { server:get "/" })
      stream:close()
      server:stop()
    end)
  end

  it("goes on where it was stopped and continued, again and again", function()
    local server = process.serve(APP)
    local stream = server:ask "/stream"
    for round = 1, 3 do
      server:kill "STOP"
      process.eventually("the stop", function() return server:state() == "T" end)
      server:kill "CONT"
      process.read_until(stream, ("data: %d\n"):format(round * 5))
    end
    assert.same({ 200, "hello" }, { server:get "/" })
    stream:close()
    server:stop()
  end)

  it("goes on while signals interrupt its calls all the time", function()
    local server = process.serve(APP)
    local stream = server:ask "/stream"
    assert(os.execute(("sh -c 'for i in $(seq 300); do kill -WINCH %d; kill -URG %d; kill -STOP %d; kill -CONT %d; done' &")
      :format(server.pid, server.pid, server.pid, server.pid)))
    for _ = 1, 30 do assert.same({ 200, "hello" }, { server:get "/" }) end
    process.read_until(stream, "data: 20\n")
    stream:close()
    server:stop()
  end)

  it("ends with 0 at once by a second SIGTERM", function()
    local server = process.serve(APP, { settings = "{ shutdown = { grace = 3600, window = 3600 } }" })
    local slow, stream = server:ask "/slow", server:ask "/stream"
    process.read_until(stream, "data: 1\n")
    server:kill "TERM"
    server:says "stopping"
    assert.is_false(server:has_ended())
    server:kill "TERM"
    assert.equal(0, (server:wait())) -- an hour before its grace is over
    slow:close()
    stream:close()
  end)

  it("serves while its log cannot be written because the disk is full", function()
    local environment, turns = process.count_turns()
    local server = process.serve(APP, { stderr = "/dev/full", arguments = { "-l", "127.0.0.1:0", "-w", "2" }, environment = environment })
    local stream = server:ask "/stream"
    for _ = 1, 100 do assert.same({ 200, "said" }, { server:get "/loud" }) end
    process.read_until(stream, "data: 5\n")
    stream:close()
    local before = turns()
    server:ticks("/stream", 25)
    assert(turns() - before < 250, "it took " .. turns() - before .. " turns to 25 ticks")
    server:kill "TERM"
    assert.equal(0, (server:wait()))
  end)

  -- A sanitizer takes more address space than there is for its own.
  if not os.getenv "ASAN_OPTIONS" then it("serves on where the system gives it no more memory", function()
    local server = process.serve(APP .. [[
app:get("/hungry", function() return tostring(#("x"):rep(400 << 20)) end)
]], { before = "ulimit -v 400000", settings = "{ limits = { lua_memory = 1 << 40 } }" })
    for _ = 1, 3 do
      local status = server:get "/hungry"
      assert(status == 500 or status == 503, status)
      assert.same({ 200, "hello" }, { server:get "/" })
    end
    server:stop()
    assert.matches("not enough memory", server:stderr())
  end) end

  for _, case in ipairs {
    { "a finalizer", 'setmetatable({}, { __gc = function() while true do end end }) collectgarbage()' },
    { "a pattern", '("a"):rep(3000):find(".-.-.-.-b")' },
  } do
    it("names the place and aborts where nothing can stop " .. case[1] .. " #watchdog", function()
      local server = process.serve("app:get('/x', function() " .. case[2] .. " return 'x' end)\n",
        { settings = "{ limits = { burst = 0.1, hang = 0.4 } }" })
      local client = server:ask "/x"
      assert.same({ 6, "signal" }, { server:wait() })
      assert.matches("a script cannot be stopped", server:stderr())
      client:close()
    end)
  end
end)
