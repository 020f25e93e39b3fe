-- SPDX-License-Identifier: MIT
-- A channel has the options of whoever made it. Others are not dropped in silence.
local helper = require "spec.helper"

describe("sse.channel with options that are not the channel's", function()
  local server
  before_each(function()
    server = helper.serve [[
      local first = sse.channel("news", { history = 10, ttl = 60, on_full = "drop_oldest" })
      local function answer(options) return function() sse.channel("news", options) return "ok" end end
      app:get("/same", answer { history = 10, ttl = 60.0, on_full = "drop_oldest", key = function() end })
      app:get("/some", answer { ttl = 60 })
      app:get("/none", answer())
      app:get("/history", function()
        sse.channel("news", { history = 20 })
        return "ok"
      end)
      app:get("/policy", answer { on_full = "conflate" })
      app:get("/default", answer { queue = 256 })
    ]]
  end)
  after_each(function() server:close() end)

  local function warnings(path)
    server:get(path):close()
    local log, list = server:log(), {}
    for line in log:gmatch "[^\n]+" do
      if line:find(" warn ", 1, true) then list[#list + 1] = line end
    end
    return list
  end

  for _, path in ipairs { "/same", "/some", "/none", "/default" } do
    it("says nothing where they are the same, or left out: " .. path, function() assert.same({}, warnings(path)) end)
  end

  it("says which one, and where, once", function()
    local list = warnings "/history"
    assert.equal(1, #list)
    assert.matches(":9: sse.channel: 'news' has history = 10, and keeps it; 20 comes too late:", list[1])
    assert.same({}, warnings "/history")
    assert.same({}, warnings "/policy")
  end)

  it("names a policy", function()
    assert.matches("has on_full = drop_oldest, and keeps it; conflate comes too late", warnings("/policy")[1])
  end)

  it("says so for a reload that changes them", function()
    assert(server:reload "\nsse.channel('news', { history = 11 })")
    assert.matches("has history = 10, and keeps it; 11 comes too late", server:log())
  end)
end)
