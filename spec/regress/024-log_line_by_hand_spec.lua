-- SPDX-License-Identifier: MIT
-- A log line is put together without printf, and its date once in a second: it reads as before.
local helper = require "spec.helper"

describe("a line of the log", function()
  local server
  before_each(function()
    server = helper.serve [[
app:get("/numbers", function()
  local list = { 0, 1, 42, -1, -42, 0.5, -0.25, 1e14, 999999999999999, 1e15, 1e16, 2^53, 1e300, 1/3, math.maxinteger, math.mininteger, 1/0, 0/0 }
  for _, n in ipairs(list) do spate.log.info("n", { n = n }) end
  return ""
end)
app:get("/levels", function()
  for _, level in ipairs { "debug", "info", "warn", "error" } do spate.log[level] "said" end
  return ""
end)]]
  end)
  after_each(function() server:close() end)

  it("has the numbers that were given", function()
    server:get "/numbers"
    local seen = {}
    for n in server:log():gmatch "n n=(%S+)" do seen[#seen + 1] = n end
    assert.same({ "0", "1", "42", "-1", "-42", "0.5", "-0.25", "100000000000000", "999999999999999", "1e+15", "1e+16",
      "9.00719925474099e+15", "1e+300", "0.333333333333333", "9.22337203685478e+18", "-9.22337203685478e+18", "null", "null" }, seen)
  end)

  it("has the time of its moment", function()
    local function time() server:get "/none" return (server:log():match "^(%S+) info  request ") end
    assert.equal("1970-01-01T00:00:00.000Z", time())
    for _, step in ipairs { { 0.25, "1970-01-01T00:00:00.250Z" }, { 0.25, "1970-01-01T00:00:00.500Z" }, { 0.5, "1970-01-01T00:00:01.000Z" },
      { 58.5, "1970-01-01T00:00:59.500Z" }, { 3600, "1970-01-01T01:00:59.500Z" }, { 86400 * 365, "1971-01-01T01:00:59.500Z" } } do
      server:advance(step[1])
      assert.equal(step[2], time())
    end
  end)

  it("has its level in five columns", function()
    server:get "/levels"
    local log = server:log()
    for _, level in ipairs { "info ", "warn ", "error" } do assert.truthy(log:find("Z " .. level .. " said\n", 1, true), log) end
  end)
end)
