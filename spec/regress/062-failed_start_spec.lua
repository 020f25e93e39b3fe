-- SPDX-License-Identifier: MIT
-- An on_start function that fails: the application does not start, a reload is refused, and the old code goes on.
local helper = require "spec.helper"

local OLD = [[
app:get("/", function() return "old" end)
app:on_stop(function() print "old stops" end)
]]

it("an on_start function that raises is why an application does not load, with its place", function()
  local err = helper.load_error 'local function deep() error "no database" end\napp:on_start(function() deep() end)\n'
  assert.matches(":3: no database\n", err)
  assert.matches("  >    3 | local function deep", err)
  assert.matches("stack traceback:\n\t[^\n]+:3: in .-\n\t[^\n]+:4: in ", err)
end)

it("so is one that never waits", function()
  local err = helper.load_error("app:on_start(function() while true do end end)\n", { watch = true, settings = { limits = { burst = 0.05 } } })
  assert.matches(":3: stopped after 0.05 s of CPU time", err)
end)

describe("a reload whose on_start function raises", function()
  local server
  before_each(function() server = helper.serve(OLD) end)
  after_each(function() server:close() end)

  it("is refused; the old code serves on and is not stopped", function()
    local ok, err = server:reload [[
      app:on_start(function() error "no database" end)
      app:get("/", function() return "new" end)
    ]]
    assert.is_nil(ok)
    assert.matches(":3: no database", err)
    assert.equal("old", (server:get("/"):body()))
    assert.equal(1, server:stats().generations)
    assert.is_nil(server:log():find("old stops", 1, true))
  end)

  it("leaves nothing of the new code behind", function()
    assert.is_nil((server:reload [[
      local ch = sse.channel "x"
      sse.every(1, function() print "new tick" end)
      app:on_start(function()
        local closed <close> = setmetatable({}, { __close = function() print "closed" end })
        sse.spawn(function() sse.sleep(1) print "spawned" end)
        sse.sleep(10)
      end)
      app:on_start(function() error "no" end)
    ]]))
    assert.matches("closed", server:log())
    server:advance(5)
    local log = server:log()
    assert.is_nil(log:find("new tick", 1, true))
    assert.is_nil(log:find("spawned", 1, true))
    assert.equal(0, server:stats().tasks)
  end)

  it("may be mended and tried again", function()
    assert.is_nil((server:reload 'app:on_start(function() error "no" end)\n'))
    assert.is_true(server:reload 'app:on_start(function() print "up" end)\napp:get("/", function() return "new" end)\n')
    assert.equal("new", (server:get("/"):body()))
    local log = server:log()
    assert(log:find("up", 1, true) < log:find("old stops", 1, true), log)
  end)
end)
