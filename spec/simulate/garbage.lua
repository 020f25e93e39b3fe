-- SPDX-License-Identifier: MIT
-- When servers collect garbage, and so which channel that nobody holds is still there: by numbers of a step's `order`, counted in objects
-- that programs make, and not at the pace of Lua, which goes by bytes that its releases have different numbers of. A step begins
-- a collection in the midst of whatever makes such an object, perhaps in a later step. `self` is the simulation.
local new_rng = require "spec.simulate.rng"

local garbage = {}

local GARBAGE = 0x67617262

-- How many steps in a hundred, for each worker.
local OFTEN = { incremental = 5, generational = 25, eager = 25 }

-- A plan's `mode`: where servers are told, and a generational collection is of what is young unless the heap grows to eleven times its
-- size; and where they collect by themselves.
local TOLD = { incremental = "", generational = 'collectgarbage("generational", 100, 1000)', eager = "" }
local OWN = { incremental = "", generational = 'collectgarbage("generational")', eager = 'collectgarbage("incremental", 110, 400)' }

-- Whether a plan's servers are told when: not where bytes are to be short, which is Lua's to see.
function garbage.is_told(plan) return not plan.settings.limits.lua_memory end

function garbage.set_mode(plan, core) core:run((garbage.is_told(plan) and TOLD or OWN)[plan.mode or "incremental"]) end

-- What a step begins. Its finalizers run at once, or come that much later than what nobody holds is found.
local function begin(core, r)
  local found = r:int(0, r:pick { 3, 30, 300, 3000 })
  core:collect_after(found + r:pick { 1, 1, 2, 20, 200 }, found)
end

function garbage.draw(self, step)
  if not garbage.is_told(self.plan) then return end
  local r = new_rng((step.order or 1) ~ GARBAGE)
  for _, core in ipairs(self.cores) do
    if r:chance(OFTEN[self.plan.mode or "incremental"]) then begin(core, r) end
  end
end

return garbage
