-- SPDX-License-Identifier: MIT
-- What a worker has too little of while a step runs: memory, tasks, descriptors, or the peace between two collections.
-- `self` is the simulation.
local bounds = require "spec.simulate.bounds"
local calls = require "spec.simulate.calls"
local doubts = require "spec.simulate.doubts"
local states = require "spec.simulate.states"

local shortage = {}

local BEGIN = {}

-- Counted in what the program itself makes, from a state without garbage: then all releases of Lua come to the same.
function BEGIN.allocation(_, core, fault)
  core:run "collectgarbage()"
  core:fail_allocation(fault.after // 4, fault.count, "objects")
end

function BEGIN.task(_, core, fault)
  core:fail_task(fault.after // 134, fault.count)
end

function BEGIN.stress(_, core) core:stress(true) end

function BEGIN.descriptors(self, _, fault)
  calls.limit_descriptors(self, fault.after % 2)
  self.model.lacks_descriptors = true
end

function shortage.begin(self, core, fault) BEGIN[fault[1]](self, core, fault) end

function shortage.finish(self, core)
  core:fail_allocation(0, 0)
  core:fail_task(0, 0)
  core:stress(false)
  calls.limit_descriptors(self)
  self.model.lacks_descriptors = false
end

-- Whether a plan's servers may have too little memory or too few tasks.
function shortage.is_likely(plan)
  local limits = plan.settings.limits or {}
  if limits.lua_memory or limits.tasks then return true end
  for _, step in ipairs(plan.steps) do
    if step.fault then return true end
  end
end

local function doubt(self, worker)
  doubts.of_memory(self.model, self.list, worker)
  states.on_fault(self.model, worker)
end

-- Before states are replaced: what one of them is refused as it ends is not told of any more.
function shortage.replaces(self, step)
  local may_lack = self.plan.settings.limits.lua_memory or step.fault and step.fault[1] == "allocation"
  for worker = 1, may_lack and #self.cores or 0 do doubt(self, worker) end
end

-- After a moment: what was refused in it.
function shortage.look(self)
  for worker, core in ipairs(self.may_fall_short and self.cores or {}) do
    local allocations, tasks = core:fell_short()
    if allocations > 0 then doubt(self, worker) end
    if tasks > 0 then bounds.refuse_tasks(self.model, self.list) end
  end
end

return shortage
