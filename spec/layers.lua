-- SPDX-License-Identifier: MIT
-- Checks that dependencies point downwards: a file includes headers of its own folder or of one below it, calls (or
-- takes the address of) what such a one defines, by the object files in $BUILD, and in its own folder calls none that
-- calls it back, by whatever way round; what belongs to one place is used there only. Prints what each folder has, and
-- what does not hold; exits 1 where there is any.
local BELOW = { -- the folders whose headers each may include, beside its own
  base = {},
  loop = { "base" },
  http = { "loop", "base" },
  event = { "loop", "base" },
  store = { "event", "loop", "base" },
  serve = { "store", "event", "http", "loop", "base" },
  client = { "serve", "store", "event", "http", "loop", "base" },
  script = { "client", "serve", "store", "event", "http", "loop", "base" },
  harness = { "script", "client", "serve", "store", "event", "http", "loop", "base" },
  process = { "harness", "script", "client", "serve", "store", "event", "http", "loop", "base" },
}

local SYSTEM = { -- headers of libraries, and the folders that may include them
  ["lua.h"] = "script harness", ["lauxlib.h"] = "script harness", ["lualib.h"] = "script harness",
  ["ev.h"] = "loop", ["liburing.h"] = "loop", ["llhttp.h"] = "http", ["jansson.h"] = "script",
  ["curl/curl.h"] = "client", ["crypt.h"] = "script", ["sqlite3.h"] = "store client", ["libpq-fe.h"] = "client",
  ["hiredis/hiredis.h"] = "client", ["openssl/ssl.h"] = "loop client harness", ["zlib.h"] = "event harness",
  ["nghttp2/nghttp2.h"] = "http harness",
}

local HIDDEN = { ["ev.h"] = true, ["liburing.h"] = true } -- those that no header includes

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

-- The source files that an object file says that it needs: { ["script/vm"] = { ["script/task"] = "task_wake" } }, each
-- with the name of something that it has from there.
local function read_calls(sources)
  local build = os.getenv("BUILD") or "build"
  local defined, needed, calls = {}, {}, {}
  local nm <close> = assert(io.popen(("nm -A -P %s/*/*.o"):format(build)))
  for line in nm:lines() do
    local unit, symbol, kind = line:match("([^/]+/[^/]+)%.o:%s+(%S+)%s+(%a)")
    if sources[unit] and kind == "U" then needed[#needed + 1] = { unit, symbol } end
    if sources[unit] and kind:find("[TDBRVW]") then defined[symbol] = unit end
  end
  if not next(defined) then
    io.stderr:write(build, ": no object files; make builds them\n")
    os.exit(1)
  end
  for _, need in ipairs(needed) do
    local from, to = need[1], defined[need[2]]
    calls[from] = calls[from] or {}
    if to then calls[from][to] = need[2] end
  end
  return calls
end

-- The sets of files of a folder that call each other in a circle (strongly connected components, after Tarjan).
local function circles_of(folder, calls)
  local number, low, stack, on_stack, count, circles = {}, {}, {}, {}, 0, {}
  local function visit(unit)
    count = count + 1
    number[unit], low[unit], stack[#stack + 1], on_stack[unit] = count, count, unit, true
    for to in pairs(calls[unit] or {}) do
      if to:match("^[^/]+") == folder then
        if not number[to] then visit(to) end
        if on_stack[to] then low[unit] = math.min(low[unit], low[to]) end
      end
    end
    if low[unit] < number[unit] then return end
    local circle = {}
    repeat
      local member = table.remove(stack)
      on_stack[member] = nil
      circle[#circle + 1] = member
    until member == unit
    if #circle > 1 then circles[#circles + 1] = circle end
  end
  for unit in pairs(calls) do
    if unit:match("^[^/]+") == folder and not number[unit] then visit(unit) end
  end
  return circles
end

local function check_call(from, to, symbol)
  local folder, target = from:match("^[^/]+"), to:match("^[^/]+")
  if folder ~= target and not has(BELOW[folder], target) then
    complain(from .. ".c", 1, "%s/ may not call %s of %s.c", folder, symbol, to)
  end
end

-- Says what the circle is made of: a way from its first file back to it would be enough, but all are wanted.
local function show_circle(circle, calls)
  table.sort(circle)
  for _, from in ipairs(circle) do
    local reached = {}
    for _, to in ipairs(circle) do
      local symbol = to ~= from and calls[from][to]
      if symbol then reached[#reached + 1] = ("%s (%s)"):format(to, symbol) end
    end
    print(("    %s calls %s"):format(from, table.concat(reached, ", ")))
  end
end

local function check_circles(folder, calls)
  local circles, in_circles = circles_of(folder, calls), 0
  for _, circle in ipairs(circles) do
    in_circles = in_circles + #circle
    complain(folder .. "/", 1, "%d files call each other in a circle", #circle)
  end
  return circles, in_circles
end

local sources, files, lines = {}, {}, {}
local listing = assert(io.popen("cd server && find . -name '*.[ch]' | sort"))
for name in listing:lines() do
  local path = name:sub(3)
  local folder = path:match("^([^/]+)/")
  if not BELOW[folder] then complain(path, 1, "not in the folder of a layer") end
  files[folder] = (files[folder] or 0) + 1
  if path:find("%.c$") then sources[path:sub(1, -3)] = true end
  for _, line, text in lines_of(path) do
    if BELOW[folder] then check_include(path, folder, line, text) end
    check_calls(path, line, text)
    lines[folder] = (lines[folder] or 0) + 1
  end
end
listing:close()

local calls = read_calls(sources)
for from, list in pairs(calls) do
  for to, symbol in pairs(list) do
    check_call(from, to, symbol)
  end
end
print("folder   files  lines  circles  files in them")
local folders = {}
for folder in pairs(files) do
  folders[#folders + 1] = folder
end
table.sort(folders, function(a, b) -- the lowest first
  local x, y = #(BELOW[a] or {}), #(BELOW[b] or {})
  return x < y or (x == y and a < b)
end)
for _, folder in ipairs(folders) do
  local circles, in_circles = check_circles(folder, calls)
  print(("%-8s %5d %6d %8d %6d"):format(folder, files[folder], lines[folder], #circles, in_circles))
  for _, circle in ipairs(circles) do
    show_circle(circle, calls)
  end
end
os.exit(found == 0)
