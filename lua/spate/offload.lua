-- SPDX-License-Identifier: MIT
-- Functions that block, in a Lua state of their own on another thread.
local check = require "spate.check"
local core = require "spate.core"
local report = require "spate.report"

local offload = {}

local function finish(outcome, ...)
  if outcome then return ... end
  if outcome == nil then return nil, ... end
  local err, trace = ...
  if not trace then core.raise("spate.offload: " .. err) end
  core.log.error(report.logged(trace))
  error(err, 0)
end

-- Calls the function of that name in the module, with copies of the arguments, and returns copies of its results; waits.
-- nil, a message and "busy" where too many calls wait already. What it raises is raised here.
function offload.offload(module, name, ...)
  check.text(module, "spate.offload: module")
  check.text(name, "spate.offload: function")
  return finish(core.offload(module, name, ...))
end

core.public(offload, "offload")

return offload
