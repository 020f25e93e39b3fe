-- SPDX-License-Identifier: MIT
-- `spate check --start` said "no problems" before it had started what then failed.
local process = require "spec.process"

describe("spate check --start", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function check(source)
    process.write_file(directory .. "/app.lua", process.PRELUDE .. source .. "\nreturn app\n")
    local started = process.spawn { "check", "--start" }
    local code = started:wait()
    return code, started:stdout(), started:stderr()
  end

  it("says that there are no problems once it has started", function()
    assert.same({ 0, "app.lua: 1 route\napp.lua: starts, no problems\n", "" }, { check 'app:get("/", function() return "x" end)' })
  end)

  it("does not say so where it does not start", function()
    local code, out, err = check 'app:on_start(function() error "no database" end)'
    assert.same({ 1, "app.lua: 0 routes\n" }, { code, out })
    process.contains(err, "no database")
  end)
end)
