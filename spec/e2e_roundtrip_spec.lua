-- SPDX-License-Identifier: MIT
-- Nasty events at random through the API and back: by the parser of the specs, that of the HTTP client, and the npm package
-- that most clients in JavaScript stand on. SEED=... runs those of a failure again.
local clients = require "spec.clients"
local helper = require "spec.helper"
local nasty = require "spec.nasty"
local process = require "spec.process"

local json = helper.json
local SEED = tonumber(os.getenv "SEED") or os.time() % 1000000
local COUNT = 2000 -- in each way

local APP = [[
local nasty = dofile "spec/nasty.lua"
local refused, ids

-- By turns: what the API refuses is noted, by the event's number.
local function try(n, fn, ...)
  local ok, id, why = pcall(fn, ...)
  local refusal = not ok and id or why
  if refusal then refused[tostring(n)] = refusal:gsub("[^ -~]", "?") end
  return ok and id
end

local function build(e)
  local event = sse.event()
  for _, name in ipairs { "data", "retry", "event", "comment", "id" } do
    if e[name] then event[name](event, e[name]) end
  end
  return e.json and event:json_data(e.json) or event
end

local ways = {}
function ways.table(send, n, e) try(n, send, e) end
function ways.builder(send, n, e) try(n, function() send(build(e)) end) end

app:get("/send/:way/:seed/:count", function(req)
  local p = req.params
  refused = {}
  return sse.reply(function(send)
    for n, e in ipairs(nasty.events(tonumber(p.seed), tonumber(p.count), req.query.big)) do ways[p.way](send, n, e) end
  end)
end)

app:post("/publish/:seed/:count", function(req)
  refused, ids = {}, json.object {}
  local ch = sse.channel("nasty", { history = 10000, history_bytes = 64 << 20 })
  for n, e in ipairs(nasty.events(tonumber(req.params.seed), tonumber(req.params.count), req.query.big)) do
    e.id = nil
    ids[tostring(n)] = try(n, ch.publish, ch, e) or nil
  end
  ch:finish()
  return ids
end)
app:get("/history", function(req)
  local sub = sse.channel.find("nasty"):subscribe { replay = "all" }
  return sse.reply(req.query.lua and sub:map(function(e) return e end) or sub)
end)
app:get("/refused", function() return json.object(refused) end)
]]

-- All of a response.
local function drained(res)
  for _ = 1, 10000 do
    local body, has_ended = res:body()
    if has_ended then return body end
    res.server:turn()
  end
  error "the stream does not end"
end

