-- SPDX-License-Identifier: MIT
-- How a request becomes an answer: a route's handler inside middleware, hooks and protection, and what it returned
-- as a reply.
local check = require "spate.check"
local core = require "spate.core"
local fields = require "spate.fields"
local recheck = require "spate.recheck"
local reply = require "spate.reply"
local report = require "spate.report"
local sse = require "spate.sse"

local Reply = reply.Reply
local dev = core.dev and require "spate.dev" or nil
local live = core.inject and require "spate.live" or nil

local Abort = { __name = "abort" } -- what spate.abort raises
Abort.__tostring = function(a) -- asked for where no request catches it
  return ("%s: spate.abort %d%s: an error where nothing is left to answer, as in a stream"):format(a.where, a.status, a.text and " " .. a.text or "")
end

local Failure = {} -- an error with its traceback, on its way from where it was raised

local answer = { Abort = Abort }

local function concat(a, b)
  local all = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #all + 1, all)
end

-- An error value as text; __tostring may fail too.
local function text_of(err)
  if type(err) == "string" then return err end
  local ok, text = pcall(tostring, err)
  return "error value: " .. (ok and text or "a " .. type(err) .. " whose __tostring fails")
end

-- Lua runs the handler also for an overflow inside `load`, whose message is then a failure already.
local function failure_of(err)
  if getmetatable(err) == Failure then return err end
  return setmetatable({ err = err, traceback = core.traceback(text_of(err)) }, Failure)
end

-- What xpcall has caught: failure_of has not run where memory or the task's time was up.
local function as_failure(caught, where)
  local failure = getmetatable(caught) == Failure and caught or { err = caught, traceback = text_of(caught) }
  failure.handler = failure.handler or where
  return failure
end

local function is_abort(failure) return getmetatable(failure.err) == Abort end

-- A tail call (`return reply.text(nil)`) leaves the traceback without the handler's line, so the log names it.
local function log_failure(req, failure)
  local text, where = failure.traceback, failure.handler
  local has_place = text:find("^[^\n]*:%d+[:)]") or text:find("^the middleware at ")
  text = report.logged(text, where)
  if where and not has_place then text = ("in the handler at %s: %s"):format(where, text) end
  core.log.error(text, { request = tostring(req), id = req.id, handler = failure.handler })
end

-- A 500, which in spate dev says what has failed.
local function error_reply(req, failure)
  return dev and dev.failed(req, report.of(failure.traceback, failure.handler)) or reply.error(500)
end

-- The reply to an error that no on_error function answers.
local function reply_to_failure(req, failure)
  if is_abort(failure) then return reply.error(failure.err.status, failure.err.text) end
  log_failure(req, failure)
  return error_reply(req, failure)
end

local function describe(what, fn)
  local info = debug.getinfo(fn, "S")
  return ("%s at %s:%d"):format(what, info.short_src, info.linedefined)
end

local function is_event(value) return getmetatable(value) == getmetatable(sse.event()) end

-- What a function of the application returned, as a reply; `source` describes the function, `why` came as a second value.
local function to_reply(value, source, hint, why)
  local kind, meta = type(value), getmetatable(value)
  if meta == Reply then return value end
  if kind == "string" then return reply.text(value) end
  if meta == sse.Stream then return sse.reply(value) end
  if meta and meta == package.loaded["spate.http_response"] then
    error(("%s returned a response of another server; reply.pass(res) answers with it, res:body() and res:json() read it"):format(source), 0)
  end
  if check.is_channel(value) then error(source .. " returned a channel; return sse.reply(channel:subscribe())", 0) end
  if kind == "table" then
    local ok, made = pcall(reply.json, value)
    if ok then return made end
    error(("%s returned a table that is not JSON: %s"):format(source, text_of(made)), 0)
  end
  if value == nil and type(why) == "string" then error(("%s returned nil and a message: %s"):format(source, why), 0) end
  if value == nil then hint = hint or "did you forget `return`?"
  elseif kind == "function" then hint = "sse.reply(function(send) ... end) makes a stream of it"
  elseif is_event(value) then kind, hint = "an event", "sse.reply { event } makes a stream of it"
  else hint = "expected a reply, a string, a table or a stream" end
  error(("%s returned %s; %s"):format(source, kind, hint), 0)
end

-- The handler inside middleware, outermost first.
local function around(middleware, handler)
  for i = #middleware, 1, -1 do
    local outer, inner, source = middleware[i], handler, describe("the middleware", middleware[i])
    handler = function(req)
      return to_reply(outer(req, function() return inner(req) end), source, "did you forget `return next()`?")
    end
  end
  return handler
end

local function run_before(list, req)
  for _, fn in ipairs(list) do
    local early = fn(req)
    if early ~= nil then return to_reply(early, describe("the before function", fn)) end
  end
end

local function run_after(list, req, answered)
  for _, fn in ipairs(list) do
    local other = fn(req, answered)
    if other ~= nil then answered = to_reply(other, describe("the after function", fn)) end
  end
  return answered
end

local function behind(before, handler)
  if not before[1] then return handler end
  return function(req) return run_before(before, req) or handler(req) end
