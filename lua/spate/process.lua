-- SPDX-License-Identifier: MIT
-- require "spate.process": programs beside the server, each in a process group of its own, without a shell.
local at_end = require "spate.at_end"
local check = require "spate.check"
local core = require "spate.core"
local sse = require "spate.sse"

local process = {}

local LINE_MAX = 64 * 1024 -- bytes of a line, unless another length is given; of a window as well
local RUN_MAX, RUN_SECONDS = 1024 * 1024, 30

local SPAWN_OPTIONS = { "stdin", "cwd", "env", "stderr" }
local RUN_OPTIONS = { "stdin", "cwd", "env", "stderr", "timeout", "max" }
local ERRORS = { log = 0, merge = 1, separate = 2 }

local Process = { __name = "process" }
Process.__index = Process

local function check_self(self, name)
  if getmetatable(self) ~= Process then core.raise(("p:%s: write it with a colon"):format(name)) end
end

local function has_nul(text) return text:find("\0", 1, true) end

-- Program and arguments as a list of strings.
local function check_argv(argv, what)
  if type(argv) ~= "table" or #argv == 0 then
    core.raise(('%s: expected a list such as { "ls", "-l" }, got %s'):format(what, type(argv) == "table" and "an empty one" or type(argv)))
  end
  local list = {}
  for i, one in ipairs(argv) do
    if type(one) ~= "string" and type(one) ~= "number" then core.raise(("%s: argument %d: expected a string, got %s"):format(what, i, type(one))) end
    list[i] = tostring(one)
    if has_nul(list[i]) then core.raise(("%s: argument %d has a NUL in it, which no program can be given"):format(what, i)) end
  end
  for key in pairs(argv) do
    if math.type(key) ~= "integer" or not list[key] then
      core.raise(("%s: unexpected '%s' among the arguments; options are a second table"):format(what, tostring(key)))
    end
  end
  if list[1] == "" then core.raise(what .. ": the program's name is empty") end
  return list
end

