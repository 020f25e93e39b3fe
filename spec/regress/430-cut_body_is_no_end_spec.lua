-- SPDX-License-Identifier: MIT
-- Where a client left within the body of a request, what passed that on to another server ended it there, as if it were whole:
-- the task that sends it saw that no more comes before it was cancelled.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

describe("a body that is cut as it is passed on", function()
  local server

  after_each(function() server:close() end)

  local function passed_on_by(source)
    server = helper.serve(([[
local http = require "spate.http"
local URL = "%s"
]]):format(URL) .. source, { stubs = session.stubs, blocks = true })
    local stub = t.http.stub("POST", URL, { body = "ok" })
    local client = server:connect()
    server:send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", client)
    server:send("3\r\nabc\r\n", client)
    client:reset()
    server:turn()
    assert.equal("abc", stub.requests[1].body)
    assert.is_true(stub.requests[1].closed) -- and so it has not ended
  end

  it("is broken off where a task of the handler's asks", function()
    passed_on_by [[
app:post("/x", function(req)
  sse.spawn(function() http.post(URL, { body = req:chunks() }) end)
  sse.sleep(1000)
end)]]
  end)

  it("is broken off where the turn ends before who asks is cancelled", function()
    passed_on_by [[
app:post("/x", function(req)
  local chunks = req:chunks()
  http.post(URL, { body = function()
    local piece, why = chunks()
    if not piece then block(1) end
    return piece, why
  end })
end)]]
  end)

  it("is broken off by reply.proxy", function() passed_on_by "app:post('/x', function() return reply.proxy(URL) end)" end)

  it("fails with what its iterator says", function()
    server = helper.serve(([[
app:get("/", function() return { select(2, require("spate.http").post("%s", { body = function() return nil, "torn" end })) } end)
]]):format(URL), { stubs = session.stubs })
    local stub = t.http.stub("POST", URL, { body = "ok" })
    assert.same({ "http.post: the body's iterator: torn", "closed" }, server:get("/"):json())
    assert.is_true(stub.requests[1].closed)
  end)
end)
