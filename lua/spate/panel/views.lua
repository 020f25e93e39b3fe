-- SPDX-License-Identifier: MIT
-- What the page shows, each part as a table that becomes JSON: views.NAME(query, memory) reads it now. `query` has the values of
-- views.PARAMETERS.NAME, `memory` is a table of whoever reads again and again, for what is told by the second.
local core = require "spate.core"
local json = require "spate.json"
local query_kinds = require "spate.panel.query"
local rates = require "spate.panel.rates"

local PATIENCE = 2 -- seconds for a worker to answer
local ROWS_MAX, ID_MAX = 1000, 23
local UPSTREAMS_SHOWN, MEMBERS_SHOWN = 100, 200

local views = {}

-- Each worker's rows, by its number from 1; false where it has not answered.
local function survey(what)
  local answers = core.survey(what, PATIENCE)
  for i, answer in ipairs(answers) do
    local rows = {}
    for line in (answer or ""):gmatch "[^\n]+" do rows[#rows + 1] = json.decode(line) end
    answers[i] = answer and rows
  end
  return answers
end

local choice, text, whole, yes = query_kinds.choice, query_kinds.text, query_kinds.whole, query_kinds.yes

views.PARAMETERS = {
  overview = {}, history = {}, tasks = {}, upstreams = {}, channel = { name = text(255) }, log = { after = whole() },
  streams = { order = choice("age", "bytes", "events", "queued", "lag"), ascending = yes, tag = text(), text = text(), id = text(ID_MAX),
    limit = whole(ROWS_MAX), offset = whole() },
  channels = { order = choice("name", "subscribers", "events", "bytes"), ascending = yes, text = text(), limit = whole(ROWS_MAX), offset = whole() },
}

local function refuse(why) error(setmetatable({ refused = why }, { __tostring = function() return why end }), 0) end

local function state_of()
  return core.is_draining() and "draining" or core.is_loading() and "loading" or "serving"
end

-- How busy each worker's thread has been since the last time, in `memory`.
local function workers(memory)
  local list, now, before = json.array {}, core.now(), memory.workers or {}
  memory.workers = {}
  for i, rows in ipairs(survey "workers") do
    local row = rows and rows[1] or { is_late = true }
    row.worker = i - 1
    local last = before[i]
    if row.cpu and last and now > last.at then row.busy = math.max(0, row.cpu - last.cpu) / (now - last.at) end
    if row.cpu then memory.workers[i] = { cpu = row.cpu, at = now } end
    list[i] = row
  end
  return list
end

-- State, figures, workers with their generations.
function views.overview(_, memory)
  local sample, stats, process = rates.now()
  return { time = core.wall(), version = core.version, state = state_of(), store = core.store_state(), process = process,
    rates = sample, stats = json.object(stats), workers = workers(memory) }
end

-- The last minutes of what is told by the second.
function views.history() return { samples = rates.history() } end

-- The streams that match, by `order`, and how many there are.
function views.streams(query)
  local list, count = require "spate.streams" (query)
  return { streams = list, count = count }
end

-- Events a second since the last time, by the channels' positions.
local function add_rates(rows, memory)
  local now, before = core.now(), memory.channels or {}
  memory.channels = {}
  for _, row in ipairs(rows) do
    local last = before[row.name]
    if last and now > last.at and row.seq >= last.seq then row.rate = (row.seq - last.seq) / (now - last.at) end
    memory.channels[row.name] = { seq = row.seq, at = now }
  end
end

local function read_channels(order, is_reversed, rows, like, name, skipped)
  local count, rest = core.list_channels(order, is_reversed, rows, like, name, skipped):match "^(%d+)\n(.*)$"
  local list = json.array {}
  for line in rest:gmatch "[^\n]+" do list[#list + 1] = json.decode(line) end
  return list, tonumber(count)
end

-- The channels that match, by `order`, and how many there are. A is the first of names, the largest of numbers.
function views.channels(query, memory)
  local order, ascending = query.order or "name", query.ascending
  local is_reversed = ascending ~= nil and ascending == (order ~= "name")
  local rows, count = read_channels(order, is_reversed, query.limit or 100, query.text or "", "", query.offset)
  add_rates(rows, memory)
  return { channels = rows, count = count, store = core.store_state() }
end

-- The channel of a name that somebody wrote, or nil; what can be no name is none's.
function views.find_channel(name)
  local ok, channel = pcall(require "spate.sse".channel.find, name)
  return ok and channel or nil
end

-- One channel, with who is present in it.
function views.channel(query, memory)
  local name = query.name or ""
  local rows = name ~= "" and read_channels("name", false, 1, "", name) or {}
  if not rows[1] then refuse("no channel of this name") end
  add_rates(rows, memory)
  local channel = views.find_channel(name)
  local members = channel and channel:members() or {}
  return { channel = rows[1], members = json.array(table.move(members, 1, math.min(#members, MEMBERS_SHOWN), 1, {})) }
end

-- At which lines tasks wait, and how many.
function views.tasks()
  local places, tasks, looked = json.array {}, 0, 0
  for i, rows in ipairs(survey "tasks") do
    for n, row in ipairs(rows or {}) do
      if n == 1 then tasks, looked = tasks + row.tasks, looked + row.looked
      else
        row.worker = i - 1
        places[#places + 1] = row
      end
    end
  end
  table.sort(places, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.where .. a.worker < b.where .. b.worker
  end)
  return { tasks = tasks, looked = looked, places = places }
end

local function by_origin(requests)
  local origins, of = json.array {}, {}
  for _, row in ipairs(requests) do
    local name = ("%s://%s:%d"):format(row.is_secure and "https" or "http", row.host, row.port)
    local origin = of[name] or { origin = name, open = 0, answering = 0, oldest = 0, silent = 0 }
    if not of[name] then of[name], origins[#origins + 1] = origin, origin end
    origin.open = origin.open + 1
    origin.answering = origin.answering + (row.status > 0 and 1 or 0)
    origin.oldest, origin.silent = math.max(origin.oldest, row.age), math.max(origin.silent, row.silent)
  end
  table.sort(origins, function(a, b)
    if a.open ~= b.open then return a.open > b.open end
    return a.origin < b.origin
  end)
  return origins
end

-- Requests to other servers that are open, by server and each; and pools.
function views.upstreams()
  local requests = {}
  for i, rows in ipairs(survey "upstreams") do
    for _, row in ipairs(rows or {}) do
      row.worker = i - 1
      requests[#requests + 1] = row
    end
  end
  table.sort(requests, function(a, b) return a.age > b.age end)
  return { origins = by_origin(requests), count = #requests, pools = json.array(core.pools()),
    requests = json.array(table.move(requests, 1, math.min(#requests, UPSTREAMS_SHOWN), 1, {})) }
end

-- The entries of the log behind `after`, which may have several lines, without a terminal's colours; the number of the newest.
function views.log(query, memory)
  local new, newest = core.log_lines(memory.log or query.after or 0)
  memory.log = newest
  local lines = json.array {}
  for line in new:gmatch "([^\0]+)\0" do lines[#lines + 1] = (line:gsub("\27%[[%d;]*m", "")) end
  return { lines = lines, newest = newest }
end

-- The text of an error that says what was asked wrongly; nil of any other.
function views.refusal(err)
  local meta = getmetatable(err)
  return meta and type(err) == "table" and err.refused or nil
end

views.PUBLIC = { "overview", "history", "streams", "channels", "channel", "tasks", "upstreams", "log" }

return views
