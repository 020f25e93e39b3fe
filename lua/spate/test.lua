-- SPDX-License-Identifier: MIT
-- require "spate.test": specs of an application, in memory and in virtual time.
--   local t = require "spate.test"
--   local app = t.load "app.lua"
--   local res = app:get "/ticks"
--   t.advance(3)
--   assert.events(res, { { data = "1" }, { data = "2" }, { data = "3" } })
local application = require "spate.test.app"
local mistake = require "spate.test.mistake"
local response = require "spate.test.response"
local session = require "spate.test.session"

require "spate.test.assertions"

-- What the modules of applications are made of, which are in a state of their own.
package.preload["spate.core"] = package.preload["spate.core"] or function()
  mistake "a spec asks the application: it has spate.test and spate.json alone"
end

local t = { channel = require "spate.test.channel", crypto = require "spate.test.crypto", http = require "spate.test.http",
  postgres = require("spate.test.postgres").api,
  redis = require("spate.test.redis").api }

-- An application's file, loaded and started, its clock at 0. options: settings, workers, at, http (2: its clients speak HTTP/2), env
-- (environment variables) and modules (in place of those that it requires).
function t.load(path, options)
  if type(path) ~= "string" then error("t.load: expected the path of an application, got " .. type(path), 2) end
  if options and options.at then
    local seconds, all = t.parse_time(options.at), {}
    for name, value in pairs(options) do all[name] = value end
    options, all.at = all, seconds
  end
  local app = application.new(path, options) -- no tail call: its errors are at the caller's line
  return app
end

-- Moves the time of all applications, from deadline to deadline.
function t.advance(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e12) then
    error("t.advance: expected seconds of 0 or more, got " .. (type(seconds) == "string" and '"%s"' or "%s"):format(tostring(seconds)), 2)
  end
  application.advance(seconds)
end

-- Waits, in real time, until `fn` returns a true value, which is returned, for what no virtual time can bring: programs
-- that run, files that change, other threads. The applications go on meanwhile, their clocks stand. An error where it
-- takes longer than `seconds` (5).
function t.wait(fn, seconds)
  if type(fn) ~= "function" then error("t.wait: expected a function, got " .. type(fn), 2) end
  seconds = seconds or 5
  if type(seconds) ~= "number" then error("t.wait: expected seconds, got " .. type(seconds), 2) end
  local value = application.wait(fn, seconds)
  if not value then error(("t.wait: waited for %g seconds in vain"):format(seconds), 2) end
  return value
end

-- Days from 1970-01-01 to a day of the Gregorian calendar.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

-- Seconds since 1970 of "2026-01-01T00:00:00Z", or of such a number.
function t.parse_time(time)
  if type(time) == "number" then return time end
  local pattern = "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)([Z+-])(%d?%d?):?(%d?%d?)$"
  local year, month, day, hour, minute, second, sign, hours, minutes = tostring(time):match(pattern)
  if not year then error(('expected a time such as "2026-01-01T00:00:00Z", got %s'):format(tostring(time)), 3) end
  local offset = ((tonumber(hours) or 0) * 60 + (tonumber(minutes) or 0)) * 60
  if sign == "+" then offset = -offset end
  local whole = days(tonumber(year), tonumber(month), tonumber(day)) * 86400
  return whole + tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second) + offset
end

-- What the applications' clocks show from now on, also those loaded later in this file.
function t.at(time)
  session.wall = t.parse_time(time)
  for _, app in ipairs(session.apps) do app:set_wall(session.wall) end
end

-- How many workers an application has that is loaded later in this file.
function t.workers(n) session.workers = application.check_workers(n, 2) end

-- Settings, as in spate.conf.lua, of the applications that are loaded later in this file.
function t.settings(settings)
  if settings ~= nil and type(settings) ~= "table" then error("t.settings: expected a table, got " .. type(settings), 2) end
  session.settings = settings
end

-- true: a stream that is left open is an error; false: nothing that is left is told, in this file.
function t.strict(strict) session.strict = strict == nil or strict end

-- Loads a changed file again, as the server does after a save: true; nil and the message where it does not load, and
-- the old code goes on. Open streams stay with the code that they began with.
function t.reload(path)
  local known = false
  for _, app in ipairs(session.apps) do
    if app.path == path then
      known = true
      local ok, err = app:reload()
      if not ok then return nil, err end
    end
  end
  if not known then error(("t.reload: no application was loaded from %s"):format(tostring(path)), 2) end
  return true
end

-- All bytes of a response as they came.
function t.bytes(res)
  if not response.is(res) then error("t.bytes: expected a response, got " .. type(res), 2) end
  return res:bytes()
end

return t
