-- SPDX-License-Identifier: MIT
-- Where a kept connection broke, any request but POST and PATCH was made once more, also by methods that nobody knows and that
-- may do a thing twice (RFC 9110 9.2.2). A status line that is none was told of as a head that is too large.
local http_app = require "spec.http_app"
local process = require "spec.process"
local servers = require "spec.servers"

describe("spate.http and another server", function()
  local dir, server, bad, url

  setup(function()
    dir = process.enter()
    process.write_file(dir .. "/log", "")
    bad = servers.run(("lua5.4 %s/spec/misbehaving_server.lua %s/log"):format(process.ROOT, dir))
    url = "http://127.0.0.1:" .. bad.port
    server = process.serve(http_app.SOURCE, { environment = http_app.SANITIZER })
  end)

  teardown(function()
    server:stop()
    servers.stop()
    process.leave()
  end)

  for method, is_repeated in pairs {
    GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true, POST = false, PATCH = false, LINK = false,
    get = false, Put = false, PROPFIND = false,
  } do
    it(("that breaks a kept connection has %s %s"):format(method, is_repeated and "once more" or "once"), function()
      local answer = http_app.run(server, [[
        http.get("%s/once"):body()
        local res, err, code = http.request("%s", "%s/again")
        return res and res.status or err, code
      ]], url, method, url)
      if is_repeated then assert.same({ 404, "nil" }, answer)
      else
        assert.equal("closed", answer[2])
        process.contains(answer[1], "not repeated")
      end
      local log = process.read_file(dir .. "/log")
      assert.equal(1, select(2, log:gsub("dropped " .. method .. " /again", "")))
      assert.equal(is_repeated and 2 or 1, select(2, log:gsub(method .. " /again", "")))
    end)
  end

  it("whose status line is none speaks no HTTP", function()
    for _, path in ipairs { "/status-joined", "/status-of-four", "/status-joined-later" } do
      local answer = http_app.run(server, [[return http.get "%s%s"]], url, path)
      assert.same({ "nil", "protocol" }, { answer[1], answer[3] })
      process.contains(answer[2], "127.0.0.1:" .. bad.port, "what came is no answer of HTTP")
    end
  end)

  it("whose status line is none speaks no HTTP to libcurl either", function()
    local proxied = process.serve(http_app.SOURCE, { environment = "http_proxy=" .. url .. http_app.SANITIZER })
    for _, path in ipairs { "/status-joined", "/status-of-four", "/status-joined-later" } do
      local answer = http_app.run(proxied, [[return http.get "http://far.example%s"]], path)
      assert.same({ "nil", "protocol" }, { answer[1], answer[3] }, path .. ": " .. answer[2])
      assert.is_nil(answer[2]:find("limits", 1, true))
    end
    proxied:stop()
  end)
end)
