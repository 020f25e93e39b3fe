-- SPDX-License-Identifier: MIT
-- The admin listener of real processes: where it is, and how long.
local certificates = require "spec.certificates"
local process = require "spec.process"
local socket = require "socket"

describe("the admin listener", function()
  local directory

  local heir -- of an upgrade

  before_each(function() directory, heir = process.enter(), nil end)
  after_each(function()
    if heir then os.execute(("kill -9 %s 2>/dev/null"):format(heir)) end
    process.leave()
  end)

  local function port_of(server)
    return tonumber(process.eventually("the inspector's address", function() return server:stdout():match "inspector on http://127%.0%.0%.1:(%d+)\n" end))
  end

  -- The status of an answer; nil where nobody answers.
  local function status(port, target)
    local client = socket.connect("127.0.0.1", port)
    if not client then return nil end
    client:settimeout(process.SECONDS)
    client:send(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n"):format(target, port))
    local answer = client:receive "*a"
    client:close()
    return answer and tonumber(answer:match "^HTTP/1.1 (%d+)"), answer
  end

  local APP = [[
app:get("/", function() return "hi" end)
app:get("/never", function(req) req:on_close(function() sse.sleep(0.5) end) return sse.reply(sse.never()) end)]]

  it("is off in serve unless it is asked for; it is there over reloads, and until the last stream has gone", function()
    local server = process.serve(APP, { settings = "{ shutdown = { window = 1, grace = 20 } }" })
    assert.is_nil(server:stdout():find("inspector", 1, true))
    server:kill "TERM"
    server = process.serve(APP, { settings = "{ shutdown = { window = 3, grace = 20 } }", arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0", "-w", "2" } })
    local port = port_of(server)
    assert.equal(200, (status(port, "/healthz")))
    assert.equal(404, (status(server.port, "/healthz")))
    process.write_file(directory .. "/app.lua", "error 'broken'")
    server:kill "HUP"
    server:says "not reloaded"
    assert.equal(200, (status(port, "/readyz")))
    local streams = {}
    for i = 1, 8 do
      streams[i] = server:ask "/never"
      process.read_until(streams[i], "\r\n\r\n")
    end
    local kept = assert(socket.connect("127.0.0.1", port))
    kept:settimeout(process.SECONDS)
    server:kill "TERM"
    server:says "stopping: SIGTERM"
    kept:send "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    process.contains(kept:receive "*a", "draining")
    assert.same({ 0 }, { server:wait() })
  end)

  it("warns where it is open to others and asks for nothing", function()
    local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "--admin", "0.0.0.0:0" } })
    server:says "asks nobody who he is"
    server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "--admin", "0.0.0.0:0" }, environment = "SPATE_ADMIN_TOKEN=0123456789abcdef" })
    local port = tonumber(server:stdout():match "inspector on http://0%.0%.0%.0:(%d+)")
    assert.equal(401, (status(port, "/metrics")))
    assert.is_nil(server:stderr():find("asks nobody", 1, true))
  end)

  it("can be a socket in the file system, which goes with it", function()
    local path = directory .. "/admin"
    local server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "--admin", "unix:" .. path } })
    process.shell("LD_PRELOAD= curl -sf --unix-socket %s http://x/healthz >/dev/null", path)
    server:kill "TERM"
    assert.same({ 0 }, { server:wait() })
    assert.is_nil(io.open(path))
  end)

  it("is there while the application is loading", function()
    process.write_file(directory .. "/app.lua", process.PRELUDE .. [[
app:on_start(function() while not io.open "go" do sse.sleep(0.02) end end)
return app
]])
    local server = process.spawn { "serve", "-l", "127.0.0.1:0", "--admin", "unix:" .. directory .. "/admin", directory .. "/app.lua" }
    local function ready() return assert(io.popen(("LD_PRELOAD= curl -s --unix-socket %s/admin http://x/readyz"):format(directory))):read "a" end
    process.eventually("the listener", function() return ready() == "the application is loading\n" end)
    process.write_file(directory .. "/go", "")
    process.eventually("the application", function() return ready() == "ready\n" end)
    server:stop()
  end)

  it("speaks TLS where it is told to", function()
    local cert, key = certificates.make(directory, "a", { names = { "DNS:localhost" } })
    local server = process.serve(APP, { settings = ("{ tls = { cert = %q, key = %q } }"):format(cert, key),
      arguments = { "-l", "127.0.0.1:0", "--admin", "https://127.0.0.1:0" } })
    local port = server:stdout():match "inspector on https://127%.0%.0%.1:(%d+)"
    local body = assert(io.popen(("LD_PRELOAD= curl -sk https://localhost:%s/healthz"):format(port))):read "a"
    assert.equal("ok\n", body)
  end)

  it("shows requests to other servers while they are open", function()
    local silent = assert(socket.bind("127.0.0.1", 0))
    local other = select(2, silent:getsockname())
    local server = process.serve(('app:get("/ask", function() return spate.http.get("http://127.0.0.1:%d/secret") end)\n'):format(other),
      { arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0" } })
    local port = port_of(server)
    local client, answer = server:ask "/ask"
    process.eventually("the request", function()
      answer = select(2, status(port, "/api/upstreams"))
      return answer:find('"count":1', 1, true)
    end)
    process.contains(answer, ('"origin":"http://127.0.0.1:%d"'):format(other))
    process.contains(answer, '"method":"GET"')
    assert.is_nil(answer:find("secret", 1, true))
    client:close()
    silent:close()
  end)

  it("goes to the new process of an upgrade", function()
    local server = process.serve(APP, { settings = "{ shutdown = { window = 0.2 } }", arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0" } })
    local port = port_of(server)
    local upgrade = process.spawn { "upgrade", directory .. "/app.lua" }
    assert.equal(0, (upgrade:wait()), upgrade:stderr())
    assert.same({ 0 }, { server:wait() })
    local _, answer = status(port, "/api/overview")
    heir = answer:match '"pid":(%d+)'
    process.contains(answer, '"generation":1,')
    assert.are_not.equal(server.pid, tonumber(heir))
  end)

  it("is on by itself in dev, at a port that is free", function()
    local function dev(name)
      process.write_file(directory .. "/" .. name, process.PRELUDE .. APP .. "\nreturn app\n")
      return process.spawn { "dev", "-l", "127.0.0.1:0", directory .. "/" .. name }
    end
    local one, two = dev "one.lua", dev "two.lua"
    local ports = { port_of(one), port_of(two) }
    assert.are_not.equal(ports[1], ports[2])
    for _, port in ipairs(ports) do assert.equal(200, (status(port, "/readyz"))) end
  end)
end)
