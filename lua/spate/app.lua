-- SPDX-License-Identifier: MIT
-- Applications: routes, groups, middleware, hooks, and how a request becomes an answer.
local core = require "spate.core"
local json = require "spate.json"
local reply = require "spate.reply"
local sse = require "spate.sse"

local Reply = reply.Reply
local METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }

local App = { __name = "app" }
App.__index = App

local Abort = { __name = "abort" } -- what spate.abort raises
Abort.__tostring = function(a) return "abort " .. tostring(a.status) .. ": " .. tostring(a.text) end

local app = { Abort = Abort }

-- A group shares everything with its app but the prefix and the middleware in front of its routes.
local function new_scope(root, prefix, middleware)
  return setmetatable({ root = root, prefix = prefix, middleware = middleware }, App)
end

-- A new application.
function app.new()
  local root = { router = core.router(), routes = {}, parents = {}, hooks = { before = {}, after = {}, use = {}, start = {}, stop = {} } }
  return new_scope(root, "", {})
end

local function check_self(self, name)
  if getmetatable(self) ~= App then core.raise("app:" .. name .. "(...): write it with a colon") end
end

local function check_functions(list, from, what)
  for i = from, #list do
    if type(list[i]) ~= "function" then
      core.raise(("%s: expected a function, got %s"):format(what, type(list[i])))
    end
  end
end

local function add(root, route)
  local id = #root.routes + 1
  local other = root.router:add(route.method, route.path, id)
  if other then
    core.raise(("%s %s is defined already at %s"):format(route.method, route.path, root.routes[other].where))
  end
  root.routes[id] = route
  for _, parent in ipairs(root.parents) do parent(route) end
end

local function wrap(handler, middleware)
  for i = #middleware, 1, -1 do
    local outer, inner = middleware[i], handler
    handler = function(req)
      return outer(req, function() return inner(req) end)
    end
  end
  return handler
end

local function concat(a, b)
  local all = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #all + 1, all)
end

local function register(self, method, path, ...)
  local chain = { ... }
  if type(path) ~= "string" then core.raise(("app:%s: expected a path, got %s"):format(method:lower(), type(path))) end
  if #chain == 0 then core.raise(("app:%s(%q): expected a handler function"):format(method:lower(), path)) end
  check_functions(chain, 1, ("app:%s(%q)"):format(method:lower(), path))
  local handler = table.remove(chain)
  add(self.root, {
    method = method, path = self.prefix .. path, where = core.where(),
    handler = wrap(handler, concat(self.middleware, chain)),
  })
  return self
end

for _, method in ipairs(METHODS) do
  App[method:lower()] = function(self, ...)
    check_self(self, method:lower())
    return register(self, method, ...)
  end
end

-- Every method that has no route of its own at this path so far.
function App:all(path, ...)
  check_self(self, "all")
  for _, method in ipairs(METHODS) do
    if method ~= "HEAD" then register(self, method, path, ...) end
  end
  return self
end

-- Routes below a prefix, behind middleware: app:group("/api", auth, function(g) g:get(...) end)
function App:group(prefix, ...)
  check_self(self, "group")
  local chain = { ... }
  check_functions(chain, 1, "app:group")
  if type(prefix) ~= "string" or #chain == 0 then core.raise('app:group: expected ("/prefix", [middleware,] function(group))') end
  local define = table.remove(chain)
  define(new_scope(self.root, self.prefix .. prefix, concat(self.middleware, chain)))
  return self
end

-- Another application's routes below a prefix, those it gets later too, each behind its own hooks.
function App:mount(prefix, other)
  check_self(self, "mount")
  if getmetatable(other) ~= App then core.raise("app:mount: expected another app, got " .. type(other)) end
  local function take(route)
    add(self.root, {
      method = route.method, path = self.prefix .. prefix .. (route.path == "/" and prefix ~= "" and "" or route.path), where = route.where,
      handler = wrap(app.handler(other.root, route), self.middleware),
    })
  end
  for _, route in ipairs(other.root.routes) do take(route) end
  table.insert(other.root.parents, take)
  return self
