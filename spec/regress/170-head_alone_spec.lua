-- SPDX-License-Identifier: MIT
-- On a connection of many streams the head of an event stream that had nothing to send yet, answered by a handler that
-- had waited, stayed with the server until the first event or comment.
local helper = require "spec.helper"

describe("the head of a stream that begins later", function()
  it("goes out by itself, whatever the connection carries", function()
    local server = helper.serve [[app:get("/", function() sse.sleep(1) return sse.reply(sse.never()) end)]]
    local client = server:connect(nil, "mux")
    client:send("open 1 /\n")
    server:turn()
    assert.equal("", client:take())
    server:advance(1)
    assert.equal("1 head 200\n", client:take())
    server:close()
  end)
end)
