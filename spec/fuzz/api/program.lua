-- SPDX-License-Identifier: MIT
-- A program is what a run consists of: { seed, settings, apps = two lists of nodes, steps = a list of nodes }. It comes
-- from a seed, is shown as text, is kept as a file.
local application = require "spec.fuzz.api.application"
local code = require "spec.fuzz.api.code"
local new_dice = require "spec.fuzz.api.dice"
local schedule = require "spec.fuzz.api.schedule"

local program = {}

function program.of_seed(seed)
  local d = new_dice(seed)
  local settings, pace = schedule.settings(d)
  local apps = {}
  for i = 1, 2 do
    apps[i] = application(d)
    table.insert(apps[i], 2, { pace })
  end
  return { seed = seed, settings = settings, apps = apps, steps = schedule.steps(d) }
end

function program.load(path) return assert(loadfile(path))() end

function program.save(p, path)
  local f <close> = assert(io.open(path, "w"))
  f:write("return ", code.dump(p), "\n")
end

function program.text(p)
  return ("-- seed %s\n-- settings %s\n\n-- application 1\n%s\n-- application 2\n%s\n-- steps\n%s"):format(p.seed, code.dump(p.settings),
    code.render(p.apps[1]), code.render(p.apps[2]), code.render(p.steps))
end

return program
