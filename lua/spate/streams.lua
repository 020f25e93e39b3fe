-- SPDX-License-Identifier: MIT
-- spate.streams: who is there now, on all workers of this process.
local check = require "spate.check"
local core = require "spate.core"
local json = require "spate.json"

local OPTIONS = { "tag", "text", "id", "order", "ascending", "limit", "offset" }
local ORDERS = { age = true, bytes = true, events = true, queued = true, lag = true }
local KEYS = { age = "age", bytes = "bytes", events = "events", queued = "queued_bytes", lag = "lag" }
local ROWS_MAX, TEXT_MAX, PATIENCE = 1000, 200, 2 -- rows, bytes, seconds

local function text_option(options, name)
  local text = options[name]
  if text == nil then return "" end
  check.text(text, "spate.streams: " .. name)
  if #text > TEXT_MAX or text:find("\0", 1, true) then core.raise(("spate.streams: %s: expected %d bytes at most, without NUL"):format(name, TEXT_MAX)) end
  return text
end

local function count_option(options, name, default)
  local n = options[name]
  if n == nil then return default end
  return check.count(n, "spate.streams: " .. name)
end

-- One worker's rows behind the others'; how many match there.
local function read_answer(answer, worker, rows)
  local matched, rest = answer:match "^(%d+)\n(.*)$"
  for line in rest:gmatch "[^\n]+" do
    local row = assert(json.decode(line))
    row.worker = worker
    rows[#rows + 1] = row
  end
  return tonumber(matched)
end

-- The streams that are open, those that match: { id, age, route, target, remote, tags, events, bytes, queued, queued_bytes,
-- lag, last_id, worker ... }, the oldest first unless `order` and `ascending` say otherwise; and how many match. A worker
-- that does not answer within two seconds is left out.
return function(options)
  options = check.options(options or {}, "spate.streams", OPTIONS)
  local order = options.order or "age"
  if not ORDERS[order] then core.raise('spate.streams: order: expected "age", "bytes", "events", "queued" or "lag"') end
  local limit, offset = count_option(options, "limit", 100), count_option(options, "offset", 0)
  if limit + offset > ROWS_MAX then core.raise(("spate.streams: limit and offset: expected %d together at most, got %d"):format(ROWS_MAX, limit + offset)) end
  local ascending = options.ascending and true or false
  local answers = core.list_streams(PATIENCE, order, ascending, limit + offset, text_option(options, "tag"),
    text_option(options, "text"), text_option(options, "id"))
  local rows, matched, key = {}, 0, KEYS[order]
  for worker, answer in ipairs(answers) do
    if answer then matched = matched + read_answer(answer, worker - 1, rows) end
  end
  table.sort(rows, function(a, b)
    if a[key] == b[key] then return a.id < b.id end
    if ascending then return a[key] < b[key] end
    return a[key] > b[key]
  end)
  return json.array(table.move(rows, offset + 1, math.min(offset + limit, #rows), 1, {})), matched
end
