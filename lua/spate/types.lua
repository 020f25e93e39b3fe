---@meta
-- SPDX-License-Identifier: MIT
-- The API for editors that know LuaCATS, such as the Lua language server: `spate types --luarc`. Not loaded at run time.
-- Durations are seconds, sizes bytes.

---@class spate
---@field version string
---@field worker integer this worker's number, from 0
---@field reply spate.reply
---@field log spate.log
---@field crypto spate.crypto
---@field http spate.http
---@field process spate.process
---@field fs spate.fs
---@field sqlite spate.sqlite
---@field postgres spate.postgres
---@field redis spate.redis
local spate = {}

---A new application.
---@return spate.App
function spate.app() end

---Ends the request with a status and a text, from however deep.
---@param status integer
---@param text? string|number
function spate.abort(status, text) end

---The environment variable, else `default`.
---@param name string
---@param default? any
---@return any
function spate.env(name, default) end

---Text for HTML, also inside attributes.
---@param text any
---@return string
function spate.escape(text) end

---A random UUID, version 4.
---@return string
function spate.uuid() end

---What the server serves now and has served, all workers together: the names and numbers of `spate status`.
---@return table<string, integer>
function spate.stats() end

---A dictionary that all workers share.
---@param name string
---@param options? { store?: boolean } kept in the file of the setting `store`
---@return spate.Shared
function spate.shared(name, options) end

---Middleware: any other Host is answered with 421.
---@param list string[]|string "a.example", ".a.example" for all below it
---@return spate.middleware
function spate.allow_hosts(list) end

---Middleware: requests that change something pass from these origins only, else 403.
---@param list string[]|string
---@return spate.middleware
function spate.allow_origins(list) end

---@class spate.CorsOptions
---@field origins string[]|"*"|fun(origin: string, req: spate.Request): boolean
---@field methods? string[]
---@field headers? string[]
---@field expose? string[]
---@field credentials? boolean
---@field max_age? integer
---@field private_network? boolean

---Middleware: which pages of other origins may read the answers.
---@param options spate.CorsOptions
---@return spate.middleware
function spate.cors(options) end

---@class spate.RateLimitOptions
---@field rate number requests ...
---@field per? number ... in so many seconds
---@field burst? integer
---@field key? fun(req: spate.Request): ...
---@field status? integer
---@field store? string limits with the same store count together

---Middleware: so many requests in a time, else 429.
---@param options spate.RateLimitOptions
---@return spate.middleware
function spate.rate_limit(options) end

---@class spate.BasicAuthOptions
---@field hashes? table<string, string> of `crypto.password.hash`, by name; or
---@field users? table<string, string> the passwords; or
---@field check? fun(user: string, password: string, req: spate.Request): boolean?
---@field realm? string

---Middleware: user and password; the user is in `req.ctx.user`.
---@param options spate.BasicAuthOptions
---@return spate.middleware
function spate.basic_auth(options) end

---@class spate.SessionOptions
---@field secret string|string[] 32 bytes or more; the first signs, all verify
---@field cookie? string
---@field max_age? integer
---@field same_site? "Lax"|"Strict"|"None"
---@field secure? boolean
---@field http_only? boolean
---@field path? string
---@field domain? string

---Middleware: `req.session` is a table in a signed cookie.
---@param options spate.SessionOptions
---@return spate.middleware
function spate.session(options) end

---@class spate.JwtOptions
---@field key? string
---@field keys? table<string, string|table>
---@field alg? string
---@field issuer? string|string[]
---@field audience? string|string[]
---@field leeway? number
---@field cookie? string
---@field query? string
---@field require_exp? boolean
---@field realm? string
---@field typ? string|string[] what a token must say it is, as "at+jwt"; else "JWT" or nothing

---Middleware: bearer tokens; the claims are in `req.ctx.claims`.
---@param options spate.JwtOptions
---@return spate.middleware
function spate.jwt(options) end

---@param text string
---@param secret string|string[]
---@return string
function spate.sign(text, secret) end

---The text; nil where it was not signed so.
---@param signed string
---@param secret string|string[]
---@return string?
function spate.verify(signed, secret) end

---Compares in a time that does not tell where they differ.
---@param a string
---@param b string
---@return boolean
function spate.equal(a, b) end

---Runs a function of a module that blocks, in a state of its own on another thread; waits. Arguments and results are
---copied; what it raises is raised.
---@param module string
---@param name string
---@param ... any
---@return any ... what it returned; nil, a message and "busy"
function spate.offload(module, name, ...) end

---What the outside world does wrong with files.
---@alias spate.FileFailure "missing"|"forbidden"|"directory"|"not a file"|"too large"|"name"|"full"|"busy"|"offset"|"failed"

---@class spate.FileEntry
---@field name string
---@field type "file"|"directory"|"link"|"other"

---@class spate.TailLine
---@field text string without its line break
---@field offset integer where the next line begins
---@field part? true more of this line follows

