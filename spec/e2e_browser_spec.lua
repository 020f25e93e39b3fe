-- SPDX-License-Identifier: MIT
-- The chat example in a real browser: Chromium without a window, driven by WebDriver. Where it is not installed there
-- is nothing to run. One tab reaches the server through a proxy that can be cut off.
local helper = require "spec.helper"
local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"

local json = helper.json
local BUILD = os.getenv("BUILD") or "build"
local SPATE = os.getenv("SPATE") or BUILD .. "/spate"
local SECONDS = 20 -- that anything may take
local FLAGS = { "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-renderer-backgrounding",
  "--disable-background-timer-throttling", "--no-proxy-server" }

-- Forwards connections until told "cut": then resets them, and every new one until told "join".
local PROXY = [[
local socket = require "socket"
local target, listener, control = tonumber(arg[1]), assert(socket.bind("127.0.0.1", 0)), assert(socket.bind("127.0.0.1", 0))
print(select(2, listener:getsockname()), select(2, control:getsockname()))
io.stdout:flush()
local other, is_cut = {}, false

local function drop(s)
  local peer = other[s]
  for _, each in ipairs { s, peer } do
    other[each] = nil
    each:setoption("linger", { on = true, timeout = 0 })
    each:close()
  end
end

local function forward(s)
  local bytes, err, part = s:receive(65536)
  bytes = bytes or part
  if bytes ~= "" then
    other[s]:settimeout(nil)
    if not other[s]:send(bytes) then return drop(s) end
    other[s]:settimeout(0)
  end
  if err == "closed" then drop(s) end
end

local function accept()
  local client, server = listener:accept(), socket.connect("127.0.0.1", target)
  client:settimeout(0)
  server:settimeout(0)
  other[client], other[server] = server, client
  if is_cut then drop(client) end
end

local function obey()
  local s <close> = setmetatable({ s = control:accept() }, { __close = function(self) self.s:close() end })
  is_cut = s.s:receive("*l") == "cut"
  while is_cut and next(other) do drop((next(other))) end
  s.s:send("done\n")
end

while true do
  local wanted = { listener, control }
  for s in pairs(other) do wanted[#wanted + 1] = s end
  for _, s in ipairs((socket.select(wanted))) do
    if s == listener then accept()
    elseif s == control then obey()
    elseif other[s] then forward(s) end
  end
end
]]

local directory, processes, driver, session

local function read_file(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

-- The first true value of `probe`, asked for until it comes.
local function eventually(what, probe)
  local deadline = socket.gettime() + SECONDS
  repeat
    local value = probe()
    if value then return value end
    socket.sleep(0.02)
  until socket.gettime() > deadline
  error("waited in vain for " .. what, 2)
end

-- Starts a command; what it prints, once that matches `pattern`.
local function start(name, command, pattern)
  local out = directory .. "/" .. name
  io.open(out, "wb"):close()
  local pipe = assert(io.popen(("echo $$; exec %s >%s 2>%s.err </dev/null"):format(command, out, out)))
  table.insert(processes, { pipe = pipe, pid = assert(tonumber(pipe:read("l"))) })
  local a, b
  eventually(name, function()
    a, b = read_file(out):match(pattern)
    return a
  end)
  return tonumber(a), tonumber(b)
end

local function stop_all()
  for i = #processes, 1, -1 do
    os.execute("kill -TERM " .. processes[i].pid)
    processes[i].pipe:close()
  end
end

-- A command of the WebDriver protocol (W3C): its value.
local function webdriver(method, path, parameters)
  local body, parts = parameters and json.encode(parameters), {}
  local _, status = assert(http.request {
    method = method, url = ("http://127.0.0.1:%d%s"):format(driver, path), sink = ltn12.sink.table(parts),
    source = body and ltn12.source.string(body),
    headers = body and { ["content-length"] = #body, ["content-type"] = "application/json" },
  })
  local text = table.concat(parts)
  assert(status == 200, text)
  return json.decode(text).value
end

local function open_browser()
  local flags = json.array { "--user-data-dir=" .. directory .. "/profile", table.unpack(FLAGS) }
  local options = { binary = "/usr/bin/chromium", args = flags }
  local made = webdriver("POST", "/session", { capabilities = { alwaysMatch = { ["goog:chromeOptions"] = options } } })
  session = "/session/" .. made.sessionId
end

local Tab = {}
Tab.__index = Tab

local function open_tab(port)
  local handle = webdriver("POST", session .. "/window/new", { type = "tab" }).handle
  webdriver("POST", session .. "/window", { handle = handle })
  webdriver("POST", session .. "/url", { url = ("http://127.0.0.1:%d/#lua"):format(port) })
  local tab = setmetatable({ handle = handle }, Tab)
  tab:await_state("live")
  return tab
end

function Tab:run(script, ...)
  webdriver("POST", session .. "/window", { handle = self.handle })
  return webdriver("POST", session .. "/execute/sync", { script = script, args = json.array { ... } })
end

function Tab:await_state(state)
  eventually(state, function() return self:run("return document.getElementById('state').textContent.trim()"):find(state, 1, true) == 1 end)
end

function Tab:say(from, text)
  self:run([[
    document.getElementById("from").value = arguments[0]
    document.getElementById("text").value = arguments[1]
    document.querySelector("button").click()]], from, text)
end

function Tab:lines()
  return self:run("return Array.from(document.querySelectorAll('#log li'), line => line.textContent)")
end

-- Once there are as many lines as expected, they are these.
function Tab:expect(lines)
  local seen
  pcall(eventually, "lines", function()
    seen = self:lines()
    return #seen >= #lines
  end)
  assert.same(lines, { table.unpack(seen) })
end

local function tell_proxy(control, word)
  local client = assert(socket.connect("127.0.0.1", control))
  client:send(word .. "\n")
  assert.equal("done", (client:receive("*l")))
  client:close()
end

local function is_installed(program)
  local f <close> = io.open("/usr/bin/" .. program)
  return f ~= nil
end

if is_installed("chromium") and is_installed("chromedriver") then
  describe("the chat in a browser", function()
    local server, through_proxy, control

    setup(function()
      processes, directory = {}, os.tmpname()
      os.remove(directory)
      assert(os.execute("mkdir " .. directory))
      local f <close> = assert(io.open(directory .. "/proxy.lua", "wb"))
      f:write(PROXY)
      f:flush()
      server = start("server", SPATE .. " serve examples/chat.lua -l 127.0.0.1:0", "http://127%.0%.0%.1:(%d+)")
      through_proxy, control = start("proxy", ("lua5.4 %s/proxy.lua %d"):format(directory, server), "(%d+)\t(%d+)%s")
      driver = start("driver", "env -u LD_PRELOAD HOME=" .. directory .. " chromedriver --port=0", "successfully on port (%d+)")
      open_browser()
    end)

    teardown(function()
      if session then pcall(webdriver, "DELETE", session) end
      stop_all()
      os.execute("rm -rf " .. directory)
    end)

    it("reaches two tabs; the one that is cut off resumes with nothing lost and nothing twice", function()
      local ann, bob = open_tab(server), open_tab(through_proxy)
      ann:say("ann", "hello")
      bob:expect { "ann: hello" }
      bob:say("bob", "<b>hi</b>")
      local lines = { "ann: hello", "bob: <b>hi</b>" }
      ann:expect(lines)
      bob:expect(lines)

      tell_proxy(control, "cut")
      bob:await_state("lost")
      ann:say("ann", "are you there?")
      ann:say("ann", "bob?")
      lines[3], lines[4] = "ann: are you there?", "ann: bob?"
      ann:expect(lines)
      bob:expect { "ann: hello", "bob: <b>hi</b>" }
      tell_proxy(control, "join")
      bob:await_state("live")
      bob:expect(lines)

      bob:say("bob", "back")
      lines[5] = "bob: back"
      ann:expect(lines)
      bob:expect(lines)
    end)
  end)
end
