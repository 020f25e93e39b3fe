-- SPDX-License-Identifier: MIT
-- A NUL in a label's value cut the line of the exposition short, and Prometheus refused all of it; one value that is longer than what is
-- kept lost all its characters beyond ASCII where the cut went through one.
local helper = require "spec.helper"

describe("a label's value of a client's", function()
  local server

  before_each(function()
    server = helper.serve [[
local seen = spate.metrics.counter("seen_total", { help = "Seen\0by name.", labels = { "name" } })
app:post("/", function(req) seen:inc { name = req:body() } return "" end)
app:get("/", function() return spate.metrics.text() end)]]
  end)
  after_each(function() server:close() end)

  local function expect(written, name)
    server:post("/", { body = name })
    assert.truthy(server:get("/"):body():find(('\nseen_total{name="%s"} 1\n'):format(written), 1, true))
  end

  it("has no NUL", function()
    expect("a?b", "a\0b")
    assert.truthy(server:get("/"):body():find("# HELP seen_total Seen?by name.\n", 1, true))
  end)

  it("is cut between characters", function()
    expect("\u{FC}" .. ("x"):rep(97), "\u{FC}" .. ("x"):rep(97) .. "\u{FC}")
    expect(("?"):rep(100), ("\x80"):rep(200))
  end)
end)
