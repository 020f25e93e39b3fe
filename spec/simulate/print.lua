-- SPDX-License-Identifier: MIT
-- A program as Lua, and as a spec for spec/regress/.
local harness = require("spec.helper").harness

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

local function text(value, skip)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return math.type(value) == "float" and ("%.14g"):format(value) or tostring(value) end
  local parts = {}
  for _, each in ipairs(value) do parts[#parts + 1] = text(each, skip) end
  for _, key in ipairs(sorted_keys(value)) do
    if not skip[key] then parts[#parts + 1] = ("%s = %s"):format(key, text(value[key], skip)) end
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local CACHES = { cache = true }

local function lines(list, indent)
  local out = {}
  for i, each in ipairs(list) do out[i] = indent .. text(each, CACHES) .. ",\n" end
  return table.concat(out)
end

local print_plan = {}

function print_plan.program(plan)
  local parts = { ("{\n  seed = %d, workers = %d, mode = %q,\n"):format(plan.seed, plan.workers, plan.mode or "incremental") }
  for _, key in ipairs(sorted_keys(plan)) do
    local value = plan[key]
    if key == "steps" or key == "apps" then parts[#parts + 1] = ("  %s = {\n%s  },\n"):format(key, lines(value, "    "))
    elseif key ~= "seed" and key ~= "workers" and key ~= "mode" then parts[#parts + 1] = ("  %s = %s,\n"):format(key, text(value, CACHES)) end
  end
  return table.concat(parts) .. "}"
end

-- What a printed program is known by.
function print_plan.hash(plan) return harness.hash(print_plan.program(plan), 0) end

-- The spec that is to be committed once its first lines say what was wrong.
function print_plan.spec(plan, failure)
  return ([[-- SPDX-License-Identifier: MIT
-- Seed %d of the simulator: %s
local run = require "spec.simulate.checked"

describe("simulation", function()
  it("holds in the schedule of seed %d", function()
    run %s
  end)
end)
]]):format(plan.seed, failure:gsub("\n", "\n-- "), plan.seed, print_plan.program(plan))
end

return print_plan
