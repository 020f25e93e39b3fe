-- SPDX-License-Identifier: MIT
-- Checks that dependencies point downwards: a file includes headers of its own folder or of one below it, and what
-- belongs to one place is used there only. Prints what does not hold; exits 1 where there is any.
local BELOW = { -- the folders whose headers each may include, beside its own
  base = {},
  loop = { "base" },
  http = { "loop", "base" },
  event = { "loop", "base" },
  serve = { "event", "http", "loop", "base" },
  script = { "serve", "event", "http", "loop", "base" },
  harness = { "script", "serve", "event", "http", "loop", "base" },
  process = { "harness", "script", "serve", "event", "http", "loop", "base" },
}

local SYSTEM = { -- headers of libraries, and the folders that may include them
  ["lua.h"] = "script harness", ["lauxlib.h"] = "script harness", ["lualib.h"] = "script harness",
  ["ev.h"] = "loop", ["llhttp.h"] = "http", ["jansson.h"] = "script",
}

local HIDDEN = { ["ev.h"] = true } -- those that no header includes

local CALLS = { -- names, and the files that may use them: the doors into Lua
  { "lua_resume", "script/coroutine.c" },
  { "lua_pcallk?", "script/vm.c", "script/lua_cli.c" },
  { "luaL?_newstate", "script/vm.c", "script/lua_cli.c" },
  { "llhttp_set_lenient[%w_]*" },
}

local found = 0

local function complain(path, line, format, ...)
  found = found + 1
  io.stderr:write(("server/%s:%d: "):format(path, line), format:format(...), "\n")
end

local function has(list, item)
  for _, one in ipairs(list) do
    if one == item then return true end
  end
  return false
end

local function check_include(path, folder, line, text)
  local own = text:match('^%s*#%s*include%s*"([^"]+)"')
  local system = text:match("^%s*#%s*include%s*<([^>]+)>")
  local target = own and own:match("^([^/]+)/")
  if own and not BELOW[target] then complain(path, line, 'include "%s" with its folder', own) end
  if BELOW[target] and target ~= folder and not has(BELOW[folder], target) then
    complain(path, line, "%s/ may not include %s/", folder, target)
  end
  local allowed = SYSTEM[system or own or ""]
  if allowed and not (" " .. allowed .. " "):find(" " .. folder .. " ", 1, true) then
    complain(path, line, "%s belongs to %s", system or own, allowed)
  end
  if HIDDEN[system or own or ""] and path:find("%.h$") then
    complain(path, line, "%s belongs into .c files: whoever includes this header would get it", system or own)
  end
end

local function check_calls(path, line, text)
  for _, call in ipairs(CALLS) do
    local name = text:match("%f[%w_]" .. call[1] .. "%f[^%w_]%s*%(")
    if name and not has({ table.unpack(call, 2) }, path) then
      complain(path, line, "%s%s", name:match("[%w_]+"), call[2] and " belongs to " .. call[2] or " has no place here")
    end
  end
end

-- The lines of a file without comments and strings, but for the paths of includes.
local function lines_of(path)
  local f <close> = assert(io.open("server/" .. path))
  local text = f:read("a"):gsub("/%*.-%*/", function(comment) return comment:gsub("[^\n]", "") end)
  local number = 0
  return function(_, rest)
    local line, after = text:match("^([^\n]*)\n()", rest)
    if not line then return nil end
    number = number + 1
    line = line:gsub("//.*", "")
    return after, number, line:find("#%s*include") and line or line:gsub('"[^"]*"', '""')
  end, nil, 1
end

local listing = assert(io.popen("cd server && find . -name '*.[ch]' | sort"))
for name in listing:lines() do
  local path = name:sub(3)
  local folder = path:match("^([^/]+)/")
  if not BELOW[folder] then complain(path, 1, "not in the folder of a layer") end
  for _, line, text in lines_of(path) do
    if BELOW[folder] then check_include(path, folder, line, text) end
    check_calls(path, line, text)
  end
end
listing:close()
os.exit(found == 0)
