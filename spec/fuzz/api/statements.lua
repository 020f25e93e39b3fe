-- SPDX-License-Identifier: MIT
-- Statements of a script: each building block is a small function that writes one. What they make they leave in the
-- slots of S, where others find it: too early, too late, twice.
local code = require "spec.fuzz.api.code"
local streams = require "spec.fuzz.api.streams"
local join, fn = code.join, streams.fn

local function channel(d) return streams.channel(d) end
local function event(d) return streams.event(d) end

local function loop_over(d, scope, iterator)
  local inner = setmetatable({ v = true }, { __index = scope })
  local body = d:deeper(streams.statements, d, inner, d:int(0, 2))
  table.insert(body, 1, { ("n = n + 1 if n > %d or not may() then break end"):format(d:int(1, 6)) })
  return join("local n = 0 for v in ", iterator, " do", code.block(body), "end")
end

-- The library's own object in a slot, used as a method would.
local function call(kind, method) return function(d) return { d:slot(kind) .. ":" .. method } end end

local function use(kind, ...)
  local methods = { ... }
  return function(d) return { d:slot(kind) .. ":" .. d:pick(methods) } end
end

local function text(...)
  local list = { ... }
  return function(d) return { d:pick(list) } end
end

local BLOCKS = {}

local function block(weight, write) BLOCKS[#BLOCKS + 1] = { weight, write } end

-- Channels
block(8, function(d) return { ("publish(%s, %s)"):format(channel(d), event(d)) } end)
block(2, function(d) return { ("for _ = 1, %d do publish(%s, %s) end"):format(d:int(2, 12), channel(d), event(d)) } end)
block(2, function(d) return { ("%s = %s"):format(d:slot "ch", channel(d)) } end)
block(1, function(d) return { ("%s:finish(%s)"):format(channel(d), d:pick { "", '"bye"' }) } end)
block(3, function(d) return { ('%s = %s:join("m%d", { 1 })'):format(d:slot "me", channel(d), d:int(1, 2)) } end)
block(2, function(d) return { ('local _me <close> = %s:join("m%d")'):format(channel(d), d:int(1, 2)) } end)
block(2, call("me", "close()"))
block(1, function(d) return { ("local _ = %s:%s()"):format(channel(d), d:pick { "members", "count", "history" }) } end)
block(1, function(d) return { ("S.id = (%s:history(1)[1] or {}).id"):format(channel(d)) } end)

-- Streams, their iterators, their ends
block(9, function(d, scope) return join(d:slot "st", " = ", streams.stream(d, scope)) end)
block(2, function(d, scope) return join("local _st <close> = ", streams.stream(d, scope)) end)
block(4, call("st", "close()"))
block(3, function(d) return { ("%s = %s:each()"):format(d:slot "it", d:slot "st") } end)
block(4, function(d) return { ("S.v = %s()"):format(d:slot "it") } end)
block(4, function(d, scope) return loop_over(d, scope, join(streams.stream(d, scope), ":each()")) end)
block(2, function(d, scope) return loop_over(d, scope, { d:slot "st" .. ":each()" }) end)
block(2, function(d, scope) return loop_over(d, scope, { d:slot "it" }) end)
block(1, function(d, scope) return join("S.v = ", streams.stream(d, scope), ":take(2):collect()") end)

-- Coroutines
block(2, function(d, scope) return join(d:slot "it", " = sse.wrap(", fn(d, "", scope, "coroutine.yield(1), coroutine.yield(2)"), ")") end)
block(1, function(d, scope) return join(d:slot "it", " = coroutine.wrap(", fn(d, "", scope, "coroutine.yield(1)"), ")") end)
block(1, function(d, scope) return join(d:slot "co", " = coroutine.create(", fn(d, "", scope, "coroutine.yield(1)"), ")") end)
block(1, function(d) return { ("coroutine.resume(%s)"):format(d:slot "co") } end)
block(1, function(d) return { ("coroutine.close(%s)"):format(d:slot "co") } end)
block(2, function(d, scope) return loop_over(d, scope, join("sse.wrap(", fn(d, "", scope, "coroutine.yield(1)"), ")")) end)
block(2, function(d) return { ("coroutine.yield(%s)"):format(event(d)) } end)

-- Tasks and time
block(6, function(d) return { ("sse.sleep(%s)"):format(streams.seconds(d)) } end)
block(5, function(d, scope) return join(d:slot "t", " = spawn(", fn(d, "", scope), ")") end)
block(4, call("t", "cancel()"))
block(3, call("t", "join()"))
block(1, function(d, scope) return join(d:slot "t", " = every(", d:pick { "0.5", "2" }, ", ", fn(d, "", scope), ")") end)

-- Senders, requests and bodies, also those of others
block(4, function(d, scope) return { ("%s(%s)"):format(scope.send and d:chance(80) and "send" or d:slot "send", event(d)) } end)
block(2, function(d, scope) return scope.send and { ('for _ = 1, %d do send(("y"):rep(%d)) end'):format(d:int(2, 9), d:pick { 10, 3000 }) } end)
block(1, function(d) return { ('%s("w")'):format(d:slot "write") } end)
block(2, function(d, scope)
  for _, name in ipairs { "send", "write", "req" } do
    if scope[name] and d:chance(50) then return { ("%s = %s"):format(d:slot(name), name) } end
  end
end)
block(2, function(d, scope) return scope.write and { ("write(%s)"):format(d:pick { '"w"', '("w"):rep(3000)', '""' }) } end)
local function request(d, scope) return scope.req and d:chance(60) and "req" or d:slot "req" end
block(2, function(d, scope)
  return { ("S.v = %s:%s"):format(request(d, scope), d:pick { "body()", "body(10)", "json()", "form()", 'form_all "a"' }) }
end)
block(2, function(d, scope) return { ("%s = %s:chunks(%s)"):format(d:slot "it", request(d, scope), d:pick { "", "100", "1e6" }) } end)
block(2, function(d, scope) return loop_over(d, scope, { request(d, scope) .. ":chunks()" }) end)
block(1, function(d, scope)
  return { ("local _, files = %s:form() for _, f in ipairs(files or {}) do S.it1 = f:chunks() S.v = f:text() end"):format(request(d, scope)) }
end)
block(3, function(d, scope) return join(request(d, scope), ":on_close(", fn(d, "why", scope), ")") end)
block(1, function(d, scope) return { ("%s:close_after(%s)"):format(request(d, scope), streams.seconds(d)) } end)
block(1, function(d, scope) return { ("S.v = { %s.query.a, %s.headers.host, %s.closed }"):format(d:slot "req", request(d, scope), d:slot "req") } end)

block(1, function(d) return { ('%s = reply.%s'):format(d:slot "reply", d:pick { 'file "/etc/hostname"', 'text "t"', "status(204)" }) } end)
block(2, function(d, scope) return join(d:slot "reply", " = sse.reply(", streams.stream(d, scope), ")") end)

-- Finalizers and what is closed at the end of its block
block(4, function(d, scope) return join("setmetatable({}, { __gc = ", fn(d, "", scope), " })") end)
block(3, function(d, scope) return join(d:slot "kept", " = setmetatable({ ", d:slot "st", ", ", d:slot "t", " }, { __gc = ", fn(d, "", scope), " })") end)
block(4, function(d, scope) return join("local _c <close> = setmetatable({}, { __close = ", fn(d, "", scope), " })") end)
block(3, function(d) return { ("%s = nil"):format(d:slot(d:pick { "st", "st", "it", "t", "kept", "me", "ch", "send", "req" })) } end)
block(4, text("collectgarbage()", "collectgarbage()", 'collectgarbage("step", 0)'))
block(1, text('collectgarbage("generational")', 'collectgarbage("incremental", 10, 1000)', 'collectgarbage("incremental", 200, 100)'))

-- Callbacks of C, in which nothing can wait, and errors
block(1, function(d, scope) return join("table.sort({ 3, 2, 1 }, ", fn(d, "", scope, "false"), ")") end)
block(1, function(d, scope) return join('("ab"):gsub(".", ', fn(d, "", scope, "nil"), ")") end)
block(2, function(d, scope) return join("pcall(", fn(d, "", scope), ")") end)
block(1, function(d, scope) return join("xpcall(", fn(d, "", scope, 'error "inner"'), ", ", fn(d, "", scope), ")") end)
block(1, text('error "on purpose"', "error {}", "error()", 'spate.abort(404, "no")', "do return end"))

-- What is shared by all code of the process, and the rest
block(1, use("dict", 'set("k", ("v"):rep(50), { ttl = 1 })', 'incr("n")', 'get("k")', 'delete("k")', "keys()"))
block(1, function(d) return { ('%s = spate.shared "d%d"'):format(d:slot "dict", d:int(1, 2)) } end)
block(1, text("S.v = spate.stats()", 'spate.log.info("line", { a = 1 })', "print(S.v)", "S.v = json.encode { 1, { a = 2 } }"))

-- What threads do, and descriptors of others'
block(1, text('S.v = spate.crypto.password.hash("x", { cost = 1 })', 'S.v = spate.crypto.password.verify("x", S.v)', 'S.v = spate.crypto.hash("md5", "x")'))
block(1, text('S.v = spate.offload("spate.json", "encode", { 1, { a = S.v } })', 'S.v = spate.offload("spate.json", "decode", "{")',
  'S.v = spate.offload("spate.report", "nothing")'))
block(1, function(d) return { ('S.v = sse.wait_fd(FILE, "%s", %s)'):format(d:pick { "r", "w", "rw" }, streams.seconds(d)) } end)

local CANNOT_BE_GUARDED = "^local _" -- what is to be closed at the end of the block

-- A number of statements. Most may fail without ending what they stand in.
function streams.statements(d, scope, count)
  local list = {}
  for _ = 1, count do
    local node = d:weighed(BLOCKS)(d, scope)
    if node then
      local guarded = d:chance(80) and not node[1]:find(CANNOT_BE_GUARDED)
      list[#list + 1] = guarded and join("pcall(function() ", code.block { node }, "end)") or node
    end
  end
  return list
end

return streams.statements