end

local function call_on_error(hook, err, req)
  local answered = hook(err, req)
  return answered ~= nil and to_reply(answered, describe("the on_error function", hook))
end

-- The reply to an error. A string is logged even where on_error answers: it is most likely a bug, and its traceback
-- is nowhere else. Other values are the application's own, and on_error's to log.
local function on_raise(hooks, req, failure)
  local hook = hooks.on_error
  if not hook or is_abort(failure) then return reply_to_failure(req, failure) end
  local ok, answered = xpcall(call_on_error, failure_of, hook, failure.err, req)
  if not ok then answered = as_failure(answered) end
  local is_answered = ok and answered or not ok and is_abort(answered)
  if type(failure.err) == "string" or not is_answered then log_failure(req, failure) end
  if not ok then return reply_to_failure(req, answered) end
  return answered or error_reply(req, failure)
end

-- A reply in any case: the handler's, or the one to its error; the after functions have seen it.
local function guard(hooks, handler, where)
  local after = hooks.after
  return function(req)
    local ok, answered = xpcall(handler, failure_of, req)
    if not ok then
      core.cut_ties()
      answered = on_raise(hooks, req, as_failure(answered, where))
    end
    if not after[1] then return answered end
    ok, answered = xpcall(run_after, failure_of, after, req, answered)
    return ok and answered or reply_to_failure(req, as_failure(answered))
  end
end

local FINISHERS = {} -- the key under which a request has them
local are_used = false -- a look into a request has its cost

