-- SPDX-License-Identifier: MIT
-- Datastar's own SDK for JavaScript makes the same events of the cases of the suite as spate.datastar, which passes it.
local clients = require "spec.clients"
local helper = require "spec.helper"
local process = require "spec.process"

local it = clients.are_installed "spec/e2e_datastar_spec.lua" and it or pending

-- An event's lines in any order.
local function sorted(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines, "\n")
end

describe("Datastar's SDK", function()
  local directory
  before_each(function() directory = process.enter() end)
  after_each(function()
    clients.leave()
    process.leave()
  end)

  it("makes the events of the cases", function()
    local inputs, cases = {}, require "spec.vectors.datastar"
    for i, case in ipairs(cases) do inputs[i] = case.input end
    process.write_file(directory .. "/inputs", helper.json.encode(inputs))
    local seen = clients.start(directory, "datastar", { directory .. "/inputs" }):finish()
    assert.equal(#cases, #seen)
    for i, case in ipairs(cases) do assert.equal(sorted(case.output), sorted(seen[i].text), case.name) end
  end)
end)
