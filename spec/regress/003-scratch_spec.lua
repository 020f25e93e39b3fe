-- SPDX-License-Identifier: MIT
-- Bytes on their way through a state's scratch buffer, while a finalizer or a metamethod encodes JSON there.
local helper = require "spec.helper"

describe("while finalizers publish JSON", function()
  it("the list of members is whole", function()
    local server = helper.serve [[
      local room = sse.channel "room"
      app:get("/", function()
        local broken = 0
        for round = 1, 50 do
          for i = 1, 200 do room:join(("%d-%d-%s"):format(round, i, ("x"):rep(100)), { n = i }) end -- never closed
          for _, member in ipairs(room:members()) do
            if not member.id:match "^%d+%-%d+%-x+$" or not member.meta.n then broken = broken + 1 end
          end
        end
        return tostring(broken)
      end)
    ]]
    assert.equal("0", (server:get("/"):body()))
    server:close()
  end)

  it("an event whose key is made a string meanwhile is its own", function()
    local server = helper.serve [[
      local other = sse.channel "other"
      local key = setmetatable({}, { __tostring = function()
        other:publish { json = { "of the other channel" } }
        return "key"
      end })
      local news = sse.channel("news", { history = 1, key = function() return key end })
      app:get("/", function()
        news:publish { json = "of the news" }
        return news:history()[1].data
      end)
    ]]
    assert.equal('"of the news"', (server:get("/"):body()))
    server:close()
  end)
end)
