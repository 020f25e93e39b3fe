-- SPDX-License-Identifier: MIT
-- The body of a request whose iterator gave more than its length was cut there without a word, where one that gave less is an error.
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

local URL = "http://up.example/x"

local function post(body)
  local server = helper.serve(([[
local http = require "spate.http"
app:get("/", function()
  local pieces = { %s }
  local res, message, code = http.post("%s", { body = function() return table.remove(pieces, 1) end, length = 3 })
  return { res and res.status or json.null, message or json.null, code or json.null, #pieces }
end)
app:get("/stats", function() return tostring(spate.stats().http_requests) end)
]]):format(body, URL), { stubs = session.stubs })
  local stub = t.http.stub("POST", URL, { status = 200, body = "ok" })
  local res = server:get "/"
  server:advance(1)
  local answer = res:json()
  assert.equal("0", (server:get("/stats"):body()))
  server:close()
  return answer, stub
end

describe("the length of a request's body", function()
  for pieces, left in pairs { ['"12345678"'] = 0, ['"12", "", "34", "5"'] = 1, ['"123", "4"'] = 0 } do
    it("is not what its iterator gives: " .. pieces, function()
      local answer = post(pieces)
      assert.same({ helper.json.null, "http.post: the body's iterator has more than its length of 3 bytes", "closed", left }, answer)
    end)
  end

  it("is what its iterator gives", function()
    for _, pieces in ipairs { '"123"', '"12", "", "3"', '"123", ""' } do
      local answer, stub = post(pieces)
      assert.same({ 200, helper.json.null, helper.json.null, 0 }, answer)
      assert.equal("123", stub.requests[1].body)
    end
  end)
end)
