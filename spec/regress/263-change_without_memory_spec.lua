-- SPDX-License-Identifier: MIT
-- A change of a watched folder that there was no memory to tell of was lost, and what held it never freed.
local helper = require "spec.helper"
local lfs = require "lfs"

local ONCE = 2 -- Lua tries each allocation twice

local APP = [[
local fs = require "spate.fs"
local changes, told, failures, list = nil, 0, 0, {}
for i = 1, 1000 do list[i] = "" end -- room, for which no memory is asked for later
app:get("/:n", function(req)
  changes = changes or assert(fs.watch(%q))
  local wanted = tonumber(req.params.n)
  sse.sleep(1)
  while told < wanted do
    local ok, change = pcall(changes.next, changes)
    if ok then told = told + 1 list[told] = change.name else failures = failures + 1 end
  end
  return table.concat(list, " ", 1, told) .. " " .. failures
end)
]]

it("a change is told once there is memory for it", function()
  local folder, n, expected, has_ended, res = os.tmpname(), 0, "", false, nil
  os.remove(folder)
  assert(lfs.mkdir(folder))
  local server = helper.serve(APP:format(folder))
  while not has_ended do
    res = server:get("/" .. n + 1)
    expected = ("%sd%d "):format(expected, n)
    assert(lfs.mkdir(("%s/d%d"):format(folder, n)))
    server.core:wait(0.01)
    server.core:fail_allocation(n, ONCE)
    server:advance(1)
    has_ended = server.core:fail_allocation(0, 0) == ONCE
    assert(res:has_ended(), ("allocation %d: a change is lost"):format(n))
    n = n + 1
  end
  local told, failures = res:body():match "^(.- )(%d+)$"
  assert.equal(expected, told)
  assert(tonumber(failures) >= 3, failures)
  server.core:close()
  os.execute("rm -r " .. folder)
end)
