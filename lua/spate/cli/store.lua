-- SPDX-License-Identifier: MIT
-- spate store info|tail|export|import|vacuum FILE: the file of a store, while no server has it. What is exported is a
-- line of JSON for each event, in the order of its channel, for the rest of the channel behind its events, and for each
-- value of a shared dictionary; import reads the same from stdin.
local json = require "spate.json"
local settings_file = require "spate.settings_file"

local OK, FAILED, USAGE = 0, 1, 2
local TEXTS = { "comment", "event", "data" } -- fields that may hold any bytes

-- JSON holds UTF-8 only: other bytes go in hexadecimal.
local function put_text(into, name, text)
  if text == nil then return end
  if utf8.len(text) then into[name] = text
  else into[name .. "_hex"] = text:gsub(".", function(c) return ("%02x"):format(c:byte()) end) end
end

local function take_text(from, name)
  local hex = from[name .. "_hex"]
  if type(hex) ~= "string" then return from[name] end
  return (hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function line_of_event(channel, event)
  local line = { id = event.id, at = event.at, key = event.key, retry = event.retry }
  put_text(line, "channel", channel.name)
  for _, name in ipairs(TEXTS) do put_text(line, name, event[name]) end
  return line
end

local function line_of_channel(channel)
  local line = { history = channel.history, history_bytes = channel.bytes, ttl = channel.ttl, finished = channel.finished ~= 0 }
  put_text(line, "channel", channel.name)
  return line
end

local function line_of_value(value)
  local line = { expires = value.expires }
  for _, name in ipairs { "dictionary", "key" } do put_text(line, name, value[name]) end
  if type(value.value) == "string" then put_text(line, "value", value.value) else line.value = value.value end
  return line
end

local function each_channel(file, only)
  local c = 0
  return function()
    repeat
      local channel, err = file:channel(c)
      if err then error(err, 0) end
      if not channel then return nil end
      c = channel.c
      if not only or channel.name == only then return channel end
    until false
  end
end

-- The events of a channel from a number on; below 0 the newest so many.
local function each_event(file, channel, from)
  local list, i = {}, 0
  return function()
    if i == #list then
      local next_list, rest = file:events(channel.c, from)
      if not next_list then
        if rest then error(rest, 0) end
        return nil
      end
      list, from, i = next_list, rest, 0
    end
    i = i + 1
    return list[i]
  end
end

local ACTIONS = {}

local function date(ms) return ms and os.date("!%Y-%m-%dT%H:%M:%SZ", ms // 1000) end

function ACTIONS.info(file, arguments)
  local info = assert(file:info())
  info.events, info.bytes, info.oldest, info.newest = info.events or 0, info.bytes or 0, date(info.oldest), date(info.newest)
  if arguments.json then
    print(json.encode(info))
    return
  end
  print(("channels %d\nevents %d\nbytes %d\nvalues %d\nended %s"):format(info.channels, info.events, info.bytes, info.values,
    info.clean and "clean" or "by a kill or a crash"))
  if info.oldest then print(("oldest %s\nnewest %s"):format(info.oldest, info.newest)) end
end

local function show(channel, event)
  print(("%s %s %s"):format(channel.name, event.id, date(event.at)))
  for _, name in ipairs(TEXTS) do
    if event[name] then print(("  %s: %s"):format(name, (event[name]:gsub("\n", "\n  " .. name .. ": ")))) end
  end
end

function ACTIONS.tail(file, arguments)
  local count = math.tointeger(tonumber(arguments.count or 10))
  if not count or count < 1 then return USAGE, "-n: expected a number of 1 or more, got " .. arguments.count end
  for channel in each_channel(file, arguments.channel) do
    for event in each_event(file, channel, -count) do
      if arguments.json then print(json.encode(line_of_event(channel, event))) else show(channel, event) end
    end
  end
end

function ACTIONS.export(file, arguments)
  for channel in each_channel(file, arguments.channel) do
    local has_events = false
    for event in each_event(file, channel, 0) do
      print(json.encode(line_of_event(channel, event)))
      has_events = true
    end
    if has_events then print(json.encode(line_of_channel(channel))) end
  end
  if arguments.channel then return end
  for _, value in ipairs(assert(file:values())) do print(json.encode(line_of_value(value))) end
end

local function import_line(file, line)
  if type(line) ~= "table" then return nil, "expected an object" end
  local channel, id, dictionary = take_text(line, "channel"), line.id, take_text(line, "dictionary")
  if dictionary then return file:put_value(dictionary, take_text(line, "key"), take_text(line, "value"), line.expires) end
  if not channel then return nil, "expected a channel or a dictionary" end
  if not id then return file:put_channel(channel, line.history or 0, line.history_bytes or 0, line.ttl or 0, line.finished) end
  local event = { retry = line.retry }
  for _, name in ipairs(TEXTS) do event[name] = take_text(line, name) end
  return file:put(channel, event, id, line.at or 0, line.key)
end

-- All of it, or nothing.
function ACTIONS.import(file)
  local number = 0
  assert(file:begin())
  for text in io.lines() do
    number = number + 1
    local line, problem = json.decode(text)
    local ran, done, err = pcall(import_line, file, line)
    if line == nil or not ran or not done then
      return FAILED, ("line %d: %s; nothing was imported"):format(number, line == nil and problem or not ran and done or err)
    end
  end
  assert(file:commit())
end

function ACTIONS.vacuum(file) assert(file:vacuum()) end

return function(arguments, native)
  native.end_by_interrupt()
  if arguments.action ~= "import" and not settings_file.exists(arguments.file) then
    return FAILED, ("%s: there is no such file"):format(arguments.file)
  end
  local file, err = native.store_file(arguments.file)
  if not file then return FAILED, err end
  local ran, code, message = pcall(ACTIONS[arguments.action], file, arguments)
  if arguments.action == "import" and (not ran or code) then file:discard() else file:close() end
  if not ran then return FAILED, ("%s: %s"):format(arguments.file, code) end
  return code or OK, message and ("%s: %s"):format(arguments.file, message)
end
