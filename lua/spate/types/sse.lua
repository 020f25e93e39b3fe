---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors: events, streams and tasks. types.lua says how they are used.

---@class spate.fields
---@field event? string
---@field id? string|number
---@field data? string|number
---@field traceparent? string of the request that published it, in a channel
---@field json? any
---@field retry? number seconds
---@field comment? string

---@alias spate.event string|number|spate.fields|spate.Event
---@alias spate.send fun(event: spate.event): true?, string?

---@class spate.sse
local sse = {}

---An event to be built: `sse.event("move"):id(8):data("x")`.
---@param name? string
---@return spate.Event
function sse.event(name) end

---Seconds of a clock that never goes back.
---@return number
function sse.now() end

---Waits for so many seconds, as its task alone.
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

---Calls a function each so many seconds while the server runs, on one worker unless told otherwise.
---@param seconds number
---@param fn fun()
---@param options? { each_worker?: boolean }
---@return spate.Task?
function sse.every(seconds, fn, options) end

---An iterator over what fn yields, in which fn may wait.
---@param fn function
---@return function
function sse.wrap(fn) end

---A stream of what a function sends.
---@param fn fun(send: spate.send): any, ...
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

---The value; nil, "timeout" after so many seconds without one; nil, the reason, "kicked" where spate.kick has ended it.
---@param seconds? number
---@return any
---@return string? why
---@return string? code
function Promise:await(seconds) end

---A stream of the values of a list, an iterator or a coroutine.
---@param source table|function|thread
---@return spate.Stream
function sse.from(source) end

---A stream of one value.
---@param value any
---@return spate.Stream
function sse.once(value) end

---No value and no end.
---@return spate.Stream
function sse.never() end

---The values of all streams as they come.
---@param ... spate.Stream
---@return spate.Stream
function sse.merge(...) end

---Comments that keep a stream open, to be set up.
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

---Answers with a stream of events.
---@param stream spate.Stream|fun(send: spate.send): any, ...|table
---@param options? spate.reply_options
---@return spate.Reply
function sse.reply(stream, options) end

---A producer that outlives its connection.
---@param key string
---@param fn fun(send: spate.send): any, ...
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
---@overload fun(name: string, options?: spate.ChannelOptions): spate.Channel, string?
sse.channel = {}

---The channel of this name; does not make one.
---@param name string
---@return spate.Channel?
function sse.channel.find(name) end

---@class spate.Event
local Event = {}

---Its data; each line of a text is one of its own.
---@param text string|number
---@return spate.Event
function Event:data(text) end

---A value as JSON for its data.
---@param value any
---@return spate.Event
function Event:json_data(value) end

---Its name.
---@param name string
---@return spate.Event
function Event:event(name) end

---Its id, with which a client comes back.
---@param id string|number
---@return spate.Event
function Event:id(id) end

---How long a client waits until it comes back.
---@param seconds number
---@return spate.Event
function Event:retry(seconds) end

---A comment, which clients pass over.
---@param text string
---@return spate.Event
function Event:comment(text) end

---@class spate.Stream
local Stream = {}

---The values as a function changes them, none of them to nil: `filter` leaves some out.
---@param fn fun(value: any): any
---@return spate.Stream
function Stream:map(fn) end

---The values for which a function is true.
---@param fn fun(value: any): boolean
---@return spate.Stream
function Stream:filter(fn) end

---The same values; a function looks at each.
---@param fn fun(value: any)
---@return spate.Stream
function Stream:inspect(fn) end

---The first so many.
---@param n integer
---@return spate.Stream
function Stream:take(n) end

---The values as long as a function is true.
---@param fn fun(value: any): boolean
---@return spate.Stream
function Stream:take_while(fn) end

---All but the first so many.
---@param n integer
---@return spate.Stream
function Stream:skip(n) end

---Then the values of others.
---@param ... spate.Stream
---@return spate.Stream
function Stream:chain(...) end

---Beside the values of others, as they come.
---@param ... spate.Stream
---@return spate.Stream
function Stream:merge(...) end

---First these values.
---@param ... any
---@return spate.Stream
function Stream:start_with(...) end

---At most one value in this time; the others are dropped.
---@param seconds number
---@return spate.Stream
function Stream:throttle(seconds) end

---A value once none has followed it for this time.
---@param seconds number
---@return spate.Stream
function Stream:debounce(seconds) end

---Lists of up to so many values, each at the latest this long after its first.
---@param n integer
---@param seconds? number
---@return spate.Stream
function Stream:batch(n, seconds) end

---Ends where no value comes for this time.
---@param seconds number
---@return spate.Stream
function Stream:timeout(seconds) end

---Runs a function at its end, or when the client leaves.
---@param fn fun()
---@return spate.Stream
function Stream:on_close(fn) end

---The next value, waiting for it; nil at the end.
---@return any
function Stream:next() end

---An iterator over its values; the stream is closed where the loop is left.
---@return fun(): any
function Stream:each() end

---All its values in a list.
---@return any[]
function Stream:collect() end

---Lets go of what the stream holds.
function Stream:close() end

---@class spate.KeepAlive
local KeepAlive = {}

---Seconds without an event until a comment is sent.
---@param seconds number
---@return spate.KeepAlive
function KeepAlive:interval(seconds) end

---The text of the comments.
---@param text string
---@return spate.KeepAlive
function KeepAlive:text(text) end

---The stream that they keep open.
---@param stream spate.Stream|fun(send: spate.send): any, ...|table
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
