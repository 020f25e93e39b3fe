-- SPDX-License-Identifier: MIT
-- Looks at an application in a state that serves nobody: reads its files, then loads it, going on after what would end a
-- start. Returns a function that makes JSON of a path: { problems = [...], routes = [...], loads = true or false }.
local app_module = require "spate.app"
local blocking = require "spate.inspect.blocking"
local core = require "spate.core"
local durations = require "spate.inspect.durations"
local globals = require "spate.inspect.globals"
local json = require "spate.json"
local lexer = require "spate.inspect.lexer"
local packages = require "spate.inspect.packages"
local report = require "spate.report"
local shadows = require "spate.inspect.shadows"

local native_require, native_pcall, native_xpcall = require, pcall, xpcall

local Look = {}
Look.__index = Look

-- One line of a problem; the same one is said once.
function Look:problem(file, line, what, hint)
  local key = ("%s:%s:%s"):format(file, line, what)
  if self.said[key] then return end
  self.said[key] = true
  self.problems[#self.problems + 1] = { file = file, line = line, problem = what, hint = hint }
end

-- A path as the user would write it, whole where Lua has shortened it to "...tail".
function Look:full_path(path)
  local tail = path:match("^%.%.%.(.+)$")
  path = path:gsub("^%./", "")
  for file in pairs(self.files) do
    if tail and file:sub(-#tail) == tail then return file end
  end
  return path
end

-- A message "file:line: what", as Lua writes them.
function Look:message(text, hint)
  local file, line, what = tostring(text):match("^([^\n]-):(%d+): ([^\n]*)")
  hint = hint or report.of(tostring(text)).hint
  if file then self:problem(self:full_path(file), tonumber(line), what, hint)
  else self:problem(self.path, nil, tostring(text):match("^[^\n]*"), hint) end
end

local function is_system(path) return path:find("^/usr/") ~= nil end

-- The file of a module that the user wrote, or nil.
local function own_file(name)
  local path = package.searchpath(name, package.path)
  return path and not is_system(path) and path:gsub("^%./", "") or nil
end

local function is_embedded(name) return type(package.searchers[2](name)) == "function" end

local function is_known(name)
  return package.loaded[name] ~= nil or package.preload[name] ~= nil or package.searchpath(name, package.path) ~= nil
    or package.searchpath(name, package.cpath) ~= nil or is_embedded(name)
end

function Look:missing(name, file, line)
  local nearest = tostring(package.searchers[2](name)):match("did you mean '([^']+)'")
  local places, known = {}, {}
  for pattern in (package.path .. ";" .. package.cpath):gmatch("[^;]+") do
    local place = pattern:gsub("%?", (name:gsub("%.", "/")))
    if not known[place] then places[#places + 1] = place end
    known[place] = true
  end
  self:problem(file, line, ("module '%s' not found"):format(name),
    (nearest and ("did you mean '%s'?"):format(nearest) or packages(name)) .. "; looked for " .. table.concat(places, ", "))
end

-- Calls found(name, line) for each `require "name"`.
local function each_require(tokens, found)
  for i, token in ipairs(tokens) do
    local argument = tokens[i + 1]
    if argument and argument.text == "(" and argument.kind == "op" then argument = tokens[i + 2] end
    local before = tokens[i - 1] and tokens[i - 1].text
    if token.kind == "name" and token.text == "require" and before ~= "." and before ~= ":" and argument and argument.kind == "string" then
      found(argument.text, token.line)
    end
  end
end

-- What can be said of a file without running it, and of the modules that it names.
function Look:read(path)
  if self.files[path] ~= nil then return end
  local f <close>, reason = io.open(path)
  local source = f and f:read "a"
  if not source then return self:problem(path, nil, "cannot open " .. (reason or path)) end
  source = source:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "") -- as Lua reads files
  local chunk, err = load(source, "@" .. path)
  self.files[path] = chunk or false
  if chunk then
    for _, write in ipairs(globals(chunk)) do
      self:problem(path, write.line, ("writes the global '%s' inside a function"):format(write.name),
        "write `local` before its first use; a global is shared by all requests of a worker")
    end
  else self:message(err) end
  local tokens = lexer(source)
  for _, each in ipairs(durations(tokens)) do
    self:problem(path, each.line, ("%s %s: durations are seconds"):format(each.what, each.number),
      ("%s s are %.0f minutes; write a product, as in 60 * 60, where that is meant"):format(each.number, tonumber(each.number) / 60))
  end
  for _, each in ipairs(blocking(tokens)) do
    self:problem(path, each.line, ("%s holds the worker, and everybody it serves, until it returns"):format(each.what), each.hint)
  end
  each_require(tokens, function(name, line)
    local file = own_file(name)
    if file and not is_embedded(name) then self:read(file)
    elseif not chunk and not is_known(name) then self:missing(name, path, line) end
  end)
end

-- Stands for a module that is missing, so that loading can go on: it can be called and indexed for ever.
local placeholder = setmetatable({}, {
  __index = function(self) return self end, __call = function(self) return self end, __concat = function() return "" end,
  __len = function() return 0 end, __tostring = function() return "" end, __pairs = function() return function() end end,
})

-- The user's function that calls, unless it is below a pcall of the user's own, who then expects that it may fail.
local function caller_of()
  local where, level = nil, 3
  while true do
    local info, above = debug.getinfo(level, "Slf"), debug.getinfo(level + 1, "S")
    if not info or not above then return where end
    local is_protected = info.func == native_pcall or info.func == native_xpcall
    if is_protected and not above.source:find("^=spate") then return nil end
    if not where and info.currentline > 0 and not info.source:find("^=spate") then where = info end
    level = level + 1
  end
end

function Look:replace_require()
  function require(name) -- luacheck: ignore 121
    local where = type(name) == "string" and caller_of()
    local ok, result, extra = native_pcall(native_require, name)
    if ok then return result, extra end
    if not where then error(result, 0) end
    self.has_placeholders = true
    local text = tostring(result)
    if not is_known(name) then self:missing(name, self:full_path(where.source:sub(2)), where.currentline)
    elseif not text:find("^error loading module") then self:message(text)
    elseif not self.files[own_file(name)] then self:message(text:match("\n%s*([^\n]*)") or text) end
    package.loaded[name] = placeholder
    return placeholder
  end
end

-- A registration that fails is a problem, and loading goes on.
function Look:wrap_methods()
  local class = getmetatable(app_module.new())
  for name, method in pairs(class) do
    if type(method) == "function" then
      class[name] = function(scope, ...)
        self.root = self.root or type(scope) == "table" and rawget(scope, "root") or nil
        local result = table.pack(native_pcall(method, scope, ...))
        if result[1] then return table.unpack(result, 2, result.n) end
        self:message(result[2])
        return scope
      end
    end
  end
end

function Look:run(chunk)
  local ok, result = native_xpcall(chunk, function(err) return err end)
  if not ok then
    debug.sethook() -- where its time was up, ours is not
    if not self.has_placeholders then self:message(result) end -- else it may come from what is missing
    return nil
  end
  local installed, err = native_pcall(app_module.install, result, self.path)
  if installed then return result.root end
  if result == placeholder then return nil end
  local count = 0
  for _ in io.lines(self.path) do count = count + 1 end
  local what = tostring(err):sub(#self.path + 3):gsub(";.*", "")
  self:problem(self.path, count, what, "the last line of the script is `return app`")
end

local function middleware_of(route)
  local count, scope = #route.middleware, route.scope
  while scope do
    count, scope = count + #scope.middleware, scope.parent
  end
  return route.inner and count + middleware_of(route.inner) or count
end

function Look:split(where)
  local file, line = where:match("^(.*):(%d+)$")
  if not file then return where end
  return self:full_path(file), tonumber(line)
end

-- A parameter as other servers write it.
function Look:foreign_parameter(route)
  local segment = route.path:match("/(%b{})%f[/%z]") or route.path:match("/(<[^/]*>)%f[/%z]")
  if not segment then return end
  self:problem(route.file, route.line, ("%s %s: '%s' is taken as it stands"):format(route.method, route.path, segment),
    "a parameter is written :id, digits alone :id[%d]")
end

function Look:list(root)
  local routes = {}
  for i, route in ipairs(root.routes) do
    local file, line = self:split(route.where)
    routes[i] = { method = route.method, path = route.path, file = file, line = line, middleware = middleware_of(route) }
  end
  for _, route in ipairs(routes) do self:foreign_parameter(route) end
  for _, shadow in ipairs(shadows(routes)) do
    local route, by = shadow.route, shadow.by
    self:problem(route.file, route.line, ("%s %s is never reached: %s at %s:%s takes all of its paths"):format(
      route.method, route.path, by.path, by.file, by.line), "define it before the other, or give the other a narrower pattern")
  end
  return routes
end

local function in_order(a, b)
  if a.file ~= b.file then return a.file < b.file end
  if a.line ~= b.line then return (a.line or 0) < (b.line or 0) end
  return a.problem < b.problem
end

return function(path)
  local dir = path:match("^(.*)/[^/]*$") or "."
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(dir, dir, package.path)
  core.folder = dir .. "/"
  local look = setmetatable({ path = path, files = {}, problems = json.array {}, said = {} }, Look)
  look:read(path)
  local routes = {}
  if look.files[path] then
    look:replace_require()
    look:wrap_methods()
    local root = look:run(look.files[path])
    look.loads = root ~= nil and not look.has_placeholders
    root = root or look.root
    routes = root and look:list(root) or routes
  end
  table.sort(look.problems, in_order)
  return json.encode { problems = look.problems, routes = json.array(routes), loads = look.loads or false }
end
