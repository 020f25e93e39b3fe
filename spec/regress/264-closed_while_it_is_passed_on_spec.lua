-- SPDX-License-Identifier: MIT
-- The fields of an answer were walked while they were copied into a table: that may collect, and a finalizer close the response,
-- whose fields were then read after they had been freed (the address sanitizer tells).
local helper = require "spec.helper"
local t = require "spate.test"
local session = require "spate.test.session"

-- A finalizer closes the response in the n-th of the collections that whatever is made sets off.
local APP = [[
local http = require "spate.http"
app:get("/:n[%d]", function(req)
  local res = http.get "http://up.example/x"
  local left = tonumber(req.params.n)
  local function again()
    left = left - 1
    if left == 0 then res:close() end
    if left > 0 then setmetatable({}, { __gc = again }) end
  end
  collectgarbage "stop"
  collectgarbage("incremental", 1, 1000, 31)
  setmetatable({}, { __gc = again })
  collectgarbage "restart"
  local ok, answer = pcall(reply.pass, res)
  collectgarbage("incremental", 160, 200, 13)
  if not ok then return { closed = answer, left = left } end
  return { left = left, fields = answer._fields }
end)
]]

it("an answer that is closed while its fields are copied is whole or closed", function()
  local headers, expected = {}, 0
  for i = 1, 50 do headers["X-Field-" .. i] = ("v" .. i):rep(10) end
  t.http.stub("GET", "http://up.example/x", { headers = headers, body = "a" })
  local server = helper.serve(APP, { stubs = session.stubs })
  for n = 0, 300 do
    local answer = server:get("/" .. n):json()
    if n == 0 then expected = #answer.fields end
    if answer.fields then assert.equal(expected, #answer.fields, n)
    else assert.matches("the response is closed", answer.closed, n) end
    for i = 1, #(answer.fields or {}), 2 do
      local number = answer.fields[i]:match "^X%-Field%-(%d+)$"
      if number then assert.equal(("v" .. number):rep(10), answer.fields[i + 1], n) end
    end
    if answer.left > 0 then assert(n > 5) break end
  end
  server:close()
end)
