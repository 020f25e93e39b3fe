-- SPDX-License-Identifier: MIT
-- "q=" was taken for a quality of 0, so a client that had asked for JSON in a slip got text.
local helper = require "spec.helper"

it("a quality that is empty takes no type away", function()
  local server = helper.serve [[app:get("/", function() return "here" end)]]
  finally(function() server:close() end)
  local function type_of(accept) return server:get("/none", { headers = { Accept = accept } }):header "Content-Type" end
  assert.equal("application/json", type_of "application/json;q=")
  assert.equal("application/json", type_of "application/json;q=, text/plain;q=0.9")
  assert.equal("text/plain; charset=utf-8", type_of "text/plain;q=, application/json;q=0.9")
end)
