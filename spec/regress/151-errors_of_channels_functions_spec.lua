-- SPDX-License-Identifier: MIT
-- Errors of the functions that channels run are logged like any other: whole, and with the user's functions only.
local helper = require "spec.helper"

describe("an error with a NUL", function()
  for name, stream in pairs {
    ["sse.resumable"] = [[sse.resumable("r", function() error "one\0two" end)]],
    ["channel:derive"] = [[derived:subscribe { replay = "all" }]],
  } do
    it("is logged whole in " .. name, function()
      local server = helper.serve(([[
        local source = sse.channel("a", { history = 2 })
        local derived = source:derive(function() error "one\0two" end)
        app:get("/", function()
          source:publish "x"
          return sse.reply(%s)
        end)
        app:post("/end", function() return tostring(source:finish()) end)]]):format(stream))
      local res = server:get "/"
      server:turn()
      local log = server:log()
      assert.matches("one\\x00two", log)
      assert.matches("in function <", log)
      assert.is_nil(log:find("spate/", 1, true), log)
      assert.is_nil(log:find("[C]", 1, true), log)
      res:close()
      server:post "/end"
      server:advance(100)
      server:close()
    end)
  end
end)
