-- SPDX-License-Identifier: MIT
-- What the iterator of a request's body raised without a line was raised with one, as if it were the library's own.
local helper = require "spec.helper"

it("raises what its body's iterator raises, and of its own where it was called", function()
  local server = helper.serve [[
local http = require "spate.http"
local function failure(body) return select(2, pcall(http.post, "http://127.0.0.1:1/", { body = body })) end
app:get("/", function()
  return {
    (failure(function() error("denied", 0) end)),
    failure(function() error { code = "table" } end).code,
    (failure(function() error "mine" end):gsub("^.-(:%d+:)", "%1")),
    (failure(function() return {} end):gsub("^.-(:%d+:)", "%1")),
  }
end)]]
  local expected = { "denied", "table", ":9: mine", ":4: http.post: body: what its iterator returns: expected a string, got table" }
  assert.same(expected, server:get("/"):json())
  server:close()
end)
