-- SPDX-License-Identifier: MIT
-- Two of 300 runs of the simulator were others with Lua 5.4.7 than with 5.4.4, as a channel that nobody holds is there until it is
-- collected, and Lua goes by bytes. A server in memory can be told when: once its programs have made so many more objects.
local helper = require "spec.helper"

-- What becomes of an object that nobody holds while others are made: at which of these it is found, and finalized.
local SCRIPT = [[
  local seen = setmetatable({}, { __mode = "v" })
  local found, finalized, n
  seen[1] = setmetatable({}, { __gc = function() finalized = n end })
  for i = 1, %d do
    n = i
    local _ = { i }
    if not found and not seen[1] then found = i end
  end
  return tostring(found) .. " " .. tostring(finalized)]]

local function run(server, count)
  local found, finalized = server.core:run(SCRIPT:format(count)):match "^(%S+) (%S+)$"
  return tonumber(found), tonumber(finalized)
end

describe("a server that collects when it is told", function()
  local server
  before_each(function() server = helper.serve("\n", { told = true }) end)
  after_each(function() server.core:close() end)

  it("does not by itself", function()
    assert.is_nil((run(server, 200000)))
  end)

  it("does in the midst of a program, whole, and once", function()
    server.core:collect_after(100)
    local found, finalized = run(server, 1000)
    assert.equal(found, finalized)
    assert.is_true(found > 50 and found <= 100, found)
    assert.is_nil((run(server, 200000)))
  end)

  it("has finalizers wait", function()
    server.core:collect_after(500, 100)
    local found, finalized = run(server, 1000)
    assert.is_true(found > 50 and found <= 100, found)
    assert.is_true(finalized > 450 and finalized <= 500, finalized)
  end)

  it("does so with what is young as well", function()
    server.core:run 'collectgarbage("generational", 100, 1000)'
    server.core:collect_after(500, 100)
    local found, finalized = run(server, 1000)
    assert.is_true(found > 50 and found <= 100, found)
    assert.is_true(finalized > 450 and finalized <= 500, finalized)
  end)

  it("does once more when it has come to rest", function()
    server.core:run 'finalized = 0 setmetatable({}, { __gc = function() finalized = finalized + 1 end })'
    server.core:collect_after(20)
    server.core:run "for i = 1, 40 do local _ = { i } end setmetatable({}, { __gc = function() finalized = finalized + 1 end })"
    server:turn()
    assert.equal("1", server.core:run "return tostring(finalized)")
    server:advance(1)
    assert.equal("2", server.core:run "return tostring(finalized)")
    assert.equal(math.huge, server.core:next())
  end)

  it("leaves others as they are", function()
    local other = helper.serve "\n"
    assert.is_number((run(other, 200000)))
    assert.error_matches(function() other.core:collect_after(1) end, "collects by itself")
    other.core:close()
  end)
end)
