-- SPDX-License-Identifier: MIT
-- A finalizer that closed, or read, a subscription while an event of it was made into a table.
local helper = require "spec.helper"

describe("a subscription in the hands of finalizers", function()
  local function serve(finalizer)
    return helper.serve(([[
      local ch = sse.channel("a", { queue = 100000 })
      app:get("/", function()
        local before = collectgarbage("incremental", 10, 1000)
        local got, last, order = 0, 0, true
        for round = 1, 30 do
          local sub = ch:subscribe()
          for i = 1, 20 do ch:publish { event = "e" .. i, data = ("x"):rep(200) .. "\n" .. i } end
          sse.sleep(0)
          local next = sub:each()
          for i = 1, 19 do
            if i == round %% 19 + 1 then -- so that the collector comes at any point of reading one
              for i = 1, 12 do setmetatable({}, { __gc = function() %s end }) end
            end
            local event = sub:next()
            if not event then break end
            local n = tonumber(event.data:match "%%d+$")
            order = order and n > last
            last, got = n, got + 1
          end
          last = 0
          sub:close()
        end
        return tostring(order) .. " " .. tostring(got > 0)
      end)]]):format(finalizer))
  end

  it("is closed", function()
    local server = serve "sub:close()"
    local res = server:get "/"
    server:advance(1)
    assert.equal("true true", (res:body()))
    server:close()
  end)

  it("is read", function()
    local server = serve "if i == 12 then sub:next() end"
    local res = server:get "/"
    server:advance(1)
    assert.equal("true true", (res:body()))
    server:close()
  end)
end)
