-- SPDX-License-Identifier: MIT
-- What os.execute and io.popen start inherited SPATE_ADMIN_TOKEN, and could read it in /proc besides.
local process = require "spec.process"
local socket = require "socket"

local TOKEN = "0123456789abcdef"

describe("the inspector's token", function()
  local directory, server, heir
  before_each(function() directory = process.enter() end)
  after_each(function()
    if heir then os.execute(("kill -9 %d 2>/dev/null"):format(heir)) end
    heir = nil
    process.leave()
  end)

  local APP = [[
local function read(command) local pipe <close> = io.popen(command) return pipe:read "a" end
app:get("/popen", function() return read "env" .. "that is all" end)
app:get("/execute", function() os.execute "env > out" local f <close> = io.open "out" return f:read "a" .. "that is all" end)
app:get("/proc", function() return read "tr '\\0' '\\n' < /proc/$PPID/environ" .. "that is all" end)
app:get("/getenv", function() return tostring(os.getenv "SPATE_ADMIN_TOKEN") .. "that is all" end)
app:get("/pid", function() local f <close> = io.open "/proc/self/stat" return f:read "l" end)]]

  local function body(target) return process.read_until(server:ask(target), "that is all") end

  local function status(port, token)
    local client = assert(socket.connect("127.0.0.1", port))
    client:settimeout(process.SECONDS)
    client:send(("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n"):format(token and "Authorization: Bearer " .. token .. "\r\n" or ""))
    local answer = client:receive "*a"
    client:close()
    return tonumber(answer:match "^HTTP/1.1 (%d+)")
  end

  it("is no other program's, and goes along with an upgrade", function()
    server = process.serve(APP, { arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0" }, environment = "SPATE_ADMIN_TOKEN=" .. TOKEN .. " OTHER=there" })
    local port = tonumber(server:stdout():match "inspector on http://127%.0%.0%.1:(%d+)\n")
    local function none_has_it()
      for _, target in ipairs { "/popen", "/execute", "/proc" } do
        local text = body(target)
        process.contains(text, "OTHER=there\n")
        assert.is_nil(text:find(TOKEN, 1, true), target)
      end
      process.contains(body "/getenv", "nilthat is all")
      assert.same({ 401, 200 }, { status(port), status(port, TOKEN) })
    end
    none_has_it()
    for _ = 1, 2 do
      local started = process.spawn { "upgrade", directory .. "/app.lua" }
      assert.equal(0, started:wait(), started:stderr())
      heir = tonumber((select(2, process.get(server.port, "/pid"))):match "^%d+")
      none_has_it()
    end
  end)
end)
