-- SPDX-License-Identifier: MIT
-- The admin listener believed the application's trusted_proxies: where those have 127.0.0.1, a page whose name points to this
-- machine came past its look at the name by X-Forwarded-Host.
local process = require "spec.process"
local socket = require "socket"

describe("the admin listener", function()
  before_each(process.enter)
  after_each(process.leave)

  it("believes no proxy", function()
    local server = process.serve('app:get("/", function(req) return req.host end)\n', {
      settings = '{ trusted_proxies = { "127.0.0.1" } }', arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0" } })
    local function ask(port, target)
      local client = assert(socket.connect("127.0.0.1", port))
      client:settimeout(process.SECONDS)
      client:send(("GET %s HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nConnection: close\r\n\r\n"):format(target))
      local answer = client:receive "*a"
      client:close()
      return answer
    end
    local port = tonumber(server:stdout():match "inspector on http://127%.0%.0%.1:(%d+)\n")
    assert.matches("^HTTP/1.1 421 ", ask(port, "/api/streams"))
    assert.matches("\r\n\r\nlocalhost$", ask(server.port, "/"))
  end)
end)
