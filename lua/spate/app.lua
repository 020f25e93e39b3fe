-- SPDX-License-Identifier: MIT
-- Applications: what scripts register while they are loaded. Routes, groups, middleware, hooks, other apps.
local answer = require "spate.answer"
local check = require "spate.check"
local channel_routes = require "spate.channel_routes"
local core = require "spate.core"
local json = require "spate.json"
local sse = require "spate.sse"
local static = require "spate.static"

local METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } -- that have a function of their name
local METHOD_NAME_MAX = 24
local JSON_OPTIONS = { "null" }
local is_common = {}
for _, method in ipairs(METHODS) do is_common[method] = true end
local NO_METHODS = { -- that the server refuses by itself
  CONNECT = "it asks for a tunnel, and this is no proxy", TRACE = "it would show a page what its browser keeps from it",
}

-- What wins where two routes have the same method and shape of path, whatever their order.
local RANK = { method = 3, all = 2, static = 1 }

local App = { __name = "app" }
App.__index = App

local app = { Abort = answer.Abort, App = App }

-- An app or one of its groups: what is registered in it has its prefix and goes through its middleware, and through
-- that of the scope around it.
local function new_scope(root, parent, prefix)
  return setmetatable({ root = root, parent = parent, prefix = prefix, middleware = {} }, App)
end

-- A new application.
function app.new()
  local root = {
    router = core.router(), routes = {}, mounts = {}, takers = {}, static_dirs = {},
    hooks = { before = {}, after = {}, start = {}, stop = {} },
  }
  root.scope = new_scope(root, nil, "")
  return root.scope
end

local function check_self(self, name)
  if getmetatable(self) ~= App then core.raise("app:" .. name .. "(...): write it with a colon") end
  if self.root.is_installed then core.raise("app:" .. name .. ": an app is complete once its script has returned it") end
end

local function check_function(fn, what)
  if type(fn) ~= "function" then core.raise(("%s: expected a function, got %s"):format(what, type(fn))) end
end

local MAKERS = { "allow_hosts", "allow_origins", "basic_auth", "cors", "hsts", "jwt", "rate_limit", "session", "stream_limit" }

-- What makes middleware is none itself.
local function check_called(fn, what)
  local spate = package.loaded["spate"] or {}
  for _, name in ipairs(MAKERS) do
    if fn == spate[name] then core.raise(("%s: spate.%s makes the function: spate.%s { ... }"):format(what, name, name)) end
  end
end

local function check_functions(list, what)
  for i = 1, list.n do
    check_function(list[i], what)
    check_called(list[i], what)
  end
end

local function check_path(path, name)
  if type(path) ~= "string" then core.raise(("app:%s: expected a path, got %s"):format(name, type(path))) end
end

-- "/api" and "/x" are "/api/x"; "/api" and "/" are "/api".
local function join(prefix, path)
  prefix = prefix:gsub("/$", "")
  return path == "/" and prefix ~= "" and prefix or prefix .. path
end

local function refuse_second(route, other)
  local as = other.path ~= route.path and " as " .. other.path or ""
  core.raise(("%s %s is defined already%s at %s"):format(route.method, route.path, as, other.where))
end

-- Of two routes of one shape the more particular one stays, under the number of the first.
local function add(root, route)
  local id = #root.routes + 1
  local known = root.router:add(route.method, route.path, id)
  local other = root.routes[known]
  if other then
    if route.rank == other.rank then refuse_second(route, other) end
    if route.rank < other.rank then return end
    root.router:replace(route.method, route.path)
  end
  root.routes[known or id] = route
  for _, take in ipairs(root.takers) do take(route) end
end

local function register(self, methods, name, path, ...)
  local chain = table.pack(...)
  check_path(path, name)
  local what = ("app:%s(%q)"):format(name, path)
  if chain.n == 0 then core.raise(what .. ": expected a handler function") end
  check_functions(chain, what)
  local handler = table.remove(chain)
  for _, method in ipairs(methods) do
    add(self.root, {
      method = method, path = join(self.prefix, path), where = core.where(), rank = name == "all" and RANK.all or RANK.method,
      scope = self, middleware = chain, handler = handler,
    })
  end
  return self
end

for _, method in ipairs(METHODS) do
  local name, methods = method:lower(), { method }
  App[name] = function(self, ...)
    check_self(self, name)
    return register(self, methods, name, ...)
  end
end

local ALL = { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } -- HEAD follows GET

