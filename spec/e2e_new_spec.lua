-- SPDX-License-Identifier: MIT
-- What `spate new` makes, as its first user has it: checked, tested and served as it is.
local process = require "spec.process"

local directory

-- Runs a command of the program to its end: what it printed. Ends with 0.
local function run(made, ...)
  local command = process.spawn({ ... }, { dir = made })
  local code = command:wait()
  assert.equal(0, code, command:stdout() .. command:stderr())
  return command:stdout()
end

-- What a request on a connection of its own begins with, up to `text`.
local function ask(server, request, text)
  local client = server:connect(request)
  local bytes = process.read_until(client, text)
  client:close()
  return bytes
end

local function post(path, body)
  return ("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"):format(path, #body, body)
end

local function get(path) return ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(path) end

-- A stream of the path, behind its head.
local function listen(server, path)
  local reader = server:connect(get(path))
  process.read_until(reader, "\r\n\r\n")
  return reader
end

-- What each template's application answers first.
local FIRST = {
  ticks = function(server) ask(server, get "/ticks", "event: tick\nid: 1\ndata: 1\n\n") end,
  chat = function(server)
    local page = ask(server, get "/", "</script>")
    assert.truthy(page:find("<title>Chat</title>", 1, true))
    local reader = server:connect(get "/rooms/lua/events")
    process.read_until(reader, "\r\n\r\n")
    ask(server, post("/rooms/lua/messages", '{"text":"hi"}'), "201")
    process.read_until(reader, 'data: {"from":"anon","text":"hi"}\n\n')
    reader:close()
  end,
  llm = function(server) ask(server, post("/generate", '{"prompt":"to be"}'), "data: [DONE]\n\n") end,
  htmx = function(server)
    ask(server, get "/", 'sse-connect="/news"')
    local reader = server:connect(get "/news")
    process.read_until(reader, "\r\n\r\n")
    ask(server, post("/news", "a < b"), "202")
    process.read_until(reader, "data: <li>a &lt; b</li>\n\n")
    reader:close()
  end,
  agent = function(server) ask(server, post("/demo/v1/chat/completions", '{"messages":[{"role":"user","content":"6 * 7"}]}'), '\\"b\\":7}"') end,
  mcp = function(server)
    ask(server, post("/mcp", '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}'), '"name":"notes"')
    listen(server, "/notes"):close()
  end,
  livetable = function(server) ask(server, get "/stock", "503") end, -- there is no database
  jobs = function(server)
    local reader = listen(server, "/events")
    ask(server, post("/jobs/night", ""), "202")
    process.read_until(reader, '"text":"good night"')
    reader:close()
  end,
  presence = function(server)
    local reader = listen(server, "/docs/a/live?user=ann")
    process.read_until(reader, '"members":[{"id":"ann"')
    reader:close()
  end,
  hub = function(server)
    local reader = listen(server, "/.well-known/mercure?topic=/books/%7Bid%7D")
    ask(server, (post("/books/1", '{"price":1}'):gsub("^POST", "PUT")), "200")
    process.read_until(reader, '"price":1')
    reader:close()
  end,
}

-- What each page has, so that nothing comes from elsewhere and a small screen shows it.
local function check_page(server)
  local page = ask(server, get "/", "</script>")
  process.contains(page, '<meta name="viewport"', "color-scheme: light dark", '<html lang="en">')
  assert.is_nil(page:find("https?://"), page)
end

local WITHOUT_PAGE = { ticks = true, llm = true }

describe("spate new", function()
  before_each(function() directory = process.enter() end)

  after_each(process.leave)

  for template, first in pairs(FIRST) do
    it("-t " .. template .. " makes an application that passes its own check and specs, and is served", function()
      run(directory, "new", "my app", "-t", template)
      local made = directory .. "/my app"
      assert.matches("no problems\n$", run(made, "check"))
      assert.matches(" 0 failures / 0 errors / 0 pending", run(made, "test"))
      process.shell("cd '%s' && luacheck --quiet . >../luacheck 2>&1", made)
      local server = process.serve("app.lua", { command = "dev", dir = made, environment = "DATABASE=postgres://localhost:1/none" })
      first(server)
      if not WITHOUT_PAGE[template] then check_page(server) end
      server:stop()
      if template ~= "livetable" then assert.is_nil(server:stderr():find("error", 1, true), server:stderr()) end
    end)
  end
end)