-- The variables that are added to the server's as "NAME=VALUE", and the set of those that no program gets from it: what these
-- replace, and the inspector's token, with which it could end any stream.
local function check_env(env, what)
  local added, replaced = {}, { SPATE_ADMIN_TOKEN = true }
  if env ~= nil and type(env) ~= "table" then core.raise(("%s: env: expected a table, got %s"):format(what, type(env))) end
  for name, value in pairs(env or {}) do
    if type(name) ~= "string" or name == "" or name:find("[=%z]") then
      core.raise(("%s: env: expected names of variables, got %s"):format(what, tostring(name)))
    end
    if value ~= false and type(value) ~= "string" and type(value) ~= "number" then
      core.raise(("%s: env.%s: expected a string, or false to leave it out, got %s"):format(what, name, type(value)))
    end
    replaced[name] = true
    if value then added[#added + 1] = name .. "=" .. value end
    if value and has_nul(tostring(value)) then core.raise(("%s: env.%s has a NUL in it"):format(what, name)) end
  end
  return added, replaced
end

-- As the server has it, or beside the script.
local function check_cwd(cwd, what)
  if cwd == nil then return nil end
  if type(cwd) ~= "string" or cwd == "" or has_nul(cwd) then core.raise(("%s: cwd: expected a directory, got %s"):format(what, type(cwd))) end
  return cwd:sub(1, 1) == "/" and cwd or core.folder .. cwd
end

local function check_stdin(stdin, what)
  local kind = type(stdin)
  if stdin ~= nil and stdin ~= true and kind ~= "string" and kind ~= "function" and getmetatable(stdin) ~= sse.Stream then
    core.raise(("%s: stdin: expected a string, true, an iterator or a stream, got %s"):format(what, kind))
  end
  return stdin
end

local function check_stderr(stderr, what)
  if stderr ~= nil and not ERRORS[stderr] then
    core.raise(('%s: stderr: expected "log", "merge" or "separate", got %s'):format(what, tostring(stderr)))
  end
  return stderr
end

-- Writes what there is while it is read, and ends that; the program where nil comes with a message, as of a body that its
-- client has broken off: it is not to take a part for all.
local function feed(program, next_piece, state, piece, closing)
  local _ <close> = closing
  local is_cut = false
  local _ <close> = at_end(function() if is_cut then program:close() else program:finish() end end)
  repeat
    local why
    piece, why = next_piece(state, piece)
    is_cut = piece == nil and type(why) == "string"
  until piece == nil or not program:write(piece)
end

-- Writes what it is to read: a text that fits into the window at once, else in a task.
local function give(program, stdin)
  if type(stdin) == "string" and #stdin <= LINE_MAX then
    if stdin ~= "" then program:write(stdin) end
    return program:finish()
  end
  if stdin == true then return end
  if type(stdin) == "string" then stdin = sse.once(stdin) end
  if type(stdin) == "table" then return core.spawn(feed, program, stdin:each()) end
  core.spawn(feed, program, stdin)
end

-- A program; or nil, a message and a word.
local function start(argv, options, stderr, what)
  argv = check_argv(argv, what)
  local added, replaced = check_env(options.env, what)
  local cwd, stdin = check_cwd(options.cwd, what), check_stdin(options.stdin, what)
  stderr = check_stderr(options.stderr, what) or stderr
  local program, message, code = core.spawn_program(argv, added, replaced, cwd, stdin ~= nil, ERRORS[stderr])
  if not program then return nil, what .. ": " .. message, code end
  if stdin ~= nil then give(program, stdin) end
  return setmetatable({ program = program, pid = program:pid(), stdin = stdin == true, stderr = stderr, name = argv[1] }, Process)
end

-- Starts a program: argv is { "name", "argument" ... }. options: stdin, cwd, env, stderr. What it writes to its standard
-- error goes to the log, unless stderr says otherwise.
function process.spawn(argv, options)
  check.options(options or {}, "process.spawn", SPAWN_OPTIONS)
  return start(argv, options or {}, "log", "process.spawn")
end

local CLOSED = "p:%s: it has been closed; a `<close>` variable is closed where its function returns: start the program in the function that reads it"

local function check_readable(self, name)
  check_self(self, name)
  if self.is_closed then core.raise(CLOSED:format(name)) end
end

-- A stream of its output or its errors. One that is let go of before its end ends the program.
local function output_stream(self, errors, next)
  local program = self.program
  local s = sse.from(next)
  s.where = core.where()
  return s:on_close(function()
    if not program:is_over(errors) then program:close() end
  end)
end

local function check_max(max, what)
  if max == nil then return LINE_MAX end
  if math.type(max) ~= "integer" or max < 1 then core.raise(("%s: expected a number of bytes of 1 or more, got %s"):format(what, check.shown(max))) end
  return max
end

-- Its output line by line, without line feeds; what is longer than `max` bytes comes in pieces of so many.
function Process:lines(max)
  check_readable(self, "lines")
  self.is_read = true
  return output_stream(self, false, self.program:lines(false, check_max(max, "p:lines")))
end

-- Its output as it comes.
function Process:chunks()
  check_readable(self, "chunks")
  self.is_read = true
  return output_stream(self, false, self.program:chunks(false))
end

-- What it writes to its standard error, line by line.
function Process:errors(max)
  check_readable(self, "errors")
  if self.stderr ~= "separate" then core.raise('p:errors: spawn it with stderr = "separate"') end
  self.are_errors_read = true
  return output_stream(self, true, self.program:lines(true, check_max(max, "p:errors")))
end

-- Waits until its input takes it: true; nil, "closed" where the program does not read any more.
function Process:write(text)
  check_self(self, "write")
  if not self.stdin then core.raise("p:write: spawn it with stdin = true") end
  if type(text) ~= "string" and type(text) ~= "number" then core.raise("p:write: expected a string, got " .. type(text)) end
  return self.program:write(tostring(text))
end

-- The end of its input, behind what was written.
function Process:close_stdin()
  check_self(self, "close_stdin")
  if not self.stdin then core.raise("p:close_stdin: spawn it with stdin = true") end
  self.program:finish()
end

-- Waits for its end: the exit code; or nil and the name of the signal that ended it.
function Process:wait()
  check_self(self, "wait")
  return self.program:wait(not self.is_read, not self.are_errors_read)
end

-- Sends a signal ("TERM" unless given) to its group: true; nil and "ended", or why not.
function Process:kill(signal)
  check_self(self, "kill")
  if signal == nil then signal = "TERM" end
  local number = math.type(signal) == "integer" and signal > 0 and signal < 65 and signal
    or type(signal) == "string" and core.signal_number(signal)
  if not number then core.raise(('p:kill: expected a signal such as "TERM", got %s'):format(tostring(signal))) end
  return self.program:signal(number)
end

-- Ends it and its group: SIGTERM, and SIGKILL after timeouts.kill.
function Process:close()
  self.is_closed = true
  self.program:close()
end

Process.__close = Process.close

local LATE = "process.run: '%s' has not ended after %g s"
local LARGE = "process.run: '%s' has written more than %d bytes"

-- Runs a program to its end: { code, signal, out, err }; or nil, a message and a word.
function process.run(argv, options)
  options = check.options(options or {}, "process.run", RUN_OPTIONS)
  local seconds = options.timeout == nil and RUN_SECONDS or check.seconds(options.timeout, "process.run: timeout")
  local max = options.max == nil and RUN_MAX or check_max(options.max, "process.run: max")
  if options.stdin == true then core.raise("process.run: stdin: expected a string, an iterator or a stream, got true") end
  local p, message, code = start(argv, options, "separate", "process.run")
  if not p then return nil, message, code end
  local _ <close> = p
  local ok, why = p.program:collect(max, seconds)
  if why == "timeout" then return nil, LATE:format(p.name, seconds), "timeout" end
  if why == "too large" then return nil, LARGE:format(p.name, max), "too large" end
  if not ok then return nil, "process.run: " .. why, why end
  local result = { out = p.program:chunks(false)() or "", err = p.program:chunks(true)() or "" }
  result.code, result.signal = p.program:wait()
  return result
end

core.public(process, "spawn", "run")
core.public(Process, "lines", "chunks", "errors", "write", "close_stdin", "wait", "kill")

return process
