-- SPDX-License-Identifier: MIT
-- What spate top shows: each view asks the admin listener one thing and makes lines of the answer. They are numbered as the
-- inspector's page has them.
local UNITS = { "", "k", "M", "G", "T" }

local screen_views = {}

-- A number in five places at most.
local function short(n)
  local unit = 1
  while n >= 9999.5 and unit < #UNITS do n, unit = n / 1000, unit + 1 end
  if n ~= n // 1 and n < 99.95 then return ("%.1f%s"):format(n, UNITS[unit]) end
  return ("%.0f%s"):format(n, UNITS[unit])
end

local function age(seconds)
  if seconds < 100 then return ("%.0fs"):format(seconds) end
  if seconds < 6000 then return ("%.0fm"):format(seconds // 60) end
  if seconds < 360000 then return ("%.0fh"):format(seconds // 3600) end
  return ("%.0fd"):format(seconds // 86400)
end

-- Clients name targets and tags, and scripts write the log: a terminal would obey what is no text.
local function printable(text) return (tostring(text):gsub("[%c\127-\255]", "?")) end

-- The changes of a number a second, since the last look; nil at the first.
local function rate(now, before, seconds) return before and seconds > 0 and now >= before and (now - before) / seconds or nil end

local function count_of(list, what, sort, ascending, offset)
  local at = offset > 0 and (", from %d on"):format(offset + 1) or ""
  return ("%d %s by %s%s%s"):format(list.count or 0, what, sort, ascending and ", least first" or "", at)
end

local function paged(path)
  return function(s, rows)
    return ("%s?order=%s&limit=%d&offset=%d%s"):format(path, s.sort, rows, s.offset, s.ascending and "&ascending=1" or "")
  end
end

local STREAM = "%5s %6s %7s %6s %6s  %-21s %-4s %s"
local streams = {
  name = "streams", default = "lag", sorts = { a = "age", l = "lag", u = "queued", e = "events", b = "bytes" }, is_paged = true,
  keys = "sort: a age  l lag  u queued  e events  b bytes", path = paged "/api/streams",
}

function streams.lines(value, s)
  local head = STREAM:format("AGE", "LAG", "QUEUED", "EVENTS", "BYTES", "REMOTE", "", "TARGET  [TAGS]")
  local lines = { count_of(value, "streams", s.sort, s.ascending, s.offset), head }
  for _, stream in ipairs(value.streams or {}) do
    local tags = type(stream.tags) == "table" and #stream.tags > 0 and "  [" .. table.concat(stream.tags, " ") .. "]" or ""
    lines[#lines + 1] = STREAM:format(age(stream.age or 0), ("%.1fs"):format(stream.lag or 0), short(stream.queued_bytes or 0),
      short(stream.events or 0), short(stream.bytes or 0), printable(stream.remote or ""), ("w%s"):format(stream.worker or "?"),
      printable((stream.target or stream.route or "") .. tags))
  end
  return lines
end

local CHANNEL = "%7s %7s %7s %7s %7s  %-8s %s"
local channels = {
  name = "channels", default = "subscribers", sorts = { u = "subscribers", e = "events", b = "bytes", a = "name" }, is_paged = true,
  keys = "sort: u subscribers  e events  b bytes  a name", path = paged "/api/channels",
}

function channels.lines(value, s, seconds, before)
  local title = CHANNEL:format("READERS", "MEMBERS", "EVENT/S", "EVENTS", "BYTES", "STATE", "NAME")
  local lines = { count_of(value, "channels", s.sort, s.ascending, s.offset), title }
  local last = {}
  for _, c in ipairs(before and before.channels or {}) do last[c.name] = c.seq end
  for _, c in ipairs(value.channels or {}) do
    local published = rate(c.seq or 0, last[c.name], seconds)
    lines[#lines + 1] = CHANNEL:format(short((c.subscribers or 0) + (c.elsewhere or 0)), short(c.members or 0), published and short(published) or "-",
      short(c.events or 0), short(c.bytes or 0), printable(c.state or ""), printable(c.name or ""))
  end
  return lines
end

local TASK = "%7s %-8s %-4s %4s  %-34s %s"
local tasks = { name = "tasks", path = function() return "/api/tasks" end }

function tasks.lines(value)
  local more = (value.looked or 0) < (value.tasks or 0) and (", where the first %d wait"):format(value.looked) or ""
  local lines = { ("%d tasks%s"):format(value.tasks or 0, more), TASK:format("TASKS", "STATE", "", "CODE", "WHERE", "OF") }
  for _, place in ipairs(value.places or {}) do
    local where = place.where ~= "" and place.where or "in the library"
    lines[#lines + 1] = TASK:format(short(place.count or 0), printable(place.state or ""), ("w%s"):format(place.worker or "?"),
      tostring(place.generation or "?"), printable(where), printable(place.route ~= "" and place.route or place.kind or ""))
  end
  return lines
end

local WORKER = "%6s %6s %8s %8s %9s %9s %7s %6s %6s"
local overview = { name = "overview", path = function() return "/api/overview" end }

local function generations_of(worker)
  local list = {}
  for _, g in ipairs(worker.generations or {}) do
    local number = g.number .. (g.is_served and " (served)" or "")
    list[#list + 1] = ("worker %s  generation %s  %s streams  %s requests  %s tasks  Lua %sB"):format(worker.worker, number, short(g.streams),
      short(g.requests), short(g.tasks), short(g.lua_bytes))
  end
  return list
end

function overview.lines(value, _, seconds, before)
  local lines = { ("%s, %d workers"):format(printable(value.state or "?"), #(value.workers or {})),
    WORKER:format("WORKER", "BUSY", "CONNECTS", "STREAMS", "REQUESTS", "EVENTS", "BYTES", "SLOW", "HELD") }
  local below = {}
  for i, w in ipairs(value.workers or {}) do
    local last = before and before.workers and before.workers[i] or {}
    local busy = w.cpu and rate(w.cpu, last.cpu, seconds)
    lines[#lines + 1] = w.is_late and ("%6s  does not answer"):format(w.worker)
      or WORKER:format(w.worker, busy and ("%.0f %%"):format(busy * 100) or "-", short(w.connections), short(w.streams), short(w.requests), short(w.events),
        short(w.bytes), short(w.slow), short(w.long_turns))
    table.move(generations_of(w), 1, 100, #below + 1, below)
  end
  return table.move(below, 1, #below, #lines + 1, lines)
end

local UPSTREAM, POOL = "%6s %9s %7s %7s  %s", "%6s %9s %7s %7s  pool %s"
local upstreams = { name = "upstreams", path = function() return "/api/upstreams" end }

function upstreams.lines(value)
  local lines = { ("%d requests to other servers"):format(value.count or 0), UPSTREAM:format("OPEN", "ANSWERING", "OLDEST", "SILENT", "SERVER") }
  for _, o in ipairs(value.origins or {}) do
    lines[#lines + 1] = UPSTREAM:format(short(o.open), short(o.answering), age(o.oldest), age(o.silent), printable(o.origin))
  end
  lines[#lines + 1] = POOL:format("IN USE", "IDLE", "WAITING", "LIMIT", "")
  for _, p in ipairs(value.pools or {}) do
    lines[#lines + 1] = POOL:format(short(p.in_use), short(p.idle), short(p.waiting), short(p.limit), printable(p.name))
  end
  return lines
end

local log = { name = "log", path = function() return "/api/log" end, is_tail = true }

-- The newest at the end, as many as there is room for.
function log.lines(value, s)
  local all = {}
  for _, entry in ipairs(value.lines or {}) do
    for line in (entry .. "\n"):gmatch "(.-)\n" do all[#all + 1] = printable((line:gsub("\t", "  "))) end
  end
  local room = s.rows - s.above - 2
  return table.move(all, math.max(1, #all - room + 2), #all, 2, { "the log" })
end

screen_views.list = { overview, streams, channels, tasks, upstreams, log }
screen_views.short, screen_views.printable = short, printable

-- The view of this name; else the names of all.
function screen_views.find(name)
  local names = {}
  for i, view in ipairs(screen_views.list) do
    if view.name == name then return view end
    names[i] = view.name
  end
  return nil, names
end

return screen_views
