-- SPDX-License-Identifier: MIT
-- app:channel refused two options of channels, which its types have: store and compress.
local helper = require "spec.helper"

describe("app:channel", function()
  it("takes each option of a channel", function()
    local server = helper.serve [[app:channel("/events/:name", { history = 5, store = false, compress = true })]]
    local res = server:get("/events/a", { headers = { ["Accept-Encoding"] = "gzip" } })
    assert.equal("gzip", res:header "Content-Encoding")
    server:close()
  end)
end)
