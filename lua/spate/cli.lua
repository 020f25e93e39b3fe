-- SPDX-License-Identifier: MIT
-- The command line: takes arguments apart, reads the settings file, prints help. Runs in a state of its own before
-- the server starts. Returns nil and the application's path, or an exit code and a message.
local argparse = require "argparse"

local APP, USAGE, CONFIG = 1, 2, 3

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
  local f <close>, reason = io.open(path)
  return f ~= nil, reason
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
  if not ok then return nil, tostring(result) end
  if type(result) ~= "table" then return nil, ("%s: expected the file to return a table, got %s"):format(path, type(result)) end
  return result
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
local OTHERS = { ["--port"] = "-l HOST:PORT", ["-p"] = "-l HOST:PORT", ["--host"] = "-l HOST:PORT", ["--bind"] = "-l HOST:PORT" }

local function nearest_flag(unknown)
  if OTHERS[unknown] then return OTHERS[unknown] end
  if unknown:find("%.lua$") then return "serve " .. unknown end
  local best, least
  for _, flag in ipairs(FLAGS) do
    local d = distance(unknown, flag)
    if d < (least or #flag / 2) then best, least = flag, d end
  end
  return best
end

-- argparse names what it does not know; this adds what was probably meant.
local function with_hint(err)
  local unknown = err:match("unknown option '([^']+)'") or err:match("unknown command '([^']+)'")
  local best = unknown and nearest_flag(unknown)
  return best and ("%s; did you mean '%s'?"):format(err:match("^[^\n]*"), best) or err:match("^[^\n]*")
end

return function(arg, version, take_settings)
  local ok, arguments = build(version):pparse(arg)
  if not ok then return USAGE, with_hint(arguments) .. "\nsee spate --help" end
  local settings, err, path = settings_of(arguments)
  if not settings then return CONFIG, err end
  local file_listens, file_workers = settings.listen, settings.workers
  settings.listen = #arguments.listen > 0 and arguments.listen or file_listens or { "127.0.0.1:8080" }
  settings.workers = arguments.workers or file_workers
  local taken, problem = pcall(take_settings, settings, #arguments.listen == 0 and file_listens ~= nil)
  if not taken then
    if arguments.workers and tostring(problem):find("^workers") then return USAGE, (problem:gsub("^workers", "-w")) end
    return CONFIG, ("%s: %s"):format(path, problem)
  end
  local readable, reason = exists(arguments.app)
  if not readable then return APP, ("cannot open %s; name the script: spate serve FILE.lua"):format(reason) end
  return nil, arguments.app
end
