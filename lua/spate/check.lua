-- SPDX-License-Identifier: MIT
-- Arguments of public functions: each raises at the user's line and says what was expected.
local core = require "spate.core"

core.placeholders = {} -- names that stand, in specs, for environment variables that are not set

local LONG, NEVER = 600, 1e8 -- seconds: between them, in spate dev, milliseconds may be meant

-- A value that is not what was expected, as a script writes it: "5" is not 5.
local function shown(value) return type(value) == "string" and ('"%s"'):format(value) or tostring(value) end

local function callable(fn, what)
  if type(fn) ~= "function" then core.raise(("%s: expected a function, got %s"):format(what, type(fn))) end
  return fn
end

local function seconds_above_0(seconds, what)
  if type(seconds) ~= "number" then core.raise(("%s: expected seconds, got %s"):format(what, type(seconds))) end
  if seconds <= 0 or seconds ~= seconds then core.raise(("%s: expected more than 0 seconds, got %s"):format(what, seconds)) end
  if seconds >= 1e9 then core.raise(("%s: expected less than 1e9 seconds, got %s"):format(what, seconds)) end
  if core.dev and seconds > LONG and seconds < NEVER then core.advise_seconds(what, seconds) end
  return seconds
end

local function count(n, what)
  if math.type(n) ~= "integer" or n < 0 then core.raise(("%s: expected an integer of 0 or more, got %s"):format(what, shown(n))) end
  return n
end

local sets = setmetatable({}, { __mode = "k" }) -- of names, by the list, which is not changed

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  sets[names] = set
  return set
end

-- A table with no other names than those in the list, the same at each call.
local function options(given, what, names)
  if type(given) ~= "table" then core.raise(("%s: expected a table of options, got %s"):format(what, type(given))) end
  local is_known = sets[names] or set_of(names)
  for name in pairs(given) do
    if not is_known[name] then
      local close = core.nearest(tostring(name), names)
      core.raise(("%s: unknown option '%s'; %s"):format(what, tostring(name),
        close and ("did you mean '%s'?"):format(close) or "it has " .. table.concat(names, ", ")))
    end
  end
  return given
end

-- A list of strings, of which there is one at least.
local function strings(list, what)
  if type(list) ~= "table" then core.raise(("%s: expected a list of strings, got %s"):format(what, type(list))) end
  if #list == 0 then core.raise(what .. ": expected a list of strings, got none") end
  for i, one in ipairs(list) do
    if type(one) ~= "string" then core.raise(("%s[%d]: expected a string, got %s"):format(what, i, type(one))) end
  end
  return list
end

local function text(value, what)
  if type(value) ~= "string" then core.raise(("%s: expected a string, got %s"):format(what, type(value))) end
  return value
end

-- Whether a value is a channel, or a derived one.
local function is_channel(value)
  local meta = type(value) == "table" and getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return name == "channel" or name == "derived channel"
end

-- An application, or a group of one.
local function app(value, what)
  if type(value) ~= "table" or type(value.mount) ~= "function" then core.raise(("%s: expected an app, got %s"):format(what, type(value))) end
  return value
end

-- Where one event is taken. A number is passed over, as gsub returns one.
local function one_event(second, what)
  if type(second) ~= "string" and type(second) ~= "table" then return end
  core.raise(what .. ': expected one event, got two values; a name and its data are { event = "tick", data = "x" }')
end

-- An SQL statement.
local function statement(sql, what)
  text(sql, what)
  if sql:find("\0", 1, true) then core.raise(what .. ": the statement has a NUL in it; give it as a parameter") end
  return sql
end

-- The path of a file, which lies beside the application's script where it is relative; beside the directory that the
-- program was started in where there is no application.
local function path(value, what)
  text(value, what)
  if value == "" or value:find("\0", 1, true) then core.raise(("%s: expected a path, got %q"):format(what, value)) end
  return value:sub(1, 1) == "/" and value or (core.folder or "") .. value
end

return {
  app = app, is_channel = is_channel, one_event = one_event, shown = shown, path = path, options = options, strings = strings, text = text,
  statement = statement, callable = callable, seconds = seconds_above_0, count = count,
}
