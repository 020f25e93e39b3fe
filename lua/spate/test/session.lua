-- SPDX-License-Identifier: MIT
-- What lasts for one run of specs, however often busted loads spate.test anew: the applications, and what is checked
-- when an `it` has ended. busted resets package.loaded and _G after each file, so this is kept in the registry.
local harness = require "spate.harness"

local registry = debug.getregistry()
if registry["spate.test"] then return registry["spate.test"] end

local session = {
  apps = {},       -- open ones, oldest first
  settings = nil,  -- for the next t.load, likewise workers and wall
  strict = nil,    -- true: open streams are an error; false: nothing is
  in_test = false, -- between the first before_each and the last after_each
  test = nil,      -- the `it` that runs or ran last, and how it ended
  warnings = {},
  stubs = harness.stubs(), -- what stands for other servers, all applications'
  hits = nil,      -- with --coverage: { [path] = { [line] = times } }
  loaded = nil,    -- with --loaded: function(path) for each file that an application has loaded
}
registry["spate.test"] = session

local busted -- what it lets others have, where it runs

local function name_of(element)
  local names = {}
  while element and element.descriptor ~= "file" do
    table.insert(names, 1, element.name)
    element = busted.parent(element)
  end
  return table.concat(names, " ")
end

local function plural(n, what) return ("%d %s%s"):format(n, what, n == 1 and "" or "s") end

local ADVICE = "\n  let the time pass that they need (t.advance), end them in the application, or t.strict(false)"

-- What an application leaves, as one sentence; nil where that is nothing. Ends the clients that are still there.
function session.leftovers(app)
  local names, tasks = app:end_clients()
  if session.strict == false then return nil end
  local open = #names > 0 and "left open: " .. table.concat(names, ", ") or nil
  if tasks > 0 then
    return ("%s %s on after all clients have left%s%s"):format(plural(tasks, "task"), tasks == 1 and "runs" or "run",
      open and "; " .. open or "", ADVICE), true
  end
  return open, session.strict
end

-- Tells of what was left; raises (at `level`) what is an error.
function session.tell(left, is_error, level)
  if not left then return end
  local test = session.test and session.test.name
  if is_error then error((test and test .. ": " or "") .. left, level) end
  session.warnings[#session.warnings + 1] = (test and test .. ": " or "") .. left
end

local function close_apps(is_due)
  for i = #session.apps, 1, -1 do
    local app = session.apps[i]
    if is_due(app) then app:shut() end
  end
end

local function show_log(test)
  for _, app in ipairs(session.apps) do
    local log = app:log()
    if log ~= "" and test and test.status ~= "success" then
      io.stderr:write(("\nlog of %s (%s):\n%s"):format(app.path, test.name, log))
    end
  end
end

local stubs_of_file, redis_of_file = 0, 0 -- those that outlast an `it`

-- Drops the stubs of the `it`, all but so many; the requests that none was for, as one sentence.
local function end_stubs(count)
  local list = {}
  for line in session.stubs:keep(count):gmatch "[^\n]+" do list[#list + 1] = line end
  return #list > 0 and "asked without a stub (t.http.stub): " .. table.concat(list, ", ") or nil
end

-- The same of PostgreSQL's.
local function end_postgres(count) return session.postgres and session.postgres.keep(count) end

local postgres_of_file = 0

-- The same of Redis's.
local function end_redis(count) return session.redis and session.redis.keep(count) end

local function before_test()
  session.in_test, session.test = true, nil
  postgres_of_file = session.postgres and #session.postgres.stubs or 0
  stubs_of_file, redis_of_file = session.stubs:count(), session.redis and #session.redis.stubs or 0
  for _, app in ipairs(session.apps) do app:mark() end
end

local function after_test()
  local problems = {}
  for _, app in ipairs(session.apps) do
    local left, is_error = session.leftovers(app)
    if is_error then problems[#problems + 1] = left
    else session.tell(left) end
  end
  problems[#problems + 1] = end_stubs(stubs_of_file)
  problems[#problems + 1] = end_postgres(postgres_of_file)
  problems[#problems + 1] = end_redis(redis_of_file)
  show_log(session.test)
  close_apps(function(app) return app.in_test end)
  session.in_test = false
  if #problems > 0 then session.tell(table.concat(problems, "\n"), true, 0) end
end

local function after_file()
  close_apps(function() return true end)
  end_stubs(0)
  end_postgres(0)
  end_redis(0)
  if #session.warnings > 0 then io.stderr:write("\nspate.test: ", table.concat(session.warnings, "\nspate.test: "), "\n") end
  session.warnings, session.settings, session.workers, session.wall, session.strict = {}, nil, nil, nil, nil
end

local function hook_file()
  busted.before_each(before_test)
  busted.after_each(after_test)
end

-- Calls fn at an event of busted's; others that listen hear of it as well.
local function listen(channel, fn)
  busted.subscribe(channel, function(...)
    fn(...)
    return nil, true
  end)
end

-- In a file, the checks come before and after all that it has of its own.
local function hook_busted()
  local found, module = pcall(require, "busted")
  if not found or type(module) ~= "table" or not module.subscribe then return end
  busted = module
  hook_file()
  listen({ "file", "start" }, hook_file)
  listen({ "file", "end" }, after_file)
  listen({ "test", "start" }, function(element) session.test = { name = name_of(element), status = "success" } end)
  listen({ "test", "end" }, function(_, _, status)
    if session.test then session.test.status = status end
  end)
end

hook_busted()

return session
