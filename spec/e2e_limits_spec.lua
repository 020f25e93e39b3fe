-- SPDX-License-Identifier: MIT
-- What only the kernel can show: descriptors that run out, buffers, storms of connections.
local helper = require "spec.helper"
local process = require "spec.process"
local socket = require "socket"

local APP = [[
app:get("/", function() return "hello" end)
app:get("/stats", function() return spate.stats() end)
app:get("/stream", function() return sse.reply(sse.interval(0.02)) end)
app:get("/never", function() return sse.reply(sse.never()) end)
app:get("/flood", function()
  return sse.reply(function(send) while true do send(("x"):rep(1000)) end end)
end)
local all = sse.channel "all"
app:get("/all", function() return sse.reply(all:subscribe()) end)
app:get("/publish", function() return all:publish "x" end)
]]
local STATUS_503 = "^HTTP/1%.1 503 Service Unavailable\r\n"
local eventually = process.eventually

local function stats(server) return helper.json.decode((select(2, server:get "/stats"))) end

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

-- An address of this machine that is not the loopback's, for clients that count as strangers.
local function own_address()
  local s = assert(socket.udp())
  s:setpeername("192.0.2.1", 9) -- nothing is sent: this only asks for the route
  local address = s:getsockname()
  s:close()
  return address
end

