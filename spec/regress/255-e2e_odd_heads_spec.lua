-- SPDX-License-Identifier: MIT
-- A colon in the text behind the status made a field of the status line, and a request nil without a message, as 101 did.
-- A line that goes on with the value before it became a field of its own.
local http_app = require "spec.http_app"
local process = require "spec.process"
local servers = require "spec.servers"

describe("the head of an answer", function()
  local server, url

  setup(function()
    local dir = process.enter()
    local bad = servers.run(("lua5.4 %s/spec/misbehaving_server.lua %s/log"):format(process.ROOT, dir))
    url = "http://127.0.0.1:" .. bad.port
    server = process.serve(http_app.SOURCE)
  end)

  teardown(function()
    server:stop()
    servers.stop()
    process.leave()
  end)

  local function run(...) return http_app.run(server, ...) end

  it("may have colons behind its status", function()
    assert.same({ 403, "no" }, run('local res = assert(http.get "%s/reason") return res.status, res:body()', url))
  end)

  it("that is an interim one only is no answer", function()
    local answer = run('return http.get "%s/switched"', url)
    assert.same({ "nil", "protocol" }, { answer[1], answer[3] })
    assert.matches("the server speaks another protocol now", answer[2], 1, true)
  end)

  it("may go on with a value in the next line", function()
    assert.same({ "a Set-Cookie: b=1 c", "nil", "d" },
      run('local h = assert(http.get "%s/folded").headers return h["x-a"], h["set-cookie"], h["x-b"]', url))
  end)
end)
