-- SPDX-License-Identifier: MIT
-- Runs the clients of spec/clients in Node, and reads what they have seen. Makefile: clients installs them.
local assert = require "luassert"
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

-- What /events of server.lua sends, where the first connection is cut behind the third.
clients.EVENTS = {
  { data = "plain" },
  { event = "note", data = "two\nlines" },
  { event = "größe", data = "ünï → 漢字 🎈" },
  { event = "note", data = "  blanks, a colon: and\n\n an empty line\n" },
  { data = "a\u{FEFF}mark, a\u{2028}separator" },
  { data = "" },
}

-- Starts server.lua, with clients.more_settings ("a = 1, ") where there are some. options: those of process.serve, and `run`, which its numbers name.
function clients.serve(events, options)
  options = options or {}
  if clients.more_settings then options.settings = "{" .. clients.more_settings .. (options.settings or "{}"):sub(2) end
  options.environment = ("ROOT=%s RUN=%s EVENTS=%s"):format(process.quote(process.ROOT), options.run or "1",
    process.quote(helper.json.encode(events)))
  return process.serve(clients.FOLDER .. "/server.lua", options)
end

-- Who listened to /events came three times, behind these ids, and waited each time for as long as it was told.
function clients.came_back(server, who, second, third)
  local _, text = server:get("/asked/" .. who)
  local asked = helper.json.decode(text)
  assert.same({ 3, nil, second, third }, { #asked, asked[1].after, asked[2].after, asked[3].after })
  assert.is_true(asked[2].at - asked[1].ended > 3.9, text)
  assert.is_true(asked[3].at - asked[2].ended > 0.09, text)
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
