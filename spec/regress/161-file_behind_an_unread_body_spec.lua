-- SPDX-License-Identifier: MIT
-- Behind a file as the answer to an upload that nobody reads, nothing more of it was taken: a client that sends all
-- before it reads waited for ever.
local helper = require "spec.helper"

describe("a file that answers an unread upload", function()
  it("leaves the rest of the body to be read and dropped", function()
    local path = os.tmpname()
    do
      local f <close> = assert(io.open(path, "w"))
      f:write(("x"):rep(300000))
    end
    local server = helper.serve(([[
      app:post("/", function() sse.sleep(1) return reply.file(%q, { type = "text/plain" }) end)]]):format(path))
    local client = server:connect()
    client:window(1000)
    local res = server:send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" .. ("b"):rep(1000000), client)
    server:advance(1)
    server:turn()
    assert.equal(0, client:unread())
    client:window(nil)
    server:turn()
    assert.equal(300000, #res:body())
    os.remove(path)
    server:close()
  end)
end)
