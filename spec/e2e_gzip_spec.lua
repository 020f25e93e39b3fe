-- SPDX-License-Identifier: MIT
-- Compressed streams against real readers, and through nginx. Each event is published once its reader has the one before, so
-- that none can wait for the next.
local browser = require "spec.browser"
local clients = require "spec.clients"
local process = require "spec.process"
local servers = require "spec.servers"

local APP = [[
local board = sse.channel("board", { compress = true, history = 1000 })
local words = { "<tr><td>", "</td></tr>", "0.25", "price of a thing", "row", "4711", "state: open" }
local n = 0

app:get("/board", function(req) return sse.reply(board:subscribe { after = req.last_event_id }) end)
app:get("/plain", function(req) return sse.reply(board:subscribe { replay = "all" }, { compress = false }) end)
app:get("/own", function(req) return sse.reply(board:subscribe():map(function(event) return event end), { compress = true }) end)
app:get("/publish/:count", function(req)
  for _ = 1, tonumber(req.params.count) do
    n = n + 1
    local text = { ("number %d;"):format(n) }
    for i = 2, n * 37 % 90 + 2 do text[i] = words[(i * n) % 7 + 1] end
    assert(board:publish { data = table.concat(text, " ") })
  end
  return tostring(n)
end)
app:get("/finish", function() board:finish() return "" end)
app:get("/count", function() return tostring(board:count()) end)
app:get("/figures", function() return spate.stats() end)
app:get("/page", function() return reply.html(("<p>a page of some length</p>"):rep(100)):compress(true) end)
app:get("/listen", function() return reply.html [=[<!doctype html><script>
  var seen = [], opened = 0, began = performance.now()
  var source = new EventSource("/board")
  source.onopen = function() { opened = performance.now() - began }
  source.onmessage = function(e) { seen.push(e.data) }
</script>]=] end)
]]

local WAYS = { { "/board", "of a channel" }, { "/own", "of one client" } }
local EVENTS = 40 -- some 13 kB, so that a channel's are shared from the middle on

local function is_installed(command) return os.execute(command .. " >/dev/null 2>&1") end

local REQUESTS = [[
import sys, requests
response = requests.get(sys.argv[1], stream=True)
assert response.headers["content-encoding"] == "gzip"
for piece in response.iter_content(chunk_size=None):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
]]

