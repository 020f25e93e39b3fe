-- SPDX-License-Identifier: MIT
-- What the page shows, each part as a table that becomes JSON: views.NAME(query, memory) reads it now. `memory` is a table
-- of whoever reads again and again, for what is told by the second.
local core = require "spate.core"
local json = require "spate.json"
local rates = require "spate.panel.rates"

local PATIENCE = 2 -- seconds for a worker to answer
local ROWS_MAX, TEXT_MAX = 1000, 200
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

local function refuse(text) error(setmetatable({ refused = text }, { __tostring = function() return text end }), 0) end

local function whole(query, name, default)
  local text = query[name]
  if text == nil or text == "" then return default end
  local n = math.tointeger(tonumber(text))
  if not n or n < 0 then refuse(("%s: expected a whole number of 0 or more"):format(name)) end
  return n
end

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

local STREAM_QUERY = { order = tostring, tag = tostring, text = tostring, id = tostring, limit = math.tointeger, offset = math.tointeger }

-- The streams that match, by `order`, and how many there are.
function views.streams(query)
  local options = { ascending = query.ascending == "1" or nil }
  for name, convert in pairs(STREAM_QUERY) do
    local value = query[name]
    if value and value ~= "" then options[name] = convert == tostring and value or convert(value) end
  end
  local ok, list, count = pcall(require "spate.streams", options)
  if not ok then refuse((tostring(list):gsub("^[^:]*:%d+: ", ""))) end
  return { streams = list, count = count }
end

local CHANNEL_ORDERS = { name = true, subscribers = true, events = true, bytes = true }

local function text_of(query, name)
  local text = query[name] or ""
  if #text > TEXT_MAX then refuse(("%s: expected %d bytes at most"):format(name, TEXT_MAX)) end
  return text
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

local function read_channels(order, is_reversed, rows, text, name)
  local count, rest = core.list_channels(order, is_reversed, rows, text, name):match "^(%d+)\n(.*)$"
  local list = {}
  for line in rest:gmatch "[^\n]+" do list[#list + 1] = json.decode(line) end
  return list, tonumber(count)
end

-- The channels that match, by `order`, and how many there are.
function views.channels(query, memory)
  local order = query.order and query.order ~= "" and query.order or "name"
  if not CHANNEL_ORDERS[order] then refuse 'order: expected "name", "subscribers", "events" or "bytes"' end
  local limit, offset = whole(query, "limit", 100), whole(query, "offset", 0)
  if limit + offset > ROWS_MAX then refuse(("limit and offset: expected %d together at most"):format(ROWS_MAX)) end
  local rows, count = read_channels(order, query.ascending == "1" and order ~= "name" or query.ascending == "0" and order == "name",
    limit + offset, text_of(query, "text"), "")
  rows = table.move(rows, offset + 1, math.min(offset + limit, #rows), 1, {})
  add_rates(rows, memory)
  return { channels = json.array(rows), count = count, store = core.store_state() }
end

-- One channel, with who is present in it.
function views.channel(query, memory)
  local name = query.name or ""
  local rows = name ~= "" and read_channels("name", false, 1, "", name) or {}
  if not rows[1] then refuse("no channel of this name") end
  add_rates(rows, memory)
  local channel = require "spate.sse".channel.find(name)
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

-- Requests to other servers that are open, by server and each.
function views.upstreams()
  local requests = {}
  for i, rows in ipairs(survey "upstreams") do
    for _, row in ipairs(rows or {}) do
      row.worker = i - 1
      requests[#requests + 1] = row
    end
  end
  table.sort(requests, function(a, b) return a.age > b.age end)
  return { origins = by_origin(requests), count = #requests,
    requests = json.array(table.move(requests, 1, math.min(#requests, UPSTREAMS_SHOWN), 1, {})) }
end

-- The lines of the log behind `after`, without a terminal's colours; the number of the newest.
function views.log(query, memory)
  local text, newest = core.log_lines(memory.log or whole(query, "after", 0))
  memory.log = newest
  local lines = json.array {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = (line:gsub("\27%[[%d;]*m", "")) end
  return { lines = lines, newest = newest }
end

-- The text of an error that says what was asked wrongly; nil of any other.
function views.refusal(err)
  local meta = getmetatable(err)
  return meta and type(err) == "table" and err.refused or nil
end

views.PUBLIC = { "overview", "history", "streams", "channels", "channel", "tasks", "upstreams", "log" }

return views
