-- SPDX-License-Identifier: MIT
-- Seed 202807010844 of the simulator: a resumable stream was forgotten at once, and begun again, where its worker had been late when the
-- producer ended. A sleep counts from when what was waited for before it was due; `ttl` counts from the end.
local helper = require "spec.helper"

local APP = [[
begun = 0
app:get("/job", function()
  return sse.reply(sse.resumable("job", function(send)
    begun = begun + 1
    for i = 1, 3 do send(i) sse.sleep(1) end
  end, { linger = 2, ttl = 5 }))
end)]]

it("a producer's end is kept for its time, however late the worker was", function()
  local server = helper.serve(APP)
  server:get "/job"
  server:advance(2.9)
  server.core:set_clock(20)
  server:turn()
  for _, begun in ipairs { "1", "1", "2" } do
    assert.same({ "1", "2", "3" }, (function()
      local res = server:get "/job"
      server:advance(2.9)
      return res:data()
    end)())
    assert.equal(begun, server.core:run "return tostring(begun)")
  end
  server:advance(20)
  server:close()
end)
