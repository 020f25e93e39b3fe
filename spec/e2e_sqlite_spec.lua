-- SPDX-License-Identifier: MIT
-- spate.sqlite on real threads: what takes long is stopped, what others have locked is waited for, and a reload lets go.
local process = require "spec.process"

local SOURCE = [[
local sqlite = require "spate.sqlite"
local db = sqlite.open(DIRECTORY .. "/a.db", { timeout = 0.5, busy = 0.3, migrations = { "create table t(n)" } })
local SLOW = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) as n from c where n < 0"
app:get("/fast", function() return "fast" end)
app:get("/slow", function() return table.concat({ select(2, db:query(SLOW)) }, "|") end)
app:get("/long", function()
  local long = sqlite.open ":memory:"
  long:query(SLOW)
end)
app:get("/add", function()
  local n, message, code = db:transaction(function()
    local count = assert(db:query "select count(*) as n from t")[1].n
    assert(db:exec("insert into t values (?)", count + 1))
    return count + 1
  end)
  return n and tostring(n) or reply.error(503, code)
end)
app:get("/hold", function()
  return db:transaction(function()
    db:exec "insert into t values (0)"
    sse.sleep(1000)
  end)
end)
local ENDLESS = "with recursive c(n) as (select 1 union all select n + 1 from c) select n, zeroblob(1000) as b from c"
app:get("/rows", function() return sse.reply(db:rows(ENDLESS):map(function(row) return row.n end)) end)
app:get("/slow_rows", function()
  return sse.reply(db:rows(ENDLESS):map(function(row)
    sse.sleep(0.01)
    return row.n
  end))
end)
app:get("/count", function() return tostring(db:query "select count(*) as n from t"[1].n) end)
app:get("/all", function() return tostring(#db:query "select distinct n from t") end)
app:get("/stats", function() return spate.stats() end)
]]

describe("spate.sqlite in the program", function()
  local directory, server

  before_each(function() directory = process.enter() end)
  after_each(function()
    server:stop()
    process.leave()
  end)

  local function serve(options)
    server = process.serve((SOURCE:gsub("DIRECTORY", ("%q"):format(directory))), options)
  end

  local function stat(name) return math.tointeger((select(2, server:get "/stats")):match('"' .. name .. '":(%d+)')) end

  local function threads()
    local list <close> = assert(io.popen(("ls /proc/%d/task | wc -l"):format(server.pid)))
    return tonumber(list:read "l")
  end

  -- CPU time in ticks of 10 ms.
  local function cpu()
    local user, system = process.read_file(("/proc/%d/stat"):format(server.pid)):match("%) %a" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
    return tonumber(user) + tonumber(system)
  end

  it("stops what takes too long, while everybody else is answered", function()
    serve()
    local slow = server:ask "/slow"
    assert.same({ 200, "fast" }, { server:get "/fast" })
    assert.equal(200, process.read_head(slow))
    process.read_until(slow, "db:query: interrupted: it has taken too long (timeout)|timeout")
    assert.same({ 200, "1" }, { server:get "/add" })
    slow:close()
  end)

  it("stops what was asked by a task that is cancelled", function()
    serve()
    local client = server:ask "/long"
    process.eventually("the statement", function() return stat "databases" == 1 end)
    process.reset(client)
    local before
    process.eventually("rest", function()
      before = cpu()
      os.execute "sleep 0.2"
      return cpu() - before < 5
    end)
  end)

  it("numbers by transactions of many, each one after another, in each worker", function()
    serve { arguments = { "-l", "127.0.0.1:0", "-w", "2" } }
    local clients, N = {}, 60
    for i = 1, N do clients[i] = server:ask "/add" end
    local ok = 0
    for i = 1, N do
      local status = process.read_head(clients[i])
      assert.truthy(status == 200 or status == 503)
      if status == 200 then ok = ok + 1 end
      clients[i]:close()
    end
    assert.is_true(ok > 0)
    assert.same({ 200, tostring(ok) }, { server:get "/count" })
    assert.same({ 200, tostring(ok) }, { server:get "/all" })
  end)

  it("rolls back what a client that leaves has begun", function()
    serve()
    local client = server:ask "/hold"
    process.eventually("the transaction", function() return stat "database_calls_total" == 2 end)
    process.reset(client)
    assert.same({ 200, "0" }, { server:get "/count" })
  end)

  it("keeps to what is taken of rows without an end", function()
    serve()
    local client = server:ask "/rows"
    process.read_until(client, "data: 1000\n")
    os.execute "sleep 0.5"
    local calls = stat "database_calls_total"
    os.execute "sleep 0.5"
    assert.equal(calls, stat "database_calls_total") -- the client reads no more
    process.reset(client)
    assert.same({ 200, "1" }, { server:get "/add" })
  end)

  it("lets go of all with a reload", function()
    serve { settings = "{ reload = { max_age = 0.1 } }" }
    for _ = 1, 3 do
      local client = server:ask "/slow_rows"
      process.read_until(client, "data: 10\n")
      server:kill "HUP"
      process.read_until(client, "retry:")
      client:close()
      server:get "/count"
      process.eventually("the end of the old state", function() return stat "databases" == 1 and stat "generations" == 1 end)
    end
    assert.is_true(threads() < 20)
  end)

  it("has what was committed before a kill, and nothing else", function()
    serve()
    for i = 1, 5 do assert.same({ 200, tostring(i) }, { server:get "/add" }) end
    local client = server:ask "/hold"
    process.eventually("the transaction", function() return stat "database_calls_total" >= 20 end)
    server:kill "KILL"
    server:wait()
    client:close()
    serve()
    assert.same({ 200, "5" }, { server:get "/all" })
  end)
end)
