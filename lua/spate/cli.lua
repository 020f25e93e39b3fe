-- SPDX-License-Identifier: MIT
-- The command line: takes arguments apart, prints help, and hands over to the command's module, spate.cli.NAME, in a
-- state of its own. Returns nil and the application's path where there is one to serve, or an exit code and a message.
local argparse = require "argparse"
local mistakes = require "spate.cli.mistakes"

local USAGE = 2
local ADDRESSES = "HOST:PORT, https://HOST:PORT, unix:PATH, fd:N or systemd:NAME; may be given several times."

local PROXIES = { "nginx", "apache", "caddy", "haproxy", "traefik", "cloudflare", "aws" }

-- Commands that another's module runs.
local RUN_BY = { dev = "serve", reload = "control", upgrade = "control", stop = "control", status = "control" }

-- Commands that take apart what follows them by themselves.
local RAW = { test = true }

local function add_app(command)
  command:argument("app", "The application's script."):default("app.lua")
end

local function add_config(command)
  command:option("-c --config", "Settings file (default: spate.conf.lua beside the script)."):argname("FILE")
end

local function add_json(command) command:flag("--json", "For machines.") end

local function add_server(command, otherwise)
  command:argument("server", "Which: its number (PID) or its script; otherwise " .. otherwise .. "."):args("?")
end

local function add_server_of_folder(command) add_server(command, "the one of this folder") end

local function add_serving(command)
  add_app(command)
  command:option("-l --listen", ADDRESSES):argname("ADDRESS"):count("*")
  command:option("--store", "Where channels are kept: sqlite:PATH, or redis://HOST[:PORT] and its like for several machines."):argname("STORE")
  command:option("--durable", "Whether publishing waits for the disk: commit or async."):argname("HOW")
  command:option("-w --workers", "Number of threads, or auto for one per core."):argname("N")
  command:option("--admin", "Where the inspector, /metrics, /healthz and /readyz are: HOST:PORT, unix:PATH or off."):argname("ADDRESS")
  add_config(command)
end

-- Each command by name: what it adds to the parser.
local TEMPLATES = { "ticks", "chat", "llm", "htmx", "agent", "mcp", "livetable", "jobs", "presence", "hub" }

