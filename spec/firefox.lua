-- SPDX-License-Identifier: MIT
-- Firefox without a window, driven by Marionette: JSON on a socket, each message behind its length. One page at a time; what
-- it offers is what tabs of spec.browser do.
local browser = require "spec.browser"
local helper = require "spec.helper"
local process = require "spec.process"
local socket = require "socket"

local json = helper.json
local firefox = {}

local PROGRAM = "/usr/bin/firefox-esr"
local PREFERENCES = [[
user_pref("marionette.port", 0);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 0);
]]

-- Whether there is one; where not, one line says so, and the specs of `file` are to be counted as skipped.
function firefox.is_installed(file)
  local f <close> = io.open(PROGRAM)
  if f then return true end
  io.stderr:write(file, ": skipped, as firefox-esr is not installed\n")
  return false
end

local Page = {}
Page.__index = Page

local function receive(self)
  local digits = ""
  repeat
    local c = assert(self.socket:receive(1))
    if c ~= ":" then digits = digits .. c end
  until c == ":"
  return json.decode(assert(self.socket:receive(tonumber(digits))))
end

local function command(self, name, parameters)
  self.number = self.number + 1
  local text = json.encode(json.array { 0, self.number, name, parameters })
  assert(self.socket:send(#text .. ":" .. text))
  local answer = receive(self)
  assert(answer[2] == self.number and answer[3] == json.null, json.encode(answer))
  return answer[4] ~= json.null and answer[4] or nil
end

-- Starts it with a profile in `directory`; end it with close.
function firefox.open(directory)
  local profile = directory .. "/firefox"
  process.shell("mkdir -p %s", profile)
  process.write_file(profile .. "/user.js", PREFERENCES)
  local run = ("echo $$; exec env -u LD_PRELOAD HOME=%s MOZ_CRASHREPORTER_DISABLE=1 %s --headless --no-remote --marionette --profile %s >%s/firefox.log 2>&1 </dev/null")
  local pipe = assert(io.popen(run:format(directory, PROGRAM, profile, directory)))
  local self = setmetatable({ pipe = pipe, pid = assert(tonumber(pipe:read "l")), number = 0, profile = profile }, Page)
  local function active_port()
    local f <close> = io.open(profile .. "/MarionetteActivePort")
    return f and tonumber(f:read "a" or "")
  end
  local port
  for _ = 1, 6 do -- it takes long where the machine is busy
    if not port then port = select(2, pcall(browser.eventually, "Marionette", active_port)) end
    port = tonumber(port)
  end
  assert(port, "Firefox does not start")
  self.socket = assert(socket.connect("127.0.0.1", port))
  self.socket:settimeout(60)
  receive(self) -- what it is
  command(self, "WebDriver:NewSession", { acceptInsecureCerts = true })
  return self
end

function Page:go(url) command(self, "WebDriver:Navigate", { url = url }) end

-- What the body of a function returns, of `arguments`, which has the page's own objects.
function Page:run(script, ...)
  return command(self, "WebDriver:ExecuteScript", { script = script, args = json.array { ... }, sandbox = json.null }).value
end

-- Once the expression is true: its value.
function Page:await(expression)
  return browser.eventually(expression, function() return self:run("return " .. expression) end)
end

function Page:close()
  pcall(command, self, "Marionette:Quit", { flags = json.array { "eForceQuit" } })
  self.socket:close()
  os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
  self.pipe:close()
  browser.eventually("an end of what it has started", function() return os.execute(("rm -rf %s 2>/dev/null"):format(self.profile)) end)
end

return firefox
