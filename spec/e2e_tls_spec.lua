-- SPDX-License-Identifier: MIT
-- TLS of the real program: curl, openssl, workers, certificates that change, addresses that redirect.
local certificates = require "spec.certificates"
local process = require "spec.process"

local APP = [[
app:get("/", function(req) return req.scheme .. " " .. req.url .. " " .. (req.tls and req.tls.version or "-") .. "\n" end)
app:get("/ticks", function() return sse.reply(sse.interval(0.05)) end)
app:get("/large", function() return ("x"):rep(20000000) end)
app:get("/file", function(req) return reply.file "large.bin" end)
app:post("/body", function(req) return tostring(#req:body()) end)
app:get("/stats", function() return spate.stats() end)
]]

local function output(...)
  local pipe <close> = assert(io.popen("unset LD_PRELOAD; " .. (...):format(select(2, ...)) .. " 2>&1"))
  return pipe:read("a")
end

describe("spate by TLS", function()
  local directory

  before_each(function()
    directory = process.enter()
    certificates.make(directory, "a", { names = { "DNS:a.example", "DNS:localhost", "IP:127.0.0.1" } })
    certificates.make(directory, "b", { names = { "DNS:b.example" } })
  end)

  after_each(process.leave)

  local function serve(options)
    options = options or {}
    options.settings = options.settings or ("{ tls = { cert = %q, key = %q } }"):format(directory .. "/a.pem", directory .. "/a.key")
    options.arguments = options.arguments or { "-l", "https://127.0.0.1:0" }
    return process.serve(APP, options)
  end

  local function curl(server, path, more)
    return output("curl -sS --max-time 20 --cacert %s/a.pem --resolve a.example:%d:127.0.0.1 %s https://a.example:%d%s", directory,
      server.port, more or "", server.port, path)
  end

  it("answers curl: short, streams, uploads, large answers and files", function()
    local server = serve()
    process.write_file(directory .. "/large.bin", ("0123456789"):rep(500000))
    assert.matches("^https://127.0.0.1:%d+$", server.addresses[1])
    assert.equal(("https https://a.example:%d/ TLSv1.3\n"):format(server.port), curl(server, "/"))
    assert.matches(" TLSv1.2\n$", curl(server, "/", "--tls-max 1.2"))
    assert.equal("20000000\n", curl(server, "/large", "-o /dev/null -w '%{size_download}\\n'"))
    assert.equal("5000000\n", curl(server, "/file", "-o /dev/null -w '%{size_download}\\n'"))
    process.write_file(directory .. "/upload", ("y"):rep(1000000))
    assert.equal("1000000", curl(server, "/body", ("--data-binary @%s/upload"):format(directory)))
    assert.matches("data: 1\n\ndata: 2\n\n", curl(server, "/ticks", "-N --max-time 0.5"))
    server:stop()
  end)

  it("has a client resume at another worker, and after a reload", function()
    local server = serve { arguments = { "-l", "https://127.0.0.1:0", "-w", "2" } }
    local function connect(how)
      return output("printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | timeout 10 openssl s_client -connect 127.0.0.1:%d -servername a.example -ign_eof %s %s/session",
        server.port, how, directory)
    end
    assert.matches("\nNew, TLSv1.3", connect "-sess_out")
    for _ = 1, 8 do assert.matches("\nReused, TLSv1.3", connect "-sess_in") end
    server:kill "HUP"
    server:says "reloaded"
    assert.matches("\nReused, TLSv1.3", connect "-sess_in")
    server:stop()
  end)

  it("uses a certificate that is saved anew, while what is open goes on; a bad one is told and not used", function()
    local server = serve()
    local function subject()
      return output("openssl s_client -connect 127.0.0.1:%d </dev/null", server.port):match("subject=CN = (%S+)")
        or output("openssl s_client -connect 127.0.0.1:%d </dev/null", server.port):match("subject=CN=(%S+)")
    end
    local function copy(from) process.shell("cp %s/%s.pem %s/a.pem; cp %s/%s.key %s/a.key", directory, from, directory, directory, from, directory) end
    local stream = assert(io.popen(("unset LD_PRELOAD; curl -sSN --max-time 20 --cacert %s/a.pem https://localhost:%d/ticks"):format(directory, server.port)))
    assert.equal("data: 1", stream:read("l"))
    assert.equal("a", subject())
    copy "b"
    server:says "certificates read anew"
    assert.equal("b", subject())
    process.write_file(directory .. "/a.pem", "nothing of use")
    server:says "a.pem: no PEM in it; the certificates that are in use stay"
    assert.equal("b", subject())
    local reload = process.spawn { "reload", tostring(server.pid) }
    assert.equal(1, (reload:wait()))
    assert.matches("reloaded but for the certificates: tls.cert: .*a.pem: no PEM in it", reload:stderr() .. reload:stdout())
    local line = stream:read("l")
    while line ~= "data: 20" do line = assert(stream:read("l")) end
    server:kill "TERM"
    stream:close()
    server:wait()
  end)

  it("does not start with a certificate that cannot be used, or with https and none", function()
    process.write_file(directory .. "/app.lua", "return require('spate').app()")
    local function failure(settings)
      process.write_file(directory .. "/settings.lua", "return " .. settings)
      return process.failure(3, { "serve", directory .. "/app.lua", "-c", directory .. "/settings.lua" })
    end
    assert.matches("tls.cert: .*/none.pem: No such file", failure(('{ listen = "127.0.0.1:0", tls = { cert = %q, key = %q } }'):format(directory .. "/none.pem", directory .. "/a.key")))
    assert.matches("tls.key: .*/b.key: key values mismatch", failure(('{ listen = "127.0.0.1:0", tls = { cert = %q, key = %q } }'):format(directory .. "/a.pem", directory .. "/b.key")))
    assert.matches("https needs a certificate", failure '{ listen = "https://127.0.0.1:0" }')
    assert.matches("listen%[1%].redirect: there is no address of https", failure '{ listen = { { "127.0.0.1:0", redirect = true } } }')
  end)

  it("makes a certificate for localhost while an application is developed, and keeps it", function()
    local function dev(...)
      return process.serve(APP, { command = "dev", arguments = { "--tls", ... }, environment = ("XDG_STATE_HOME=%s/state"):format(directory) })
    end
    local server = dev("-l", "127.0.0.1:0")
    local cert = directory .. "/state/spate/localhost.pem"
    assert.matches("https", output("curl -sS --cacert %s https://localhost:%d/", cert, server.port))
    assert.matches("https", output("curl -sS --cacert %s https://127.0.0.1:%d/", cert, server.port))
    assert.truthy(server:stderr():find("curl --cacert " .. cert, 1, true))
    assert.matches("^600 ", output("stat -c '%%a ' %s/state/spate/localhost.key", directory))
    server:stop()
    local first = process.read_file(cert)
    dev("-l", "https://127.0.0.1:0", "-l", "http://127.0.0.1:0"):stop()
    assert.equal(first, process.read_file(cert))
    certificates.make(directory .. "/state/spate", "localhost", { days = 29 })
    dev("-l", "127.0.0.1:0"):stop()
    assert.is_false(first == process.read_file(cert))
  end)

  it("is checked: certificates that cannot be used or have ended, and as a warning those that end soon", function()
    process.write_file(directory .. "/app.lua", "local app = require('spate').app()\napp:get('/', function() return 'x' end)\nreturn app\n")
    local function check(cert, key)
      process.write_file(directory .. "/spate.conf.lua", ("return {\n  tls = { cert = %q, key = %q },\n}\n"):format(directory .. cert, directory .. key))
      local checked = process.spawn { "check", "app.lua" }
      return checked:wait(), checked:stdout()
    end
    assert.same({ 0, "app.lua: 1 route, no problems\n" }, { check("/a.pem", "/a.key") })
    local code, text = check("/none.pem", "/a.key")
    assert.equal(3, code)
    assert.matches("spate.conf.lua:2: tls.cert: .*/none.pem: No such file", text)
    certificates.make(directory, "soon", { days = 29 })
    code, text = check("/soon.pem", "/soon.key")
    assert.equal(0, code)
    assert.matches("spate.conf.lua:2: warning: tls: .*/soon.pem ends in 2[89] days\n", text)
    certificates.make(directory, "past", { days = -1 })
    code, text = check("/past.pem", "/past.key")
    assert.equal(3, code)
    assert.matches("has ended: clients refuse it", text)
  end)

  it("is checked: a name that an earlier host has is a warning", function()
    process.write_file(directory .. "/app.lua", "local app = require('spate').app()\napp:get('/', function() return 'x' end)\nreturn app\n")
    certificates.make(directory, "both", { names = { "DNS:B.example", "DNS:c.example" } })
    local function check(hosts)
      process.write_file(directory .. "/spate.conf.lua", "return {\n  tls = {\n" .. hosts:gsub("DIR", directory) .. "\n  },\n}\n")
      local checked = process.spawn { "check", "app.lua" }
      return checked:wait(), checked:stdout()
    end
    local code, text = check 'cert = "DIR/a.pem", key = "DIR/a.key", name = "b.example", { cert = "DIR/both.pem", key = "DIR/both.key" }'
    assert.equal(0, code)
    assert.matches("spate.conf.lua:2: warning: tls%[1%]: it has the name B.example, as tls has: whoever asks for that is served by [^ ]*/a.pem\n", text)
    code, text = check 'cert = "DIR/a.pem", key = "DIR/a.key", { name = "x.b", cert = "DIR/a.pem", key = "DIR/a.key" }, { name = "X.b", cert = "DIR/both.pem", key = "DIR/both.key" }'
    assert.equal(0, code)
    assert.matches("warning: tls%[2%]: it has the name X.b, as tls%[1%] has: ", text)
    assert.same({ 0, "app.lua: 1 route, no problems\n" }, { check 'cert = "DIR/both.pem", key = "DIR/both.key", { name = "*.b.example", cert = "DIR/a.pem", key = "DIR/a.key" }' })
  end)

  it("shows a scanner nothing old or weak", function()
    if not os.execute "command -v sslscan >/dev/null" then return pending "needs sslscan" end
    local server = serve()
    local found = output("sslscan --no-colour 127.0.0.1:%d", server.port)
    for _, old in ipairs { "SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1" } do assert.matches(old:gsub("%.", "%%.") .. " +disabled", found) end
    assert.matches("Session renegotiation not supported", found)
    assert.is_nil(found:match "[^\n]*CBC[^\n]*" or found:match "[^\n]*ffdhe[^\n]*" or found:match "[^\n]* is vulnerable[^\n]*")
    for cipher in found:gmatch "Accepted +TLS%S+ +%d+ bits +(%S+)" do assert.truthy(cipher:find "GCM" or cipher:find "POLY1305", cipher) end
    server:stop()
  end)

  it("redirects from http, and tells each port's guests of the other's protocol", function()
    local server = serve { arguments = {}, settings = ("{ listen = { 'https://127.0.0.1:0', { 'http://127.0.0.1:0', redirect = true } }, tls = { cert = %q, key = %q } }")
      :format(directory .. "/a.pem", directory .. "/a.key") }
    local plain = server.addresses[2]
    assert.matches("^http://127", plain)
    local https = server.port
    assert.equal(("308 https://127.0.0.1:%d/x?y=1"):format(https), output("curl -sS -o /dev/null -w '%%{http_code} %%{redirect_url}' '%s/x?y=1'", plain))
    assert.matches("^https .* TLSv1.3\n$", output("curl -sSL --cacert %s/a.pem '%s/'", directory, plain))
    assert.matches("this port speaks TLS", output("curl -sS http://127.0.0.1:%d/", https))
    server:stop()
  end)
end)
