-- SPDX-License-Identifier: MIT
-- Clients of several servers that keep their channels in one place: subscribers, who come back elsewhere with the id of
-- their last event, and publishers, who never say a thing twice. `check` holds what all of them have had against what is
-- kept there in the end.
local assert = require "luassert"
local socket = require "socket"

local Fleet = {}
Fleet.__index = Fleet

local PAUSE = 0.1 -- before somebody comes back

-- Clients of servers on 127.0.0.1, or where `addresses` ({ host, port }) says.
local function new(addresses)
  return setmetatable({ addresses = addresses, subscribers = {}, publishers = {}, said = {} }, Fleet)
end

local function connect(address, request)
  local client = socket.tcp()
  client:settimeout(1)
  if not client:connect(address[1], address[2]) then
    client:close()
    return nil
  end
  client:setoption("tcp-nodelay", true)
  client:send(request)
  client:settimeout(0)
  return client
end

function Fleet:subscribe(channel, at)
  local s = { channel = channel, at = at, events = {}, resets = 0, rest = "", comes_at = 0 }
  self.subscribers[#self.subscribers + 1] = s
  return s
end

function Fleet:publish(channel, at, name)
  local p = { channel = channel, at = at, name = name, said = 0, kept = 0, unknown = 0, comes_at = 0, rest = "" }
  self.publishers[#self.publishers + 1] = p
  return p
end

local function leave(self, one)
  if one.client then one.client:close() end
  one.client, one.rest, one.has_head, one.comes_at = nil, "", false, socket.gettime() + PAUSE
  one.at = one.at % #self.addresses + 1
end

local function receive(one)
  local bytes, why, rest = one.client:receive(65536)
  one.rest = one.rest .. (bytes or rest or "")
  return why ~= "closed" and (why == nil or why == "timeout")
end

local function take_event(s, text)
  local event = {}
  for line in text:gmatch "[^\n]+" do
    local name, value = line:match "^(%l+): ?(.*)$"
    if name then event[name] = value end
  end
  if event.event == "reset" then
    s.resets, s.events = s.resets + 1, {}
  elseif event.id then
    s.events[#s.events + 1] = event
    s.last = event.id
  end
end

local function step_subscriber(self, s, now)
  if not s.client then
    if now < s.comes_at then return end
    s.client = connect(self.addresses[s.at], ("GET /sub/%s%s HTTP/1.0\r\nHost: x\r\n%s\r\n"):format(s.channel,
      s.last and "" or "?replay=all", s.last and "Last-Event-ID: " .. s.last .. "\r\n" or ""))
    if not s.client then return leave(self, s) end
  end
  local is_open = receive(s)
  if not s.has_head then
    local status, at = s.rest:match "^HTTP/1%.%d (%d+).-\r\n\r\n()"
    if status and status ~= "200" then return leave(self, s) end
    if status then s.has_head, s.rest = true, s.rest:sub(at) end
  end
  if s.has_head then
    local from = 1
    for text, to in s.rest:gmatch "(.-)\n\n()" do
      take_event(s, text)
      from = to
    end
    s.rest = s.rest:sub(from)
  end
  if not is_open then leave(self, s) end
end

-- What was said, and not answered for, may be there or not.
local function give_up(self, p)
  if p.word then p.unknown = p.unknown + 1 end
  p.word = nil
  leave(self, p)
end

local function step_publisher(self, p, now)
  if p.word then
    local is_open = receive(p)
    local status, length, at = p.rest:match "^HTTP/1%.1 (%d+).-[Cc]ontent%-[Ll]ength: (%d+).-\r\n\r\n()"
    if status and #p.rest >= at + length - 1 then
      if status ~= "200" then return give_up(self, p) end
      self.said[p.word], p.kept = p.rest:sub(at, at + length - 1), p.kept + 1
      p.word, p.rest = nil, ""
    elseif not is_open or now > p.asked_at + 15 then
      return give_up(self, p)
    end
  end
  if p.word or self.is_quiet or now < p.comes_at then return end
  if not p.client then
    p.client = connect(self.addresses[p.at], "")
    if not p.client then return leave(self, p) end
  end
  p.said = p.said + 1
  p.word, p.asked_at = p.channel .. "/" .. p.name .. "/" .. p.said, now
  if not p.client:send(("POST /pub/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(p.channel, #p.word, p.word)) then give_up(self, p) end
  p.comes_at = now + (self.interval or 0)
end

function Fleet:step()
  local now = socket.gettime()
  for _, s in ipairs(self.subscribers) do step_subscriber(self, s, now) end
  for _, p in ipairs(self.publishers) do step_publisher(self, p, now) end
  socket.sleep(0.002)
end

function Fleet:run(seconds)
  local till = socket.gettime() + seconds
  while socket.gettime() < till do self:step() end
end

-- Until `probe` is true.
function Fleet:till(what, probe, seconds)
  local deadline = socket.gettime() + (seconds or 60)
  while not probe() do
    self:step()
    if socket.gettime() > deadline then error(("waited in vain for %s: %s"):format(what, self:describe()), 2) end
  end
end

function Fleet:describe()
  local lines = {}
  for i, s in ipairs(self.subscribers) do lines[#lines + 1] = ("%d %s at %d: %d events to %s, %s"):format(i, s.channel, s.at, #s.events, s.last, s.client and (s.has_head and "open" or "asks") or "away") end
  for _, p in ipairs(self.publishers) do lines[#lines + 1] = ("%s at %d: %d kept of %d, asks %s"):format(p.name, p.at, p.kept, p.said, p.word) end
  return table.concat(lines, "\n")
end

-- So many more are kept.
function Fleet:kept()
  local n = 0
  for _, p in ipairs(self.publishers) do n = n + p.kept end
  return n
end

function Fleet:progress(count)
  local target = self:kept() + count
  self:till(count .. " events more", function() return self:kept() >= target end)
end

local function tail_of(events) return events[#events] and events[#events].id end

-- Ids and texts of all that is kept of a channel, by a subscriber that comes last.
local function read_all(self, channel)
  local s = { channel = channel, at = 1, events = {}, resets = 0, rest = "", comes_at = 0 }
  local count, since = -1, socket.gettime()
  local function may_be_all() -- it ends where a subscriber does; a busy machine has pauses
    for _, other in ipairs(self.subscribers) do
      if other.channel == channel and tail_of(other.events) == tail_of(s.events) then return socket.gettime() > since + 1.5 end
    end
    return socket.gettime() > since + 20
  end
  while not may_be_all() do
    step_subscriber(self, s, socket.gettime())
    if #s.events ~= count or not s.has_head then count, since = #s.events, socket.gettime() end
    socket.sleep(0.002)
  end
  s.client:close()
  return s.events
end

-- Publishing ends; everybody has what is kept, once and in order: those that were told of a loss behind that. What was
-- acknowledged is kept (unless `may_lose`: then how much is not), and nothing twice.
function Fleet:check(may_lose)
  self.is_quiet = true
  self:till("answers", function()
    for _, p in ipairs(self.publishers) do if p.word then return false end end
    return true
  end)
  local kept = {}
  for _, s in ipairs(self.subscribers) do kept[s.channel] = kept[s.channel] or read_all(self, s.channel) end
  self:till("the last events", function()
    for _, s in ipairs(self.subscribers) do if tail_of(s.events) ~= tail_of(kept[s.channel]) then return false end end
    return true
  end)
  local resets, lost, seen, last = 0, 0, {}, {}
  for _, s in ipairs(self.subscribers) do
    local all = kept[s.channel]
    resets = resets + s.resets
    assert.equal(#all, #s.events, "events that a subscriber has")
    for i, event in ipairs(s.events) do
      if event.id ~= all[i].id or event.data ~= all[i].data then
        error(("%s: number %d is %s %s, and %s %s is kept"):format(s.channel, i, event.id, event.data, all[i].id, all[i].data))
      end
    end
  end
  for channel, all in pairs(kept) do
    for _, event in ipairs(all) do
      local who, number = event.data:match "^(.*)/(%d+)$"
      assert.is_nil(seen[event.data], event.data)
      seen[event.data] = event.id
      assert.is_true((last[who] or 0) < tonumber(number), ("%s: the order of %s"):format(channel, event.data))
      last[who] = tonumber(number)
    end
  end
  for word, id in pairs(self.said) do
    if seen[word] ~= id then lost = lost + 1 end
  end
  if not may_lose then
    assert.equal(0, lost, "acknowledged, and not kept")
    assert.equal(0, resets, "told of a loss")
  end
  self.is_quiet = false
  return { lost = lost, resets = resets, kept = kept }
end

function Fleet:close()
  for _, list in ipairs { self.subscribers, self.publishers } do
    for _, one in ipairs(list) do if one.client then one.client:close() end end
  end
end

return new
