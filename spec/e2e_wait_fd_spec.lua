-- SPDX-License-Identifier: MIT
-- sse.wait_fd in the program: clients of LuaSocket's, LuaSec's and cqueues' that wait for a server of the spec's.
local process = require "spec.process"
local servers = require "spec.servers"
local socket = require "socket"

local WAITING = 100

local APP = [[
local socket = require "socket"

local function receive_line(client)
  local line, err, part = client:receive "*l"
  while err == "timeout" do
    local ready, why = sse.wait_fd(client, "r", 30)
    if not ready then return nil, why end
    line, err, part = client:receive("*l", part)
  end
  return line, err
end

app:get("/ask", function(req)
  local client = socket.tcp()
  client:settimeout(0)
  client:connect("127.0.0.1", tonumber(req.query.port))
  assert(sse.wait_fd(client, "w", 30) == "w")
  assert(client:send(req.query.what .. "\n"))
  local line, err = receive_line(client)
  client:close()
  return line or err
end)
app:get("/", function() return "hello" end)
app:get("/tasks", function() return tostring(spate.stats().tasks) end)
]]

describe("sse.wait_fd", function()
  local listener, directory

  before_each(function()
    directory = process.enter()
    listener = assert(socket.bind("127.0.0.1", 0, WAITING))
    listener:settimeout(process.SECONDS)
  end)

  after_each(function()
    listener:close()
    process.leave()
  end)

  it(("lets %d tasks wait for sockets of LuaSocket's at once, and leaves none open"):format(WAITING), function()
    local server = process.serve(APP)
    local before, port = server:descriptors_at_rest(), select(2, listener:getsockname())
    local clients, peers = {}, {}
    for i = 1, WAITING do
      clients[i] = server:ask(("/ask?port=%d&what=%d"):format(port, i))
      local peer = assert(listener:accept())
      peer:settimeout(process.SECONDS)
      peers[assert(peer:receive "*l")] = peer
    end
    assert.same({ 200, "hello" }, { server:get "/" }) -- all others wait
    for i = 1, WAITING, 2 do peers[tostring(i)]:send("answer ") end
    for i = 1, WAITING, 2 do peers[tostring(i)]:send(i .. "\n") end
    for i = 2, WAITING, 2 do peers[tostring(i)]:close() end
    for i = 1, WAITING do
      assert.equal(200, process.read_head(clients[i]))
      process.read_until(clients[i], i % 2 == 1 and "answer " .. i or "closed")
      clients[i]:close()
    end
    process.eventually("the descriptors of before", function() return server:descriptors() <= before end)
    server:stop()
  end)

  it("lets LuaSec's handshake wait for either direction", function()
    servers.make_certificates(directory)
    local server = process.serve([[
      local socket, ssl = require "socket", require "ssl"
      local DIRECTION = { wantread = "r", wantwrite = "w" }

      local function insist(client, call)
        while true do
          local value, err = call()
          if value then return value end
          if not DIRECTION[err] then error(err) end
          assert(sse.wait_fd(client, DIRECTION[err], 30))
        end
      end

      app:get("/ask", function(req)
        local tcp = socket.tcp()
        tcp:settimeout(0)
        tcp:connect("127.0.0.1", tonumber(req.query.port))
        assert(sse.wait_fd(tcp, "w", 30))
        local client = assert(ssl.wrap(tcp, { mode = "client", protocol = "any", verify = "none" }))
        client:settimeout(0)
        insist(client, function() return client:dohandshake() end)
        client:send "hello\n"
        local line = insist(client, function() return client:receive "*l" end)
        client:close()
        return line
      end)
    ]])
    local client = server:ask("/ask?port=" .. select(2, listener:getsockname()))
    local context = { mode = "server", protocol = "any", key = directory .. "/server.key", certificate = directory .. "/server.pem" }
    local peer = assert(require("ssl").wrap(assert(listener:accept()), context))
    peer:settimeout(process.SECONDS)
    assert(peer:dohandshake())
    assert.equal("hello", (peer:receive "*l"))
    peer:send "secretly\n"
    assert.equal(200, process.read_head(client))
    process.read_until(client, "secretly")
    server:stop()
  end)

  it("lets a controller of cqueues' be one task among others", function()
    local server = process.serve([[
      local cqueues, sockets = require "cqueues", require "cqueues.socket"
      app:get("/ask", function(req)
        local controller, lines = cqueues.new(), {}
        for i = 1, 2 do
          controller:wrap(function()
            local client = sockets.connect("127.0.0.1", tonumber(req.query.port))
            client:write(i, "\n")
            client:flush()
            lines[i] = client:read "*l"
            client:close()
          end)
        end
        repeat
          assert(controller:step(0))
          if not controller:empty() then sse.wait_fd(controller, "r", controller:timeout()) end
        until controller:empty()
        return table.concat(lines, " ")
      end)
      app:get("/", function() return "hello" end)
    ]])
    local client = server:ask("/ask?port=" .. select(2, listener:getsockname()))
    local peers = {}
    for _ = 1, 2 do
      local peer = assert(listener:accept())
      peer:settimeout(process.SECONDS)
      peers[assert(peer:receive "*l")] = peer
    end
    peers["2"]:send "two\n"
    assert.same({ 200, "hello" }, { server:get "/" })
    peers["1"]:send "one\n"
    assert.equal(200, process.read_head(client))
    process.read_until(client, "one two")
    server:stop()
  end)

  it("ends where the client that waits for it has left", function()
    local server = process.serve(APP)
    local port = select(2, listener:getsockname())
    local client = server:ask(("/ask?port=%d&what=x"):format(port))
    local peer = assert(listener:accept())
    assert.equal("x", (peer:receive "*l"))
    assert.equal("2", select(2, server:get "/tasks"))
    process.reset(client)
    process.eventually("the end of the task", function() return select(2, server:get "/tasks") == "1" end)
    peer:send "too late\n"
    assert.same({ 200, "hello" }, { server:get "/" })
    server:stop()
  end)
end)
