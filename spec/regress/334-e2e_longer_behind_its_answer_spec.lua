-- SPDX-License-Identifier: MIT
-- A body longer than its length, told of while the answer to it comes already: what is left of the answer is an error.
local http_app = require "spec.http_app"
local process = require "spec.process"
local servers = require "spec.servers"

describe("a body that is longer than its length", function()
  it("breaks off the answer that has begun", function()
    local dir = process.enter()
    process.write_file(dir .. "/log", "")
    local bad = servers.run(("lua5.4 %s/spec/misbehaving_server.lua %s/log"):format(process.ROOT, dir))
    local server = process.serve(http_app.SOURCE, { environment = http_app.SANITIZER })
    local answer = http_app.run(server, [[
      local n = 0
      local function body()
        n = n + 1
        if n > 1 then sse.sleep(2) end
        return ("x"):rep(2000000)
      end
      local res = http.post("http://127.0.0.1:%d/early", { body = body, length = 3000000 })
      local text, message, code = res:body()
      return res.status, text, code
    ]], bad.port)
    assert.same({ 200, "nil", "closed" }, answer)
    assert.same({ 0 }, http_app.run(server, "return spate.stats().http_requests"))
    server:stop()
    servers.stop()
    process.leave()
  end)
end)
