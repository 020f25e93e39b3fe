-- SPDX-License-Identifier: MIT
-- The command line: takes arguments apart, reads the settings file, prints help. Runs in a state of its own before
-- the server starts. Returns an exit code, or nil and the application's path.
local argparse = require "argparse"

local USAGE, CONFIG = 2, 3

local function build(version)
  local parser = argparse("spate", "A server for Server-Sent Events whose endpoints are Lua scripts.")
  parser:flag("--version", "Print the version."):action(function()
    print("spate " .. version)
    os.exit(0)
  end)
  parser:command_target("command")
  local serve = parser:command("serve", "Serve an application.")
  serve:argument("app", "The application's script."):default("app.lua")
  serve:option("-l --listen", "HOST:PORT, unix:PATH or fd:N; may be given several times."):argname("ADDRESS"):count("*")
  serve:option("-w --workers", "Number of threads, or auto for one per core."):argname("N")
  serve:option("-c --config", "Settings file (default: spate.conf.lua where there is one)."):argname("FILE")
  return parser
end

local function exists(path)
  local f <close> = io.open(path)
  return f ~= nil
end

local SAFE = { "assert", "error", "ipairs", "math", "next", "pairs", "select", "string", "table", "tonumber", "tostring", "type", "utf8" }

local function safe_environment()
  local env = {}
  for _, name in ipairs(SAFE) do env[name] = _G[name] end
  return env
end

-- The table that a settings file returns.
local function read_file(path)
  local chunk, err = loadfile(path, "t", safe_environment())
  if not chunk then return nil, err end
  local ok, result = pcall(chunk)
  if not ok then return nil, result end
  if type(result) ~= "table" then return nil, ("%s: expected the file to return a table, got %s"):format(path, type(result)) end
  return result
end

local function fail(code, message)
  io.stderr:write("spate: ", message, "\n")
  return code
end

local function settings_of(arguments)
  local path = arguments.config or exists("spate.conf.lua") and "spate.conf.lua"
  if not path then return {}, nil, "settings" end
  local settings, err = read_file(path)
  return settings, err, path
end

local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local substitute = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal, row[j] = row[j], math.min(substitute, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

local FLAGS = { "--listen", "--workers", "--config", "--help", "--version", "serve" }

-- argparse names what it does not know; this adds what was probably meant.
local function with_hint(err)
  local unknown = err:match("unknown option '([^']+)'") or err:match("unknown command '([^']+)'")
  local best, least
  for _, flag in ipairs(unknown and FLAGS or {}) do
    local d = distance(unknown, flag)
    if d < (least or #flag / 2) then best, least = flag, d end
  end
  return best and ("%s; did you mean '%s'?"):format(err:match("^[^\n]*"), best) or err:match("^[^\n]*")
end

return function(arg, version, take_settings)
  local ok, arguments = build(version):pparse(arg)
  if not ok then return fail(USAGE, with_hint(arguments) .. "\nsee spate --help") end
  local settings, err, path = settings_of(arguments)
  if not settings then return fail(CONFIG, err) end
  local file_listens, file_workers = settings.listen, settings.workers
  settings.listen = #arguments.listen > 0 and arguments.listen or file_listens or { "127.0.0.1:8080" }
  settings.workers = arguments.workers or file_workers
  local taken, problem = pcall(take_settings, settings)
  if not taken then
    if arguments.workers and tostring(problem):find("^workers") then return fail(USAGE, "-w " .. problem) end
    return fail(CONFIG, ("%s: %s"):format(path, problem))
  end
  if not exists(arguments.app) then
    return fail(1, ("cannot open %s: no such file; name the script: spate serve FILE.lua"):format(arguments.app))
  end
  return nil, arguments.app
end
