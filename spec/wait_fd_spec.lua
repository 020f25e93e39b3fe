-- SPDX-License-Identifier: MIT
-- sse.wait_fd: an application's own sockets, of LuaSocket, in the server in memory. They are real, and so is the
-- time that they take; the server's clock is moved by hand.
local helper = require "spec.helper"
local socket = require "socket"

local server, listener, port, peer

local PRELUDE = [[
local socket = require "socket"
local function connect(req)
  local client = socket.tcp()
  client:settimeout(0)
  client:connect("127.0.0.1", tonumber(req.query.port))
  return client
end
]]

-- A request to a handler of this code, which has a socket `client` that connects to us; our end of it in `peer`.
local function ask(code)
  server = helper.serve(PRELUDE .. 'app:get("/", function(req)\nlocal client = connect(req)\n' .. code .. "\nend)\n"
    .. 'app:get("/fast", function() return "fast" end)')
  local res = server:get("/?port=" .. port)
  peer = listener:accept()
  return res
end

-- What it answers in the end.
local function answer(res)
  server:wait(function() return (select(2, res:body())) end)
  return (res:body())
end

local function error_of(code)
  if server then server:close() end
  server = helper.serve('app:get("/", function(req)\nlocal ok, err = pcall(function() ' .. code .. " end) return tostring(err)\nend)")
  return (server:get("/"):body():gsub("^[^:]*:", ""))
end

describe("sse.wait_fd", function()
  before_each(function()
    listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(10)
    port = select(2, listener:getsockname())
  end)

  after_each(function()
    if server then server:close() end
    if peer then peer:close() end
    listener:close()
    server, peer = nil, nil
  end)

  it("waits until there is something to read, and holds up nobody", function()
    local res = ask [[
      local ready = sse.wait_fd(client, "r")
      return ready .. " " .. client:receive "*l"
    ]]
    for _ = 1, 3 do assert.equal("fast", (server:get("/fast"):body())) end
    assert.equal("", res:raw())
    peer:send "hello\n"
    assert.equal("r hello", answer(res))
  end)

  it("waits for room, and for whichever comes first", function()
    local res = ask [[
      local first = sse.wait_fd(client, "w")
      while client:send(("x"):rep(65536)) do end
      local full = tostring(select(2, sse.wait_fd(client, "w", 0)))
      local second = sse.wait_fd(client, "rw")
      return first .. " " .. full .. " " .. second
    ]]
    server:wait(function() return server:stats().timers > 0 end) -- it waits
    peer:send "y"
    assert.equal("w timeout r", answer(res))
  end)

  it("takes a number, and whatever tells its descriptor", function()
    local res = ask [[
      local fd = math.tointeger(client:getfd())
      local list = {}
      for i, object in ipairs { fd, fd * 1.0, client, { pollfd = function() return fd end }, { fileno = function() return fd end } } do
        list[i] = sse.wait_fd(object, "w")
      end
      local pipe = io.popen "echo x"
      list[#list + 1] = sse.wait_fd(pipe, "r")
      pipe:close()
      return table.concat(list, " ")
    ]]
    assert.equal("w w w w w r", answer(res))
  end)

  it("says both where it is ready for both", function()
    local res = ask [[
      sse.wait_fd(client, "r")
      return sse.wait_fd(client, "rw")
    ]]
    peer:send "x"
    assert.equal("rw", answer(res))
  end)

  it("ends after its time", function()
    local res = ask [[
      local ready, why = sse.wait_fd(client, "r", 30)
      return tostring(ready) .. " " .. why .. " " .. sse.now()
    ]]
    server:advance(29.9)
    assert.equal("", res:raw())
    server:advance(0.1)
    assert.equal("nil timeout 30.0", answer(res))
  end)

  it("lets several wait for one descriptor, for the same or for another thing", function()
    local res = ask [[
      local tasks = {}
      for i, events in ipairs { "r", "w", "r", "rw" } do
        tasks[i] = sse.spawn(function() return sse.wait_fd(client, events) end)
      end
      local list = { tasks[2]:join(), tasks[4]:join() }
      tasks[5] = sse.spawn(function() sse.wait_fd(client, "r") end)
      sse.sleep(0)
      tasks[5]:cancel()
      list[3], list[4] = tasks[1]:join(), tasks[3]:join()
      return table.concat(list, " ")
    ]]
    server:wait(function() return server:stats().tasks == 3 end)
    peer:send "x"
    assert.equal("w w r r", answer(res))
  end)

  it("stops to watch where its task is cancelled, or its client leaves", function()
    local res = ask 'sse.wait_fd(client, "r") return "x"'
    res.client:reset()
    server:turn()
    assert.equal(0, server:stats().tasks)
    peer:send "x"
    server.core:wait(0.02)
    assert.equal("fast", (server:get("/fast"):body()))
  end)

  it("keeps the object until the wait is over", function()
    local res = ask 'client = { client } return sse.wait_fd(table.remove(client), "r")'
    server.core:run "collectgarbage() collectgarbage()"
    peer:settimeout(0)
    assert.equal("timeout", select(2, peer:receive(1))) -- it would be closed otherwise
    peer:send "x"
    assert.equal("r", answer(res))
  end)

  it("tells the end of the other side", function()
    local res = ask [[
      sse.wait_fd(client, "r")
      return select(2, client:receive "*l")
    ]]
    peer:close()
    assert.equal("closed", answer(res))
  end)

  it("finds that the descriptor was closed meanwhile, and another file has its number", function()
    local res = ask [[
      local task = sse.spawn(function()
        local ok, err = pcall(sse.wait_fd, client, "r")
        return (tostring(err):gsub("%d+", "N"))
      end)
      sse.sleep(1)
      client:close()
      local other = io.open "/dev/null"
      local err = task:join()
      other:close()
      return err
    ]]
    server:advance(10)
    assert.matches("sse.wait_fd: descriptor N was closed while a task waits for it$", answer(res))
  end)

  it("says what is wrong, at the line", function()
    assert.equal("4: sse.wait_fd: descriptor 1000000 is closed", error_of 'sse.wait_fd(1000000, "r")')
    assert.equal("4: sse.wait_fd: descriptor -1 is closed", error_of 'local s = require("socket").tcp() s:close() sse.wait_fd(s, "r")')
    assert.equal('4: sse.wait_fd: expected "r", "w" or "rw", got x', error_of 'sse.wait_fd(0, "x")')
    assert.equal("4: sse.wait_fd: expected seconds, got string", error_of 'sse.wait_fd(0, "r", "1")')
    assert.equal("4: sse.wait_fd: expected seconds, got -1", error_of 'sse.wait_fd(0, "r", -1)')
    for _, wrong in ipairs { "nil", "{}", '"0"', "print", "1.5" } do
      assert.matches("^4: sse.wait_fd: expected a descriptor, or an object with getfd%(%), pollfd%(%) or fileno%(%), got ",
        error_of(("sse.wait_fd(%s, 'r')"):format(wrong)))
    end
    assert.matches("cannot wait inside a coroutine of your own", error_of 'coroutine.wrap(function() sse.wait_fd(0, "r") end)()')
    assert.matches("nothing can wait while the script is loaded", helper.load_error '\nsse.wait_fd(0, "r")')
  end)
end)
