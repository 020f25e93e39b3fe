-- SPDX-License-Identifier: MIT
-- A TLS connection without a request whose client had ended it, or broke it, which the server read only as it was stopped,
-- was closed and then given a second for its first request: its timer was armed in memory that was freed.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local tls = require "spec.tls"

describe("a connection without a request, whose end is read as the server stops,", function()
  local directory, cert, key, server
  setup(function()
    directory = certificates.directory()
    cert, key = certificates.make(directory, "a.example")
  end)
  teardown(function() certificates.remove(directory) end)
  before_each(function()
    server = helper.serve([[app:get("/", function() return "hello" end)]], { settings = { tls = { cert = cert, key = key } }, epoch = os.time() })
  end)

  for how, leave in pairs {
    ["by close_notify"] = function(client) client:finish() end,
    ["by what is no record"] = function(client) client.raw:send(("x"):rep(100)) end,
  } do
    it("is closed, and nothing is left of it, where it came " .. how, function()
      local client = tls.connect(server)
      leave(client)
      server.core:drain()
      assert.equal("closed", client:state())
      server:advance(1.1)
      assert.equal(0, server:stats().connections)
      server:close()
    end)
  end
end)
