-- SPDX-License-Identifier: MIT
-- What is said of a command line that argparse refuses: its message, how the command is used, and what was probably meant.
local OPTIONS = { ["--port"] = "-l HOST:PORT", ["-p"] = "-l HOST:PORT", ["--host"] = "-l HOST:PORT", ["--bind"] = "-l HOST:PORT" }
local COMMANDS = { init = "new", create = "new", start = "serve", run = "serve", watch = "dev", restart = "reload", kill = "stop", quit = "stop",
  ps = "status", list = "status", logs = "top", curl = "tail", get = "tail", lint = "check" }

local function names_of(parser)
  local names = {}
  for i, command in ipairs(parser._commands) do names[i] = command._name end
  return names
end

local function find(parser, name)
  for _, command in ipairs(parser._commands) do
    if command._name == name then return command end
  end
end

-- The flags of a command, or those of all.
local function flags_of(command)
  local names = { "--help", "--version" }
  for _, option in ipairs(command and command._options or {}) do table.move(option._aliases, 1, #option._aliases, #names + 1, names) end
  return names
end

-- The arguments of a command as its usage has them: "<file> [<channel>]".
local function arguments_of(command)
  local shown = {}
  for i, argument in ipairs(command._arguments) do shown[i] = ((argument._minargs == 0 or argument._default) and "[<%s>]" or "<%s>"):format(argument._name) end
  return shown[1] and table.concat(shown, " ") or "none"
end

-- The words that belong to no option, as far as can be seen.
local function words_of(arg)
  local words = {}
  for i = 2, #arg do
    if arg[i]:sub(1, 1) ~= "-" and arg[i - 1]:sub(1, 1) ~= "-" then words[#words + 1] = arg[i] end
  end
  return words
end

local function choices_of(command, flag)
  local is_one = {}
  for _, option in ipairs(command._options) do
    if option._aliases[#option._aliases] == flag then
      for _, choice in ipairs(option._choices) do is_one[choice] = true end
    end
  end
  return is_one
end

-- Of commands, what an argument too many was to be: its option, or nothing.
local MEANT = {}

function MEANT.new(command, words)
  local is_template = choices_of(command, "--template")
  for i = 2, 1, -1 do -- the second, where both are
    if #words == 2 and is_template[words[i]] then return ("a template is an option: spate new -t %s %s"):format(words[i], words[3 - i]) end
  end
end

function MEANT.serve(_, words)
  for _, word in ipairs(words) do
    if word:find "^%d+$" or word:find ":%d+$" or word:find "^unix:" then return "an address is an option: -l HOST:PORT" end
  end
end

MEANT.dev = MEANT.serve

function MEANT.doctor(command, words)
  local is_proxy = choices_of(command, "--proxy")
  for _, word in ipairs(words) do
    if is_proxy[word] then return "a proxy is an option: --proxy " .. word end
  end
end

function MEANT.password() return "it asks for the password, or reads it from stdin" end

local function with_usage(line, command, arg)
  local meant = line:find "^too many" and MEANT[command._name] and MEANT[command._name](command, words_of(arg))
  return ("%s: spate %s takes %s%s"):format(line, command._name, arguments_of(command), meant and "; " .. meant or "")
end

-- What else the unknown word may have been.
local function nearest(line, parser, arg, native)
  local option, command = line:match "unknown option '([^']+)'", line:match "unknown command '([^']+)'"
  if option == arg[1] then -- options follow their command
    for _, flag in ipairs(flags_of(find(parser, "serve"))) do
      if flag == option then return "serve " .. option end
    end
  end
  if option then return OPTIONS[option] or native.nearest(option, flags_of(find(parser, arg[1]))) end
  if command then return command:find "%.lua$" and "serve " .. command or COMMANDS[command] or native.nearest(command, names_of(parser)) end
end

return function(err, parser, arg, native)
  local line, command = err:match "^[^\n]*", find(parser, arg[1])
  if command and (line == "too many arguments" or line:find "^missing argument '") then line = with_usage(line, command, arg) end
  local best = nearest(line, parser, arg, native)
  return ("%s\nsee spate %s--help"):format(best and ("%s; did you mean '%s'?"):format(line, best) or line, command and command._name .. " " or "")
end
