-- SPDX-License-Identifier: MIT
-- Values of dictionaries as texts, which is how Redis has them.
local helper = require "spec.helper"

local reread = helper.harness.reread_value

describe("a value of a dictionary as a text", function()
  it("is read as it was written, of each type", function()
    for _, text in ipairs { "", "s", "sabc", "s\0\255", "sf1", "0", "1", "-1", "9223372036854775807", "-9223372036854775808", "f0.5", "f-2", "f0", "f-0",
      "f1.0000000000000001e+300", "finf", "f-inf", "f0.10000000000000001", "b0", "b1" } do
      assert.equal(text, reread(text), text)
    end
  end)

  it("is a number of Lua's type, with all its digits", function()
    assert.equal("f0.10000000000000001", reread "f0.1")
    assert.equal("f3", reread "f3.0")
    assert.equal("3", reread "+3")
    assert.equal("f1.1111111111111112e+28", reread("f" .. ("1"):rep(29)))
  end)

  it("is read of so many bytes as a number may have, and no more", function()
    for _, first in ipairs { "f", "" } do
      assert.is_string(reread(first .. ("0"):rep(30) .. "1"))
      assert.is_nil(reread(first .. ("0"):rep(31) .. "1"))
    end
  end)

  it("is none where nothing of ours has written it", function()
    for _, text in ipairs { "x", "b", "b2", "b01", "f", "fnan", "f1x", "f1 ", "1x", "1.5", "0x10", "9223372036854775808", "-9223372036854775809", ("1"):rep(40), "f" .. ("1"):rep(40),
      "1\0", "f1\0" } do
      assert.is_nil(reread(text), text)
    end
  end)
end)
