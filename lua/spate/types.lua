---@meta
-- SPDX-License-Identifier: MIT
-- The API for editors that know LuaCATS, such as the Lua language server: `spate types --luarc`, which makes one file of
-- this and those in types/. Not loaded at run time. Durations are seconds, sizes bytes.

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
---@field datastar spate.datastar
---@field durable spate.durable
---@field mcp spate.mcp
---@field mercure spate.mercure
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
---@param text string|number
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
---@param options? { store?: boolean } kept where the setting `store` says; on Redis its methods wait, and may return nil, "unavailable", code
---@return spate.Shared
function spate.shared(name, options) end

---Ends streams, on all workers and all servers that share their channels: with an event `kick` whose data is the reason, a
---retry of one to two times so many seconds, and a clean end.
---@param options { tag?: string, channel?: string, stream?: string, reason?: string, retry?: number }
---@return true
function spate.kick(options) end

---Middleware: at most `max` requests of a key at a time, on all workers, else 429.
---@param options { max: integer, key?: (fun(req: spate.Request): string?), status?: integer, store?: string }
---@return spate.middleware
function spate.stream_limit(options) end

---Tickets that let a client in once, within `ttl` seconds (30).
---@param options? { ttl?: number, store?: string }
---@return spate.Tickets
function spate.ticket(options) end

---@class spate.Tickets
local Tickets = {}

---A ticket for a value, which is copied as JSON.
---@param value any
---@return string? ticket
---@return string? why
function Tickets:issue(value) end

---The value of a ticket that has not been redeemed.
---@param ticket string?
---@return any value
---@return string? why
function Tickets:redeem(ticket) end

---@alias spate.stream_order "age"|"bytes"|"events"|"queued"|"lag"

---The streams that are open, on all workers, and how many match.
---@param options? { tag?: string, text?: string, id?: string, order?: spate.stream_order, ascending?: boolean, limit?: integer, offset?: integer }
---@return table[] streams
---@return integer count
function spate.streams(options) end

---An application to mount: the inspector's page, /metrics, /healthz, /readyz, and the same as JSON and event streams.
---@param options { authorize: (fun(req: spate.Request): boolean?, string|spate.Reply?), hosts?: string[]|"any" }
---@return spate.App
function spate.admin(options) end

---An application that `spate doctor URL` speaks to, to mount; it says when it sends, and what it sees of the request.
---@param options? { authorize?: fun(req: spate.Request): boolean?, string|spate.Reply? } everybody may use it unless given
---@return spate.App
function spate.doctor(options) end

---What an application counts, for the whole process.
---@class spate.metrics
spate.metrics = {}

---@class spate.Metric
local Metric = {}

---A metric that only grows; its name ends in _total.
---@param name string
---@param options { help: string, labels?: string[] }
---@return spate.Metric
function spate.metrics.counter(name, options) end

---A metric that goes up and down.
---@param name string
---@param options { help: string, labels?: string[] }
---@return spate.Metric
function spate.metrics.gauge(name, options) end

---A metric of what was observed, in buckets.
---@param name string
---@param options { help: string, labels?: string[], buckets?: number[] }
---@return spate.Metric
function spate.metrics.histogram(name, options) end

---All that is counted, for Prometheus, or as OpenMetrics.
---@param as_openmetrics? boolean
---@return string
function spate.metrics.text(as_openmetrics) end

---Of a counter or a gauge; false where it has too many series.
---@param n? number
---@param labels? table<string, string|number>
---@return boolean
---@overload fun(self: spate.Metric, labels: table<string, string|number>): boolean
function Metric:inc(n, labels) end

---Of a gauge; false where it has too many series.
---@param n? number
---@param labels? table<string, string|number>
---@return boolean
function Metric:dec(n, labels) end

---Of a gauge; false where it has too many series.
---@param value number
---@param labels? table<string, string|number>
---@return boolean
function Metric:set(value, labels) end

---Of a histogram; false where it has too many series.
---@param value number
---@param labels? table<string, string|number>
---@return boolean
function Metric:observe(value, labels) end

