-- SPDX-License-Identifier: MIT
-- A merged stream that was read and then dropped without a close left the tasks that read its sources.
local helper = require "spec.helper"

describe("a stream with tasks of its own that is dropped", function()
  for name, made in pairs { merge = "sse.merge(sse.interval(1), sse.never())", batch = "sse.interval(1):batch(1)", timeout = "sse.interval(1):timeout(5)" } do
    it("ends them: " .. name, function()
      local server = helper.serve(([[
        app:get("/", function()
          local next = %s:each()
          return tostring(next() ~= nil)
        end)
        app:get("/collect", function() for _ = 1, 2 do collectgarbage() end return "done" end)
      ]]):format(made))
      local res = server:get "/"
      server:advance(1)
      assert.equal("true", res:body())
      server:get "/collect"
      server:close()
    end)
  end
end)
