-- SPDX-License-Identifier: MIT
-- spate check: every problem that can be found in an application and its settings without serving it; with --start also
-- those that its on_start functions find.
local json = require "spate.json"
local problems_of = require "spate.problems"
local settings_file = require "spate.settings_file"

local OK, FAILED, CONFIG = 0, 1, 3

-- Has the application start as a server's would, which listens nowhere and stops then.
local function start(arguments, native)
  local settings = settings_file.of(arguments.config, arguments.app)
  settings.listen = nil
  native.take_settings(settings, { only_starts = true })
  return nil, arguments.app
end

-- How many are worse than a warning.
local function count(problems)
  local n = 0
  for _, each in ipairs(problems) do n = n + (each.warning and 0 or 1) end
  return n
end

return function(arguments, native)
  local found, err = problems_of.application(arguments.app, native)
  if not found then return FAILED, err end
  local of_settings = problems_of.settings(arguments.config, arguments.app, native)
  local all = json.array {}
  table.move(of_settings, 1, #of_settings, 1, all)
  table.move(found.problems, 1, #found.problems, #all + 1, all)
  if arguments.json then print(json.encode { problems = all, routes = #found.routes })
  elseif #all > 0 then problems_of.print(all, io.stdout)
  else
    local is_all = not arguments.start -- else the start says so at its end
    print(("%s: %d route%s%s"):format(arguments.app, #found.routes, #found.routes == 1 and "" or "s", is_all and ", no problems" or ""))
  end
  if count(all) == 0 and arguments.start then return start(arguments, native) end
  return count(of_settings) > 0 and CONFIG or #found.problems > 0 and FAILED or OK
end