-- Any method by its name, as HTTP has them: app:on("PROPFIND", "/files/*path", fn)
function App:on(method, ...)
  check_self(self, "on")
  if type(method) ~= "string" or #method > METHOD_NAME_MAX or method == "" or method:find("[^%w!#$%%&'*+%-.^_`|~]") then
    core.raise(('app:on: expected a method such as "PROPFIND", got %s'):format(type(method) == "string" and ("%q"):format(method) or type(method)))
  end
  if NO_METHODS[method] then core.raise(("app:on(%q): refused always: %s"):format(method, NO_METHODS[method])) end
  if is_common[method:upper()] and method ~= method:upper() then -- they differ by case (RFC 9110 9.1)
    core.raise(("app:on(%q): no client sends that; write %q"):format(method, method:upper()))
  end
  return register(self, { method }, "on", ...)
end

-- Each of these methods that has no route of its own at this path.
function App:all(...)
  check_self(self, "all")
  return register(self, ALL, "all", ...)
end

-- The endpoint pair of channels: GET subscribes, POST publishes. Options: those of sse.channel, replay, prefix, authorize.
function App:channel(path, options)
  check_self(self, "channel")
  check_path(path, "channel")
  local subscribe, publish = channel_routes(path, options)
  register(self, { "GET" }, "channel", path, subscribe)
  return register(self, { "POST" }, "channel", path, publish)
end

-- The page at "/" of an app, which answers with and without a slash at the end of where that is mounted.
function app.index(self, handler)
  add(self.root, {
    method = "GET", path = join(self.prefix, "/"), where = core.where(), rank = RANK.method, scope = self, middleware = {}, handler = handler,
    is_folder = true,
  })
end

-- What lies beneath a folder, which is relative to the script's own: app:static("/assets", "public")
function App:static(prefix, dir, options)
  check_self(self, "static")
  check_path(prefix, "static")
  local root = self.root
  local handler, folder = static(dir, options, answer.not_found(root))
  local base = join(self.prefix, prefix):gsub("/$", "")
  for _, path in ipairs { base, base .. "/", base .. "/*file" } do
    if path ~= "" then
      add(root, {
        method = "GET", path = path, where = core.where(), rank = RANK.static, scope = self, middleware = {}, handler = handler,
        is_folder = true,
      })
    end
  end
  table.insert(root.static_dirs, folder)
  return self
end

