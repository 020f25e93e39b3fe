-- SPDX-License-Identifier: MIT
-- What one piece of work costs the program, in instructions outside the kernel: it runs under callgrind in time of its own
-- (virtual_time.c), so a path is the same to the instruction, but for what the hashes of Lua's strings begin from.
local process = require "spec.process"
local socket = require "socket"

process.SECONDS = 60 -- callgrind takes its time, more so on a busy machine

local STREAMS, PERIOD, WARM, TICKS = 500, 0.1, 20, 60
local CONNECTIONS, ROUNDS = 64, 96 -- in which the collector ends several cycles

local Server = {}
Server.__index = Server

local function start(source, settings)
  local directory = process.enter()
  local shared = directory .. "/time"
  process.write_file(shared, ("d"):rep(6):pack(0, 0, 0, 0, 0, 0))
  local lib = process.preload("virtual_time", process.read_file "spec/instructions/virtual_time.c")
  local out = os.getenv "CALLGRIND_OUT" or "/dev/null"
  local self = setmetatable({ shared = assert(io.open(shared, "r+b")) }, Server)
  self.shared:setvbuf "no"
  self.process = process.serve(source, { settings = settings, environment = lib .. " VIRTUAL_TIME=" .. shared,
    wrapper = "valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file=" .. out })
  return self
end

local FIELDS = { until_time = 0, counts = 1, holds = 2, now = 3, has_counted = 4, is_held = 5 }

function Server:set(field, value)
  assert(self.shared:seek("set", 8 * FIELDS[field]))
  assert(self.shared:write(("d"):pack(value)))
end

-- Sets what is asked for, and waits until it is so.
function Server:ask(field, value, answer)
  self:set(field, value)
  local deadline = socket.gettime() + process.SECONDS
  repeat
    socket.sleep(0.0002)
    self.shared:seek("set", 8 * FIELDS[answer])
    if ("d"):unpack(assert(self.shared:read(8))) == value then return end
  until socket.gettime() > deadline
  error("waited in vain for " .. answer)
end

function Server:count(whether) self:ask("counts", whether and 1 or 0, "has_counted") end

function Server:pass(seconds) self:ask("until_time", seconds, "now") end

function Server:hold(whether) self:ask("holds", whether and 1 or 0, "is_held") end

-- The end of it, for which its streams take their time: what was counted.
function Server:counted()
  self:set("until_time", 1e6)
  self.process:stop()
  local n = tonumber(self.process:stderr():match "Collected : (%d+)")
  process.leave()
  return n
end

-- Streams that begin one after the other, as far as a tenth of their period.
local function connect(self, target)
  local clients = {}
  for i = 1, STREAMS do
    self:pass(i * PERIOD / 10 / STREAMS)
    clients[i] = self.process:ask(target)
    process.read_head(clients[i])
  end
  return clients
end

-- How many events have come, of what was sent while they were counted.
local function events_of(client, count)
  local bytes = process.read_until(client, ("data: %d\n\n"):format(count))
  return select(2, bytes:gsub("\n\n", ""))
end

-- Per event of one of the streams that `source` answers with at "/".
local function per_event(source, expected)
  local self = start(source, "{ log = { access = false } }")
  local clients = connect(self, "/")
  self:pass((WARM + 0.5) * PERIOD)
  self:count(true)
  self:pass((WARM + TICKS + 0.5) * PERIOD)
  self:count(false)
  for _, client in ipairs(clients) do assert(events_of(client, expected) == expected) end
  return self:counted() / (STREAMS * TICKS)
end

local HELLO = [[app:get("/hello", function(req) return "hello " .. (req.query.name or "world") end)]]

-- Per answer; each turn brings as many requests as there are connections.
local function per_answer(settings)
  local self = start(HELLO .. "\n", settings)
  local clients = {}
  for i = 1, CONNECTIONS do clients[i] = self.process:connect() end
  local function round()
    self:hold(true)
    for _, client in ipairs(clients) do assert(client:send "GET /hello?name=bench HTTP/1.1\r\nHost: localhost\r\n\r\n") end
    self:hold(false)
    for _, client in ipairs(clients) do process.read_until(client, "hello bench") end
  end
  for _ = 1, 4 do round() end
  self:count(true)
  for _ = 1, ROUNDS do round() end
  self:count(false)
  for _, client in ipairs(clients) do client:close() end
  return self:counted() / (ROUNDS * CONNECTIONS)
end

local INTERVAL = [[
app:get("/", function()
  return sse.reply(sse.interval(0.1):map(function(n) return sse.event():data(n) end))
end)]]

local LOOP = [[
app:get("/", function()
  return sse.reply(function(send)
    local n = 0
    while true do
      sse.sleep(0.1)
      n = n + 1
      send(n)
    end
  end)
end)]]

local FAN_OUT = [[
local ch = sse.channel "news"
app:get("/", function() return sse.reply(ch:subscribe()) end)
app:on_start(function()
  sse.spawn(function()
    local n = 0
    while true do
      sse.sleep(0.1)
      n = n + 1
      ch:publish(n)
    end
  end)
end)]]

-- The hot paths, in the order in which they are told.
return {
  { "an event of interval:map", function() return per_event(INTERVAL, WARM + TICKS) end },
  { "an event of a loop of send and sleep", function() return per_event(LOOP, WARM + TICKS) end },
  { "a delivery of a channel's event", function() return per_event(FAN_OUT, WARM + TICKS) end },
  { "a short answer", function() return per_answer "{ log = { access = false } }" end },
  { "a short answer and its line of the log", function() return per_answer "{ log = { access = true } }" end },
}
