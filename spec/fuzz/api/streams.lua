-- SPDX-License-Identifier: MIT
-- Expressions: values, events, channels, functions, streams. Each takes the dice `d` and what is in scope: names such
-- as req, send, write, v.
local code = require "spec.fuzz.api.code"
local join = code.join

local streams = {}

local DEEP = 4 -- levels of functions in functions

local EVENTS = {
  { 6, '"x"' }, { 2, "42" }, { 3, '{ event = "e", data = "d" }' }, { 2, "{ json = { n = 1 } }" }, { 2, 'sse.event("n"):data("y")' },
  { 2, '("x"):rep(700)' }, { 1, '("x"):rep(9000)' }, { 1, '{ comment = "c" }' }, { 1, "{ retry = 1.5 }" }, { 1, '{ id = "7", data = "d" }' },
  { 1, "{}" }, { 1, "true" }, { 1, "nil" }, { 1, "S" }, { 1, '{ event = "a\\nb" }' },
}

function streams.event(d) return d:weighed(EVENTS) end

local CHANNELS = {
  '"a"', '"b", { history = 5 }', '"c", { history = 3, queue = 2 }', '"d", { queue = 2, on_full = "drop_oldest" }',
  '"e", { history = 50, queue = 3, on_full = "conflate" }', '"f", { history = 100, ttl = 2 }', '"a", { history = 9, queue = 1 }',
}

function streams.channel(d)
  if d:chance(15) then return d:slot "ch" end
  if d:chance(10) then return ("sse.channel.find %s"):format(d:pick { '"a"', '"b"', '"resumable:k1"' }) end
  return ("sse.channel(%s)"):format(d:pick(CHANNELS))
end

function streams.seconds(d) return d:pick { "0", "0.05", "0.5", "0.5", "1", "1", "3", "20" } end

local function period(d) return d:pick { "0.2", "0.5", "1", "1", "3" } end

-- A function of some arguments with statements in it; what it returns comes last.
function streams.fn(d, arguments, scope, result)
  local inner = setmetatable({}, { __index = scope })
  for name in arguments:gmatch "%a+" do inner[name] = true end
  local body = d:deeper(streams.statements, d, inner, d:int(0, d.depth < 2 and 3 or 2))
  if arguments == "send" and d:chance(30) then table.insert(body, 1, { d:slot "send" .. " = send" }) end
  if #body == 0 and not result then return { ("function(%s) end"):format(arguments) } end
  return join(("function(%s)"):format(arguments), code.block(body), result and "return " .. result .. " end" or "end")
end

local function stream_or_simple(d, scope)
  if d.depth >= DEEP then return { d:pick { "sse.interval(1)", 'sse.once "x"', "sse.never()", d:slot "st", d:slot "st" } } end
  return d:deeper(streams.stream, d, scope)
end

local function subscribe_options(d)
  return d:pick { "", "", '{ replay = "all" }', "{ replay = 2 }", '{ after = S.id or "1-1" }', "{ after = S.id }", '{ after = "x", replay = 1 }' }
end

local SOURCES = {
  { 9, function(d) return join(streams.channel(d), ":subscribe(", subscribe_options(d), ")") end },
  { 2, function(d) return join("D", tostring(d:int(1, 2)), ":subscribe(", subscribe_options(d), ")") end },
  { 1, function(d, scope)
    return join(streams.channel(d), ":derive(", streams.fn(d, "v", scope, d:pick { "v", "{ data = v.data }", "nil", "S" }), "):subscribe()")
  end },
  { 3, function(d, scope) return join(streams.channel(d), ":snapshot(", streams.fn(d, "", scope, streams.event(d)), ")") end },
  { 3, function(d, scope)
    return join('sse.resumable("k', tostring(d:int(1, 2)), '", ', streams.fn(d, "send", scope),
      d:pick { "", ", { linger = 0.5, ttl = 1 }", ", { after = S.id, linger = 1 }", ", { ttl = 0 }" }, ")")
  end },
  { 4, function(d) return join("sse.interval(", period(d), ")") end },
  { 1, function(d, scope) return join("sse.interval(", period(d), ", ", streams.fn(d, "v", scope, d:pick { "v", "nil" }), ")") end },
  { 2, function() return { 'sse.from { "p", "q", { event = "r" } }' } end },
  { 1, function(d) return { ("sse.from(%s)"):format(d:slot "it") } end },
  { 1, function() return { "sse.from(function() return may() and 1 or nil end)" } end },
  { 1, function(d, scope) return join("sse.from(coroutine.create(", streams.fn(d, "", scope, 'coroutine.yield "y"'), "))") end },
  { 1, function(d) return { ("sse.from(%s)"):format(d:slot "co") } end },
  { 2, function(d) return { ("sse.once(%s)"):format(streams.event(d)) } end },
  { 2, function() return { "sse.never()" } end },
  { 5, function(d, scope) return join("sse.stream(", streams.fn(d, "send", scope), ")") end },
  { 6, function(d) return { d:slot "st" } end },
  { 3, function(d, scope) return join("sse.merge(", stream_or_simple(d, scope), ", ", stream_or_simple(d, scope), ")") end },
  { 1, function(d, scope)
    return join('sse.keep_alive():interval(0.5):text("k"):stream(', stream_or_simple(d, scope), ")")
  end },
}

local function with_function(name, result)
  return function(d, scope) return join(":" .. name .. "(", streams.fn(d, "v", scope, d:pick(result)), ")") end
end

local function with_streams(name)
  return function(d, scope) return join(":" .. name .. "(", stream_or_simple(d, scope), ")") end
end

local function plain(...)
  local list = { ... }
  return function(d) return { d:pick(list) } end
end

local STEPS = {
  { 4, with_function("map", { "v", "v", '{ data = "m" }', "nil", '"m"' }) },
  { 2, with_function("filter", { "true", "v ~= 42", "false" }) },
  { 2, with_function("inspect", { "nil" }) },
  { 1, with_function("take_while", { "true", "may()" }) },
  { 3, plain(":take(3)", ":take(1)", ":take(0)", ":skip(1)") },
  { 2, with_streams "chain" }, { 2, with_streams "merge" },
  { 1, plain(':start_with("s")', ':start_with("s", { event = "t" })') },
  { 2, plain(":throttle(0.5)", ":throttle(3)") },
  { 3, plain(":batch(2, 1)", ":batch(3)", ":batch(1, 0.5)") },
  { 2, plain(":debounce(0.5)", ":debounce(2)") },
  { 3, plain(":timeout(1)", ":timeout(0.3)", ":timeout(5)") },
  { 3, function(d, scope) return join(":on_close(", streams.fn(d, "", scope), ")") end },
}

-- A source, and what is made of it.
function streams.stream(d, scope)
  local s = d:weighed(SOURCES)(d, scope)
  for _ = 1, d:pick { 0, 0, 0, 1, 1, 2, 3 } do
    if d.depth >= DEEP then break end
    s = join(s, d:weighed(STEPS)(d, scope))
  end
  return s
end

return streams
