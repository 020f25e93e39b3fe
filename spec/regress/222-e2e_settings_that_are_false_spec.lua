-- SPDX-License-Identifier: MIT
-- `spate check` tried a setting that is false as a table: `http2 = false` was "unknown setting 'http2.false'", and `io_uring = false` told of a
-- table and its address.
local process = require "spec.process"

describe("a setting that is false", function()
  local directory

  before_each(function()
    directory = process.enter()
    process.write_file(directory .. "/app.lua", "local app = require('spate').app()\napp:get('/', function() return 'x' end)\nreturn app\n")
  end)

  after_each(process.leave)

  local function check(setting)
    process.write_file(directory .. "/spate.conf.lua", "return {\n  " .. setting .. ",\n}\n")
    local checked = process.spawn { "check", "app.lua" }
    return checked:wait(), checked:stdout()
  end

  it("is checked as what it is", function()
    assert.same({ 0, "app.lua: 1 route, no problems\n" }, { check "http2 = false" })
    assert.same({ 0, "app.lua: 1 route, no problems\n" }, { check "compress = false" })
    assert.same({ 3, 'spate.conf.lua:2: io_uring: expected "auto" or "off", got false\n' }, { check "io_uring = false" })
    assert.same({ 3, "spate.conf.lua:2: limits: expected a table such as { head = ... }, got false\n" }, { check "limits = false" })
  end)
end)
