-- SPDX-License-Identifier: MIT
-- spate check: every problem that can be found in an application and its settings without serving it.
local json = require "spate.json"
local problems_of = require "spate.problems"

local OK, FAILED, CONFIG = 0, 1, 3

return function(arguments, native)
  local found, err = problems_of.application(arguments.app, native)
  if not found then return FAILED, err end
  local of_settings = problems_of.settings(arguments.config, arguments.app, native)
  local all = json.array {}
  table.move(of_settings, 1, #of_settings, 1, all)
  table.move(found.problems, 1, #found.problems, #all + 1, all)
  if arguments.json then print(json.encode { problems = all, routes = #found.routes })
  elseif #all > 0 then problems_of.print(all, io.stdout)
  else print(("%s: %d route%s, no problems"):format(arguments.app, #found.routes, #found.routes == 1 and "" or "s")) end
  return #of_settings > 0 and CONFIG or #found.problems > 0 and FAILED or OK
end
