-- SPDX-License-Identifier: MIT
-- A program of spate.process inherited SPATE_ADMIN_TOKEN, with which it could see and end any stream.
local process = require "spec.process"

describe("a program of spate.process", function()
  before_each(process.enter)
  after_each(process.leave)

  it("has the server's environment, but not the inspector's token", function()
    local server = process.serve([[
local programs = require "spate.process"
app:get("/env", function() return programs.run({ "env" }).out .. "that is all" end)
app:get("/given", function() return programs.run({ "env" }, { env = { SPATE_ADMIN_TOKEN = "mine" } }).out .. "that is all" end)]],
      { environment = "SPATE_ADMIN_TOKEN=0123456789abcdef OTHER=there" })
    local function body(target) return process.read_until(server:ask(target), "that is all") end
    local plain = body "/env"
    process.contains(plain, "OTHER=there\n")
    assert.is_nil(plain:find("SPATE_ADMIN_TOKEN", 1, true))
    local given = body "/given"
    process.contains(given, "SPATE_ADMIN_TOKEN=mine\n")
    assert.is_nil(given:find("0123456789abcdef", 1, true))
  end)
end)
