-- SPDX-License-Identifier: MIT
-- A real browser for specs: Chromium without a window, driven by WebDriver (W3C).
local helper = require "spec.helper"
local http = require "socket.http"
local ltn12 = require "ltn12"
local process = require "spec.process"
local socket = require "socket"

local json = helper.json
local browser = {}

local SECONDS = 60 -- that anything may take
local FLAGS = { "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-renderer-backgrounding",
  "--disable-background-timer-throttling", "--no-proxy-server" }

local commands, port, session = {}, nil, nil

local function is_there(program)
  local f <close> = io.open("/usr/bin/" .. program)
  return f ~= nil
end

-- Whether there is one; where not, one line says so, and the specs of `file` are to be counted as skipped.
function browser.is_installed(file)
  if is_there "chromium" and is_there "chromedriver" then return true end
  io.stderr:write(file, ": skipped, as chromium and chromium-driver are not installed\n")
  return false
end

-- The first true value of `probe`, asked for until it comes.
function browser.eventually(what, probe)
  local deadline = socket.gettime() + SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.02)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

-- Starts a command; what it prints, once that matches `pattern`.
function browser.start(directory, name, command, pattern)
  local out = directory .. "/" .. name
  process.write_file(out, "")
  local pipe = assert(io.popen(("echo $$; exec %s >%s 2>%s.err </dev/null"):format(command, out, out)))
  table.insert(commands, { pipe = pipe, pid = assert(tonumber(pipe:read("l"))) })
  local a, b
  browser.eventually(name, function()
    a, b = process.read_file(out):match(pattern)
    return a
  end)
  return tonumber(a), tonumber(b)
end

-- A command of the protocol: its value.
local function webdriver(method, path, parameters)
  local body, parts = parameters and json.encode(parameters), {}
  local _, status = assert(http.request {
    method = method, url = ("http://127.0.0.1:%d%s"):format(port, path), sink = ltn12.sink.table(parts),
    source = body and ltn12.source.string(body),
    headers = body and { ["content-length"] = #body, ["content-type"] = "application/json" },
  })
  local text = table.concat(parts)
  assert(status == 200, text)
  return json.decode(text).value
end

-- `more`: a list of flags beside the usual ones.
function browser.open(directory, more)
  port = browser.start(directory, "driver", "env -u LD_PRELOAD HOME=" .. directory .. " chromedriver --port=0", "successfully on port (%d+)")
  local flags = json.array { "--user-data-dir=" .. directory .. "/profile", table.unpack(FLAGS) }
  for _, flag in ipairs(more or {}) do flags[#flags + 1] = flag end
  local options = { binary = "/usr/bin/chromium", args = flags }
  local made = webdriver("POST", "/session", { capabilities = { alwaysMatch = { ["goog:chromeOptions"] = options } } })
  session = "/session/" .. made.sessionId
end

-- Ends it, and the commands that were started for it.
function browser.close()
  if session then pcall(webdriver, "DELETE", session) end
  for i = #commands, 1, -1 do
    os.execute("kill -TERM " .. commands[i].pid)
    commands[i].pipe:close()
  end
  commands, session = {}, nil
end

local Tab = {}
Tab.__index = Tab

-- A tab of its own that has loaded the page.
function browser.tab(url)
  local tab = setmetatable({ handle = webdriver("POST", session .. "/window/new", { type = "tab" }).handle }, Tab)
  tab:go(url)
  return tab
end

local function command(self, path, parameters)
  webdriver("POST", session .. "/window", { handle = self.handle })
  return webdriver("POST", session .. path, parameters)
end

function Tab:go(url) command(self, "/url", { url = url }) end

-- What the body of a function returns, of `arguments`.
function Tab:run(script, ...) return command(self, "/execute/sync", { script = script, args = json.array { ... } }) end

-- Once the expression is true: its value.
function Tab:await(expression)
  return browser.eventually(expression, function() return self:run("return " .. expression) end)
end

local KEYS = { Tab = "\u{E004}", Enter = "\u{E007}", Space = " ", Shift = "\u{E008}", Backspace = "\u{E003}", End = "\u{E010}", Escape = "\u{E00C}" }

-- Presses keys one after the other, as a person would: names as above ("Shift+Tab" holds one), or a text to type.
function Tab:press(...)
  local actions = json.array()
  local function add(type, key) actions[#actions + 1] = { type = type, value = key } end
  for _, what in ipairs { ... } do
    local held, key = what:match "^(Shift)%+(%u%l+)$"
    local name = key or what
    if held then add("keyDown", KEYS[held]) end
    for _, c in utf8.codes(KEYS[name] or name) do
      add("keyDown", utf8.char(c))
      add("keyUp", utf8.char(c))
    end
    if held then add("keyUp", KEYS[held]) end
  end
  command(self, "/actions", { actions = json.array { { type = "key", id = "keyboard", actions = actions } } })
end

-- The size of what is seen, and "light" or "dark".
function Tab:look(width, height, scheme)
  self:devtools("Emulation.setDeviceMetricsOverride", { width = width, height = height, deviceScaleFactor = 1, mobile = false })
  self:devtools("Emulation.setEmulatedMedia", { features = json.array { { name = "prefers-color-scheme", value = scheme } } })
end

-- A command of the browser's own protocol: its result.
function Tab:devtools(name, parameters)
  return command(self, "/goog/cdp/execute", { cmd = name, params = json.object(parameters) })
end

-- What is seen now, as a PNG file.
function Tab:screenshot(path)
  process.write_file(path, require("mime").unb64(self:devtools("Page.captureScreenshot", { format = "png" }).data))
end

function Tab:close()
  webdriver("POST", session .. "/window", { handle = self.handle })
  webdriver("DELETE", session .. "/window")
  webdriver("POST", session .. "/window", { handle = webdriver("GET", session .. "/window/handles")[1] })
end

return browser
