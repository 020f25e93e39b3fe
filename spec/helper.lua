-- SPDX-License-Identifier: MIT
-- What the specs stand on: an application in memory, clients that speak HTTP to it, virtual time, and a report of
-- what is left over.
package.cpath = "./" .. (os.getenv("BUILD") or "build") .. "/lib/?.so;" .. package.cpath
local harness = require "spate.harness"

local helper = { harness = harness, json = harness.json }

helper.http = 1 -- 2: the clients of servers speak HTTP/2, and are used as before

local Server = {}
Server.__index = Server

local Response = {}
Response.__index = Response

local function write_script(source)
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(source)
  f:close()
  return path
end

local PRELUDE = [[local spate, sse, json = require "spate", require "spate.sse", require "spate.json"
local app, reply = spate.app(), spate.reply
]]

-- Loads the application in the file `source`, or of the source of one between the usual first lines and `return app`.
local function load_by(core, method, source, dev)
  local path, temporary = source, false
  if source:find("[\n:]") then path, temporary = write_script(PRELUDE .. source .. "\nreturn app\n"), true end
  local ok, err = core[method](core, path)
  local keep = ok and temporary and dev -- where errors show the file's lines
  if temporary and not keep then os.remove(path) end
  return ok, err, keep and path
end

-- A server for an application: a path, or a source. `options` as harness.new. Raises what loading says.
function helper.serve(source, options)
  local core = harness.new(options or {})
  local ok, err, kept = load_by(core, "load", source, options and options.dev)
  if not ok then
    core:close()
    error(err, 0)
  end
  local host = options and options.dev and "localhost" or "spec" -- spate dev shows errors to this machine only
  return setmetatable({ core = core, clients = {}, temporary = kept, host = host }, Server)
end

-- What loading the application says.
function helper.load_error(source, options)
  local ok, err = pcall(helper.serve, source, options)
  assert(not ok, "expected the application not to load")
  return err
end

-- Each of the codes in `messages` raises what is said there, at its own line.
function helper.refuses(messages)
  for code, message in pairs(messages) do
    local err = helper.load_error("local function f()\n" .. code .. "\nend\nlocal x = f()")
    assert(err:find(":4: " .. message, 1, true), code .. " says: " .. err)
  end
end

function Server:advance(seconds) self.core:advance(seconds) end

-- A new generation of a path or a source: true, or nil and what loading says.
function Server:reload(source)
  local ok, err = load_by(self.core, "build", source)
  if not ok then return nil, err end
  return self.core:swap()
end

function Server:turn() return self.core:turn() end

-- Waits, in real time, until `probe` is true, and returns what it said; the server's clock stands meanwhile.
function Server:wait(probe, seconds)
  local deadline = harness.seconds() + (seconds or 30)
  while true do
    local value = probe()
    if value then return value end
    if harness.seconds() > deadline then error("waited in vain", 2) end
    self.core:wait(0.01)
  end
end

function Server:log() return self.core:log() end

function Server:stats() return self.core:stats() end

-- Bytes that are allocated outside of Lua once all clients have left. What the application's state has not collected yet
-- may hold some.
function Server:allocated()
  for _, client in ipairs(self.clients) do client:leave() end
  self.clients = {}
  self:turn()
  self:advance(5) -- connections that linger
  collectgarbage()
  collectgarbage()
  return harness.allocated() - self:stats().lua_bytes - math.ceil(collectgarbage "count" * 1024)
end

-- Whether `round` comes to leave no more memory allocated than it has found; it begins with what is kept once, and doubles.
local function comes_to_rest(round, allocated)
  local before, rests = -math.huge, 0
  for _ = 1, 60 do
    round()
    local now = allocated()
    rests = math.abs(now - before) < 1000 and rests + 1 or 0
    if rests == 2 then return true end
    before = now
  end
  return false
end

function Server:comes_to_rest(round)
  return comes_to_rest(round, function() return self:allocated() end)
end

-- The same without a server, of what the specs' own state has collected.
function helper.comes_to_rest(round)
  return comes_to_rest(round, function()
    collectgarbage()
    collectgarbage()
    return harness.allocated() - math.ceil(collectgarbage "count" * 1024)
  end)
end

