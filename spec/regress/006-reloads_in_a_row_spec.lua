-- SPDX-License-Identifier: MIT
-- Each reload tells the streams of the oldest code to end; those that are about to are not given more time.
local helper = require "spec.helper"

it("reloads in a row do not put off the end of old streams", function()
  local APP = [[app:get("/", function() return sse.reply(sse.never()) end)]]
  local server = helper.serve(APP, { settings = { reload = { generations = 1 }, shutdown = { window = 5 } } })
  local streams = {}
  for i = 1, 50 do streams[i] = server:get "/" end
  for _ = 1, 60 do -- the second one tells them
    server:reload(APP)
    server:advance(0.1)
  end
  for _, stream in ipairs(streams) do assert.is_true(stream:has_ended()) end
  server:close()
end)
