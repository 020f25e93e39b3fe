-- SPDX-License-Identifier: MIT
-- What is wrong with an application and its settings file, for the command line.
local json = require "spate.json"
local lexer = require "spate.inspect.lexer"
local report = require "spate.report"
local settings_file = require "spate.settings_file"

local problems_of = {}

-- The application's problems and routes, or nil and a message.
function problems_of.application(path, native)
  local readable, reason = settings_file.is_script(path)
  if not readable then return nil, ("cannot open %s; name the script, or try `spate new .`"):format(reason) end
  local text, err = native.inspect("spate.inspect.app", path)
  if not text then return nil, err end
  return json.decode(text)
end

-- The line of a setting in the file's source: that of its name after its group's.
local function line_of(tokens, group, name)
  local is_inside = group == nil
  for i, token in ipairs(tokens) do
    local after = tokens[i + 1]
    if after and after.text == "=" and token.kind == "name" then
      if is_inside and token.text == name then return token.line end
      is_inside = is_inside or token.text == group
    end
  end
end

-- Tries each setting by itself, so that none hides another.
local function each_problem(settings, native, found)
  for group, value in pairs(settings) do
    if group ~= "listen" and group ~= "workers" then
      local whole = type(value) ~= "table" or type(next(value)) ~= "string" or group == "tls" -- a list is one setting
      for name, each in pairs(whole and { [false] = value } or value) do
        local setting = value
        if not whole then setting = { [name] = each } end
        local ok, err = pcall(native.check_settings, { [group] = setting })
        local is_order = not ok and err:find "lower it or raise that" -- two together, which the whole tells
        if not ok and not is_order then found(err, not whole and group or nil, whole and group or name) end
        if whole then break end
      end
    end
  end
end

local DURATIONS = { timeouts = "%a", keep_alive = "^interval$", shutdown = "%a" } -- groups, and their names that are durations

-- Durations that look like milliseconds: 1000, 1500, 30000. What people mean in seconds is a product of 60.
local function each_in_milliseconds(settings, found)
  for group, pattern in pairs(DURATIONS) do
    for name, value in pairs(type(settings[group]) == "table" and settings[group] or {}) do
      if tostring(name):find(pattern) and type(value) == "number" and value >= 1000 and value % 500 == 0 then
        found(("%s.%s %g: durations are seconds; %g s are %g minutes"):format(group, name, value, value, value // 60), group, name)
      end
    end
  end
end

local DAY, WARN_DAYS = 86400, 30

local function host_name(number) return number == 1 and "tls" or ("tls[%d]"):format(number - 1) end

-- Certificates that cannot be used, have ended, or end soon, which is a warning, as a name is that two hosts have.
local function each_certificate(settings, native, found)
  if type(settings.tls) ~= "table" then return end
  local list, err = native.certificates(settings.tls)
  if not list then return found(err, nil, "tls") end
  for i, each in ipairs(list) do
    if each.name then
      found(("%s: it has the name %s, as %s has: whoever asks for that is served by %s"):format(
        host_name(i), each.name, host_name(each.other), list[each.other].file), nil, "tls", true)
    end
    local days = each.seconds / DAY
    if days <= 0 then found(("tls: %s has ended: clients refuse it"):format(each.file), nil, "tls")
    elseif days < WARN_DAYS then found(("tls: %s ends in %d days"):format(each.file, math.floor(days)), nil, "tls", true) end
  end
end

-- The problems of the settings file, if there is one; a list.
function problems_of.settings(named, app, native)
  local path, list = settings_file.path(named, app), {}
  if not path then return list end
  local settings, err = settings_file.read(path)
  if not settings then
    local file, line, what = err:match("^([^\n]-):(%d+): ([^\n]*)")
    what = what or err:sub(1, #path + 2) == path .. ": " and err:sub(#path + 3) or err
    return { { file = file or path, line = tonumber(line), problem = what, hint = report.hint_of(err) } }
  end
  local f <close> = assert(io.open(path))
  local tokens = lexer(f:read "a")
  local function found(what, group, name, is_warning)
    list[#list + 1] = { file = path, line = line_of(tokens, group, name), problem = what:gsub(";.*", ""), hint = what:match("; (.*)$"), warning = is_warning }
  end
  each_problem(settings, native, found)
  if #list == 0 then
    local ok, what = pcall(native.take_settings, settings, {})
    local group, name = tostring(what):match "^([%w_]+)%.?([%w_]*)"
    if not ok then found(what, name ~= "" and group or nil, name ~= "" and name or group) end
  end
  if #list == 0 then each_certificate(settings, native, found) end
  each_in_milliseconds(settings, found)
  table.sort(list, function(a, b) return (a.line or 0) < (b.line or 0) end)
  return list
end

-- A line for each, and one for its hint.
function problems_of.print(problems, to)
  for _, each in ipairs(problems) do
    to:write(("%s:%s %s%s\n"):format(each.file, each.line and each.line .. ":" or "", each.warning and "warning: " or "", each.problem))
    if each.hint then to:write("  hint: ", each.hint, "\n") end
  end
end

return problems_of
