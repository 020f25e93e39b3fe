-- SPDX-License-Identifier: MIT
-- spate.postgres: what calls return and raise, by a real server beside an application in memory, whose clock stands.
local helper = require "spec.helper"
local postgres = require "spec.postgres"

local FIRST_LINE = 8 -- before a handler's body: those of the helper, and of PRELUDE

local PRELUDE = [[
local postgres = require "spate.postgres"
local pg = postgres.open(%q, %s)
local function tell(a, b, c, d) if a == nil then return ("nil|%%s|%%s|%%s"):format(b, c, d) end return tostring(a) end
]]

if not postgres.is_there() then
  pending "PostgreSQL is not installed"
  return
end

describe("spate.postgres, asked", function()
  local database, server

  setup(function() database = postgres.new { tls = true } end)
  teardown(function() database:stop() end)
  after_each(function()
    if not server then return end
    server:get "/close"
    server:turn()
    server:close()
    server = nil
  end)

  local function serve(source, options)
    collectgarbage() -- what earlier clients keep would be missed at the end
    server = helper.serve(PRELUDE:format(database:conninfo(), options or "nil") .. 'app:get("/close", function() pg:close() return "x" end)\n' .. source)
  end

  local function body(res)
    server:wait(function() return res:has_ended() end)
    return (res:body())
  end

  -- What a handler with this body answers.
  local function run(code, options)
    serve(('app:get("/", function(req)\n%s\nend)'):format(code), options)
    return body(server:get "/")
  end

  local function error_of(code)
    local line, message = run("local ok, err = pcall(function()\n" .. code .. "\nend) return tostring(err)"):match ":(%d+): (.*)"
    return message, tonumber(line) and tonumber(line) - FIRST_LINE
  end

  it("has values of their types", function()
    assert.equal("true", run [[
      local bytes = ("\0\1\255\\"):rep(10000)
      local r = assert(pg:query([=[select $1::int8 as big, $2::int2 as small, $3::float8 as f, 'NaN'::float8 as nan, '-Infinity'::float4 as inf,
        3::float8 as whole, $4::bool as yes, false as no, $5::jsonb as j, '[1,null]'::json as list, $6::bytea as by, $7::text as none, '' as empty,
        12.50::numeric as exact, 'a'::char as c]=], math.mininteger, -5, 0.1, true,
        postgres.json { a = { 1, "x" } }, postgres.bytea(bytes), nil))[1]
      assert(r.big == math.mininteger and r.small == -5 and math.type(r.small) == "integer", "integers")
      assert(r.f == 0.1 and r.nan ~= r.nan and r.inf == -math.huge and math.type(r.whole) == "float", "floats")
      assert(r.yes == true and r.no == false, "booleans")
      assert(r.j.a[1] == 1 and r.j.a[2] == "x" and r.list[1] == 1, "json")
      assert(r.by == bytes and r.none == nil and r.empty == "" and r.exact == "12.50" and r.c == "a", "texts")
      return "true"]])
  end)

  it("has arrays, of more dimensions, with nulls and with whatever texts", function()
    assert.equal([=[[1,null,-3] [[1,2],[3,4]] ["a,b","c\"d","e\\f","","NULL",null,"{x}"] [true,false] [1.5,null] [] [{"a":1}]]=], run [[
      local r = assert(pg:query("select $1::int[] as i, $2::int8[] as d, $3::text[] as t, $4::bool[] as b, $5::float8[] as f, '{}'::int[] as e, array['{\"a\":1}'::jsonb] as j",
        postgres.array { 1, json.null, -3 }, postgres.array { { 1, 2 }, { 3, 4 } },
        postgres.array { "a,b", 'c"d', "e\\f", "", "NULL", json.null, "{x}" }, postgres.array { true, false }, postgres.array { 1.5, json.null }))[1]
      local function enc(v) return json.encode(json.array(v)) end
      return table.concat({ enc(r.i), enc(r.d), enc(r.t), enc(r.b), enc(r.f), enc(r.e), enc(r.j) }, " ")]])
  end)

  it("binds numbers and booleans to whatever type is there", function()
    assert.equal("3 3.0 true x 2", run [[
      local r = assert(pg:query("select $1::int4 as i, $2::float8 as f, $3::bool as b, lpad($4, 1) as t, ('[1,2,3]'::jsonb -> $5::int)::text as j", 3.0, 3, true, "xy", 1))[1]
      return ("%d %s %s %s %s"):format(r.i, r.f, r.b, r.t, r.j)]])
  end)

  it("says how many rows have changed", function()
    assert.equal("2 0", run [[
      pg:query "drop table if exists t"
      pg:query "create table t(id serial primary key, name text unique)"
      local rows, n = pg:query("insert into t(name) values ($1), ($2)", "a", "b")
      return n .. " " .. #rows]])
  end)

  for name, case in pairs {
    ["a syntax error"] = { "'selec 1'", 'nil|pg:query: syntax error at or near "selec"|sql|42601' },
    ["a missing table"] = { "'select * from nowhere'", 'nil|pg:query: relation "nowhere" does not exist|sql|42P01' },
    ["a constraint"] = { "'insert into c values (1), (1)'",
      'nil|pg:query: duplicate key value violates unique constraint "c_pkey": Key (id)=(1) already exists.|constraint|23505' },
    ["a parameter that is none of its type"] = { "'select $1::int', 'x'", 'nil|pg:query: invalid input syntax for type integer: "x"|sql|22P02' },
    ["too few parameters"] = { "'select $1::int, $2::int', 1", "nil|pg:query: bind message supplies 1 parameters, but prepared statement \"spate2\" requires 2|sql|08P01" },
    ["COPY"] = { "'copy c to stdout'", "nil|pg:query: COPY is not to be had|sql|nil" },
    ["nothing"] = { "' -- nothing'", "nil|pg:query: expected a statement, got none|sql|nil" },
    ["two statements"] = { "'select 1; select 2'", "nil|pg:query: cannot insert multiple commands into a prepared statement|sql|42601" },
    ["the server's own time"] = { "'select set_config($1, $2, false), pg_sleep(1)', 'statement_timeout', '50'", "x" },
  } do
    if case[2] ~= "x" then
      it("tells of " .. name, function()
        local said = run(("pg:query 'create table if not exists c(id int primary key)' return tell(pg:query(%s))"):format(case[1]))
        assert.equal(case[2], said)
        assert.equal("1", run "return tostring(pg:query 'select 1 as n'[1].n)") -- it can be asked again
      end)
    end
  end

  for name, case in pairs {
    ["a table as a parameter"] = { "pg:query('select $1', {})",
      "pg:query: parameter 1: expected a string, a number, a boolean, nil, postgres.json, postgres.array or postgres.bytea, got table" },
    ["a NUL in a text"] = { "pg:query('select $1', 'a\\0')", "pg:query: parameter 1 has a NUL in it; postgres.bytea has any bytes" },
    ["a NUL in a statement"] = { "pg:query 'select \\0'", "pg:query: the statement has a NUL in it; give it as a parameter" },
    ["a dot"] = { "pg.query('select 1')", "pg:query: write it with a colon" },
    ["a list with gaps"] = { "postgres.array { 1, nil, 3 }", "postgres.array: expected a list without gaps; json.null is NULL in it" },
    ["a list that is none"] = { "postgres.array { a = 1 }", "postgres.array: expected a list, got a table with 'a'" },
    ["an unknown option"] = { "postgres.open('', { conections = 1 })", "postgres.open: unknown option 'conections'; did you mean 'connections'?" },
    ["an unknown parameter"] = { "postgres.open('', { parameters = { hots = 'x' } })", "postgres.open: 'hots' is no parameter of a connection" },
    ["a malformed text"] = { "postgres.open 'host'", 'postgres.open: missing "=" after "host" in connection info string' },
    ["two hosts"] = { "postgres.open 'host=a,b'", "postgres.open: expected one host, got 'a,b'" },
    ["a channel"] = { "pg:listen ''", "pg:listen: expected a channel's name of 1 to 63 bytes, not 'reset', got \"\"" },
    ["a transaction in another"] = { "pg:transaction(function() pg:transaction(function() end) end)",
      "pg:transaction: the task is in a transaction of this pool already", 2 },
  } do
    it("raises " .. name .. " at the line", function() assert.same({ case[2], 2 }, { error_of("local x = 1\nx = " .. case[1] .. "\nreturn x") }) end)
  end

  it("does not know whether a commit that has taken too long was done, and has it cancelled", function()
    assert.equal("", database:sql [[create table slow(n int);
      create function wait() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$;
      create constraint trigger w after insert on slow deferrable initially deferred for each row execute function wait()]])
    serve('app:get("/", function() return tell(pg:transaction(function() assert(pg:query "insert into slow values (1)") end)) end)', "{ timeout = 1 }")
    local res = server:get "/"
    local function committing() return database:sql "select count(*) from pg_stat_activity where query = 'commit' and state = 'active'" end
    server:wait(function() return committing() == "1" end)
    server:advance(1.1)
    assert.equal("nil|pg:transaction: it has taken too long (timeout); whether it has committed is not known|unknown|nil", body(res))
    server:wait(function() return committing() == "0" end)
    assert.equal("0", database:sql "select count(*) from slow")
  end)

  it("commits, and rolls back where the function raises", function()
    assert.equal("7 1 false mine 1 true", run [[
      pg:query "drop table if exists a"
      pg:query "create table a(n int)"
      local seven = pg:transaction(function(tx)
        assert(tx == pg and tx:query "insert into a values (1)")
        return 7
      end)
      local function count() return pg:query "select * from a" end
      local before = #count()
      local ok, err = pcall(pg.transaction, pg, function()
        pg:query "insert into a values (2)"
        error("mine", 0)
      end)
      return table.concat({ seven, before, tostring(ok), err, #count(), tostring(pg:transaction(function() end)) }, " ")]])
  end)

  it("says that a transaction with a statement that failed was rolled back", function()
    assert.equal("rolled back / nil|pg:transaction: it was rolled back, since a statement in it had failed|rolled back|nil 0", run [[
      pg:query "drop table if exists a"
      pg:query "create table a(n int)"
      local code
      local said = tell(pg:transaction(function()
        pg:query "insert into a values (1)"
        pg:query "nonsense"
        code = select(3, pg:query "insert into a values (2)")
      end))
      return code .. " / " .. said .. " " .. #pg:query "select * from a"]])
  end)

  it("rolls back what a task has begun that is cancelled, while others go on", function()
    assert.equal("0 1", run([[
      pg:query "drop table if exists a"
      pg:query "create table a(n int)"
      local began
      local task = sse.spawn(function()
        pg:transaction(function()
          pg:query "insert into a values (1)"
          began = true
          sse.never():collect()
        end)
      end)
      while not began do pg:query "select 1" end
      local during = #pg:query "select * from a"
      task:cancel()
      pg:query "insert into a values (2)"
      local rows
      repeat rows = pg:query "select count(*) as n from pg_stat_activity where state like 'idle in transaction%'" until rows[1].n == 0
      return during .. " " .. #pg:query "select * from a"]], "{ connections = 2 }"))
  end)

  it("is isolated as is asked for", function()
    assert.equal("serializable on conflict", run [[
      local level, ro = pg:transaction(function()
        return pg:query "show transaction_isolation"[1].transaction_isolation, pg:query "show transaction_read_only"[1].transaction_read_only
      end, { isolation = "serializable", read_only = true })
      pg:query "drop table if exists a"
      pg:query "create table a(n int)"
      pg:query "insert into a values (0)"
      local codes, readers = {}, 0
      local function add()
        pg:transaction(function()
          local n = pg:query "select n from a"[1].n
          readers = readers + 1
          while readers < 2 do sse.sleep(0) end
          codes[#codes + 1] = select(3, pg:query("update a set n = $1", n + 1))
        end, { isolation = "repeatable read" })
      end
      local one, two = sse.spawn(add), sse.spawn(add)
      one:join() two:join()
      return level .. " " .. ro .. " " .. tostring(codes[1])]])
  end)

  it("has rows one by one, with a connection for them", function()
    assert.equal("500500 1000 1", run([[
      local sum, count = 0, 0
      for row in pg:rows("select g as n, repeat('x', 2000) as x from generate_series(1, $1) g", 1000) do sum, count = sum + row.n, count + 1 end
      return sum .. " " .. count .. " " .. pg:query "select 1 as n"[1].n]], "{ connections = 1 }"))
  end)

  it("gives the connection back of rows that are not read to their end", function()
    assert.equal("fine", run([[
      for i = 1, 6 do
        local rows <close> = pg:rows "select g as n, repeat('x', 2000) as x from generate_series(1, 100000) g"
        assert(rows().n == 1)
      end
      assert(pg:query "select 1")
      return "fine"]], "{ connections = 1 }"))
  end)

  it("finds connections again that loops have left behind", function()
    assert.equal("fine", run([[
      for _ = 1, 2 do
        for _ in pg:rows "select g from generate_series(1, 1000) g" do break end
      end
      assert(pg:query "select 1")
      return "fine"]], "{ connections = 2 }"))
  end)

  it("raises where rows fail", function()
    assert.equal("1 pg:rows: division by zero", run [[
      local n = 0
      local ok, err = pcall(function() for row in pg:rows "select 1 / (101 - g) as n from generate_series(1, 200) g" do n = row.n end end)
      return n .. " " .. tostring(err)]])
  end)

  it("gives the connection back of rows that fail", function()
    assert.equal("fine", run([[
      for _ = 1, 3 do
        local rows = pg:rows "select 1 / 0"
        assert(not pcall(rows.next, rows))
      end
      assert(pg:query "select 1")
      return "fine"]], "{ connections = 1, wait = 0.5 }"))
  end)

  it("reads rows within a transaction, and nothing else meanwhile", function()
    assert.equal("3 pg:query: rows of this transaction are being read; read them to their end, or close them", run [[
      local n, err = 0, nil
      pg:transaction(function()
        for row in pg:rows "select g from generate_series(1, 3) g" do n = n + 1 end
        local rows = pg:rows "select g from generate_series(1, 1000) g"
        rows()
        err = select(2, pcall(pg.query, pg, "select 1"))
        for _ in rows do end
      end)
      return n .. " " .. tostring(err):gsub("^[^ ]*:%d+: ", "")]])
  end)

  it("limits rows and bytes, and goes on", function()
    assert.equal("too large too large 10 1", run([[
      local code = select(3, pg:query "select g from generate_series(1, 11) g")
      local bytes = select(3, pg:query "select repeat('x', 2000) from generate_series(1, 5) g")
      local in_transaction = pg:transaction(function()
        pg:query "select g from generate_series(1, 10000) g"
        return #pg:query "select g from generate_series(1, 10) g"
      end)
      return ("%s %s %d %d"):format(code, bytes, in_transaction, #pg:query "select 1")]], "{ max_rows = 10, max_bytes = 5000 }"))
  end)

  it("prepares a table's statement anew where that has changed", function()
    assert.equal("1 2", run [[
      pg:query "drop table if exists a"
      pg:query "create table a(n int)"
      pg:query "insert into a values (1)"
      local function columns() local n = 0 for _ in pairs(pg:query "select * from a"[1]) do n = n + 1 end return n end
      local before = columns()
      pg:query "alter table a add m int default 2"
      return before .. " " .. columns()]])
  end)

  it("prepares anew what somebody has dropped, and nothing where it is told so", function()
    local code = [[
      pg:query "select 1"
      local n = #pg:query "select * from pg_prepared_statements"
      pg:query "deallocate all"
      return n .. " " .. tostring((pg:query "select 1") ~= nil)]]
    assert.equal("2 true", run(code))
    server:get "/close"
    server:turn()
    server:close()
    assert.equal("0 true", run(code, "{ prepare = false }"))
  end)

  it("makes a queue for a connection, and refuses one too many", function()
    assert.equal("ok ok busy / pg:query: too many wait for a connection already (queue)", run([[
      local results, messages, tasks = {}, {}, {}
      for i = 1, 3 do
        tasks[i] = sse.spawn(function()
          local rows, message, code = pg:query "select pg_sleep(0.05)"
          results[i], messages[i] = code or "ok", message
        end)
      end
      for i = 1, 3 do tasks[i]:join() end
      return table.concat(results, " ") .. " / " .. messages[3] ]], "{ connections = 1, queue = 2 }"):gsub("busy ok ok", "ok ok busy"))
  end)

  it("waits for a connection as long as it may", function()
    serve([[
      app:get("/hold", function() pg:transaction(function() sse.sleep(100) end) return "held" end)
      app:get("/", function() return tell(pg:query "select 1") end)
    ]], "{ connections = 1, wait = 3 }")
    local hold = server:get "/hold"
    server:wait(function() return database:sql "select count(*) from pg_stat_activity where state like 'idle in transaction%'" ~= "0" end)
    local res = server:get "/"
    server:advance(4)
    assert.equal("nil|pg:query: no connection was free in time (wait)|busy|nil", body(res))
    server:advance(100)
    assert.equal("held", body(hold))
  end)

  it("cancels what takes too long", function()
    serve([[
      app:get("/", function() return tell(pg:query "select pg_sleep(100)") end)
      app:get("/next", function() return tell(#pg:query "select 1") end)
    ]], "{ connections = 1, timeout = 2 }")
    local res = server:get "/"
    server:wait(function() return database:sql "select count(*) from pg_stat_activity where query like '%sleep%100%' and state = 'active' and pid <> pg_backend_pid()" == "1" end)
    server:advance(3)
    assert.equal("nil|pg:query: it has taken too long (timeout)|timeout|nil", body(res))
    assert.equal("1", body(server:get "/next"))
    assert.equal("0", database:sql "select count(*) from pg_stat_activity where query like '%sleep%100%' and state = 'active' and pid <> pg_backend_pid()")
  end)

  it("is counted, and closes what nobody has for a while", function()
    serve [[
      app:get("/", function()
        pg:query "select 1" pg:query "nonsense"
        local s = spate.stats()
        return ("%d %d %d"):format(s.databases, s.database_calls_total, s.database_errors_total)
      end)
      app:get("/databases", function() return tostring(spate.stats().databases) end)]]
    assert.equal("1 2 1", body(server:get "/"))
    server:advance(61)
    assert.equal("0", body(server:get "/databases"))
  end)

  it("says what is wrong with a server that is none", function()
    assert.equal(("nil|pg:query: connection to server on socket \"%s/.s.PGSQL.1\" failed: No such file or directory Is the server running locally and accepting connections on that socket?|unavailable|nil")
      :format(database.folder), run(('return tell(postgres.open("host=%s port=1"):query "select 1")'):format(database.folder)))
  end)

  it("looks a name up, and says where there is none", function()
    assert.equal("1 nil|pg:query: nowhere.invalid: Name or service not known|unavailable", run(([[
      local named = postgres.open("host=localhost port=%d user=postgres dbname=postgres")
      local n = assert(named:query "select 1 as n")[1].n
      local said = tell(postgres.open("host=nowhere.invalid"):query "select 1"):match "^(.*)|nil$"
      named:close()
      return n .. " " .. said]]):format(database.port)):gsub("Temporary failure in name resolution", "Name or service not known")
      :gsub("No address associated with hostname", "Name or service not known"))
  end)

  it("fails cleanly wherever memory runs out", function()
    serve [[
      local function work()
        local n = 0
        pg:transaction(function() assert(pg:query("select $1::int[] as a, $2::jsonb as j", postgres.array { 1, 2 }, postgres.json { a = 1 })) end)
        for row in pg:rows("select g as n from generate_series(1, 250) g"):each() do n = n + row.n end
        return tostring(n)
      end
      app:get("/", function() local ok, said = pcall(work) return ok and said or "failed" end)
      app:get("/again", function() return tostring(pg:query "select 1 as n"[1].n) end)]]
    local runs, after = 0, 0
    while after < 20000 do
      after = after + (after < 300 and 5 or 80)
      server.core:fail_allocation(after, 2)
      local res = server:get "/"
      server:wait(function() return res:has_ended() or res.client:state() ~= "open" end)
      local left = server.core:fail_allocation(0, 0)
      runs = runs + 1
      if left > 0 then
        assert.equal("31375", (res:body()))
        assert.equal("1", body(server:get "/again"))
        assert.is_true(runs > 20)
        return
      end
    end
    error "it never came to the end"
  end)

  it("tells of its pool: how many connections are in use, idle and waited for", function()
    serve([[
      local go = sse.promise()
      app:get("/hold", function() pg:transaction(function() pg:query "select 1" go:await() end) return "" end)
      app:get("/go", function() go:fulfil(true) return "" end)
      app:get("/pool", function() return reply.body(spate.metrics.text(), "text/plain") end)]], "{ connections = 2 }")
    local function pool()
      local text, list = server:get("/pool"):body(), {}
      for i, what in ipairs { "in_use", "idle", "waiting", "limit" } do
        list[i] = tonumber(text:match("\nspate_pool_" .. what .. '{pool="postgres:[^"]*/postgres"} (%d+)'))
      end
      return table.concat(list, " ")
    end
    local held = {}
    for i = 1, 3 do held[i] = server:get "/hold" end
    server:wait(function() return pool() == "2 0 1 2" end)
    server:get "/go"
    for _, res in ipairs(held) do server:wait(function() return res:has_ended() end) end
    server:wait(function() return pool() == "0 2 0 2" end)
    server:advance(61)
    server:wait(function() return pool() == "0 0 0 2" end)
  end)

  it("checks by TLS who answers, where it is told so", function()
    local code = [[
      local secure = postgres.open("host=%s port=%d user=postgres dbname=postgres", { parameters = { sslmode = "verify-full", sslrootcert = %q } })
      local said = tell(secure:query "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()")
      secure:close()
      return said]]
    assert.matches("^table", run(code:format("localhost", database.port, database.authority)))
    server:get "/close"
    server:turn()
    server:close()
    assert.matches("does not match host name \"127.0.0.1\"|unavailable|nil",
      run(code:format("127.0.0.1", database.port, database.authority)), 1, true)
  end)

  it("cannot wait while the script is loaded, which opening it can", function()
    local err = helper.load_error(PRELUDE:format(database:conninfo(), "nil") .. 'pg:query "select 1"')
    assert.matches("pg:query: nothing can wait while the script is loaded", err, 1, true)
  end)
end)
