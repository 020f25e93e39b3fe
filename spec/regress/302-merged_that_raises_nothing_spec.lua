-- SPDX-License-Identifier: MIT
-- A merged stream ended as if all had been told where a source had raised nil or false.
local helper = require "spec.helper"

describe("a merged stream of which a source raises", function()
  for _, value in ipairs { "nil", "false" } do
    it(value .. " is cut", function()
      local server = helper.serve(([[
        app:get("/", function()
          return sse.reply(sse.merge(sse.from { 1 }, sse.from(function() sse.sleep(1) error(%s) end)))
        end)
      ]]):format(value))
      local res = server:get "/"
      server:advance(1)
      assert.same({ "1" }, res:data())
      assert.is_false(res:has_ended(), res:raw())
      assert.equal("closed", res.client:state())
      server:close()
    end)
  end
end)
