-- SPDX-License-Identifier: MIT
-- What the routes of an application hold goes with it.
local helper = require "spec.helper"

describe("what routes hold", function()
  it("is given back with the application, and with the route that takes their place", function()
    local lines = {}
    for i = 1, 25 do lines[#lines + 1] = ('app:on("METHOD-NUMBER-%d", "/on", function() end)'):format(i) end
    for i = 1, 40 do
      local long = ("l%d"):format(i):rep(40)
      lines[#lines + 1] = ('app:get("/%s/:a[%%d]/x", function() end) app:get("/%s/:c[%%a]/x", function() end) app:get("/%s/:b/y/*rest", function() end) app:all("/%s", function() end) app:get("/%s", function() end)'):format(long, long, long, long, long)
    end
    local source = table.concat(lines, "\n")
    local function bytes()
      helper.serve(source):close()
      for _ = 1, 2 do collectgarbage() end
      return helper.harness.c_bytes()
    end
    local before, rests, grown = bytes(), 0, 0
    for _ = 1, 40 do -- until what is made once is there
      local now = bytes()
      grown, before = now - before, now
      rests = grown < 300 and rests + 1 or 0
      if rests == 2 then return end
    end
    error(("each application leaves %d bytes"):format(grown))
  end)
end)
