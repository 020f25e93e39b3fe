-- SPDX-License-Identifier: MIT
-- Many streams on one connection, by the harness's own protocol: each has its window, its backpressure and its end,
-- and none of these is another's.
local helper = require "spec.helper"

local APP = [[
ch = sse.channel("news", { queue = 8, history = 100 })
local gone = {}
app:get("/sub/:n", function(req)
  req:on_close(function(reason) gone[#gone + 1] = req.params.n .. ":" .. reason end)
  return sse.reply(ch:subscribe())
end)
app:get("/count/:n", function(req)
  return sse.reply(function(send)
    for i = 1, tonumber(req.params.n) do send(("%d "):format(i) .. ("x"):rep(100)) end
  end)
end)
app:get("/fails", function() return sse.reply(function(send) send "a" error "broken" end) end)
app:get("/text", function() return "hello" end)
app:get("/file", function() return reply.file(FILE) end)
app:get("/gone", function() return table.concat(gone, " ") end)
app:post("/pub", function(req) for i = 1, 5 do ch:publish(req:body() .. i) end return "" end)
]]

-- A client: feeds what has come into streams by their number.
local function mux(server)
  local self = { client = server:connect(nil, "mux"), rest = "", streams = {} }

  function self.say(text)
    self.client:send(text .. "\n")
    server:turn()
  end

  local function of(id)
    self.streams[id] = self.streams[id] or { body = "" }
    return self.streams[id]
  end

  local function frame(line, at)
    local id, word, value = line:match("^(%d+) (%l+) ?(%d*)$")
    if word == "head" then of(id).status = tonumber(value)
    elseif word == "data" then
      local len = tonumber(value)
      of(id).body = of(id).body .. self.rest:sub(at, at + len - 1)
      return at + len
    else of(id)[word] = true end
    return at
  end

  function self.read()
    self.rest = self.rest .. self.client:take()
    while true do
      local line, at = self.rest:match("^([^\n]*)\n()")
      if not line then return self.streams end
      at = frame(line, at)
      self.rest = self.rest:sub(at)
    end
  end

  function self.data(id)
    local list = {}
    for value in self.read()[tostring(id)].body:gmatch("data: ([^\n]*)\n") do list[#list + 1] = value end
    return list
  end

  return self
end

describe("a connection of many streams", function()
  local server, client
  local FILE = os.tmpname()

  local function serve(settings)
    server = helper.serve(APP:gsub("FILE", ("%q"):format(FILE)), { settings = settings })
    client = mux(server)
  end

  local function publish(text) server:post("/pub", { body = text }) end

  after_each(function() server:close() end)

  it("answers each request on its own stream", function()
    serve()
    client.say "open 1 /text"
    client.say "open 3 /count/3\nopen 5 /nowhere"
    local streams = client.read()
    assert.same({ body = "hello", status = 200, ["end"] = true }, streams["1"])
    assert.equal(3, #client.data(3))
    assert.is_true(streams["3"]["end"])
    assert.equal(404, streams["5"].status)
    assert.equal("open", client.client:state())
  end)

  it("sends a file between the frames of others", function()
    local content = ("0123456789abcdef\n"):rep(20000)
    do
      local f <close> = assert(io.open(FILE, "w"))
      f:write(content)
    end
    serve()
    client.say "open 1 /sub/1\nopen 2 /file"
    publish "n"
    os.remove(FILE)
    local got = client.read()["2"].body
    assert.is_true(content == got)
    assert.equal(5, #client.data(1))
  end)

  it("ends one that falls behind, and its siblings do not notice", function()
    serve()
    for i = 1, 8 do client.say(("open %d /sub/%d"):format(i, i)) end
    client.say "window 4 0"
    for round = 1, 3 do publish("r" .. round .. "-") end
    local streams = client.read()
    assert.is_true(streams["4"].reset)
    assert.is_nil(streams["4"]["end"])
    for i = 1, 8 do
      if i ~= 4 then
        assert.equal(15, #client.data(i))
        assert.is_nil(streams[tostring(i)].reset)
      end
    end
    assert.equal("open", client.client:state())
    assert.equal(1, server:stats().slow_total)
    assert.equal("4:slow_consumer", (server:get("/gone"):body()))
    client.say "open 9 /text"
    assert.equal("hello", client.read()["9"].body)
  end)

  it("ends one whose client takes nothing for timeouts.send, and no other", function()
    serve { timeouts = { send = 5 } }
    client.say "open 1 /count/2000\nopen 2 /sub/2"
    client.say "open 3 /count/2000"
    client.say "window 5 0"
    client.say "open 4 /count/2000\nwindow 4 100"
    publish "a"
    server:advance(4)
    publish "b"
    server:advance(2)
    assert.is_true(client.read()["4"].reset)
    assert.equal(2000, #client.data(1))
    assert.equal(2000, #client.data(3))
    assert.equal(10, #client.data(2))
    assert.equal(100, #client.read()["4"].body)
  end)

  it("holds the producer of a stream without room, and goes on with it when there is some", function()
    serve { limits = { queue_high = 2000, queue_low = 500 } }
    client.say "open 1 /count/200\nwindow 1 50"
    client.say "open 2 /count/200"
    assert.equal(200, #client.data(2))
    assert.equal(50, #client.read()["1"].body)
    client.say "window 1 300"
    assert.equal(350, #client.read()["1"].body)
    client.say "window 1 1000000"
    assert.equal(200, #client.data(1))
    assert.is_true(client.read()["1"]["end"])
  end)

  it("cuts one that fails so that its client can tell, and no other", function()
    serve()
    client.say "open 1 /sub/1\nopen 2 /fails"
    publish "n"
    assert.is_true(client.read()["2"].cut)
    assert.is_nil(client.read()["2"]["end"])
    assert.equal(5, #client.data(1))
  end)

  it("lets a client give up one of them", function()
    serve()
    client.say "open 1 /sub/1\nopen 2 /sub/2"
    client.say "reset 1"
    publish "n"
    assert.same({}, client.data(1))
    assert.equal(5, #client.data(2))
    assert.equal("1:client_closed", (server:get("/gone"):body()))
  end)

  it("asks nobody for what is given up with the same bytes", function()
    serve()
    client.say "open 1 /sub/1\nopen 2 /sub/2\nreset 1\nopen 3 /sub/3\nreset 3"
    publish "n"
    assert.same({ ["2"] = true }, { [next(client.read())] = true })
    assert.equal(5, #client.data(2))
    assert.equal(1, server:stats().streams)
    assert.equal("", (server:get("/gone"):body()))
  end)

  it("lets a client that takes nothing give up one of them at once", function()
    serve()
    client.say "open 1 /sub/1\nopen 2 /sub/2"
    client.client:window(10)
    publish "n"
    client.say "reset 1"
    assert.equal("1:client_closed", (server:get("/gone"):body()))
    client.client:window()
    server:turn()
    assert.equal(5, #client.data(2))
  end)

  it("ends them all with the connection", function()
    serve()
    client.say "open 1 /sub/1\nopen 2 /sub/2\nopen 3 /count/100000\nwindow 3 10"
    client.client:reset()
    server:turn()
    assert.equal("1:client_closed 2:client_closed", (server:get("/gone"):body()))
    assert.equal(0, server:stats().streams)
  end)

  it("carries the same where few bytes leave at a time, and late", function()
    serve()
    client.client:late():step(11)
    client.say "open 1 /count/20\nopen 2 /sub/2"
    client.say "open 3 /text"
    publish "n"
    for _ = 1, 100 do server:turn() end
    assert.equal(20, #client.data(1))
    assert.equal(5, #client.data(2))
    assert.equal("hello", client.read()["3"].body)
  end)

  it("ends each stream cleanly when the server stops, and then the connection", function()
    serve { shutdown = { window = 1 } }
    client.say "open 1 /sub/1\nopen 2 /sub/2\nopen 3 /text"
    server.core:drain()
    server:advance(2)
    local streams = client.read()
    assert.is_true(streams["1"]["end"] and streams["2"]["end"])
    assert.is_truthy(streams["1"].body:find("retry: ", 1, true))
    server:advance(5)
    assert.not_equal("open", client.client:state())
  end)

  it("is closed when it has carried nothing for timeouts.idle", function()
    serve { timeouts = { idle = 5 } }
    client.say "open 1 /sub/1"
    server:advance(60)
    assert.equal("open", client.client:state())
    client.say "reset 1"
    client.say "open 2 /text"
    server:advance(4)
    assert.equal("open", client.client:state())
    server:advance(2)
    assert.not_equal("open", client.client:state())
  end)
end)
