-- SPDX-License-Identifier: MIT
-- require "spate.postgres": a PostgreSQL server, asked without holding up whoever else the worker serves. What the server
-- refuses, and that it is not there, is returned: nil, a message, a word, and the SQLSTATE where it has said one.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local listen = require "spate.postgres_listen"
local sse = require "spate.sse"
local values = require "spate.postgres_values"

local postgres = { json = values.json, array = values.array, bytea = values.bytea }

local OPTIONS = { "parameters", "connections", "queue", "wait", "timeout", "connect", "idle", "prepare", "max_rows", "max_bytes" }
local PAGE_ROWS, PAGE_BYTES = 100, 64 * 1024

local Postgres = { __name = "postgres" }
Postgres.__index = Postgres

local function at_least(options, name, default)
  local value = options[name]
  if value == nil then return default end
  if math.type(value) ~= "integer" or value < 1 then
    core.raise(("postgres.open: %s: expected a number of 1 or more, got %s"):format(name, check.shown(value)))
  end
  return value
end

local function seconds(options, name, default)
  return options[name] == nil and default or check.seconds(options[name], "postgres.open: " .. name)
end

-- { password = "x" } as { "password", "x" }.
local function texts_of(parameters)
  local texts = {}
  if type(parameters or {}) ~= "table" then core.raise("postgres.open: parameters: expected a table, got " .. type(parameters)) end
  for name, value in pairs(parameters or {}) do
    if type(name) ~= "string" or type(value) ~= "string" and type(value) ~= "number" then
      core.raise(("postgres.open: parameters.%s: expected a string, got %s"):format(tostring(name), type(value)))
    end
    texts[#texts + 1] = name
    texts[#texts + 1] = tostring(value)
  end
  return texts
end

-- A pool of connections to the server that a URI, or "host=... dbname=...", names. Nothing is connected to before the first
-- call.
function postgres.open(server, options)
  if server ~= nil then check.text(server, "postgres.open") end
  options = check.options(options or {}, "postgres.open", OPTIONS)
  if options.prepare ~= nil and type(options.prepare) ~= "boolean" then
    core.raise("postgres.open: prepare: expected true or false, got " .. type(options.prepare))
  end
  local open = core.ask_spec and require("spate.postgres_stub") or core.postgres_open
  local handle, message = open(server, texts_of(options.parameters), options.prepare ~= false, seconds(options, "connect", 10),
    at_least(options, "connections", 10), at_least(options, "queue", 1000), seconds(options, "idle", 60))
  if not handle then core.raise("postgres.open: " .. message) end
  return setmetatable({
    handle = handle, wait = seconds(options, "wait", 5), timeout = seconds(options, "timeout", 30), max_rows = at_least(options, "max_rows", 10000),
    max_bytes = at_least(options, "max_bytes", 8 * 1024 * 1024), transactions = {}, -- links by their task
  }, Postgres)
end

local function check_self(self, name)
  if getmetatable(self) ~= Postgres then core.raise(("pg:%s: write it with a colon"):format(name)) end
end

local function mine(self)
  local id = core.task_id()
  return id and self.transactions[id]
end

local function take(self, what)
  return self.handle:take(what, core.now() + self.wait)
end

-- In a transaction the rest of the rows has to come before anything else can.
local function skip(self, what, link)
  local deadline, has_more = core.now() + self.timeout, true
  while has_more do
    local rows, more = link:more(what, deadline)
    has_more = rows and more
  end
end

local function ask(self, what, link, is_transaction, sql, parameters)
  local rows, more, count, types = link:ask(what, core.now() + self.timeout, self.max_rows + 1, self.max_bytes, false, sql,
    table.unpack(parameters, 1, parameters.n))
  if not rows then return nil, more, count, types end
  if not more and #rows <= self.max_rows then return values.read(rows, types), count end
  if more and is_transaction then skip(self, what, link) end
  return nil, ("%s: more than %d rows (max_rows) or %d bytes (max_bytes); pg:rows has them one by one"):format(what, self.max_rows,
    self.max_bytes), "too large"
end

local function query_in(self, sql, parameters)
  local what, link = "pg:query", mine(self)
  if link then return ask(self, what, link, true, sql, parameters) end
  local message, code
  local _ <close> = at_end(function() -- which is there before the connection is
    if link then link:release() end
  end)
  link, message, code = take(self, what)
  if not link then return nil, message, code end
  return ask(self, what, link, false, sql, parameters)
end

-- The rows as a list of tables, { column = value }, and how many the statement has changed.
function Postgres:query(sql, ...)
  check_self(self, "query")
  check.statement(sql, "pg:query")
  return query_in(self, sql, self.handle.is_stub and values.plain(...) or values.parameters("pg:query", ...))
end

-- A stream of the rows, which are read as they are taken; it has a connection for itself meanwhile. A failure raises where
-- they are read.
function Postgres:rows(sql, ...)
  check_self(self, "rows")
  check.statement(sql, "pg:rows")
  local parameters = self.handle.is_stub and values.plain(...) or values.parameters("pg:rows", ...)
  local link, own, page, at, has_more = nil, false, {}, 0, true
  local types

  local function first_page()
    link = mine(self)
    own = not link
    if own then
      local message
      link, message = take(self, "pg:rows")
      if not link then return nil, message end
    end
    local rows, more, _, kinds = link:ask("pg:rows", core.now() + self.timeout, PAGE_ROWS, PAGE_BYTES, false, sql,
      table.unpack(parameters, 1, parameters.n))
    if rows then types = kinds end
    return rows, more
  end

  local function next_row()
    while at == #page do
      if not has_more then return nil end
      local rows, more
      if link then rows, more = link:more("pg:rows", core.now() + self.timeout)
      else rows, more = first_page() end
      if not rows then
        if own and link then link:release() end
        error(more, 0)
      end
      page, at, has_more = values.read(rows, types), 0, more
    end
    at = at + 1
    return page[at]
  end

  local stream = sse.from(function()
    local row = next_row()
    if row == nil and own and link then link:release() end
    return row
  end)
  stream.where = core.where()
  stream._close = function()
    if own and link then link:release() end
  end
  return stream
end

local TRANSACTION = { "isolation", "read_only" }
local ISOLATION = { ["read committed"] = true, ["repeatable read"] = true, serializable = true }

local function begin_of(options)
  options = check.options(options or {}, "pg:transaction", TRANSACTION)
  local isolation = options.isolation
  if isolation ~= nil and not ISOLATION[isolation] then
    core.raise(('pg:transaction: isolation: expected "read committed", "repeatable read" or "serializable", got %s'):format(tostring(isolation)))
  end
  return "begin" .. (isolation and " isolation level " .. isolation or "") .. (options.read_only and " read only" or "")
end

local function plain(self, link, sql)
  local rows, message, code, state, tag = link:ask("pg:transaction", core.now() + self.timeout, 1, 1024, true, sql)
  if not rows then return nil, message, code, state end
  return tag
end

-- statement_completion_unknown, transaction_resolution_unknown, query_canceled: it waited for a standby
local OF_COMMIT_UNKNOWN = { ["40003"] = true, ["08007"] = true, ["57014"] = true }

local function commit(self, link, ...)
  local tag, message, code, state = plain(self, link, "commit")
  if not tag and (code == "unavailable" or code == "timeout" or OF_COMMIT_UNKNOWN[state]) then
    return nil, message .. "; whether it has committed is not known", "unknown", state
  end
  if not tag then return nil, message, code, state end
  if tag == "ROLLBACK" then return nil, "pg:transaction: it was rolled back, since a statement in it had failed", "rolled back" end
  if select("#", ...) == 0 then return true end
  return ...
end

local function run(self, begin, fn)
  local id = core.task_id()
  local link, message, code
  local _ <close> = at_end(function()
    self.transactions[id] = nil
    if link then link:release() end
  end)
  link, message, code = take(self, "pg:transaction")
  if not link then return nil, message, code end
  local tag, why, word, state = plain(self, link, begin)
  if not tag then return nil, why, word, state end
  self.transactions[id] = link
  return commit(self, link, fn(self))
end

-- Calls fn(pg) in a transaction, and commits: what it has returned, true where that is nothing. What its task asks of pg
-- meanwhile is in it. Where it raises, or its task is cancelled, all is rolled back.
function Postgres:transaction(fn, options)
  check_self(self, "transaction")
  check.callable(fn, "pg:transaction")
  local begin = begin_of(options)
  if mine(self) then core.raise "pg:transaction: the task is in a transaction of this pool already" end
  return run(self, begin, fn)
end

-- A stream of what is notified on a channel, as events: { event = channel, data = payload }; { event = "reset" } where
-- others may have been missed: at its beginning, and whenever the connection has come back.
function Postgres:listen(channel)
  check_self(self, "listen")
  check.text(channel, "pg:listen")
  if channel == "" or #channel > 63 or channel:find("\0", 1, true) or channel == "reset" then
    core.raise(("pg:listen: expected a channel's name of 1 to 63 bytes, not 'reset', got %q"):format(channel))
  end
  local stream = listen.stream(self, channel)
  stream.where = core.where()
  stream.again = function() return self:listen(channel) end
  return stream
end

-- Closes all connections; calls that wait fail, "closed".
function Postgres:close()
  self.is_closed = true
  self.handle:close()
end

Postgres.__close = Postgres.close

core.public(postgres, "open", "json", "array", "bytea")
core.public(Postgres, "query", "rows", "transaction", "listen")

return postgres
