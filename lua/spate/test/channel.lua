-- SPDX-License-Identifier: MIT
-- A channel of the application, seen from a spec. Only source text goes to the application's state, and comes back.
local harness = require "spate.harness"
local session = require "spate.test.session"

local Channel = { __name = "channel" }
Channel.__index = Channel

local FIND = [[local sse = require "spate.sse"
local ch = sse.channel.find(%q)
]]

local COUNT = [[return "return " .. (ch and ch:count() or 0)]]

local HISTORY = [[local list = {}
for i, event in ipairs(ch and ch:history(%s) or {}) do
  local fields = {}
  for name, value in pairs(event) do fields[#fields + 1] = ("[%%q] = %%q"):format(name, value) end
  list[i] = "{" .. table.concat(fields, ", ") .. "}"
end
return "return {" .. table.concat(list, ", ") .. "}"]]

local PUBLISH = [[local id, why = ch:publish(%s)
return ("return %%q, %%q"):format(id, why)]]

local function new(name)
  if type(name) ~= "string" then error("t.channel: expected the name of a channel, got " .. type(name), 3) end
  if not session.current then error("t.channel: there is no application; t.load first", 3) end
  return setmetatable({ name = name, app = session.current }, Channel)
end

local function run(self, code, ...) return self.app:run(FIND:format(self.name) .. code:format(...), 4) end

-- Subscribers on all workers; 0 where there is no such channel.
function Channel:count() return run(self, COUNT) end

local event_meta = { __index = function(self, key)
  return key == "json" and self.data and harness.json.decode(self.data) or nil
end }

-- The newest n events (all), oldest first.
function Channel:history(n)
  local list = run(self, HISTORY, n and ("%d"):format(n) or "")
  for _, event in ipairs(list) do setmetatable(event, event_meta) end
  return list
end

local function source_of(event)
  if type(event) ~= "table" then return ("%q"):format(event) end
  local fields = {}
  for name, value in pairs(event) do
    if name == "json" then fields[#fields + 1] = ("json = require 'spate.json'.decode(%q)"):format(harness.json.encode(value))
    else fields[#fields + 1] = ("[%q] = %q"):format(name, value) end
  end
  return "{" .. table.concat(fields, ", ") .. "}"
end

-- Publishes an event as the application would: its id; nil and why not.
function Channel:publish(event)
  local exists = run(self, [[return "return " .. tostring(ch ~= nil)]])
  if not exists then error(("the application has made no channel '%s' yet"):format(self.name), 2) end
  return run(self, PUBLISH, source_of(event))
end

return new