-- The events that are to be seen, without those that were refused, each for what it names; ids are those of the
-- server where given.
local function sent(list, refused, ids)
  local rest = {}
  for n, e in ipairs(list) do
    if ids then e.id = nil end
    local faults, message = nasty.faults(e), refused[tostring(n)]
    assert(not faults == not message, ("event %d, seed %d: %s"):format(n, SEED, message or "was not refused"))
    if not faults then
      if ids then e.id = assert(ids[tostring(n)]) end
      e.data = nasty.data(e, json.encode)
      rest[#rest + 1] = e
    else
      local is_named = false
      for name in pairs(faults) do is_named = is_named or message:find(name, 1, true) ~= nil end
      assert(is_named, ("event %d, seed %d: %s"):format(n, SEED, message))
    end
  end
  return rest
end

-- The same lists, without printing megabytes.
local function same(expected, seen)
  for i = 1, math.max(#expected, #seen) do
    local a, b = expected[i] or {}, seen[i] or {}
    for _, name in ipairs { "event", "id", "data", "retry" } do
      if a[name] ~= b[name] then
        error(("event %d of %d and %d, seed %d: %s is %s, expected %s"):format(i, #seen, #expected, SEED, name,
          ("%q"):format(b[name]):sub(1, 200), ("%q"):format(a[name]):sub(1, 200)), 2)
      end
    end
  end
end

-- What spec.helper makes of it: every event but those that are only a comment.
local function raw(list)
  local out = {}
  for _, e in ipairs(list) do
    local retry = e.retry and ("%d"):format(math.floor(e.retry * 1000 + 0.5))
    if e.event or e.id or e.data or retry then out[#out + 1] = { event = e.event, id = e.id, data = e.data, retry = retry } end
  end
  return out
end

-- What is dispatched, with the last id.
local function dispatched(list)
  local out, id = {}, ""
  for _, e in ipairs(list) do
    id = e.id or id
    if e.data then out[#out + 1] = { event = e.event and e.event ~= "" and e.event or "message", id = id, data = e.data } end
  end
  return out
end

-- What eventsource-parser dispatches, with the event's own id.
local function messages(list)
  local out = {}
  for _, e in ipairs(list) do
    if e.data then out[#out + 1] = { event = e.event ~= "" and e.event or nil, id = e.id, data = e.data } end
  end
  return out
end

local function by_client(bytes)
  local pieces = {}
  for at = 1, #bytes, 4093 do pieces[#pieces + 1] = bytes:sub(at, at + 4092) end
  return assert(helper.harness.parse_events(pieces)).events
end

-- The lists of events that parse.mjs prints.
local function by_npm(bytes, how)
  local path = os.tmpname()
  process.write_file(path, bytes)
  local pipe = assert(io.popen(("env -u LD_PRELOAD timeout -s KILL 30 node %s/parse.mjs %s %s"):format(
    process.quote(clients.FOLDER), path, how)))
  local output, lists, list, at = pipe:read "a", {}, {}, 1
  assert(pipe:close())
  os.remove(path)
  local function take()
    local value
    value, at = string.unpack("<s4", output, at)
    return value
  end
  while at <= #output do
    local event = take()
    if event == "\0\0" then
      lists[#lists + 1], list = list, {}
    else
      local id = take()
      list[#list + 1] = { event = event ~= "\0" and event or nil, id = id ~= "\0" and id or nil, data = take() }
    end
  end
  return lists
end

local has_clients = clients.are_installed "spec/e2e_roundtrip_spec.lua"
local MISSING = "but for eventsource-parser, which is not installed"

-- By UTF-8 what is none of it comes as U+FFFD.
local function same_text(expected, seen)
  assert.equal(#expected, #seen)
  local a, b = {}, {}
  for i, e in ipairs(expected) do
    if utf8.len(e.data .. (e.id or "") .. (e.event or "")) then a[#a + 1], b[#b + 1] = e, seen[i] end
  end
  assert.is_true(#a > #expected / 3)
  same(a, b)
end

describe(("nasty events, seed %d,"):format(SEED), function()
  local server

  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  local function comes_back(res, list)
    local bytes = drained(res)
    same(raw(list), (res:events()))
    same(dispatched(list), by_client(bytes))
    if not has_clients then return end
    local lists = by_npm(bytes, SEED % 1000 + 1)
    same(messages(list), lists[1])
    same_text(messages(list), lists[2])
  end

  for _, way in ipairs { "table", "builder" } do
    it("come back as sent by a " .. way .. ", or are refused for the field at fault", function()
      local res = server:get(("/send/%s/%d/%d?big=1"):format(way, SEED, COUNT))
      drained(res)
      comes_back(res, sent(nasty.events(SEED, COUNT, true), server:get("/refused"):json()))
      assert.equal("", (server:log():gsub("[^\n]* info [^\n]*\n", "")))
      if not has_clients then pending(MISSING) end
    end)
  end

  it("come back as published, from the history and through Lua", function()
    local res = server:post(("/publish/%d/%d?big=1"):format(SEED, COUNT))
    assert.equal(200, res:status(), server:log())
    local ids = res:json()
    local list = sent(nasty.events(SEED, COUNT, true), server:get("/refused"):json(), ids)
    comes_back(server:get "/history", list)
    res = server:get "/history?lua=1"
    drained(res)
    for _, e in ipairs(list) do e.retry = e.retry and math.floor(e.retry * 1000 + 0.5) / 1000 end
    comes_back(res, list)
    if not has_clients then pending(MISSING) end
  end)

  it("of a stream that is cut anywhere are those of the whole as far as it goes", function()
    local bytes = drained(server:get(("/send/table/%d/40"):format(SEED)))
    assert.is_true(#bytes > 300)
    local whole = messages(sent(nasty.events(SEED, 40), server:get("/refused"):json()))
    local all, before = dispatched(sent(nasty.events(SEED, 40), server:get("/refused"):json())), 0
    for n = 0, #bytes do
      local seen = by_client(bytes:sub(1, n))
      assert.is_true(#seen == before or #seen == before + 1)
      before = #seen
      same({ table.unpack(all, 1, #seen) }, seen)
    end
    assert.equal(#all, before)
    if not has_clients then pending(MISSING) end
    local lists = by_npm(bytes, "cuts")
    assert.equal(2 * (#bytes + 1), #lists)
    for i = 1, #lists, 2 do
      same({ table.unpack(whole, 1, #lists[i]) }, lists[i])
      same(whole, lists[i + 1])
    end
    assert.equal(#whole, #lists[#lists - 1])
  end)
end)
