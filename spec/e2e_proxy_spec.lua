-- SPDX-License-Identifier: MIT
-- Between real clients and real servers: the client library of OpenAI before, a model's server in Node behind, nginx on
-- either side.
local clients = require "spec.clients"
local helper = require "spec.helper"
local process = require "spec.process"
local servers = require "spec.servers"
local socket = require "socket"

local json = helper.json

local APP = [[
local http = require "spate.http"
local MODEL, NGINX = spate.env "MODEL", spate.env "NGINX"

local function ask(req)
  return assert(http.post(MODEL .. "/v1/chat/completions", { body = req:body(), headers = { ["Content-Type"] = "application/json" } }))
end
app:post("/events/chat/completions", function(req)
  local up = ask(req)
  if not up:is_event_stream() then return reply.pass(up) end
  return sse.reply(up:events())
end)
app:post("/mapped/chat/completions", function(req) return sse.reply(ask(req):events():map(function(e) return e end)) end)
app:post("/pass/chat/completions", function(req) return reply.pass(ask(req)) end)
app:all("/proxy/*path", function() return reply.proxy(MODEL .. "/v1") end)
app:all("/model/*path", function() return reply.proxy(MODEL) end)
app:all("/nginx/*path", function() return reply.proxy(NGINX) end)
app:get("/flood", function() return sse.reply(http.get(MODEL .. "/flood"):events()) end)
app:get("/flood-passed", function() return reply.pass(http.get(MODEL .. "/flood")) end)
app:get("/came", function() return tostring(spate.stats().http_bytes_in_total) end)
]]

local WAYS = { "/events", "/mapped", "/pass", "/proxy" }

local function is_installed(name) return os.execute("command -v " .. name .. " >/dev/null") end

local with_clients = clients.are_installed "spec/e2e_proxy_spec.lua" and it or pending
local with_nginx = is_installed "nginx" and it or pending