end

local function adder(name, list)
  App[name] = function(self, fn)
    check_self(self, name)
    check_functions({ fn or false }, 1, "app:" .. name)
    table.insert(self.root.hooks[list], fn)
    return self
  end
end

adder("before", "before") -- fn(req): a reply that it returns is the answer
adder("after", "after")   -- fn(req, reply): may change the reply, or return another

-- Middleware around every route of this app or group, those defined later: fn(req, next).
function App:use(fn)
  check_self(self, "use")
  check_functions({ fn or false }, 1, "app:use")
  if self.prefix == "" and #self.middleware == 0 then table.insert(self.root.hooks.use, fn)
  else self.middleware = concat(self.middleware, { fn }) end
  return self
end

local function setter(name)
  App[name] = function(self, fn)
    check_self(self, name)
    check_functions({ fn or false }, 1, "app:" .. name)
    self.root.hooks[name] = fn
    return self
  end
end

setter("on_error")  -- fn(err, req): the reply to an error
setter("not_found") -- fn(req): the reply where no route matches

local function lifecycle(name, list)
  App[name] = function(self, fn, options)
    check_self(self, name)
    check_functions({ fn or false }, 1, "app:" .. name)
    table.insert(self.root.hooks[list], { fn = fn, each_worker = options and options.each_worker })
    return self
  end
end

lifecycle("on_start", "start") -- once per process, or on each worker with { each_worker = true }
lifecycle("on_stop", "stop")

-- What a handler returned, as a reply.
local function to_reply(value, route)
  local kind, meta = type(value), getmetatable(value)
  if meta == Reply then return value end
  if kind == "string" then return reply.text(value) end
  if meta == sse.Stream then return sse.reply(value) end
  if kind == "table" then return reply.json(value) end
  local hint = value == nil and "did you forget `return`?" or "expected a reply, a string, a table or a stream"
  error(("the handler of %s %s (%s) returned %s; %s"):format(route.method, route.path, route.where, kind, hint), 0)
end

local function run_hooks(hooks, req, route)
  for _, fn in ipairs(hooks.before) do
    local early = fn(req)
    if early ~= nil then return to_reply(early, route) end
  end
  return to_reply(wrap(route.handler, hooks.use)(req), route)
end

-- The route's handler inside the hooks of its own app.
function app.handler(root, route)
  local hooks = root.hooks
  return function(req)
    if not (hooks.before[1] or hooks.use[1] or hooks.after[1]) then return to_reply(route.handler(req), route) end
    local answer = run_hooks(hooks, req, route)
    for _, fn in ipairs(hooks.after) do answer = to_reply(fn(req, answer) or answer, route) end
    return answer
  end
end

local function with_traceback(err)
  if type(err) ~= "string" then return err end
  return { err = err, traceback = debug.traceback(err, 2) }
end

local function internal_error(req, err)
  local text = type(err) == "table" and err.traceback or tostring(err)
  core.log.error(text, { request = tostring(req) })
  return reply.error(500, "Internal Server Error")
end

-- The reply to an error in a handler.
local function on_raise(root, req, err)
  if getmetatable(err) == Abort then
    return reply.error(err.status, err.text or "error")
  end
  local hook = root.hooks.on_error
  if not hook then return internal_error(req, err) end
  local given = type(err) == "table" and err.traceback and err.err or err
  local ok, answer = pcall(hook, given, req)
  if ok and answer ~= nil then ok, answer = pcall(to_reply, answer, { method = "on_error", path = "", where = "?" }) end
  if ok and answer ~= nil then return answer end
  if not ok then internal_error(req, answer) end
  return internal_error(req, err)
end

local STREAM_FIELDS = {
  { "Content-Type", "text/event-stream" }, { "Cache-Control", "no-cache" }, { "X-Accel-Buffering", "no" },
}

