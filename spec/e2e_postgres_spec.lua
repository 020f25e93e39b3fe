-- SPDX-License-Identifier: MIT
-- spate.postgres in the program, and a server that is killed, cut, stopped and restarted under it.
local postgres = require "spec.postgres"
local process = require "spec.process"

local SOURCE = [[
local postgres = require "spate.postgres"
local pg = postgres.open(%q, { connections = 4, timeout = 20 })
local function tell(a, b, c) if a == nil then return reply.text(503, c .. "|" .. b) end return reply.text(tostring(a)) end
app:get("/one", function() local rows, message, code = pg:query "select 1 as n" return rows and "1" or reply.error(503, code) end)
app:get("/sleep", function() local rows, message, code = pg:query "select pg_sleep(600)" return rows and "slept" or reply.error(503, code) end)
app:get("/held", function()
  local ok, message, code = pg:transaction(function()
    assert(pg:query "insert into t values (1)")
    sse.sleep(600)
  end)
  return ok and "ok" or reply.error(503, code)
end)
app:get("/rows", function()
  return sse.reply(pg:rows "select g as n, repeat('x', 1000) as x from generate_series(1, 3000000) g":map(function(row) return row.n .. " " .. row.x end))
end)
app:get("/listen", function() return sse.reply(pg:listen "orders") end)
app:get("/other", function() return sse.reply(pg:listen "other":map(function(e) return e.event .. "=" .. e.data end)) end)
local orders = sse.channel("orders", { history = 100 }):relay(pg:listen "orders", { linger = 0.2 })
app:get("/relayed", function() return sse.reply(orders:subscribe()) end)
app:get("/stats", function() return spate.stats() end)
]]

if not postgres.is_there() then
  pending "PostgreSQL is not installed"
  return
end

