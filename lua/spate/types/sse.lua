---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: events, streams and tasks. types.lua says how they are used.

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

---An event's text on the wire; raises where the value is none.
---@param event spate.event
---@return string
function sse.encode(event) end

---A value that another task of this worker is to bring.
---@return spate.Promise
function sse.promise() end

---@class spate.Promise
local Promise = {}

---Brings the value; false where one has been brought.
---@param value any
---@return boolean? first
---@return string? why
function Promise:fulfil(value) end

---The value; nil, "timeout" after so many seconds without one.
---@param seconds? number
---@return any
---@return string? why
function Promise:await(seconds) end

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

---@class spate.reply_options
---@field status? integer
---@field headers? table<string, string>
---@field keep_alive? boolean
---@field compress? boolean
---@field recheck? fun(req: spate.Request): any, string? Whether the client may stay; else why not.
---@field every? number Seconds between two such questions (30).
---@field recheck_error? "end"|"keep" What a question that fails means.

---@param stream spate.Stream|fun(send: spate.send)|table
---@param options? spate.reply_options
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
---@field compress? boolean its streams go by gzip, to clients that take it

---@class spate.channel
---The channel of this name, made where there is none; options are those of its maker.
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

---The next value, waiting for it; nil at the end.
---@return any
function Stream:next() end

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