---@class spate.FileChange
---@field what "created"|"changed"|"removed"|"unknown" unknown: word was lost, and anything may have changed
---@field path string
---@field name? string in the folder that is watched

---@class spate.fs
local fs = {}

---A file's bytes.
---@param path string
---@param max? integer bytes; limits.file unless given
---@return string? bytes
---@return string? message
---@return spate.FileFailure? code
function fs.read(path, max) end

---Replaces a file as a whole, or makes it.
---@param path string
---@param data string
---@return true? ok
---@return string? message
---@return spate.FileFailure? code
function fs.write(path, data) end

---What a folder has, by name.
---@param path string
---@return spate.FileEntry[]? entries
---@return string? message
---@return spate.FileFailure? code
function fs.list(path) end

---The lines of a file that grows, as a stream of `spate.TailLine`.
---@param path string
---@param options? { from?: integer|string, wait?: boolean } from: an offset, or minus a number of lines; wait: it may not be there yet
---@return spate.Stream? lines
---@return string? message
---@return spate.FileFailure? code
function fs.tail(path, options) end

---What happens to a file, or to those in a folder, as a stream of `spate.FileChange`.
---@param path string
---@return spate.Stream? changes
---@return string? message
---@return spate.FileFailure? code
function fs.watch(path) end

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

---@param sql string one statement
---@param ... any parameters by position, or a table of them by name
---@return table<string, any>[]? rows
---@return string? message
---@return spate.SqliteFailure? code
function SqliteDatabase:query(sql, ...) end

---@param sql string one statement; without parameters several
---@param ... any parameters by position, or a table of them by name
---@return integer? changed
---@return integer|string rowid of the last row inserted; the message
---@return spate.SqliteFailure? code
function SqliteDatabase:exec(sql, ...) end

---The rows one after another. A failure raises where they are read.
---@param sql string
---@param ... any
---@return spate.Stream
function SqliteDatabase:rows(sql, ...) end

---What the function returned, true where that is nothing.
---@generic T
---@param fn fun(db: spate.SqliteDatabase): T?
---@return T|true|nil
---@return string? message
---@return spate.SqliteFailure? code
function SqliteDatabase:transaction(fn) end

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
---@return integer|string changed or the message
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
---@param fn fun(pg: spate.Postgres): T?
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


---@class spate.crypto
local crypto = {}

---@alias spate.HashName "md5"|"sha1"|"sha224"|"sha256"|"sha384"|"sha512"|"sha3-256"|"sha3-512"|"blake2s256"|"blake2b512"
---@alias spate.BytesForm "hex"|"raw"|"base64"|"base64url"

---@param name spate.HashName
---@param text string
---@param form? spate.BytesForm hex unless given
---@return string
function crypto.hash(name, text, form) end

---@param name spate.HashName
---@param key string
---@param text string
---@param form? spate.BytesForm hex unless given
---@return string
function crypto.hmac(name, key, text, form) end

---Bytes that nobody can guess.
---@param n integer
---@return string
function crypto.random(n) end

---@param bytes string
---@param options? { url?: boolean, pad?: boolean } padded unless for URLs
---@return string
function crypto.base64(bytes, options) end

---@param text string
---@param options? { url?: boolean, pad?: boolean }
---@return string? bytes
---@return string? message
function crypto.base64_decode(text, options) end

---@param bytes string
---@return string
function crypto.hex(bytes) end

---@param text string
---@return string? bytes
---@return string? message
function crypto.hex_decode(text) end

---Compares in a time that does not tell where they differ.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---@class spate.crypto.password
crypto.password = {}

---Waits while a thread hashes.
---@param password string
---@param options? { cost?: integer }
---@return string? hash
---@return string? message
---@return "busy"|"refused"|nil code
function crypto.password.hash(password, options) end

---Waits while a thread compares. Without a hash, false after the same time.
---@param password string
---@param hash? string
---@return boolean? ok
---@return string? message
---@return "busy"|"hash"|nil code
function crypto.password.verify(password, hash) end

---@alias spate.answer string|table|spate.Reply
---@alias spate.handler fun(req: spate.Request): spate.answer
---@alias spate.next fun(): spate.Reply
---@alias spate.middleware fun(req: spate.Request, next: spate.next): spate.answer?

---@class spate.App
local App = {}

---@param path string "/rooms/:room", "/users/:id[%d]", "/files/*path"
---@param ... spate.middleware|spate.handler middleware, then the handler
---@return spate.App
function App:get(path, ...) end

---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:head(path, ...) end

---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:post(path, ...) end

---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:put(path, ...) end

---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:patch(path, ...) end

---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:delete(path, ...) end

---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:options(path, ...) end

---Any method by its name: `app:on("PROPFIND", "/files/*path", fn)`
---@param method string
---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:on(method, path, ...) end

---GET, POST, PUT, PATCH, DELETE and OPTIONS, as far as they have no route of their own at this path.
---@param path string
---@param ... spate.middleware|spate.handler
---@return spate.App
function App:all(path, ...) end

