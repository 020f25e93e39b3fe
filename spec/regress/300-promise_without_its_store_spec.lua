-- SPDX-License-Identifier: MIT
-- Who awaited a promise of a name while the store of channels failed behind the subscription got an error, and its client a 500, where
-- one line earlier the same failure was `nil, "unavailable"`. Seed 202611270360 of the simulator.
local helper = require "spec.helper"

describe("a promise whose store fails", function()
  it("is nil and why for who awaits it", function()
    local server = helper.serve([[
      app:get("/await", function()
        local value, why = spate.promise("p"):await(9)
        return tostring(value) .. " " .. tostring(why)
      end)
      app:post("/fulfil", function(req) return tostring(spate.promise("p"):fulfil(req:body())) end)
    ]], { store = true })
    local store = server.core:store()
    local res = server:get "/await"
    store:carry_out()
    server:turn()
    store:refuse()
    server:turn()
    assert.equal(200, res:status())
    assert.equal("nil unavailable", (res:body()))
    local again = server:get "/await" -- the promise itself is as it was
    local brought = server:post("/fulfil", { body = "7" })
    repeat
      local done = store:carry_out()
      server:turn()
    until done == 0
    assert.equal("true", (brought:body()))
    assert.equal("7 nil", (again:body()))
    server:close()
  end)
end)
