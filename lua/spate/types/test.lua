---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: specs of applications. types.lua says how they are used.

---@class spate.test
---@field crypto spate.crypto `hash`, `hmac`, `base64`, `hex` and their `_decode`, by the application that was used last
local t = {}

---@class spate.TestOptions
---@field settings? table as in spate.conf.lua
---@field workers? integer
---@field at? string|number as `t.at`
---@field http? 1|2 what its clients speak: HTTP/1.1, or HTTP/2
---@field env? table<string, string|false> environment variables of the application; false: not set
---@field modules? table<string, table|fun(): any> what it gets by `require`: tables of plain values, or functions that return the modules

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
---@field version? string of HTTP: "1.1" unless given

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
---@field code? string "sql" unless given
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
---@field headers? table<string, any>
---@field body? string
---@field json? any the body, as JSON
---@field form? table<string, string|number|string[]> the body, as of a form
---@field worker? integer from 0

---@class spate.test.App
local TestApp = {}

---Asks by GET; what comes is there as far as time has gone.
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:get(target, options) end

---Asks by POST.
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:post(target, options) end

---Asks by PUT.
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:put(target, options) end

---Asks by PATCH.
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:patch(target, options) end

---Asks by DELETE.
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:delete(target, options) end

---Asks by HEAD.
---@param target string
---@param options? spate.test.RequestOptions
---@return spate.test.Response
function TestApp:head(target, options) end

---Asks by OPTIONS.
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
---@field headers table<string, string> names in any case
---@field last_event_id string?
---@field close_reason string? "finished", "client_closed" and so on; nil while it is open
local Response = {}

---@class spate.test.Event
---@field event? string
---@field id? string
---@field data? string
---@field json? any its data, decoded
---@field retry? number seconds

---The body as far as it has come.
---@return string
function Response:body() end

---The value of its JSON body.
---@return any
function Response:json() end

---The values of a header, one by one.
---@param name string
---@return string[]
function Response:header_all(name) end

---The events so far.
---@return spate.test.Event[]
function Response:events() end

---The comments so far.
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
---Raises where the value is false or nil.
---@overload fun<T>(value: T, message?: any, ...: any): std.NotNull<T>, ...
assert = {}

---There are as many events, each with the fields expected of it; a string is an event's data.
---@param res spate.test.Response
---@param list (string|number|spate.test.Event)[]
function assert.events(res, list) end

---One of the events has these fields.
---@param res spate.test.Response
---@param fields string|number|spate.test.Event `json` may have more members
function assert.has_event(res, fields) end

---No event has these fields.
---@param res spate.test.Response
---@param fields string|number|spate.test.Event
function assert.has_no_event(res, fields) end

---The answer has this status.
---@param status integer
---@param res spate.test.Response
function assert.status(status, res) end

---It has ended, for this reason where one is given.
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
