-- SPDX-License-Identifier: MIT
-- spate.sqlite, in WAL mode, acknowledged what it wrote into a file that had been removed, or had lost its name to another.
local helper = require "spec.helper"
local sqlite_files = require "spec.sqlite_files"

describe("a script's SQLite file", function()
  local folder, path, server

  before_each(function()
    folder = sqlite_files.folder()
    path = folder .. "/x.db"
  end)
  after_each(function()
    server:close()
    sqlite_files.remove(folder)
  end)

  local function serve(options)
    server = helper.serve(([[
local sqlite = require "spate.sqlite"
local db = sqlite.open(%q, %s)
local function tell(a, b, c) if a == nil then return ("nil|%%s|%%s"):format(b, c) end return json.encode(a) end
app:post("/exec", function(req) return tell(db:exec(req:body())) end)
local second = sqlite.open(%q)
app:post("/second", function(req) return tell(second:exec(req:body())) end)
app:post("/query", function(req) return tell(db:query(req:body())) end)
app:post("/transaction", function(req) return tell(db:transaction(function() return db:exec(req:body()) end)) end)]]):format(path, options, path))
  end

  local WRITES = '{ journal = "wal", migrations = { "create table t(x)" } }'

  local function shell(command) assert(os.execute(command)) end

  local function call(how, sql)
    local res = server:post("/" .. how, { body = sql })
    server:turn()
    return (res:body())
  end

  local function rows(file)
    local f <close> = assert(io.popen(("sqlite3 %s 'pragma integrity_check; select x from t'"):format(file)))
    return (f:read "a":gsub("\n", " "))
  end

  it("that was removed is told of once, and made anew", function()
    serve(WRITES)
    assert.equal("1", call("exec", "insert into t values (1)"))
    shell("rm " .. path)
    assert.equal("nil|db:exec: the file was replaced or removed|replaced", call("exec", "insert into t values (2)"))
    assert.equal("1", call("exec", "insert into t values (3)"))
    assert.equal('[{"x":3}]', call("query", "select * from t"))
  end)

  it("that was replaced is told of once, and the other is not harmed by the log of the first", function()
    serve(WRITES)
    call("exec", "insert into t values (1)")
    shell(("sqlite3 %s.other 'pragma user_version = 1; create table t(x); insert into t values (42)'"):format(path))
    shell(("mv %s.other %s"):format(path, path))
    assert.match("^nil|.*: the file was replaced or removed|replaced$", call("transaction", "insert into t values (2)"))
    assert.equal("1", call("transaction", "insert into t values (3)"))
    assert.equal("ok 42 3 ", rows(path))
  end)

  it("that was replaced under two connections is told of to each, also where it is named by a link", function()
    shell(("ln -s x.db %s/link.db"):format(folder))
    local target = path
    path = folder .. "/link.db"
    serve(WRITES)
    call("exec", "insert into t values (1)")
    call("second", "insert into t values (2)")
    shell(("sqlite3 %s.other 'pragma user_version = 1; create table t(x); insert into t values (42)'"):format(target))
    shell(("mv %s.other %s"):format(target, target))
    assert.equal("nil|db:exec: the file was replaced or removed|replaced", call("exec", "insert into t values (3)"))
    assert.equal("1", call("exec", "insert into t values (4)"))
    assert.equal("nil|db:exec: the file was replaced or removed|replaced", call("second", "insert into t values (5)"))
    assert.equal("1", call("second", "insert into t values (6)"))
    assert.equal("1", call("exec", "insert into t values (7)"))
    assert.equal("ok 42 4 6 7 ", rows(target))
  end)

  it("that is only read is the one that has the name now", function()
    shell(("sqlite3 %s 'create table t(x); insert into t values (1)'"):format(path))
    serve "{ read_only = true }"
    assert.equal('[{"x":1}]', call("query", "select * from t"))
    shell(("sqlite3 %s.other 'create table t(x); insert into t values (2)'; mv %s.other %s"):format(path, path, path))
    assert.equal('[{"x":2}]', call("query", "select * from t"))
  end)
end)
