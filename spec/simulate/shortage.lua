-- SPDX-License-Identifier: MIT
-- What a worker has too little of while a step runs: memory, tasks, descriptors, or the peace between two collections.
-- `self` is the simulation.
local bounds = require "spec.simulate.bounds"
local calls = require "spec.simulate.calls"

local shortage = {}

local BEGIN = {}

-- Counted in what the program itself makes, from a state without garbage: then all releases of Lua come to the same.
function BEGIN.allocation(self, core, fault)
  core:run "collectgarbage()"
  core:fail_allocation(fault.after // 4, fault.count, "objects")
  self.is_faulty = true
  self.model:on_fault(self.list)
end

function BEGIN.task(self, core, fault)
  core:fail_task(fault.after // 134, fault.count)
  self.refuses_tasks, self.model.refuses_tasks = true, true
  bounds.refuse_tasks(self.model, self.list)
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
  self.is_faulty, self.refuses_tasks, self.model.refuses_tasks, self.model.lacks_descriptors = false, false, false, false
end

return shortage
