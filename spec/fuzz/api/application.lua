-- SPDX-License-Identifier: MIT
-- An application: handlers at /h1, /h2 ..., hooks, what it does when it is loaded.
local code = require "spec.fuzz.api.code"
local streams = require "spec.fuzz.api.streams"
local statements = require "spec.fuzz.api.statements"
local join, fn = code.join, streams.fn

local HANDLERS = 5

local PRELUDE = [[
local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
local MAKES = {
  st = function() return sse.channel("b", { history = 5 }):subscribe() end, ch = function() return sse.channel "a" end,
  it = function() return function() return may() and 1 or nil end end, dict = function() return spate.shared "d" end,
  co = function() return coroutine.create(function() sse.sleep(1) coroutine.yield "c" end) end,
}
-- Opened here: what a finalizer opens while its state closes, Lua does not close.
FILE = io.open "/dev/null"
-- What handlers, tasks and finalizers share. Some of it is made for who finds nothing.
S = setmetatable({}, { __index = function(_, name)
  local make = MAKES[name:match "%a+"]
  return make and make()
end })
local at, left = -1, 0
-- False once enough has been done at this moment of time: what feeds itself would never end.
function may()
  if sse.now() ~= at then at, left = sse.now(), 60 end
  left = left - 1
  return left >= 0
end
-- A task that never ends, of which there are few: where each moment made more, and the collector's pace is a cycle for
-- each allocation, a program took minutes.
local lasting = 12
function every(...)
  lasting = lasting - 1
  if lasting >= 0 then return sse.every(...) end
end
function publish(channel, event) if may() then return channel:publish(event) end end
function spawn(...) if may() then return sse.spawn(...) end end
app:get("/fine", function() return "fine" end)
]]

local NOTHING = {}

local REPLIES = {
  { 8, function(d, scope) return join("return sse.reply(", streams.stream(d, scope), d:pick { "", "", ", { keep_alive = false }" }, ")") end },
  { 6, function(d, scope) return join("return sse.reply(", fn(d, "send", scope), ")") end },
  { 2, function(d) return { ("return sse.reply(%s)"):format(d:slot "st") } end },
  { 2, function(d, scope) return join("return reply.stream(", fn(d, "write", scope), d:pick { "", ", { length = 5 }" }, ")") end },
  { 2, function(d) return { "return " .. d:slot "reply" } end },
  { 1, function() return { 'return reply.file "/etc/hostname"' } end },
  { 2, function() return { 'return "text"' } end },
  { 1, function() return { "return { 1, 2 }" } end },
  { 1, function() return { "return" } end },
}

local function handler(d, path)
  local scope = { req = true }
  local body = statements(d, scope, d:int(0, 5))
  if d:chance(40) then table.insert(body, 1, { d:slot "req" .. " = req" }) end
  body[#body + 1] = d:weighed(REPLIES)(d, scope)
  return join(('app:all("%s", function(req)'):format(path), code.block(body), "end)")
end

local LOADED = {
  { 3, function(d) return join("sse.every(", d:pick { "0.5", "1", "3" }, ", ", fn(d, "", NOTHING), ")") end },
  { 2, function(d) return join("app:on_start(", fn(d, "", NOTHING), ")") end },
  { 2, function(d) return join("app:on_stop(", fn(d, "", NOTHING), ")") end },
  { 1, function(d) return join("app:use(", fn(d, "req, next", { req = true }, "next()"), ")") end },
  { 1, function(d) return join("app:before(", fn(d, "req", { req = true }), ")") end },
  { 1, function(d) return join("app:after(", fn(d, "req, answer", { req = true }), ")") end },
  { 1, function(d) return join("app:on_error(", fn(d, "err, req", { req = true }, 'reply.error(500, "sorry")'), ")") end },
  { 1, function(d) return join('app:channel("/events/:name", { history = 5, authorize = ', fn(d, "req", { req = true }, "true"), " })") end },
  { 1, function(d) return join("pcall(", fn(d, "", NOTHING), ")") end },
  { 1, function() return { 'app:use(spate.rate_limit { rate = 3, per = 1 })' } end },
}

-- The nodes of an application's source.
return function(d)
  local nodes = { { PRELUDE } }
  for i = 1, 2 do
    nodes[#nodes + 1] = join(("D%d = "):format(i), "sse.channel(", d:pick { '"a"', '"b", { history = 5 }' }, "):derive(",
      fn(d, "v", NOTHING, d:pick { "v.data", "{ data = v.data }", "nil" }), ")")
  end
  for _ = 1, d:int(0, 3) do nodes[#nodes + 1] = d:weighed(LOADED)(d) end
  for i = 1, HANDLERS do nodes[#nodes + 1] = handler(d, "/h" .. i) end
  nodes[#nodes + 1] = { "return app" }
  return nodes
end
