-- SPDX-License-Identifier: MIT
-- spate.streams: who is there now, on all workers of this process.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"

local OPTIONS = { "tag", "text", "id", "order", "ascending", "limit", "offset" }
local ORDERS = { age = true, bytes = true, events = true, queued = true, lag = true }
local ROWS_MAX, OFFSET_MAX, TEXT_MAX, PATIENCE = 1000, 1000000000, 200, 2 -- rows, rows, bytes, seconds

local function text_option(options, name)
  local text = options[name]
  if text == nil then return "" end
  check.text(text, "spate.streams: " .. name)
  if #text > TEXT_MAX or text:find("\0", 1, true) then core.raise(("spate.streams: %s: expected %d bytes at most, without NUL"):format(name, TEXT_MAX)) end
  return text
end

local function count_option(options, name, default, most)
  local n = options[name]
  if n == nil then return default end
  if check.count(n, "spate.streams: " .. name) > most then core.raise(("spate.streams: %s: expected %d at most, got %d"):format(name, most, n)) end
  return n
end

-- One worker's rows behind the others', with where they stand; how many match there.
local function read_answer(answer, worker, rows)
  local matched, rest = answer:match "^(%d+)\n(.*)$"
  for key, id, line in rest:gmatch "(%S+) (%d+) ([^\n]+)" do
    local row = assert(json.decode(line))
    row.worker = worker
    rows[#rows + 1] = { key = tonumber(key), id = tonumber(id), row = row }
  end
  return tonumber(matched)
end

local function before(a, b, ascending)
  if a.key ~= b.key then return (a.key < b.key) == ascending end
  return math.ult(a.id, b.id)
end

-- The worker's next place.
local function step(list)
  if list.at > #list.text then return false end
  list.key, list.id, list.at = ("=dj"):unpack(list.text, list.at)
  return true
end

-- Where the stream behind the first `offset` of all workers stands: key and id; nil where there are no more, and how many match.
local function place_behind(offset, answers, ascending)
  local lists, matched = {}, 0
  for _, answer in ipairs(answers) do
    local count, at = (answer or "0\n"):match "^(%d+)\n()"
    local list = { text = answer or "", at = at }
    matched = matched + tonumber(count)
    if answer and step(list) then lists[#lists + 1] = list end
  end
  for n = 0, offset do
    local first
    for i, list in ipairs(lists) do
      if not first or before(list, lists[first], ascending) then first = i end
    end
    if not first then return nil, matched end
    local list = lists[first]
    if n == offset then return list.key, list.id end
    if not step(list) then table.remove(lists, first) end
  end
end

-- The streams that are open, those that match: { id, age, route, target, remote, tags, events, bytes, queued, queued_bytes,
-- lag, last_id, worker ... }, the oldest first unless `order` and `ascending` say otherwise; and how many match. A worker
-- that does not answer within two seconds is left out. Behind an offset each worker is asked twice: where its first ones stand,
-- and for those from there on where the offset is among all.
return function(options)
  options = check.options(options or {}, "spate.streams", OPTIONS)
  local order = options.order or "age"
  if not ORDERS[order] then core.raise('spate.streams: order: expected "age", "bytes", "events", "queued" or "lag"') end
  local limit, offset = count_option(options, "limit", 100, ROWS_MAX), count_option(options, "offset", 0, OFFSET_MAX)
  local ascending = options.ascending and true or false
  local tag, text, id = text_option(options, "tag"), text_option(options, "text"), text_option(options, "id")
  local first_key, first_id
  if offset > 0 then
    local answers = core.list_stream_places(PATIENCE, order, ascending, offset + 1, tag, text, id)
    first_key, first_id = place_behind(offset, answers, ascending)
    if not first_key then return json.array {}, first_id end
  end
  local places, matched = {}, 0
  for worker, answer in ipairs(core.list_streams(PATIENCE, order, ascending, limit, tag, text, id, first_key, first_id)) do
    if answer then matched = matched + read_answer(answer, worker - 1, places) end
  end
  table.sort(places, function(a, b) return before(a, b, ascending) end)
  local rows = json.array {}
  for i = 1, math.min(limit, #places) do rows[i] = places[i].row end
  return rows, matched
end