describe("spate.postgres in the program", function()
  local database, server

  setup(function()
    database = postgres.new()
    database:sql "create table t(n int)"
  end)
  teardown(function() database:stop() end)
  before_each(function() process.enter() end)
  after_each(function()
    if server then server:stop() end
    server = nil
    process.leave()
  end)

  local function serve(options)
    server = process.serve(SOURCE:format(database:conninfo()), options)
  end

  local function stat(name) return math.tointeger((select(2, server:get "/stats")):match('"' .. name .. '":(%d+)')) end

  -- How many of the program's connections the server sees in such a state or statement.
  local function backends(where)
    return tonumber(database:sql("select count(*) from pg_stat_activity where application_name = 'spate' and " .. where))
  end

  local function memory()
    return tonumber(process.read_file(("/proc/%d/status"):format(server.pid)):match "VmRSS:%s+(%d+)")
  end

  it("goes on behind a server that was killed and restarted", function()
    serve()
    assert.same({ 200, "1" }, { server:get "/one" })
    local waiting = server:ask "/sleep"
    process.eventually("the statement", function() return backends "query like '%pg_sleep%' and state = 'active'" == 1 end)
    database:kill()
    assert.equal(503, process.read_head(waiting))
    assert.equal(503, (server:get "/one"))
    assert.equal(503, (server:get "/one"))
    database:start()
    assert.same({ 200, "1" }, { server:get "/one" })
  end)

  it("notices connections that the server has ended", function()
    serve()
    assert.same({ 200, "1" }, { server:get "/one" })
    database:sql "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'spate'"
    process.eventually("the loss", function() return stat "databases" == 0 end)
    assert.same({ 200, "1" }, { server:get "/one" })
  end)

  it("tells who waits for a statement that its backend is ended", function()
    serve()
    local waiting = server:ask "/sleep"
    process.eventually("the statement", function() return backends "query like '%pg_sleep%' and state = 'active'" == 1 end)
    database:sql "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'spate'"
    process.read_until(waiting, "unavailable")
    waiting:close()
  end)

  it("cancels at the server what a client that leaves has asked", function()
    serve()
    local clients = {}
    for i = 1, 4 do clients[i] = server:ask "/sleep" end
    process.eventually("the statements", function() return backends "query like '%pg_sleep%' and state = 'active'" == 4 end)
    for i = 1, 4 do process.reset(clients[i]) end
    process.eventually("their end", function() return backends "query like '%pg_sleep%' and state = 'active'" == 0 end)
    assert.same({ 200, "1" }, { server:get "/one" })
    assert.equal(4, backends "true") -- they are the same connections still
  end)

  it("rolls back what a client that leaves has begun", function()
    serve()
    local client = server:ask "/held"
    process.eventually("the transaction", function() return backends "state = 'idle in transaction'" == 1 end)
    process.reset(client)
    process.eventually("its end", function() return backends "state = 'idle in transaction'" == 0 end)
    assert.equal("0", database:sql "select count(*) from t")
  end)

  it("answers everybody else while the server stands still, and has the answer when it goes on", function()
    serve()
    assert.same({ 200, "1" }, { server:get "/one" })
    database:signal_backends "STOP"
    local waiting = server:ask "/one"
    for _ = 1, 20 do assert.truthy(stat "requests_total") end
    database:signal_backends "CONT"
    assert.equal(200, process.read_head(waiting))
    waiting:close()
  end)

  it("can be stopped while the server of the database stands still, and cannot be told to cancel", function()
    serve { settings = "{ shutdown = { grace = 2 } }" }
    local client = server:ask "/sleep"
    process.eventually("the statement", function() return backends "query like '%pg_sleep%' and state = 'active'" == 1 end)
    database:signal "STOP"
    process.reset(client)
    assert.truthy(stat "requests_total")
    server:kill "TERM"
    assert.equal(0, (server:wait()))
    server = nil
    database:signal "CONT"
    process.eventually("the end of the statement", function() return backends "query like '%pg_sleep%' and state = 'active'" == 0 end)
  end)

  it("has the server wait for a client that reads nothing of many rows", function()
    serve()
    local client = server:ask "/rows"
    assert(client:receive(4000000))
    os.execute "sleep 0.5" -- until what lies between is full
    local before = memory()
    os.execute "sleep 1"
    local more = memory() - before
    assert.is_true(more < 1024, more .. " kB more")
    assert.equal(1, backends "query like '%generate_series%' and state = 'active'")
    process.reset(client)
    process.eventually("the end of the statement", function() return backends "query like '%generate_series%' and state = 'active'" == 0 end)
  end)

  it("is a stream of notifications, which comes back with a reset where its backend was ended", function()
    serve()
    local client, other = server:ask "/listen", server:ask "/other"
    process.read_until(client, "event: reset\n")
    process.read_until(other, "data: reset=")
    process.eventually("one listener for both", function() return backends "query ilike '%listen%'" == 1 end)
    database:sql "notify orders, 'one'; notify other, 'x'; notify orders, 'two words'"
    assert.equal("data: one\n", process.read_until(client, "data: one\n"):match "data: one\n$")
    process.read_until(client, "event: orders\ndata: two words\n")
    process.read_until(other, "data: other=x\n")
    database:sql "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'spate'"
    process.read_until(client, "event: reset\n")
    process.read_until(other, "data: reset=")
    database:sql "notify orders, 'three'"
    process.read_until(client, "data: three\n")
    client:close()
    other:close()
    process.eventually("nobody listens", function() return backends "true" == 0 end)
  end)

  it("listens again behind a server that was killed and restarted", function()
    serve()
    local client = server:ask "/listen"
    process.read_until(client, "event: reset\n")
    database:kill()
    server:says "pg:listen"
    database:start()
    process.read_until(client, "event: reset\n")
    database:sql "notify orders, 'back'"
    process.read_until(client, "data: back\n")
    client:close()
  end)

  it("serves a thousand from one connection, in two workers", function()
    serve { arguments = { "-l", "127.0.0.1:0", "-w", "2" } }
    local clients, N = {}, 1000
    for i = 1, N do
      clients[i] = server:ask "/relayed"
      process.read_head(clients[i])
    end
    process.eventually("the listener", function() return backends "query ilike 'listen%'" == 1 end)
    assert.equal(1, backends "true")
    for i = 1, 5 do database:sql(("notify orders, 'n%d'"):format(i)) end
    for i = 1, N do
      local text = process.read_until(clients[i], "data: n5\n")
      for n = 1, 4 do assert.truthy(text:find(("data: n%d\n"):format(n), 1, true)) end
      clients[i]:close()
    end
    process.eventually("the end of the relay", function() return backends "true" == 0 end)
    local again = server:ask "/relayed"
    process.eventually("the listener", function() return backends "query ilike 'listen%'" == 1 end)
    database:sql "notify orders, 'again'"
    process.read_until(again, "data: again\n")
    again:close()
  end)

  it("lets go of all with a reload, and with a stop", function()
    serve { settings = "{ reload = { max_age = 0.1 } }" }
    local client = server:ask "/listen"
    process.read_until(client, "event: reset\n")
    assert.same({ 200, "1" }, { server:get "/one" })
    server:kill "HUP"
    process.read_until(client, "retry:")
    client:close()
    process.eventually("the end of the old state", function() return stat "generations" == 1 and stat "databases" == 0 end)
    assert.same({ 200, "1" }, { server:get "/one" })
    server:stop()
    server = nil
    process.eventually("the end of all", function() return backends "true" == 0 end)
  end)
end)