-- Routes below a prefix, behind middleware: app:group("/api", auth, function(g) g:get(...) end)
function App:group(prefix, ...)
  check_self(self, "group")
  local chain = table.pack(...)
  check_path(prefix, "group")
  if chain.n == 0 then core.raise('app:group: expected ("/prefix", [middleware,] function(group))') end
  check_functions(chain, "app:group")
  local define = table.remove(chain)
  local group = new_scope(self.root, self, join(self.prefix, prefix))
  table.move(chain, 1, #chain, 1, group.middleware)
  define(group)
  return self
end

local function holds(root, other)
  if root == other then return true end
  for _, mount in ipairs(root.mounts) do
    if holds(mount.root, other) then return true end
  end
  return false
end

-- What is beneath the prefix and has no route is the mounted application's to answer; the first one's where there are two.
local function add_mount(root, scope, base, other)
  local _, depth = base:gsub("%b[]", ""):gsub("/", "") -- segments, each of which is one of a path
  root.mounts[#root.mounts + 1] = { root = other, scope = scope, depth = depth }
  root.mount_router = root.mount_router or core.router()
  for _, path in ipairs { base, base .. "/", base .. "/*__beneath" } do
    if path ~= "" then root.mount_router:add("GET", path, #root.mounts) end
  end
end

-- Another application's routes below a prefix, those it gets later too, each behind its own hooks.
function App:mount(prefix, other)
  check_self(self, "mount")
  check_path(prefix, "mount")
  if getmetatable(other) ~= App then core.raise("app:mount: expected another app, got " .. type(other)) end
  if other.parent then core.raise("app:mount: expected an app, got a group of one") end
  if holds(other.root, self.root) then core.raise("app:mount: the app would hold itself") end
  local below = join(self.prefix, prefix)
  add_mount(self.root, self, (below:gsub("/$", "")), other.root)
  local function take_at(path, route, rank)
    add(self.root, {
      method = route.method, path = path, where = route.where, rank = rank,
      scope = self, middleware = {}, mounted = other.root, inner = route, is_folder = route.is_folder,
    })
  end
  local function take(route)
    take_at(join(below, route.path), route, route.rank)
    local is_folder = route.path == "/" and route.is_folder and below ~= "" and below ~= "/"
    if is_folder then take_at((below:gsub("/$", "")) .. "/", route, RANK.static) end
  end
  for _, route in ipairs(other.root.routes) do take(route) end
  table.insert(other.root.takers, take)
  return self
end

-- Middleware around every route of this app or group, wherever they are defined; an app's also around the replies to
-- requests without a route: fn(req, next).
function App:use(fn)
  check_self(self, "use")
  check_function(fn, "app:use")
  check_called(fn, "app:use")
  table.insert(self.middleware, fn)
  return self
end

local function adder(name)
  App[name] = function(self, fn)
    check_self(self, name)
    check_function(fn, "app:" .. name)
    table.insert(self.root.hooks[name], fn)
    return self
  end
end

adder("before") -- fn(req): a reply that it returns is the answer
adder("after")  -- fn(req, reply): may change the reply, or return another

local function setter(name)
  App[name] = function(self, fn)
    check_self(self, name)
    check_function(fn, "app:" .. name)
    self.root.hooks[name] = fn
    return self
  end
end

setter("on_error")  -- fn(err, req): the reply to an error
setter("not_found") -- fn(req): the reply where no route matches

local function lifecycle(name, list)
  App[name] = function(self, fn, options)
    check_self(self, name)
    check_function(fn, "app:" .. name)
    if options ~= nil and type(options) ~= "table" then core.raise(("app:%s: expected a table of options, got %s"):format(name, type(options))) end
    table.insert(self.root.hooks[list], { fn = fn, each_worker = options and options.each_worker })
    return self
  end
end

lifecycle("on_start", "start") -- once per process, or on each worker with { each_worker = true }
lifecycle("on_stop", "stop")

-- Every app that `root` holds, itself first, each once.
local function all_roots(root, list)
  list = list or {}
  if list[root] then return list end
  list[root], list[#list + 1] = true, root
  for _, mount in ipairs(root.mounts) do all_roots(mount.root, list) end
  return list
end

-- The functions of all apps that are to run on this worker.
local function on_this_worker(roots, list)
  local functions = {}
  for _, root in ipairs(roots) do
    for _, hook in ipairs(root.hooks[list]) do
      if hook.each_worker or core.worker == 0 then functions[#functions + 1] = hook.fn end
    end
  end
  return functions
end

-- Makes the application that a script returned the state's own.
function app.install(self, path)
  if getmetatable(self) ~= App then
    error(("%s: expected the script to return its app, got %s; end it with `return app`"):format(path, type(self)), 0)
  end
  if self.parent then error(("%s: expected the script to return its app, got a group of it"):format(path), 0) end
  local root, patterns, methods = self.root, {}, {}
  if core.dev then require("spate.dev").complete(root) end
  local roots = all_roots(root)
  for _, each in ipairs(roots) do each.is_installed = true end
  for id, route in ipairs(root.routes) do patterns[id], methods[id] = route.path, route.method end
  core.use_router(root.router, patterns, methods)
  core.keep(answer.answerer(root), answer.run_closers, on_this_worker(roots, "start"), sse.beginnings(),
    on_this_worker(roots, "stop"), core.retire)
end

require "spate.form"

-- req:json(): the body as JSON, or nil and what is wrong with it. Options: those of json.decode.
function core.request_methods.json(req, options)
  if options ~= nil then
    check.options(options, "req:json", JSON_OPTIONS)
    if options.null ~= nil and options.null ~= json.null then core.raise("req:json: null: expected json.null, got " .. type(options.null)) end
  end
  local body, err = core.request_methods.body(req)
  if not body then return nil, err end
  return json.decode(body, options)
end

local function quality(range)
  return tonumber(range:match(";%s*[qQ]=([%d.]+)")) or 1
end

-- req:accepts(type): true where the Accept field allows it (RFC 9110 12.5.1).
function core.request_methods.accepts(req, wanted)
  if type(wanted) ~= "string" then core.raise("req:accepts: expected a media type, got " .. type(wanted)) end
  local accept = req.headers.accept
  if not accept then return true end
  wanted = wanted:lower()
  local major, best, rank = wanted:match("^[^/]*"), 0, 0
  for range in accept:lower():gmatch("[^,]+") do
    local name = range:match("^%s*([^;%s]+)") or ""
    local r = name == wanted and 3 or name == major .. "/*" and 2 or name == "*/*" and 1 or 0
    if r > rank then best, rank = quality(range), r end
  end
  return best > 0
end

core.public(core.request_methods, "json", "accepts")

return app
