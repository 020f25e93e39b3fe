-- SPDX-License-Identifier: MIT
-- Each new reader of pg:listen had a lost server be connected to at once, however long its listener was to wait.
local helper = require "spec.helper"
local socket = require "socket"

describe("pg:listen, whose server turns everybody away", function()
  local server, listening, accepted

  before_each(function()
    listening = assert(socket.bind("127.0.0.1", 0))
    listening:settimeout(0)
    accepted = 0
    local _, port = listening:getsockname()
    server = helper.serve(([[
      local pg = require("spate.postgres").open("host=127.0.0.1 port=%d user=x sslmode=disable")
      app:get("/", function() return sse.reply(pg:listen "a") end)
      app:get("/close", function() pg:close() return "x" end)]]):format(port))
  end)

  after_each(function()
    server:get "/close"
    server:turn()
    server:close()
    listening:close()
  end)

  -- Each connection is closed.
  local function accept()
    for client in function() return listening:accept() end do
      accepted = accepted + 1
      client:close()
    end
  end

  local function failures() return select(2, server:log():gsub("pg:listen", "")) end

  it("waits, however many readers come meanwhile", function()
    local readers = { server:get "/" }
    server:wait(function()
      accept()
      return failures() == 1
    end)
    local before = accepted
    assert.is_true(before > 0)
    for _ = 1, 10 do
      readers[#readers + 1] = server:get "/"
      for _ = 1, 5 do server:turn() end
      accept()
    end
    assert.equal(before, accepted)
    server:advance(0.6)
    server:wait(function()
      accept()
      return accepted > before
    end)
    for _, reader in ipairs(readers) do reader:close() end
  end)
end)
