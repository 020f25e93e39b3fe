-- SPDX-License-Identifier: MIT
-- What a transport has been given is its own until it has left: whether that is at once, later, or a byte at a time,
-- the client gets the same.
local helper = require "spec.helper"

local FOLDER = os.tmpname() .. ".d"

local APP = ([[
app:get("/text", function() return ("0123456789"):rep(50) end)
app:get("/events", function()
  return sse.reply(sse.from { "one", "two", { event = "x", data = ("y"):rep(3000) }, "four" })
end)
app:get("/function", function()
  return sse.reply(function(send) for i = 1, 30 do send(("z"):rep(i * 10)) end end)
end)
app:get("/raw", function()
  return reply.stream(function(write) for i = 1, 20 do write(("%%d,"):format(i)) end end, { type = "text/csv" })
end)
app:get("/fails", function() return sse.reply(function(send) send "a" error "broken" end) end)
app:static("/files", %q)
]]):format(FOLDER)

local FILE = {}
for i = 1, 20000 do FILE[i] = ("line %d\n"):format(i) end
FILE = table.concat(FILE)

local REQUESTS = {
  "GET /text HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /function HTTP/1.0\r\n\r\n",
  "GET /raw HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /fails HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /files/data.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /files/data.txt HTTP/1.1\r\nHost: localhost\r\nRange: bytes=5-300,1000-1500,70000-80000\r\n\r\n",
  "GET /text HTTP/1.1\r\nHost: localhost\r\n\r\nGET /events HTTP/1.1\r\nHost: localhost\r\n\r\nGET /raw HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "nonsense\r\n\r\n",
  "GET /text HTTP/1.1\r\n\r\n",
}

-- All that the client of a request gets, and how its connection is left. Boundaries of ranges are random.
local function transcript(request, prepare)
  local server = helper.serve(APP)
  local client = server:connect()
  prepare(client)
  local res = server:send(request, client)
  for _ = 1, 40 do server:turn() end
  local bytes, state = res:raw(), client:state()
  client:finish()
  server:close()
  local boundary = bytes:match "boundary=(%x+)"
  return boundary and bytes:gsub(boundary, "BOUNDARY") or bytes, state
end

