-- SPDX-License-Identifier: MIT
-- A program whose input was a body that its client broke off read that to an end, as if it were all, before it was ended, if ever.
local helper = require "spec.helper"

describe("a program whose input is a body that breaks off", function()
  it("is ended, and reads to no end", function()
    local server = helper.serve [[
local process = require "spate.process"
local said
app:post("/", function(req)
  sse.spawn(function()
    local result = assert(process.run({ "sh", "-c", "cat; echo whole" }, { stdin = req:chunks() }))
    said = ("%s by %s"):format((result.out:gsub("%s", "")), result.signal)
  end)
  sse.sleep(1000)
end)
app:get("/said", function() return said or "" end)]]
    local client = server:connect()
    server:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", client)
    server:send("3\r\nabc\r\n", client)
    client:reset()
    server:wait(function()
      if server:stats().processes > 0 then server:advance(0.1) end
      return server:stats().processes == 0
    end)
    local said = server:get("/said"):body()
    assert.is_nil(said:find("whole", 1, true), said)
    assert.matches("by TERM$", said)
    server:close()
  end)
end)
