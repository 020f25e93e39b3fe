-- SPDX-License-Identifier: MIT
-- An application under test: one server in memory, or one per worker, and the clients that it has.
local given = require "spate.test.given"
local harness = require "spate.harness"
local http2 = require "spate.test.http2"
local mistake = require "spate.test.mistake"
local postgres = require "spate.test.postgres"
local request_bytes = require "spate.test.request"
local redis = require "spate.test.redis"
local response = require "spate.test.response"
local session = require "spate.test.session"

local SETTLE_ROUNDS = 100 -- between workers; an application that never rests is left after them
local OPTIONS = { settings = true, workers = true, at = true, http = true, env = true, modules = true }

local App = { __name = "app" }
App.__index = App

local function check_workers(n, level)
  if math.type(n) ~= "integer" or n < 1 or n > 64 then error("expected a number of workers from 1 to 64, got " .. tostring(n), level + 1) end
  return n
end

local function check_http(version, level)
  if version ~= 1 and version ~= 2 then error("t.load: http: expected 1 or 2, got " .. tostring(version), level + 1) end
  return version
end

-- Settings with requests left out of the log, unless they say otherwise.
local function with_defaults(settings)
  local all = {}
  for group, values in pairs(settings or {}) do all[group] = values end
  local log = { access = false }
  if type(all.log) == "table" then
    for name, value in pairs(all.log) do log[name] = value end
  end
  all.log = all.log == nil and log or type(all.log) == "table" and log or all.log
  return all
end

local function start(self)
  self.cores, self.clients, self.turn, self.ended, self.baseline = {}, {}, 0, false, 0
  for i = 1, self.workers do
    local ok, core = pcall(harness.new, { epoch = self.wall, worker = i - 1, with = self.cores[1], settings = self.settings, watch = true,
      stubs = session.stubs,
      coverage = session.hits ~= nil })
    local err = core
    if ok then
      self.cores[i] = core
      postgres.attach(core)
      redis.attach(core)
      core:give(self.given)
      ok, err = core:load(self.path)
    end
    if not ok then
      self:stop()
      return nil, err
    end
  end
  self:settle()
  return true
end

