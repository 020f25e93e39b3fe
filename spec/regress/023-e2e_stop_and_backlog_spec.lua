-- SPDX-License-Identifier: MIT
-- A server that stops answers those who are connected to it and have asked: also where it has not accepted them
-- yet, since closing a listening socket resets what waits in its backlog, and where it has not read them yet.
local helper = require "spec.helper"
local process = require "spec.process"

describe("a stop", function()
  it("reads what idle connections have sent before it closes them", function()
    local server = helper.serve [[app:get("/", function() return "here" end)]]
    local asked, silent, again = server:connect(), server:connect(), server:get "/"
    server:turn()
    asked:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    again.client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    server.core:drain()
    local res = server:send("", asked)
    assert.equal("here", (res:body()))
    assert.equal("close", res:header "Connection")
    assert.equal(2, select(2, again:raw():gsub("here", "")))
    server:advance(1.01)
    assert.equal("closed", silent:state())
    server:close()
  end)

  it("answers those that wait to be accepted", function()
    local go = process.enter() .. "/go"
    process.shell("mkfifo %s", go)
    finally(process.leave)
    local server = process.serve [[
app:get("/", function() return "here" end)
app:get("/busy", function() os.execute "echo busy >&2; cat go" return "done" end)]]
    local busy, waiting = server:ask "/busy", {}
    server:says "busy"
    for i = 1, 300 do waiting[i] = server:ask "/" end
    server:kill "TERM"
    process.write_file(go, "")
    local answered = 0
    for _, client in ipairs(waiting) do
      local text = client:receive "*a"
      if text and text:find "here$" then answered = answered + 1 end
    end
    assert.equal(300, answered)
    assert.truthy(busy:receive "*a")
    assert.equal(0, (server:wait()))
  end)
end)