---@class spate.ChannelRouteOptions: spate.ChannelOptions
---@field replay? integer|"all" events for who comes without an id
---@field prefix? string of the channels' names, in place of what the path begins with
---@field authorize? fun(req: spate.Request, name: string, action: "subscribe"|"publish"): boolean|spate.Reply

---GET subscribes, POST publishes.
---@param path string
---@param options? spate.ChannelRouteOptions
---@return spate.App
function App:channel(path, options) end

---@class spate.FileOptions
---@field type? string the content type, else by the name
---@field download? boolean|string saved by browsers, under the file's name or this one
---@field cache? number|"immutable"|false seconds; a year; not at all
---@field status? integer 200 unless given
---@field headers? table<string, string|number>

---@class spate.StaticOptions: spate.FileOptions
---@field dotfiles? boolean names that begin with a dot as well

---GET and HEAD of what lies beneath a folder, which is relative to the script's own.
---@param prefix string
---@param dir string
---@param options? spate.StaticOptions
---@return spate.App
function App:static(prefix, dir, options) end

---Routes below a prefix, behind middleware; the last argument is a function of the group.
---@param prefix string
---@param ... spate.middleware|fun(group: spate.App)
---@return spate.App
function App:group(prefix, ...) end

---Another application's routes below a prefix.
---@param prefix string
---@param other spate.App
---@return spate.App
function App:mount(prefix, other) end

---Middleware around every route.
---@param fn spate.middleware
---@return spate.App
function App:use(fn) end

---What it returns, if anything, is the answer.
---@param fn fun(req: spate.Request): spate.answer?
---@return spate.App
function App:before(fn) end

---@param fn fun(req: spate.Request, reply: spate.Reply): spate.Reply?
---@return spate.App
function App:after(fn) end

---@param fn fun(err: any, req: spate.Request): spate.answer
---@return spate.App
function App:on_error(fn) end

---@param fn spate.handler
---@return spate.App
function App:not_found(fn) end

---Runs once, or on each worker, before the code is served. Where it raises, or has not ended after `timeouts.start`, the
---server does not start, and a reload is refused.
---@param fn fun()
---@param options? { each_worker?: boolean }
---@return spate.App
function App:on_start(fn, options) end

---@param fn fun()
---@param options? { each_worker?: boolean }
---@return spate.App
function App:on_stop(fn, options) end

---@class spate.Request
---@field method string
---@field path string
---@field route string? the pattern
---@field host string
---@field scheme string
---@field url string
---@field remote_addr string
---@field id string random
---@field trace_id string from `traceparent`, else the id
---@field last_event_id string? the header, else ?last_event_id= or ?lastEventId=
---@field closed boolean
---@field ctx table yours
---@field session table? where there is spate.session
---@field params table<string, string>
---@field query table<string, string>
---@field headers table<string, string> names in any case
---@field cookies table<string, string>
local Request = {}

---The whole body; nil and "too large" or "closed".
---@param max? integer bytes
---@return string? body
---@return string? err
function Request:body(max) end

---The body as JSON; nil and what is wrong with it.
---@param options? spate.JsonOptions
---@return any value
---@return string? err
function Request:json(options) end

---The pieces of the body as they come; above max bytes the request is answered with 413.
---@param max? number limits.body unless given; math.huge: no limit
---@return fun(): string?
function Request:chunks(max) end

---Fields by name and files by name and as a list; nil, why there is none, and the status to answer: 400, or 507,
---503 or 500 where it could not be stored.
---@return table<string, string>? fields
---@return table<string|integer, spate.File>|string files
---@return integer? status
function Request:form() end

---Every value of a form's field.
---@param name string
---@return string[]? values
---@return string? err
---@return integer? status
function Request:form_all(name) end

---An uploaded file, for as long as the request lasts.
---@class spate.File
---@field name string the field's
---@field filename string what the client called it, without folders
---@field type string what the client said it is
---@field size integer bytes
local File = {}

---@return string? text
---@return string? err
function File:text() end

---@return fun(): string?
function File:chunks() end

---@return fun(): string?
function File:lines() end

---Writes it to a file, whole or not at all.
---@param path string
---@return true? ok
---@return string? err
---@return integer? code
function File:save(path) end

---@param name string
---@return string[]
function Request:query_all(name) end

---@param name string
---@return string[]
function Request:header_all(name) end

---@param type string a media type
---@return boolean
function Request:accepts(type) end

---Ends an event stream cleanly by then; the client comes back.
---@param seconds number
function Request:close_after(seconds) end

---@param fn fun(reason: "finished"|"client_closed"|"error"|"timeout"|"slow_consumer"|"shutdown"|"reload")
function Request:on_close(fn) end

---@class spate.reply
local reply = {}

---@param text string
---@param status? integer
---@return spate.Reply
function reply.text(text, status) end

---@param html string
---@param status? integer
---@return spate.Reply
function reply.html(html, status) end

