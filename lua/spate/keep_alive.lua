-- SPDX-License-Identifier: MIT
-- sse.keep_alive: the comments that keep an idle stream alive. They are sent in C; what is said here is kept with the stream.
local check = require "spate.check"
local core = require "spate.core"

local KeepAlive = { __name = "keep_alive" }
KeepAlive.__index = KeepAlive

local function check_self(self, what)
  if getmetatable(self) ~= KeepAlive then core.raise(what .. ": write it with a colon") end
end

function KeepAlive:interval(seconds)
  check_self(self, "keep_alive:interval")
  self.seconds = check.seconds(seconds, "keep_alive:interval")
  return self
end

function KeepAlive:text(text)
  check_self(self, "keep_alive:text")
  if type(text) ~= "string" or text:find("[\r\n%z]") then
    core.raise("keep_alive:text: expected a string without line breaks")
  end
  self.comment = text
  return self
end

-- The class, for sse; as_stream(value, what): what a function(send) or a list stands for.
return function(sse, as_stream)
  -- Settings for the comments: interval in seconds (15), text ("").
  function sse.keep_alive() return setmetatable({ seconds = core.keep_alive_interval, comment = "" }, KeepAlive) end

  -- The stream with these settings.
  function KeepAlive:stream(s)
    check_self(self, "keep_alive:stream")
    s = as_stream(s, "keep_alive:stream")
    s._keep_alive = { self.seconds, self.comment }
    return s
  end

  -- Interval (0: none) and text for a stream of a reply.
  function sse.keep_alive_of(stream, wanted)
    if wanted == false then return 0, "" end
    local own = stream._keep_alive
    if own then return own[1], own[2] end
    return core.keep_alive_interval, ""
  end

  core.public(KeepAlive, "interval", "text", "stream")
  return KeepAlive
end
