-- SPDX-License-Identifier: MIT
-- What the page shows, as event streams: each view again and again, and what goes through a channel.
local core = require "spate.core"
local json = require "spate.json"
local query_kinds = require "spate.panel.query"
local reply = require "spate.reply"
local sse = require "spate.sse"
local views = require "spate.panel.views"

local VIEWS_MAX = 4
local LIVE, TAIL = { every = query_kinds.seconds(0.5, 60) }, { replay = query_kinds.whole() }
local BATCH, BATCH_SECONDS, SHOWN, DATA_MAX = 500, 0.25, 50, 16384

local live = {}

local is_public = {}
for _, name in ipairs(views.PUBLIC) do is_public[name] = true end

local function names_of(text)
  local names = {}
  for name in (text or "overview"):gmatch "[^,]+" do
    if not is_public[name] then return nil, ("views: expected some of %s, got '%s'"):format(table.concat(views.PUBLIC, ", "), name) end
    names[#names + 1] = name
  end
  if #names == 0 or #names > VIEWS_MAX then return nil, ("views: expected 1 to %d of them"):format(VIEWS_MAX) end
  return names
end

-- The views that are asked for, and what each is to know, by name; nil and what is wrong with the question.
local function asked(given)
  local names, why = names_of(given.views)
  if not names then return nil, why end
  local queries = {}
  for _, name in ipairs(names) do
    queries[name], why = query_kinds.read(given, views.PARAMETERS[name])
    if not queries[name] then return nil, why end
  end
  return names, queries
end

-- The view as JSON. A channel that is not there is told in its place, since it may come to be.
local function read(name, query, memory)
  local ok, value = pcall(views[name], query, memory)
  if ok then return json.encode(value) end
  local refusal = views.refusal(value)
  if not refusal then error(value, 0) end
  return json.encode { error = refusal }
end

-- An event for each of ?views=, which is named as it, with its JSON, every `every` seconds (1) where that has changed.
function live.views(req)
  local names, queries = asked(req.query)
  if not names then return reply.error(400, queries) end
  local own, why = query_kinds.read(req.query, LIVE)
  if not own then return reply.error(400, why) end
  local every = own.every or 1
  return sse.reply(function(send)
    local memory, sent = {}, {}
    while true do
      for _, name in ipairs(names) do
        local text = read(name, queries[name], memory)
        if text ~= sent[name] then send { event = name, data = text } end
        sent[name] = text
      end
      sse.sleep(every)
    end
  end)
end

-- JSON is UTF-8: what is none becomes U+FFFD, once for each sequence that is broken.
local function as_utf8(text)
  local parts, from = {}, 1
  local length, bad = utf8.len(text)
  while not length do
    parts[#parts + 1] = text:sub(from, bad - 1) .. "\u{FFFD}"
    from = text:match("^[\128-\191]*()", bad + 1)
    length, bad = utf8.len(text, from)
  end
  return table.concat(parts) .. text:sub(from)
end

-- The first bytes, without a part of a character at the end.
local function cut(data)
  local at = utf8.offset(data, 0, DATA_MAX + 1)
  return data:sub(1, (at > DATA_MAX - 3 and at or DATA_MAX + 1) - 1)
end

local function shown(event)
  local data = event.data or ""
  local is_cut = #data > DATA_MAX
  if is_cut then data = cut(data) end
  return { id = event.id, event = event.event and as_utf8(event.event), data = as_utf8(data), bytes = #(event.data or ""), is_cut = is_cut or nil }
end

-- Of what has come within a quarter of a second the newest, so that a busy channel is no load to who looks at it.
local function batch(events)
  local first = math.max(1, #events - SHOWN + 1)
  local list = json.array {}
  for i = first, #events do list[#list + 1] = shown(events[i]) end
  return { event = "events", id = events[#events].id, json = { events = list, skipped = first - 1, time = core.wall() } }
end

-- What goes through the channel ?name=, behind its newest ?replay= (20).
function live.tail(req)
  local own, wrong = query_kinds.read(req.query, TAIL)
  if not own then return reply.error(400, wrong) end
  local channel = views.find_channel(req.query.name or "")
  if not channel then return reply.error(404, "no channel of this name") end
  local stream, why = channel:subscribe { after = req.last_event_id, replay = own.replay or 20 }
  if not stream then return reply.error(503, why) end
  return sse.reply(stream:batch(BATCH, BATCH_SECONDS):map(batch))
end

return live
