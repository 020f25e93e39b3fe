-- SPDX-License-Identifier: MIT
-- What follows a request does not end its event stream: the next request waits (RFC 9112 9.3.2), and a client
-- that has ended its side gets what its stream has ready.
local helper = require "spec.helper"

local function get(path) return "GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n" end

local APP = [[
app:get("/list", function() return sse.reply { "a", "b", "c" } end)
app:get("/send", function() return sse.reply(function(send) for n = 1, 3 do send(n) end end) end)
app:get("/merge", function()
  return sse.reply(sse.merge(sse.from { 1, 2 }:map(function(n) return n end), sse.from { 3 }:merge(sse.once(4))):batch(2):map(table.concat))
end)
app:get("/large", function() return sse.reply(function(send) for n = 1, 300 do send(("x"):rep(10000)) end end) end)
app:get("/ticks", function() return sse.reply(sse.interval(1):take(3)) end)
app:get("/never", function(req)
  req:on_close(function(reason) print("over: " .. reason) end)
  return sse.reply(sse.never(), { keep_alive = false })
end)
local news = sse.channel("news", { history = 10 })
app:get("/news", function() return sse.reply(news:subscribe { replay = "all" }) end)
app:post("/news", function(req) news:publish(req:body()) return "ok" end)
app:post("/end", function(req) news:finish() return "ok" end)
app:get("/raw", function() return reply.stream(function(write) for n = 1, 300 do write(("x"):rep(10000)) end end) end)
app:get("/plain", function() return "plain" end)]]

describe("behind a request for a stream", function()
  local server
  before_each(function() server = helper.serve(APP, { settings = { limits = { head = 1000 } } }) end)
  after_each(function() server:close() end)

  local function ends_with(res, text) assert.equal(text, res:raw():sub(-#text)) end

  for _, path in ipairs { "/list", "/send", "/merge", "/large", "/raw", "/ticks" } do
    it("the next one is answered after " .. path, function()
      local alone = server:get(path)
      server:advance(3)
      local res = server:send(get(path) .. get "/plain" .. get(path) .. get "/plain")
      server:advance(6)
      local _, count = res:raw():gsub("HTTP/1.1 200 OK\r\n", "")
      assert.equal(4, count)
      assert.equal(alone:body(), (res:body()))
      ends_with(res, "plain")
      assert.equal("open", res.client:state())
    end)
  end

  for _, path in ipairs { "/list", "/send", "/merge", "/large", "/raw" } do
    for _, how in ipairs { "at once", "once it runs", "while it is read slowly" } do
      it("the end of the client's side " .. how .. " cuts nothing of " .. path, function()
        local alone = server:get(path):body()
        local client = server:connect()
        client:send(get(path))
        if how == "while it is read slowly" then
          client:window(20)
          server:turn()
        elseif how == "once it runs" then server.core:step()
        end
        client:finish()
        local res = server:send("", client)
        client:window()
        server:turn()
        local body, ended = res:body()
        assert.equal(alone, body)
        assert.is_true(ended)
        assert.equal("closed", client:state())
      end)
    end
  end

  it("the end of the client's side is the stream's where it waits for something else", function()
    server:post("/news", { body = "old" })
    for path, data in pairs { ["/ticks"] = {}, ["/never"] = {}, ["/news"] = { "old" } } do
      local client = server:connect()
      client:send(get(path))
      client:finish()
      local res = server:send("", client)
      assert.same(data, res:data(), path)
      assert.equal("closed", client:state())
      assert.matches("target=" .. path .. " [^\n]*reason=client_closed", server:log())
    end
    assert.equal(0, server:stats().tasks)
  end)

  it("the end of the client's side leaves it what a finished channel has", function()
    for n = 1, 5 do server:post("/news", { body = tostring(n) }) end
    server:post "/end"
    local client = server:connect()
    client:send(get "/news")
    client:finish()
    assert.same({ "1", "2", "3", "4", "5" }, server:send("", client):data())
  end)

  it("bytes wait, up to limits.head and a read", function()
    local res = server:send(get "/ticks" .. get "/plain")
    for _ = 1, 100 do server:send(("X"):rep(10000), res.client) end
    assert.equal("open", res.client:state())
    server:advance(3)
    assert.same({ "200", "200", "501" }, { res:raw():match "HTTP/1.1 (%d+) .*HTTP/1.1 (%d+) .*HTTP/1.1 (%d+) " })
  end)

  it("line ends are passed over, however they are cut", function()
    for piece = 1, 9 do
      local client = server:connect()
      client:pieces(piece)
      client:send(get "/ticks")
      server:turn()
      client:send(("\r\n"):rep(7) .. get "/plain")
      local res = server:send("", client)
      server:advance(3)
      ends_with(res, "plain")
    end
  end)

  it("a client that has left is seen", function()
    local res = server:send(get "/never" .. get "/plain")
    res:close()
    assert.matches("over: client_closed", server:log())
    assert.equal("closed", res.client:state())
  end)
end)