describe("a compressed stream", function()
  local directory, server

  before_each(function()
    directory = process.enter()
    server = process.serve(APP, { settings = "{ log = { access = false } }" })
  end)

  after_each(function()
    clients.leave()
    servers.stop()
    process.leave()
  end)

  local function ask(target) return (select(2, server:get(target))) end

  local function await_reader() process.eventually("the reader", function() return ask "/count" == "1" end) end

  -- Publishes event by event; `text()` is what the reader has so far.
  local function in_step(text)
    await_reader()
    for _ = 1, EVENTS do
      local n = ask "/publish/1"
      process.eventually("event " .. n, function() return text():find("number " .. n .. ";", 1, true) end)
    end
    ask "/finish"
  end

  -- All that a plain reader gets of it.
  local function plain_text()
    return (select(2, server:get "/plain"):gsub("%x+\r\n(.-\n\n)\r\n", "%1"):gsub("0\r\n\r\n$", ""))
  end

  -- Runs a command that writes what it reads; once it has ended, it has all.
  local function reads(command)
    local out = directory .. "/out"
    process.write_file(out, "")
    local pipe = assert(io.popen(("exec env -u LD_PRELOAD timeout 60 %s >%s 2>%s.err"):format(command, out, out)))
    in_step(function() return process.read_file(out) end)
    local ok, _, code = pipe:close()
    assert(ok, ("%s: code %s: %s"):format(command, code, process.read_file(out .. ".err")))
    return process.read_file(out)
  end

  for _, way in ipairs(WAYS) do
    local target, what = way[1], way[2]

    it(what .. " is read by curl", function()
      local text = reads(("curl -sN --compressed http://127.0.0.1:%d%s"):format(server.port, target))
      assert.equal(plain_text(), text)
    end)

    it(what .. " is read by curl over HTTP/2", function()
      local text = reads(("curl -sN --http2-prior-knowledge --compressed http://127.0.0.1:%d%s"):format(server.port, target))
      assert.equal(plain_text(), text)
    end)

    local with_requests = is_installed "/usr/bin/python3 -c 'import requests'" and it or pending
    with_requests(what .. " is read by Python's requests", function()
      process.write_file(directory .. "/read.py", REQUESTS)
      local text = reads(("/usr/bin/python3 %s/read.py http://127.0.0.1:%d%s"):format(directory, server.port, target))
      assert.equal(plain_text(), text)
    end)

    local with_node = is_installed "command -v node" and it or pending
    with_node(what .. " is read by fetch in Node", function()
      local reader = clients.start(directory, "chunks", { ("http://127.0.0.1:%d%s"):format(server.port, target) })
      local function text()
        local list = {}
        for i, line in ipairs(reader:seen()) do list[i] = line.text or "" end
        return table.concat(list)
      end
      in_step(text)
      local seen = reader:finish()
      assert.equal("gzip", seen[1].encoding)
      assert.same({ ended = true }, seen[#seen])
    end)
  end

  local with_browser = browser.is_installed "spec/e2e_gzip_spec.lua" and it or pending
  with_browser("is read by an EventSource, which opens at once", function()
    finally(browser.close)
    browser.open(directory)
    local tab = browser.tab(("http://127.0.0.1:%d/listen"):format(server.port))
    local opened = tab:await "opened"
    assert(opened < 10000, opened)
    await_reader()
    for i = 1, EVENTS do
      local n = ask "/publish/1"
      local data = tab:await(("seen.length === %d && seen[seen.length - 1]"):format(i))
      process.contains(data, "number " .. n .. ";")
    end
  end)

  it("comes through nginx as it is, also where nginx compresses; where it decompresses, event by event", function()
    if not is_installed "command -v nginx" then return pending "nginx is not installed" end
    local port, packing, unpacking = servers.free_port(), servers.free_port(), servers.free_port()
    servers.nginx(directory, port, ([[
      server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; } }
      server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1;
        gzip on; gzip_types text/event-stream; gzip_proxied any; } }
      server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1;
        proxy_set_header Accept-Encoding gzip; gunzip on; } }
    ]]):format(port, server.port, packing, server.port, unpacking, server.port))
    for i, each in ipairs { { port, "--compressed" }, { packing, "--compressed" }, { unpacking, "" } } do
      if i > 1 then
        server:stop()
        server = process.serve(APP, { arguments = { "-l", "127.0.0.1:" .. server.port }, settings = "{ log = { access = false } }" })
      end
      local text = reads(("curl -sN %s http://127.0.0.1:%d/board"):format(each[2], each[1]))
      assert.equal(plain_text(), text)
    end
  end)

  it("is read by curl over TLS, by HTTP/1.1 and HTTP/2", function()
    servers.make_certificates(directory)
    for _, version in ipairs { "--http1.1", "--http2" } do
      server:stop()
      server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "-l", "https://127.0.0.1:0" }, settings = (
        "{ log = { access = false }, tls = { cert = %q, key = %q } }"):format(directory .. "/server.pem", directory .. "/server.key") })
      local port = server.addresses[2]:match ":(%d+)$"
      local text = reads(("curl -sN --compressed %s --cacert %s/ca.pem https://localhost:%s/board"):format(version, directory, port))
      assert.equal(plain_text(), text)
    end
  end)

  it("is cut without its end where it fails, which curl can tell over HTTP/1.1", function()
    local command = ("curl -sN --compressed http://127.0.0.1:%d/board"):format(server.port)
    local pipe = assert(io.popen(("exec env -u LD_PRELOAD timeout 60 %s >%s/out"):format(command, directory)))
    await_reader()
    ask "/publish/3"
    process.eventually("the events", function() return process.read_file(directory .. "/out"):find "number 3;" end)
    server:kill "KILL"
    local _, _, code = pipe:close()
    assert.equal(18, code) -- partial file
  end)

  it("a page is read by curl", function()
    local pipe = assert(io.popen(("exec env -u LD_PRELOAD curl -s --compressed http://127.0.0.1:%d/page"):format(server.port)))
    assert.equal(("<p>a page of some length</p>"):rep(100), pipe:read "a")
    pipe:close()
  end)
end)
