-- SPDX-License-Identifier: MIT
-- sse.resumable(key, fn, options): the stream of a producer that outlives its connection. The first request starts
-- fn(send); whoever comes back with Last-Event-ID goes on where it was. Without a reader for `linger` seconds (30),
-- or `ttl` seconds (60) after its end, it is dropped. With { store = true } it is kept in the store; where several machines share that,
-- one of them runs the producer and says so again and again in a dictionary there (a claim), and the others follow.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"

local OPTIONS = { "linger", "ttl", "after", "history", "store" }
local DAY = 24 * 60 * 60
local EARLY = 1e-6 -- what two sums of times may differ by
local CLAIM = 15   -- seconds for which others go by a claim

local function traceback(err) return core.traceback(tostring(err)) end

return function(sse, open)
  local function drop(channel, task)
    if task then task:cancel() end
    core.remove_channel(channel.handle)
  end

  -- Waits until nobody has read for `linger` seconds, or until `ttl` seconds after the end.
  local function watch(channel, task, linger, ttl)
    while not task.done do
      channel.handle:let_go()
      local lonely = channel.handle:lonely()
      if lonely and lonely >= linger - EARLY then return end
      task.ended:wait(lonely and linger - lonely or math.max(linger, 0.05))
    end
    task.ended:wait(ttl) -- a sleep would count from when the wait before it was due, which may be long ago
  end

  -- One that is kept outlives the end of the process, which ends this too.
  local function watch_until_dropped(channel, task, linger, ttl, is_kept)
    local is_over = false
    local watcher = core.background_until(function()
      if is_over or not is_kept then drop(channel, task) end
    end, function()
      if task then watch(channel, task, linger, ttl) else sse.sleep(ttl) end
      is_over = true
    end)
    if not is_kept then core.tie_channel(channel.handle, watcher.handle) end
  end

  local function seconds(options, name, default)
    local value = options[name]
    if value == nil then return default end
    if type(value) ~= "number" or not (value >= 0 and value <= 1e9) then
      core.raise(("sse.resumable: %s: expected seconds, got %s"):format(name, check.shown(value)))
    end
    return value
  end

  -- One that is kept and has not come to its end is not finished: another process begins anew.
  local function produce(channel, fn, is_kept)
    local has_failed, has_ended = false, false
    local _ <close> = at_end(function()
      if is_kept and not has_ended and not core.was_stopped() then return end
      if has_failed or core.was_stopped() then channel:publish { event = "error", data = "the producer failed" } end
      channel:finish()
    end)
    local function send(event)
      local id, why = channel:publish(event)
      return id and true, why
    end
    local ok, err = xpcall(fn, traceback, send)
    has_failed, has_ended = not ok, true
    if has_failed then core.log.error(report.logged(err)) end
  end

  -- In memory, or in the store: there it is forgotten a day after it should have been, should the process end before.
  local function open_resumable(key, options, ttl)
    local is_kept = options.store or false
    return open(nil, "resumable:" .. key, { history = options.history or 10000, ttl = is_kept and ttl + DAY or 0, store = is_kept })
  end

  -- What a process that has ended has left: "finished", "interrupted", or nil.
  local function left_of(channel)
    if channel.handle:is_finished() then return "finished" end
    return not channel.handle:newest():find "%-0$" and "interrupted" or nil
  end

  local ME = core.hex(core.random(8))

  -- Whether this process has the producer now, from now on or still; nil: the store does not answer.
  local function claim(claims, key)
    local mine, why = claims:cas(key, ME, ME, { ttl = CLAIM })
    if mine == false then mine, why = claims:add(key, ME, { ttl = CLAIM }) end
    return mine, why
  end

  -- Nobody has it any more; or this process alone has not, as another has begun it anew.
  local function drop_of_nodes(channel, claims, key, task)
    if task then task:cancel() end
    if claim(claims, key) ~= true then return core.forget_channel(channel.handle) end
    channel:finish() -- before anybody else may begin it
    drop(channel)
    claims:delete(key)
  end

  -- Until the producer's end. Readers elsewhere count, as of some seconds ago. True where it has come to its end under this process.
  local function follow_producer(channel, claims, key, task, linger)
    local heard_at = core.now()
    while not channel.handle:is_finished() do
      if not task and core.now() > heard_at + CLAIM / 2 then -- the store was away: who runs the producer says so first
        sse.sleep(CLAIM)
        heard_at = core.now()
      end
      channel.handle:let_go()
      local lonely = channel.handle:lonely() or 0
      if task and lonely >= linger - EARLY and channel:count() == 0 then return false end
      local asked_at = core.now()
      local is_mine = claim(claims, key)
      if not task and is_mine and core.now() > asked_at + CLAIM / 2 then -- what had waited for the store came through
        claims:delete(key)
        is_mine = nil
      end
      if is_mine ~= nil then heard_at = core.now() end
      if task and is_mine == false then -- it was taken for dead: it follows whoever begins anew
        task:cancel()
        task = nil
      end
      if not task and is_mine then return false end -- who ran it has died: whoever comes back begins it anew
      local pause = lonely > 0 and math.max(linger - lonely, 0.05) or CLAIM / 3
      if task and not task.done then task.ended:wait(math.min(pause, CLAIM / 3)) else sse.sleep(CLAIM / 3) end
    end
    return task ~= nil
  end

  local whole = {} -- keys whose channel has come to its end here, and was not ended as its producer was gone

  -- What another has ended may be whole, or dropped: the store knows.
  local function watch_of_nodes(channel, claims, key, task, linger, ttl)
    whole[key] = channel.handle:is_finished() or follow_producer(channel, claims, key, task, linger) or nil
    local _ <close> = at_end(function() whole[key] = nil end)
    if whole[key] then
      sse.sleep(ttl)
    elseif channel.handle:is_finished() then
      return core.forget_channel(channel.handle)
    end
    drop_of_nodes(channel, claims, key, task)
  end

  -- The stream of one that this process has not met yet, on a store of several machines.
  local function begin_of_nodes(channel, claims, key, fn, options, linger, ttl)
    local has_begun = false
    local _ <close> = at_end(function()
      if not has_begun then core.forget_channel(channel.handle) end
    end)
    local how = { after = options.after, replay = "all" }
    local stream, why = channel:subscribe(how)
    if not stream then return nil, why end
    local left, is_mine, task = left_of(channel), nil, nil
    if left ~= "finished" then is_mine, why = claim(claims, key) end
    if left ~= "finished" and is_mine == nil then return nil, why end
    if is_mine and left == "interrupted" then
      stream:close()
      channel:finish()
      drop(channel)
      channel, why = open_resumable(key, options, ttl)
      if not channel then return nil, why end
      stream, why = channel:subscribe(how)
      if not stream then return nil, why end
    end
    if is_mine then task = core.background(produce, channel, fn, true) end
    core.background(watch_of_nodes, channel, claims, key, task, linger, ttl)
    has_begun = true
    return stream
  end

  function sse.resumable(key, fn, options)
    if type(key) ~= "string" then core.raise("sse.resumable: expected a key as a string, got " .. type(key)) end
    if type(fn) ~= "function" then core.raise("sse.resumable: expected a function, got " .. type(fn)) end
    options = check.options(options or {}, "sse.resumable", OPTIONS)
    local linger, ttl = seconds(options, "linger", 30), seconds(options, "ttl", 60)
    if options.store ~= nil and type(options.store) ~= "boolean" then
      core.raise("sse.resumable: store: expected true or false, got " .. tostring(options.store))
    end
    local channel, created, task
    local has_begun = true
    local _ <close> = at_end(function()
      if channel and not has_begun then drop(channel, task) end
    end)
    channel, created = open_resumable(key, options, ttl)
    if not channel then return nil, created end
    local claims = options.store and core.dictionary_of_nodes "spate resumable"
    if claims and not created and channel.handle:is_finished() and not whole[key] then
      core.forget_channel(channel.handle)
      channel, created = open_resumable(key, options, ttl)
      if not channel then return nil, created end
    end
    if claims and created then return begin_of_nodes(channel, claims, key, fn, options, linger, ttl) end
    has_begun = not created
    if created and not options.store then core.tie_channel(channel.handle) end -- without memory nothing here may be able to drop it
    local stream, why = channel:subscribe { after = options.after, replay = "all" }
    if not stream then return nil, why end
    local left = created and left_of(channel)
    if left == "interrupted" then -- it begins anew: who has some of it is told
      drop(channel)
      left = nil
      channel, created = open_resumable(key, options, ttl)
      if not channel then return nil, created end
      stream, why = channel:subscribe { after = options.after, replay = "all" }
      if not stream then return nil, why end
    end
    if created then
      task = not left and core.background(produce, channel, fn, options.store)
      watch_until_dropped(channel, task, linger, ttl, options.store)
      has_begun = true
    end
    return stream
  end
end
