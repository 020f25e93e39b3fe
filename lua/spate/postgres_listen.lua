-- SPDX-License-Identifier: MIT
-- pg:listen. All streams of a pool share one connection, beside the pool's own, which a task reads while there are any. It
-- comes back by itself, later after each failure. What nobody has taken yet waits in each stream, up to a limit: then all
-- of it goes, and a reset tells that.
local at_end = require "spate.at_end"
local core = require "spate.core"
local report = require "spate.report"
local sse = require "spate.sse"

local QUEUE_MAX, QUEUE_BYTES = 1000, 1024 * 1024 -- of a stream
local ALIVE = 30                                 -- seconds of silence after which the server is asked for a sign of life
local RETRY, RETRY_MAX = 0.5, 30                 -- seconds between connections

local RESET = { event = "reset", data = "messages before this one may have been lost" } -- as redis:subscribe has it

local Listener = {}
Listener.__index = Listener

local function quoted(name) return '"' .. name:gsub('"', '""') .. '"' end

-- A stream's place in the listener, which does not keep the stream.
local function push(place, event)
  if event ~= RESET and (#place.queue >= QUEUE_MAX or place.bytes + #event.data > QUEUE_BYTES) then event = RESET end
  if event == RESET then place.queue, place.bytes = {}, 0 end
  place.queue[#place.queue + 1] = event
  place.bytes = place.bytes + #event.data
  place.changed:wake()
end

local function reset_all(self, channel)
  for place in pairs(self.places) do
    if not channel or place.channel == channel then
      place.is_listening = true
      push(place, RESET)
    end
  end
end

local function plain(self, link, sql)
  local rows, message = link:ask("pg:listen", core.now() + self.pg.timeout, 100, 65536, true, sql)
  if not rows then error(message, 0) end
end

-- Has the server tell of what the streams want, and no more.
local function keep_up(self, link, heard)
  local wanted = {}
  for place in pairs(self.places) do wanted[place.channel] = true end
  for channel in pairs(wanted) do
    if not heard[channel] then
      plain(self, link, "listen " .. quoted(channel))
      heard[channel] = true
      reset_all(self, channel)
    end
  end
  for place in pairs(self.places) do -- others have heard this channel before it
    if heard[place.channel] and not place.is_listening then
      place.is_listening = true
      push(place, RESET)
    end
  end
  for channel in pairs(heard) do
    if not wanted[channel] then
      plain(self, link, "unlisten " .. quoted(channel))
      heard[channel] = nil
    end
  end
end

-- Until there is no stream any more; raises where the connection is lost.
local function serve(self, link)
  local heard = {}
  while next(self.places) do
    keep_up(self, link, heard)
    self.failures = 0
    local list, has_lost = link:notices("pg:listen", core.now() + ALIVE)
    if not list then error(has_lost, 0) end
    if has_lost then reset_all(self) end
    for i = 1, #list, 2 do
      for place in pairs(self.places) do
        if place.channel == list[i] and place.is_listening then push(place, { event = list[i], data = list[i + 1] }) end
      end
    end
    if #list == 0 and not self.is_changed then plain(self, link, "select 1") end
    self.is_changed = false
  end
end

local function connect_and_serve(self)
  local link, message = self.pg.handle:take("pg:listen", core.now() + 3600, true)
  if not link then error(message, 0) end
  local _ <close> = at_end(function()
    self.link = nil
    link:release()
  end)
  self.link = link
  serve(self, link)
end

local function run(self)
  while next(self.places) and not self.pg.is_closed do
    local ok, err = pcall(connect_and_serve, self)
    for place in pairs(self.places) do place.is_listening = false end
    if not ok and not self.pg.is_closed then
      if self.failures == 0 then core.log.warn(report.logged(tostring(err))) end
      local again_at = core.now() + math.min(RETRY * 2 ^ self.failures, RETRY_MAX) * (0.5 + math.random() / 2)
      self.failures = self.failures + 1
      while next(self.places) and not self.pg.is_closed and core.now() < again_at do -- whoever comes meanwhile waits as well
        self.changed:wait(again_at - core.now())
      end
    end
  end
  self.task = nil
  for place in pairs(self.places) do place.changed:wake() end -- the pool is closed
end

local function look_again(self)
  self.is_changed = true
  self.changed:wake()
  if self.link then self.link:wake() end
end

local function start(self)
  if not self.task or self.task.done then self.task = core.background(run, self) end
end

local function leave(self, place)
  if not self.places[place] then return end
  self.places[place] = nil
  place.is_closed = true
  place.changed:wake()
  look_again(self)
end

-- Whoever reads the stream has its place by this, and the listener does not: it leaves also where it is dropped without a
-- close.
local Reader = {}
Reader.__index = Reader
function Reader:__gc() leave(self.listener, self.place) end

local function listener_of(pg)
  local listener = rawget(pg, "listener")
  if not listener then
    listener = setmetatable({ pg = pg, places = {}, changed = core.signal(), failures = 0 }, Listener)
    pg.listener = listener
  end
  return listener
end

local function new_reader(pg, channel)
  local listener = listener_of(pg)
  local place = { channel = channel, queue = {}, bytes = 0, changed = core.signal() }
  return setmetatable({ listener = listener, place = place }, Reader)
end

local function begin(reader)
  reader.has_begun = true
  reader.listener.places[reader.place] = true
  start(reader.listener)
  look_again(reader.listener)
end

local function next_event(reader)
  local place, pg = reader.place, reader.listener.pg
  if not reader.has_begun then begin(reader) end
  while #place.queue == 0 do
    if place.is_closed or pg.is_closed then return nil end
    place.changed:wait(nil, "pg:listen")
  end
  local event = table.remove(place.queue, 1)
  place.bytes = place.bytes - #event.data
  return event == RESET and { event = RESET.event, data = RESET.data } or event
end

-- In specs there is no server: t.postgres has what is notified.
local function stubbed(channel)
  local id = core.signal()
  return sse.from(function() return (core.ask_spec("listen", tostring(id), channel)) end)
end

local listen = {}

function listen.stream(pg, channel)
  if pg.handle.is_stub then return stubbed(channel) end
  local reader = new_reader(pg, channel)
  local stream = sse.from(function() return next_event(reader) end)
  stream._close = function() leave(reader.listener, reader.place) end
  return stream
end

return listen
