-- SPDX-License-Identifier: MIT
-- The steps of the Dockerfile, each carried out in a bare Debian: what the image would be built of, run and asked for its health.
local debian_root = require "spec.debian_root"
local process = require "spec.process"
local servers = require "spec.servers"
local json = require("spec.helper").json

process.SECONDS = 60 -- beside much else

local FOLDER = "server/packaging/"

-- The steps: an instruction in capitals, and the rest of its line.
local function read_steps(path)
  local steps = {}
  local text = process.read_file(path):gsub("#[^\n]*\n", "\n"):gsub("\\\n", " ")
  for name, rest in text:gmatch "%f[^\n%z](%u+) ([^\n]+)" do steps[#steps + 1] = { name = name, rest = rest } end
  return steps
end

local Build = {} -- the meaning of each instruction
Build.__index = Build

function Build:FROM(rest)
  local release, name = rest:match "^debian:(%d+)%S*", rest:match " AS (%S+)$"
  self.stage = { root = debian_root.new(release, self.directory), folder = "/", environment = {}, user = "0:0" }
  self.stages[name or #self.stages + 1] = self.stage
end

-- A command as the stage has it: its user, folder and environment.
function Build:command(list)
  local user, group = self.stage.user:match "^(%d+):(%d+)$"
  local quoted = {}
  for i, word in ipairs(list) do quoted[i] = process.quote(word) end
  return ("cd %s && setpriv --reuid %s --regid %s --clear-groups env -i HOME=/ DEBIAN_FRONTEND=noninteractive PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin %s %s"):format(
    self.stage.folder, user, group, table.concat(self.stage.environment, " "), table.concat(quoted, " "))
end

function Build:RUN(rest) self.stage.root:run(self:command { "sh", "-c", rest }) end

-- The context is the project, but for what .dockerignore names.
function Build:COPY(rest)
  local from, source, target = rest:match "^%-%-from=(%S+) (%S+) (%S+)$"
  if not from then source, target = rest:match "^(%S+) (%S+)$" end
  local root = self.stage.root
  root:run("mkdir -p $(dirname %s)", target)
  if from then
    local other = self.stages[from].root
    local is_folder = other:try("test -d " .. source)
    process.shell(is_folder and "mkdir -p %s && cp -a %s/. %s/" or "true %s; cp -aL %s %s", root:path(target), other:path(source), root:path(target))
  elseif source == "." then
    local excluded = {}
    for line in process.read_file(FOLDER .. "Dockerfile.dockerignore"):gmatch "[^\n]+" do
      if line:sub(1, 1) ~= "#" then excluded[#excluded + 1] = "--exclude=./" .. line end
    end
    root:run("mkdir -p %s && cd /project && tar -c %s . | tar -x -C %s", target, table.concat(excluded, " "), target)
  else root:run("cp -r /project/%s %s", source, target) end
end

function Build:WORKDIR(rest)
  self.stage.folder = rest
  self.stage.root:run("mkdir -p %s", rest)
end

function Build:USER(rest) self.stage.user = rest end

function Build:ENV(rest) table.insert(self.stage.environment, rest) end

function Build:EXPOSE(rest) self.stage.port = rest end

function Build:HEALTHCHECK(rest) self.stage.health = json.decode((rest:match "CMD (.+)$")) end

function Build:STOPSIGNAL(rest) self.stage.signal = rest:gsub("^SIG", "") end

function Build:ENTRYPOINT(rest) self.stage.entry = json.decode(rest) end

function Build:CMD(rest) self.stage.arguments = json.decode(rest) end

describe("the image", function()
  local directory

  setup(function() directory = process.enter() end)
  teardown(process.leave)

  it("serves as a user that is not root, is healthy while it does, and ends when it is told to", function()
    local build = setmetatable({ directory = directory, stages = {} }, Build)
    for _, step in ipairs(read_steps(FOLDER .. "Dockerfile")) do
      assert(Build[step.name], "an instruction that this spec does not know: " .. step.name)(build, step.rest)
    end
    local image, port = build.stage, servers.free_port()
    local root = image.root
    local command = table.move(image.arguments, 1, #image.arguments, #image.entry + 1, { table.unpack(image.entry) })
    for i, word in ipairs(command) do command[i] = word:gsub(":" .. image.port .. "$", ":" .. port) end -- as docker run -p
    assert.are_not.equal("0:0", image.user)
    assert.is_false((root:try(build:command(image.health))))
    root:start("sh -c " .. process.quote(build:command(command)), "/tmp/log")
    process.eventually("the server", function() return root:read "/tmp/log":find "serving /srv/app.lua on" end)
    local stream = process.ask(port, "/ticks")
    process.contains(process.read_until(stream, "data: 1\n"), "event: tick\n")
    stream:close()
    root:run(build:command(image.health))
    local pid = root:run(build:command { "spate", "status", "--json", "/srv/app.lua" }):match '"pid":%s*(%d+)'
    assert.equal("10001", root:run("stat -c %%u /proc/%s", pid):match "%d+")
    root:run("kill -%s %s", image.signal, pid)
    process.eventually("the end", function() return not root:try("kill -0 " .. pid) end)
    assert.is_false((root:try(build:command(image.health))))
    -- None of what it was built by.
    assert.is_false((root:try "command -v gcc || command -v make"))
    for _, stage in pairs(build.stages) do stage.root:close() end
  end)
end)
