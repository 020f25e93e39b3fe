-- SPDX-License-Identifier: MIT
-- require "spate.sqlite": SQLite files, without holding up whoever else the worker serves. What the file or the disk does
-- wrong, and what a statement is refused for, is returned: nil, a message, and a word for it. Relative paths lie beside the
-- application's script.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local sse = require "spate.sse"

local sqlite = { blob = function(bytes) return core.sqlite_blob(check.text(bytes, "sqlite.blob")) end }

local OPTIONS = { "migrations", "read_only", "journal", "timeout", "busy", "queue", "max_rows", "max_bytes", "statements" }
local JOURNALS = { wal = true, delete = true, truncate = true, persist = true, memory = true, off = true }

local Database = { __name = "database" }
Database.__index = Database

local function check_path(path)
  check.text(path, "sqlite.open")
  if path == "" or path:find("\0", 1, true) then core.raise(("sqlite.open: expected a path or ':memory:', got %q"):format(path)) end
  return (path == ":memory:" or path:sub(1, 1) == "/") and path or core.folder .. path
end

local function at_least(options, name, least, default)
  local value = options[name]
  if value == nil then return default end
  if math.type(value) ~= "integer" or value < least then
    core.raise(("sqlite.open: %s: expected a number of %d or more, got %s"):format(name, least, check.shown(value)))
  end
  return value
end

local function seconds(options, name, default)
  return options[name] == nil and default or check.seconds(options[name], "sqlite.open: " .. name)
end

local function check_journal(journal)
  if journal ~= nil and not JOURNALS[journal] then
    core.raise(('sqlite.open: journal: expected a mode such as "wal" or "delete", got %s'):format(tostring(journal)))
  end
  return journal
end

local function check_migrations(list)
  if list == nil then return nil end
  check.strings(list, "sqlite.open: migrations")
  for key in pairs(list) do
    if math.type(key) ~= "integer" or not list[key] or key > #list then core.raise("sqlite.open: migrations: expected a list without gaps") end
  end
  return list
end

-- A database. Nothing is opened before the first call, which may fail for that.
function sqlite.open(path, options)
  options = check.options(options or {}, "sqlite.open", OPTIONS)
  local config = {
    path = check_path(path), migrations = check_migrations(options.migrations), read_only = options.read_only == true,
    journal = check_journal(options.journal), timeout = seconds(options, "timeout", 30), busy = seconds(options, "busy", 5),
    queue = at_least(options, "queue", 1, 1000), max_rows = at_least(options, "max_rows", 1, 10000),
    max_bytes = at_least(options, "max_bytes", 1024, 8 * 1024 * 1024), statements = at_least(options, "statements", 0, 64),
  }
  return setmetatable({ handle = core.sqlite_open(config) }, Database)
end

local function check_self(self, name)
  if getmetatable(self) ~= Database then core.raise(("db:%s: write it with a colon"):format(name)) end
end

-- The rows as a list of tables, { column = value }.
function Database:query(sql, ...)
  check_self(self, "query")
  return self.handle:ask("db:query", "query", nil, check.statement(sql, "db:query"), ...)
end

-- How many rows have changed, and the rowid of the last one inserted. Without parameters the text may be of several
-- statements.
function Database:exec(sql, ...)
  check_self(self, "exec")
  return self.handle:ask("db:exec", "exec", nil, check.statement(sql, "db:exec"), ...)
end

-- A stream of the rows, which are read as they are taken. A failure raises where they are read.
function Database:rows(sql, ...)
  check_self(self, "rows")
  check.statement(sql, "db:rows")
  local handle, rows, parameters = self.handle, self.handle:rows(), table.pack(...)
  local page, at, has_more = {}, 0, true
  local function next_row()
    while at == #page do
      if not has_more then return nil end
      local found, more = handle:ask("db:rows", "rows", rows, sql, table.unpack(parameters, 1, parameters.n))
      if not found then error(more, 0) end
      page, at, has_more = found, 0, more
    end
    at = at + 1
    return page[at]
  end
  local stream = sse.from(next_row)
  stream._close, stream.where = function() rows:close() end, core.where()
  return stream
end

local function commit(self, ...)
  local ok, message, code = self.handle:ask("db:transaction", "commit")
  if not ok then return nil, message, code end
  if select("#", ...) == 0 then return true end
  return ...
end

local function run(self, fn)
  local _ <close> = at_end(function() self.handle:abandon() end)
  return commit(self, fn(self))
end

-- Calls fn(db) in a transaction, and commits: what it has returned, true where that is nothing. Where it raises, or its
-- task is cancelled, all is rolled back. The statements of other tasks wait meanwhile.
function Database:transaction(fn)
  check_self(self, "transaction")
  check.callable(fn, "db:transaction")
  local ok, message, code = self.handle:ask("db:transaction", "begin")
  if not ok then return nil, message, code end
  return run(self, fn)
end

-- Closes the file; calls that wait fail, "closed".
function Database:close() self.handle:close() end

Database.__close = Database.close

core.public(sqlite, "open", "blob")
core.public(Database, "query", "exec", "rows", "transaction")

return sqlite
