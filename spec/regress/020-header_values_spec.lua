-- SPDX-License-Identifier: MIT
-- What a script puts into a field of an answer is what RFC 9110 5.5 allows: a terminal that shows a head must not
-- be told to do things by an ESC in it, and a proxy may refuse what holds one.
local helper = require "spec.helper"

describe("a header's value", function()
  local server
  before_each(function()
    server = helper.serve [[
app:get("/", function(req)
  local ok, err = pcall(function() return reply.text(""):header("X-A", req.query.v) end)
  return ok and err or reply.text(err, 500)
end)
app:get("/stream", function(req) return sse.reply({}, { headers = { ["X-A"] = req.query.v } }) end)
app:get("/type", function(req) return reply.stream(function() end, { type = req.query.v }) end)]]
  end)
  after_each(function() server:close() end)

  it("holds no control character but a tab", function()
    for byte = 0, 255 do
      local code, is_legal = ("%%%02x"):format(byte), byte == 9 or byte >= 32 and byte ~= 127
      local res = server:get("/?v=a" .. code .. "b")
      assert.equal(is_legal and 200 or 500, res:status(), code)
      if is_legal then assert.equal("a" .. string.char(byte) .. "b", res:header "X-A", code) end
    end
    local body = server:get("/?v=a%1bb"):body()
    assert.truthy(body:find("header 'X-A': the value must not contain control characters: byte 0x1b at 2", 1, true), body)
  end)

  it("is held to that wherever it is given", function()
    assert.equal(500, server:get("/stream?v=%7f"):status())
    assert.equal(500, server:get("/type?v=%0b"):status())
  end)
end)
