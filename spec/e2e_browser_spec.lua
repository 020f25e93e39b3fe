-- SPDX-License-Identifier: MIT
-- The chat example in a real browser, where Chromium is installed. One tab reaches the server through a proxy that can be
-- cut off.
local browser = require "spec.browser"
local process = require "spec.process"
local socket = require "socket"

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

local Chat = {}
Chat.__index = Chat

local function open_chat(port)
  local chat = setmetatable({ tab = browser.tab(("http://127.0.0.1:%d/#lua"):format(port)) }, Chat)
  chat:await_state("live")
  return chat
end

function Chat:await_state(state)
  browser.eventually(state, function() return self.tab:run("return document.getElementById('state').textContent.trim()"):find(state, 1, true) == 1 end)
end

function Chat:say(from, text)
  self.tab:run([[
    document.getElementById("from").value = arguments[0]
    document.getElementById("text").value = arguments[1]
    document.querySelector("button").click()]], from, text)
end

function Chat:lines()
  return self.tab:run("return Array.from(document.querySelectorAll('#log li'), line => line.textContent)")
end

-- Once there are as many lines as expected, they are these.
function Chat:expect(lines)
  local seen
  pcall(browser.eventually, "lines", function()
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

local it = browser.is_installed "spec/e2e_browser_spec.lua" and it or pending

describe("the chat in a browser", function()
  local server, through_proxy, control

  lazy_setup(function() -- not where all is skipped
    local directory = process.enter()
    process.write_file(directory .. "/proxy.lua", PROXY)
    server = process.serve(process.ROOT .. "/examples/chat.lua").port
    through_proxy, control = browser.start(directory, "proxy", ("lua5.4 %s/proxy.lua %d"):format(directory, server), "(%d+)\t(%d+)%s")
    browser.open(directory)
  end)

  lazy_teardown(function()
    browser.close()
    process.leave()
  end)

  it("reaches two tabs; the one that is cut off resumes with nothing lost and nothing twice", function()
    local ann, bob = open_chat(server), open_chat(through_proxy)
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
