-- SPDX-License-Identifier: MIT
-- Memory that runs out at every place in turn: the n-th allocation of the application's state fails, for every n that a
-- scenario comes to. Whatever it breaks is told, nothing is left over, and the next request is answered.
local helper = require "spec.helper"

local APP = [[
app:get("/plain", function()
  for _ = 1, 2 do collectgarbage() end -- the second for what finalizers have let go of
  return "fine"
end)
app:post("/json", function(req)
  local v, err = req:json()
  if not v then return reply.error(400, err) end
  return reply.json { got = v, query = req.query.a, cookie = req.cookies.c, headers = req.headers, all = req:query_all "a" }
end)
app:post("/form", function(req) return (req:form()) end)
app:get("/stream", function(req)
  req:on_close(function(reason) spate.log.info("gone", { reason = reason }) end)
  local numbers = sse.interval(1):map(function(n) return n * 2 end):filter(function(n) return n % 4 == 0 end)
  local letters = sse.from { "a", "b", "c" }
  return sse.reply(sse.merge(numbers, letters):take(4):start_with("hello"):chain(sse.once { json = { bye = true } }))
end)
app:get("/batch", function()
  return sse.reply(sse.interval(0.1):throttle(0.2):batch(2, 1):map(function(list) return sse.event("b"):id(#list):json_data(list) end):take(2))
end)
app:get("/ticks", function()
  return sse.reply(sse.interval(0.1):map(function(n)
    sse.sleep(0.05)
    return n < 4 and sse.event("t"):id(("i"):rep(50)):data(("x"):rep(n * 20)) or nil
  end))
end)
app:get("/wrap", function()
  return sse.reply(function(send)
    local held <close> = setmetatable({}, { __close = function() spate.shared("d"):incr "closed" end })
    for v in sse.wrap(function() for i = 1, 3 do sse.sleep(0.1) coroutine.yield(i) end end) do send { id = v, data = "x" .. v } end
  end)
end)
app:get("/news", function(req) return sse.reply(sse.channel("news", { history = 20 }):subscribe { after = req.last_event_id, replay = "all" }) end)
app:post("/news", function(req)
  local id, why = sse.channel("news", { history = 20 }):publish { event = "item", json = { text = req:body() } }
  return id and reply.json({ id = id }, 201) or reply.error(503, why)
end)
app:get("/room", function(req)
  local room = sse.channel "room"
  return sse.reply(function(send)
    local feed <close> = room:subscribe()
    local _me <close> = room:join(req.query.user, { name = "x" })
    send { event = "who", json = room:members() }
    for event in feed:each() do send(event) end
  end)
end)
local upper = sse.channel("news", { history = 20 }):derive(function(ev) return { data = ev.data:upper() } end)
app:get("/upper", function() return sse.reply(upper:subscribe { replay = 5 }) end)
app:get("/shot", function()
  return sse.reply(sse.channel("news"):snapshot(function() return { event = "all", json = { n = 1 } } end))
end)
app:get("/answers", function(req)
  return sse.reply(sse.resumable("answer", function(send) for i = 1, 3 do send("w" .. i) sse.sleep(0.2) end end,
    { after = req.last_event_id, linger = 1, ttl = 1 }))
end)
app:get("/shared", function()
  local d = spate.shared "d"
  d:set("k", ("v"):rep(100), { ttl = 1 })
  return { n = d:incr "n", keys = d:keys(), v = d:get "k", added = d:add("x", 1), swapped = d:cas("x", 1, 2) }
end)
app:get("/tasks", function()
  local a = sse.spawn(function(n) sse.sleep(0.1) return n + 1 end, 1)
  local b = sse.spawn(function() error "on purpose" end)
  local c = sse.spawn(function() sse.sleep(100) end)
  c:cancel()
  return { a = a:join(), b = tostring(select(2, b:join())), c = tostring(select(2, c:join())) }
end)
app:get("/abort", function() pcall(spate.abort, 404, "no") spate.abort(418, "teapot") end)
app:get("/guarded", spate.rate_limit { rate = 1000, per = 1 }, spate.session { secret = ("s"):rep(32) }, spate.cors { origins = { "http://a.example" } },
  spate.basic_auth { users = { root = "secret" } }, function(req)
  req.session = { user = req.ctx.user, n = (req.session and req.session.n or 0) + 1 }
  return reply.redirect "/plain"
end)
app:get("/password", function()
  local hash = spate.crypto.password.hash("x", { cost = 1 })
  return { spate.crypto.password.verify("x", hash) }
end)
app:get("/offload", function() return spate.offload("spate.json", "encode", { 1, a = { "b", json.null } }) end)
app:get("/wait_fd", function()
  local file <close> = io.open "/dev/null"
  return sse.wait_fd(file, "r", 0.5)
end)
app:get("/files", function()
  local fs = spate.fs
  local lines, changes <close> = fs.tail("/etc/passwd", { from = 0 }), fs.watch "/etc/passwd"
  for line in lines:take(2):each() do assert(#line.text > 0) end
  return { #fs.read "/etc/passwd", #fs.list "/usr" }
end)
app:get("/error", function() error { code = 1 } end)
app:get("/late", function() return sse.reply(function(send) send "one" error "late" end) end)
]]

local function finish_stream(server, res) server:advance(2) res:close() end

-- What each does with the server; the statuses that its requests may have where nothing fails.
local SCENARIOS = {
  plain = function(server) server:get "/plain" end,
  missing = function(server) server:get "/nowhere" server:put "/plain" server:options "/plain" end,
  files = function(server) server:get "/files" server:turn() end,
  ["files, and nobody waits"] = function(server) server:get("/files"):close() server:turn() end,
  password = function(server) server:get "/password" server:turn() end,
  ["password, and nobody waits"] = function(server) server:get("/password"):close() server:turn() end,
  offload = function(server) server:get "/offload" server:turn() end,
  ["offload, and nobody waits"] = function(server) server:get("/offload"):close() server:turn() end,
  ["wait_fd, in vain or not"] = function(server) server:get "/wait_fd" server:advance(1) end,
  json = function(server)
    server:post("/json?a=1&a=2", { json = { a = { 1, 2.5, "x" }, b = {} }, headers = { Cookie = "c=1; d=2", ["X-A"] = "b" } })
    server:post("/json", { body = "{" })
  end,
  form = function(server) server:post("/form", { body = "a=1&b=2%203", headers = { ["Content-Type"] = "application/x-www-form-urlencoded" } }) end,
  stream = function(server) local res = server:get "/stream" server:advance(10) res:close() end,
  leaving = function(server) local res = server:get "/stream" server:advance(1.5) res.client:reset() server:turn() end,
  batch = function(server) finish_stream(server, server:get "/batch") end,
  ticks = function(server) -- more of them at once than coroutines are at hand
    local all = {}
    for i = 1, 8 do all[i] = server:get "/ticks" end
    server:advance(0.3)
    for i = 1, 4 do all[i].client:reset() end
    server:advance(0.5)
    for i = 5, 8 do all[i]:close() end
  end,
  wrap = function(server) finish_stream(server, server:get "/wrap") end,
  ["wrap cancelled"] = function(server) local res = server:get "/wrap" server:advance(0.15) res.client:reset() server:turn() end,
  channel = function(server)
    local live = server:get "/news"
    server:post("/news", { body = "one" })
    local first = live:events()[1]
    server:post("/news", { body = "two" })
    local again = server:get("/news", { headers = { ["Last-Event-ID"] = first and first.id or "1-1" } })
    again:close()
    live:close()
  end,
  derived = function(server)
    local res = server:get "/upper"
    server:post("/news", { body = "x" })
    finish_stream(server, res)
  end,
  snapshot = function(server)
    local res = server:get "/shot"
    server:post("/news", { body = "x" })
    finish_stream(server, res)
  end,
  presence = function(server)
    local ann, bob = server:get "/room?user=ann", server:get "/room?user=bob"
    ann:close()
    server:turn()
    bob:close()
  end,
  resumable = function(server)
    local res = server:get "/answers"
    server:advance(0.3)
    res:close()
    local again = server:get("/answers", { headers = { ["Last-Event-ID"] = res:events()[1] and res:events()[1].id or "1-1" } })
    server:advance(1)
    again:close()
    server:advance(10)
  end,
  shared = function(server) server:get "/shared" end,
  tasks = function(server) server:get "/tasks" server:advance(200) end,
  abort = function(server) server:get "/abort" end,
  errors = function(server) server:get "/error" server:get "/late" end,
  guarded = function(server)
    local res = server:get("/guarded", { headers = { Authorization = "Basic cm9vdDpzZWNyZXQ=", Origin = "http://a.example" } })
    local cookie = (res:header "Set-Cookie" or ""):match "^[^;]*"
    server:get("/guarded", { headers = { Authorization = "Basic cm9vdDpzZWNyZXQ=", Cookie = cookie } })
  end,
}

local names = {}
for name in pairs(SCENARIOS) do names[#names + 1] = name end
table.sort(names)

local ONCE, FOR_GOOD = 2, 1 << 40 -- Lua tries each allocation twice
local BY_ITSELF = 60 -- seconds after which nothing that a scenario began goes on

describe("memory that runs out", function()
  local server, before, events_before -- `before`: its stats when nothing is asked of it

  local function settle()
    for _, client in ipairs(server.clients) do client:finish() end
    server.clients = {}
    server:advance(BY_ITSELF)
  end

  -- Runs a scenario once without a fault, so that what is made once is there.
  local function start(scenario)
    events_before = helper.harness.events()
    server = helper.serve(APP)
    scenario(server)
    settle()
    before = server:stats()
  end

  -- What must hold whatever has failed; `n` is the allocation, for the message.
  local function check_unharmed(n, kinds)
    settle()
    local res = server:get "/plain"
    assert(res:status() == 200 and res:body() == "fine", ("allocation %d: then %s\n%s"):format(n, res:raw(), server:log()))
    settle()
    local stats = server:stats()
    for _, kind in ipairs(kinds) do
      local more = stats[kind] - before[kind]
      assert(more <= 0, ("allocation %d: %d %s are left\n%s"):format(n, more, kind, server:log()))
    end
    server:log()
  end

  local function is_answer(res)
    local status = res:status()
    return status == nil or status < 300 or status == 500 or status == 503 or status >= 400
  end

  -- Fails allocation 1, 2, 3 ... and `count` in all, until the scenario comes to its end without.
  local function sweep(scenario, count)
    local kinds = { "connections", "streams", count == ONCE and "tasks" or nil } -- a finalizer that failed is not run again
    local n, done = 0
    repeat
      server.core:fail_allocation(n, count)
      local send = server.send
      server.send = function(self, ...)
        local res = send(self, ...)
        assert(is_answer(res) or res:status() == 303, ("allocation %d: %s"):format(n, res:raw()))
        return res
      end
      scenario(server)
      server.send = send
      for _, client in ipairs(server.clients) do client:finish() end
      server:turn()
      done = server.core:fail_allocation(0, 0) == count
      check_unharmed(n, kinds)
      n = n + 1
    until done
    return n
  end

  for _, name in ipairs(names) do
    it("at each place of: " .. name, function()
      start(SCENARIOS[name])
      assert.is_true(sweep(SCENARIOS[name], ONCE) > 1)
      SCENARIOS[name](server) -- which works as before
      settle()
      assert.equal(before.tasks, server:stats().tasks)
      server:close { tasks = before.tasks, timers = before.timers, refs = before.refs }
      assert.equal(events_before, helper.harness.events())
    end)

    it("from each place on of: " .. name, function()
      start(SCENARIOS[name])
      sweep(SCENARIOS[name], FOR_GOOD)
      server.core:close()
    end)
  end

  local function write_app()
    local path = os.tmpname()
    local f <close> = assert(io.open(path, "w"))
    f:write('local spate, sse, json = require "spate", require "spate.sse", require "spate.json"\n',
      "local app, reply = spate.app(), spate.reply\n", APP, "return app\n")
    return path
  end

  -- n goes on by one, or in larger and larger steps.
  local function step(n) return n + (os.getenv "FULL" and 1 or 1 + n // 40) end

  for what, count in pairs { ["at"] = ONCE, ["from"] = FOR_GOOD } do
    it(("while code is loaded, %s each place: the old code goes on"):format(what), function()
      local path, n, loaded = write_app(), 0, 0
      start(SCENARIOS.plain)
      repeat
        local ok, err = server.core:build(path, n, count)
        if ok then server.core:swap() end
        assert(ok or err:find "memory", err)
        server.core:fail_allocation(0, 0)
        check_unharmed(n, { "connections", "streams", "tasks" })
        n = step(n)
        loaded = ok and loaded + 1 or 0
      until loaded == 3 -- in a row: it may do without a larger table of strings
      assert.is_true(n > 1000)
      os.remove(path)
      server:close()
      assert.equal(events_before, helper.harness.events())
    end)
  end
end)
