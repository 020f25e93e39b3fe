-- SPDX-License-Identifier: MIT
-- What the model asserts: sentences of README.md and lua/README.md, each by a name. Where one does not hold it is printed beside what was
-- seen. spec/simulate_spec.lua looks that each stands there word for word, and that the model goes by each.
local promises = {
  -- Streams.
  VALUES = "A stream gives its values in order, as they come, and ends with its source",
  OWN_STREAM = "Each client has its own stream",
  CUT = "the stream is cut without its last chunk: the client can tell it from an end",
  CLEAN_END = "a clean end",
  CHECKSUM = "the end has its checksum",
  KEEP_ALIVE = "A stream that is idle for 15 s gets a comment",
  KEEP_ALIVE_TEXT = 'keep_alive():interval(10):text("ping")',
  NO_KEEP_ALIVE = "keep_alive = false",
  ON_CLOSE = "`fn` runs at its end, or when the client leaves",

  EVENTS = "An event is whatever is shortest: a string, a number, a table, a builder",
  KICK = "Each gets an `event: kick` with the reason as its data and `retry:` in it",

  -- Answers.
  ANSWER = "What a handler returns is the answer",
  ANSWERED = "each request gets one, in the order in which they came",
  TEXT = "a string alone is the same",
  WAITS = "this client waits",
  PIECES = "Bodies of any type that are written piece by piece",
  BODY_CUT = "An error cuts the body, so that the client can tell it from the end",
  FILE = "Files go from the disk to the socket",
  RANGE = "`Range` (one, or up to 16 that do not overlap)",
  BODY = "req:body(),",
  FORMS = "**Forms**, of either encoding",
  SESSION = "`req.session` is a table that lives in a signed cookie",
  COOKIE = "It is sent when it has changed",
  HEAD = "HEAD is told the length of the body that its handler returns; where that is none, no length",
  CHUNKS = "**Large bodies** are read as they come",
  OTHER_METHODS = "A path that has other methods answers 405",

  -- Tasks, dictionaries.
  TASK = "a task: goes on when the client leaves",
  JOIN = "waits; job:cancel() ends it",
  CANCELLED = "job:cancel() ends it",
  PROMISE = "A promise is a value that is awaited by some and fulfilled by another",
  PROMISE_TIMEOUT = 'nil, "timeout" after so many seconds',
  PROMISE_ONCE = "false where it has been brought",
  DICTIONARY = "What all share goes into a dictionary",
  SHARED = "`get` `set` `add` `incr` `cas` `delete` `keys` `count`",
  SEAT = "of all servers, one gets it",
  EXPIRES = "values are strings, numbers and booleans; `{ ttl = 60 }` as the last argument lets a value expire",

  -- Channels.
  REACHES = "Publish once, reach everyone, on every worker",
  IDS = "Ids are made by the server",
  ONCE = "Who comes back gets what was missed, once and in order",
  RESET = "Where the history no longer has it, an `event: reset` comes first",
  FINISH = "`ch:finish(event)` ends a channel",
  NO_CONTENT = "once it is read to its end, the answer is 204",
  READ_TO_ITS_END = "once it is read to its end",
  HISTORY = "`ch:history(n)` and `ch:count()` are what they say",
  PUBLISHED = "`publish` returns the id",
  REFUSED = 'nil and `"full"`, `"finished"`',
  GOES = "A channel goes when nobody holds it and its history is empty",
  QUEUE = "events that may wait for one slow client",
  INBOX = "bytes of published events that wait for one busy worker: subscribers of the channel there are cut",
  SNAPSHOT = "a snapshot, then the events that it does not contain",
  HANDED = "where a reply takes over a subscription that a task reads, that task is at the end of it",
  MEMBERS = "`join` and `leave` are events of the channel",
  STAYS = "When the client leaves, its coroutine is ended where it waits",
  VANISHES = "A client that vanishes leaves",
  COLLECTED = "so does a member that nobody holds any more, when it is collected",
  GOES_ON = "The first request starts the function, later ones go on where they were",
  FORGOTTEN = "`ttl` seconds after its end it is forgotten",
  LINGERS = "Without a reader for `linger` seconds it is stopped",
  LOST_EPOCH = "clients that had a lost event are told by `reset`, all others resume as ever",
  NUMBERED = "`publish` returns its id once Redis has numbered, kept and published the event",

  -- Limits and times.
  IDLE = "of a connection between two requests: closed",
  HEAD_TIMEOUT = "from a request's first byte to the end of its head: 408",
  BODY_TIMEOUT = "without a byte of a body that is read: 408",
  LAST_ANSWER = "requests on one connection: the last answer says `Connection: close`",
  BODY_LIMIT = "bytes of a body that is collected, and of a form's fields: 413",
  QUEUE_HIGH = "bytes that a client has not taken: `send` waits",
  QUEUE_EVENTS = "events that a client has not taken: `send` waits until half are left",
  SEND_TIMEOUT = "without the client taking what waits for it: closed",
  NO_DESCRIPTORS = "clients are told 503 one by one, accepting pauses for a tenth of a second",
  TURNED_AWAY = "503 with `Retry-After`, then closed",
  SLEEPS = "A worker that has nothing to do sleeps",

  -- Reloads and ends.
  RELOAD_REPORTED = "a script that does not load, an `on_start` function that raises or has not ended after `timeouts.start` is reported",
  OLD_STREAMS = "until `reload.max_age`: then they get a `retry:` and a clean end",
  OLD_TASKS = "Then tasks (`sse.spawn`, `sse.every`) of the old code are cancelled",
  STOPS = "its `on_stop` functions run",
  EVERY = "`sse.every` counts seconds",
  ON_ONE_WORKER = "`app:on_stop` and `sse.every` run on worker 0 only, unless given `{ each_worker = true }`",
  STOP = "Each stream gets a `retry:` and a clean end, spread over `shutdown.window`",
}

return setmetatable(promises, { __index = function(_, name) error("no promise: " .. tostring(name), 2) end })