describe("a transport", function()
  setup(function()
    os.execute("mkdir -p " .. FOLDER)
    local f <close> = assert(io.open(FOLDER .. "/data.txt", "w"))
    f:write(FILE)
  end)

  teardown(function() os.execute("rm -rf " .. FOLDER) end)

  for i, request in ipairs(REQUESTS) do
    for how, prepare in pairs {
      ["by which all leaves late"] = function(client) client:late() end,
      ["by which 7 bytes leave at a time"] = function(client) client:step(#FILE > 0 and i < 6 and 7 or 4001) end,
      ["by which few leave at a time, and late"] = function(client) client:late():step(i < 6 and 13 or 5003) end,
      ["whose calls are interrupted"] = function(client) client:fail("recv", true):fail("send", true) end,
      ["whose second send is interrupted"] = function(client) client:step(i < 6 and 13 or 5003):fail("send", true, 1) end,
    } do
      it(("%s carries the same: %d"):format(how, i), function()
        local wanted, wanted_state = transcript(request, function() end)
        local got, state = transcript(request, prepare)
        assert.equal(#wanted, #got)
        assert.is_true(wanted == got)
        assert.equal(wanted_state, state)
      end)
    end
  end

  for i = 6, 8 do
    for how, prepare in pairs {
      ["to which files go by themselves"] = function(client) client:takes_files() end,
      ["to which they go in pieces"] = function(client) client:takes_files():step(4001) end,
      ["to which they go late"] = function(client) client:takes_files():late():step(5003) end,
    } do
      it(("%s carries the same: %d"):format(how, i), function()
        local wanted, wanted_state = transcript(REQUESTS[i], function() end)
        local got, state = transcript(REQUESTS[i], prepare)
        assert.equal(#wanted, #got)
        assert.is_true(wanted == got)
        assert.equal(wanted_state, state)
      end)
    end
  end

  it("to which files go by themselves goes in shares of a quarter of a MiB", function()
    local path = FOLDER .. "/large.txt"
    local f <close> = assert(io.open(path, "w"))
    f:write(("0123456789abcde\n"):rep(65536))
    f:close()
    local server = helper.serve(APP)
    local client = server:connect():takes_files()
    client:send "GET /files/large.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ = 1, 6 do server:turn() end
    assert.is_true(#client:take() > 1 << 20)
    assert.equal(5, client:writes()) -- the first with the head
    server:close()
  end)

  it("to which files go by themselves is cut where a file ends before its part", function()
    local path = FOLDER .. "/short.txt"
    for _, is_late in ipairs { false, true } do
      local f <close> = assert(io.open(path, "w"))
      f:write(("0123456789abcde\n"):rep(65536))
      f:close()
      local server = helper.serve(APP)
      local client = server:connect():takes_files()
      if is_late then client:late() end
      client:window(100000)
      server:send("GET /files/short.txt HTTP/1.1\r\nHost: a\r\n\r\n", client)
      os.execute("truncate -s 50000 " .. path)
      client:window()
      for _ = 1, 10 do server:turn() end
      assert.equal("reset", client:state())
      assert.equal("error", client:reason())
      assert.matches("a file has become shorter while it was sent: /files/short.txt", server:log(), 1, true)
      server:close()
    end
  end)

  for call, after in pairs { send = 1, recv = 0 } do
    it("that breaks in a " .. call .. " is closed, and its client has got a part in order", function()
      for _, request in ipairs(REQUESTS) do
        local wanted = transcript(request, function() end)
        local got, state = transcript(request, function(client) client:step(11):fail(call, false, after) end)
        assert.equal("closed", state)
        assert.is_true(wanted:sub(1, #got) == got and #got <= 11)
      end
    end)
  end

  it("by which one byte leaves at a time carries a short answer whole", function()
    local wanted = transcript(REQUESTS[2], function() end)
    local client
    local got = transcript(REQUESTS[2], function(c)
      client = c
      c:step(1):late()
    end)
    assert.is_true(wanted == got)
    assert.equal(#got, client:writes())
  end)

  it("that takes nothing is written to by nothing", function()
    local server = helper.serve(APP)
    local client = server:connect()
    client:window(0)
    client:send(REQUESTS[1])
    for _ = 1, 5 do server:turn() end
    assert.same({ 0, "" }, { client:writes(), client:take() })
    client:window()
    for _ = 1, 5 do server:turn() end
    assert.equal(1, client:writes())
    server:close()
  end)

  it("that is broken with something in flight ends its stream, and frees what was in flight", function()
    for _, how in ipairs { "reset", "leave", "finish" } do
      local server = helper.serve [[
        app:get("/", function(req)
          req:on_close(function(reason) why = reason end)
          return sse.reply(function(send) while true do send(("x"):rep(1000)) end end)
        end)
        app:get("/why", function() return tostring(why) end)]]
      local client = server:connect():late():step(100)
      server:send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", client)
      client[how](client)
      client:window(how == "finish" and 0 or nil)
      server:advance(40)
      assert.is_truthy((server:get("/why"):body()):find(how == "finish" and "slow_consumer" or "client_closed", 1, true))
      server:close()
    end
  end)

  describe("that carries no bytes at first", function()
    local server

    local function serve(settings) server = helper.serve([[app:get("/", function() return "hello" end)]], { settings = settings }) end

    local REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    after_each(function() server:close() end)

    it("has no protocol before it opens, and then answers what has come", function()
      serve()
      local client = server:connect(nil, "closed")
      local res = server:send(REQUEST, client)
      server:advance(1)
      assert.equal("", res:raw())
      client:open()
      server:turn()
      assert.equal("hello", (res:body()))
    end)

    it("opens once, and not where it has been closed", function()
      serve { timeouts = { head = 5 } }
      local client = server:connect(nil, "closed")
      client:open():open()
      assert.equal("hello", (server:send(REQUEST, client):body()))
      local late = server:connect(nil, "closed")
      server:advance(6)
      assert.equal("closed", late:state())
      late:open()
      server:turn()
      assert.equal("", late:take())
    end)

    it("is given up where that takes longer than timeouts.head", function()
      serve { timeouts = { head = 5 } }
      local client = server:connect(nil, "closed")
      server:advance(4)
      assert.equal("open", client:state())
      server:advance(2)
      assert.equal("closed", client:state())
    end)

    it("is closed where the server stops, where its client vanishes, and where it is one too many", function()
      serve { limits = { connections = 2 } }
      local gone = server:connect(nil, "closed")
      gone:reset()
      server:turn()
      assert.equal("closed", gone:state())
      local clients = { server:connect(nil, "closed"), server:connect(nil, "closed"), server:connect(nil, "closed") }
      assert.equal("closed", clients[3]:state())
      server.core:drain()
      server:advance(1.01)
      assert.equal("closed", clients[1]:state())
      assert.equal("closed", clients[2]:state())
    end)
  end)
end)
