-- SPDX-License-Identifier: MIT
-- examples/runner.lua: its programs are real, and take real time.
local helper = require "spec.helper"

local server

-- Names and data of a stream's events.
local function seen(res)
  local list = {}
  for i, event in ipairs((res:events())) do list[i] = event.event .. " " .. event.data:gsub("%d%d+", "N") end
  return list
end

local function await(res, event)
  server:wait(function()
    local list = seen(res)
    return (list[#list] or ""):find(event, 1, true) == 1
  end)
  return seen(res)
end

describe("examples/runner.lua", function()
  before_each(function() server = helper.serve "examples/runner.lua" end)

  after_each(function()
    server:wait(function()
      server:advance(0.1) -- for the rest of a group
      return server:stats().processes == 0
    end)
    server:close()
  end)

  it("shows the lines to everybody, whenever they come, until it is stopped", function()
    local early = server:get "/jobs/count"
    local started = server:post "/jobs/count"
    assert.equal(202, started:status())
    assert.same({ 'start {"pid":N}', "line step 1" }, await(early, "line step 1"))
    local late = server:get "/jobs/count"
    assert.same({ 'start {"pid":N}', "line step 1" }, seen(late))
    assert.equal(409, server:post("/jobs/count"):status())
    started:close() -- who has started it leaves
    assert.equal("line step 2", await(late, "line step 2")[3])
    assert.equal(204, server:delete("/jobs/count"):status())
    assert.equal('end {"signal":"TERM"}', await(early, "end")[4])
    assert.same(seen(early), seen(late))
    assert.equal(409, server:delete("/jobs/count"):status())
  end)

  it("goes on behind the last event that a viewer saw", function()
    local first = server:get "/jobs/disk"
    server:post "/jobs/disk"
    local all = await(first, "end")
    assert.equal('end {"code":0}', all[#all])
    local events = first:events()
    local again = server:get("/jobs/disk", { headers = { ["Last-Event-ID"] = events[#events - 1].id } })
    assert.same({ 'end {"code":0}' }, seen(again))
    assert.equal(202, server:post("/jobs/disk"):status()) -- and runs once more
    await(again, "end")
  end)

  it("runs what it names, and nothing else", function()
    for _, method in ipairs { "get", "post", "delete" } do assert.equal(404, server[method](server, "/jobs/rm"):status()) end
    assert.matches("new EventSource", (server:get("/"):body()), 1, true)
  end)
end)
