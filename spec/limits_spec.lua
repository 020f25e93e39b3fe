-- SPDX-License-Identifier: MIT
-- What each limit of a connection does when it is reached, and that the rest goes on.
local helper = require "spec.helper"

local APP = [[
app:get("/", function() return "here" end)
app:get("/stats", function() return spate.stats() end)
app:get("/stream", function() return sse.reply(sse.interval(1)) end)
app:get("/once", function() return sse.reply(sse.once "only") end)
local all = sse.channel "all"
app:get("/all", function() return sse.reply(all:subscribe()) end)
app:post("/all", function(req) return all:publish(req:body()) end)
app:post("/", function(req) return req:body() end)
]]
local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

local server

local function serve(limits) server = helper.serve(APP, { settings = { limits = limits } }) end

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

local function has_ended(client) return client:state() == "ended" or client:state() == "closed" end

-- A connection that has been served once and stays open.
local function served(address)
  local client = server:connect(address)
  local res = server:send(GET, client)
  return client, res:status(), res
end

describe("limits", function()
  after_each(function() server:close() end)

  describe("requests", function()
    it("are 1000 on one connection, the last of which says that it closes", function()
      serve {}
      local res = server:send(GET:rep(1500))
      local bytes = res:raw()
      assert.equal(1000, count(bytes, "HTTP/1.1 200 OK"))
      assert.equal(1, count(bytes, "Connection: close"))
      assert.matches("Connection: close\r\n\r\nhere$", bytes)
      assert.is_true(has_ended(res.client))
    end)

    it("are a setting, and one at a time count the same", function()
      serve { requests = 3 }
      local client = server:connect()
      assert.is_nil(server:send(GET, client):header "Connection")
      assert.is_true(server:get("/once", { client = client }):has_ended())
      assert.equal("close", server:send(GET, client):header "Connection")
      assert.is_true(has_ended(client))
    end)

    it("let an event stream that is the last run to its end", function()
      serve { requests = 1 }
      local res = server:get "/stream"
      server:advance(3)
      assert.same({ "1", "2", "3" }, res:data())
    end)
  end)

  describe("connections", function()
    -- With so many descriptors for this process; what fn() returns.
    local function with_descriptors(limit, fn)
      local f <close> = assert(io.open "/proc/self/stat")
      local pid = f:read("a"):match "^%d+"
      local p <close> = assert(io.popen(("unset LD_PRELOAD; prlimit --pid %s --nofile --output SOFT --noheadings"):format(pid)))
      local before = p:read("a"):match "%S+"
      local function set(soft) os.execute(("unset LD_PRELOAD; prlimit --pid %s --nofile=%s:"):format(pid, soft)) end
      set(limit)
      local ok, value = pcall(fn)
      set(before)
      return assert(ok and value, value)
    end

    -- 64 are kept for other things, or half of them where there are so few.
    for descriptors, connections in pairs { [40] = 20, [100] = 50, [128] = 64, [200] = 136 } do
      it(("are %d where a process may have %d descriptors and nothing is set"):format(connections, descriptors), function()
        server = with_descriptors(descriptors, function() return helper.serve(APP, { settings = { limits = { connections_per_address = 1000 } } }) end)
        for _ = 1, connections do assert.equal(200, (select(2, served()))) end
        assert.equal(503, (select(2, served())))
      end)
    end

    it("beyond them are told 503 and closed, the others go on", function()
      serve { connections = 3 }
      local stream, first = server:get "/stream", served()
      local third = served()
      local refused, status, res = served()
      assert.equal(503, status)
      assert.equal("too many connections\n", (res:body()))
      assert.equal("close", res:header "Connection")
      assert.matches("^%d+$", res:header "Retry-After")
      assert.is_true(has_ended(refused))
      server:advance(2)
      assert.equal("closed", refused:state())
      assert.same({ "1", "2" }, stream:data())
      assert.equal(200, server:send(GET, first):status())
      local stats = server:get("/stats", { client = third }):json()
      assert.equal(1, stats.refused_connections_total)
      assert.equal(3, stats.connections)
    end)

    it("have room again when one has gone, however it went", function()
      serve { connections = 1 }
      for _, leave in ipairs { "finish", "reset" } do
        local client, status = served()
        assert.equal(200, status)
        assert.equal(503, (select(2, served())))
        client[leave](client)
        server:turn()
      end
      local client = server:connect()
      client:send "nonsense\r\n\r\n"
      server:turn()
      server:advance(3)
      assert.equal(200, (select(2, served())))
    end)

    it("that are refused are told before they say anything, and few are waited for", function()
      serve { connections = 1 }
      served()
      local refused = {}
      for i = 1, 100 do refused[i] = server:connect() end
      server:turn()
      local open = 0
      for _, client in ipairs(refused) do
        assert.matches("^HTTP/1%.1 503 ", client:take())
        assert.not_equal("reset", client:state())
        if client:state() ~= "closed" then open = open + 1 end
      end
      assert.equal(32, open)
      server:advance(2)
      for _, client in ipairs(refused) do assert.equal("closed", client:state()) end
      assert.equal(100, server:stats().connections_refused_total)
    end)

    it("that are refused and not waited for have what they sent read, which would cut them else", function()
      serve { connections = 1 }
      served()
      for _ = 1, 32 do server:connect() end
      local client = server:connect(nil, nil, GET)
      assert.equal("closed", client:state())
      assert.equal(0, client:unread())
      assert.matches("^HTTP/1%.1 503 ", client:take())
      local silent = server:connect()
      assert.equal("closed", silent:state())
    end)

    it("for which there is no descriptor are told so and closed at once, and counted", function()
      serve {}
      local client = server:connect(nil, "full", GET)
      assert.equal("closed", client:state())
      assert.equal(0, client:unread())
      assert.matches("^HTTP/1%.1 503 .*\r\n\r\ntoo many connections\n$", client:take())
      local closed = server:connect(nil, "full", "")
      assert.equal("closed", closed:state())
      local stats = server:stats()
      assert.equal(2, stats.connections_refused_total)
      assert.equal(0, stats.connections)
      assert.equal(0, stats.requests_total)
    end)

    it("that are refused are logged once a second, with their number", function()
      serve { connections = 1 }
      local kept = served()
      for _ = 1, 3 do
        for _ = 1, 50 do server:connect() end
        server:advance(1)
        server:get("/", { client = kept })
      end
      local log, lines, total = server:log(), 0, 0
      for n in log:gmatch " warn  too many connections: (%d+) refused" do lines, total = lines + 1, total + n end
      assert.equal(3, lines, log)
      assert.equal(101, total) -- the rest of the last second is told with the next
      assert.equal(0, count(log, "status=503"))
    end)
  end)

  describe("connections_per_address", function()
    it("are 256, for each address", function()
      serve {}
      for _ = 1, 256 do assert.equal(200, (select(2, served "192.0.2.1"))) end
      local _, status, res = served "192.0.2.1"
      assert.equal(503, status)
      assert.equal("too many connections from one address\n", (res:body()))
      assert.equal(200, (select(2, served "192.0.2.2")))
    end)

    it("have room again when one has gone", function()
      serve { connections_per_address = 1 }
      local client = served "192.0.2.1"
      assert.equal(503, (select(2, served "192.0.2.1")))
      client:finish()
      server:turn()
      assert.equal(200, (select(2, served "192.0.2.1")))
    end)

    it("count the first 64 bits of an IPv6 address, of which a client has all the rest", function()
      serve { connections_per_address = 2 }
      served "2001:db8:1:2::1"
      served "2001:db8:1:2:ffff::9"
      assert.equal(503, (select(2, served "2001:db8:1:2:3:4:5:6")))
      assert.equal(200, (select(2, served "2001:db8:1:3::1")))
    end)

    it("do not hold for this machine and UNIX sockets, where a reverse proxy is", function()
      serve { connections_per_address = 1 }
      for _, address in ipairs { "127.0.0.1", "127.8.8.8", "::1", "unix", "-" } do
        for _ = 1, 3 do assert.equal(200, (select(2, served(address))), address) end
      end
    end)
  end)

  it("connections_per_address do not hold for trusted_proxies", function()
    server = helper.serve(APP, { settings = { limits = { connections_per_address = 1 }, trusted_proxies = { "192.0.2.0/24" } } })
    for _ = 1, 3 do assert.equal(200, (select(2, served "192.0.2.9"))) end
    assert.equal(200, (select(2, served "198.51.100.1")))
    assert.equal(503, (select(2, served "198.51.100.1")))
  end)

  describe("of a request", function()
    it("are settings: head, target, fields, body, chunk_extensions", function()
      serve { head = 200, target = 20, fields = 4, body = 10, chunk_extensions = 5 }
      local function status(bytes) return server:send(bytes):status() end
      local function get(target, fields) return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(target, fields or "") end
      local function post(fields, body) return ("POST / HTTP/1.1\r\nHost: a\r\n%s\r\n%s"):format(fields, body or "") end
      local chunked = "Transfer-Encoding: chunked\r\n"
      local head = get("/", "X: \r\n")
      for bytes, want in pairs {
        [get("/", ("X: %s\r\n"):format(("x"):rep(200 - #head)))] = 200, [get("/", ("X: %s\r\n"):format(("x"):rep(201 - #head)))] = 431,
        [get("/?" .. ("x"):rep(18))] = 200, [get("/?" .. ("x"):rep(19))] = 414,
        [get("/", "X: 1\r\nX: 2\r\nX: 3\r\n")] = 200, [get("/", "X: 1\r\nX: 2\r\nX: 3\r\nX: 4\r\n")] = 431,
        [post("Content-Length: 10\r\n", "0123456789")] = 200, [post "Content-Length: 11\r\n"] = 413,
        [post(chunked, "a\r\n0123456789\r\n0\r\n\r\n")] = 200, [post(chunked, "b\r\n0123456789")] = 413,
        [post(chunked, "1;ab\r\nx\r\n1;abc\r\nx\r\n0\r\n\r\n")] = 200, [post(chunked, "1;ab\r\nx\r\n1;abcd\r\nx\r\n0\r\n\r\n")] = 413,
      } do
        assert.equal(want, status(bytes), bytes)
      end
    end)
  end)

  describe("an event for very many streams", function()
    local PUBLISH = "POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"

    it("leaves a turn to whatever else comes, before they have all been served", function()
      serve {}
      local all, has_it = {}, 0
      for i = 1, 3000 do all[i] = server:get("/all"):raw() and server.clients[i] end
      local publisher, other = server:connect(), server:connect()
      publisher:send(PUBLISH .. "hi")
      repeat server.core:step() until all[1]:take():find "data: hi"
      other:send(GET)
      server.core:step()
      assert.matches("^HTTP/1%.1 200 OK.*here$", other:take())
      for _, client in ipairs(all) do has_it = has_it + (client:take():find "data: hi" and 1 or 0) end
      assert(has_it > 100 and has_it < 2500, has_it)
      other:send(GET:rep(600))
      local steps = 0
      repeat steps = steps + 1 until not server.core:step()
      assert(steps < 1000, steps)
      for _, client in ipairs(all) do has_it = has_it + (client:take():find "data: hi" and 1 or 0) end
      assert.equal(2999, has_it) -- and the first, above
    end)

    it("reaches each once, and in order, also where others leave meanwhile", function()
      serve {}
      local all = {}
      for i = 1, 3500 do all[i] = server:get "/all" end
      server:send(PUBLISH .. "hi" .. PUBLISH .. "ho")
      local client = server:connect()
      client:send(PUBLISH .. "he")
      for _ = 1, 3 do server.core:step() end
      for i = 1, 3500, 2 do all[i].client:finish() end
      for i = 2, 3500, 4 do all[i].client:reset() end
      server:turn()
      for i = 4, 3500, 4 do assert.same({ "hi", "ho", "he" }, all[i]:data()) end
    end)
  end)
end)