---@param value any
---@param status? integer
---@return spate.Reply
function reply.json(value, status) end

---@param status integer
---@return spate.Reply
function reply.status(status) end

---@param status integer
---@param text? string
---@return spate.Reply
function reply.error(status, text) end

---@param url string
---@param status? integer 303 unless given
---@return spate.Reply
function reply.redirect(url, status) end

---A body that is written piece by piece.
---@param fn fun(write: fun(bytes: string|number): true?, string?)
---@param options? { status: integer?, type: string?, headers: table<string, string>?, length: integer? }
---@return spate.Reply
function reply.stream(fn, options) end

---Another server's answer as it comes, but for the fields of its connection.
---@param res spate.HttpResponse
---@param options? { headers: table<string, string>? } in the place of its own
---@return spate.Reply
function reply.pass(res, options) end

---@class spate.ProxyOptions
---@field headers? table<string, string|false> in the place of the client's; false: not passed on
---@field timeout? number|spate.HttpTimeout
---@field preserve_host? boolean the client's Host, not that of the URL
---@field max_body? integer bytes of the request's body; limits.body
---@field via? false no Via
---@field tls? spate.HttpTls
---@field unix? string path of a socket to connect to

---What the server at the URL answers to the same request; what the route's `*rest` matches goes behind the URL.
---@param url string
---@param options? spate.ProxyOptions
---@return spate.Reply
function reply.proxy(url, options) end

---A file, by a path relative to the script's folder; 404 where there is none.
---@param path string
---@param options? spate.FileOptions
---@return spate.Reply
function reply.file(path, options) end

---@class spate.Reply
local Reply = {}

---@param status integer
---@return spate.Reply
function Reply:status(status) end

---@param name string
---@param value string|number
---@return spate.Reply
function Reply:header(name, value) end

---@param name string
---@param value string
---@param options? { max_age?: number, path?: string, domain?: string, http_only?: boolean, secure?: boolean, same_site?: "Lax"|"Strict"|"None" }
---@return spate.Reply
function Reply:cookie(name, value, options) end

---@class spate.log
local log = {}

