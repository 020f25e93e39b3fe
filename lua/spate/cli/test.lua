-- SPDX-License-Identifier: MIT
-- spate test [busted options]: runs specs by Debian's busted, with spate.test and what it stands on at hand.
--   --watch            runs again what a save touches
--   --coverage[=FILE]  writes LCOV of the application's code (lcov.info)
-- Returns 0 where all passed, 1 where something failed, 2 on bad usage.
local OK, FAILED, USAGE = 0, 1, 2

-- Our own options, and what is left for busted. --loaded=FILE is --watch's: which files each spec has loaded.
local function take_options(arguments)
  local own, rest = {}, {}
  for _, argument in ipairs(arguments) do
    local name, value = argument:match("^%-%-(%l+)=?(.*)$")
    if name == "watch" and value == "" then own.watch = true
    elseif name == "coverage" then own.coverage = value ~= "" and value or "lcov.info"
    elseif name == "loaded" then own.loaded = value
    else rest[#rest + 1] = argument end
  end
  return own, rest
end

-- What busted says where it finds no specs does not say what it looked for.
local function explain_no_specs()
  local has_language = pcall(require, "busted.languages.en")
  local has_say, say = pcall(require, "say")
  if not (has_language and has_say) then return end
  say:set("output.no_test_files_match", "there are no specs: files such as spec/app_spec.lua, with '%s' in their names; `spate new` begins one")
end

local Exit = {} -- raised in place of ending the process

-- busted, but that it returns where it would end the process, and calls itself what the user called.
local function prepare_busted(state)
  local compatibility = require "busted.compatibility"
  compatibility.exit = function(code)
    state.code = code
    error(Exit, 0)
  end
  local new_cli = require "busted.modules.cli"
  package.loaded["busted.modules.cli"] = function(options)
    local cli = new_cli(options)
    local parse, set_name = cli.parse, cli.set_name
    function cli:set_name() return set_name(self, "spate test") end
    function cli:parse(list)
      local parsed, err = parse(self, list)
      state.usage = not parsed
      state.parsed = parsed
      return parsed, err
    end
    return cli
  end
end

-- Notes in `path` which spec loads which file, a line each.
local function note_loaded(session, path)
  local out = assert(io.open(path, "w"))
  local busted = require "busted"
  local spec, before
  session.loaded = function(file) out:write(spec or "", "\t", file, "\n") end
  busted.subscribe({ "file", "start" }, function(element)
    spec, before = element.name, {}
    for name in pairs(package.loaded) do before[name] = true end
    session.loaded(spec)
    return nil, true
  end)
  busted.subscribe({ "file", "end" }, function()
    for name in pairs(package.loaded) do
      local file = not before[name] and package.searchpath(name, package.path)
      if file then session.loaded(file) end
    end
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    out:close()
    return nil, true
  end)
end

local function run(rest, own)
  local has_busted, runner = pcall(require, "busted.core")
  if not has_busted then
    io.stderr:write("spate: spate test needs busted: apt install lua-busted\n")
    return FAILED, runner
  end
  local state = {}
  prepare_busted(state)
  explain_no_specs()
  local session
  if own.coverage or own.loaded then
    package.loaded["busted.execute"] = nil
    local execute = require "busted.execute"
    package.loaded["busted.execute"] = function(busted) -- busted's events can be listened to from here on
      session = require "spate.test.session"
      session.hits = own.coverage and {} or nil
      if own.loaded then note_loaded(session, own.loaded) end
      return execute(busted)
    end
  end
  _G.arg = table.move(rest, 1, #rest, 1, { [0] = "spate test" })
  local ok, err = xpcall(function() require "busted.runner" { standalone = false } end, function(problem)
    return problem == Exit and Exit or debug.traceback(tostring(problem), 2)
  end)
  if not ok and err ~= Exit then
    io.stderr:write("spate: ", err, "\n")
    return FAILED
  end
  if session and own.coverage then require "spate.test.coverage"(session.hits, own.coverage) end
  if state.usage then return USAGE end
  return state.code and state.code ~= 0 and FAILED or OK
end

local HELP = require "spate.cli.test_help"

-- Behind `--` all are files.
local function wants_help(arguments)
  for _, argument in ipairs(arguments) do
    if argument == "--" then return false end
    if argument == "--help" or argument == "-h" then return true end
  end
  return false
end

return function(arguments)
  if wants_help(arguments) then
    io.write(HELP)
    return OK
  end
  local own, rest = take_options(arguments)
  if own.watch then
    if own.loaded then return USAGE end
    return require "spate.test.watch"(rest, own)
  end
  return (run(rest, own))
end
