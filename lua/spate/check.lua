-- SPDX-License-Identifier: MIT
-- Arguments of public functions: each raises at the user's line and says what was expected.
local core = require "spate.core"

local function callable(fn, what)
  if type(fn) ~= "function" then core.raise(("%s: expected a function, got %s"):format(what, type(fn))) end
  return fn
end

local function seconds_above_0(seconds, what)
  if type(seconds) ~= "number" then core.raise(("%s: expected seconds, got %s"):format(what, type(seconds))) end
  if not (seconds > 0 and seconds < 1e9) then core.raise(("%s: expected more than 0 seconds, got %s"):format(what, seconds)) end
  return seconds
end

local function count(n, what)
  if math.type(n) ~= "integer" or n < 0 then core.raise(("%s: expected a number of 0 or more, got %s"):format(what, tostring(n))) end
  return n
end

return { callable = callable, seconds = seconds_above_0, count = count }
