-- SPDX-License-Identifier: MIT
-- Runs the clients of spec/clients in Node, and reads what they have seen. Makefile: clients installs them.
local helper = require "spec.helper"
local process = require "spec.process"

local clients = { FOLDER = process.ROOT .. "/spec/clients" }
local running = {}

local function content(name)
  local f <close> = io.open(clients.FOLDER .. "/" .. name, "rb")
  return f and f:read "a"
end

-- Whether they can be run; where not, one line says so, and the specs of `file` are to be counted as skipped.
function clients.are_installed(file)
  if content "node_modules/.installed" == content "package-lock.json" then return true end
  io.stderr:write(file, ": skipped, as its clients are not installed: make clients\n")
  return false
end

-- The major version of Node.
function clients.node_version()
  local pipe <close> = assert(io.popen "env -u LD_PRELOAD node --version")
  return tonumber(pipe:read("l"):match "^v(%d+)")
end

local Client = {}
Client.__index = Client

-- Starts SCRIPT ARGUMENTS. environment: "A=b C=d".
function clients.start(directory, script, arguments, environment)
  local self = setmetatable({ out = os.tmpname(), err = directory .. "/client.err" }, Client)
  local list = {}
  for i, argument in ipairs(arguments) do list[i] = process.quote(argument) end
  self.pipe = assert(io.popen(("echo $$; cd %s && exec env -u LD_PRELOAD -u http_proxy %s timeout -s KILL %d node %s.mjs %s >%s 2>>%s </dev/null"):format(
    process.quote(clients.FOLDER), environment or "", 3 * process.SECONDS, script, table.concat(list, " "), self.out, self.err)))
  self.pid = assert(tonumber(self.pipe:read "l"))
  running[self] = true
  return self
end

-- What it has printed so far, line by line.
function Client:seen()
  local list = {}
  for line in process.read_file(self.out):gmatch "([^\n]*)\n" do list[#list + 1] = assert(helper.json.decode(line)) end
  return list
end

-- What it has printed until its end.
function Client:finish()
  if not running[self] then return self.all end
  local _, how, code = self.pipe:close()
  running[self] = nil
  local complaint = process.read_file(self.err)
  assert(how == "exit" and code == 0, ("%s %s: %s"):format(how, code, complaint))
  self.all = self:seen()
  os.remove(self.out)
  return self.all
end

-- Ends what still runs.
function clients.leave()
  for self in pairs(running) do
    os.execute("kill -KILL " .. self.pid .. " 2>/dev/null")
    self.pipe:close()
    os.remove(self.out)
  end
  running = {}
end

return clients