describe("between a client and another server", function()
  local directory, server, model, nginx

  setup(function()
    directory = process.enter()
    local port, front, large = servers.free_port(), servers.free_port(), ("0123456789"):rep(100000)
    process.write_file(directory .. "/large", large)
    model = is_installed "node" and servers.run(("node %s/model.mjs"):format(process.quote(clients.FOLDER))) or { port = 1 }
    server = process.serve(APP, { environment = ("MODEL=http://127.0.0.1:%d NGINX=http://127.0.0.1:%d"):format(model.port, port) })
    if is_installed "nginx" then
      nginx = servers.nginx(directory, port, ([[
        server { listen 127.0.0.1:%d; default_type text/plain; keepalive_timeout 1s;
          location /large { alias %s/large; }
          location /found { return 302 /large; }
          location /cut { return 444; } }
        server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; } }
      ]]):format(port, directory, front, server.port))
      nginx.front = front
    end
  end)

  teardown(function()
    server:stop()
    clients.leave()
    servers.stop()
    process.leave()
  end)

  local function state() return json.decode((select(2, process.get(model.port, "/state")))) end

  local function tokens(port, way, ...)
    return clients.start(directory, "tokens", { ("http://127.0.0.1:%d%s"):format(port, way), ... }):finish()
  end

  local function median(list)
    table.sort(list)
    return list[(#list + 1) // 2]
  end

  local function check_tokens(port, way)
    local delays, seen = {}, tokens(port, way, "20")
    for i = 1, #seen - 1 do delays[i] = assert(seen[i].delay, json.encode(seen[i])) end
    assert.same({ 20, { ended = true } }, { #delays, seen[#seen] }, way)
    local middle = median(delays)
    assert(middle < 40, ("%s: a token takes %d ms"):format(way, middle)) -- one comes each 50 ms: none waits for the next
  end

  for _, way in ipairs(WAYS) do
    with_clients("goes through token by token: " .. way, function() check_tokens(server.port, way) end)

    with_clients("is hung up where its client leaves: " .. way, function()
      local before = state().closed
      local seen = tokens(server.port, way, "1000", "leave")
      local left = 0
      for _, each in ipairs(seen) do left = each.left or left end
      local closed = process.eventually("the end of the connection", function()
        local now = state().closed
        return now ~= before and now ~= json.null and now
      end)
      assert(closed - left < 500, ("%s: after %d ms"):format(way, closed - left))
    end)
  end

  with_clients("goes through a proxy before it, which does not collect it", function()
    if not nginx then return end
    check_tokens(nginx.front, "/events")
    check_tokens(nginx.front, "/mapped")
  end)

  with_clients("is an error of theirs where it is one", function()
    local client = server:connect('POST /events/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 16\r\n\r\n{"stream":false}')
    local answer = client:receive "*a"
    client:close()
    process.contains(answer, "HTTP/1.1 400", "content-type: application/json", "only streams")
  end)

  with_clients("has the request's body, fields and path", function()
    local body = ("x"):rep(900000)
    local client = server:connect(("POST /model/a%%2Fb?c=1 HTTP/1.1\r\nHost: spate.example\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nX-Kept: 2\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
    local answer = json.decode(client:receive("*a"):match "\r\n\r\n(.*)$")
    client:close()
    assert.same({ "/a%2Fb?c=1", "POST", #body }, { answer.url, answer.method, answer.length })
    local headers = answer.headers
    assert.same({ "900000", "2", "127.0.0.1", "spate.example", "1.1 spate", ("127.0.0.1:%d"):format(model.port) }, { headers["content-length"], headers["x-kept"],
      headers["x-forwarded-for"], headers["x-forwarded-host"], headers.via, headers.host })
    assert.is_nil(headers["x-hop"])
  end)

  -- What a client that reads nothing costs: the stream's queue, and the kernel's buffers of two connections.
  for _, path in ipairs { "/flood", "/flood-passed" } do
    with_clients("waits for a client that reads nothing, and costs its windows: " .. path, function()
      local function came() return tonumber((select(2, server:get "/came"))) end
      local function resident()
        return tonumber(process.read_file(("/proc/%d/status"):format(server.pid)):match "VmRSS:%s*(%d+)")
      end
      local before, memory = came(), resident()
      local client = server:ask(path)
      local last = process.eventually("the flood to stand still", function()
        local now = came()
        socket.sleep(0.3)
        return now > before and came() == now and now
      end)
      local grown = resident() - memory
      assert(last - before < 1 << 20, ("%d bytes were read"):format(last - before))
      if not os.getenv "ASAN_OPTIONS" then assert(grown < 2048, ("%d kB more"):format(grown)) end
      local closed = state().closed
      process.reset(client)
      process.eventually("the end of the flood", function() return state().closed ~= closed end)
    end)
  end

  with_nginx("passes files, redirects and broken answers of nginx on", function()
    local status, body = server:get "/nginx/large"
    assert.same({ 200, 1000000 }, { status, #body })
    assert.equal(("0123456789"):rep(100000), body)
    local client = server:connect "GET /nginx/found HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    process.contains(client:receive "*a", "HTTP/1.1 302", "/large")
    client:close()
    client = server:connect "GET /nginx/large HTTP/1.1\r\nHost: localhost\r\nRange: bytes=10-14\r\nConnection: close\r\n\r\n"
    process.contains(client:receive "*a", "HTTP/1.1 206", "Content-Range: bytes 10-14/1000000", "\r\n\r\n01234")
    client:close()
    client = server:connect "HEAD /nginx/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    process.contains(client:receive "*a", "HTTP/1.1 200", "Content-Length: 1000000")
    client:close()
    assert.equal(502, (server:get "/nginx/cut"))
    for _ = 1, 5 do -- nginx closes what is kept after a second
      assert.equal(200, (server:get "/nginx/large"))
      socket.sleep(0.6)
    end
  end)
end)
