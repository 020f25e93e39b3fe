-- SPDX-License-Identifier: MIT
-- What a server has allocated goes with what it was for: a request, a stream, a file, a kick, or the whole server. To the byte.
local helper = require "spec.helper"

local harness = helper.harness

-- Whether round after round comes to leave about as much allocated as it has found. What Lua states and the heap keep for the next
-- round goes up and down: the least of three counts.
local function comes_to_rest(round, allocated)
  local before = math.huge
  for _ = 1, 20 do
    local least = math.huge
    for _ = 1, 3 do
      round()
      collectgarbage()
      collectgarbage()
      least = math.min(least, allocated())
    end
    if least < before + 2000 and before < math.huge then return true end
    before = least
  end
  return false
end

-- What a whole server does, from its start to its end.
local LIVES = {
  ["that has had nothing to do"] = { "\n", function() for _ = 1, 20 do helper.serve("\n"):close() end end },
  ["that counts for itself"] = { [[
for i = 1, 60 do
  local kinds = { kind = tostring(i) }
  spate.metrics.counter("jobs_" .. i .. "_total", { help = "Jobs.", labels = { "kind" } }):inc(kinds)
  spate.metrics.gauge("depth_" .. i, { help = "Depth." }):set(1)
  local took = spate.metrics.histogram("took_" .. i, { help = "Took.", labels = { "kind" }, buckets = { 1, 2, 4 } })
  for _, value in ipairs { 0.5, 1.5, 3, 9, 9 } do took:observe(value, kinds) end
end
app:get("/", function() return spate.metrics.text() end)]], function(server) for _ = 1, 20 do server:get("/"):close() end end },
  ["whose routes have answered"] = { [[
for i = 1, 100 do app:get("/" .. i, function() return "x" end) end]], function(server) for i = 1, 101 do server:get("/" .. i):close() end end },
  ["whose streams were listed and kicked"] = { [[
local news = sse.channel("news", { history = 2 })
app:get("/stream", function(req) req:tag("a", "b") return sse.reply(news:subscribe()) end)
app:get("/task", function(req) req:tag("a") return sse.reply(news:subscribe():map(function(e) return e.data end)) end)
app:get("/list", function() return spate.streams({ text = "stream" }) end)
app:post("/kick", function(req) return { spate.kick(req:json()) } end)]], function(server)
    for i = 1, 20 do
      for _, what in ipairs { { tag = "a" }, { tag = "none" }, { channel = "news", reason = "so" }, { channel = "none" }, { stream = "x" } } do
        server:get "/stream?token=x"
        if i == 1 then server:get "/task" end
        server:get("/list"):close()
        local asked = server:post("/kick", { json = what })
        server:turn()
        assert.equal(200, asked:status())
        asked:close()
      end
    end
  end },
}

-- What clients do, over and over, to a server that goes on.
local APP = [[
app:get("/", function() return "x" end)
app:post("/", function(req) return req:body() or "" end)
app:post("/form", function(req)
  local fields, files = req:form()
  return fields and tostring(files.a.size) or reply.error(400, files)
end)
app:get("/never", function(req) req:tag(req.query.tag or "t") return sse.reply(sse.never()) end)
app:get("/three", function() return sse.reply(sse.from { "a", "b", "c" }) end)
app:get("/packed", function() return sse.reply(sse.from { "a", "b" }, { compress = true }) end)
app:get("/shortened", function() return reply.file(SHORTENED) end)
app:get("/file", function() return reply.file "spec/leaves_nothing_spec.lua" end)]]

local SHORTENED = os.tmpname()
local MULTIPART = "multipart/form-data; boundary=b"
local PART = '--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\nContent-Type: text/plain\r\n\r\n'

local VISITS = {
  ["a request"] = function(server) server:get("/"):close() end,
  ["a request that is none"] = function(server) server:send("nonsense\r\n\r\n"):close() end,
  ["half a request"] = function(server) server:send("GET / HTTP/1.1\r\nHost: a\r\nX: "):close() end,
  ["bytes behind a request"] = function(server) server:send("GET /never HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo"):close() end,
  ["a body"] = function(server) server:post("/", { body = ("x"):rep(5000) }):close() end,
  ["a body that nobody reads"] = function(server) server:send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n" .. ("x"):rep(400)):close() end,
  ["a body that is too large"] = function(server)
    local res = server:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" .. ("x"):rep(400))
    assert.equal(413, res:status())
    res:close()
  end,
  ["an upload in a file"] = function(server)
    local res = server:post("/form", { body = PART .. ("x"):rep(100000) .. "\r\n--b--\r\n", headers = { ["Content-Type"] = MULTIPART } })
    assert.equal(200, res:status())
    res:close()
  end,
  ["half an upload"] = function(server)
    server:send("POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: " .. MULTIPART .. "\r\nContent-Length: 90000\r\n\r\n" .. PART .. ("x"):rep(70000)):close()
  end,
  ["a stream"] = function(server) server:get("/never"):close() end,
  ["a stream with an end"] = function(server) server:get("/three"):close() end,
  ["a stream of a tag that nobody else has"] = function(server) server:get("/never?tag=other"):close() end,
  ["a compressed stream"] = function(server) server:get("/packed", { headers = { ["Accept-Encoding"] = "gzip" } }):close() end,
  ["a file"] = function(server) server:get("/file"):close() end,
  ["parts of a file"] = function(server) server:get("/file", { headers = { Range = "bytes=0-9,20-29" } }):close() end,
  ["a file that becomes shorter"] = function(server)
    local f <close> = assert(io.open(SHORTENED, "w"))
    f:write(("x"):rep(100000))
    f:flush()
    local slow = server:connect()
    slow:window(100)
    local res = server:get("/shortened", { client = slow })
    io.open(SHORTENED, "w"):close()
    slow:window()
    server:turn()
    assert.is_false(res:has_ended())
  end,
  ["a file that is not fetched to its end"] = function(server)
    local slow = server:connect()
    slow:window(100)
    server:get("/file", { client = slow }):close()
  end,
  ["a connection of HTTP/2"] = function(server) server:send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"):close() end,
  ["a queue that is not fetched to its end"] = function(server)
    local slow = server:connect()
    slow:window(100)
    server:get("/three", { client = slow }):close()
  end,
}

describe("nothing is left", function()
  teardown(function() os.remove(SHORTENED) end)

  for what, life in pairs(LIVES) do
    it("of a server " .. what, function()
      assert.is_true(comes_to_rest(function()
        local server = helper.serve(life[1])
        life[2](server)
        server:close()
      end, harness.c_bytes))
    end)
  end

  it("of a server whose clients are there to its end", function()
    assert.is_true(comes_to_rest(function()
      local server = helper.serve(APP, { settings = { log = { access = false } } })
      for i = 1, 40 do
        server:get(i % 2 == 0 and "/never" or "/")
        server:send "GET / HTTP/1.1\r\nHost: a\r\nX: "
      end
      server.core:close()
    end, harness.c_bytes))
  end)

  for what, visit in pairs(VISITS) do
    it("of " .. what, function()
      local server = helper.serve(("local SHORTENED = %q\n"):format(SHORTENED) .. APP, { settings = { log = { access = false } } })
      local rests = comes_to_rest(function()
        for _ = 1, 40 do visit(server) end
        server.core:run "collectgarbage() collectgarbage()"
      end, function() return server:allocated() end)
      server:close()
      assert.is_true(rests)
    end)
  end
end)
