-- SPDX-License-Identifier: MIT
-- HTTP/2 of the real program, as others speak it: curl, nghttp, h2load, Node; and a browser with a hundred event streams
-- on one page.
local browser = require "spec.browser"
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local process = require "spec.process"
local servers = require "spec.servers"
if not helper.harness.hpack then return end -- built without nghttp2

local APP = [[
local ch = sse.channel "news"
app:get("/", function() return reply.html "<p>page" end)
app:get("/text", function(req) return "hello " .. (req.query.name or "") end)
app:get("/large", function() return ("x"):rep(20000000) end)
app:get("/ticks", function() return sse.reply(sse.interval(0.05)) end)
app:get("/sub/:n", function() return sse.reply(ch:subscribe()) end)
app:get("/count", function() return tostring(ch:count()) end)
app:post("/pub", function(req) ch:publish(req:body()) return "" end)
app:post("/size", function(req) return tostring(#req:body()) end)
app:get("/file", function() return reply.file "large.bin" end)
app:get("/stats", function() return spate.stats() end)
]]

local NODE = [[
import http2 from "node:http2"
const client = http2.connect(process.argv[2], { rejectUnauthorized: false })
const read = (path, until) => new Promise((resolve, reject) => {
  const request = client.request({ ":path": path })
  let text = ""
  request.setEncoding("utf8")
  request.on("data", piece => { text += piece; if (until && until(text)) { request.close(); resolve(text) } })
  request.on("end", () => resolve(text)).on("error", reject)
})
const post = (path, body) => new Promise((resolve, reject) => {
  const request = client.request({ ":path": path, ":method": "POST" })
  let text = ""
  request.setEncoding("utf8").on("data", piece => text += piece).on("end", () => resolve(text)).on("error", reject)
  request.end(body)
})
const subscribers = Array.from({ length: 50 }, (_, i) => read(`/sub/${i}`, text => text.includes("news\n\n")))
const large = read("/large")
while (await read("/count") !== "50") continue
const size = await post("/size", "y".repeat(500000))
await post("/pub", "news")
const got = await Promise.all(subscribers)
console.log(got.filter(text => text.includes("data: news\n")).length, (await large).length, size)
client.close()
]]

local function output(...)
  local pipe <close> = assert(io.popen("unset LD_PRELOAD; " .. (...):format(select(2, ...)) .. " 2>&1"))
  return pipe:read("a")
end

local function is_installed(program) return output("command -v %s", program) ~= "" end

local function needs(program)
  if is_installed(program) then return it end
  io.stderr:write("spec/e2e_http2_spec.lua: skipped, as ", program, " is not installed\n")
  return pending
end

describe("spate by HTTP/2", function()
  local directory, server, plain, secure

  before_each(function()
    directory = process.enter()
    certificates.make(directory, "a", { names = { "DNS:localhost", "IP:127.0.0.1" } })
    server = process.serve(APP, {
      settings = ("{ tls = { cert = %q, key = %q }, http2 = { requests = 1000000 }, log = { access = false } }"):format(directory .. "/a.pem", directory .. "/a.key"),
      arguments = { "-l", "127.0.0.1:0", "-l", "https://127.0.0.1:0" },
    })
    plain, secure = server.addresses[1], server.addresses[2]
    process.write_file(directory .. "/large.bin", ("0123456789"):rep(500000))
  end)

  after_each(process.leave)

  local function stop()
    local stats = helper.json.decode(output("curl -sS --http2-prior-knowledge %s/stats", plain))
    assert.same({ 0, 0, 0, 0 }, { stats.http2_resets_total, stats.http2_frames_total, stats.http2_heads_total, stats.http2_answers_total })
    server:stop()
  end

  it("answers curl: short, streams, uploads, large answers, files; plain and by TLS", function()
    process.write_file(directory .. "/upload", ("y"):rep(1000000))
    for _, how in ipairs { "--http2-prior-knowledge " .. plain, "--http2 -k " .. secure } do
      local function curl(path, more) return output("curl -sS --max-time 20 %s %s%s", more or "", how, path) end
      assert.equal("hello ann 2", curl("/text?name=ann", "-w ' %{http_version}'"))
      assert.equal("20000000", curl("/large", "-o /dev/null -w '%{size_download}'"))
      assert.equal("5000000", curl("/file", "-o /dev/null -w '%{size_download}'"))
      assert.equal("1000000", curl("/size", ("--data-binary @%s/upload"):format(directory)))
      assert.matches("data: 1\n\ndata: 2\n\n", curl("/ticks", "-N --max-time 0.5"))
    end
    assert.equal("1.1", output("curl -sSk --http1.1 -o /dev/null -w '%%{http_version}' %s/text", secure))
    assert.equal("1.1", output("curl -sS --http2 -o /dev/null -w '%%{http_version}' %s/text", plain)) -- Upgrade is ignored
    stop()
  end)

  needs "nghttp"("answers nghttp, with many requests at once", function()
    local targets = {}
    for i = 1, 50 do targets[i] = ("%s/text?name=%d"):format(secure, i) end
    local text = output("timeout 20 nghttp --no-verify-peer %s '%s'", "-w 20 -W 22", table.concat(targets, "' '"))
    for i = 1, 50 do assert.is_truthy(text:find(("hello %d"):format(i), 1, true)) end
    stop()
  end)

  needs "h2load"("answers h2load's hundred streams on each of ten connections without an error", function()
    for _, how in ipairs { "-n 20000 -c 10 -m 100 " .. plain .. "/text", "-n 5000 -c 10 -m 100 " .. secure .. "/text",
      "-n 30 -c 10 -m 100 " .. secure .. "/file" } do
      local text = output("timeout 100 h2load %s", how)
      local total = how:match "^-n (%d+)"
      assert.is_truthy(text:find(("%s succeeded, 0 failed, 0 errored, 0 timeout"):format(total), 1, true), text)
    end
    stop()
  end)

  -- Its connections carry 50 requests each and then end while others come: none of these may be lost.
  needs "nginx"("loses no request of a proxy that keeps its connections: nginx by TLS, and by HTTP/2 as it speaks to gRPC", function()
    if not is_installed "h2load" then return pending "needs h2load" end
    local backend = process.serve(APP, {
      settings = ("{ tls = { cert = %q, key = %q }, limits = { requests = 50 }, http2 = { requests = 50 }, log = { access = false } }"):format(directory .. "/a.pem", directory .. "/a.key"),
      arguments = { "-l", "https://127.0.0.1:0" },
    })
    local front, grpc = servers.free_port(), servers.free_port()
    servers.nginx(directory, front, ([[
      upstream backend { server 127.0.0.1:%d; keepalive 16; }
      server { listen 127.0.0.1:%d; keepalive_requests 100000; location / { proxy_pass https://backend; proxy_http_version 1.1; proxy_set_header Connection ""; } }
      server { listen 127.0.0.1:%d http2; keepalive_requests 100000; location / { grpc_pass grpcs://backend; } }
    ]]):format(backend.port, front, grpc))
    finally(servers.stop)
    for _, how in ipairs { ("--h1 -n 1500 -c 10 http://127.0.0.1:%d/text"):format(front), ("-n 1500 -c 5 -m 4 http://127.0.0.1:%d/text"):format(grpc) } do
      local text = output("timeout 100 h2load %s", how)
      assert.is_truthy(text:find("status codes: 1500 2xx", 1, true), text)
    end
    local stats = helper.json.decode(output("curl -sSk https://127.0.0.1:%d/stats", backend.port))
    assert.equal(3001, stats.requests_total)
    assert.is_true(stats.connections_total < 1000, stats.connections_total .. " connections")
    backend:stop()
  end)

  needs "node"("answers Node's client: subscribers, uploads and downloads on one connection", function()
    process.write_file(directory .. "/client.mjs", NODE)
    for _, address in ipairs { plain, secure } do
      assert.equal("50 20000000 500000\n", output("timeout 60 node %s/client.mjs %s", directory, address))
    end
    stop()
  end)

  it("tells its clients when it stops, and ends what they have open", function()
    local pipe <close> = assert(io.popen(("unset LD_PRELOAD; curl -sSN --max-time 20 --http2-prior-knowledge %s/ticks; echo status $?"):format(plain)))
    assert.equal("data: 1", pipe:read "l")
    server:kill "TERM"
    local rest = pipe:read "a"
    assert.matches("\nretry: %d+\n\nstatus 0\n$", rest)
    assert.equal(0, server:wait())
  end)

  local in_browser = browser.is_installed "spec/e2e_http2_spec.lua" and it or pending

  in_browser("carries a hundred EventSources of one page of a browser, beside its other requests", function()
    browser.open(directory, { "--ignore-certificate-errors" })
    finally(browser.close)
    local tab = browser.tab(secure .. "/")
    tab:run [[
      window.got = []
      for (let i = 0; i < 100; i++) {
        const source = new EventSource("/sub/" + i)
        source.onmessage = event => window.got.push(i + event.data)
      }
      window.open_streams = 0
    ]]
    browser.eventually("100 streams", function() return output("curl -sSk %s/count", secure) == "100" end)
    tab:run 'fetch("/text?name=ann").then(answer => answer.text()).then(text => { window.text = text })'
    tab:await 'window.text === "hello ann"'
    output("curl -sSk -d ' news' %s/pub", secure)
    tab:await "window.got.length === 100"
    assert.equal(100, tab:run "return new Set(window.got).size")
    assert.equal("h2", tab:run 'return performance.getEntriesByType("navigation")[0].nextHopProtocol')
    tab:close()
    browser.eventually("no stream", function() return output("curl -sSk %s/count", secure) == "0" end)
    stop()
  end)
end)
