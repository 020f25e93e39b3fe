-- SPDX-License-Identifier: MIT
-- A request that had come over a kept connection by TLS when the server stopped, and was not read yet, was read, taken for
-- nothing, and its connection closed without an answer.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local tls = require "spec.tls"

describe("a request that has come, and is not read when the server stops,", function()
  local directory, cert, key, server
  setup(function()
    directory = certificates.directory()
    cert, key = certificates.make(directory, "a.example")
  end)
  teardown(function() certificates.remove(directory) end)
  before_each(function()
    server = helper.serve([[app:get("/", function() return "hello" end)]], { settings = { tls = { cert = cert, key = key } }, epoch = os.time() })
  end)
  after_each(function() server:close() end)

  for how, connect in pairs { ["over TLS"] = tls.connect, plainly = function(s) return s:connect() end } do
    it("is answered " .. how, function()
      local client = connect(server)
      assert.equal("hello", (server:get("/", { client = client }):body()))
      client:take()
      client:send "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
      server.core:drain()
      server:turn()
      assert.matches("^HTTP/1.1 200 .*\r\n\r\nhello$", client:take())
    end)
  end
end)
