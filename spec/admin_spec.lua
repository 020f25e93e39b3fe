-- SPDX-License-Identifier: MIT
-- spate.admin and spate.streams: what is there, for who looks after the server.
local helper = require "spec.helper"

local APP = [[
app:get("/user/:name", function(req) req:tag("user:" .. req.params.name) return sse.reply(sse.never()) end)
app:get("/mapped", function() return sse.reply(sse.channel("news"):subscribe():map(function(e) return e end)) end)
app:get("/late", function(req) req:tag "late" sse.sleep(1) return sse.reply(sse.never()) end)
app:get("/news", function() return sse.reply(sse.channel("news"):subscribe()) end)
app:get("/ticks", function(req) return sse.reply(sse.from { "a", "b" }:chain(sse.never())) end)
app:mount("/-", spate.admin { hosts = { "spec", "A.example:8080" }, authorize = function(req)
  return req.headers.pass == "secret", "who are you?"
end })]]

local QUIET = { log = { access = false } }
local PASS = { pass = "secret" }
local SENT = { pass = "secret", ["content-type"] = "application/json" }

describe("spate.admin", function()
  local one, two
  before_each(function()
    one = helper.serve(APP, { settings = QUIET })
    one:get("/ticks"):close() -- makes the keep-alive comment, which would count as one of the other's events
    two = helper.serve(APP, { with = one.core, worker = 1, settings = QUIET })
  end)
  after_each(function()
    two:close()
    one:close()
  end)

  -- Asks the first; both answer in turns of theirs.
  local function ask(method, target, options)
    options = options or {}
    options.headers = options.headers or PASS
    local res = one[method](one, target, options)
    for _ = 1, 3 do two:turn() one:turn() end
    return res
  end

  local function streams(query)
    local res = ask("get", "/-/api/streams" .. (query or ""))
    assert.equal(200, res:status())
    return res:json()
  end

  local function targets(query)
    local list = {}
    for i, row in ipairs(streams(query).streams) do list[i] = row.target end
    return list
  end

  it("is for who is allowed", function()
    local res = ask("get", "/-/metrics", { headers = {} })
    assert.equal(403, res:status())
    assert.equal("who are you?\n", (res:body()))
    assert.equal(404, ask("get", "/metrics"):status())
  end)

  it("is called by its names, this machine's and addresses only", function()
    local function called(host) return ask("get", "/-/metrics", { headers = { pass = "secret", host = host } }) end
    for _, host in ipairs { "spec", "a.example", "a.example:443", "localhost:8080", "127.0.0.1", "10.0.0.7:80", "[::1]:8080" } do
      assert.equal(200, called(host):status(), host)
    end
    for _, host in ipairs { "evil.example", "b.a.example", "localhost.evil.example" } do assert.equal(421, called(host):status(), host) end
    assert.equal("spate.admin is not called \"evil.example\"; spate.admin { hosts = { \"evil.example\" } } lets it be\n", (called("evil.example"):body()))
    assert.equal(421, ask("post", "/-/api/kick", { json = { tag = "x" }, headers = { pass = "secret", host = "evil.example", ["content-type"] = "application/json" } }):status())
    local server = helper.serve('app:mount("/-", spate.admin { authorize = function() return true end })')
    assert.equal(421, server:get("/-/metrics", { client = server:connect "unix" }):status()) -- a proxy before it passes on what a browser says
    server:close()
  end)

  it("has the metrics, as OpenMetrics where that is asked for", function()
    local res = ask("get", "/-/metrics")
    assert.equal("text/plain; version=0.0.4; charset=utf-8", res:header "Content-Type")
    assert.truthy((res:body()):find("\nspate_streams_open 0\n", 1, true))
    res = ask("get", "/-/metrics", { headers = { pass = "secret", accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5" } })
    assert.equal("application/openmetrics-text; version=1.0.0; charset=utf-8", res:header "Content-Type")
    assert.truthy((res:body()):find "# EOF\n$")
  end)

  it("says that all workers turn, or which do not", function()
    local res = ask("get", "/-/healthz")
    assert.equal(200, res:status())
    assert.equal("ok\n", (res:body()))
    res = one:get("/-/healthz", { headers = PASS })
    one:advance(2.1)
    assert.equal(503, res:status())
    assert.equal("worker 1 does not answer\n", (res:body()))
    assert.equal("no-store", res:header "Cache-Control")
  end)

  it("says whether it takes clients", function()
    assert.equal(200, ask("get", "/-/readyz"):status())
    assert.equal("ready\n", (ask("get", "/-/readyz"):body()))
  end)

  it("has the page", function()
    for _, target in ipairs { "/-", "/-/" } do
      assert.equal("text/html; charset=utf-8", ask("get", target):header "Content-Type")
      assert.equal(403, ask("get", target, { headers = {} }):status())
    end
  end)

  it("takes changes from pages of its own only", function()
    local function kick(name, value)
      local headers = { pass = "secret", ["content-type"] = "application/json", host = "a.example", [name] = value }
      return ask("post", "/-/api/kick", { json = { tag = "user:bob" }, headers = headers }):status()
    end
    assert.equal(202, kick("origin", "http://a.example"))
    assert.equal(403, kick("origin", "http://evil.example"))
    assert.equal(403, kick("sec-fetch-site", "cross-site"))
  end)

  it("has the numbers", function()
    one:get "/ticks"
    assert.equal(1, ask("get", "/-/api/stats"):json().streams)
  end)

  it("lists the streams of all workers, the oldest first", function()
    one:get("/user/ann?token=x", { headers = { ["Last-Event-ID"] = "e-7" } })
    one:advance(5)
    two:advance(2)
    two:get "/user/bob"
    two:advance(3)
    one:get "/ticks"
    local list = streams()
    assert.equal(3, list.count)
    local ann = list.streams[1]
    assert.equal("/user/ann?token=***", ann.target)
    assert.equal("GET /user/:name", ann.route)
    assert.same({ "user:ann" }, ann.tags)
    assert.equal("e-7", ann.last_id)
    assert.equal("127.0.0.1", ann.remote)
    assert.same({ "GET", "1.1", 200 }, { ann.method, ann.http, ann.status })
    assert.equal(5, ann.age)
    assert.equal(0, ann.worker)
    assert.is_true(ann.is_events)
    local bob = list.streams[2]
    assert.equal("/user/bob", bob.target)
    assert.equal(1, bob.worker)
    assert.same({ "/ticks" }, targets "?order=events&limit=1")
  end)

  it("pages, sorts and filters them", function()
    for i = 1, 5 do
      one:get("/user/" .. i)
      one:advance(1)
    end
    assert.same({ "/user/1", "/user/2" }, targets "?limit=2&text=/user/")
    assert.same({ "/user/3", "/user/4" }, targets "?limit=2&offset=2&text=/user/")
    assert.same({ "/user/5", "/user/4" }, targets "?limit=2&ascending=1&text=/user/")
    assert.same({ "/user/3" }, targets "?tag=user:3")
    assert.same({}, targets "?tag=user:9")
    assert.same({ "/user/4" }, targets "?text=user/4")
    assert.same({ "/user/3" }, targets("?id=" .. streams("?tag=user:3").streams[1].id))
    assert.same({}, targets "?id=0123456789abcdef")
    assert.equal(5, streams("?limit=1&text=/user/").count)
  end)

  it("finds them by a part of the target, of the client's address, or of the route", function()
    one:get("/user/ann", { client = one:connect "10.0.0.9" })
    two:get("/ticks", { client = two:connect "10.0.1.7" })
    for text, found in pairs {
      ["ann"] = { "/user/ann" }, ["0.0.9"] = { "/user/ann" }, ["GET%20/user/:name"] = { "/user/ann" }, ["1.7"] = { "/ticks" }, ["GET%20/ticks"] = { "/ticks" }, ["nobody"] = {},
    } do
      assert.same(found, targets("?text=" .. text), text)
    end
  end)

  it("says which parameter is wrong, and what was expected", function()
    local WHOLE, YES = "expected a whole number of 0 or more, got ", 'expected 0 or 1, got '
    for query, message in pairs {
      ["streams?order=size"] = "order: expected age, bytes, events, queued or lag, got 'size'",
      ["streams?limit=abc"] = "limit: " .. WHOLE .. "'abc'",
      ["streams?limit=1.5"] = "limit: " .. WHOLE .. "'1.5'",
      ["streams?limit=-1"] = "limit: " .. WHOLE .. "'-1'",
      ["streams?limit=0x10"] = "limit: " .. WHOLE .. "'0x10'",
      ["streams?limit=1001"] = "limit: expected 1000 at most, got '1001'",
      ["streams?offset=x"] = "offset: " .. WHOLE .. "'x'",
      ["streams?offset=1000000001"] = "offset: expected 1000000000 at most, got '1000000001'",
      ["streams?offset=99999999999999999999999"] = "offset: expected 1000000000 at most, got '99999999999999999999999'",
      ["streams?ascending=true"] = "ascending: " .. YES .. "'true'",
      ["streams?text=" .. ("x"):rep(201)] = "text: expected 200 bytes at most, without NUL, got '" .. ("x"):rep(40) .. "...'",
      ["streams?tag=a%00b"] = "tag: expected 200 bytes at most, without NUL, got 'a?b'",
      ["streams?id=" .. ("x"):rep(24)] = "id: expected 23 bytes at most, without NUL, got '" .. ("x"):rep(24) .. "'",
      ["channels?order=age"] = "order: expected name, subscribers, events or bytes, got 'age'",
      ["channels?limit=abc"] = "limit: " .. WHOLE .. "'abc'",
      ["channels?ascending=2"] = "ascending: " .. YES .. "'2'",
      ["log?after=yesterday"] = "after: " .. WHOLE .. "'yesterday'",
      ["live?every=often"] = "every: expected seconds from 0.5 to 60, got 'often'",
      ["live?every=0.1"] = "every: expected seconds from 0.5 to 60, got '0.1'",
      ["live?every=nan"] = "every: expected seconds from 0.5 to 60, got 'nan'",
      ["live?views=streams&limit=abc"] = "limit: " .. WHOLE .. "'abc'",
      ["live?views=overview,channels&order=size"] = "order: expected name, subscribers, events or bytes, got 'size'",
      ["live?views=overview,secrets"] = "views: expected some of overview, history, streams, channels, channel, tasks, upstreams, log, got 'secrets'",
      ["live?views=,"] = "views: expected 1 to 4 of them",
      ["tail?name=x&replay=all"] = "replay: " .. WHOLE .. "'all'",
    } do
      local res = ask("get", "/-/api/" .. query)
      assert.equal(400, res:status(), query)
      assert.equal(message .. "\n", (res:body()))
    end
    assert.equal(200, ask("get", "/-/api/streams?limit=&order=&offset=&text=&key=mine"):status())
  end)

  it("pages through all of them, on however many workers", function()
    for i = 1, 1100 do (i % 3 == 0 and one or two):get("/user/" .. i) end
    for _, order in ipairs { "age", "bytes&ascending=1", "queued" } do
      local seen, count, offset = {}, 0, 0
      repeat
        local page = streams("?limit=300&order=" .. order .. "&offset=" .. offset)
        assert.equal(1100, page.count)
        for _, row in ipairs(page.streams) do
          assert.is_nil(seen[row.id], row.target)
          seen[row.id], count = true, count + 1
        end
        offset = offset + 300
      until #page.streams == 0
      assert.equal(1100, count, order)
    end
    assert.same({}, targets "?offset=1000000000")
  end)

  it("pages as if all were one worker's", function()
    for i = 1, 40 do
      ((i % 7 < 3) and one or two):get("/user/" .. i)
      one:advance(0.1)
      two:advance(0.1)
    end
    local all = targets "?limit=40"
    for offset = 0, 40, 7 do assert.same(table.move(all, offset + 1, math.min(offset + 7, 40), 1, {}), targets("?limit=7&offset=" .. offset)) end
  end)

  it("finds nobody by a secret that is not shown", function()
    one:get "/user/ann?token=hunter2&room=7"
    assert.same({ "/user/ann?token=***&room=7" }, targets "?text=room%3D7")
    assert.same({ "/user/ann?token=***&room=7" }, targets "?text=token%3D***")
    assert.same({}, targets "?text=hunter")
  end)

  it("kicks one by its id, wherever it is", function()
    local ann, bob = one:get "/user/ann", two:get "/user/bob"
    local id = streams("?tag=user:bob").streams[1].id
    assert.equal(202, ask("post", "/-/api/kick", { json = { stream = id, reason = "bye" }, headers = SENT }):status())
    assert.is_true(bob:has_ended())
    assert.is_false(ann:has_ended())
    assert.same({ "bye" }, bob:data())
    local res = ask("post", "/-/api/kick", { json = { steam = id }, headers = SENT })
    assert.equal(400, res:status())
    assert.truthy((res:body()):find("unknown option 'steam'", 1, true))
  end)

  it("says how many a kick has found", function()
    for _ = 1, 3 do one:get "/user/ann" two:get "/user/ann" end
    local function kick(what)
      local res = ask("post", "/-/api/kick", { json = what, headers = SENT })
      return res:status(), res:status() == 202 and res:json() or (res:body())
    end
    assert.same({ 202, { kicked = 6 } }, { kick { tag = "user:ann" } })
    assert.same({ 202, { kicked = 0 } }, { kick { tag = "user:ann" } })
    assert.same({ 202, { kicked = 0 } }, { kick { tag = "user:nobody" } })
    assert.same({ 202, { kicked = 0 } }, { kick { channel = "nowhere" } })
    two:get "/late"
    assert.same({ 202, { kicked = 1 } }, { kick { tag = "late" } })
    two:advance(2)
    one:get "/news" two:get "/news" two:get "/mapped"
    assert.same({ 202, { kicked = 3 } }, { kick { channel = "news" } })
    assert.same({ 202, { kicked = 0 } }, { kick { channel = "news" } })
    assert.same({ 404, "no stream of this id\n" }, { kick { stream = "0123456789abcdef" } })
    two:get "/user/eve"
    local id = streams("?tag=user:eve").streams[1].id
    assert.same({ 202, { kicked = 1 } }, { kick { stream = id } })
    assert.same({ 404, "no stream of this id\n" }, { kick { stream = id } })
  end)

  it("says which workers have not answered to a kick, which are still to do it", function()
    local ann = two:get "/user/ann"
    local res = one:post("/-/api/kick", { json = { tag = "user:ann" }, headers = SENT })
    one:turn()
    one:advance(2.1)
    assert.same({ kicked = 0, late = { 1 } }, res:json())
    two:turn()
    assert.is_true(ann:has_ended())
    one:turn()
  end)

  it("leaves nothing behind where who asks has gone", function()
    one:get("/-/api/streams", { headers = PASS }):close()
    two:turn()
    one:turn()
  end)
end)

it("spate.admin leaves a route of the application's own at its page", function()
  local server = helper.serve [[
app:get("/-/", function() return "mine" end)
app:mount("/-", spate.admin { hosts = "any", authorize = function() return true end })]]
  assert.equal("mine", (server:get("/-/"):body()))
  assert.equal("text/html; charset=utf-8", server:get("/-"):header "Content-Type")
  server:close()
end)

it("spate.admin wants to know who is allowed", function()
  helper.refuses {
    ["spate.admin()"] = "spate.admin: authorize: expected a function, got nil",
    ["spate.admin { auth = 1 }"] = "spate.admin: unknown option 'auth'",
    ["spate.admin { authorize = print, hosts = 'a' }"] = 'spate.admin: hosts: expected a list of names, or "any", got a',
    ["spate.admin { authorize = print, hosts = { 1 } }"] = "spate.admin: hosts[1]: expected a string, got number",
  }
end)

describe("a stream's row", function()
  local server
  before_each(function()
    server = helper.serve([[
      local function opens(events, options) return function(req)
        req:tag("one", 'tw"o', "th\1ree")
        return sse.reply(sse.from(events):chain(sse.never()), options)
      end end
      app:get("/long", opens { ("x"):rep(3000), "y", "z" })
      app:get("/short", opens { "a" })
      app:get("/packed", opens({ ("x"):rep(3000), "b" }, { compress = true }))
      app:get("/raw", function() return reply.stream(function(write) write "x" sse.sleep(1000) end) end)
      app:mount("/-", spate.admin { hosts = { "spec" }, authorize = function() return true end })]], { settings = QUIET })
  end)
  after_each(function() server:close() end)

  local function ask(query)
    local res = server:get("/-/api/streams" .. query)
    server:turn()
    return res:json().streams
  end

  local function row(target)
    for _, each in ipairs(ask "") do
      if each.target == target then return each end
    end
  end

  local function order(query)
    local list = {}
    for i, each in ipairs(ask("?order=" .. query)) do list[i] = each.target end
    return list
  end

  it("says all of it", function()
    local slow = server:connect "10.0.0.9"
    slow:window(500)
    server:advance(2)
    local long = server:get("/long", { client = slow, headers = { ["Last-Event-ID"] = "e\"1\x80" } })
    server:advance(3)
    local got = #long:raw()
    local all = row "/long"
    assert.matches("^%x+$", all.id)
    local queued = all.queued_bytes
    assert.is_true(queued > 2500 and queued < 3200, queued)
    assert.same({ id = all.id, age = 3, events = 3, bytes = got, queued = all.queued, queued_bytes = queued, lag = 3, generation = 1, status = 200,
      is_events = true, is_compressed = false, http = "1.1", remote = "10.0.0.9", method = "GET", target = "/long", route = "GET /long",
      last_id = 'e"1\u{80}', tags = { "th\1ree", 'tw"o', "one" }, worker = 0 }, all)
    slow:window()
    server:turn()
    all = row "/long"
    assert.same({ 0, 0, 0, #long:raw() }, { all.queued, all.queued_bytes, all.lag, all.bytes })
  end)

  it("says how it is spoken and packed", function()
    server:get("/packed", { headers = { ["Accept-Encoding"] = "gzip" } })
    server:get("/short", { version = "1.0" })
    server:get "/raw"
    local packed, short, raw = row "/packed", row "/short", row "/raw"
    assert.same({ true, "1.1", true }, { packed.is_compressed, packed.http, packed.is_events })
    assert.same({ false, "1.0", true }, { short.is_compressed, short.http, short.is_events })
    assert.same({ false, "1.1", false, {} }, { raw.is_compressed, raw.http, raw.is_events, raw.tags })
  end)

  it("has its place by each order", function()
    local slow, slower = server:connect(), server:connect()
    slow:window(500)
    server:get("/long", { client = slow })
    server:advance(1)
    server:get "/short"
    server:advance(1)
    server:get("/packed", { headers = { ["Accept-Encoding"] = "gzip" } })
    slower:window(100)
    server:get("/raw", { client = slower })
    server:advance(0.5)
    assert.same({ "/long", "/short" }, order "age&limit=2")
    assert.same({ "/raw", "/packed" }, { order "age"[4], order "age"[3] })
    assert.same({ "/long", "/packed", "/short", "/raw" }, order "events")
    assert.same({ "/raw", "/short", "/packed", "/long" }, order "events&ascending=1")
    assert.same({ "/long", "/raw" }, order "queued&limit=2")
    assert.same({ "/long", "/raw" }, order "lag&limit=2")
    assert.equal("/raw", order "bytes&ascending=1"[1])
  end)
end)
