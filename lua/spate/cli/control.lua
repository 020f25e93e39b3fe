-- SPDX-License-Identifier: MIT
-- spate reload, upgrade, stop and status: speak to the servers that this user runs, by their control sockets.
local json = require "spate.json"

local FAILED, USAGE = 1, 2
local PATIENCE = { reload = 600, upgrade = 600, status = 5, stop = 5 } -- seconds that a server may take to answer
local END_SECONDS = 600 -- that one may take to end

-- "ok" or "failed", and the rest of the answer.
local function ask(native, pid, question)
  local answer = native.ask(pid, question, PATIENCE[question])
  if not answer then return nil end
  return answer:match("^(%l+)\n(.*)$")
end

-- Fields as in the answer's lines of "name value", addresses in a list; and the names in their order.
local function parse_status(text)
  local status, names = { addresses = json.array {} }, {}
  for name, value in text:gmatch("(%S+) ([^\n]*)\n") do
    if name ~= "address" then names[#names + 1] = name end
    if name == "address" then table.insert(status.addresses, value)
    elseif name == "app" or name == "state" or name == "sends" or name == "admin" then status[name] = value
    else status[name] = tonumber(value) end
  end
  return status, names
end

local function running(native)
  local list, names_of = {}, {}
  for _, pid in ipairs(native.servers()) do
    local ok, text = ask(native, pid, "status")
    if ok == "ok" then
      local server, names = parse_status(text)
      list[#list + 1], names_of[server] = server, names
    end
  end
  table.sort(list, function(a, b) return a.pid < b.pid end)
  return list, names_of
end

local function matches(server, wanted, native)
  return not wanted or tonumber(wanted) == server.pid or native.real_path(wanted) == server.app
end

-- Whether its script is in this folder, or it was started here.
local function is_of_this_folder(server, native)
  local here = native.real_path "."
  return server.app:match "^(.*)/[^/]*$" == here or native.real_path(("/proc/%d/cwd"):format(server.pid)) == here
end

local function list_of(servers, message)
  local lines = { message }
  for i, server in ipairs(servers) do
    lines[i + 1] = ("%d  %s  %s"):format(server.pid, server.app, table.concat(server.addresses, " "))
  end
  return table.concat(lines, "\n  ")
end

local function filter(list, is_meant)
  local chosen = {}
  for _, server in ipairs(list) do
    if is_meant(server) then chosen[#chosen + 1] = server end
  end
  return chosen
end

-- Without a name: the servers of this folder or, of several, those of its app.lua.
local function unnamed(all, native)
  local list = filter(all, function(server) return is_of_this_folder(server, native) end)
  local of_app = filter(list, function(server) return server.app == native.real_path "app.lua" end)
  return #of_app == 1 and of_app or list
end

-- The one server that is meant; nil, an exit code and a message where that is not clear.
local function choose(native, wanted)
  local all = running(native)
  local serving = filter(all, function(server) return server.state == "serving" end)
  if #serving > 0 then all = serving end -- beside those that have been upgraded
  local list = wanted and filter(all, function(server) return matches(server, wanted, native) end) or unnamed(all, native)
  if #list == 1 then return list[1] end
  if #all == 0 then return nil, FAILED, "no server of yours is running" end
  if #list > 1 then return nil, USAGE, list_of(list, ("several servers of %s are running; name one:"):format(wanted or "this folder")) end
  if wanted then return nil, FAILED, ("no server of yours runs %s; see spate status"):format(wanted) end
  return nil, USAGE, list_of(all, "no server of this folder is running; name one:")
end

local commands = {}

function commands.reload(native, server)
  local ok, text = ask(native, server.pid, "reload")
  if ok == "ok" then
    print(("reloaded: %s"):format(server.app))
    return 0
  end
  if not ok then return FAILED, "the server has not answered" end
  io.stderr:write("spate: ", (text:gsub("\n*$", "\n"))) -- as the server reports it, with its lines
  return FAILED
end

function commands.upgrade(native, server)
  local ok, text = ask(native, server.pid, "upgrade")
  if ok == "ok" then
    print(("upgraded: %s; the old process lets its streams go"):format(server.app))
    return 0
  end
  return FAILED, ok and (text:gsub("\n*$", "")) or "the server has not answered"
end

function commands.stop(native, server)
  if ask(native, server.pid, "stop") ~= "ok" then return FAILED, "the server has not answered" end
  if not native.wait_for_end(server.pid, END_SECONDS) then return FAILED, "the server has not ended yet" end
  print(("stopped: %s"):format(server.app))
  return 0
end

local function print_status(server, names)
  for _, address in ipairs(server.addresses) do print(("%-25s %s"):format("address", address)) end
  for _, name in ipairs(names) do print(("%-25s %s"):format(name, server[name])) end
end

local function status(native, arguments)
  local list, names_of = running(native)
  local any = false
  for _, server in ipairs(list) do
    if matches(server, arguments.server, native) then
      if any and not arguments.json then print() end
      any = true
      if arguments.json then print(json.encode(server)) else print_status(server, names_of[server]) end
    end
  end
  if any then return 0 end
  return FAILED, arguments.server and ("no server of yours runs %s"):format(arguments.server) or "no server of yours is running"
end

local function run(_, arguments, native)
  if arguments.command == "status" then return status(native, arguments) end
  local server, code, message = choose(native, arguments.server)
  if not server then return code, message end
  return commands[arguments.command](native, server)
end

return setmetatable({ choose = choose }, { __call = run })
