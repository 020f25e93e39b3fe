-- SPDX-License-Identifier: MIT
-- spate.http against a real nginx: TLS, HTTP/2, redirects, connections that are kept, and what a loop must not wait for.
local http_app = require "spec.http_app"
local process = require "spec.process"
local servers = require "spec.servers"
local socket = require "socket"

local contains = process.contains

local APP = http_app.SOURCE

describe("spate.http end to end", function()
  local dir, server, nginx, tls, other

  setup(function()
    dir = process.enter()
    servers.make_certificates(dir)
    local port, secure = servers.free_port(), servers.free_port()
    local routes = [[
      location = /hello { return 200 "hello"; }
      location = /protocol { return 200 "$server_protocol $connection"; }
      location = /method { return 200 "$request_method $content_length $http_content_type"; }
      location = /fields { return 200 "$http_authorization|$http_cookie|$http_x_api_key|$http_accept|$http_user_agent"; }
      location = /args { return 200 "$request_uri"; }
      location = /found { return 302 /method; }
      location = /kept { return 307 /body; }
      location = /same { return 302 /fields; }
      location = /elsewhere { return 302 http://localhost:PORT/fields; }
      location = /secure { return 302 https://localhost:SECURE/fields; }
      location = /file { return 302 file:///etc/passwd; }
      location = /loop { return 302 /loop; }
      location = /nothing { return 204; }
      location = /small { client_max_body_size 1k; proxy_pass http://127.0.0.1:PORT/method; }
      location = /body { proxy_pass http://127.0.0.1:PORT/method; }
      location = /slow { limit_rate 1k; alias DIR/megabyte; default_type text/plain; }
      location = /gigabyte { alias DIR/gigabyte; default_type text/plain; }
      location = /megabyte { alias DIR/megabyte; default_type text/plain; }
    ]]
    local directives = ([[
      client_max_body_size 0;
      server { listen 127.0.0.1:PORT; listen unix:DIR/socket; keepalive_timeout 1s; ROUTES }
      server { listen 127.0.0.1:SECURE ssl http2; ssl_certificate DIR/server.pem; ssl_certificate_key DIR/server.key; ROUTES }
    ]]):gsub("ROUTES", function() return routes end):gsub("PORT", port):gsub("SECURE", secure):gsub("DIR", dir)
    process.write_file(dir .. "/megabyte", ("x"):rep(1 << 20))
    process.shell("truncate -s 1G %s/gigabyte", dir)
    nginx = servers.nginx(dir, port, directives)
    server = process.serve(APP, { dir = "/", environment = "SSL_CERT_FILE=" .. dir .. "/ca.pem" .. http_app.SANITIZER })
    tls, nginx = "https://localhost:" .. secure, "http://127.0.0.1:" .. port
    other = "http://localhost:" .. port
  end)

  teardown(function()
    server:stop()
    servers.stop()
    process.leave()
  end)

  local function run(...) return http_app.run(server, ...) end

  it("gets and posts, and has fields in any case", function()
    assert.same({ 200, "hello", "text/plain" }, run([[
      local res = http.get "%s/hello"
      return res.status, res:body(), res.headers["Content-TYPE"]
    ]], nginx))
    assert.same({ 200, "POST 3 text/x" }, run([[
      local res = http.post("%s/method", { body = "abc", headers = { ["Content-Type"] = "text/x" } })
      return res.status, res:body()
    ]], nginx))
    assert.same({ "PUT 0 ", "DELETE  ", "PATCH 2 application/json", "REPORT  " }, run([[
      return http.put "%s/method":body(), http.delete "%s/method":body(), http.patch("%s/method", { json = json.object() }):body(),
        http.request("REPORT", "%s/method"):body()
    ]], nginx, nginx, nginx, nginx))
    assert.same({ 204, "", 200, "", "5" }, run([[
      local empty, head = http.get "%s/nothing", http.head "%s/hello"
      return empty.status, empty:body(), head.status, head:body(), head.headers["content-length"]
    ]], nginx, nginx))
    assert.same({ "/args?a=1&b=x%20y%26&c=1&c=2" }, run([[
      return http.get("%s/args?a=1", { query = { b = "x y&", c = { 1, 2 } } }):body()
    ]], nginx))
  end)

  it("finds this machine by the names that mean it", function()
    assert.same({ "hello", "hello" }, run([[return http.get "%s/hello":body(), http.get "%s/hello":body()]], (nginx:gsub("127.0.0.1", "any.localhost")),
      (nginx:gsub("127.0.0.1", "LOCALHOST."))))
  end)

  it("speaks through a UNIX socket", function()
    assert.same({ "hello" }, run([[return http.get("http://any.example/hello", { unix = "%s/socket", private = false }):body()]], dir))
    assert.same({ "hello" }, run([[return http.get("http://any.example/hello", { unix = "socket" }):body()]])) -- beside the script
    assert.same({ "hello" }, run([[return http.get("%s/hello", { tls = { ca = "ca.pem" } }):body()]], tls))
    assert.same({ "200", "true" }, run([[
      local res = http.post("%s/body", { form = { file = { path = "megabyte" } } })
      return tostring(res.status), tostring(tonumber(res:body():match "^POST (%%d+)") > 1 << 20)
    ]], nginx))
  end)

  it("tells the version of HTTP, and what the server's certificate says", function()
    assert.same({ "1.1", "nil" }, run([[local res = http.get("%s/nothing", { tls = { certificate = true } }) return res.http_version, res.certificate]], nginx))
    local found = run([[
      local res <close> = http.get("%s/nothing", { tls = { certificate = true, ca = "ca.pem" } })
      local c = res.certificate
      return res.http_version, c.subject, c.issuer, c.names[1], math.floor((c.ends - c.starts) / 3600), os.time() - c.starts < 600, c.starts <= os.time()]], tls)
    assert.same({ "2", "CN=localhost", "CN=spec", "DNS:localhost", 48, true, true }, found)
    assert.same({ "nil" }, run([[return http.get("%s/nothing", { tls = { ca = "ca.pem" } }).certificate]], tls))
  end)

  it("trusts certificates of known authorities only, for the name that was asked for", function()
    assert.same({ 200, "hello" }, run([[local res = http.get "%s/hello" return res.status, res:body()]], tls))
    local refused = run([[return http.get "%s/hello"]], (tls:gsub("localhost", "127.0.0.1")))
    assert.same({ "nil", "tls" }, { refused[1], refused[3] })
    contains(refused[2], "127.0.0.1", "certificate")
    local unknown = run([[return http.get("%s/hello", { tls = { ca = "/etc/ssl/certs/ca-certificates.crt" } })]], tls)
    assert.same({ "nil", "tls" }, { unknown[1], unknown[3] })
    assert.same({ "hello" }, run([[return http.get("%s/hello", { tls = { verify = false } }):body()]], (tls:gsub("localhost", "127.0.0.1"))))
    local missing = run([[return http.get("%s/hello", { tls = { ca = "/nowhere.pem" } })]], tls)
    assert.equal("tls", missing[3])
    local plain = run([[return http.get "%s/hello"]], (nginx:gsub("http:", "https:")))
    assert.equal("tls", plain[3])
  end)

  it("speaks HTTP/2 where the server has it, and uses connections again", function()
    local first, second = table.unpack(run([[return http.get "%s/protocol":body(), http.get "%s/protocol":body()]], tls, tls))
    assert.matches("^HTTP/2%.0 %d+$", first)
    assert.equal(first, second)
    first, second = table.unpack(run([[return http.get "%s/protocol":body(), http.get "%s/protocol":body()]], nginx, nginx))
    assert.matches("^HTTP/1%.1 %d+$", first)
    assert.equal(first, second)
  end)

  it("keeps a window of an answer by HTTP/2 that nobody reads, whatever else is asked for", function()
    local code = [[
      local before = spate.stats().http_bytes_in_total
      local one <close> = http.get "%s/gigabyte"
      local two <close> = http.get "%s/gigabyte"
      sse.sleep(0.3)
      local bytes = spate.stats().http_bytes_in_total - before
      return one.status, two.status, bytes, http.get "%s/protocol":body()
    ]]
    run(code, tls, tls, tls)
    local before = http_app.peak(server)
    for _ = 1, 3 do
      local answer = run(code, tls, tls, tls)
      assert.same({ 200, 200 }, { answer[1], answer[2] })
      assert.is_true(answer[3] >= 2 * 65536 and answer[3] <= 2 * (65536 + 16384), answer[3])
      assert.matches("^HTTP/2%.0 ", answer[4])
    end
    assert.is_true(http_app.peak(server) - before < (os.getenv "ASAN_OPTIONS" and 60000 or 4000), http_app.peak(server) - before)
  end)

  it("connects anew where a kept connection has been closed meanwhile", function()
    local first, second = table.unpack(run([[
      local first = http.get "%s/protocol":body()
      sse.sleep(1.3)
      return first, http.get "%s/protocol":body()
    ]], nginx, nginx))
    assert.matches("^HTTP/1%.1 %d+$", second)
    assert.not_equal(first, second)
  end)

  it("follows redirects, each by the method that the status asks for", function()
    assert.same({ "GET  ", "POST 3 ", 302 }, run([[
      local found = http.post("%s/found", { body = "abc" })
      local kept = http.post("%s/kept", { body = "abc" })
      local none = http.get("%s/found", { redirects = 0 })
      return found:body(), kept:body(), none.status
    ]], nginx, nginx, nginx))
  end)

  it("gives up on redirects that do not end, or lead to another scheme", function()
    for _, path in ipairs { "/loop", "/file" } do
      local answer = run([[return http.get "%s%s"]], nginx, path)
      assert.same({ "nil", "redirects" }, { answer[1], answer[3] })
    end
    local streamed = run([[
      local i = 0
      return http.post("%s/kept", { body = function() i = i + 1 if i < 3 then return "piece" end end })
    ]], nginx)
    assert.equal("redirects", streamed[3])
  end)

  it("takes credentials to the same host only", function()
    local code = [[
      local options = { headers = { cookie = "c=1", ["x-api-key"] = "k", accept = "text/x" }, auth = { user = "me", password = "pw" } }
      return http.get("%s", options):body()
    ]]
    local all = "Basic bWU6cHc=|c=1|k|text/x|spate/"
    assert.equal(all, run(code, nginx .. "/fields")[1]:match "^.-spate/")
    assert.equal(all, run(code, nginx .. "/same")[1]:match "^.-spate/")
    assert.equal("|||text/x|spate/", run(code, nginx .. "/elsewhere")[1]:match "^.-spate/")
    assert.equal("|||text/x|spate/", run(code, other .. "/secure")[1]:match "^.-spate/")
    assert.equal("Basic bWU6cHc=|", run([[return http.get("%s"):body()]], (nginx:gsub("//", "//me:pw@")) .. "/fields")[1]:match "^[^|]*|")
  end)

  it("has the answer to a body that the server does not want", function()
    assert.same({ 413 }, run([[return http.post("%s/small", { body = ("x"):rep(10 * 1024 * 1024) }).status]], nginx))
    assert.same({ 413 }, run([[
      local piece = ("x"):rep(65536)
      local n = 0
      return http.post("%s/small", { body = function() n = n + 1 if n < 1000 then return piece end end }).status
    ]], nginx))
  end)

  it("sends a large body as it is taken, without keeping it", function()
    local function resident() return http_app.peak(server) end
    local code = [[
      local piece = ("x"):rep(65536)
      local n = 0
      local res = http.put("%s/body", { body = function() n = n + 1 if n <= %d then return piece end end })
      return res.status
    ]]
    assert.same({ 200 }, run(code, nginx, 100))
    local before = resident()
    assert.same({ 200 }, run(code, nginx, 2000))
    assert.is_true(resident() - before < (os.getenv "ASAN_OPTIONS" and 60000 or 10000), resident() - before)
  end)

  it("ends what takes too long: in all, or without a byte", function()
    for option, limit in pairs { ["0.3"] = "total", ["{ total = 0.3 }"] = "total", ["{ idle = 0.2 }"] = "idle" } do
      local answer = run([[
        local began = sse.now()
        local res = assert(http.get("%s/slow", { timeout = %s }))
        local body, err, code = res:body()
        return body, err, code, sse.now() - began
      ]], nginx, option)
      assert.equal("timeout", answer[3], limit)
      assert.is_true(answer[4] < 5, answer[4])
    end
  end)

  it("lets go of the body where less of it was asked for", function()
    local answer = run([[
      local res = http.get "%s/megabyte"
      local body, err, code = res:body(1000)
      local again = http.get("%s/megabyte", { max = 1000 })
      return body, err, code, select(3, again:body()), pcall(function() for _ in http.get("%s/megabyte", { max = 1000 }):chunks() do end end)
    ]], nginx, nginx, nginx)
    assert.same({ "nil", "the body has more than 1000 bytes", "too large", "too large", false }, { table.unpack(answer, 1, 5) })
    contains(answer[6], "code:4: res:chunks: the body has more than 1000 bytes")
  end)

  it("leaves no descriptor of its connections to programs that are started", function()
    local counts = run([[
      local function inherited()
        local p <close> = io.popen "ls -l /proc/self/fd"
        return select(2, p:read "a":gsub("socket:", ""))
      end
      local before = inherited()
      local one, two = assert(http.get "%s/slow"), assert(http.get "%s/slow")
      return before, inherited(), one.status, two.status
    ]], nginx, tls)
    assert.same({ counts[1], 200, 200 }, { table.unpack(counts, 2) })
  end)

  it("counts requests, failures and bytes", function()
    local answer = run([[
      local before = spate.stats()
      http.post("%s/method", { body = ("x"):rep(1000) }):body()
      http.get "http://127.0.0.1:1/"
      local after = spate.stats()
      return after.http_requests, after.http_requests_total - before.http_requests_total, after.http_errors_total - before.http_errors_total,
        after.http_bytes_out_total - before.http_bytes_out_total, after.http_bytes_in_total - before.http_bytes_in_total
    ]], nginx)
    assert.same({ 0, 2, 1, 1000, #"POST 1000 " }, answer)
  end)

  it("closes what nobody has read, once it is collected", function()
    assert.same({ 1, 0 }, run([[
      http.get "%s/slow"
      local open = spate.stats().http_requests
      collectgarbage()
      collectgarbage()
      return open, spate.stats().http_requests
    ]], nginx))
  end)

  it("ends a request whose client has left", function()
    local url = nginx:gsub("[:/]", function(c) return ("%%%02X"):format(c:byte()) end) .. "/slow"
    for _, way in ipairs { { "/wait", process.reset }, { "/through", socket.tcp().close } } do
      local client = process.ask(server.port, way[1] .. "?url=" .. url)
      process.eventually("a request", function() return run "return spate.stats().http_requests"[1] == 1 end)
      way[2](client)
      process.eventually("its end", function() return run "return spate.stats().http_requests"[1] == 0 end)
    end
  end)

  it("refuses more requests at once than limits.http_requests", function()
    local limited = process.serve(APP, { settings = "{ limits = { http_requests = 2 } }" })
    local shown = server
    server = limited
    finally(function() server = shown end)
    local answer = run([[
      local one, two = http.get "%s/slow", http.get "%s/slow"
      local three, err, code = http.get "%s/hello"
      one:close()
      return three, err, code, http.get "%s/hello":body()
    ]], nginx, nginx, nginx, nginx)
    assert.same({ "nil", "more than 2 requests to other servers at a time (limits.http_requests)", "busy", "hello" }, answer)
    limited:stop()
  end)
end)
