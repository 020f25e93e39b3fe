-- SPDX-License-Identifier: MIT
-- sse.wait_fd in the program: clients of LuaSocket's that wait for a server of the spec's.
local process = require "spec.process"
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
  local listener

  before_each(function()
    process.enter()
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
