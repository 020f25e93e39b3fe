-- SPDX-License-Identifier: MIT
-- Functions that block, on real threads: a client of LuaSocket's that waits for a server of the spec's, while the
-- program goes on with everything else. What the spec has not answered yet is what blocks.
local process = require "spec.process"
local socket = require "socket"

-- Blocks until the other end says something or has gone.
local BLOCKING = [[
local http, socket = require "socket.http", require "socket"
local blocking, calls = {}, 0

function blocking.get(url)
  local body, status = http.request(url)
  return body, status
end

function blocking.line(port)
  local client = assert(socket.connect("127.0.0.1", port))
  client:send "waits\n"
  local line = client:receive "*l"
  client:close()
  return line
end

function blocking.count() calls = calls + 1 return calls end

function blocking.loop() while true do end end

-- A call of C that no hook reaches, for some seconds of CPU time, or a fraction of one.
function blocking.compute(n) return (("a"):rep(n):find((".-"):rep(5) .. "b")) == nil end

function blocking.env() return require("spate").env "UNSET" == nil end

return blocking
]]

local APP = [[
package.path = DIRECTORY .. "/?.lua;" .. package.path
app:get("/fast", function() return "fast" end)
app:get("/get", function(req) return { spate.offload("blocking", "get", req.query.url) } end)
app:get("/unset", function() return tostring((spate.offload("blocking", "env"))) end)
app:get("/line", function(req)
  local line, message, code = spate.offload("blocking", "line", tonumber(req.query.port))
  return code and reply.error(503, message) or line or "closed"
end)
app:get("/count", function() return tostring((spate.offload("blocking", "count"))) end)
app:get("/loop", function() return select(2, pcall(spate.offload, "blocking", "loop")) end)
app:get("/compute", function(req) return tostring((spate.offload("blocking", "compute", tonumber(req.query.n)))) end)
app:get("/stats", function() return spate.stats() end)
]]

local directory, server, listener, port

local function serve(settings, options)
  options = options or {}
  options.settings = settings
  local source = APP:gsub("DIRECTORY", ("%q"):format(directory)) -- the program is started elsewhere
  server = process.serve(source, options)
end

local function accept()
  local client = assert(listener:accept())
  client:settimeout(process.SECONDS)
  return client
end

-- A call that waits for us: its client, and its connection to us.
local function blocked()
  local asking = server:ask("/line?port=" .. port)
  local peer = accept()
  assert.equal("waits", (peer:receive "*l"))
  return asking, peer
end

local function body_of(client)
  process.read_head(client)
  return client
end

describe("a function that blocks", function()
  before_each(function()
    directory = process.enter()
    process.write_file(directory .. "/blocking.lua", BLOCKING)
    listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(process.SECONDS)
    port = select(2, listener:getsockname())
  end)

  after_each(function()
    listener:close()
    process.leave()
  end)

  it("holds up nobody, and has its answer in the end: LuaSocket's socket.http", function()
    serve()
    local client = server:ask(("/get?url=http://127.0.0.1:%d/x"):format(port))
    local peer = accept()
    assert.equal("GET /x HTTP/1.1", (peer:receive "*l"))
    for _ = 1, 20 do assert.same({ 200, "fast" }, { server:get "/fast" }) end
    peer:send "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    assert.equal('["hi",200]', process.read_until(body_of(client), "]"))
    server:stop()
  end)

  it("has as many threads as the settings say, and a queue; what is one too many is busy", function()
    serve "{ offload = { threads = 2, queue = 1 } }"
    local first, peer = blocked()
    local second, other = blocked()
    local third = server:ask("/line?port=" .. port)
    process.eventually("three calls", function() return select(2, server:get "/stats"):find('"work_total":3', 1, true) end)
    assert.equal(503, (server:get("/line?port=" .. port)))
    peer:send "one\n"
    assert.equal("one", process.read_until(body_of(first), "one"))
    local last = accept() -- the third's turn has come
    last:send "three\n"
    other:send "two\n"
    process.read_until(body_of(third), "three")
    process.read_until(body_of(second), "two")
    assert.truthy(select(2, server:get "/stats"):find('"work_busy_total":1', 1, true))
    server:stop()
  end)

  it("has no variable that is not set", function()
    serve()
    assert.same({ 200, "true" }, { server:get "/unset" })
  end)

  it("does not keep others from starting, or the next from its state", function()
    serve "{ offload = { threads = 4 } }"
    assert.same({ 200, "1" }, { server:get "/count" })
    local client, peer = blocked() -- in that state
    assert.same({ 200, "1" }, { server:get "/count" })
    peer:send "x\n"
    process.read_until(body_of(client), "x")
    assert.truthy(select(2, server:get "/stats"):find('"offload_states":2', 1, true))
    server:stop()
  end)

  it("may have lost its caller, and its result finds nobody", function()
    serve()
    local client, peer = blocked()
    process.reset(client)
    assert.same({ 200, "fast" }, { server:get "/fast" })
    peer:send "too late\n"
    assert.is_nil((peer:receive "*l")) -- it has ended
    assert.same({ 200, "1" }, { server:get "/count" })
    server:stop()
    assert.is_nil(server:stderr():find("error", 1, true))
  end)

  it("is stopped where it computes for too long, and the process goes on", function()
    serve "{ offload = { time = 0.2 }, limits = { burst = 0.1, hang = 0.3 } }"
    local _, why = server:get "/loop"
    process.contains(why, "blocking.lua:19: stopped after 0.2 s of CPU time (offload.time)")
    assert.same({ 200, "1" }, { server:get "/count" })
    server:stop()
  end)

  it("may compute in C for longer than limits.hang, which is about what holds up others", function()
    serve "{ limits = { burst = 0.05, hang = 0.1 } }"
    local n = 40
    repeat -- until the machine has worked on it for long
      n = n * 5 // 4
      local began = socket.gettime()
      assert.same({ 200, "true" }, { server:get("/compute?n=" .. n) })
    until socket.gettime() - began > 0.5
    server:stop()
  end)

  it("goes on in its own state while the code is loaded anew, and new calls have new ones", function()
    serve()
    assert.same({ 200, "1" }, { server:get "/count" })
    local client, peer = blocked()
    process.write_file(directory .. "/blocking.lua", (BLOCKING:gsub("return calls", "return calls + 100")))
    server:kill "HUP"
    server:says "reloaded: generation 2"
    assert.same({ 200, "101" }, { server:get "/count" })
    peer:send "old\n"
    process.read_until(body_of(client), "old")
    client:close()
    process.eventually("the end of the old states", function()
      return select(2, server:get "/stats"):find('"offload_states":1', 1, true)
    end)
    server:stop()
  end)

  it("is left where it does not end while the server stops", function()
    serve "{ shutdown = { grace = 0.1, window = 0.1 } }"
    local client, peer = blocked()
    server:kill "TERM"
    assert.same({ 0 }, { server:wait() })
    peer:close()
    client:close()
  end)

  it("is ended by the end of the server where it ends in time", function()
    serve("{ shutdown = { grace = 60, window = 0.1 } }", { arguments = { "-l", "127.0.0.1:0", "-w", "2" } })
    local client, peer = blocked()
    client:close()
    server:kill "TERM"
    server:says "stopping"
    peer:send "x\n"
    assert.same({ 0 }, { server:wait() })
  end)
end)
