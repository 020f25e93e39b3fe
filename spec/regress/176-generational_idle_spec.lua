-- SPDX-License-Identifier: MIT
-- An application that had chosen the generational collector woke its worker a hundred times a second for ever, to end a
-- collection that has no end there; and once its heap had grown the choice was undone.
local helper = require "spec.helper"

local APP = [[
collectgarbage "generational"
local kept = {}
app:get("/waste", function() for i = 1, 5000 do local _ = { i } end return "wasted" end)
app:get("/grow", function() for i = 1, 50000 do kept[i] = { i } end return "grown" end)
app:get("/mode", function()
  local mode = collectgarbage "incremental"
  collectgarbage(mode)
  return mode
end)
app:get("/wrong", function() collectgarbage "generation" end)]]

describe("an application with the generational collector", function()
  local server

  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  it("lets its worker sleep once it has nothing to do", function()
    server:get "/waste"
    server:advance(30)
    assert.equal(math.huge, server.core:next())
  end)

  it("keeps it", function()
    assert.equal("generational", (server:get "/mode":body()))
    server:get "/grow"
    server:get "/waste"
    server:advance(30)
    assert.equal("generational", (server:get "/mode":body()))
  end)

  it("is told at its line of a mode that does not exist", function()
    assert.equal(500, server:get "/wrong":status())
    assert.matches(":%d+: bad argument #1 to 'collectgarbage' %(invalid option 'generation'%)", server:log())
  end)
end)
