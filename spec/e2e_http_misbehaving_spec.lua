-- SPDX-License-Identifier: MIT
-- spate.http against a server that answers as none should, and names that nobody resolves: each costs what its limit says
-- and no more, and holds up nobody.
local http_app = require "spec.http_app"
local process = require "spec.process"
local servers = require "spec.servers"
local socket = require "socket"

local contains = process.contains
local IS_SANITIZED = os.getenv "ASAN_OPTIONS" ~= nil
local GROWTH_MAX = IS_SANITIZED and 60000 or 6000 -- kB

-- The system's resolver: names of "silent" are looked up for ten seconds, "here" is this machine, "second" too, but first
-- an address of it where nobody listens, "last" too, but first seven of it that do not answer, "none" is these seven, "both" is this machine and another.
local RESOLVER = [[
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static struct addrinfo *add(const char *text, struct addrinfo *next) {
  struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in));
  struct sockaddr_in *sa = (void *)(a + 1);
  sa->sin_family = AF_INET;
  inet_pton(AF_INET, text, &sa->sin_addr);
  a->ai_family = AF_INET, a->ai_socktype = SOCK_STREAM, a->ai_addr = (void *)sa, a->ai_addrlen = sizeof *sa, a->ai_next = next;
  return a;
}
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list) {
  static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (!next) next = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
  if (strstr(name, "silent")) { sleep(10); return EAI_AGAIN; }
  if (!strcmp(name, "here.example")) { *list = add("127.0.0.1", NULL); return 0; }
  if (!strcmp(name, "second.example")) { *list = add("127.0.0.9", add("127.0.0.1", NULL)); return 0; }
  if (!strcmp(name, "last.example") || !strcmp(name, "none.example")) {
    *list = *name == 'l' ? add("127.0.0.1", NULL) : NULL;
    for (char text[] = "127.0.0.28"; text[9] > '1'; text[9]--) *list = add(text, *list);
    return 0;
  }
  if (!strcmp(name, "both.example")) { *list = add("10.1.2.3", add("127.0.0.1", NULL)); return 0; }
  return next(name, service, hints, list);
}
void freeaddrinfo(struct addrinfo *list) {
  for (struct addrinfo *next; list; list = next) next = list->ai_next, free(list);
}
]]

