-- SPDX-License-Identifier: MIT
-- An application for specs that run the real program: code that is posted to it runs with http and sse at hand.
local helper = require "spec.helper"
local process = require "spec.process"

local http_app = {}

-- For the environment of what is measured: a sanitizer keeps what is freed for a while.
http_app.SANITIZER = os.getenv "ASAN_OPTIONS" and " ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=1" or ""

http_app.SOURCE = [[
local http = require "spate.http"
local env = setmetatable({ http = http, sse = sse, json = json, spate = spate }, { __index = _G })
local function list(...)
  local t = { ... }
  for i = 1, select("#", ...) do if t[i] == nil then t[i] = "nil" end end
  return json.array(t)
end
app:post("/", function(req)
  env.req = req
  collectgarbage() -- of what earlier code has not read
  return list(assert(load(req:body(), "=code", "t", env))())
end)
app:get("/here", function() return "here" end)
app:get("/wait", function(req)
  local res = assert(http.get(req.query.url))
  return res:body()
end)
app:get("/through", function(req)
  local res = assert(http.get(req.query.url))
  return reply.stream(function(write)
    for piece in res:chunks() do write(piece) end
  end)
end)
]]

-- What the code (a format) returns there, in a list; "nil" for nil.
function http_app.run(server, code, ...)
  code = code:format(...)
  local client = server:connect(("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#code, code))
  client:settimeout(6 * process.SECONDS) -- a gigabyte takes its time under a sanitizer
  local bytes = assert(client:receive "*a")
  client:close()
  assert(bytes:match "^HTTP/1.1 (%d+)" == "200", server:stderr() .. bytes)
  return helper.json.decode((bytes:match "\r\n\r\n(.*)$"))
end

-- Memory of the server in kB: the most that it has had so far.
function http_app.peak(server) return tonumber(process.read_file(("/proc/%d/status"):format(server.pid)):match "VmHWM:%s*(%d+)") end

return http_app
