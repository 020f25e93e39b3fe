-- SPDX-License-Identifier: MIT
-- What a client of HTTP/2 can do without end and at little cost to itself, and what it can get wrong: each has a limit, a
-- counter, a line in the log and an answer.
local helper = require "spec.helper"
if not helper.harness.hpack then return end -- built without nghttp2
local http2 = require "spec.http2_client"
local frames = http2.frames

local CALM, PROTOCOL_ERROR = 11, 1

local APP = [[
local started = 0
app:get("/", function() return "hello" end)
app:get("/slow", function() started = started + 1 sse.sleep(1) return "late" end)
app:get("/started", function() return tostring(started) end)
app:get("/ticks", function() return sse.reply(sse.interval(1):map(function(n) return n end)) end)
app:get("/big", function() return ("x"):rep(300000) end)
app:post("/echo", function(req) return req:body() end)
app:get("/host", function(req) return req.host end)
app:get("/stats", function() return spate.stats() end)
]]

describe("a client of HTTP/2 that", function()
  local server, client

  local function serve(settings, announced)
    server = helper.serve(APP, { settings = settings })
    client = http2.connect(server, announced)
  end

  local function stats() return server:get("/stats"):json() end

  -- That the connection has ended so, and was counted and told of so.
  local function flooded(counter, why, setting)
    client:read()
    assert.is_truthy(client.goaway, "no GOAWAY")
    assert.same({ CALM, why }, { client.goaway.code, client.goaway.why })
    assert.equal(1, stats()[counter])
    local line = ('flooded remote=127.0.0.1 why="%s"%s\n'):format(why, setting and " setting=" .. setting or "")
    local _, lines = server:log():gsub(line:gsub("%p", "%%%0"), "")
    assert.equal(1, lines, server:log())
    server:advance(3)
    assert.not_equal("open", client:state())
  end

  after_each(function() server:close() end)

  describe("floods by", function()
    local function reset(id) return frames.frame("RST_STREAM", 0, id, string.pack(">I4", 8)) end

    it("rapid reset: handlers of what was reset at once never begin", function()
      serve()
      local parts = {}
      for i = 1, 600 do parts[i] = client.request(2 * i - 1, "GET", "/slow") .. reset(2 * i - 1) end
      client:send(table.concat(parts, "", 1, 300))
      assert.is_nil(client:read().goaway)
      assert.equal("0", (server:get("/started"):body()))
      client:send(table.concat(parts, "", 301))
      flooded("http2_resets_total", "streams reset too often", "http2.resets")
    end)

    it("rapid reset in many turns", function()
      serve { http2 = { resets = 20 } }
      for i = 1, 21 do client:get(2 * i - 1, "/slow"):reset(2 * i - 1) end
      flooded("http2_resets_total", "streams reset too often", "http2.resets")
    end)

    it("resets as they happen to a page that is left, which are no flood", function()
      serve { http2 = { resets = 20 } }
      for round = 0, 5 do
        for i = 1, 20 do client:get(40 * round + 2 * i - 1, "/slow") end
        for i = 1, 20 do client:reset(40 * round + 2 * i - 1) end
        server:advance(10)
      end
      for i = 121, 250 do client:get(2 * i - 1, "/ticks") end
      for i = 121, 250 do client:reset(2 * i - 1) end
      client:get(1001, "/")
      assert.equal("hello", client:stream(1001).body)
      assert.is_nil(client.goaway)
    end)

    it("having us reset: windows that overflow, lengths that are wrong, bad heads", function()
      local function overflow(id)
        return client.request(id, "GET", "/slow") .. frames.frame("WINDOW_UPDATE", 0, id, string.pack(">I4", 0x7fffffff))
      end
      local function wrong_length(id)
        return client.request(id, "POST", "/echo", { { "content-length", "5" } }, { open = true }) .. frames.frame("DATA", 1, id, "x")
      end
      local function bad_head(id) return client.request(id, "GET", "/", { { "connection", "close" } }) end
      local function refused(id) return client.request(id, "CONNECT", "/") end
      for _, make in ipairs { overflow, wrong_length, bad_head, refused } do
        serve { http2 = { resets = 20 } }
        for i = 1, 21 do client:send(make(2 * i - 1)) end
        flooded("http2_resets_total", "streams reset too often", "http2.resets")
        if make ~= refused then server:close() end
      end
    end)

    it("continued heads", function()
      serve()
      client:send(frames.frame("HEADERS", 0, 1, frames.head { { ":method", "GET" } }))
      for i = 1, 20 do client:frame("CONTINUATION", 0, 1, frames.head { { "x" .. i, "y" } }) end
      flooded("http2_heads_total", "a head in too many frames")
    end)

    it("a few bytes that stand for many", function()
      serve()
      local large = frames.head { { "x", ("y"):rep(4000) } }
      local block = frames.head { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" } } .. "\x40" .. large:sub(2)
      client:send(frames.frame("HEADERS", 5, 1, block .. ("\xbe"):rep(6000)))
      flooded("http2_heads_total", "a head of far too many bytes")
    end)

    for kind, payload in pairs { PING = "12345678", SETTINGS = "" } do
      it(kind .. " whose answers it reads", function()
        serve()
        for _ = 1, 12 do
          client:send(frames.frame(kind, 0, 0, payload):rep(100))
          client:read()
        end
        flooded("http2_frames_total", "too many frames that bring nothing", "http2.frames")
      end)

      it(kind .. " whose answers it does not read", function()
        serve { http2 = { frames = 1000000 } }
        client.raw:window(0)
        client:send(frames.frame(kind, 0, 0, payload):rep(20000))
        client.raw:window(nil)
        server:turn()
        flooded("http2_answers_total", "answers that are not read")
      end)
    end

    local function nothing(name, make, ready)
      it(name, function()
        serve()
        client:get(1, "/ticks")
        if ready then ready() end
        for _ = 1, 12 do client:send(make():rep(100)) end
        flooded("http2_frames_total", "too many frames that bring nothing", "http2.frames")
      end)
    end

    nothing("frames that nobody knows", function() return frames.frame(0xbe, 0, 0, "x") end)
    nothing("windows a little larger", function() return frames.frame("WINDOW_UPDATE", 0, 1, string.pack(">I4", 1)) end)
    nothing("priorities", function() return frames.frame("PRIORITY", 0, 3, string.pack(">I4B", 0, 1)) end)
    nothing("new priorities", function() return frames.frame("PRIORITY_UPDATE", 0, 0, string.pack(">I4", 1) .. "u=1") end)
    nothing("data without a byte", function() return frames.frame("DATA", 0, 3, "") end,
      function() client:send(client.request(3, "POST", "/echo", nil, { open = true })) end)
    nothing("windows of one byte", function()
      return frames.frame("WINDOW_UPDATE", 0, 5, string.pack(">I4", 1))
    end, function()
      client:frame("SETTINGS", 0, 0, frames.settings { [4] = 0 })
      client:get(5, "/big")
    end)

    it("updates of windows as they come with data, which are no flood", function()
      serve { http2 = { frames = 50 } }
      client:get(1, "/big")
      for _ = 1, 100 do
        local before = #client:stream(1).body
        client:send(frames.frame("WINDOW_UPDATE", 0, 0, string.pack(">I4", 3000)), frames.frame("WINDOW_UPDATE", 0, 1, string.pack(">I4", 3000)))
        if client:stream(1)["end"] then break end
        assert.is_true(#client:stream(1).body > before)
      end
      assert.is_true(client:stream(1)["end"])
      assert.is_nil(client.goaway)
    end)

    it("settings of a hundred entries", function()
      serve()
      client:send(frames.frame("SETTINGS", 0, 0, string.pack(">I2I4", 8, 0):rep(100)))
      client:read()
      assert.is_truthy(client.goaway)
      server:advance(3)
      assert.not_equal("open", client:state())
    end)

    it("streams one too many before it has acknowledged how many, whose refusals it does not read", function()
      serve { http2 = { streams = 10 } }
      client = http2.connect(server, nil, { silent = true })
      client.raw:window(5)
      client:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0))
      for i = 1, 10 do client:get(2 * i - 1, "/slow") end
      local parts = {}
      for i = 11, 2000 do parts[#parts + 1] = client.request(2 * i - 1, "GET", "/slow") end
      client:send(table.concat(parts))
      client.raw:window(10000000)
      server:turn()
      flooded("http2_answers_total", "answers that are not read")
    end)

    it("empty data with padding", function()
      serve()
      client:send(client.request(1, "POST", "/echo", nil, { open = true }))
      client:send(frames.frame("DATA", 8, 1, "\0"):rep(1200))
      flooded("http2_frames_total", "too many frames that bring nothing", "http2.frames")
    end)

    it("requests that are refused, one by one", function()
      serve { http2 = { resets = 20 } }
      for i = 1, 20 do client:get(2 * i - 1, "/", { { "expect", "more" } }) end
      assert.is_nil(client:read().goaway)
      client:get(41, "/", { { "expect", "more" } })
      flooded("http2_resets_total", "streams reset too often", "http2.resets")
    end)

    it("resets of what has been answered, which cost no more than other frames", function()
      serve { http2 = { resets = 5, frames = 50 } }
      for i = 1, 48 do client:get(2 * i - 1, "/ticks"):reset(2 * i - 1) end
      assert.is_nil(client:read().goaway)
      client:get(97, "/ticks"):reset(97)
      flooded("http2_frames_total", "too many frames that bring nothing", "http2.frames")
    end)

    it("a head of more than four times the limit", function()
      serve { limits = { head = 1000 } }
      local pseudo = #":methodGET" + #":schemehttp" + #":path/" + #":authorityspec" + 4 * 32
      local function ask(id, size) client:get(id, "/", { { "x", ("y"):rep(size - pseudo - 33) } }) end
      ask(1, 4000)
      assert.equal(431, client:stream(1).status)
      assert.is_nil(client.goaway)
      ask(3, 4001)
      flooded("http2_heads_total", "a head of far too many bytes")
    end)

    it("frames and answers at once, of which the first is told", function()
      serve { http2 = { streams = 10, frames = 30 } }
      client = http2.connect(server, nil, { silent = true })
      client.raw:window(5)
      client:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0))
      for i = 1, 10 do client:get(2 * i - 1, "/slow") end
      for i = 11, 1020 do client:get(2 * i - 1, "/slow") end -- is refused
      client:send(frames.frame("PING", 0, 0, "12345678"):rep(60))
      client.raw:window(10000000)
      server:turn()
      flooded("http2_frames_total", "too many frames that bring nothing", "http2.frames")
      assert.equal(0, stats().http2_answers_total)
    end)

    it("more streams than it may have", function()
      serve { http2 = { streams = 10 } }
      for i = 1, 11 do client:get(2 * i - 1, "/slow") end
      client:read()
      assert.is_true(client.goaway ~= nil or client:stream(21).reset == 7)
    end)
  end)

  describe("waits", function()
    it("with the rest of a head", function()
      serve { timeouts = { head = 5 } }
      client:get(1, "/ticks")
      client:send(frames.frame("HEADERS", 0, 3, frames.head { { ":method", "GET" } }))
      server:advance(4)
      assert.is_nil(client:read().goaway)
      server:advance(1)
      assert.is_truthy(client:read().goaway)
      assert.equal(0, server:stats().streams)
      server:advance(3)
      assert.not_equal("open", client:state())
      local log = server:log()
      assert.is_truthy(log:find("status=408", 1, true))
      assert.is_truthy(log:find("target=/ticks [^\n]*reason=error"), log)
    end)

    it("with the acknowledgement of our settings", function()
      serve { timeouts = { head = 5 } }
      local silent = http2.connect(server, nil, { silent = true })
      silent:send(frames.PREFACE, frames.frame("SETTINGS", 0, 0), silent.request(1, "GET", "/"))
      assert.equal("hello", silent:stream(1).body)
      server:advance(5)
      assert.is_truthy(silent:read().goaway)
      server:advance(1.9) -- it may still end its side
      assert.equal("ended", silent:state())
      assert.equal(2, server:stats().connections)
      server:advance(0.2)
      assert.equal("closed", silent:state())
      assert.equal(1, server:stats().connections)
    end)
  end)

  describe("is refused alone, where", function()
    local LIMITS = { ["request head too large"] = "head", ["too many fields"] = "fields", ["request target too long"] = "target" }
    local function refusal(status, why, ...)
      serve()
      client:get(3, "/ticks")
      client:send(...)
      local stream = client:stream(5)
      assert.same({ status, why .. "\n", true }, { stream.status, stream.body, stream["end"] })
      assert.equal("open", client:state())
      assert.is_truthy(server:log():find("refused remote=127.0.0.1 status=" .. status, 1, true))
      assert.equal(1, stats()["refused_" .. (LIMITS[why] or "none") .. "_total"])
      server:advance(1)
      assert.same({ "1" }, client:data(3))
    end

    local function get(fields, list) return frames.frame("HEADERS", 5, 5, frames.head(table.move(fields, 1, #fields, #list + 1, list))) end

    local function pseudo(method, path, authority)
      local list = { { ":method", method }, { ":scheme", "http" }, { ":path", path } }
      if authority then list[4] = { ":authority", authority } end
      return list
    end

    it("its head is too large", function()
      local fields = {}
      for i = 1, 9 do fields[i] = { "x" .. i, ("y"):rep(1800) } end
      refusal(431, "request head too large", get(fields, pseudo("GET", "/", "a")))
    end)
    it("it has too many fields", function()
      local fields = {}
      for i = 1, 101 do fields[i] = { "x" .. i, "y" } end
      refusal(431, "too many fields", get(fields, pseudo("GET", "/", "a")))
    end)
    it("its target is too long", function() refusal(414, "request target too long", get({}, pseudo("GET", "/" .. ("x"):rep(8200), "a"))) end)
    it("its target is none", function() refusal(400, "bad request target", get({}, pseudo("GET", "/\xe4", "a"))) end)
    it("Host is another than :authority", function()
      refusal(400, ":authority and Host differ", get({ { "host", "b" } }, pseudo("GET", "/", "a")))
    end)
    it("its host is none", function() refusal(400, "bad Host", get({}, pseudo("GET", "/", "a,b"))) end)
    it("it expects what nobody knows", function() refusal(417, "unknown expectation", get({ { "expect", "more" } }, pseudo("GET", "/", "a"))) end)
    it("its method is for a proxy", function()
      refusal(405, "method not allowed", get({}, { { ":method", "CONNECT" }, { ":authority", "a:1" } }))
    end)
    it("its method is too long", function() refusal(501, "unknown method", get({}, pseudo(("X"):rep(30), "/", "a"))) end)
  end)

  it("says Host only is served, and hears of its own", function()
    serve()
    client:send(frames.frame("HEADERS", 5, 1, frames.head { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/host" }, { "host", "b.example" } }))
    assert.equal("b.example", client:stream(1).body)
    client:send(frames.frame("HEADERS", 5, 3, frames.head { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/host" },
      { ":authority", "b.example" }, { "host", "B.example" } }))
    assert.is_truthy(client:stream(3).body:lower() == "b.example")
  end)

  describe("sends what no client may, has its stream reset:", function()
    local cases = {
      ["fields of a connection"] = { { "connection", "close" } },
      ["a coding of the transfer"] = { { "transfer-encoding", "chunked" } },
      ["te but trailers"] = { { "te", "gzip" } },
      ["names in upper case"] = { { "X-Upper", "a" } },
      ["two lengths"] = { { "content-length", "1" }, { "content-length", "1" } },
      ["two of Host"] = { { "host", "a" }, { "host", "a" } },
      ["a line end in a value"] = { { "x", "a\nb" } },
      ["an unknown pseudo-field"] = { { ":other", "a" } },
    }
    for name, fields in pairs(cases) do
      it(name, function()
        serve()
        client:get(1, "/", fields)
        assert.equal(PROTOCOL_ERROR, client:stream(1).reset)
        client:get(3, "/")
        assert.equal("hello", client:stream(3).body)
        server:advance(12)
        assert.equal("open", client:state())
      end)
    end
  end)

  describe("breaks the protocol, has its connection ended, and is told why:", function()
    local function ended(code, make)
      return function()
        serve()
        client:get(1, "/"):get(3, "/ticks")
        client:send(make(client))
        assert.equal(code, client:read().goaway.code)
        server:advance(3)
        assert.not_equal("open", client:state())
        assert.equal(1, stats().refused_none_total)
        assert.is_truthy(server:log():find("refused remote=127.0.0.1 status=400 why=", 1, true))
      end
    end
    it("data for a stream that it has ended", ended(5, function() return frames.frame("DATA", 0, 1, "x") end))
    it("a head for a stream that it has reset", ended(5, function(c)
      return frames.frame("RST_STREAM", 0, 3, string.pack(">I4", 8)) .. c.request(3, "GET", "/")
    end))
    it("data for a stream that it has reset before all of it had come", ended(5, function(c)
      return c.request(5, "POST", "/echo", nil, { open = true }) .. frames.frame("RST_STREAM", 0, 5, string.pack(">I4", 8)) .. frames.frame("DATA", 0, 5, "x")
    end))
    it("a stream that depends on itself", ended(1, function() return frames.frame("PRIORITY", 0, 5, string.pack(">I4B", 5, 1)) end))
    it("a priority of no stream", ended(1, function() return frames.frame("PRIORITY", 0, 0, string.pack(">I4B", 5, 1)) end))
    it("a frame that is too large", ended(6, function() return frames.frame("PING", 0, 0, ("x"):rep(20000)) end))
    it("a stream of an even number", ended(1, function(c) return c.request(2, "GET", "/") end))
    it("bytes that are no HPACK", ended(9, function() return frames.frame("HEADERS", 5, 5, "\xff\xff\xff\xff\xff\xff") end))
  end)
end)