local COMMANDS = {
  { "dev", "Serve an application while it is written: reloads, errors in the page.", function(command)
    add_serving(command)
    command:flag("--no-inject", "Leave HTML pages as they are.")
    command:flag("--tls", "Serve by TLS, with a certificate for localhost that it makes.")
  end },
  { "serve", "Serve an application.", add_serving },
  { "check", "Load an application and list every problem in it.", function(command)
    add_app(command)
    add_config(command)
    command:flag("--start", "Start it as well where there is none: its on_start functions run, then its on_stop functions.")
    add_json(command)
  end },
  { "routes", "List the routes of an application.", function(command)
    add_app(command)
    add_json(command)
  end },
  { "reload", "Have a server load its application anew; says whether it could.", add_server_of_folder },
  { "upgrade", "Have a new process of the program take over; open streams are let go over some seconds.", add_server_of_folder },
  { "stop", "Have a server end as by SIGTERM, and wait for it.", add_server_of_folder },
  { "status", "Print what a server serves.", function(command)
    add_server(command, "all of them")
    add_json(command)
  end },
  { "top", "Show what a server does: streams, channels, tasks, log, in the terminal. Its inspector's token is SPATE_ADMIN_TOKEN.", function(command)
    command:argument("server", "The URL of its inspector, its number (PID) or its script; otherwise the one of this folder."):args("?")
    command:option("--view", "First overview, streams, channels, tasks, upstreams or log (streams); the keys 1 to 6 go from one to another."):argname("NAME")
    command:option("--sort", "Streams by age, lag, queued, events or bytes (lag); channels by subscribers, events, bytes or name."):argname("KEY")
    command:option("--interval", "Seconds between two looks (1)."):argname("SECONDS")
    command:flag("--once", "Print it once, as where the output is no terminal.")
    add_json(command)
  end },
  { "test", "Run specs; takes the options of busted." },
  { "new", "Begin an application in a directory.", function(command)
    command:argument("directory", "Where; it is made unless it exists.")
    command:help_max_width(100)
    command:option("-t --template", "What it does: ticks (a stream), chat (rooms), llm (tokens of a model), htmx (news in a page), "
      .. "agent (a model with tools), mcp (tools for a model), livetable (a table of PostgreSQL), jobs (programs by click and clock), "
      .. "presence (who else is here), hub (Mercure)."):choices(TEMPLATES):default("ticks")
  end },
  { "tail", "Print the events of a stream, and come back to it as a browser does.", function(command)
    command:argument("url", "Where the stream is.")
    command:option("-H --header", "'Name: value' to send; may be given several times."):argname("HEADER"):count("*")
    command:option("-d --data", "A body to send, by POST."):argname("BODY")
    command:option("--since", "Begin after the event with this id."):argname("ID")
    add_json(command)
  end },
  { "doctor", "Say what stands between here and a stream, and which setting mends it.", function(command)
    command:argument("url", "Where the stream is: any, or better one of spate.doctor().")
    command:option("-H --header", "'Name: value' to send; may be given several times."):argname("HEADER"):count("*")
    command:option("--wait", "For how many seconds a stream is left silent (65); 0: for none."):argname("SECONDS")
    command:option("--proxy", "What stands before it, where that does not tell."):choices(PROXIES)
    add_json(command)
  end },
  { "store", "Look into the file of a store, or take it elsewhere, while no server has it.", function(command)
    command:argument("action", "What to do."):choices { "info", "tail", "export", "import", "vacuum" }
    command:argument("file", "The file.")
    command:argument("channel", "Of tail and export: this one only."):args("?")
    command:option("-n --count", "Of tail: how many events of each channel (10)."):argname("N")
    add_json(command)
  end },
  { "password", "Ask for a password, or read it from stdin, and print its hash.", function(command)
    command:option("--cost", "1 to 11: each step doubles the time that it takes to guess, and to check."):argname("N")
      :convert(function(text) return math.tointeger(tonumber(text)) or nil, "--cost: expected a number, got " .. text end)
  end },
  { "types", "Print definitions of the API for editors (LuaCATS).", function(command)
    command:flag("--luarc", "Write them to .spate/types.lua, and a .luarc.json that names it.")
  end },
  { "completion", "Print a script that completes commands and options.", function(command)
    command:argument("shell", "The shell."):choices { "bash", "zsh", "fish" }
  end },
  { "help", "Print what the manual has of a topic: a command, a setting, a function.", function(command)
    command:argument("topic", "The topic; otherwise which there are."):args("?")
    command:option("--page", "A page of the manual, as man(1) reads it."):choices { "spate.1", "spate.conf.5", "spate-lua.7" }
  end },
  { "version", "Print the version, the commit, and the libraries' versions.", add_json },
}

local function build(version)
  local parser = argparse("spate", "A server for Server-Sent Events whose endpoints are Lua scripts.")
  parser:flag("--version", "Print the version."):action(function()
    print("spate " .. version)
    os.exit(0)
  end)
  parser:command_target("command")
  for _, each in ipairs(COMMANDS) do
    local command = parser:command(each[1], each[2])
    if each[3] then each[3](command) end
  end
  return parser
end

local function run(name, arguments, native)
  return require("spate.cli." .. (RUN_BY[name] or name))(arguments, native)
end

local function is_folder(path)
  local f <close> = io.open(path .. "/.")
  return f ~= nil
end

return function(arg, native)
  if RAW[arg[1]] then return run(arg[1], table.move(arg, 2, #arg, 1, {}), native) end
  local parser = build(native.version)
  local ok, arguments = parser:pparse(arg)
  if not ok then return USAGE, mistakes(arguments, parser, arg, native) end
  arguments.parser = parser
  if arguments.app and is_folder(arguments.app) then arguments.app = arguments.app:gsub("/*$", "") .. "/app.lua" end
  return run(arguments.command, arguments, native)
end
