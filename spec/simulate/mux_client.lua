-- SPDX-License-Identifier: MIT
-- A client with many streams on one connection, of the harness's own protocol (server/harness/mux.h). It tells the
-- model the same as one of HTTP/1.
local new_client = require "spec.simulate.client"

local Mux = {}
Mux.__index = Mux

local STREAMS_MAX = 16

local function new(core, slot, model)
  local self = setmetatable(new_client(core, slot, model), Mux)
  self.streams, self.ids, self.is_mux = {}, 0, true
  return self
end

setmetatable(Mux, { __index = getmetatable(new_client(nil, 0, nil)) })

-- Only GET: whether there was room for one more.
function Mux:request(request, now)
  local open = 0
  for _ in pairs(self.streams) do open = open + 1 end
  if open >= STREAMS_MAX or request.method ~= "GET" then return false end
  self.ids = self.ids + 1
  local target = request.target .. (request.after and "&last_event_id=" .. request.after or "")
  request.client, request.sent_at, request.id, request.headers = self, now, self.ids, {}
  self.streams[self.ids] = request
  self.last = self.last + 1
  self.waiting[self.last] = request
  self.core:send(("open %d %s\n"):format(self.ids, target))
  return true
end

function Mux.current() return nil end

-- One of its streams is given up, and the others go on.
function Mux:give_up(number, now)
  local open = {}
  for id = 1, self.ids do open[#open + 1] = self.streams[id] end
  local request = open[number % math.max(#open, 1) + 1]
  if not request then return end
  self.core:send(("reset %d\n"):format(request.id))
  request.is_given_up, self.quiet_since = true, now
  self:finish(request, request.status and "cut" or "unanswered", now)
end

function Mux:finish(request, how, now)
  self.streams[request.id] = nil
  for i = self.first, self.last do
    if self.waiting[i] == request then self.waiting[i] = nil end
  end
  request.ended, request.ended_at = how, now
  if not (request.is_given_up and how ~= "end") then return self.model:on_end(request, how, now) end
  request.client = setmetatable({ is_over = "left" }, { __index = self })
  self.model:on_end(request, how, now)
end

local WORDS = {}

function WORDS.head(self, request, rest, now)
  request.status, request.head_at, request.is_sse, request.rest = tonumber(rest), now, false, ""
  request.fields = { ["x-v"] = tostring(request.served) } -- of the code that it was sent to
  local route = self.model:route_of(request, request.served)
  request.is_sse = request.status == 200 and route ~= nil and require("spec.simulate.kinds")[route.kind].on_event ~= nil
  request.last_at = now
  self.model:on_head(request, now)
end

WORDS["end"] = function(self, request, _, now) self:finish(request, "end", now) end
function WORDS.cut(self, request, _, now) self:finish(request, "cut", now) end
function WORDS.reset(self, request, _, now) self:finish(request, "cut", now) end

function Mux:take(now)
  local bytes = self.core:take()
  if #bytes > 0 then
    self.buf = self.buf .. bytes
    self.model:on_bytes(self, bytes, now)
  end
  while true do
    local id, word, rest, from = self.buf:match "^(%d+) (%l+) ?(%d*)\n()"
    if not id then break end
    local request = self.streams[tonumber(id)]
    if word == "data" then
      local size = tonumber(rest)
      if #self.buf < from + size - 1 then break end
      if request then self:take_body(request, self.buf:sub(from, from + size - 1), now) end
      from = from + size
    elseif request then WORDS[word](self, request, rest, now) end
    self.buf = self.buf:sub(from)
  end
  local state = self.core:state()
  if state ~= "open" and state ~= "ended" then self:over(state, now) end
end

function Mux:over(why, now)
  if self.is_over then return end
  self.is_over = why
  for id = 1, self.ids do
    local request = self.streams[id]
    if request then self:finish(request, request.status and "cut" or "unanswered", now) end
  end
end

return new
