-- SPDX-License-Identifier: MIT
-- A stream of numbers and what is made of it, twice: as Lua for an application, and as the values with their times
-- that a client who reads all the time must see. A pipeline is { source, op, op ... }, each a list that begins with
-- its name; the reference below is lists and no coroutine.
local pipeline = {}

local SOURCES = {
  list = function(n)
    local items = {}
    for i = 1, n do items[i] = { at = 0, v = i } end
    return items, 0
  end,
  loop = function(n, pause) -- a function(send) that sleeps
    local items = {}
    for i = 1, n do items[i] = { at = (i - 1) * pause, v = i } end
    return items, n * pause
  end,
  interval = function(period, horizon)
    local items = {}
    for i = 1, math.floor(horizon / period) do items[i] = { at = i * period, v = i } end
    return items, nil
  end,
  never = function() return {}, nil end,
  once = function(v) return { { at = 0, v = v } }, 0 end,
}
SOURCES.iterator, SOURCES.coroutine, SOURCES.wrapped = SOURCES.list, SOURCES.list, SOURCES.loop

function SOURCES.made(period, horizon)
  local items = SOURCES.interval(period, horizon)
  for i, item in ipairs(items) do item.v = i * 10 end
  return items, nil
end

local function kept(items, is_kept)
  local list = {}
  for _, item in ipairs(items) do
    if is_kept(item) then list[#list + 1] = item end
  end
  return list
end

local OPS = {}

function OPS.map(items, ends, k)
  local list = {}
  for i, item in ipairs(items) do list[i] = { at = item.at, v = item.v * k } end
  return list, ends
end

function OPS.filter(items, ends, m) return kept(items, function(item) return item.v % m ~= 0 end), ends end
function OPS.inspect(items, ends) return items, ends end

function OPS.take(items, ends, n)
  if #items < n then return items, ends end
  return table.move(items, 1, n, 1, {}), n == 0 and 0 or items[n].at
end

function OPS.skip(items, ends, n) return table.move(items, n + 1, #items, 1, {}), ends end

function OPS.take_while(items, ends, max)
  for i, item in ipairs(items) do
    if item.v >= max then return table.move(items, 1, i - 1, 1, {}), item.at end
  end
  return items, ends
end

function OPS.start_with(items, ends, v) return table.move(items, 1, #items, 2, { { at = 0, v = v } }), ends end

function OPS.chain(items, ends, n)
  if not ends then return items, ends end
  local list = table.move(items, 1, #items, 1, {})
  for i = 1, n do list[#list + 1] = { at = ends, v = i } end
  return list, ends
end

function OPS.batch(items, ends, n)
  local list, group = {}, {}
  for _, item in ipairs(items) do
    group[#group + 1] = item.v
    if #group == n then
      list[#list + 1] = { at = item.at, v = table.concat(group, ",") }
      group = {}
    end
  end
  if #group > 0 and ends then list[#list + 1] = { at = ends, v = table.concat(group, ",") } end
  return list, ends
end

function OPS.within(items, ends, n, horizon, seconds)
  local list, group, due = {}, {}, nil
  local function emit(at)
    list[#list + 1] = { at = at, v = table.concat(group, ",") }
    group = {}
  end
  for _, item in ipairs(items) do
    if #group > 0 and item.at > due then emit(due) end
    if #group == 0 then due = item.at + seconds end
    group[#group + 1] = item.v
    if #group == n then emit(item.at) end
  end
  if #group > 0 and math.min(ends or due, due) <= horizon then emit(math.min(ends or due, due)) end
  return list, ends
end

function OPS.throttle(items, ends, seconds)
  local next_at = -math.huge
  return kept(items, function(item)
    if item.at < next_at then return false end
    next_at = item.at + seconds
    return true
  end), ends
end

function OPS.debounce(items, ends, seconds, horizon)
  local list = {}
  for i, item in ipairs(items) do
    local following = items[i + 1] and items[i + 1].at or ends or horizon
    if following > item.at + seconds then list[#list + 1] = { at = item.at + seconds, v = item.v }
    elseif not items[i + 1] and ends then list[#list + 1] = { at = ends, v = item.v } end
  end
  return list, ends
end

function OPS.timeout(items, ends, seconds)
  local last = 0
  for i, item in ipairs(items) do
    if item.at > last + seconds then return table.move(items, 1, i - 1, 1, {}), last + seconds end
    last = item.at
  end
  if not ends or ends > last + seconds then return items, last + seconds end
  return items, ends
end

-- What it gives up to `horizon`, as a list of { at = seconds, v = }, and when it ends; nil: not by itself.
function pipeline.evaluate(p, horizon)
  local source = p[1]
  local items, ends = SOURCES[source[1]](source[2] or horizon, source[3] or horizon)
  for i = 2, #p do items, ends = OPS[p[i][1]](items, ends, p[i][2], horizon, p[i][3]) end
  return items, ends
end

local TIMED = { throttle = true, debounce = true, timeout = true, within = true }

-- Whether what it gives depends on when it is read.
function pipeline.is_timed(p)
  for i = 2, #p do
    if TIMED[p[i][1]] then return true end
  end
  return false
end

local CODE = {
  list = "sse.from(numbers(%d))", interval = "sse.interval(%g)", never = "sse.never()",
  loop = "sse.stream(function(send) for i = 1, %d do send(i) sse.sleep(%g) end end)",
  map = ":map(function(v) return v * %d end)", filter = ":filter(function(v) return v %% %d ~= 0 end)",
  inspect = ":inspect(function(v) assert(v) end)", take = ":take(%d)", skip = ":skip(%d)",
  take_while = ":take_while(function(v) return v < %d end)", start_with = ":start_with(%d)", chain = ":chain(sse.from(numbers(%d)))",
  batch = ":batch(%d):map(function(list) return table.concat(list, ',') end)",
  within = ":batch(%d, %g):map(function(list) return table.concat(list, ',') end)", once = "sse.once(%d)", made = "sse.interval(%g, function(n) return n * 10 end)",
  iterator = "sse.from((function() local i, n = 0, %d return function() i = i + 1 return i <= n and i or nil end end)())",
  coroutine = "sse.from(coroutine.create(function() for i = 1, %d do coroutine.yield(i) end end))",
  wrapped = "sse.from(sse.wrap(function() for i = 1, %d do coroutine.yield(i) sse.sleep(%g) end end))",
  throttle = ":throttle(%g)", debounce = ":debounce(%g)", timeout = ":timeout(%g)",
}

-- The same in Lua, each value behind the text that `prefix` is an expression of.
function pipeline.code(p, prefix)
  local parts = {}
  for i, op in ipairs(p) do parts[i] = CODE[op[1]]:format(table.unpack(op, 2)) end
  return table.concat(parts) .. (":map(function(v) return %s .. v end)"):format(prefix)
end

local function period(r) return r:pick { 0.25, 0.5, 1, 1, 2, 5 } end

local function tick_of(source) return (source[1] == "interval" or source[1] == "made") and source[2] or source[3] or 1 end

local function add_ops(r, p, tick)
  for _ = 1, r:int(0, 3) do
    p[#p + 1] = r:weighed {
      { 3, { "map", r:int(2, 3) } }, { 2, { "filter", r:int(2, 3) } }, { 1, { "inspect" } }, { 3, { "take", r:int(0, 6) } },
      { 1, { "skip", r:int(1, 3) } }, { 1, { "take_while", r:int(2, 20) } }, { 1, { "start_with", 0 } }, { 1, { "chain", r:int(1, 3) } },
      { 1, { "throttle", tick * r:pick { 0.6, 2.6 } } }, { 1, { "debounce", tick * r:pick { 0.3, 1.3 } } },
      { 1, { "timeout", tick * r:pick { 0.7, 1.7, 20.3 } } },
    }
  end
end

-- A random one. Times of ops lie between those of ticks, so that nothing depends on which of two timers goes first.
function pipeline.random(r)
  local p = { r:weighed { { 3, { "list", r:chance(20) and 40 or r:int(0, 12) } }, { 3, { "loop", r:int(1, 8), period(r) } }, { 5, { "interval", period(r) } },
    { 1, { "never" } } } }
  add_ops(r, p, tick_of(p[1]))
  if r:chance(15) then p[#p + 1] = { "batch", r:int(1, 4) } end
  return p
end

-- The same, of what pipeline.random has not as well.
function pipeline.random_of_all(r)
  local p = { r:weighed { { 1, { "list", r:int(0, 12) } }, { 2, { "loop", r:int(1, 8), period(r) } }, { 3, { "interval", period(r) } }, { 2, { "made", period(r) } },
    { 1, { "once", r:int(1, 9) } }, { 1, { "iterator", r:int(0, 5) } }, { 1, { "coroutine", r:int(0, 5) } }, { 2, { "wrapped", r:int(1, 8), period(r) } } } }
  local tick = tick_of(p[1])
  add_ops(r, p, tick)
  if r:chance(50) then p[#p + 1] = { "within", r:int(1, 4), tick * r:pick { 0.4, 1.4, 2.4 } } end
  return p
end

return pipeline
