-- SPDX-License-Identifier: MIT
-- What a loop says of a descriptor that it watches.
local helper = require "spec.helper"

describe("a watch", function()
  local loop
  before_each(function() loop = helper.harness.loop() end)
  after_each(function() loop:close() end)

  it("tells what it was asked for, and nothing else", function()
    loop:write()
    loop:start ""
    assert.equal("", (loop:turn()))
    loop:set "r"
    assert.equal("r", (loop:turn()))
    loop:set "rw"
    assert.equal("rw", (loop:turn()))
    loop:set "w"
    assert.equal("w", (loop:turn()))
    loop:fill()
    assert.equal("", (loop:turn()))
    loop:set "r"
    assert.equal("r", (loop:turn()))
  end)

  it("that is stopped tells nothing, and can be started again", function()
    loop:stop()
    loop:start "w"
    assert.equal("w", (loop:turn()))
    loop:stop()
    loop:stop()
    assert.equal("", (loop:turn()))
    loop:start "w"
    assert.equal("w", (loop:turn()))
  end)

  it("can be stopped as it is told", function()
    loop:start "rw"
    loop:write()
    loop:stop(true)
    assert.same({ "rw", 1, "" }, { loop:turn() })
    assert.same({ "", 0, "" }, { loop:turn() })
  end)
end)
