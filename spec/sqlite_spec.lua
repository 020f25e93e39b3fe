-- SPDX-License-Identifier: MIT
-- spate.sqlite: the real SQLite, in memory or in a folder of each spec. The loop's thread does what is asked, in a turn of
-- its own; with threads in e2e_sqlite_spec.lua.
local helper = require "spec.helper"
local lfs = require "lfs"

local folder, server

local PRELUDE = [[
local sqlite = require "spate.sqlite"
local DIR = %q
local function tell(a, b, c) if a == nil then return ("nil|%%s|%%s"):format(b, c) end return tostring(a) end
local function show(rows) return json.encode(rows) end
]]

local FIRST_LINE = 9 -- before it lie those of the helper and of PRELUDE

local function serve(source, options)
  server = helper.serve(PRELUDE:format(folder) .. source, options)
  return server
end

-- What a handler with this body answers, of a database in memory that has t(id, name).
local function run(body, options)
  serve(([[
local db = sqlite.open(":memory:", { migrations = { "create table t(id integer primary key, name text unique)" } })
app:get("/", function(req)
%s
end)]]):format(body), options)
  local res = server:get "/"
  server:turn()
  return (res:body())
end

-- The error that the code raises, on which of its lines.
local function error_of(code)
  local line, message = run("local ok, err = pcall(function()\n" .. code .. "\nend) return tostring(err)"):match ":(%d+): (.*)"
  return message, tonumber(line) and tonumber(line) - FIRST_LINE
end

before_each(function()
  folder, server = os.tmpname(), nil
  os.remove(folder)
  assert(lfs.mkdir(folder))
end)

after_each(function()
  if server then server:close() end
  os.execute("rm -rf '" .. folder .. "'")
end)