local function new(path, options)
  for name in pairs(options or {}) do
    if not OPTIONS[name] then error(("t.load: unknown option '%s'; it has settings, workers, at, http, env and modules"):format(tostring(name)), 3) end
  end
  options = options or {}
  local self = setmetatable({ path = path, workers = check_workers(options.workers or session.workers or 1, 3),
    http = check_http(options.http or session.http or 1, 3), wall = options.at or session.wall or 0,
    settings = with_defaults(options.settings or session.settings), given = given.list(options, 3), in_test = session.in_test }, App)
  local ok, err = start(self)
  if not ok and err:find "^[^\n]-:%d+: " then error(err, 0) end -- the line of the script
  if not ok then mistake(err) end
  session.apps[#session.apps + 1] = self
  session.current = self
  return self
end

local function check_open(self, level)
  if self.ended then error("the application is closed", level + 1) end
  session.current = self
end

-- New code for new requests: true, or nil and the message. All workers have it or, where it does not load in one, none.
function App:reload()
  for _, core in ipairs(self.cores) do
    local ok, err = core:build(self.path)
    if not ok then return nil, err end
  end
  for i, core in ipairs(self.cores) do
    local ok, err = core:start()
    if not ok then
      for j = 1, i - 1 do self.cores[j]:abandon() end
      return nil, err
    end
  end
  for _, core in ipairs(self.cores) do core:swap() end
  self:settle()
  return true
end

-- Sends on what clients of HTTP/2 have left of bodies, as far as there is room; whether that was anything.
local function pump(self)
  local any = false
  if self.http ~= 2 then return false end
  for _, res in ipairs(self.clients) do any = res.client:pump() or any end
  return any
end

-- Runs until no worker has anything left to do at this moment.
function App:settle()
  if self.ended then return end
  local cores = self.cores
  if #cores == 1 then
    repeat cores[1]:turn() until not pump(self)
    return
  end
  for _ = 1, SETTLE_ROUNDS do
    local busy = false
    for _, core in ipairs(cores) do busy = core:turn() > 1 or busy end
    busy = pump(self) or busy
    if not busy then return end
  end
end

-- All workers have one time, and what is due first on any of them comes first.
function App:advance(seconds)
  local cores = self.cores
  if #cores == 1 and self.http == 1 then return cores[1]:advance(seconds) end
  local target = cores[1]:now() + seconds
  while true do
    local due = math.huge
    for _, core in ipairs(cores) do due = math.min(due, core:next()) end
    if due > target then break end
    for _, core in ipairs(cores) do core:advance_to(due) end
    self:settle()
  end
  for _, core in ipairs(cores) do core:advance_to(target) end
  self:settle()
end

-- The time of all applications is one.
local function advance(seconds)
  for _, app in ipairs(session.apps) do app:advance(seconds) end
end

local SLICE = 0.01 -- seconds that a wait sleeps before it asks again, all workers together

-- Runs all applications in real time, while their clocks stand, until fn() is true or the seconds are over; what it said.
local function wait(fn, seconds)
  local deadline = harness.seconds() + seconds
  while true do
    local value = fn()
    if value or harness.seconds() >= deadline then return value end
    local cores = {}
    for _, app in ipairs(session.apps) do table.move(app.cores, 1, #app.cores, #cores + 1, cores) end
    if #cores == 0 then return nil end
    for _, core in ipairs(cores) do core:wait(SLICE / #cores) end
    for _, app in ipairs(session.apps) do app:settle() end
  end
end

function App.advance_all(_, seconds) advance(seconds) end

function App:set_wall(seconds)
  self.wall = seconds
  for _, core in ipairs(self.cores) do core:set_wall(seconds) end
end

local function pick(self, worker)
  if worker == nil then
    self.turn = self.turn % #self.cores + 1
    return self.cores[self.turn]
  end
  local core = math.type(worker) == "integer" and self.cores[worker + 1]
  if not core then error(("no worker %s: they are numbered from 0 to %d"):format(tostring(worker), #self.cores - 1), 4) end
  return core
end

-- A request on a connection of its own. options: headers, body, json, form, worker (from 0).
function App:request(method, target, options)
  check_open(self, 2)
  options = options or {}
  local bytes = request_bytes(method, target, options)
  local client = pick(self, options.worker):connect()
  if self.http == 2 then client = http2.new(client) end
  local res = response.new(self, client, { method = method, target = target, options = options, in_test = session.in_test })
  client:send(bytes)
  self:settle()
  while self.http == 2 and client:pump() do self:settle() end
  response.read(res)
  if client:reason() then client:finish() -- so that the connection does not wait for another request
  else self.clients[#self.clients + 1] = res end
  return res
end

for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" } do
  App[method:lower()] = function(self, target, options)
    if getmetatable(self) ~= App then error(("write app:%s(...) with a colon"):format(method:lower()), 2) end
    return self:request(method, target, options)
  end
end

-- What the application has logged and printed since the last call.
function App:log()
  local lines = {}
  for i, core in ipairs(self.cores) do lines[i] = core:log() end
  return table.concat(lines)
end

-- What `code` returns in the application's Lua state: a list of plain values. Raises what it raises, at `level`.
function App:run(code, level)
  check_open(self, level)
  local text, err = self.cores[1]:run(code)
  if not text then error(err:match("^[^\n]*"), level + 1) end
  self:settle()
  return assert(load(text, "=spate.test", "t", {}))()
end

local function request_tasks(self)
  local n = 0
  for _, core in ipairs(self.cores) do n = n + core:stats().request_tasks end
  return n
end

-- The tasks that run now are nobody's leftovers later.
function App:mark() self.baseline = request_tasks(self) end

-- Ends the clients of the present `it` (outside of one: all): the names of the requests that were open and not
-- dropped, and how many tasks run on that were not there at its start.
function App:end_clients()
  local names, kept = {}, {}
  for _, res in ipairs(self.clients) do
    if session.in_test and not res.request.in_test then
      if not res:has_ended() then kept[#kept + 1] = res end
    else
      if not res:has_ended() and not res.dropped then names[#names + 1] = res:name() end
      res.client:reset()
    end
  end
  self.clients = kept
  self:settle()
  local tasks = request_tasks(self)
  local left = math.max(tasks - self.baseline, 0)
  self.baseline = tasks
  return names, left
end

local FILES = [[
local paths = {}
for name in pairs(package.loaded) do
  paths[#paths + 1] = package.searchpath(name, package.path)
end
for i, path in ipairs(paths) do paths[i] = ("%q"):format(path) end
return "return {" .. table.concat(paths, ",") .. "}"
]]

-- Tells the session what it wants to know of an application that ends.
local function report(self)
  for _, core in ipairs(self.cores) do
    for path, lines in pairs(session.hits and core:coverage() or {}) do
      local all = session.hits[path] or {}
      for line, times in pairs(lines) do all[line] = (all[line] or 0) + times end
      session.hits[path] = all
    end
  end
  if not session.loaded then return end
  session.loaded(self.path)
  local text = self.cores[1] and self.cores[1]:run(FILES)
  for _, path in ipairs(text and load(text, "=spate.test", "t", {})() or {}) do session.loaded(path) end
end

-- Ends the servers.
function App:stop()
  if self.ended then return end
  report(self)
  self.ended = true
  for i = #self.cores, 1, -1 do
    redis.detach(self.cores[i])
    self.cores[i]:close()
  end
end

-- The same, and nobody moves its time any more.
function App:shut()
  self:stop()
  for i, app in ipairs(session.apps) do
    if app == self then table.remove(session.apps, i) break end
  end
  if session.current == self then session.current = session.apps[#session.apps] end
end

-- A fresh Lua state of the same file, without channels, its clock at 0. Raises where tasks run on.
function App:reset()
  check_open(self, 2)
  local left, is_error = session.leftovers(self)
  self:stop()
  local ok, err = start(self)
  if not ok then
    self:shut()
    error(err, 0)
  end
  session.tell(left, is_error, 3)
  return self
end

-- Ends it. Raises where tasks run on.
function App:close()
  if self.ended then return end
  local left, is_error = session.leftovers(self)
  self:shut()
  session.tell(left, is_error, 3)
end

return { new = new, advance = advance, wait = wait, check_workers = check_workers }
