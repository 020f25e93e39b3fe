-- SPDX-License-Identifier: MIT
-- README's first minute, line by line by a shell as a stranger types it. Only the port is another, what goes on for
-- ever is ended by Ctrl-C, and where a person would look before the next line, the shell waits.
local process = require "spec.process"
local socket = require "socket"

local SECONDS = 60 -- that it may take, a build included

local function free_port()
  local probe = assert(socket.bind("127.0.0.1", 0))
  local _, port = probe:getsockname()
  probe:close()
  return port
end

local function wait_for(condition) return ("for i in $(seq 500); do %s && break; sleep 0.02; done"):format(condition) end

-- The lines of the block as a script: each says its number and its exit code.
local function script_of(block, port)
  -- A sanitizer's library is for the program, which has it inside: curl hangs with it.
  local script, n = { "unset LD_PRELOAD; export HOME=$PWD XDG_RUNTIME_DIR=$PWD", "cd " .. process.quote(process.ROOT) }, 0
  for line in block:gmatch("[^\n]+") do
    n = n + 1
    local command = line:gsub("%s+#.*$", ""):gsub("localhost:8080", "127.0.0.1:" .. port):gsub("127%.0%.0%.1:8080", "127.0.0.1:" .. port)
    if command:find "^make install" then command = command .. " BUILD=" .. process.BUILD .. " && cd $HOME" end
    if command:find "^spate dev" then command = command:gsub("^spate dev &", "spate dev -l 127.0.0.1:" .. port .. " 2>$HOME/dev.log &") end
    if command:find "^spate tail" or command:find "^spate serve" then command = "timeout -s INT 2 " .. command end
    script[#script + 1] = ("echo '== %d: %s'\n%s\necho \"-- $?\""):format(n, line:gsub("'", '"'), command)
    if command:find "^spate dev" then script[#script + 1] = wait_for(("curl -so /dev/null 127.0.0.1:%d"):format(port)) end
    if command:find "app.lua$" then script[#script + 1] = wait_for "grep -q 'generation 2' $HOME/dev.log" end
  end
  return table.concat(script, "\n") .. "\n"
end

describe("README's first minute", function()
  local directory
  before_each(function() directory = process.enter() end)

  after_each(process.leave)

  it("is as it says", function()
    local block = process.read_file("README.md"):match("## The first minute.-```sh\n(.-)```")
    local port = free_port()
    process.write_file(directory .. "/tour.sh", script_of(block, port))
    local pipe = assert(io.popen(("cd %s && timeout -k 1 %d bash tour.sh 2>&1 </dev/null"):format(directory, SECONDS)))
    local text = pipe:read "a"
    assert.is_true(pipe:close(), text)
    -- What each command prints, and ends with.
    local steps = {}
    for line, output, code in text:gmatch("== %d+: ([^\n]*)\n(.-)%-%- (%d+)\n") do
      steps[#steps + 1] = { line = line, output = output, code = tonumber(code) }
    end
    local function check(i, start, code, ...)
      local step = assert(steps[i], text)
      assert.equal(start, step.line:sub(1, #start))
      assert.equal(code, step.code, text)
      process.contains(step.output, ...)
    end
    check(1, "make install", 0)
    check(3, "spate new", 0, "hello/app.lua\n", "spate dev\n")
    check(5, "spate dev", 0)
    check(6, "curl", 28, "event: tick\nid: 1\ndata: 1\n\n", "data: 2\n") -- 28: its own time limit
    check(7, "spate test", 0, "1 success / 0 failures / 0 errors")
    check(8, "sed", 0)
    check(9, "spate tail", 124, "tock #1: 1\n")
    check(10, "spate test", 1, "0 successes / 1 failure", "event: tick ", "event: tock ")
    check(12, "spate check", 0, "app.lua: 1 route, no problems\n", "1 success / 0 failures / 0 errors")
    check(13, "spate stop", 0, "stopped: ", "/hello/app.lua\n")
    check(14, "spate serve", 124, "serving app.lua on http://127.0.0.1:" .. port, "stopping: SIGINT")
    assert.equal(14, #steps)
  end)
end)
