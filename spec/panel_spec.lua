-- SPDX-License-Identifier: MIT
-- The admin listener: what is asked there, of a server beside it.
local helper = require "spec.helper"

local QUIET = { log = { access = false } }
local LISTENER = 'app = require("spate.panel.listener")\n'

local APP = [[
app:get("/hello", function() return "hello" end)
app:get("/user/:name", function(req) req:tag("user:" .. req.params.name) return sse.reply(sse.never()) end)]]

describe("the admin listener", function()
  local server, panel

  local function open(admin, is_reloaded)
    server = helper.serve(APP, { settings = QUIET })
    if not is_reloaded then server:get("/user/first"):close() end -- makes the keep-alive comment, which would count as one of the other's events
    panel = helper.serve(LISTENER, { with = server.core, admin = true, settings = { log = QUIET.log, admin = admin } })
    panel.host = "127.0.0.1:9090"
  end

  after_each(function()
    panel:close { tasks = 1, timers = 1 } -- of its samples
    server:close()
  end)

  local function ask(method, target, options)
    local res = panel[method](panel, target, options)
    for _ = 1, 4 do server:turn() panel:turn() end
    return res
  end

  local function status(method, target, options) return (ask(method, target, options):status()) end

  it("serves its own routes and none of the application's, which serves none of these", function()
    open()
    assert.equal(200, status("get", "/healthz"))
    assert.equal(404, status("get", "/hello"))
    assert.equal(200, server:get("/hello"):status())
    for _, target in ipairs { "/metrics", "/healthz", "/readyz", "/api/streams" } do
      assert.equal(404, server:get(target):status())
    end
  end)

  it("tells of the server beside it, and nothing of itself", function()
    open()
    server:get "/user/ann"
    local list = ask("get", "/api/streams"):json()
    assert.equal(1, list.count)
    assert.equal("/user/ann", list.streams[1].target)
    assert.same({ true, false }, { list.streams[1].is_events, list.streams[1].is_compressed })
    local text = ask("get", "/metrics"):body()
    assert.truthy(text:find("\nspate_streams_open 1\n", 1, true))
    assert.truthy(text:find("\nspate_requests_total 2\n", 1, true))
    assert.is_nil(text:find("/api/streams", 1, true))
    local stats = ask("get", "/api/stats"):json()
    assert.equal(2, stats.requests_total)
    assert.equal(1, stats.streams)
  end)

  it("kicks what is there", function()
    open()
    local ann = server:get "/user/ann"
    assert.equal(202, status("post", "/api/kick", { json = { tag = "user:ann", reason = "bye" }, headers = { ["Content-Type"] = "application/json" } }))
    assert.is_true(ann:has_ended())
    assert.same({ "bye" }, ann:data())
  end)

  it("goes on while the application is loaded anew, also where that fails", function()
    open(nil, true)
    assert.is_nil(server:reload("error 'broken'"))
    assert.equal(200, status("get", "/readyz"))
    assert.truthy(server:reload(APP))
    assert.equal(200, status("get", "/readyz"))
    assert.equal(2, ask("get", "/api/stats"):json().generation)
  end)

  it("is called by names of this machine and by addresses only", function()
    open { hosts = { "spate.internal" } }
    local function called(host) return status("get", "/metrics", { headers = { host = host } }) end
    for _, host in ipairs { "localhost", "localhost:9090", "a.localhost", "127.0.0.1:9090", "10.0.0.7:9090", "[::1]:9090", "spate.internal:9090" } do
      assert.equal(200, called(host), host)
    end
    for _, host in ipairs { "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3", "spate" } do
      assert.equal(421, called(host), host)
    end
    local body = ask("get", "/metrics", { headers = { host = "evil.example" } }):body()
    assert.truthy(body:find('hosts = { "evil.example" }', 1, true))
  end)

  it("is called anything by a UNIX socket", function()
    open()
    local client = panel:connect "unix"
    assert.equal(200, status("get", "/metrics", { client = client, headers = { host = "x" } }))
  end)

  it("takes changes as JSON, and from pages of its own only", function()
    open()
    local function kick(headers) return status("post", "/api/kick", { json = { tag = "user:bob" }, headers = headers }) end
    local JSON = { ["Content-Type"] = "application/json; charset=utf-8" }
    local function with(name, value) return { ["Content-Type"] = JSON["Content-Type"], [name] = value } end
    assert.equal(202, kick(JSON))
    assert.equal(202, kick(with("Origin", "http://127.0.0.1:9090")))
    assert.equal(202, kick(with("Sec-Fetch-Site", "same-origin")))
    assert.equal(415, kick {})
    assert.equal(415, kick { ["Content-Type"] = "text/plain" })
    assert.equal(403, kick(with("Origin", "http://evil.example")))
    assert.equal(403, kick(with("Origin", "http://127.0.0.1:8080")))
    assert.equal(403, kick(with("Origin", "null")))
    assert.equal(403, kick(with("Sec-Fetch-Site", "same-site")))
  end)

  it("asks for its token, as a bearer's or as a password, whatever it is called", function()
    open { token = "0123456789abcdef" }
    local function with(authorization, target)
      return ask("get", target or "/metrics", { headers = { host = "spate.example", authorization = authorization } })
    end
    assert.equal(200, with("Bearer 0123456789abcdef"):status())
    assert.equal(200, with("bearer 0123456789abcdef"):status())
    assert.equal(200, with("Basic YW55OjAxMjM0NTY3ODlhYmNkZWY="):status()) -- any:0123456789abcdef
    assert.equal(401, with("Basic YW55OnNlY3JldA=="):status())
    assert.equal(401, with("Basic !"):status())
    assert.equal(401, with("Bearer 0123456789abcdeg"):status())
    local res = ask("get", "/metrics")
    assert.equal(401, res:status())
    assert.equal('Basic realm="spate", charset="UTF-8"', res:header "WWW-Authenticate")
    for _, target in ipairs { "/healthz", "/readyz" } do assert.equal(200, with(nil, target):status()) end
  end)
end)