-- A client, from `address` (127.0.0.1), which may have sent `bytes` before it is accepted.
function Server:connect(address, how, bytes)
  local client = self.core:connect(address, how, bytes)
  if helper.http == 2 and not how then client = require("spate.test.http2").new(client) end
  self.clients[#self.clients + 1] = client
  return client
end

-- Sends bytes on a new connection (or `client`), runs what they set off; the response so far.
function Server:send(bytes, client)
  client = client or self:connect()
  client:send(bytes)
  self:turn()
  while client.is_http2 and client:pump() do self:turn() end
  return setmetatable({ server = self, client = client, bytes = "" }, Response)
end

local function head_of(method, target, options, host)
  local lines, given = { ("%s %s HTTP/%s"):format(method, target, options.version or "1.1") }, {}
  for name, value in pairs(options.headers or {}) do
    given[name:lower()] = true
    lines[#lines + 1] = name .. ": " .. value
  end
  if not given.host then lines[#lines + 1] = "Host: " .. host end
  if options.body then lines[#lines + 1] = "Content-Length: " .. #options.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

-- A request; options: headers, body, json, version, client.
function Server:request(method, target, options)
  options = options or {}
  if options.json ~= nil then options.body = helper.json.encode(options.json) end
  return self:send(head_of(method, target, options, self.host), options.client)
end

for _, method in ipairs { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
  Server[method:lower()] = function(self, target, options) return self:request(method, target, options) end
end

-- Whether it has nothing left to do at some time: one that goes round for ever keeps a core busy.
local function rests(server)
  for _ = 1, 20 do
    if server:turn() < 1000 then return true end
  end
  return false
end

-- Ends the server and raises what is left over: tasks, timers, events, references, connections. `kept` are the
-- numbers of those that the application itself keeps, such as { tasks = 1, timers = 1 } of an sse.every.
function Server:close(kept)
  local has_rested = rests(self)
  for _, client in ipairs(self.clients) do client:leave() end
  self:turn()
  self:advance(3) -- connections that linger
  local stats, left = self:stats(), {}
  for _, kind in ipairs { "connections", "streams", "tasks", "timers", "events", "files", "refs" } do
    local count = stats[kind] - (kept and kept[kind] or 0)
    if count ~= 0 then left[#left + 1] = ("%d %s"):format(count, kind) end
  end
  self.core:close()
  if self.temporary then os.remove(self.temporary) end
  if not has_rested then error("it goes round for ever", 2) end
  if #left > 0 then error("left over at the end: " .. table.concat(left, ", "), 2) end
end

-- All bytes received so far.
function Response:raw()
  self.bytes = self.bytes .. self.client:take()
  return self.bytes
end

function Response:status() return tonumber(self:raw():match("^HTTP/1%.1 (%d+)")) end

function Response:head() return self:raw():match("^(.-)\r\n\r\n") or self.bytes end

-- The values of a field, joined with a comma; nil where there is none.
function Response:header(name)
  local values = {}
  for field, value in self:head():gmatch("\r\n([^:\r\n]+): ([^\r\n]*)") do
    if field:lower() == name:lower() then values[#values + 1] = value end
  end
  return values[1] and table.concat(values, ", ")
end

local function dechunk(bytes)
  local parts, at, ended = {}, 1, false
  while true do
    local digits, from = bytes:match("^(%x+)\r\n()", at)
    if not digits then break end
    local size = tonumber(digits, 16)
    if size == 0 then
      ended = bytes:sub(from, from + 1) == "\r\n"
      break
    end
    if #bytes < from + size + 1 then break end
    if bytes:sub(from + size, from + size + 1) ~= "\r\n" then error "a chunk is not followed by a line's end" end
    parts[#parts + 1] = bytes:sub(from, from + size - 1)
    at = from + size + 2
  end
  return table.concat(parts), ended
end

-- The body so far, and whether it has come to its end.
function Response:body()
  local rest = self:raw():match("\r\n\r\n(.*)$") or ""
  if self:header("Transfer-Encoding") == "chunked" then return dechunk(rest) end
  local length = tonumber(self:header("Content-Length"))
  if not length then return rest, self.client:state() ~= "open" end
  return rest:sub(1, length), #rest >= length
end

function Response:json() return assert(helper.json.decode((self:body()))) end

-- The events so far as a list of { event, data, id, retry }, by the rules of WHATWG HTML 9.2.6 (an event without
-- data counts where it has an id or retry); comments go to `comments`.
function Response:events()
  local events, comments, event = {}, {}, {}
  for line in (self:body()):gmatch("([^\n]*)\n") do
    local name, value = line:match("^([^:]*):? ?(.*)$")
    if line == "" then
      if next(event) then events[#events + 1] = event end
      event = {}
    elseif name == "" then comments[#comments + 1] = value
    elseif name == "data" then event.data = event.data and event.data .. "\n" .. value or value
    else event[name] = value end
  end
  return events, comments
end

-- The data of all events.
function Response:data()
  local list = {}
  for i, event in ipairs((self:events())) do list[i] = event.data end
  return list
end

-- The client leaves.
function Response:close()
  self.client:leave()
  self.server:turn()
end

-- The client ends its side, and reads on.
function Response:half_close()
  self.client:finish()
  self.server:turn()
end

function Response:has_ended() return (select(2, self:body())) end

return helper
