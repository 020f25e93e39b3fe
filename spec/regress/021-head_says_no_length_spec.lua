-- SPDX-License-Identifier: MIT
-- An answer without a body says what its handler says: a Content-Type goes out, and to HEAD no Content-Length
-- that a GET would not say (RFC 9110 8.6).
local helper = require "spec.helper"

describe("an answer without a body", function()
  local server
  before_each(function()
    server = helper.serve [[
app:get("/made", function() return reply.status(201):header("Content-Type", "image/png") end)
app:get("/own", function() return "hello" end)
app:head("/own", function() return reply.status(200):header("Content-Type", "text/plain") end)
app:get("/text", function() return "hello" end)
app:get("/none", function() return reply.status(404) end)]]
  end)
  after_each(function() server:close() end)

  it("keeps its content type", function()
    local res = server:get "/made"
    assert.equal("image/png", res:header "Content-Type")
    assert.equal("0", res:header "Content-Length")
  end)

  it("says no length to HEAD", function()
    local client = server:connect()
    local res = server:head("/own", { client = client })
    assert.equal(200, res:status())
    assert.is_nil(res:header "Content-Length")
    assert.equal("text/plain", res:header "Content-Type")
    client:take()
    assert.equal("hello", (server:get("/own", { client = client }):body())) -- the connection goes on
  end)

  it("says to HEAD what is known", function()
    assert.equal("5", server:head("/text"):header "Content-Length")
    assert.is_nil(server:head("/none"):header "Content-Length")
    assert.equal("0", server:get("/none"):header "Content-Length")
  end)
end)
