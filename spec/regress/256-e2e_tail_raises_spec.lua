-- SPDX-License-Identifier: MIT
-- A command whose task had failed went on as if it were to serve, without a script, and crashed.
local process = require "spec.process"

describe("spate tail", function()
  setup(process.enter)
  teardown(process.leave)

  it("says what its request may not have, and ends", function()
    local command = process.spawn { "tail", "http://127.0.0.1:1/", "-H", "Connection: close" }
    assert.equal(1, command:wait())
    process.contains(command:stderr(), "header 'connection': the server sets this one itself")
  end)
end)
