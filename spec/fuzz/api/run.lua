-- SPDX-License-Identifier: MIT
-- Runs a program, and raises what must not be: a script may fail and be refused whatever it asks for, but the server
-- goes on, comes to rest at each moment, and in the end nothing is left over.
local code = require "spec.fuzz.api.code"
local helper = require "spec.helper"
local harness = helper.harness

local TURNS_MAX = 900 -- the harness gives up after 1000
local MOMENTS_MAX = 20000
local READ_AHEAD = 60000 -- bytes of a body that the server takes before the script does
local ANSWERED = 60 -- seconds in which there is an answer
local BY_ITSELF = 130 -- after which nothing is left of clients that have left: a resumable stream's `linger` and `ttl` are 90

local RUN = 'local spate, sse, json = require "spate", require "spate.sse", require "spate.json"\nlocal reply = spate.reply\n'

local Run = {}
Run.__index = Run

local function fail(...) error("FAIL: " .. (...):format(select(2, ...)), 0) end

local function write(text)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
  return path
end

local function settle(self)
  local turns = self.core:turn()
  if turns >= TURNS_MAX then fail("no rest after %d turns", turns) end
end

local function advance(self, seconds)
  local core, target, moments = self.core, self.core:now() + seconds, 0
  settle(self)
  while core:next() <= target do
    core:advance_to(math.max(core:next(), core:now()))
    settle(self)
    moments = moments + 1
    if moments > MOMENTS_MAX then fail("%d timers in %g s", moments, seconds) end
  end
  core:advance_to(target)
end

local function client_at(self, i)
  self.clients[i] = self.clients[i] or self.core:connect("10.0.0." .. i)
  return self.clients[i]
end

local function head(method, target, fields) return ("%s %s HTTP/1.1\r\nHost: fuzz\r\n%s"):format(method, target, fields) end

-- What bodies are made of: { fields and body as they are sent, bytes to keep for later }.
local function body(kind, text) return { ("Content-Type: %s\r\nContent-Length: %d\r\n\r\n"):format(kind, #text), text, "" } end

local function form_with_file(bytes)
  return body("multipart/form-data; boundary=B",
    ('--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n%s\r\n--B--\r\n')
      :format(("f"):rep(bytes)))
end

local function partial(b) return { b[1], b[2]:sub(1, #b[2] // 2), b[2]:sub(#b[2] // 2 + 1) } end

local function chunked(n, is_open)
  local chunks = ("5\r\nhello\r\n"):rep(n)
  return { "Transfer-Encoding: chunked\r\n\r\n", chunks .. (is_open and "" or "0\r\n\r\n"), is_open and "0\r\n\r\n" or "" }
end

local function send(self, i, method, target, b)
  b = b or { "\r\n", "", "" }
  self.rests[i] = b[3]
  if #b[2] > READ_AHEAD then self.deaf = self.deaf + 1 end
  client_at(self, i):send(head(method, target, b[1]) .. b[2])
end

-- The steps of a schedule.
local STEPS = {}

local function forget(self, i)
  local client = self.clients[i]
  if not client then return end
  self.ids[i] = client:take():match ".*\nid: ([^\n]*)" or self.ids[i]
  self.gone[#self.gone + 1] = client
  self.clients[i] = nil
  return client
end

function STEPS.request(self, i, method, target, b)
  local old = forget(self, i)
  if old then old:reset() end
  send(self, i, method, target, b)
  settle(self)
end

function STEPS.stalled(self, i, bytes, target)
  local old = forget(self, i)
  if old then old:reset() end
  client_at(self, i):window(bytes)
  send(self, i, "GET", target)
  settle(self)
end

function STEPS.again(self, i, target) send(self, i, "GET", target) settle(self) end

function STEPS.resume(self, i, target)
  local old = forget(self, i)
  if old then old:reset() end
  client_at(self, i):send(head("GET", target, ("Last-Event-ID: %s\r\n\r\n"):format(self.ids[i] or "1-1")))
  settle(self)
end

function STEPS.rest(self, i)
  client_at(self, i):send(self.rests[i] or "")
  self.rests[i] = nil
  settle(self)
end

function STEPS.leave(self, i)
  client_at(self, i):finish()
  self.deaf = self.deaf + 1
  settle(self)
end

function STEPS.vanish(self, i) client_at(self, i):reset() settle(self) end
function STEPS.window(self, i, bytes) client_at(self, i):window(bytes) end
function STEPS.pieces(self, i, bytes) client_at(self, i):pieces(bytes) end
function STEPS.advance(self, seconds) advance(self, seconds) end
function STEPS.jump(self, seconds) self.core:jump(seconds) end
function STEPS.turn(self) settle(self) end
function STEPS.step(self, n) for _ = 1, n do self.core:step() end end
function STEPS.collect(self) self.core:run "collectgarbage()" settle(self) end
function STEPS.run(self, text) self.core:run(RUN .. text) end
function STEPS.reload(self, i) if self.core:build(self.paths[i]) then self.core:swap() end end
function STEPS.fail(self, after, count) self.core:fail_allocation(after, count) end
function STEPS.no_more_failures(self) self.core:fail_allocation(0, 0) end
function STEPS.drain(self) self.core:drain() self.drained = true end

local function environment(self)
  local env = { body = body, partial = partial, form_with_file = form_with_file, chunked = chunked }
  for name, step in pairs(STEPS) do env[name] = function(...) return step(self, ...) end end
  return env
end

local function answers(self)
  local client = self.core:connect "10.0.0.9"
  client:send(head("GET", "/fine", "Connection: close\r\n\r\n"))
  advance(self, ANSWERED)
  if not client:take():find "^HTTP/1.1 %d+ " then fail "no answer to a plain request" end
end

-- The clients leave; what was theirs is over then. It is not noticed where nothing is read: behind a half-close, which is
-- no leaving, and behind a body that the script does not take.
local function leave(self)
  self.core:fail_allocation(0, 0)
  for i = 1, 9 do forget(self, i) end
  for _, client in ipairs(self.gone) do client:reset() end
  advance(self, BY_ITSELF)
  local stats = self.core:stats()
  if stats.streams ~= 0 then fail("%d streams are left after all clients", stats.streams) end
  if stats.connections > self.deaf then fail("%d connections are left after all clients", stats.connections) end
  if stats.connections == 0 and stats.generations ~= 1 then fail("%d states are left after all clients", stats.generations) end
  if not (self.drained or self.hooked) then answers(self) end
end

local function close(self, events)
  local timers = self.core:close()
  if harness.events() ~= events then fail("%d events are left", harness.events() - events) end
  if timers ~= 0 then fail("%d timers are left", timers) end
end

-- Runs it; false where the application did not load, which a script may bring about.
return function(p)
  local self = setmetatable({ clients = {}, gone = {}, ids = {}, rests = {}, paths = {}, deaf = 0 }, Run)
  local _ <close> = setmetatable({}, { __close = function() for _, path in ipairs(self.paths) do os.remove(path) end end })
  for i, app in ipairs(p.apps) do
    local text = code.render(app)
    assert(load(text, "=application " .. i))
    self.hooked = self.hooked or text:find "\napp:[uba][sef][eft]" -- a hook may wait for ever
    self.paths[i] = write(text)
  end
  local events, env = harness.events(), environment(self)
  local started, core = pcall(harness.new, { settings = p.settings })
  if not started then return false end
  self.core = core
  local loaded = core:load(self.paths[1])
  if loaded then
    for i, node in ipairs(p.steps) do assert(load(code.render { node }, "=step " .. i, "t", env))() end
    leave(self)
  end
  close(self, events)
  return loaded == true
end
