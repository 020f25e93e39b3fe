-- SPDX-License-Identifier: MIT
-- Seed 3899 of the simulator: a request whose head and a part of its body waited behind an answer got a 408 as soon as that
-- had ended: its body had no time at all, or what was left to one before it.
local helper = require "spec.helper"

local APP = [[
app:post("/", function(req) return "got " .. #req:body() end)
app:get("/slow", function() sse.sleep(70) return "slow" end)]]

local HEAD = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

describe("a body that comes while the answer before it is made", function()
  local server, client

  before_each(function()
    server = helper.serve(APP, { settings = { timeouts = { body = 5, body_total = 60 } } })
    client = server:connect()
  end)
  after_each(function() server:close() end)

  local function statuses()
    local list = {}
    for status in client:take():gmatch "HTTP/1%.1 (%d+)" do list[#list + 1] = tonumber(status) end
    return list
  end

  for what, before in pairs { ["a first request"] = "", ["a body before"] = HEAD .. "1234567890" } do
    it("has its time from there on, behind " .. what, function()
      server:send(before .. "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" .. HEAD .. "12345", client)
      server:advance(73)
      local seen = statuses()
      assert.equal(200, seen[#seen])
      server:send("67890", client)
      assert.same({ 200 }, statuses())
    end)

    it("is late then as any other, behind " .. what, function()
      server:send(before .. "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" .. HEAD .. "12345", client)
      server:advance(74)
      statuses()
      server:advance(2)
      assert.same({ 408 }, statuses())
    end)
  end
end)
