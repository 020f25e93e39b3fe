-- SPDX-License-Identifier: MIT
-- channel:relay: one reader of another server's event stream, or of one of pg:listen's and the like, for all subscribers of
-- the process. The worker that has the claim reads it, while there is a subscriber and a while longer; the claim is a key of
-- a dictionary that all share, and is lost with whoever does not renew it.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"
local sse = require "spate.sse"

local LINGER = 30   -- seconds without a subscriber until it ends
local RENEWED = 5   -- seconds between renewals of the claim
local CLAIM_TTL = 20
local RETRY = 60    -- seconds after a failure that http.events gives up for
local EARLY = 1e-6  -- what two sums of times may differ by

local NO_URL = "http://none" -- stands for the URL of a function

local Relay = {}
Relay.__index = Relay

-- Raises where the stream cannot be opened, or fails.
local function publish_all(self)
  local events, message = self:open()
  if not events then error(message, 0) end
  local _ <close> = events
  for event in events:each() do
    if self.url then self.last_event_id = event.id or "" end
    if type(event) == "table" then event.id = nil end -- the channel numbers them
    local id, why = self.channel:publish(event)
    if not id then error("channel:publish: " .. why, 0) end
  end
end

-- The events anew; nil and why not.
function Relay:open()
  if not self.url then
    local events, message = self.again()
    if getmetatable(events) ~= sse.Stream and not (events == nil and message) then
      return nil, "expected a stream from the function, got " .. type(events)
    end
    return events, message
  end
  local options = {}
  for name, value in pairs(self.options) do options[name] = value end
  options.reconnect, options.last_event_id = true, self.last_event_id
  return require("spate.http").events(self.url, options)
end

-- Until the other server says that this is the end, which then is the channel's.
function Relay:read()
  local _ <close> = at_end(function() self.cursors:set(self.name, self.last_event_id) end)
  while true do
    local ok, err = pcall(publish_all, self)
    if ok then return self.channel:finish() end
    core.log.warn(("channel:relay: %s"):format(report.logged(tostring(err))), { channel = self.name, url = self.url })
    sse.sleep(RETRY)
  end
end

-- A worker that was held up for longer than its claim lasts may find that another has it.
local function watch(self, reader)
  local is_ours = true
  local _ <close> = at_end(function()
    reader:cancel()
    if is_ours then self.claims:delete(self.name) end
  end)
  while not reader.done and not self.channel.handle:is_finished() do
    is_ours = (self.claims:get(self.name) or core.worker) == core.worker
    if not is_ours then return end
    self.claims:set(self.name, core.worker, { ttl = CLAIM_TTL })
    self.channel.handle:let_go()
    local lonely = self.channel.handle:lonely()
    if lonely and lonely >= self.linger - EARLY then return end
    reader.ended:wait(math.min(lonely and self.linger - lonely or RENEWED, RENEWED))
  end
end

-- Somebody may have subscribed while it ended, and found the claim taken.
local function run(self)
  watch(self, core.background(self.read, self))
  self.task = nil -- else it would be this one still
  if self.channel.handle:count() > 0 and not self.channel.handle:is_finished() then self:start() end
end

-- With a subscriber, unless this or another worker reads it already.
function Relay:start()
  if self.task and not self.task.done or not self.claims:add(self.name, core.worker, { ttl = CLAIM_TTL }) then return end
  self.last_event_id = self.cursors:get(self.name) or self.options.last_event_id or ""
  self.task = core.background(run, self)
end

-- The URL; or a function that makes the stream, each time that it is to be read.
local function check_source(source)
  if type(source) == "string" then return source end
  if type(source) == "function" then return nil, source end
  if getmetatable(source) == sse.Stream and source.again then return nil, source.again end
  core.raise(("channel:relay: expected a URL, pg:listen(...), or a function that returns a stream, got %s"):format(
    getmetatable(source) == sse.Stream and "a stream that cannot be read again" or type(source)))
end

-- A copy of the options. Raises where the source would not take them.
local function check_options(url, options)
  require("spate.http").check_events(url or NO_URL, options, "channel:relay", "linger")
  local own = {}
  for name, value in pairs(options) do
    if not url and name ~= "linger" then core.raise(("channel:relay: option '%s' is of a URL's"):format(name)) end
    own[name] = value
  end
  return own
end

-- Has the channel carry what the source streams; the channel.
return function(channel, source, options)
  local url, again = check_source(source)
  local own = check_options(url, options or {})
  local linger = own.linger
  own.linger = nil
  local relay = setmetatable({ channel = channel, name = channel.name, url = url, again = again, options = own, claims = core.shared "spate relays",
    cursors = core.shared "spate relay cursors", linger = linger and check.seconds(linger, "channel:relay: linger") or LINGER }, Relay)
  core.relays[channel.name] = relay
  if channel.handle:count() > 0 then relay:start() end
  return channel
end