describe("spate.http and servers that misbehave", function()
  local dir, server, bad, url

  setup(function()
    dir = process.enter()
    process.write_file(dir .. "/log", "")
    bad = servers.run(("lua5.4 %s/spec/misbehaving_server.lua %s/log"):format(process.ROOT, dir))
    url = "http://127.0.0.1:" .. bad.port
    server = process.serve(http_app.SOURCE, { environment = process.preload("resolver", RESOLVER) .. http_app.SANITIZER })
  end)

  teardown(function()
    server:stop()
    servers.stop()
    process.leave()
  end)

  local function run(...) return http_app.run(server, ...) end

  local function logged() return process.read_file(dir .. "/log") end

  -- Status and body, or nil, message and code of either.
  local function get(path, options)
    return run([[
      local res, err, code = http.get("%s%s", %s)
      if not res then return nil, err, code end
      local body
      body, err, code = res:body()
      if not body then return nil, err, code, res.status end
      return res.status, body
    ]], url, path, options or "nil")
  end

  it("sends a body whole where its answer begins before its end", function()
    assert.same({ "3000000" }, run([[
      local n = 0
      local function body()
        n = n + 1
        return n <= 3 and ("x"):rep(1000000) or nil
      end
      return http.post("%s/early", { body = body, length = 3000000 }):body()
    ]], url))
  end)

  it("has an answer that comes byte by byte, with extensions and trailers", function()
    assert.same({ 200, "abcdefg" }, get "/bytes")
    assert.same({ 200, ("a"):rep(100) }, get "/extensions")
  end)

  it("has an answer with blanks behind the sizes of its chunks", function() assert.same({ 200, "abcdefg" }, get "/padded") end)

  it("passes over interim answers", function()
    assert.same({ 200, "ok", { "1", "2" }, "nil" }, run([[
      local res = http.get "%s/hints"
      return res.status, res:body(), json.array(res:header_all "x-a"), res.headers.link
    ]], url))
  end)

  for path, code in pairs {
    ["/empty"] = "closed", ["/reset"] = "closed", ["/reset-body"] = "closed", ["/short"] = "closed", ["/short-chunks"] = "closed",
    ["/bad-chunks"] = "closed", ["/garbage"] = "protocol", ["/redirects"] = "redirects", ["/fields"] = "too large", ["/field"] = "too large",
    ["/padding-before"] = "closed", ["/padding-within"] = "closed", ["/padded-for-ever"] = "closed",
    ["/two-lengths"] = "protocol", ["/no-length"] = "protocol", ["/two-heads"] = "protocol", ["/trailer"] = "too large",
    ["/gzip-chunked"] = "protocol", ["/two-codings"] = "protocol", ["/other-coding"] = "protocol", ["/hints-for-ever"] = "protocol",
  } do
    it(("says %q of %s"):format(code, path), function()
      local answer = get(path)
      assert.same({ "nil", code }, { answer[1], answer[3] }, answer[2])
      contains(answer[2], "127.0.0.1:" .. bad.port)
      assert.same({ 0 }, run "return spate.stats().http_requests")
    end)
  end

  -- What goes through a proxy of the environment is carried by libcurl, and the server takes both forms of a target.
  describe("by libcurl", function()
    local proxied

    setup(function() proxied = process.serve(http_app.SOURCE, { environment = "http_proxy=" .. url .. http_app.SANITIZER }) end)
    teardown(function() proxied:stop() end)

    local function get_by_libcurl(path)
      return http_app.run(proxied, [[
        local res, err, code = http.get("http://any.example%s", { timeout = 5 })
        if not res then return nil, err, code end
        local body
        body, err, code = res:body()
        if not body then return nil, err, code end
        return res.status, body
      ]], path)
    end

    it("has an answer that comes byte by byte, behind interim ones, and behind a redirect", function()
      assert.same({ 200, "abcdefg" }, get_by_libcurl "/bytes")
      assert.same({ 200, "ok" }, get_by_libcurl "/hints")
      assert.same({ 200, "abcdefg" }, get_by_libcurl "/fat-redirect")
      assert.same({ 200, "all there is" }, get_by_libcurl "/to-its-end")
    end)

    for path, code in pairs {
      ["/empty"] = "closed", ["/reset"] = "closed", ["/reset-body"] = "closed", ["/short"] = "closed", ["/short-chunks"] = "closed",
      ["/bad-chunks"] = "closed", ["/garbage"] = "protocol", ["/redirects"] = "redirects", ["/fields"] = "too large", ["/field"] = "too large",
    } do
      it(("says %q of %s"):format(code, path), function()
        local answer = get_by_libcurl(path)
        assert.same({ "nil", code }, { answer[1], answer[3] }, answer[2])
        assert.same({ 0 }, http_app.run(proxied, "return spate.stats().http_requests"))
      end)
    end

    it("keeps a window of a body that nobody reads, and reads on", function()
      local answer = http_app.run(proxied, [[
        local before = spate.stats().http_bytes_in_total
        local res <close> = http.get "http://any.example/gigabyte"
        sse.sleep(0.5)
        local came, n = spate.stats().http_bytes_in_total - before, 0
        for piece in res:chunks() do
          n = n + #piece
          if n > 1 << 24 then break end
        end
        return came, n
      ]])
      assert.is_true(answer[1] >= 65536 and answer[1] <= 65536 + 16384, answer[1])
      assert.is_true(answer[2] > 1 << 24, answer[2])
    end)
  end)

  it("reads lines that end in LF alone, a length that is said twice, and a body up to its end", function()
    assert.same({ 200, "ok" }, get "/line-feeds")
    assert.same({ 200, "ok" }, get "/same-lengths")
    assert.same({ 200, "all there is" }, get "/to-its-end")
    assert.same({ 200, "ok" }, get "/identity")
  end)

  it("keeps no connection whose end was that of an answer", function()
    assert.same({ 200, 200, 200 }, run([[
      local statuses = {}
      for i = 1, 3 do
        local res = assert(http.post("%s/to-its-end", { body = "x" }))
        res:body()
        statuses[i] = res.status
      end
      return table.unpack(statuses)
    ]], url))
  end)

  it("keeps no connection on which a request was not sent to its end", function()
    local answer = run([[
      local n = 0
      local res = http.post("%s/answered-early", { length = 2000, body = function()
        n = n + 1
        if n > 1 then sse.sleep(0.2) end
        return "z"
      end })
      local ok, err = pcall(function() for _ in res:events():each() do end end)
      return ok, err, http.get("%s/nothing").status
    ]], url, url)
    assert.same({ false, 404 }, { answer[1], answer[3] })
    contains(answer[2], "limits.event")
  end)

  it("goes on with what was held back up to its end", function()
    assert.same({ 67 }, run([[
      local res = http.get "%s/many-chunks"
      sse.sleep(0.3)
      local n = 0
      for _ in res:events():each() do n = n + 1 end
      return n
    ]], url))
  end)

  it("asks for what is not ASCII in percent signs", function()
    contains(run([[return http.get("%s/head?\xc3\xbc=\xe2"):body()]], url)[1], "GET /head?%C3%BC=%E2 HTTP/1.1")
  end)

  it("takes no answer that it has not asked for", function()
    for _, path in ipairs { "/unasked", "/unasked-later", "/unasked-behind" } do
      assert.same({ "asked", 404 }, run([[
        local body = http.get("%s%s"):body()
        sse.sleep(0.2) -- the second answer comes in several segments, and one that comes behind the next question is its answer
        return body:sub(1, 5), http.get("%s/nothing").status
      ]], url, path, url))
    end
  end)

  it("fails where less of a body is sent than was announced", function()
    local answer = run([[
      local n = 0
      return http.post("%s/early", { length = 10, body = function() n = n + 1 return n < 3 and "abc" or nil end })
    ]], url)
    assert.same({ "nil", "closed" }, { answer[1], answer[3] })
    contains(answer[2], "shorter than its length")
  end)

  it("sends a body whose length it does not know in chunks", function()
    assert.same({ "Transfer-Encoding: chunked" }, run([[
      local n = 0
      return http.put("%s/head", { body = function() n = n + 1 return n < 3 and "abc" or nil end }):body():match "Transfer[^\r\n]*"
    ]], url))
  end)

  it("tries each address that a name has", function()
    assert.same({ 404 }, run([[return http.get("http://second.example:%d/nothing").status]], bad.port))
  end)

  it("connects to the last of eight addresses while those before it have not answered", function()
    local full = {} -- listeners that take nobody more
    for i = 22, 28 do
      local address = "127.0.0." .. i
      full[#full + 1] = assert(socket.bind(address, bad.port, 0))
      for _ = 1, 3 do
        local client = socket.tcp()
        client:settimeout(0)
        client:connect(address, bad.port)
        full[#full + 1] = client
      end
    end
    local files = server:descriptors_at_rest()
    assert.same({ 404 }, run([[
      local res, err = http.get("http://last.example:%d/nothing", { timeout = { connect = 5 } })
      return res and res.status or err
    ]], bad.port))
    assert.same({ "timeout" }, run([[return select(3, http.get("http://none.example:%d/", { timeout = { connect = 0.6 } }))]], bad.port))
    process.eventually("the others to be closed", function() return server:descriptors() <= files + 1 end) -- the one that is kept

    for _, each in ipairs(full) do each:close() end
  end)

  it("takes no more of a body than was announced", function() assert.same({ 200, "long" }, get "/long") end)

  it("does not wait for the body of a redirect", function()
    assert.same({ 200, "abcdefg" }, get("/fat-redirect", "{ timeout = 5 }"))
  end)

  it("raises in a loop over a body that breaks off", function()
    for _, method in ipairs { "chunks", "lines" } do
      local answer = run([[
        local got = {}
        local ok, err = pcall(function()
          for piece in http.get("%s/short"):%s() do got[#got + 1] = piece end
        end)
        return ok, err
      ]], url, method)
      assert.is_false(answer[1])
      contains(answer[2], "code:3: res:" .. method, "127.0.0.1")
    end
  end)

  it("reads a gigabyte piece by piece in little memory", function()
    get "/bytes"
    local before = http_app.peak(server)
    assert.same({ 1 << 30 }, run([[
      local n = 0
      for piece in http.get("%s/gigabyte"):chunks() do n = n + #piece end
      return n
    ]], url))
    assert.is_true(http_app.peak(server) - before < GROWTH_MAX, http_app.peak(server) - before)
  end)

  it("keeps a window of a body that nobody reads, and has its sender wait", function()
    local before = http_app.peak(server)
    local answer = run([[
      local before = spate.stats().http_bytes_in_total
      local res <close> = http.get "%s/gigabyte"
      sse.sleep(0.5)
      return spate.stats().http_bytes_in_total - before
    ]], url)
    assert.is_true(answer[1] >= 65536 and answer[1] <= 65536 + 16384, answer[1])
    assert.is_true(http_app.peak(server) - before < GROWTH_MAX)
    process.eventually("the sender's end", function() return logged():match "sent %d+\n" end)
  end)

  it("ends in time where nothing comes: before the head, and within the body", function()
    for path, status in pairs { ["/silent"] = "nil", ["/silent-body"] = 200 } do
      for _, timeout in ipairs { "{ idle = 0.2 }", "{ total = 0.2 }", "0.2" } do
        local answer = get(path, "{ timeout = " .. timeout .. " }")
        assert.same({ "nil", "timeout", status ~= "nil" and status or nil }, { answer[1], answer[3], answer[4] })
      end
    end
    process.eventually("the end of six", function() return select(2, logged():gsub("left\n", "")) == 6 end)
  end)

  it("goes on for as long as something comes, up to the total", function()
    local answer = run([[
      local began = sse.now()
      local res = http.get("%s/drip", { timeout = { idle = 0.3, total = 1 } })
      local body, err, code = res:body()
      return body, err, code, sse.now() - began
    ]], url)
    assert.same({ "nil", "timeout" }, { answer[1], answer[3] })
    assert.is_true(answer[4] >= 0.9, answer[4])
  end)

  it("waits with a body for a server that takes none, and not longer than it should", function()
    local before = http_app.peak(server)
    local answer = run([[
      local piece, sent = ("x"):rep(65536), 0
      local res, err, code = http.post("%s/deaf", { timeout = { idle = 1 }, body = function() sent = sent + 65536 return piece end })
      return res, err, code, sent
    ]], url)
    assert.same({ "nil", "timeout" }, { answer[1], answer[3] })
    assert.is_true(answer[4] < 12e6, answer[4]) -- what the kernels have, and a window
    assert.is_true(http_app.peak(server) - before < GROWTH_MAX)
  end)

  it("repeats what was asked for on a kept connection that breaks, but no POST", function()
    assert.same({ "ok", 404 }, run([[return http.get("%s/once"):body(), http.get("%s/again").status]], url, url))
    assert.equal(1, select(2, logged():gsub("\nGET /again", "")))
    contains(logged(), "dropped GET /again HTTP/1.1\n")
    for _, body in ipairs { '"something"', '""', "nil" } do
      local answer = run([[
        http.get("%s/once"):body()
        return http.post("%s/sent", { body = %s })
      ]], url, url, body)
      assert.same({ "nil", "closed" }, { answer[1], answer[3] })
      contains(answer[2], "not repeated")
    end
    assert.equal(3, select(2, logged():gsub("dropped POST /sent", "")))
    assert.equal(3, select(2, logged():gsub("POST /sent", "")))
  end)

  it("ends what a cancelled task has asked for, in whatever wait that is", function()
    assert.same({ 2, 0 }, run([[
      local one = sse.spawn(function() http.get "%s/silent" end)
      local two = sse.spawn(function() local res = http.get "http://silent.example/" sse.sleep(100) end)
      sse.sleep(0.1)
      local open = spate.stats().http_requests
      one:cancel()
      two:cancel()
      sse.sleep(0)
      return open, spate.stats().http_requests
    ]], url))
    assert.same({ 1, 0 }, run([[
      local held
      local task = sse.spawn(function() held = http.get "%s/silent-body" sse.sleep(100) end)
      sse.sleep(0.2)
      local open = spate.stats().http_requests
      task:cancel()
      sse.sleep(0)
      return open, spate.stats().http_requests
    ]], url))
  end)

  describe("private addresses", function()
    local refused = { "nil", "private" }

    local function private(target)
      local answer = run([[return http.get("%s", { private = false })]], target)
      return { answer[1], answer[3] }
    end

    for _, host in ipairs { "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]",
      "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
      "[2001:2::1]", "[2001:1ff::1]", "[3fff:fff::1]", "[5f00::1]", "[::7f00:1]", "[::]", "255.255.255.255", "224.0.0.1", "here.example", "both.example" } do
      it("are refused: " .. host, function()
        assert.same(refused, private(("http://%s:%d/bytes"):format(host, bad.port)))
      end)
    end

    it("are refused behind a redirect, and on a connection that was kept", function()
      assert.same({ "nil", "url" }, { table.unpack(run [[
        local _, _, code = http.get("http://", { private = false })
        return nil, code
      ]]) })
      local answer = run([[
        local first = http.get("http://here.example:%d/once")
        return first:body(), select(3, http.get("http://here.example:%d/again", { private = false }))
      ]], bad.port, bad.port)
      assert.same({ "ok", "private" }, answer)
    end)

    it("are refused by the setting, whatever the request says", function()
      local strict = process.serve(http_app.SOURCE, { settings = "{ http = { private = false } }" })
      local answer = http_app.run(strict, [[return http.get("%s/bytes", { private = true })]], url)
      assert.same(refused, { answer[1], answer[3] })
      strict:stop()
    end)

    it("are not asked of a proxy", function()
      local proxied = process.serve(http_app.SOURCE, { environment = "http_proxy=" .. url })
      assert.same({ "GET http://any.example/head HTTP/1.1" }, http_app.run(proxied, [[
        return http.get("http://any.example/head"):body():match "^[^\r\n]*"
      ]]))
      local answer = http_app.run(proxied, [[return http.get("http://any.invalid/head", { private = false })]])
      assert.same({ "nil", "name" }, { answer[1], answer[3] })
      proxied:stop()
    end)
  end)

  describe("names", function()
    it("that nobody resolves hold up neither the loop nor the request", function()
      local slowest, done = 0, nil
      local client = server:connect()
      local code = [[
        local began = sse.now()
        local res, err, code = http.get("http://silent.example/", { timeout = { connect = 0.5 } })
        return res, code, sse.now() - began
      ]]
      client:send(("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#code, code))
      client:settimeout(0)
      repeat
        local began = socket.gettime()
        assert.equal(200, (process.get(server.port, "/here")))
        slowest = math.max(slowest, socket.gettime() - began)
        local bytes, _, rest = client:receive "*a"
        done = (done or "") .. (bytes or rest)
      until done:find "]$"
      local took = tonumber(done:match '"timeout",([%d.]+)')
      assert.is_true(took and took >= 0.45 and took < 5, done)
      assert.is_true(slowest < 2, slowest)
    end)

    it("are looked up once for all who ask, and by few threads", function()
      local function threads() return tonumber(process.read_file(("/proc/%d/status"):format(server.pid)):match "Threads:%s*(%d+)") end
      local before = threads()
      local answer = run [[
        local tasks = {}
        for i = 1, 200 do
          tasks[i] = sse.spawn(function() return select(3, http.get("http://silent" .. i %% 50 .. ".example/", { timeout = { connect = 0.3 } })) end)
        end
        local codes = {}
        for _, task in ipairs(tasks) do
          local code = task:join()
          codes[code] = (codes[code] or 0) + 1
        end
        return codes
      ]]
      assert.same({ timeout = 200 }, answer[1])
      assert.is_true(threads() - before <= 4, threads())
    end)
  end)
end)
