-- SPDX-License-Identifier: MIT
-- spate check said what is wrong without what to do, where spate dev did; and took a path of other servers as it stands.
local process = require "spec.process"

local contains = process.contains

describe("spate check", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(process.leave)

  local function check(source, settings)
    process.write_file(directory .. "/app.lua", process.PRELUDE .. source .. "\nreturn app\n")
    if settings then process.write_file(directory .. "/spate.conf.lua", settings) end
    local command = process.spawn { "check" }
    return command:wait(), command:stdout()
  end

  it("hints at what is meant", function()
    local _, out = check "app:gte('/', function() return '' end)"
    contains(out, "attempt to call a nil value (method 'gte')\n  hint: did you mean 'get'?")
    _, out = check "app:listen(3000)"
    contains(out, "(method 'listen')\n  hint: the script ends with `return app`; spate dev serves it")
    _, out = check "app:get('/', function() return '' end"
    contains(out, "expected (to close '('", "\n  hint: what begins at that line has no end, or lacks a comma")
  end)

  it("knows the library's modules, and looks in each place once", function()
    local _, out = check "require 'spate.sqlit'\nrequire 'dkjsn'"
    contains(out, "module 'spate.sqlit' not found\n  hint: did you mean 'spate.sqlite'?",
      "module 'dkjsn' not found")
    local _, places = out:gsub(" %./dkjsn%.lua", "")
    assert.equal(1, places)
  end)

  it("tells of parameters as other servers write them", function()
    local code, out = check "app:get('/users/{id}', function() return '' end)\napp:get('/a/<id>', function() return '' end)"
    assert.equal(1, code)
    contains(out, "GET /users/{id}: '{id}' is taken as it stands\n  hint: a parameter is written :id, digits alone :id[%d]", "'<id>' is taken as it stands")
    assert.equal(0, (check "app:get('/a/b:c', function() return '' end)"))
  end)

  it("names the settings file once, and what a group has", function()
    local _, out = check("", "workers = 2")
    contains(out, "spate.conf.lua: expected the file to return a table, got nil")
    assert.falsy(out:find("spate.conf.lua: spate.conf.lua", 1, true))
    _, out = check("", "return { keep_alive = 15 }")
    contains(out, "keep_alive: expected a table such as { interval = ... }, got 15")
    _, out = check("", "return { port = 80 }")
    contains(out, "unknown setting 'port'\n  hint: listen = { \"127.0.0.1:8080\" } has address and port")
    _, out = check("", "return { workers = os.getenv 'N' }")
    contains(out, "(global 'os')\n  hint: a settings file is read without io and os")
  end)
end)