describe("db:query", function()
  it("has rows as tables, and all types whole", function()
    assert.equal("true", run [[
      local bytes = ("\0\1\255"):rep(1000)
      local row = assert(db:query("select ? as i, ? as least, ? as f, ? as s, ? as b, ? as yes, ? as none, '' as empty",
        math.maxinteger, math.mininteger, 0.1, "a\0b", sqlite.blob(bytes), true, nil))[1]
      return tostring(row.i == math.maxinteger and row.least == math.mininteger and math.type(row.i) == "integer" and row.f == 0.1
        and row.s == "a\0b" and row.b == bytes and row.yes == 1 and row.none == nil and row.empty == "")]])
  end)

  it("binds a text as text and a blob as blob, an integer as integer and a float as real", function()
    assert.equal("text blob integer real null", run [[
      return table.concat({ db:query("select typeof(?)||' '||typeof(?)||' '||typeof(?)||' '||typeof(?)||' '||typeof(?) as x",
        "a", sqlite.blob "a", 1, 1.0, nil)[1].x })]])
  end)

  it("takes parameters by name", function()
    assert.equal('[{"a":1,"b":"x"}]', run [[return show(db:query("select :a as a, $b as b, @c as c", { a = 1, b = "x" }))]])
  end)

  it("binds NULL where the table has not that name", function()
    assert.equal('{"yes":1}', run [[
      local author
      return json.encode(db:query("select :author is null as yes", { author = author })[1])]])
  end)

  it("takes arguments for ?1 in its order, nil for one that is left out", function()
    assert.equal('{"a":"x","b":"z","none":1}', run [[
      return json.encode(db:query("select ?3 as b, ?1 as a, ?2 is null as none", "x", nil, "z")[1])]])
  end)

  it("has an empty list where there is no row", function()
    assert.equal("[]", run [[return show(json.array(db:query("select * from t")))]])
  end)

  for name, case in pairs {
    ["a syntax error"] = { "'selec 1'", 'nil|db:query: near "selec": syntax error|sql' },
    ["a missing table"] = { "'select * from other'", "nil|db:query: no such table: other|sql" },
    ["a value twice"] = { [["insert into t(name) values ('a'), ('a')"]], "nil|db:query: UNIQUE constraint failed: t.name|constraint" },
  } do
    it("tells of " .. name, function() assert.equal(case[2], run(("return tell(db:query(%s))"):format(case[1]))) end)
  end

  for name, case in pairs {
    ["too few parameters"] = { "db:query('select ?, ?', 1)", "db:query: the statement has 2 parameters, got 1" },
    ["too many parameters"] = { "db:query('select 1', 1, 2)", "db:query: the statement has 0 parameters, got 2" },
    ["an unknown name"] = { "db:query('select :a', { b = 1 })", "db:query: the statement has no parameter ':b'" },
    ["no table for a name"] = { "db:query('select :a', 1)", "db:query: the parameter ':a' has a name: expected a table, { a = value }; by position it is ?" },
    ["nil for a table of names"] = { "db:query('select :a', nil)",
      "db:query: the parameter ':a' has a name: expected a table, { a = value }; by position it is ?" },
    ["a name behind a ?"] = { "db:query('select ?, @b', 1, 2)", "db:query: the parameter '@b' has a name: expected a table, { b = value }; by position it is ?" },
    ["a number that is a name"] = { "db:query('select $1', 1)",
      "db:query: the parameter '$1' has a name: expected a table, { [\"1\"] = value }; by position it is ?" },
    ["a table for a ?"] = { "db:query('select ?', {})", "db:query: the parameter 1 is '?': expected it as an argument, got a table of names" },
    ["a table of names for a ?"] = { "db:query('select ?', { a = 1 })", "db:query: the parameter 1 is '?': expected it as an argument, got a table of names" },
    ["a table for a ? behind a name"] = { "db:query('select :a, ?2', { a = 1 })",
      "db:query: the parameter 2 is '?2': expected it as an argument, got a table of names" },
    ["a table among others"] = { "db:query('select ?, ?', 1, {})",
      "db:query: parameter 2: expected a string, a number, a boolean, nil or sqlite.blob, got table" },
    ["a list"] = { "db:query('select ?', { 1 })", "db:query: expected parameters by name, { name = value }; by position they are arguments" },
    ["two statements"] = { "db:query('select 1; select 2')", "db:query: expected one statement, got more" },
    ["none"] = { "db:query(' -- nothing')", "db:query: expected a statement, got none" },
    ["a dot"] = { "db.query('select 1')", "db:query: write it with a colon" },
    ["no text"] = { "db:query()", "db:query: expected a string, got nil" },
    ["a NUL"] = { "db:exec 'select 1\\0'", "db:exec: the statement has a NUL in it; give it as a parameter" },
    ["parameters of a script"] = { "db:exec('select 1; select ?')", "db:exec: of several statements none has parameters: one call for each" },
    ["BEGIN by hand"] = { "db:exec 'begin'", "db:exec: it has left a transaction open, which was rolled back: db:transaction is for that" },
  } do
    it("raises " .. name .. " at the line", function()
      assert.same({ case[2], 2 }, { error_of("local x = 1\nx = " .. case[1] .. "\nreturn x") })
    end)
  end

  it("ends with a comment or a semicolon as well", function()
    assert.equal('[{"a":1}]', run [[return show(db:query("select 1 as a; -- the end\n"))]])
  end)

  it("limits rows and bytes", function()
    assert.equal("nil|db:query: more than 3 rows (max_rows); db:rows has them one by one|too large / " ..
      "nil|db:query: more than 1024 bytes of rows (max_bytes); db:rows has them one by one|too large / 3", run [[
      local small = sqlite.open(":memory:", { max_rows = 3, max_bytes = 1024 })
      local many = "with recursive c(n) as (select 1 union all select n + 1 from c where n < %d) select n%s from c"
      return tell(small:query(many:format(4, ""))) .. " / " .. tell(small:query(many:format(3, ", zeroblob(500) as b"))) .. " / "
        .. #small:query(many:format(3, ""))]])
  end)

  it("holds no single value that is larger", function()
    assert.matches("too large$", run [[
      local small = sqlite.open(":memory:", { max_bytes = 100000 })
      return tell(small:query "select zeroblob(100001)")]])
  end)

  it("cannot wait while the script is loaded, which opening it can", function()
    local err = helper.load_error(PRELUDE:format(folder) .. 'local db = sqlite.open ":memory:"\ndb:query "select 1"')
    assert.matches("db:query: nothing can wait while the script is loaded", err, 1, true)
  end)
end)

describe("db:exec", function()
  it("says how many rows have changed, and the last rowid", function()
    assert.equal("2 2 0 2", run [[
      local n, id = db:exec("insert into t(name) values (?), (?)", "a", "b")
      local m, same = db:exec "update t set name = name where id > 5"
      return ("%d %d %d %d"):format(n, id, m, same)]])
  end)

  it("runs several statements", function()
    assert.equal('2 [{"id":1,"name":"a;"}]', run [[
      local n = db:exec "insert into t(name) values ('a;'); -- one\n insert into t(name) values ('b'); delete from t where id = 9; create table u(a)"
      return n .. " " .. show(db:query "select * from t where id = 1")]])
  end)

  it("keeps prepared statements, and no more than so many", function()
    assert.equal("100", run [[
      local few = sqlite.open(":memory:", { statements = 2 })
      few:exec "create table a(n)"
      for i = 1, 100 do assert(few:exec(("insert into a values (?) -- %d"):format(i % 5), i)) end
      return tostring(#few:query "select * from a")]])
  end)

  it("sees a table that has changed under a statement that is kept", function()
    assert.equal('{"a":1}{"a":1,"b":2}', run [[
      db:exec "create table u(a); insert into u values (1)"
      local before = json.encode(db:query("select * from u")[1])
      db:exec "alter table u add b default 2"
      return before .. json.encode(db:query("select * from u")[1])]])
  end)
end)

describe("db:transaction", function()
  it("commits, and has what the function returned", function()
    assert.equal("7 8 1 true", run [[
      local a, b = db:transaction(function(tx)
        assert(tx == db)
        assert(db:exec "insert into t(name) values ('a')")
        return 7, 8
      end)
      return ("%d %d %d %s"):format(a, b, #db:query "select * from t", tostring(db:transaction(function() end)))]])
  end)

  it("rolls back where the function raises, and raises that", function()
    assert.equal("true 0", run [[
      local ok, err = pcall(db.transaction, db, function()
        db:exec "insert into t(name) values ('a')"
        error({ mine = true })
      end)
      return tostring(not ok and err.mine) .. " " .. #db:query "select * from t"]])
  end)

  it("rolls back where its task is cancelled", function()
    assert.equal("0 1", run [[
      local task = sse.spawn(function()
        db:transaction(function()
          db:exec "insert into t(name) values ('a')"
          sse.sleep(1000)
        end)
      end)
      for _ = 1, 5 do sse.sleep(0) end
      task:cancel()
      local before = #db:query "select * from t"
      db:exec "insert into t(name) values ('b')"
      return before .. " " .. #db:query "select * from t"]])
  end)

  it("has the statements of others wait", function()
    serve [[
local db = sqlite.open(":memory:", { migrations = { "create table t(n)" }, timeout = 10 })
app:get("/slow/:s", function(req)
  return tell(db:transaction(function()
    db:exec "insert into t values (1)"
    sse.sleep(tonumber(req.params.s))
    db:exec "insert into t values (2)"
    return "slow"
  end))
end)
app:get("/", function() local rows, message, code = db:query "select * from t" return rows and tostring(#rows) or tell(rows, message, code) end)]]
    local slow, fast = server:get "/slow/5", server:get "/"
    server:advance(4.9)
    assert.is_nil(fast:status())
    server:advance(0.2)
    assert.equal("2", (fast:body()))
    assert.equal("slow", (slow:body()))
    slow, fast = server:get "/slow/50", server:get "/"
    server:advance(11)
    assert.equal("nil|db:query: another task's transaction has taken too long (timeout)|timeout", (fast:body()))
    server:advance(40)
    assert.equal("slow", (slow:body()))
  end)

  it("is given up by a failure of SQLite's that ends it", function()
    assert.equal("nil|db:transaction: the transaction has ended already, by an earlier failure or a statement of its own|rolled back 0", run [[
      local a, b, c = db:transaction(function()
        db:exec "insert into t(name) values ('a')"
        db:exec "insert or rollback into t(name) values ('a')"
      end)
      return tell(a, b, c) .. " " .. #db:query "select * from t"]])
  end)

  it("does not go on outside of one that has ended", function()
    assert.equal("rolled back 0", run [[
      local code
      db:transaction(function()
        db:exec "insert into t(name) values ('a')"
        db:exec "rollback"
        code = select(3, db:exec "insert into t(name) values ('b')")
      end)
      return code .. " " .. #db:query "select * from t"]])
  end)

  it("is not one in another", function()
    assert.equal("db:transaction: the task is in a transaction of this database already",
      (error_of "db:transaction(function()\n db:transaction(function() end)\n end)"))
  end)
end)

describe("db:rows", function()
  local MANY = [[local MANY = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 1000) select n from c"
  ]]

  it("has one after another, page by page", function()
    assert.equal("500500 1000", run(MANY .. [[
      local sum, count = 0, 0
      for row in db:rows(MANY) do sum, count = sum + row.n, count + 1 end
      return sum .. " " .. count]]))
  end)

  it("is a stream", function()
    serve [[
local db = sqlite.open ":memory:"
app:get("/", function() return sse.reply(db:rows("select ? as n union all select 2", 1):map(function(row) return row.n end)) end)]]
    local res = server:get "/"
    assert.same({ { data = "1" }, { data = "2" } }, res:events())
  end)

  it("raises where it fails", function()
    assert.equal("false db:rows: no such table: none", run [[
      local ok, err = pcall(function() for _ in db:rows "select * from none" do end end)
      return tostring(ok) .. " " .. err]])
  end)

  it("keeps its parameters, and lets others work meanwhile", function()
    assert.equal("1000 1", run(MANY .. [[
      local count = 0
      for row in db:rows(MANY:gsub("select n from c$", "select n, :x as x from c") .. "", { x = ("x"):rep(100) }) do
        assert(row.x == ("x"):rep(100))
        if row.n == 500 then db:exec "insert into t(name) values ('a')" end
        count = count + 1
      end
      return count .. " " .. #db:query "select * from t"]]))
  end)

  it("lets go of what is not read to its end", function()
    assert.equal("fine", run(MANY .. [[
      for i = 1, 200 do
        local rows <close> = db:rows(MANY)
        rows()
      end
      return "fine"]]))
  end)

  it("has no more of them open than it can", function()
    assert.equal("64 db:rows: too many rows are being read at a time", run(MANY .. [[
      local open = {}
      local ok, err = pcall(function() for i = 1, 100 do open[i] = db:rows(MANY); open[i]() end end)
      for _, rows in ipairs(open) do rows:close() end
      return #open - 1 .. " " .. tostring(err)]]))
  end)
end)

describe("a file", function()
  it("lies beside the script, and is there again", function()
    local path = folder .. "/app.lua"
    local function source(n)
      local f <close> = assert(io.open(path, "w"))
      f:write(([[
        local spate, sqlite = require "spate", require "spate.sqlite"
        local app, db = spate.app(), sqlite.open("kept.db", { journal = "wal", migrations = {
          "create table t(a); insert into t values (1)", %s } })
        app:get("/", function() local rows, err = db:query "select * from t" return rows and tostring(#rows) or err end)
        return app]]):format(n == 2 and '"insert into t values (2)"' or ""))
    end
    source(1)
    server = helper.serve(path)
    assert.equal("1", (server:get "/":body()))
    server:close()
    source(2)
    server = helper.serve(path)
    assert.equal("2", (server:get "/":body()))
    server:close()
    source(1)
    server = helper.serve(path)
    assert.equal("db:query: the file is at version 2, of 1 migrations that the script has", (server:get "/":body()))
    assert.truthy(lfs.attributes(folder .. "/kept.db"))
  end)

  it("is tried again where it could not be opened", function()
    serve [[
local db = sqlite.open(DIR .. "/later/a.db")
app:get("/", function() return tell(db:exec "create table if not exists t(a)") end)]]
    assert.equal(("nil|db:exec: '%s/later/a.db': unable to open database file|unavailable"):format(folder), (server:get "/":body()))
    assert(lfs.mkdir(folder .. "/later"))
    assert.equal("0", (server:get "/":body()))
  end)

  it("tells of one that is none, of one that is full, of one that may not be changed, of one that another has locked", function()
    local f <close> = assert(io.open(folder .. "/not.db", "w"))
    f:write(("not a database "):rep(1000))
    f:flush()
    assert.equal("corrupt full readonly busy", run [[
      local function code(...) return (select(3, ...)) end
      local full = sqlite.open(DIR .. "/full.db")
      full:exec "pragma max_page_count = 3; create table a(b)"
      local other = sqlite.open(DIR .. "/full.db", { busy = 0.01 })
      local full_code = code(full:exec("insert into a values (?)", ("x"):rep(100000)))
      local busy
      full:transaction(function()
        full:exec "insert into a values (1)"
        busy = code(other:exec "insert into a values (2)")
      end)
      return table.concat({ code(sqlite.open(DIR .. "/not.db"):query "select * from a"), full_code,
        code(sqlite.open(DIR .. "/full.db", { read_only = true }):exec "insert into a values (1)"), busy }, " ")]])
  end)

  it("says which migration has failed, and does none of it", function()
    assert.equal('nil|db:query: migration 2: near "creat": syntax error|sql / 1', run [[
      local list = { "create table a(b)", "create table c(d); creat" }
      local broken = sqlite.open(DIR .. "/m.db", { migrations = list })
      local said = tell(broken:query "select 1")
      local mended = sqlite.open(DIR .. "/m.db", { migrations = { list[1], "create table c(d)" } })
      return said .. " / " .. #assert(mended:query "select count(*) as n from c")]])
  end)

  it("is closed by hand, and by the end of a local", function()
    assert.equal("nil|db:query: the database has been closed|closed 0", run [[
      do local short <close> = sqlite.open(":memory:"); short:query "select 1" end
      db:query "select 1"
      db:close()
      local said = tell(db:query "select 1")
      for _ = 1, 3 do sse.sleep(0) end
      return said .. " " .. spate.stats().databases]])
  end)

  it("is one of so many", function()
    assert.equal("nil|db:query: too many databases are open already|busy", run [[
      local open = {}
      for i = 1, 64 do open[i] = sqlite.open ":memory:"; assert(open[i]:query "select 1") end
      local said = tell(sqlite.open(":memory:"):query "select 1")
      for i = 1, 64 do open[i]:close() end
      return said]])
  end)

  it("is counted", function()
    assert.equal("1 4 1", run [[
      db:query "select 1"; db:query "select 2"; db:query "nothing"
      db:query "select 3"
      local s = spate.stats()
      return ("%d %d %d"):format(s.databases, s.database_calls_total, s.database_errors_total)]])
  end)
end)

describe("time", function()
  local SLOW = [[local SLOW = "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) as n from c where n < 0"
]]

  it("of what waits in the queue is limited", function()
    assert.equal("2 busy", run [[
      local short = sqlite.open(":memory:", { queue = 1 })
      local results = {}
      for i = 1, 4 do sse.spawn(function() results[i] = select(3, short:query "select 1") or "ok" end) end
      for _ = 1, 5 do sse.sleep(0) end
      local ok, other = 0, nil
      for i = 1, 4 do if results[i] == "ok" then ok = ok + 1 else other = results[i] end end
      return ok .. " " .. other]])
  end)

  it("is no matter to who has left", function()
    serve(SLOW .. [[
local db = sqlite.open ":memory:"
app:get("/wait", function() db:transaction(function() sse.sleep(100) end) return "x" end)
app:get("/", function() return tostring(#db:query "select 1") end)]])
    local first = server:get "/wait"
    local second = server:get "/"
    second.client:reset()
    first.client:reset()
    server:turn()
    assert.equal("1", (server:get "/":body()))
  end)
end)

describe("without memory", function()
  it("fails cleanly, wherever it runs out", function()
    serve [[
local function work()
  local db <close> = sqlite.open(":memory:", { migrations = { "create table t(id integer primary key, name text)" } })
  db:transaction(function() assert(db:exec("insert into t(name) values (:name)", { name = ("x"):rep(100) })) end)
  for row in db:rows("select * from t where name like ?", "x%") do assert(row.name) end
  return tostring(#assert(db:query "select * from t"))
end
app:get("/", function() local ok, said = pcall(work) return ok and said or "failed" end)]]
    for after = 0, 400 do
      server.core:fail_allocation(after, 2)
      local res = server:get "/"
      server:turn()
      local left = server.core:fail_allocation(0, 0)
      if left > 0 then
        assert.equal("1", (res:body()))
        return
      end
    end
    error "it never came to the end"
  end)
end)

describe("sqlite.open", function()
  for name, case in pairs {
    ["no path"] = { "sqlite.open()", "sqlite.open: expected a string, got nil" },
    ["an empty path"] = { "sqlite.open ''", "sqlite.open: expected a path or ':memory:', got \"\"" },
    ["an unknown option"] = { "sqlite.open(':memory:', { migration = {} })", "sqlite.open: unknown option 'migration'; did you mean 'migrations'?" },
    ["a journal"] = { "sqlite.open(':memory:', { journal = 'x' })", 'sqlite.open: journal: expected a mode such as "wal" or "delete", got x' },
    ["a number"] = { "sqlite.open(':memory:', { queue = 0 })", "sqlite.open: queue: expected a number of 1 or more, got 0" },
    ["migrations"] = { "sqlite.open(':memory:', { migrations = { [2] = 'x' } })", "sqlite.open: migrations: expected a list of strings, got none" },
    ["a time"] = { "sqlite.open(':memory:', { timeout = 0 })", "sqlite.open: timeout: expected more than 0 seconds, got 0" },
    ["a blob"] = { "sqlite.blob(1)", "sqlite.blob: expected a string, got number" },
  } do
    it("raises " .. name, function() assert.equal(case[2], (error_of(case[1]))) end)
  end
end)
