-- SPDX-License-Identifier: MIT
-- What was made while a client took nothing stayed where it was when all that had been in flight left in one piece, until
-- something else was sent: with the first form of batches, for clients that were sent to outside of one.
local helper = require "spec.helper"

local before = os.getenv "SPATE_IO_URING"

describe("what is made while a client takes nothing", function()
  after_each(function() helper.harness.setenv("SPATE_IO_URING", before) end)

  for _, way in ipairs { "auto", "off" } do
    it("follows at once where the client takes all, SPATE_IO_URING=" .. way, function()
      helper.harness.setenv("SPATE_IO_URING", way)
      local server = helper.serve [[app:get("/", function() return sse.reply(sse.interval(1), { keep_alive = false }) end)]]
      local client = server:connect()
      local res = server:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n", client)
      res:body()
      client:window(0)
      server:advance(3)
      assert.equal("", (res:body()))
      client:window()
      server:turn()
      assert.equal("data: 1\n\ndata: 2\n\ndata: 3\n\n", (res:body()))
      res:close()
      server:close()
    end)
  end
end)
