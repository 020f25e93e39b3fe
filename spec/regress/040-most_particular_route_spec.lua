-- SPDX-License-Identifier: MIT
-- A route of one method goes before app:all, and that before a folder of files, in whatever order they are defined.
local helper = require "spec.helper"
local lfs = require "lfs"

local GET = [[app:get("/", function() return "get" end)]]
local ALL = [[app:all("/", function(req) return "all " .. req.method end)]]
local FILES = ([[app:static("/", "%s/spec/vectors")]]):format(lfs.currentdir())
local REST = [[app:all("/*path", function(req) return "rest " .. req.params.path end)]]

local function each_order(list, check, from)
  from = from or 1
  if from == #list then return check(table.concat(list, "\n")) end
  for i = from, #list do
    list[from], list[i] = list[i], list[from]
    each_order(list, check, from + 1)
    list[from], list[i] = list[i], list[from]
  end
end

describe("routes of one path", function()
  it("go by how particular they are, whatever their order", function()
    each_order({ GET, ALL, FILES, REST }, function(script)
      local server = helper.serve(script)
      assert.equal("get", (server:get("/"):body()), script)
      assert.equal("all POST", (server:post("/"):body()), script)
      assert.equal("rest jwt.lua", (server:get("/jwt.lua"):body()), script)
      server:close()
    end)
    each_order({ ALL, FILES }, function(script)
      local server = helper.serve(script)
      assert.equal("all GET", (server:get("/"):body()), script)
      assert.equal(200, server:get("/jwt.lua"):status(), script)
      server:close()
    end)
  end)

  it("go so beneath a mount as well", function()
    each_order({ [[app:mount("/m", inner)]], [[inner:all("/:id", function(req) return "all " .. req.params.id end)]],
      [[inner:get("/:name", function(req) return "get " .. req.params.name end)]] }, function(script)
      local server = helper.serve("local inner = spate.app()\n" .. script)
      assert.equal("get x", (server:get("/m/x"):body()), script)
      assert.equal("all y", (server:post("/m/y"):body()), script)
      server:close()
    end)
  end)

  it("are an error where none is more particular", function()
    for _, script in ipairs { GET .. "\n" .. GET, ALL .. "\n" .. ALL, FILES .. "\n" .. FILES } do
      local err = helper.load_error(script)
      assert.truthy(err:find("is defined already at", 1, true), err)
    end
  end)
end)