describe("the program", function()
  before_each(process.enter)
  after_each(process.leave)

  for _, workers in ipairs { "1", "2" } do
    it("has limits.connections in all, with " .. workers .. " worker(s), and room again when some have gone", function()
      local server = process.serve(APP, { settings = "{ limits = { connections = 20 } }", arguments = { "-l", "127.0.0.1:0", "-w", workers } })
      local clients = {}
      for i = 1, 20 do
        clients[i] = server:ask "/stream"
        process.read_until(clients[i], "data: 1\n")
      end
      for _ = 1, 30 do
        local status, body = server:get "/"
        assert.same({ 503, "too many connections\n" }, { status, body })
      end
      process.read_until(clients[20], "data: 5\n")
      for i = 1, 10 do clients[i]:close() end
      eventually("room", function() return server:get "/" == 200 end)
      assert.matches(" warn  too many connections: %d+ refused\n", server:stderr())
      for i = 11, 20 do clients[i]:close() end
      server:stop()
      assert(count(server:stderr(), "too many connections") < 5)
    end)
  end

  it("derives limits.connections from the descriptors that it may have", function()
    local server = process.serve(APP, { before = "ulimit -n 200" })
    local clients, first = {}
    for i = 1, 140 do
      clients[i] = server:ask "/never"
      if not first and clients[i]:receive "*l" ~= "HTTP/1.1 200 OK" then first = i end
    end
    assert.equal(200 - 64 + 1, first)
    for _, client in ipairs(clients) do client:close() end
    eventually("room", function() return server:get "/" == 200 end)
    server:stop()
    assert.is_nil(server:stderr():find("no descriptor", 1, true))
  end)

  it("has limits.connections_per_address for strangers, and none for this machine", function()
    local own = own_address()
    local server = process.serve(APP, { settings = "{ limits = { connections_per_address = 3 }, shutdown = { window = 0.1 } }", arguments = { "-l", "0.0.0.0:0" } })
    local clients = {}
    for i = 1, 10 do
      clients[i] = server:ask "/stream"
      process.read_until(clients[i], "data: 1\n")
    end
    if own and not own:find "^127%." then
      local strangers = {}
      for i = 1, 3 do
        strangers[i] = server:connect("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", own)
        process.read_until(strangers[i], "data: 1\n")
      end
      assert.same({ 503, "too many connections from one address\n" }, { server:get("/", own) })
      strangers[1]:close()
      eventually("room", function() return server:get("/", own) == 200 end)
    end
    assert.equal(200, (server:get "/"))
    server:stop()
  end)

  it("without descriptors turns clients away, does not spin, and recovers by itself", function()
    local environment, turns = process.count_turns()
    local server = process.serve(APP, { before = "ulimit -n 60", settings = "{ limits = { connections = 1000 } }", environment = environment })
    local stream, clients, refused = server:ask "/stream", {}, 0
    process.read_until(stream, "data: 1\n")
    for i = 1, 100 do clients[i] = server:ask "/never" end
    for _, client in ipairs(clients) do
      local line = client:receive "*l"
      if line and (line .. "\r\n"):find(STATUS_503) then refused = refused + 1
      else assert.equal("HTTP/1.1 200 OK", line) end
    end
    assert(refused >= 40 and refused < 70, refused)
    -- Clients that wait in the backlog, with nobody to accept them.
    local before, waiting = turns(), {}
    for _ = 1, 50 do
      process.read_until(stream, "\n\n")
      waiting[#waiting + 1] = server:connect()
    end
    assert(turns() - before < 500, "it took " .. turns() - before .. " turns to 50 ticks and 50 connections")
    for _, client in ipairs(waiting) do
      assert.matches(STATUS_503, client:receive "*a")
      client:close()
    end
    assert(count(server:stderr(), "no descriptor for a new connection") <= 4, server:stderr())
    stream:close()
    for _, client in ipairs(clients) do client:close() end
    eventually("it to serve again", function() return server:get "/" == 200 end)
    assert(stats(server).refused_connections_total >= refused)
    server:stop()
  end)

  it("survives a storm of connections that are reset at once", function()
    local environment, turns = process.count_turns()
    local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-w", "2" }, environment = environment })
    local stream = server:ask "/stream"
    process.read_until(stream, "data: 1\n")
    local descriptors = server:descriptors_at_rest()
    for i = 1, 5000 do
      local client = socket.tcp()
      client:settimeout(i % 2)
      client:connect("127.0.0.1", server.port)
      process.reset(client)
    end
    process.read_until(stream, "data: 10\n")
    eventually("the connections to end", function() return server:descriptors() <= descriptors end)
    stream:close()
    local before = turns()
    server:ticks("/stream", 25)
    assert(turns() - before < 250, "it took " .. turns() - before .. " turns to 25 ticks")
    assert.same({ 200, "hello" }, { server:get "/" })
    server:stop()
  end)

  it("keeps little in the kernel for a reader of a stream that has stopped", function()
    local server = process.serve(APP)
    local client = server:ask "/flood"
    -- Lines of /proc/net/tcp: local address, peer, state, tx_queue:rx_queue, timer, of the server's end.
    local own = (":%04X"):format(server.port)
    local function unsent()
      for line in io.lines "/proc/net/tcp" do
        local at, queue = line:match "^%s*%d+: %x+(:%x+) %x+:%x+ 01 (%x+):"
        if at == own then return tonumber(queue, 16) end
      end
    end
    local last
    eventually("the buffers to be full", function()
      local now = unsent()
      local same = now and now > 0 and now == last
      last = now
      socket.sleep(0.2)
      return same
    end)
    assert(last < 300 << 10, ("the kernel holds %d bytes"):format(last))
    client:close()
    server:stop()
  end)

  it("watches connections that are silent, by probes of TCP", function()
    local server = process.serve(APP)
    local client = server:ask "/never"
    process.read_until(client, "\r\n\r\n")
    local timer = eventually("the timer", function()
      for line in io.lines "/proc/net/tcp" do
        local at, kind, ticks = line:match "^%s*%d+: %x+(:%x+) %x+:%x+ 01 %x+:%x+ (%x+):(%x+)"
        if at == (":%04X"):format(server.port) and kind == "02" then return tonumber(ticks, 16) / 100 end
      end
    end)
    assert(timer > 0 and timer <= 30, timer) -- the kernel's own is two hours
    client:close()
    server:stop()
  end)

  it("answers others while an event goes to very many streams", function()
    local server = process.serve(APP, { settings = "{ log = { access = false }, shutdown = { window = 0.1 } }" })
    local clients = {}
    for i = 1, 4000 do clients[i] = server:ask "/all" end
    eventually("the streams", function() return stats(server).streams == #clients end)
    local sent = server:ask "/publish"
    for _ = 1, 10 do assert.equal(200, (server:get "/")) end
    for _, client in ipairs(clients) do process.read_until(client, "data: x\n") end
    sent:close()
    server:stop()
  end)
end)
