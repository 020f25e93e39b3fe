-- SPDX-License-Identifier: MIT
-- The settings file of an application: a Lua file that returns a table, read without io and os.
local settings_file = {}

local DEFAULT = "spate.conf.lua"
local SAFE = { "assert", "error", "ipairs", "math", "next", "pairs", "select", "string", "table", "tonumber", "tostring", "type", "utf8" }

local function safe_environment()
  local env = {}
  for _, name in ipairs(SAFE) do env[name] = _G[name] end
  return env
end

-- True where the file can be opened, else false and why not.
function settings_file.exists(path)
  local f <close>, reason = io.open(path)
  return f ~= nil, reason
end

-- True where the file can be read, else false and why not.
function settings_file.is_script(path)
  local f <close>, reason = io.open(path)
  if not f then return false, reason end
  local _, problem = f:read(0)
  return problem == nil, problem and ("%s: %s"):format(path, problem)
end

-- The table that the file returns, or nil and a message.
function settings_file.read(path)
  local chunk, err = loadfile(path, "t", safe_environment())
  if not chunk then return nil, err end
  local ok, result = pcall(chunk)
  if not ok then return nil, tostring(result) end
  if type(result) ~= "table" then return nil, ("%s: expected the file to return a table, got %s"):format(path, type(result)) end
  return result
end

-- The file to read: the one that is named, or the usual one beside the application's script where it exists, as its
-- modules and folders are; nil where there is none.
function settings_file.path(named, app)
  local usual = (app:match("^.*/") or "") .. DEFAULT
  return named or settings_file.exists(usual) and usual or nil
end

-- The settings in it, an empty table where there is no file; and the file's name for messages. Or nil and a message.
function settings_file.of(named, app)
  local path = settings_file.path(named, app)
  if not path then return {}, "settings" end
  local settings, err = settings_file.read(path)
  if not settings then return nil, err end
  return settings, path
end

return settings_file
