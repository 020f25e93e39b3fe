---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: SQLite, PostgreSQL and Redis. types.lua says how they are used.

---@alias spate.SqliteFailure
---|"busy"|"closed"|"constraint"|"corrupt"|"full"|"io"|"memory"|"mismatch"|"newer"|"readonly"|"rolled back"|"sql"|"timeout"|"too large"
---|"unavailable"

---Durations are seconds.
---@class spate.SqliteOptions
---@field migrations? string[] statements that the file has had as many of as its user_version says
---@field journal? "wal"|"delete"|"truncate"|"persist"|"memory"|"off" the file's own unless given
---@field read_only? boolean
---@field timeout? number of a call, 30
---@field busy? number for another process that has it locked, 5
---@field queue? integer calls that wait, 1000
---@field max_rows? integer of a result, 10000
---@field max_bytes? integer of a result and of a value, 8 MiB
---@field statements? integer that are kept prepared, 64

---@class spate.sqlite
local sqlite = {}

---A database in a file, or ":memory:". Nothing is opened before the first call.
---@param path string
---@param options? spate.SqliteOptions
---@return spate.SqliteDatabase
function sqlite.open(path, options) end

---Bytes as a parameter that is a blob; strings are text.
---@param bytes string
---@return userdata
function sqlite.blob(bytes) end

---@class spate.SqliteDatabase
local SqliteDatabase = {}

---The rows of a statement, as tables.
---@param sql string one statement
---@param ... any parameters by position, or a table of them by name
---@return table<string, any>[]? rows
---@return string? message
---@return spate.SqliteFailure? code
function SqliteDatabase:query(sql, ...) end

---Runs a statement: how many rows have changed, and the last row id.
---@param sql string one statement; without parameters several
---@param ... any parameters by position, or a table of them by name
---@return integer? changed
---@return any rowid of the last row inserted; the message
---@return spate.SqliteFailure? code
function SqliteDatabase:exec(sql, ...) end

---The rows one after another. A failure raises where they are read.
---@param sql string
---@param ... any
---@return spate.Stream
function SqliteDatabase:rows(sql, ...) end

---What the function returned, true where that is nothing.
---@generic T
---@param fn fun(db: spate.SqliteDatabase): T?, any, any
---@return T|true|nil
---@return string? message
---@return spate.SqliteFailure? code
function SqliteDatabase:transaction(fn) end

---Closes the file.
function SqliteDatabase:close() end

---@alias spate.PostgresFailure
---|"busy"|"closed"|"conflict"|"constraint"|"forbidden"|"full"|"readonly"|"rolled back"|"sql"|"timeout"|"too large"|"unavailable"|"unknown"

---Durations are seconds.
---@class spate.PostgresOptions
---@field parameters? table<string, string|number> of the connection, as libpq names them
---@field connections? integer of a worker, 10
---@field wait? number for a free one, 5
---@field queue? integer tasks that wait for one, 1000
---@field timeout? number of a statement, 30
---@field connect? number until there is a connection, 10
---@field idle? number until one that nobody has is closed, 60
---@field prepare? boolean whether statements are kept prepared, true
---@field max_rows? integer of pg:query, 10000
---@field max_bytes? integer of pg:query, 8 MiB

---@class spate.postgres
local postgres = {}

---A pool of connections. Nothing is connected to before the first call.
---@param server? string a URI, or "host=... dbname=..."
---@param options? spate.PostgresOptions
---@return spate.Postgres
function postgres.open(server, options) end

---A value as a parameter that is JSON.
---@param value any
---@return spate.PostgresValue
function postgres.json(value) end

---A list as a parameter that is an array; json.null is NULL in it.
---@param list any[]
---@return spate.PostgresValue
function postgres.array(list) end

---Bytes as a parameter that is bytea.
---@param bytes string
---@return spate.PostgresValue
function postgres.bytea(bytes) end

---@alias spate.PostgresValue table what postgres.json, postgres.array and postgres.bytea return