---A value that a request to any worker is to bring, by JSON; kept for `ttl` seconds (300).
---@param name string
---@param options? { ttl?: number }
---@return spate.Promise
function spate.promise(name, options) end

---@class spate.CronOptions
---@field zone? string such as "Europe/Berlin"; the machine's own unless given
---@field overlap? "skip"|"queue"|"allow" what becomes of a run while the one before it goes on
---@field each_worker? boolean
---@field once? "node"|"cluster" by this server; by one of those that have a Redis together

---Calls a function, with the time in seconds since 1970, when five fields of cron say so.
---@param text string "*/5 * * * *", "@daily"
---@param fn fun(time: integer)
---@param options? spate.CronOptions
---@return spate.Task
function spate.cron(text, fn, options) end

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

---Middleware: browsers use https for this host from now on; said over https only.
---@param options? { max_age?: integer, include_subdomains?: boolean, preload?: boolean } max_age in seconds, a year
---@return spate.middleware
function spate.hsts(options) end

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

---The text with a signature, for `spate.verify`; the first secret signs.
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

---@class spate.crypto
local crypto = {}

---@alias spate.HashName "md5"|"sha1"|"sha224"|"sha256"|"sha384"|"sha512"|"sha3-256"|"sha3-512"|"blake2s256"|"blake2b512"
---@alias spate.BytesForm "hex"|"raw"|"base64"|"base64url"

---The hash of a text.
---@param name spate.HashName
---@param text string
---@param form? spate.BytesForm hex unless given
---@return string
function crypto.hash(name, text, form) end

---The code by which who knows the key sees that the text is as it was.
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

---Bytes as base64.
---@param bytes string
---@param options? { url?: boolean, pad?: boolean } padded unless for URLs
---@return string
function crypto.base64(bytes, options) end

---The bytes of a base64 text; nil where it is none.
---@param text string
---@param options? { url?: boolean, pad?: boolean }
---@return string? bytes
---@return string? message
function crypto.base64_decode(text, options) end

---Bytes as hexadecimal digits.
---@param bytes string
---@return string
function crypto.hex(bytes) end

---The bytes of hexadecimal digits; nil where they are none.
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

---@class spate.log
local log = {}

---A line of the log, at level `debug`.
---@param message string
---@param fields? table<string, any>
function log.debug(message, fields) end

---A line of the log, at level `info`, as by `print`.
---@param message string
---@param fields? table<string, any>
function log.info(message, fields) end

---A line of the log, at level `warn`.
---@param message string
---@param fields? table<string, any>
function log.warn(message, fields) end

---A line of the log, at level `error`.
---@param message string
---@param fields? table<string, any>
function log.error(message, fields) end

---@class spate.Shared
local Shared = {}

---@alias spate.scalar string|number|boolean
---@alias spate.ttl { ttl?: number }

---The value of a key, or nil.
---@param key string
---@return any a string, a number or a boolean
function Shared:get(key) end

---Sets a key; nil removes it.
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

---Adds to a number, which is 0 where there is none, and returns it.
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

---Removes a key; whether it was there.
---@param key string
---@return boolean
function Shared:delete(key) end

---The keys, or those that begin so.
---@param prefix? string
---@return string[]
function Shared:keys(prefix) end

---How many keys there are.
---@return integer
function Shared:count() end

---Bytes that its keys and values take.
---@return integer
function Shared:bytes() end

---@class spate.json
---@field null any
local json = {}

---The value as JSON; raises where that cannot say it.
---@param value any
---@return string
function json.encode(value) end

---@class spate.JsonOptions
---@field null? any `json.null`: members that are null are kept as this; else they are left out

---The value of a JSON text; nil, and line and column of what is wrong.
---@param text string?
---@param options? spate.JsonOptions
---@return any value
---@return string? err
function json.decode(text, options) end

---A list that is `[]` also where it is empty.
---@param list? table
---@return table
function json.array(list) end

---A map that is `{}` also where it is empty.
---@param map? table
---@return table
function json.object(map) end
