-- SPDX-License-Identifier: MIT
-- The table of a followed file's line was made before its text was copied: making it may collect, and a finalizer close the file, whose
-- bytes were then read after they had been freed (the address sanitizer tells).
local helper = require "spec.helper"

local APP = [[
local fs = require "spate.fs"
app:get("/", function()
  local lines = assert(fs.tail(%q, { from = 0 }))
  assert(lines:next())
  collectgarbage "stop"
  local guard = setmetatable({}, { __gc = function() lines:close() end })
  collectgarbage("incremental", 1, 1000, 31) -- all of it, whenever anything is made
  collectgarbage "restart"
  guard = nil
  local line = lines:next()
  collectgarbage("incremental", 160, 200, 13)
  return line and line.text or "closed"
end)
]]

it("a line that is being made when its file is closed is whole", function()
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "w"))
  local text = ("two"):rep(1000)
  f:write("one\n", text, "\n")
  f:close()
  local server = helper.serve(APP:format(path))
  local res = server:get "/"
  server:wait(function() return res:has_ended() end)
  local body = res:body()
  assert(body == text or body == "closed", body)
  assert.equal(0, server:stats().files)
  server:close()
  os.remove(path)
end)
