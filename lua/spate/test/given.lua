-- SPDX-License-Identifier: MIT
-- What t.load's `env` and `modules` give to an application, whose Lua state is another than the spec's: text and bytecode.
local given = {}

-- Source of a value without functions.
local function literal(value, what, level, depth)
  local kind = type(value)
  if kind == "string" then return ("%q"):format(value) end
  if kind == "number" or kind == "boolean" then return kind == "boolean" and tostring(value) or ("%q"):format(value) end
  if kind ~= "table" or depth > 100 then
    error(("%s: expected a function that returns the module, or a table of texts, numbers, booleans and tables, got a %s in it"):format(what, kind), level + 1)
  end
  local parts = {}
  for key, member in pairs(value) do
    parts[#parts + 1] = ("[%s]=%s"):format(literal(key, what, level + 1, depth + 1), literal(member, what, level + 1, depth + 1))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- It runs in the application's state: nothing of the spec's is there.
local function chunk_of(fn, what, level)
  for i = 1, math.huge do
    local name = debug.getupvalue(fn, i)
    if not name then break end
    if name ~= "_ENV" then
      error(("%s: the function runs in the application's Lua state, where the spec's local '%s' is not: define it inside, or give a table"):format(
        what, name), level + 1)
    end
  end
  return string.dump(fn)
end

local function add_modules(list, modules, level)
  for name, module in pairs(modules) do
    if type(name) ~= "string" then error("t.load: modules: expected a table by names, got " .. type(name), level + 1) end
    local what = ("t.load: modules['%s']"):format(name)
    list[#list + 1] = name
    if type(module) == "function" then list[#list + 1] = chunk_of(module, what, level + 1)
    else
      if type(module) ~= "table" then
        error(("%s: expected a function that returns the module, or a table, got %s"):format(what, type(module)), level + 1)
      end
      list[#list + 1] = "return " .. literal(module, what, level + 1, 0)
    end
  end
end

local ENV = [[
local given, getenv = %s, os.getenv
function os.getenv(name)
  local value = given[name]
  if value == nil then return getenv(name) end
  return value or nil
end]]

local function add_env(list, env, level)
  for name, value in pairs(env) do
    if type(name) ~= "string" then error("t.load: env: expected a table by names, got " .. type(name), level + 1) end
    if type(value) ~= "string" and value ~= false then
      error(("t.load: env['%s']: expected a string, or false where it is not to be set, got %s"):format(name, type(value)), level + 1)
    end
  end
  list[#list + 1] = ""
  list[#list + 1] = ENV:format(literal(env, "t.load: env", level, 0))
end

local function check(value, name, level)
  if value ~= nil and type(value) ~= "table" then error(("t.load: %s: expected a table, got %s"):format(name, type(value)), level + 1) end
  return value
end

-- A list as the harness takes it: the names of modules, "" for what runs at once, and chunks.
function given.list(options, level)
  local list = {}
  if check(options.env, "env", level + 1) then add_env(list, options.env, level + 1) end
  if check(options.modules, "modules", level + 1) then add_modules(list, options.modules, level + 1) end
  return list
end

return given