---@class spate.Postgres
local Postgres = {}

---The rows, and how many were changed.
---@param sql string
---@param ... string|number|boolean|spate.PostgresValue|nil
---@return table<string, any>[]? rows
---@return any changed or the message
---@return spate.PostgresFailure? code
---@return string? sqlstate
function Postgres:query(sql, ...) end

---The rows one after another. A failure raises where they are read.
---@param sql string
---@param ... string|number|boolean|spate.PostgresValue|nil
---@return spate.Stream
function Postgres:rows(sql, ...) end

---What the function returned, true where that is nothing.
---@generic T
---@param fn fun(pg: spate.Postgres): T?, any, any
---@param options? { isolation?: "read committed"|"repeatable read"|"serializable", read_only?: boolean }
---@return T|true|nil
---@return string? message
---@return spate.PostgresFailure? code
---@return string? sqlstate
function Postgres:transaction(fn, options) end

---What is notified, as events; { event = "reset" } at the beginning, and where some may have been missed.
---@param channel string
---@return spate.Stream
function Postgres:listen(channel) end

---Closes its connections.
function Postgres:close() end

---What fails: "unavailable" nothing was sent; "unknown" it may have been done; else what the server says.
---@alias spate.RedisFailure "unavailable"|"unknown"|"closed"|"busy"|spate.RedisError
---@alias spate.RedisError "loading"|"readonly"|"moved"|"ask"|"noscript"|"oom"|"noreplicas"|"misconf"|spate.RedisRefusal|"wrongtype"|"error"
---@alias spate.RedisRefusal "noauth"|"wrongpass"|"noperm"

---@class spate.RedisOptions
---@field timeout? number seconds to the answer, 10
---@field connect? number seconds for a connection, 5
---@field wait? number seconds that a command waits for a connection, 2
---@field queue? integer commands that are not answered, 10000
---@field queue_bytes? integer of them, 64 MiB
---@field blocking? integer commands that block at a time, 100
---@field ca? string a file of certificates that are trusted, of TLS
---@field cert? string a file of one's own certificate
---@field key? string a file of its key
---@field verify? boolean false: whatever certificate the server has

---@class spate.redis
local redis = {}

---A Redis server. Nothing is connected before the first call.
---@param url string
---@param options? spate.RedisOptions
---@return spate.Redis
function redis.open(url, options) end

---@class spate.Redis
local Redis = {}

---A value, nil where there is none. A command that blocks has a connection of its own.
---@param name string such as "GET"
---@param ... string|number
---@return any value
---@return string? message
---@return spate.RedisFailure? code
function Redis:command(name, ...) end

---Some commands at once: a list of values, in which nil is false and an error { err =, code = }.
---@param commands (string|number)[][]
---@return any[]? values
---@return string? message
---@return spate.RedisFailure? code
function Redis:pipeline(commands) end

---The same in one step, between MULTI and EXEC.
---@param commands (string|number)[][]
---@return any[]? values
---@return string? message
---@return spate.RedisFailure? code
function Redis:transaction(commands) end

---A stream of what is published on channels; "reset" where some may have been lost.
---@param ... string names
---@return spate.Stream? stream
---@return string? message
---@return spate.RedisFailure? code
function Redis:subscribe(...) end

---The same by patterns, such as "news.*".
---@param ... string
---@return spate.Stream? stream
---@return string? message
---@return spate.RedisFailure? code
function Redis:psubscribe(...) end

---The same of a cluster's channels that belong to a slot.
---@param ... string
---@return spate.Stream? stream
---@return string? message
---@return spate.RedisFailure? code
function Redis:ssubscribe(...) end

---The entries of a stream of Redis's behind the id `from`; "0": all; nil: from now on.
---@param key string
---@param from? string such as req.last_event_id
---@return spate.Stream
function Redis:xread(key, from) end

---Closes its connections; who waits is told "closed".
function Redis:close() end
