-- SPDX-License-Identifier: MIT
-- What can be no channel's name was answered by the inspector's tail and its form with 500, as a fault of the server.
local helper = require "spec.helper"

describe("the inspector, asked for what can be no channel", function()
  local server

  before_each(function()
    server = helper.serve [[app:mount("/-", spate.admin { authorize = function() return true end })]]
    server.host = "127.0.0.1"
  end)
  after_each(function() server:close() end)

  it("says that there is none", function()
    local headers = { ["Content-Type"] = "application/json" }
    for _, name in ipairs { "", "a\0b", "a\nb", ("x"):rep(256) } do
      local written = name:gsub("[^%w]", function(byte) return ("%%%02x"):format(byte:byte()) end)
      assert.equal(404, server:get("/-/api/tail?name=" .. written):status())
      assert.equal(404, server:post("/-/api/publish", { json = { channel = name, data = "x" }, headers = headers }):status())
    end
    assert.equal(404, server:get("/-/api/tail"):status())
    assert.is_nil(server:log():find "error")
  end)
end)
