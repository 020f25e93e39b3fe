-- SPDX-License-Identifier: MIT
-- spate.escape took whatever it got: a page had "nil" or "table: 0x..." where a field was missing, and nobody was told.
local helper = require "spec.helper"

local function answer(argument)
  local server = helper.serve(('app:get("/", function()\nreturn spate.escape(%s)\nend)'):format(argument))
  local res = server:get "/"
  local status, body, log = res:status(), (res:body()), server:log()
  server:close()
  return status, body, log
end

describe("spate.escape", function()
  for argument, expected in pairs { ['"a < b"'] = "a &lt; b", ["3"] = "3", ["2.5"] = "2.5", ["math.mininteger"] = "-9223372036854775808" } do
    it("takes " .. argument, function()
      local status, body = answer(argument)
      assert.same({ 200, expected }, { status, body })
    end)
  end

  for argument, kind in pairs { ["nil"] = "nil", [""] = "nil", ["{}"] = "table", ["true"] = "boolean", ["json.null"] = "userdata" } do
    it("refuses " .. (argument == "" and "no argument" or argument) .. " at its line", function()
      local status, _, log = answer(argument)
      assert.equal(500, status)
      assert.matches(":4: spate%.escape: expected a string or a number, got " .. kind, log)
    end)
  end
end)