local function stream_fields(fields)
  local all, given = {}, {}
  for i = 1, fields and #fields or 0, 2 do given[fields[i]:lower()] = true end
  for _, field in ipairs(STREAM_FIELDS) do
    if not given[field[1]:lower()] then table.move(field, 1, 2, #all + 1, all) end
  end
  return fields and concat(all, fields) or all
end

local PLAIN_STREAM_FIELDS = stream_fields(nil)

-- Opens the event stream and runs its producer to its end in this task.
local function run_stream(req, answer)
  local interval, text = sse.keep_alive_of(answer._stream, answer._keep_alive)
  local fields = answer._fields and stream_fields(answer._fields) or PLAIN_STREAM_FIELDS
  if core.open(req, answer._status, fields, interval, text) then sse.run(req, answer._stream)
  else answer._stream:close() end
end

local function missing(root, req, allowed)
  if not allowed then
    local hook = root.hooks.not_found
    return { method = "not_found", path = "", where = "?", handler = hook or function() return reply.error(404, "Not Found") end }
  end
  return {
    method = "405", path = "", where = "?",
    handler = function()
      local status = req.method == "OPTIONS" and 204 or 405
      local r = status == 204 and reply.status(204) or reply.error(405, "Method Not Allowed")
      return r:header("Allow", allowed)
    end,
  }
end

local function allowed_names(bits)
  local names = {}
  for i, method in ipairs(METHODS) do
    if bits & (1 << (i - 1)) ~= 0 or method == "OPTIONS" then names[#names + 1] = method end
  end
  return table.concat(names, ", ")
end

-- The body of each request's task. `route` is a number of ours, 0 where no path matches, -1 where the path has other
-- methods, which `allowed` has as bits.
local function answerer(root)
  local handlers = {}
  for id, route in ipairs(root.routes) do handlers[id] = app.handler(root, route) end
  return function(req, route, allowed)
    local handler = handlers[route] or app.handler(root, missing(root, req, route == -1 and allowed_names(allowed)))
    local ok, answer = xpcall(handler, with_traceback, req)
    if not ok then answer = on_raise(root, req, answer) end
    if answer._stream then return run_stream(req, answer) end
    return reply.send(req, answer)
  end
end

-- Runs what was given to on_close, each whatever the others do.
local function run_closers(req, reason)
  for _, fn in ipairs(core.closers(req) or {}) do
    local ok, err = xpcall(fn, debug.traceback, reason)
    if not ok then core.log.error(tostring(err)) end
  end
end

local function on_this_worker(list)
  local functions = {}
  for _, hook in ipairs(list) do
    if hook.each_worker or core.worker == 0 then functions[#functions + 1] = hook.fn end
  end
  return functions
end

-- Makes the application that a script returned the state's own.
function app.install(self, path)
  if getmetatable(self) ~= App then
    error(("%s: expected the script to return its app, got %s; end it with `return app`"):format(path, type(self)), 0)
  end
  local root = self.root
  core.use_router(root.router)
  local starters = concat(on_this_worker(root.hooks.start), sse.starters(core.worker))
  core.keep(answerer(root), run_closers, starters, on_this_worker(root.hooks.stop))
end

-- req:json(): the body as JSON, or nil and what is wrong with it.
function core.request_methods.json(req)
  local body, err = req:body()
  if not body then return nil, err end
  return json.decode(body)
end

local function quality(range)
  return tonumber(range:match(";%s*[qQ]=([%d.]+)")) or 1
end

-- req:accepts(type): true where the Accept field allows it (RFC 9110 12.5.1).
function core.request_methods.accepts(req, wanted)
  local accept = req.headers.accept
  if not accept then return true end
  local major, best, rank = wanted:match("^[^/]*"), 0, 0
  for range in accept:gmatch("[^,]+") do
    local name = range:match("^%s*([^;%s]+)") or ""
    local r = name == wanted and 3 or name == major .. "/*" and 2 or name == "*/*" and 1 or 0
    if r > rank then best, rank = quality(range), r end
  end
  return best > 0
end

return app