---@param message string
---@param fields? table<string, any>
function log.debug(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.info(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.warn(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.error(message, fields) end

---@class spate.Shared
local Shared = {}

---@alias spate.scalar string|number|boolean
---@alias spate.ttl { ttl?: number }

---@param key string
---@return spate.scalar?
function Shared:get(key) end

---@param key string
---@param value spate.scalar?
---@param options? spate.ttl
---@return true?
---@return string? err "full"
function Shared:set(key, value, options) end

---True where the key was not there.
---@param key string
---@param value spate.scalar
---@param options? spate.ttl
---@return boolean?
---@return string? err
function Shared:add(key, value, options) end

---@param key string
---@param by? number
---@param options? spate.ttl
---@return number?
---@return string? err
function Shared:incr(key, by, options) end

---Sets `new` where the value is `old`.
---@param key string
---@param old spate.scalar?
---@param new spate.scalar?
---@param options? spate.ttl
---@return boolean?
---@return string? err
function Shared:cas(key, old, new, options) end

---@param key string
---@return boolean
function Shared:delete(key) end

---@param prefix? string
---@return string[]
function Shared:keys(prefix) end

---@return integer
function Shared:count() end

---@return integer
function Shared:bytes() end

---@class spate.json
---@field null any
local json = {}

---@param value any
---@return string
function json.encode(value) end

---@class spate.JsonOptions
---@field null? any `json.null`: members that are null are kept as this; else they are left out

---@param text string
---@param options? spate.JsonOptions
---@return any value
---@return string? err
function json.decode(text, options) end

---@param list? table
---@return table
function json.array(list) end

---@param map? table
---@return table
function json.object(map) end

---@class spate.fields
---@field event? string
---@field id? string|number
---@field data? string|number
---@field json? any
---@field retry? number seconds
---@field comment? string

---@alias spate.event string|number|spate.fields|spate.Event
---@alias spate.send fun(event: spate.event): true?, string?

---@class spate.sse
local sse = {}

---@param name? string
---@return spate.Event
function sse.event(name) end

---Waits until the descriptor is ready, at most so long: for what of it; nil and "timeout".
---@param object integer|file*|table|userdata a descriptor, or what has getfd(), pollfd() or fileno()
---@param events "r"|"w"|"rw"
---@param timeout? number
---@return "r"|"w"|"rw"|nil ready
---@return "timeout"?
function sse.wait_fd(object, events, timeout) end

---Seconds of a clock that never goes back.
---@return number
function sse.now() end

---@param seconds number
function sse.sleep(seconds) end

---Waits until the descriptor is ready, at most so long: for what of it; nil and "timeout".
---@param object integer|file*|table|userdata a descriptor, or what has getfd(), pollfd() or fileno()
---@param events "r"|"w"|"rw"
---@param timeout? number
---@return "r"|"w"|"rw"|nil ready
---@return "timeout"?
function sse.wait_fd(object, events, timeout) end

---A task that goes on when the client leaves.
---@param fn function
---@param ... any
---@return spate.Task
function sse.spawn(fn, ...) end

---@param seconds number
---@param fn fun()
---@param options? { each_worker?: boolean }
---@return spate.Task?
function sse.every(seconds, fn, options) end

---An iterator over what fn yields, in which fn may wait.
---@param fn function
---@return function
function sse.wrap(fn) end

---@param fn fun(send: spate.send)
---@return spate.Stream
function sse.stream(fn) end

---1, 2, 3 ..., or what fn makes of them; the first after one period.
---@param seconds number
---@param fn? fun(n: integer): any
---@return spate.Stream
function sse.interval(seconds, fn) end

---@param source table|function|thread
---@return spate.Stream
function sse.from(source) end

---@param value any
---@return spate.Stream
function sse.once(value) end

---No value and no end.
---@return spate.Stream
function sse.never() end

---@param ... spate.Stream
---@return spate.Stream
function sse.merge(...) end

---@return spate.KeepAlive
function sse.keep_alive() end

---@param stream spate.Stream|fun(send: spate.send)|table
---@param options? { status?: integer, headers?: table<string, string>, keep_alive?: boolean }
---@return spate.Reply
function sse.reply(stream, options) end

---A producer that outlives its connection.
---@param key string
---@param fn fun(send: spate.send)
---@param options? { after?: string, linger?: number, ttl?: number, history?: integer, store?: boolean }
---@return spate.Stream
function sse.resumable(key, fn, options) end

---@class spate.ChannelOptions
---@field history? integer
---@field history_bytes? integer
---@field ttl? number
---@field queue? integer
---@field on_full? "disconnect"|"drop_oldest"|"conflate"
---@field key? fun(event: spate.event): string
---@field store? boolean false: in memory only

---@class spate.channel
---@overload fun(name: string, options?: spate.ChannelOptions): spate.Channel?, string?
sse.channel = {}

---The channel of this name; does not make one.
---@param name string
---@return spate.Channel?
function sse.channel.find(name) end

---@class spate.Event
local Event = {}

---@param text string|number
---@return spate.Event
function Event:data(text) end

---@param value any
---@return spate.Event
function Event:json_data(value) end

---@param name string
---@return spate.Event
function Event:event(name) end

---@param id string|number
---@return spate.Event
function Event:id(id) end

---@param seconds number
---@return spate.Event
function Event:retry(seconds) end

---@param text string
---@return spate.Event
function Event:comment(text) end

---@class spate.Stream
local Stream = {}

---@param fn fun(value: any): any
---@return spate.Stream
function Stream:map(fn) end

---@param fn fun(value: any): boolean
---@return spate.Stream
function Stream:filter(fn) end

---@param fn fun(value: any)
---@return spate.Stream
function Stream:inspect(fn) end

---@param n integer
---@return spate.Stream
function Stream:take(n) end

---@param fn fun(value: any): boolean
---@return spate.Stream
function Stream:take_while(fn) end

---@param n integer
---@return spate.Stream
function Stream:skip(n) end

---@param ... spate.Stream
---@return spate.Stream
function Stream:chain(...) end

---@param ... spate.Stream
---@return spate.Stream
function Stream:merge(...) end

---@param ... any
---@return spate.Stream
function Stream:start_with(...) end

---@param seconds number
---@return spate.Stream
function Stream:throttle(seconds) end

---@param seconds number
---@return spate.Stream
function Stream:debounce(seconds) end

---@param n integer
---@param seconds? number
---@return spate.Stream
function Stream:batch(n, seconds) end

---@param seconds number
---@return spate.Stream
function Stream:timeout(seconds) end

---@param fn fun()
---@return spate.Stream
function Stream:on_close(fn) end

---@return fun(): any
function Stream:each() end

---@return any[]
function Stream:collect() end

---Lets go of what the stream holds.
function Stream:close() end

---@class spate.KeepAlive
local KeepAlive = {}

---@param seconds number
---@return spate.KeepAlive
function KeepAlive:interval(seconds) end

---@param text string
---@return spate.KeepAlive
function KeepAlive:text(text) end

---@param stream spate.Stream|fun(send: spate.send)|table
---@return spate.Stream
function KeepAlive:stream(stream) end

---@class spate.Task
local Task = {}

---True where it had not ended yet.
---@return boolean
function Task:cancel() end

---What the function returned; nil and the error, "cancelled" or "stopped".
---@return any
---@return any err
function Task:join() end

---@class spate.process
local process = {}

---@class spate.SpawnOptions
---@field stdin? string|true|spate.Stream|fun(): string? what it reads; true: what p:write writes; else nothing
---@field cwd? string relative: beside the script; the server's unless given
---@field env? table<string, string|number|false> beside the server's; false leaves one out
---@field stderr? "log"|"merge"|"separate" to the log unless given; among its output; for p:errors

---@class spate.RunOptions: spate.SpawnOptions
---@field timeout? number seconds; 30
---@field max? integer bytes of its output, and of its errors; 1 MiB

---Starts a program, without a shell, in a process group of its own. nil, a message, and "missing", "directory", "denied",
---"format", "too long", "limit" or "failed".
---@param argv (string|number)[] program and arguments
---@param options? spate.SpawnOptions
---@return spate.Process?
---@return string? message
---@return string? code
function process.spawn(argv, options) end

---Runs a program to its end. nil, a message, and a code of `spawn`, "timeout" or "too large".
---@param argv (string|number)[]
---@param options? spate.RunOptions
---@return { code?: integer, signal?: string, out: string, err: string }?
---@return string? message
---@return string? code
function process.run(argv, options) end

---Ends with its `<close>` variable, and with the task that reads it or waits for it, where that is cancelled or fails.
---@class spate.Process
---@field pid integer
local Process = {}

---Its output line by line, also for `for line in p:lines() do`.
---@param max? integer bytes; what is longer comes in pieces (64 KiB)
---@return spate.Stream
function Process:lines(max) end

---Its output as it comes.
---@return spate.Stream
function Process:chunks() end

---What it writes to its standard error, line by line: with `stderr = "separate"`.
---@param max? integer
---@return spate.Stream
function Process:errors(max) end

---Waits until its input takes the text: with `stdin = true`.
---@param text string|number
---@return true?
---@return "closed"?
function Process:write(text) end

---The end of its input, behind what was written.
function Process:close_stdin() end

---Waits for its end: the exit code; or nil and the name of a signal, such as "TERM".
---@return integer? code
---@return string? signal
function Process:wait() end

---Sends a signal to its group: true; nil and "ended", or why not.
---@param signal? string|integer "TERM" unless given
---@return true?
---@return string? err
function Process:kill(signal) end

---Ends it and its group: SIGTERM, and after `timeouts.kill` SIGKILL.
function Process:close() end

---@class spate.Channel
local Channel = {}

---@param event spate.event
---@return string? id
---@return string? err "full", "finished", "too large" or "unavailable"
---@return string? code of "unavailable": why
function Channel:publish(event) end

---@param options? { after?: string, replay?: integer|"all" }
---@return spate.Stream
function Channel:subscribe(options) end

---@param n? integer
---@return spate.fields[]
function Channel:history(n) end

---@return integer
function Channel:count() end

---@param event? spate.event
---@return true?
---@return string? err
function Channel:finish(event) end

---@param id string|number
---@param meta? any
---@return spate.Membership?
---@return string? err
function Channel:join(id, meta) end

---@return { id: string, meta: any }[]?
---@return string? err "unavailable"
function Channel:members() end

---What `fn` returns, then the events that it does not contain.
---@param fn fun(): spate.event
---@return spate.Stream
function Channel:snapshot(fn) end

---@class spate.RelayOptions: spate.EventsOptions
---@field linger? number seconds without a subscriber until it ends; 30

---Has the channel carry another server's event stream, or another one, which is read once for all subscribers, while there is one.
---@param source string|spate.Stream|fun(): spate.Stream?, string? a URL, pg:listen(...), or what makes a stream
---@param options? spate.RelayOptions
---@return spate.Channel
function Channel:relay(source, options) end

---A channel that is made of this one, once for all of its readers.
---@param fn fun(event: spate.fields): spate.event?
---@return spate.Derived
function Channel:derive(fn) end

---@class spate.Membership
local Membership = {}

function Membership:close() end

---@class spate.Derived
local Derived = {}

---@param options? { after?: string, replay?: integer|"all" }
---@return spate.Stream
function Derived:subscribe(options) end

---@return integer
function Derived:count() end

---`require "spate.http"`: requests to other servers.
---@class spate.http
local http = {}

---@class spate.HttpTimeout
---@field connect? number seconds until it is connected, the name included; timeouts.http_connect
---@field idle? number without a byte in either direction; timeouts.http_idle
---@field total? number

---@class spate.HttpTls
---@field ca? string path of the certificates that are trusted
---@field cert? string path of ours
---@field key? string path of its key
---@field verify? boolean false: any certificate will do

---@class spate.HttpFile
---@field filename? string
---@field type? string
---@field data? string
---@field path? string

---@class spate.HttpOptions
---@field headers? table<string, string|number|string[]>
---@field query? table<string, any>
---@field body? string|fun(): string? what an iterator returns is sent as the server takes it
---@field json? any
---@field form? table<string, string|number|boolean|string[]|spate.HttpFile>
---@field timeout? number|spate.HttpTimeout a number: of the whole
---@field redirects? integer 5 unless given
---@field max? integer bytes of the body
---@field auth? { user: string, password?: string }
---@field tls? spate.HttpTls
---@field unix? string path of a socket to connect to
---@field private? boolean false: no address of a private network
---@field length? integer bytes of a body that is an iterator, where they are known

---@class spate.EventsOptions: spate.HttpOptions
---@field method? string GET unless given
---@field reconnect? boolean comes back, as a browser does
---@field last_event_id? string
---@field on_open? fun(res: spate.HttpResponse)
---@field on_error? fun(message: string, code: string?, seconds: number) how long until it tries again

---@param method string
---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.request(method, url, options) end

---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.get(url, options) end

---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.post(url, options) end

---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.put(url, options) end

---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.patch(url, options) end

---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.delete(url, options) end

---@param url string
---@param options? spate.HttpOptions
---@return spate.HttpResponse? response
---@return string? message
---@return string? code
function http.head(url, options) end

---The events of a URL.
---@param url string
---@param options? spate.EventsOptions
---@return spate.Stream? events
---@return string? message
---@return string? code
function http.events(url, options) end

---@class spate.HttpResponse
---@field status integer
---@field headers table<string, string> names in any case
local HttpResponse = {}

---@param name string
---@return string[]
function HttpResponse:header_all(name) end

---The whole body, collected once.
---@param max? integer
---@return string? body
---@return string? message
---@return string? code
function HttpResponse:body(max) end

---@param options? { null: any }
---@return any value
---@return string? message
---@return string? code
function HttpResponse:json(options) end

---@return fun(): string?
function HttpResponse:chunks() end

---@return fun(): string?
function HttpResponse:lines() end

---@return boolean
function HttpResponse:is_event_stream() end

---The body as a stream of events, which takes it.
---@return spate.Stream
function HttpResponse:events() end

---Lets go of it; harmless when done twice.
function HttpResponse:close() end

---@class spate.test
local t = {}

---@class spate.TestOptions
---@field settings? table as in spate.conf.lua
---@field workers? integer
---@field at? string|number as `t.at`

---An application's file, loaded and started, its clock at 0.
---@param path string
---@param options? spate.TestOptions
---@return spate.test.App
function t.load(path, options) end

---Moves the time of all applications, from deadline to deadline.
---@param seconds number
function t.advance(seconds) end

---Waits, in real time, until `fn` returns a true value, and returns it; the applications go on, their clocks stand. For
---programs that run, files that change, other threads. An error where it takes longer than `seconds` (5).
---@generic T
---@param fn fun(): T
---@param seconds? number
---@return T
function t.wait(fn, seconds) end

---What `os.time` and `os.date` show from now on.
---@param time string|number "2026-01-01T00:00:00Z", or seconds since 1970
function t.at(time) end

---How many workers the applications have that are loaded later in this file.
---@param n integer
function t.workers(n) end

---Settings of the applications that are loaded later in this file.
---@param settings table? as in spate.conf.lua
function t.settings(settings) end

---true: a stream that is left open is an error; false: nothing that is left is told.
---@param strict? boolean true unless given
function t.strict(strict) end

---As after a save; nil and the message where the file does not load, and the old code goes on.
---@param path string
---@return true? ok
---@return string? err
function t.reload(path) end

---All bytes of a response as they came.
---@param res spate.test.Response
---@return string
function t.bytes(res) end

---A channel of the application that was used last.
---@param name string
---@return spate.test.Channel
function t.channel(name) end

---@class spate.test.StubAnswer
---@field status? integer 200 unless given
---@field headers? table<string, string|string[]>
---@field body? string
---@field json? any
---@field events? (string|spate.test.StubEvent)[]
---@field chunks? (string|{ after: number?, [1]: string })[] pieces of a body
---@field after? number seconds until the head
---@field error? string how it ends, such as "timeout"; without a status or a body there is no answer
---@field open? boolean it does not end

---@class spate.test.StubEvent
---@field after? number seconds behind the one before
---@field event? string
---@field data? string
---@field json? any
---@field id? string
---@field retry? number
---@field comment? string
---@field raw? string its bytes

---@class spate.test.StubRequest
---@field method string
---@field url string
---@field headers table<string, string>
---@field body string
---@field json any
---@field closed boolean by who asked, before the answer was complete

---What stands for another server in a spec.
---@class spate.test.Stub
---@field requests spate.test.StubRequest[] what it was asked
---@field closed boolean the last of them

---@class spate.test.http
t.http = {}

---Has such requests answered so, for this `it` or, outside of one, for the file. Of a list each answer is for one request.
---@param method string
---@param url string
---@param answer? spate.test.StubAnswer|spate.test.StubAnswer[]
---@return spate.test.Stub
function t.http.stub(method, url, answer) end

---@class spate.test.PostgresAnswer
---@field rows? table<string, any>[]
---@field count? integer rows changed; that of `rows` unless given
---@field error? string
---@field code? spate.PostgresFailure "sql" unless given
---@field sqlstate? string
---@field after? number seconds

---@class spate.test.postgres
t.postgres = {}

---@class spate.test.PostgresStub
---@field queries { sql: string, params: table }[] asked so far
---@field notify fun(self: spate.test.PostgresStub, channel: string, payload?: string): integer

---Has statements answered so that have the pattern in them, for this `it` or, outside of one, for the file.
---@param pattern string a part of them, or a pattern of Lua's; white space is one blank
---@param answer? spate.test.PostgresAnswer|table<string, any>[]|fun(sql: string, ...: any): any, string?, string?
---@return spate.test.PostgresStub
function t.postgres.stub(pattern, answer) end

---Notifies who listens; how many that are.
---@param channel string
---@param payload? string
---@return integer
function t.postgres.notify(channel, payload) end

---The connection that listens was lost: all who listen get a reset.
---@return integer
function t.postgres.lose() end

---What stands for Redis in a spec.
---@class spate.test.RedisStub
---@field commands string[][] what it was asked: lists of words

---@alias spate.test.RedisAnswer string|number|boolean|nil|table|fun(...: string): any

---@class spate.test.redis
t.redis = {}

---Has such commands answered so, for this `it` or, outside of one, for the file.
---@param pattern string first words, in which * is anything
---@param answer? spate.test.RedisAnswer
---@return spate.test.RedisStub
function t.redis.stub(pattern, answer) end

---Publishes a message; the subscriptions that hear of it.
---@param channel string
---@param message string
---@return integer
function t.redis.publish(channel, message) end

---There is no server until t.redis.up().
function t.redis.down() end

---There is one again.
function t.redis.up() end

---@class spate.test.RequestOptions
---@field headers? table<string, string|number|string[]>
---@field body? string
---@field json? any the body, as JSON
---@field form? table<string, string|number|string[]> the body, as of a form
---@field worker? integer from 0

---@class spate.test.App
local TestApp = {}

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:get(target, options) end

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:post(target, options) end

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:put(target, options) end

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:patch(target, options) end

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:delete(target, options) end

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:head(target, options) end

---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:options(target, options) end

---Any method.
---@param method string
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:request(method, target, options) end

---A fresh Lua state of the same file, without channels, its clock at 0.
---@return spate.test.App
function TestApp:reset() end

---Ends it.
function TestApp:close() end

---What it has logged and printed since the last call.
---@return string
function TestApp:log() end

---What has come so far.
---@class spate.test.Response
---@field status integer?
---@field headers table<string, string>? names in any case
---@field last_event_id string?
---@field close_reason string? "finished", "client_closed" and so on; nil while it is open
local Response = {}

---@class spate.test.Event
---@field event? string
---@field id? string
---@field data? string
---@field json? any its data, decoded
---@field retry? number seconds

---@return string
function Response:body() end

---@return any
function Response:json() end

---The values of a header, one by one.
---@param name string
---@return string[]
function Response:header_all(name) end

---@return spate.test.Event[]
function Response:events() end

---@return string[]
function Response:comments() end

---All bytes as they came.
---@return string
function Response:bytes() end

---Such as "GET /ticks".
---@return string
function Response:name() end

---True once the body has come to its end: cut off in between, it never does.
---@return boolean
function Response:is_complete() end

---True once the server is done with the request.
---@return boolean
function Response:has_ended() end

---The client leaves.
---@return spate.test.Response
function Response:close() end

---The client vanishes without a word.
---@return spate.test.Response
function Response:drop() end

---The client stops reading, once it has taken so many bytes more.
---@param bytes? integer
---@return spate.test.Response
function Response:stall(bytes) end

---It reads on.
---@return spate.test.Response
function Response:resume() end

---A new request after the retry time, with the last id; nil and why a browser would not.
---@return spate.test.Response?
---@return string? err
function Response:reconnect() end

---@class spate.test.Channel
local TestChannel = {}

---Subscribers on all workers; 0 where there is no such channel.
---@return integer
function TestChannel:count() end

---The newest n events (all), oldest first.
---@param n? integer
---@return spate.test.Event[]
function TestChannel:history(n) end

---Its id; nil and why not.
---@param event string|number|spate.fields
---@return string? id
---@return string? err
function TestChannel:publish(event) end

---Assertions about responses, beside those of luassert.
---@class luassert
---@field [string] any
---@overload fun(value: any, message?: any, ...: any): any, ...
assert = {}

---There are as many events, each with the fields expected of it; a string is an event's data.
---@param res spate.test.Response
---@param list (string|number|spate.test.Event)[]
function assert.events(res, list) end

---@param res spate.test.Response
---@param fields string|number|spate.test.Event `json` may have more members
function assert.has_event(res, fields) end

---@param res spate.test.Response
---@param fields string|number|spate.test.Event
function assert.has_no_event(res, fields) end

---@param status integer
---@param res spate.test.Response
function assert.status(status, res) end

---@param res spate.test.Response
---@param reason? string "finished", "client_closed" and so on
function assert.closed(res, reason) end

---200 and the headers of an event stream.
---@param res spate.test.Response
function assert.sse_headers(res) end

---A comment comes within this time, which passes.
---@param res spate.test.Response
---@param seconds? number 15 unless given
function assert.keep_alive(res, seconds) end