describe("the setting admin", function()
  local function problem(admin)
    local ok, err = pcall(helper.serve, APP, { settings = { admin = admin } })
    assert.is_false(ok)
    return (tostring(err):gsub("^[^:]*:%d+: ", ""))
  end

  it("says what it cannot be", function()
    assert.equal('admin: expected an address, "off", or a table with one, got number', problem(9090))
    assert.equal("admin: expected 1 to 255 bytes, got 0", problem "")
    assert.equal("admin.token: expected 16 to 255 bytes, got 6", problem { token = "secret" })
    assert.equal("admin.hosts: expected a list of names, got string", problem { hosts = "a.example" })
    assert.equal("admin.hosts: expected a string, got number", problem { hosts = { 1 } })
    assert.equal("admin: expected an address, token and hosts, got host", problem { host = "a" })
  end)
end)

describe("what the inspector shows", function()
  local server, panel

  local CHANNELS = [[
local news = sse.channel("news", { history = 5, ttl = 60, queue = 7, on_full = "drop_oldest" })
sse.channel "room/a"
app:get("/news", function() return sse.reply(news:subscribe()) end)
app:get("/wait", function()
  return sse.reply(function(send) send "hello" sse.sleep(1000) end)
end)
app:get("/join/:name", function(req)
  return sse.reply(function(send)
    local me <close> = news:join(req.params.name)
    send "in"
    sse.sleep(1000)
  end)
end)
app:post("/news", function(req) return news:publish { event = "item", data = req:body() } end)
app:get("/broken", function() local t = nil return t.x end)
app:get("/make/:name", function(req) sse.channel(req.params.name) collectgarbage() collectgarbage() return "" end)
app:get("/long", function() spate.log.error("x" .. ("\u{E9}"):rep(3000)) return "" end)]]

  before_each(function()
    server = helper.serve(CHANNELS, { settings = QUIET })
    server:get("/news"):close()
    panel = helper.serve(LISTENER, { with = server.core, admin = true, settings = QUIET })
    panel.host = "localhost:9090"
  end)

  after_each(function()
    panel:close { tasks = 1, timers = 1 }
    server:close()
  end)

  local function settle() for _ = 1, 4 do server:turn() panel:turn() end end

  local function ask(target, wanted)
    local res = panel:get(target)
    settle()
    assert.equal(wanted or 200, res:status())
    return wanted and res:body() or res:json()
  end

  local function post(target, body)
    local res = panel:post(target, { json = body, headers = { ["Content-Type"] = "application/json" } })
    settle()
    return res
  end

  local function events(res)
    local list = {}
    for i, event in ipairs(res:events()) do list[i] = { name = event.event, value = helper.json.decode(event.data) } end
    return list
  end

  it("is a page without a word from elsewhere, which may load nothing else", function()
    local res = panel:get "/"
    assert.equal("text/html; charset=utf-8", res:header "Content-Type")
    local policy, body = res:header "Content-Security-Policy", res:body()
    assert.truthy(policy:find("default-src 'none'", 1, true))
    assert.truthy(policy:find("frame-ancestors 'none'", 1, true))
    assert.is_nil(body:find "<script[^>]+src" or body:find "<link[^>]+href=\"http" or body:find "@import" or body:find "url%(")
    assert.is_nil(body:find " style=\"" or body:find " on%l+=\"") -- which the policy would not let
  end)

  it("is state, figures, and the workers with their generations", function()
    server:get "/wait"
    local o = ask "/api/overview"
    assert.equal("serving", o.state)
    assert.equal(1, o.stats.streams)
    assert.truthy(o.process.resident > 0 and o.process.pid > 0)
    assert.equal(1, #o.workers)
    local worker = o.workers[1]
    assert.equal(0, worker.worker)
    assert.equal(1, worker.streams)
    assert.same({ { number = 1, streams = 1, tasks = 1, requests = 1, is_served = true, lua_bytes = worker.generations[1].lua_bytes } }, worker.generations)
    server:reload(CHANNELS)
    local numbers = {}
    for i, generation in ipairs(ask "/api/overview".workers[1].generations) do numbers[i] = { generation.number, generation.streams, generation.is_served } end
    assert.same({ { 1, 1, false }, { 2, 0, true } }, numbers)
  end)

  it("is the last minutes by the second", function()
    server:get "/news"
    for _ = 1, 3 do
      server:post("/news", { body = "x" })
      panel:advance(1)
    end
    local samples = ask "/api/history".samples
    assert.equal(2, #samples)
    assert.equal(1, samples[2].published)
    assert.equal(1, samples[2].streams)
  end)

  it("is the channels: who reads them, what they keep, and where they are", function()
    server:get "/news"
    server:get "/join/ann"
    server:post("/news", { body = "one" })
    local list = ask "/api/channels"
    assert.equal(2, list.count)
    local news = list.channels[1]
    assert.equal("news", news.name)
    assert.same({ 1, 0, 1, 2, 5, 60, 7, "drop_oldest", "live", false, 2 }, { news.subscribers, news.elsewhere, news.members, news.events, news.history, news.ttl,
      news.queue, news.on_full, news.state, news.is_stored, news.seq })
    assert.truthy(news.position:find "^%x+%-2$")
    assert.equal("room/a", list.channels[2].name)
    assert.equal("room/a", ask "/api/channels?limit=1&offset=1".channels[1].name)
    assert.equal("room/a", ask "/api/channels?ascending=0".channels[1].name)
    assert.equal("news", ask "/api/channels?order=subscribers".channels[1].name)
    assert.equal("room/a", ask "/api/channels?order=events&ascending=1".channels[1].name)
    assert.equal(1, ask "/api/channels?text=room".count)
    assert.equal("order: expected name, subscribers, events or bytes, got 'size'\n", ask("/api/channels?order=size", 400))
    assert.equal("limit: expected 1000 at most, got '1001'\n", ask("/api/channels?limit=1001", 400))
    local one = ask "/api/channel?name=news"
    assert.equal(news.position, one.channel.position)
    assert.equal("ann", one.members[1].id)
    assert.equal("no channel of this name\n", ask("/api/channel?name=other", 404))
  end)

  it("holds no channel for having listed it", function()
    server:get "/make/one"
    assert.equal(3, ask "/api/channels".count)
    assert.equal(1, #ask "/api/channels?text=one".channels)
    server:advance(2)
    server:get "/make/other"
    assert.equal(0, ask "/api/channels?text=one".count)
  end)

  it("counts who is still sent the past by a store among the readers", function()
    panel:close { tasks = 1, timers = 1 }
    server:close()
    server = helper.serve([[app:get("/:name", function(req)
      return sse.reply(sse.channel(req.params.name, { history = 9 }):subscribe { replay = "all" }) end)]], { store = true, settings = QUIET })
    local store = server.core:store()
    local function run_all() while store:carry_out() > 0 do server:turn() end end
    for _ = 1, 2 do server:get "/live" end -- makes the keep-alive comment, which would count as one of the panel's events
    run_all()
    panel = helper.serve(LISTENER, { with = server.core, admin = true, settings = QUIET })
    panel.host = "127.0.0.1:9090"
    for _ = 1, 2 do server:get "/waits" end
    run_all()
    server:get "/waits"
    assert.same({ "read waits" }, store:asked())
    local list = ask "/api/channels?order=subscribers".channels
    assert.same({ "waits", 3, "live", 2 }, { list[1].name, list[1].subscribers, list[2].name, list[2].subscribers })
    run_all()
    assert.equal(3, ask "/api/channels?order=subscribers".channels[1].subscribers)
  end)

  it("is all channels, page by page", function()
    panel:close { tasks = 1, timers = 1 }
    server:close()
    server = helper.serve(CHANNELS .. "\nfor i = 1, 1100 do sse.channel(('c%04d'):format(i)) end", { settings = QUIET })
    server:get("/news"):close()
    panel = helper.serve(LISTENER, { with = server.core, admin = true, settings = QUIET })
    panel.host = "127.0.0.1:9090"
    for offset = 0, 1050, 50 do
      local page = ask("/api/channels?text=c&limit=50&offset=" .. offset)
      assert.equal(1100, page.count)
      for i, row in ipairs(page.channels) do assert.equal(("c%04d"):format(offset + i), row.name) end
      assert.equal(50, #page.channels)
    end
    assert.same({}, ask "/api/channels?text=c&offset=1100".channels)
  end)

  it("is where tasks wait", function()
    server:get "/wait"
    server:get "/wait"
    server:get "/join/ann"
    local tasks = ask "/api/tasks"
    assert.equal(3, tasks.tasks)
    assert.equal(3, tasks.looked)
    assert.equal(2, #tasks.places)
    local two, one = tasks.places[1], tasks.places[2]
    assert.truthy(two.where:find ":7$", two.where)
    assert.same({ 2, "request", "waiting", "GET /wait", 1, 0 }, { two.count, two.kind, two.state, two.route, two.generation, two.worker })
    assert.truthy(one.where:find ":13$", one.where)
  end)

  it("is where the streams of tasks were made whose waits are the library's", function()
    local other = helper.serve([[
app:get("/plain", function()
  return sse.reply(sse.interval(1))
end)
app:get("/mapped", function()
  return sse.reply(sse.interval(1):map(function(n)
    return n
  end))
end)
app:use(function(req, next) return next() end)
app:get("/filtered", function()
  return sse.reply(sse.interval(1):filter(function() return true end))
end)]], { with = server.core, worker = 1, settings = QUIET })
    for _, target in ipairs { "/plain", "/mapped", "/filtered" } do other:get(target) end
    local res = panel:get "/api/tasks"
    for _ = 1, 4 do server:turn() other:turn() panel:turn() end
    local lines = {}
    for _, place in ipairs(res:json().places) do lines[#lines + 1] = place.route .. place.where:match ":%d+$" end
    table.sort(lines)
    assert.same({ "GET /filtered:12", "GET /mapped:7", "GET /plain:4" }, lines)
    other:close()
  end)

  it("is the pools", function()
    local pools = ask "/api/upstreams".pools
    assert.equal(6, #pools)
    assert.same({ name = "threads:names", in_use = 0, idle = 0, waiting = 0, limit = 0 }, pools[1])
  end)

  it("is the log, its newest lines", function()
    server:post("/nowhere", { body = "" })
    local before = ask "/api/log".newest
    post("/api/kick", { tag = "x" })
    local log = ask("/api/log?after=" .. before)
    assert.equal(1, #log.lines)
    assert.truthy(log.lines[1]:find("kicked from the inspector count=0 remote=127.0.0.1 tag=x", 1, true))
    assert.equal(before + 1, log.newest)
  end)

  it("is the log, each entry with all of its lines, and of a long one whole characters", function()
    local before = ask "/api/log".newest
    server:get "/broken"
    server:get "/long"
    local lines = ask("/api/log?after=" .. before).lines
    assert.equal(2, #lines)
    assert.truthy(lines[1]:find(" error ", 1, true))
    assert.truthy(lines[1]:find("\nstack traceback:\n\t", 1, true) or lines[1]:find("\n\tstack traceback:\n\t", 1, true), lines[1])
    assert.is_true(#lines[2] > 4000 and #lines[2] <= 4096, #lines[2])
    assert.truthy(utf8.len(lines[2]))
  end)

  it("is told again as it changes", function()
    local res = panel:get "/api/live?views=streams,channels&every=1"
    settle()
    assert.same({ "streams", "channels" }, { events(res)[1].name, events(res)[2].name })
    server:get "/wait"
    server:post("/news", { body = "x" })
    panel:advance(1)
    settle()
    local list = events(res)
    assert.equal(4, #list)
    assert.equal(1, list[3].value.count)
    assert.equal(1, list[4].value.channels[1].seq)
    assert.equal(1, list[4].value.channels[1].rate)
    assert.equal("views: expected some of overview, history, streams, channels, channel, tasks, upstreams, log, got 'secrets'\n", ask("/api/live?views=secrets", 400))
    res = panel:get "/api/live?views=channel&name=later"
    settle()
    assert.same({ error = "no channel of this name" }, events(res)[1].value)
  end)

  it("is what goes through a channel, and of much the newest", function()
    server:post("/news", { body = "one" })
    local res = panel:get "/api/tail?name=news&replay=1"
    panel:advance(0.3)
    for i = 1, 60 do server:post("/news", { body = "n" .. i }) end
    panel:advance(0.3)
    settle()
    local list = events(res)
    assert.equal(2, #list)
    assert.same({ 0, "one", "item" }, { list[1].value.skipped, list[1].value.events[1].data, list[1].value.events[1].event })
    assert.same({ 10, 50, "n60" }, { list[2].value.skipped, #list[2].value.events, list[2].value.events[50].data })
    ask("/api/tail?name=other", 404)
  end)

  it("is what goes through a channel, also what is no UTF-8", function()
    server:post("/news", { body = "a\xFF\xC3(\u{E9}\xED\xA0\x80b" })
    server:post("/news", { body = ("x"):rep(16383) .. "\u{E9}" })
    server:post("/news", { body = ("\x80"):rep(20000) })
    local res = panel:get "/api/tail?name=news&replay=3"
    panel:advance(0.3)
    settle()
    local list = events(res)[1].value.events
    assert.equal("a\u{FFFD}\u{FFFD}(\u{E9}\u{FFFD}b", list[1].data)
    assert.same({ ("x"):rep(16383), true }, { list[2].data, list[2].is_cut })
    assert.same({ "\u{FFFD}", true, 20000 }, { list[3].data, list[3].is_cut, list[3].bytes })
  end)

  it("publishes", function()
    local reader = server:get "/news"
    local res = post("/api/publish", { channel = "news", event = "note", data = "hello" })
    assert.equal(201, res:status())
    assert.truthy(res:json().id:find "%-1$")
    assert.same({ "hello" }, reader:data())
    assert.equal(404, post("/api/publish", { channel = "other", data = "x" }):status())
    assert.equal(400, post("/api/publish", { channel = "news", data = 1 }):status())
    assert.equal(400, post("/api/publish", { channel = "news", data = "x", more = "y" }):status())
    assert.equal(400, post("/api/publish", { channel = "news", event = "a\nb", data = "x" }):status())
  end)
end)
