-- SPDX-License-Identifier: MIT
-- sse.channel: publish/subscribe over the whole process, with history and presence.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"
local report = require "spate.report"

local Channel = { __name = "channel" }
Channel.__index = Channel

local ON_FULL = { disconnect = 0, drop_oldest = 1, conflate = 2 }
local OPTIONS = { "history", "history_bytes", "ttl", "queue", "on_full", "key", "store", "compress" }
local COMPRESS = { [true] = 1, [false] = 2 }
local DEFAULT_TTL = 3600

local function traceback(err) return core.traceback(tostring(err)) end

return function(sse)
  local function number(options, name, default, least)
    local value = options[name]
    if value == nil then return default end
    if type(value) ~= "number" or not (value >= least and value < 2^53) then
      core.raise(("sse.channel: %s: expected a number of %d or more, got %s"):format(name, least, check.shown(value)))
    end
    return name == "ttl" and value or math.floor(value)
  end

  local function check_options(options)
    options = check.options(options or {}, "sse.channel", OPTIONS)
    local on_full = ON_FULL[options.on_full or "disconnect"]
    if not on_full then core.raise('sse.channel: on_full: expected "disconnect", "drop_oldest" or "conflate"') end
    if options.store ~= nil and type(options.store) ~= "boolean" then
      core.raise("sse.channel: store: expected true or false, got " .. tostring(options.store))
    end
    if options.compress ~= nil and type(options.compress) ~= "boolean" then
      core.raise("sse.channel: compress: expected true or false, got " .. tostring(options.compress))
    end
    if options.key ~= nil and type(options.key) ~= "function" then core.raise("sse.channel: key: expected a function of the event") end
    return {
      history = number(options, "history", 0, 0), history_bytes = number(options, "history_bytes", 0, 0),
      ttl = number(options, "ttl", DEFAULT_TTL, 0), queue = number(options, "queue", 256, 1), on_full = on_full,
      in_memory = options.store == false and 1 or 0, compress = COMPRESS[options.compress] or 0,
      given = options,
    }
  end

  core.check_channel_options = check_options

  local function check_self(self, name)
    if getmetatable(self) ~= Channel then core.raise(("channel:%s(...): write it with a colon"):format(name)) end
    return self.handle
  end

  local function new(handle, options, name)
    return setmetatable({ handle = handle, key = options and options.key, name = name }, Channel)
  end

  core.relays = {} -- by the channel's name

  -- What a channel relays is read while somebody reads the channel.
  local function keep_up(self)
    local relay = core.relays[self.name]
    if relay then relay:start() end
  end

  -- Has the channel carry the events of another server's stream, read once for all its subscribers while there is one.
  function Channel:relay(url, options)
    check_self(self, "relay")
    return require "spate.relay"(self, url, options)
  end

  local function tell_late(name, option, kept, given)
    for policy, number_of in pairs(option == "on_full" and ON_FULL or {}) do
      if number_of == kept then kept = policy end
    end
    if option == "compress" then kept = ({ [0] = "nothing said", "true", "false" })[math.tointeger(kept)] end
    core.log.warn(("%s: sse.channel: '%s' has %s = %s, and keeps it; %s comes too late: whoever makes a channel sets its options")
      :format(core.where(), name, option, type(kept) == "number" and ("%.14g"):format(kept) or kept, given))
  end

  -- The channel of this name, made where there is none; its options are those of whoever made it. nil, "full" where
  -- the process has as many as limits.channels allows.
  local function open(_, name, options)
    local wanted = check_options(options)
    local self = new(false, options, name) -- before there is a channel: who makes it must come to know
    local handle, created, other, kept = core.channel(name, wanted)
    if not handle then return nil, created end
    self.handle = handle
    if other then tell_late(name, other, kept, options[other]) end
    return self, created
  end

  -- Publishes an event to all subscribers: its id; nil and "full", "finished" or "too large". Where the channel has a
  -- store it waits for that: or nil, "unavailable"; where nothing can wait, true.
  function Channel:publish(event, second)
    local handle = check_self(self, "publish")
    if second ~= nil then check.one_event(second, "channel:publish") end
    return handle:publish(event, self.key and self.key(event))
  end

  -- The last event, if any, then the end: subscribers are ended, later ones get what history has, or 204.
  function Channel:finish(event) return check_self(self, "finish"):finish(event) end

  local SUBSCRIBE = { "after", "replay" }

  local function replay_count(replay)
    if replay == nil then return 0 end
    if replay == "all" then return -1 end
    if math.type(replay) ~= "integer" or replay < 0 then
      core.raise('channel:subscribe: replay: expected a number of events or "all", got ' .. check.shown(replay))
    end
    return replay
  end

  local function subscription(handle, options)
    options = check.options(options or {}, "channel:subscribe", SUBSCRIBE)
    if options.after ~= nil and type(options.after) ~= "string" then
      core.raise("channel:subscribe: after: expected an id as a string, got " .. type(options.after))
    end
    return handle:subscribe(options.after, replay_count(options.replay))
  end

  local function stream_of(handle, options)
    local sub, why = subscription(handle, options)
    if not sub then return nil, why end
    return sse.subscription(sub)
  end

  -- A stream of the events behind the id `after`; without one the newest `replay` ("all") and what comes. nil,
  -- "unavailable" where the channel has a store that does not say where it is.
  function Channel:subscribe(options)
    local stream, why = stream_of(check_self(self, "subscribe"), options)
    if not stream then return nil, why end
    keep_up(self)
    return stream
  end

  -- What the store has of the newest n events and what has come since.
  local function read_history(handle, n)
    local sub, why = subscription(handle, { replay = n or "all" })
    if not sub then return nil, why end
    local _ <close> = at_end(function() sub:close() end)
    local next_event, list = core.reader(sub), {}
    while true do
      local _, failure = core.replay(sub)
      if failure then return nil, failure end
      if core.waiting(sub) == 0 then return list end
      list[#list + 1] = next_event()
    end
  end

  -- The newest n events, oldest first, as tables. nil, "unavailable" where the channel has a store that does not answer.
  function Channel:history(n)
    local handle = check_self(self, "history")
    if n ~= nil and (math.type(n) ~= "integer" or n < 0) then
      core.raise("channel:history: expected a number of events, got " .. check.shown(n))
    end
    local list = handle:history(n or -1)
    if list then return list end
    return read_history(handle, n)
  end

  -- Subscribers on all workers.
  function Channel:count() return check_self(self, "count"):count() end

  local SNAPSHOT_TRIES = 3

  -- One stream of what fn returns and then the events that came after: fn runs again where one was published
  -- meanwhile. Change what fn reads before you publish the change.
  function Channel:snapshot(fn)
    check_self(self, "snapshot")
    if type(fn) ~= "function" then core.raise("channel:snapshot: expected a function, got " .. type(fn)) end
    local sub, value, why
    local _ <close> = at_end(function() if sub then sub:close() end end)
    for _ = 1, SNAPSHOT_TRIES do
      local newest = self.handle:newest()
      if sub then sub:close() end
      sub, why = subscription(self.handle)
      if not sub then return nil, why end
      value = fn()
      if self.handle:newest() == newest then break end
    end
    if value == nil then core.raise("channel:snapshot: the function returned nil; return the event to start with") end
    local stream = sse.subscription(sub, value)
    sub = nil
    keep_up(self)
    return stream
  end

  -- Makes `id` a member until the returned value is closed; several joins of one id are one member. `join` and `leave`
  -- are events of the channel.
  function Channel:join(id, meta)
    local handle = check_self(self, "join")
    local event, leave, key = { event = "join", json = { id = id, meta = meta } }, { event = "leave", json = { id = id } }, self.key
    return handle:join(id, event, key and key(event), json.encode(meta == nil and json.null or meta), leave, key and key(leave))
  end

  -- All members: a list of { id =, meta = }. nil, "unavailable" where a store that several servers share does not answer.
  function Channel:members()
    local flat, why = check_self(self, "members"):members()
    if not flat then return nil, why end
    local list = json.array {}
    for i = 1, #flat, 2 do
      local meta = json.decode(flat[i + 1])
      list[#list + 1] = { id = flat[i], meta = meta ~= json.null and meta or nil }
    end
    return list
  end

  local Derived = { __name = "derived channel" }
  Derived.__index = Derived

  local function publish_mapped(fn, handle, event, id)
    local mapped = fn(event)
    if mapped ~= nil then assert(handle:publish(mapped, nil, id)) end
  end

  local function log_left_out(self, why)
    local info = debug.getinfo(self.fn, "S")
    core.log.error(("channel:derive: an event is left out by the function at %s:%d: %s"):format(info.short_src,
      info.linedefined, report.logged(why)))
  end

  -- Publishes what fn makes of an event under the event's own id. One that it fails on, or makes no event of, is
  -- left out.
  local function derive_event(self, run, event)
    run.id = event.id -- fn may change the event
    local ok, err = xpcall(publish_mapped, traceback, self.fn, run.handle, event, run.id)
    if not ok then log_left_out(self, err) end
  end

  -- Behind an event: what history had is complete once all of it has been derived and, of a finished source, the end.
  local function advance(run)
    run.handle:skip(run.id)
    run.waiting = run.waiting - 1
    if run.is_loading and run.waiting <= 0 and not core.is_over(run.subscription) then
      run.is_loading = false
      run.loaded:wake()
    end
  end

  local following = {} -- runs of derived channels whose tasks go on, in the order in which they began

  local function forget(run)
    for i = #following, 1, -1 do
      if following[i] == run then table.remove(following, i) end
    end
  end

  -- Its readers come to an end where the source has; where its task has failed, or fell behind, they are cut.
  local function end_run(self, run)
    if run.is_complete then run.handle:finish() else run.handle:fail() end
    forget(run)
    if self.run == run and not (run.is_complete and self.source.handle:is_finished()) then self.run = nil end
    run.is_loading = false
    run.loaded:wake()
  end

  -- A task that has not run yet does not end its run by itself.
  local function stop_run(run)
    run.task:cancel()
    end_run(run.derived, run)
  end

  local follow

  local is_ending = false

  -- Made before its task is: one that starts has no memory of its own for it yet.
  local end_all = at_end(function()
    is_ending = false
    for i = #following, 1, -1 do stop_run(following[i]) end
  end)

  -- A task of its own after a reload: a derived channel goes on for those who read it already. Where it fails, which it
  -- does for lack of memory, none goes on.
  function core.retire()
    local _ <close> = end_all
    is_ending = true
    while #following > 0 do
      for i = #following, 1, -1 do
        local run = following[i]
        run.handle:let_go()
        if not run.is_loading and run.handle:count() == 0 then stop_run(run) end -- else somebody waits for it
      end
      sse.sleep(1)
    end
  end

  local function start_task(self, run)
    if core.is_retired() and not is_ending then core.background(core.retire) end
    run.task = core.background_until(run.on_end, follow, self, run)
    core.notify(run.task.handle, run.loaded)
  end

  -- A function that was stopped at an event has left that one out; true where a task goes on behind it.
  local function go_on(self, run)
    log_left_out(self, "it was stopped (limits.burst)")
    advance(run)
    return pcall(start_task, self, run)
  end

  -- Ends with the source; or because it fell behind, and then the next subscriber starts another.
  function follow(self, run)
    for event in run.next do
      derive_event(self, run, event)
      advance(run)
    end
    run.is_complete = true
  end

  -- A channel of what fn makes of each event (nil leaves it out), made once per event and worker for all its
  -- subscribers. Call it once, not for each request.
  function Channel:derive(fn)
    check_self(self, "derive")
    if type(fn) ~= "function" then core.raise("channel:derive: expected a function, got " .. type(fn)) end
    return setmetatable({ source = self, fn = fn }, Derived)
  end

  local FOLLOW_QUEUE = 65536

  -- With the first subscriber. Nothing has begun where the task cannot start.
  local function start(self)
    local past, why = self.source.handle:subscribe(nil, -1, FOLLOW_QUEUE)
    if not past then return nil, why end
    keep_up(self.source)
    if self.run then past:close() return true end -- begun while this waited
    local run = {
      derived = self, subscription = past, next = core.reader(past), waiting = core.waiting(past), loaded = core.signal(),
      handle = core.derive_channel(self.source.handle, past),
    }
    run.is_loading = run.waiting > 0 or core.is_over(past)
    function run.on_end()
      if not (core.was_stopped() and go_on(self, run)) then end_run(self, run) end
    end
    local ok, err = pcall(start_task, self, run)
    if not ok then
      past:close()
      error(err, 0)
    end
    self.run = run
    following[#following + 1] = run
    return true
  end

  -- Without memory a task may end before it could say so.
  local function is_lost(run) return core.has_ended(run.task.handle) end

  -- Waits until what the source's history has is derived.
  function Derived:subscribe(options)
    if self.run and is_lost(self.run) then end_run(self, self.run) end
    if not self.run then
      local ok, why = start(self)
      if not ok then return nil, why end
    end
    local run = self.run
    while run.is_loading and not is_lost(run) do run.loaded:wait(nil, "channel:subscribe") end
    if run.is_loading then end_run(self, run) end
    if self.run ~= run and not run.is_complete then
      error("channel:subscribe: the task of the derived channel has failed", 0)
    end
    return stream_of(run.handle, options)
  end

  setmetatable(Derived, { __index = Channel })
  function Derived.count(self) return self.run and self.run.handle:count() or 0 end

  require "spate.resumable"(sse, open)

  -- sse.channel.find(name): the channel where there is one, else nil.
  local function find(name)
    local handle = core.find_channel(name)
    return handle and new(handle, nil, name) or nil
  end

  core.Channel = Channel

  return setmetatable({ find = find }, { __call = open })
end