-- Has fn(req, reply) see the reply to this request whatever made it, an error included; later ones go first. The
-- reply is a copy of its own, since a script may return the same one again and again.
function answer.finish(req, fn)
  are_used = true
  core.finishes(req)
  local list = req[FINISHERS]
  if not list then
    list = {}
    req[FINISHERS] = list
  end
  list[#list + 1] = fn
end

local function run_finishers(req, answered, where)
  local list = are_used and req[FINISHERS]
  if not list then return answered end
  answered = reply.copy(answered)
  for i = #list, 1, -1 do
    local ok, failure = xpcall(list[i], failure_of, req, answered)
    if not ok then answered = reply_to_failure(req, as_failure(failure, where)) end
  end
  return answered
end

-- The middleware of a scope and of those around it.
local function chain(scope)
  if not scope then return {} end
  return concat(chain(scope.parent), scope.middleware)
end

local compile

-- What a mounted app answers, inside the hooks of that app. What it raises is its on_error's, or else goes on to the
-- app around it.
local function inside(hooks, handler, where)
  if hooks.on_error then return guard(hooks, handler, where) end
  if not hooks.after[1] then return handler end
  return function(req) return run_after(hooks.after, req, handler(req)) end
end

local function source_of(route) return ("the handler of %s %s (%s)"):format(route.method, route.path, route.where) end

-- A route as a function from a request to a reply, which may raise.
function compile(root, route)
  local handler
  if route.mounted then
    handler = inside(route.mounted.hooks, compile(route.mounted, route.inner), route.where)
  else
    local fn, source = route.handler, source_of(route)
    handler = function(req)
      if dev then core.asking[coroutine.running()] = req end
      local value, second = fn(req)
      if dev then dev.advise_status(source, value, second) end
      return to_reply(value, source, nil, second)
    end
  end
  return behind(root.hooks.before, around(concat(chain(route.scope), route.middleware), handler))
end

-- The app's not_found, where it has one once it is asked: hooks may be set behind what uses it.
local function not_found_or(root, otherwise)
  return function(req)
    local hook = root.hooks.not_found
    if hook then return to_reply(hook(req), describe("the not_found function", hook)) end
    return otherwise(req)
  end
end

function answer.not_found(root)
  local list_routes = dev and dev.not_found(root.routes)
  return not_found_or(root, function(req) return list_routes and list_routes(req) or reply.error(404) end)
end

-- Where the path has other methods, which the bits of `allowed` are.
local function other_method(allowed)
  local names = {}
  for i, method in ipairs(answer.methods) do
    if allowed & (1 << (i - 1)) ~= 0 or method == "OPTIONS" then names[#names + 1] = method end
  end
  local list = table.concat(names, ", ")
  return function(req)
    local r = req.method == "OPTIONS" and reply.status(204) or reply.error(405)
    return r:header("Allow", list)
  end
end

-- What answers a request without a route: the app's hooks and middleware, or those of the app that is mounted there
-- inside them, around `last`, of which `own(root, last)` makes a mounted app's own. The first `depth` segments of the
-- path are those of the mounts so far.
local function compile_unrouted(root, last, own, depth)
  local hooks, mounts, beneath = root.hooks, {}, "^" .. ("/[^/]*"):rep(depth) .. "(.*)$"
  local function to_mount(mount)
    local inner = mount.root
    local handler = inside(inner.hooks, compile_unrouted(inner, own(inner, last), own, depth + mount.depth))
    local all = chain(mount.scope)
    return around(table.move(all, #root.scope.middleware + 1, #all, 1, {}), handler)
  end
  local function choose(req)
    local path = root.mount_router and req.path:match(beneath)
    local number = path and root.mount_router:find(path ~= "" and path or "/")
    if not number then return last(req) end
    mounts[number] = mounts[number] or to_mount(root.mounts[number])
    return mounts[number](req)
  end
  return behind(hooks.before, around(root.scope.middleware, choose))
end

local STREAM_FIELDS = {
  { "Content-Type", "text/event-stream" }, { "Cache-Control", "no-cache" }, { "X-Accel-Buffering", "no" },
}

local function stream_fields(given)
  local all = {}
  for _, field in ipairs(STREAM_FIELDS) do
    if not fields.find(given, field[1]:lower()) then table.move(field, 1, 2, #all + 1, all) end
  end
  return given and concat(all, given) or all
end

local PLAIN_STREAM_FIELDS = stream_fields(nil)

-- Opens the event stream and runs its producer to its end in this task.
local function run_stream(req, answered)
  local stream = answered._stream
  local source = stream.subscription or stream.ends_with
  local is_over = stream.is_over or source and not stream.first and core.is_over(source)
  if is_over then -- browsers stop at 204
    stream:close()
    return core.answer(req, 204, nil, nil, answered._fields)
  end
  local interval, text = sse.keep_alive_of(answered._stream, answered._keep_alive)
  local all = answered._fields and stream_fields(answered._fields) or PLAIN_STREAM_FIELDS
  local compress = answered._compress
  if compress == nil then compress = stream.compress end
  if core.open(req, answered._status, all, interval, text, compress, not stream.subscription) then
    if answered._recheck then recheck.begin(answered._recheck, req) end
    return sse.run(req, stream)
  end
  return answered._stream:close()
end

local function write_body(req, fn)
  fn(core.writer(req))
  local left = core.raw_left(req)
  if left and left > 0 then
    error(("%s has written %d bytes less than the length it announced"):format(describe("the function of reply.stream", fn), left), 0)
  end
end

-- Sends the head and writes the body in a task of its own.
local function run_raw(req, answered)
  if not core.open_raw(req, answered._status, answered._type, answered._fields, answered._length) then return end
  return core.go_on(req, write_body, req, answered._write)
end

local function send(req, answered, where)
  answered = run_finishers(req, answered, where)
  if answered._proxy then
    answered = answered._proxy:answer(req, answered)
    if not answered then return end
  end
  if answered._response then return core.pass(req, answered._response, answered._status, answered._fields) end
  if answered._stream then return run_stream(req, answered) end
  if answered._write then return run_raw(req, answered) end
  return reply.send(req, live and live.injected(req, answered) or answered)
end

-- A handler that nothing lies around is called by C.
local function is_plain(root, route)
  local hooks = root.hooks
  return not (dev or route.mounted or route.is_own or hooks.before[1] or hooks.after[1] or route.middleware[1] or chain(route.scope)[1])
end

-- What C makes no answer of: `value` is what a plain handler has returned; where `ok` is false its failure, where it is nil
-- the message that came behind nil.
local function serve_plain(root)
  local handlers, sources, places = {}, {}, {}
  for id, route in ipairs(root.routes) do
    places[id] = route.where
    if is_plain(root, route) then handlers[id], sources[id] = route.handler, source_of(route) end
  end
  core.plain_routes(handlers, failure_of, Reply, function(req, value, id, ok)
    local where = root.routes[id].where
    if ok == nil then
      ok, value = xpcall(to_reply, failure_of, nil, sources[id], nil, value)
    elseif ok and getmetatable(value) ~= Reply then
      ok, value = xpcall(to_reply, failure_of, value, sources[id])
    end
    if not ok then
      core.cut_ties()
      value = on_raise(root.hooks, req, as_failure(value, where))
    end
    return send(req, value, where)
  end, places)
end

-- The body of each request's task. `route` is a number of ours, 0 where no path matches, -1 where the path has other
-- methods, which `allowed` has as bits, -2 where no route has the method.
function answer.answerer(root)
  local hooks, handlers = root.hooks, {}
  answer.methods = root.router:methods()
  for id, route in ipairs(root.routes) do
    handlers[id] = route.is_own and route.handler or guard(hooks, compile(root, route), route.where)
  end
  local function unrouted(last, own)
    return guard(hooks, compile_unrouted(root, last, own or function(_, same) return same end, 0))
  end
  handlers[0] = unrouted(answer.not_found(root), not_found_or)
  handlers[-2] = unrouted(function() return reply.error(501) end)
  local refusing = {}
  serve_plain(root)
  return function(req, route, allowed)
    local handler = handlers[route] or refusing[allowed]
    if not handler then
      handler = unrouted(other_method(allowed))
      refusing[allowed] = handler
    end
    return send(req, handler(req), root.routes[route] and root.routes[route].where)
  end
end

-- Runs what was given to on_close, each whatever the others do.
function answer.run_closers(req, reason)
  for _, fn in ipairs(core.closers(req) or {}) do
    local ok, failure = xpcall(fn, failure_of, reason)
    if not ok then log_failure(req, as_failure(failure)) end
  end
end

return answer
