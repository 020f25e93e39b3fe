-- SPDX-License-Identifier: MIT
-- spate serve and spate dev: takes the settings of file and flags, and names the application. The server is C's.
local localhost = require "spate.cli.localhost"
local settings_file = require "spate.settings_file"

local APP, USAGE, CONFIG = 1, 2, 3

local OTHERWISE = { unix = true, fd = true, systemd = true, http = true, https = true }

-- Each address without a scheme, and the one that is served where none is named, speaks TLS.
local function secure(settings, tls)
  settings.tls = tls
  for i, each in ipairs(settings.listen) do
    local prefix = type(each) == "string" and each:match "^(%l+):"
    if type(each) == "string" and not OTHERWISE[prefix] then settings.listen[i] = "https://" .. each end
  end
end

-- The addresses of sockets that systemd has passed to this process, which are served where no others are named, but for the
-- inspector's.
local function passed(admin)
  local stat <close> = io.open "/proc/self/stat"
  local count = tonumber(os.getenv "LISTEN_FDS")
  if not stat or not count or count < 1 or os.getenv "LISTEN_PID" ~= tostring(stat:read "n") then return nil end
  local addresses, known, name = {}, { [(admin or ""):match "^systemd:(.*)$" or ""] = true }, (os.getenv "LISTEN_FDNAMES" or ""):gmatch "([^:]*):?"
  for _ = 1, count do
    local next_name = name()
    if not next_name or next_name == "" then next_name = "unknown" end
    if not known[next_name] then addresses[#addresses + 1] = "systemd:" .. next_name end
    known[next_name] = true
  end
  return addresses[1] and addresses
end

-- The inspector's address: the flag's before the file's; spate dev has one by itself. A token may come by the environment,
-- so that no file has it.
local function take_admin(settings, how, flag, token)
  local admin = settings.admin
  how.admin_is_configured = not flag and admin ~= nil
  how.admin_is_usual = how.dev and not flag and (admin == nil or type(admin) == "table" and admin[1] == nil)
  if type(admin) ~= "table" and (flag or token or how.admin_is_usual) then admin = { admin } end
  if type(admin) ~= "table" then return end
  admin[1] = flag or admin[1] or how.admin_is_usual and "127.0.0.1:9090" or nil
  admin.token = admin.token or token
  settings.admin = admin
end

return function(arguments, native)
  local settings, path = settings_file.of(arguments.config, arguments.app)
  if not settings then return CONFIG, path end
  local flags = { listen = arguments.listen, workers = arguments.workers }
  local how = { listen_is_configured = #flags.listen == 0 and settings.listen ~= nil, dev = arguments.command == "dev",
    inject = arguments.command == "dev" and not arguments.no_inject }
  local usual = arguments.tls and "127.0.0.1:8443" or "127.0.0.1:8080"
  take_admin(settings, how, arguments.admin, native.take_token())
  local admin = type(settings.admin) == "table" and settings.admin[1] or settings.admin
  settings.listen = #flags.listen > 0 and flags.listen or settings.listen or passed(type(admin) == "string" and admin) or { usual }
  if type(settings.listen) == "string" then settings.listen = { settings.listen } end
  if arguments.tls then
    local tls, problem = localhost.tls(native)
    if not tls then return CONFIG, problem end
    secure(settings, tls)
    localhost.say_how_to_trust(tls, io.stderr)
  end
  settings.workers = flags.workers or settings.workers
  settings.store, settings.durable = arguments.store or settings.store, arguments.durable or settings.durable
  if how.dev and (settings.log == nil or type(settings.log) == "table" and settings.log.format == nil) then
    settings.log = settings.log or {}
    settings.log.format = "pretty"
  end
  local taken, problem = pcall(native.take_settings, settings, how)
  if not taken then
    if flags.workers and tostring(problem):find("^workers") then return USAGE, (problem:gsub("^workers", "-w")) end
    if #arguments.listen > 0 and tostring(problem):find("^listen%[%d+%]: expected HOST") then return USAGE, (problem:gsub("^listen%[%d+%]", "-l")) end
    local flag = tostring(problem):match("^(%a+):")
    if (flag == "store" or flag == "durable" or flag == "admin") and arguments[flag] then return USAGE, "--" .. problem end
    return CONFIG, ("%s: %s"):format(path, problem)
  end
  local readable, reason = settings_file.is_script(arguments.app)
  if readable then return nil, arguments.app end
  return APP, ("cannot open %s; name the script: spate %s FILE.lua, or try `spate new .`"):format(reason, arguments.command)
end
