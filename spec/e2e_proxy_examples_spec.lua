-- SPDX-License-Identifier: MIT
-- The examples of proxies in server/packaging/proxies, as they are but for the ports: a stream goes through each that is installed,
-- event by event, with Last-Event-ID and comments while it is idle, and ends behind it when its client leaves.
local helper = require "spec.helper"
local process = require "spec.process"
local servers = require "spec.servers"

process.SECONDS = 20 -- that anything may take: some of these begin slowly

local FOLDER = "server/packaging/proxies/"

local APP = [[
local news = sse.channel("news", { history = 100 })
app:get("/news", function(req) return sse.reply(news:subscribe { after = req.last_event_id }) end)
app:post("/news", function(req) return news:publish(req:body()) end)
app:get("/idle", function() return sse.reply(sse.keep_alive():interval(0.1):stream(sse.never())) end)
app:get("/open", function() return tostring(spate.stats().streams) end)
app:get("/who", function(req) return req.remote_addr .. " " .. req.scheme .. " " .. req.host end)
]]

-- For each: its program, its file, what starts it with the file's text, and whether it sees only when it writes that a client is gone.
local PROXIES = {
  { name = "nginx", file = "nginx.conf", start = servers.nginx },
  { name = "haproxy", file = "haproxy.cfg", waits_for_a_write = true, start = servers.haproxy },
  { name = "caddy", file = "Caddyfile", start = function(dir, port, text) servers.caddy(dir, port, "{\n\tadmin off\n}\n" .. text) end },
  { name = "apache2", file = "apache.conf", waits_for_a_write = true,
    start = function(dir, port, text) servers.apache(dir, port, "proxy proxy_http headers env", text) end },
}

describe("the example of a proxy", function()
  local directory, server

  before_each(function()
    directory = process.enter()
    server = process.serve(APP, { settings = '{ trusted_proxies = { "127.0.0.1" }, shutdown = { window = 0.1 } }' })
  end)
  after_each(function()
    servers.stop()
    process.leave()
  end)

  local function publish(text)
    local client = server:connect(("POST /news HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
    local answer = client:receive "*a"
    client:close()
    return (answer:match "\r\n\r\n(.*)$")
  end

  local function start(proxy)
    local port = servers.free_port()
    local text, changed = process.read_file(FOLDER .. proxy.file):gsub("127%.0%.0%.1:8080", "127.0.0.1:" .. server.port)
    assert.is_true(changed > 0)
    text = text:gsub("listen 80;", ("listen 127.0.0.1:%d;"):format(port)):gsub("Listen 80\n", ("Listen 127.0.0.1:%d\n"):format(port))
      :gsub("%*:80>", ("*:%d>"):format(port)):gsub("bind :80\n", ("bind 127.0.0.1:%d\n"):format(port)):gsub("\n:80 {", ("\n:%d {"):format(port))
    proxy.start(directory, port, text)
    return port
  end

  for _, proxy in ipairs(PROXIES) do
    local is_installed = os.execute("command -v " .. proxy.name .. " >/dev/null")
    local with_it = is_installed and it or pending

    with_it("lets a stream through event by event: " .. proxy.file, function()
      local port = start(proxy)
      local ids, stream = {}, process.ask(port, "/news")
      process.eventually("the subscriber", function() return select(2, process.get(server.port, "/open")) == "1" end)
      for i = 1, 3 do -- none is published before the one before it has come
        ids[i] = publish("event " .. i)
        process.contains(process.read_until(stream, ("data: event %d\n"):format(i)), "id: " .. ids[i])
      end
      stream:close()
      process.eventually("the end behind it", function()
        if proxy.waits_for_a_write then publish "another" end
        return select(2, process.get(server.port, "/open")) == "0"
      end)

      local again = process.ask(port, "/news", ("Last-Event-ID: %s\r\n"):format(ids[1]))
      local bytes = process.read_until(again, "data: event 3\n")
      process.contains(bytes, "data: event 2\n", "text/event-stream")
      assert.is_nil(bytes:find("data: event 1\n", 1, true))
      again:close()

      local idle = process.ask(port, "/idle")
      for _ = 1, 3 do process.read_until(idle, ":\n\n") end
      idle:close()
      assert.same({ 200, "127.0.0.1 http localhost" }, { process.get(port, "/who") })
      server:stop() -- first: Apache, when it stops, waits for what streams
    end)
  end

  it("that no Debian has, and of Kubernetes, is YAML that means what it says", function()
    local script = "import json, sys, yaml; json.dump([d for f in sys.argv[1:] for d in yaml.safe_load_all(open(f))], sys.stdout)"
    local pipe = assert(io.popen(("/usr/bin/python3 -c %s %straefik.yml server/packaging/kubernetes.yml"):format(process.quote(script), FOLDER)))
    local documents = helper.json.decode(pipe:read "a")
    assert.is_true(pipe:close())
    assert.equal("http://127.0.0.1:8080", documents[2].http.services.spate.loadBalancer.servers[1].url)
    local kinds = {}
    for i = 3, #documents do kinds[documents[i].kind] = documents[i] end
    local pod = kinds.Deployment.spec.template.spec
    local container = pod.containers[1]
    assert.equal("/healthz", container.livenessProbe.httpGet.path)
    assert.equal("/readyz", container.readinessProbe.httpGet.path)
    local window = assert(tonumber(kinds.ConfigMap.data["spate.conf.lua"]:match "grace = (%d+)"))
    local pause = assert(tonumber(container.lifecycle.preStop.exec.command[2]))
    assert.is_true(pod.terminationGracePeriodSeconds > window + pause)
    assert.same(kinds.Deployment.spec.selector, kinds.PodDisruptionBudget.spec.selector)
    assert.equal(kinds.Deployment.metadata.name, kinds.HorizontalPodAutoscaler.spec.scaleTargetRef.name)
    local ports = {}
    for _, port in ipairs(container.ports) do ports[port.name] = port.containerPort end
    assert.is_truthy(ports[kinds.Service.spec.ports[1].targetPort])
    assert.is_truthy(ports[container.readinessProbe.httpGet.port])
    process.write_file(directory .. "/spate.conf.lua", kinds.ConfigMap.data["spate.conf.lua"])
    local check = process.spawn { "check", directory .. "/app.lua" } -- with the settings beside it
    assert.same({ 0, "" }, { check:wait(), check:stderr() })
  end)
end)
