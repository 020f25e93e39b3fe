-- SPDX-License-Identifier: MIT
-- The example of a promise answered 500 to an id that is no promise's name.
local helper = require "spec.helper"
local process = require "spec.process"

local ID = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"

local function example()
  for block in process.read_file("lua/README.md"):gmatch "```lua\n(.-)```" do
    if block:find('app:post("/paid/:id"', 1, true) then return block end
  end
end

describe("the example of a promise", function()
  local server
  before_each(function() server = helper.serve(("spate.uuid = function() return %q end\n"):format(ID) .. example()) end)
  after_each(function() server:close() end)

  for what, id in pairs { ["is too long"] = ("a"):rep(248), ["has control characters"] = "%0A", ["is none"] = "7" } do
    it("knows no payment whose id " .. what, function()
      assert.equal(404, server:post("/paid/" .. id, { json = { paid = true } }):status())
    end)
  end

  it("brings the receipt of one that waits", function()
    local res = server:post("/pay", { json = {} })
    assert.equal(204, server:post("/paid/" .. ID, { json = { paid = true } }):status())
    assert.same({ paid = true }, res:json())
  end)
end)
