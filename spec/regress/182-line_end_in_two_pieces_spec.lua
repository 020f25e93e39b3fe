-- SPDX-License-Identifier: MIT
-- Seed 202712030420 of the simulator: line ends that come while an event stream goes on are passed over, also the first half of one whose
-- second half came behind the stream's end: that began the next request, which was answered 400. A CR waits for what follows it now.
local helper = require "spec.helper"

describe("an empty line before a request behind an event stream", function()
  it("may come in any pieces", function()
    for pieces = 1, 8 do
      for lines = 0, 2 do
        local server = helper.serve [[
          app:get("/", function() return sse.reply(sse.from(coroutine.wrap(function() for i = 1, 4 do coroutine.yield(i) end end))) end)
          app:post("/p", function() return "answer" end)]]
        local client = server:connect()
        client:pieces(pieces)
        local res = server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" .. ("\r\n"):rep(lines) .. "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", client)
        assert.truthy(res:raw():find("answer", 1, true), ("%d lines in pieces of %d"):format(lines, pieces))
        server:close()
      end
    end
  end)
end)
