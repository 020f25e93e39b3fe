-- SPDX-License-Identifier: MIT
-- What became of a request was told no earlier than the iterator of its body had its next piece, if ever: it was read by the
-- task that asked.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

describe("a request whose body's iterator waits", function()
  local server

  local function serve(options)
    server = helper.serve(([[
local http = require "spate.http"
local left
app:get("/", function()
  local function body()
    local _ <close> = setmetatable({}, { __close = function() left = sse.now() end })
    sse.sleep(1000)
    return "late"
  end
  local began = sse.now()
  local res, message, code = http.post("%s", { body = body, %s })
  return { status = res and res.status or 0, code = code or "", after = sse.now() - began }
end)
app:get("/left", function() return tostring(left) end)
app:get("/stats", function() return tostring(spate.stats().http_requests) end)
]]):format(URL, options), { stubs = session.stubs })
  end

  after_each(function()
    assert.equal("0", (server:get("/stats"):body()))
    server:close()
  end)

  it("fails in time, and leaves the iterator", function()
    serve "timeout = 5"
    t.http.stub("POST", URL, { body = "ok" })
    local res = server:get "/"
    server:advance(5)
    assert.same({ status = 0, code = "timeout", after = 5 }, res:json())
    assert.equal("5", ((server:get("/left"):body():gsub("%.0$", ""))))
  end)

  it("is given up with who has asked", function()
    serve "timeout = 50"
    local stub = t.http.stub("POST", URL, { body = "ok" })
    local res = server:get "/"
    server:advance(5)
    res.client:reset()
    server:turn()
    assert.not_equal("nil", (server:get("/left"):body()))
    assert.is_true(stub.closed)
  end)
end)
