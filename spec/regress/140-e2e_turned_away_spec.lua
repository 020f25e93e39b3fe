-- SPDX-License-Identifier: MIT
-- Who is turned away for want of a descriptor gets one answer: what it has sent is read, but neither answered nor refused.
local process = require "spec.process"

describe("a client that is turned away", function()
  before_each(process.enter)
  after_each(process.leave)

  it("has its bytes read and no request of it served", function()
    local server = process.serve([[
      local asked = 0
      app:post("/ask", function(req) asked = asked + 1 return req:body() end)
      app:get("/asked", function() return tostring(asked) end)
      app:get("/never", function() return sse.reply(sse.never()) end)
    ]], { before = "ulimit -n 60", settings = "{ limits = { connections = 1000 } }" })
    local open = {}
    for i = 1, 80 do open[i] = server:ask "/never" end
    assert.equal(503, process.read_head(open[80]))
    for _, bytes in ipairs { "POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "no request\r\n\r\n", "GET /asked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" } do
      for _ = 1, 5 do
        local client = server:connect(bytes)
        local answer = client:receive "*a"
        assert.matches("^HTTP/1%.1 503 ", answer)
        assert.equal(1, select(2, answer:gsub("HTTP/1%.1 ", "")))
        client:close()
      end
    end
    for _, client in ipairs(open) do client:close() end
    process.eventually("room", function() return server:get "/asked" == 200 end)
    assert.same({ 200, "0" }, { server:get "/asked" })
    server:stop()
  end)
end)
