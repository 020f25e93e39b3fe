-- SPDX-License-Identifier: MIT
-- Event streams as a page in a real browser has them: EventSource, cookies, other origins, restarts, reloads of the page.
local browser = require "spec.browser"
local clients = require "spec.clients"
local helper = require "spec.helper"
local process = require "spec.process"

local json = helper.json
local EVENTS = { { data = "\u{FEFF}mark" }, table.unpack(clients.EVENTS, 2) }

-- Listens to arguments[0], with cookies for others where arguments[1]; what comes is in `seen`, its failures in `failed`.
local LISTEN = [[
  window.seen = []
  window.failed = []
  window.source = new EventSource(arguments[0], { withCredentials: arguments[1] || false })
  for (const name of ['message', 'note', 'größe']) {
    source.addEventListener(name, e => seen.push([e.type, e.lastEventId, e.data]))
  }
  source.addEventListener('error', () => failed.push(source.readyState))
]]
local CLOSED = "source.readyState === 2"

-- Another origin may listen where it is localhost; what it hears is who comes.
local SHARED = [[
app:use(spate.cors { origins = function(origin) return origin:find("http://localhost:", 1, true) == 1 end, credentials = true })
app:get("/", function() return reply.html "<!doctype html><title>page</title>" end)
app:get("/login", function()
  return reply.html("<!doctype html>"):cookie("sid", "ann", { http_only = true, same_site = "Lax" })
end)
app:get("/who", function(req)
  local who = { sid = req.cookies.sid, origin = req.headers.origin, key = req.headers.authorization, after = req.last_event_id }
  return sse.reply(sse.never():start_with { id = 1, json = who })
end)
app:get("/secret", function() return reply.error(401, "not for you") end)
]]

local it = browser.is_installed "spec/e2e_page_spec.lua" and it or pending

describe("a page in a browser", function()
  local directory, tab, server

  lazy_setup(function() -- not where all is skipped
    directory = process.enter()
    browser.open(directory)
  end)

  lazy_teardown(function()
    browser.close()
    process.leave()
  end)

  after_each(function()
    if tab then tab:close() end
    tab = nil
    if not server:has_ended() then server:stop() end
  end)

  -- The server of the npm clients, and a tab with a page of it.
  local function serve(options) server = clients.serve(EVENTS, options) end

  local function url(path, host) return ("http://%s:%d%s"):format(host or "127.0.0.1", server.port, path) end

  local function logs(pattern) browser.eventually(pattern, function() return server:stderr():find(pattern) end) end

  local function ports()
    local list = {}
    for i, address in ipairs(server.addresses) do list[i] = address:match ":(%d+)$" end
    return table.unpack(list)
  end

  it("gets every event as sent, comes back with the last id, and stops at a 204", function()
    serve()
    tab = browser.tab(url "/page")
    tab:run(LISTEN, "/events/page?mark=-%C3%A9%E6%BC%A2")
    tab:await(CLOSED)
    local expected = {}
    for i, event in ipairs(EVENTS) do expected[i] = { event.event or "message", i .. "-é漢", event.data } end
    assert.same(expected, tab:run "return seen")
    assert.same({ 0, 0, 2 }, tab:run "return failed") -- a cut, an end, the 204
    clients.came_back(server, "page", "3-é漢", "6-é漢")
  end)

  it("goes on with nothing lost and nothing twice over a reload, a stop and another start", function()
    local settings = "{ reload = { max_age = 0.1 }, shutdown = { window = 0.1, retry = 0.1, grace = 5 } }"
    serve { settings = settings }
    tab = browser.tab(url "/page")
    tab:run(LISTEN, "/count/page")
    local function awaits(from) tab:await(("seen.length > 0 && JSON.parse(seen[seen.length - 1][2]).from === '%s'"):format(from)) end
    awaits "1.1"
    server:kill "HUP"
    awaits "1.2"
    local port = server.port
    server:stop()
    serve { settings = settings, run = "2", arguments = { "-l", "127.0.0.1:" .. port } }
    awaits "2.1"
    server:get "/over"
    tab:await(CLOSED)
    local seen = tab:run "return seen"
    for i, event in ipairs(seen) do assert.same({ "note", tostring(i), i }, { event[1], event[2], json.decode(event[3]).n }) end
  end)

  it("gives up where it is refused", function()
    serve()
    tab = browser.tab(url "/page")
    for _, status in ipairs { 401, 500 } do
      tab:run(LISTEN, "/refused/" .. status)
      tab:await(CLOSED)
      assert.same({ 2 }, tab:run "return failed")
    end
    server:stop()
    local _, count = server:stderr():gsub("target=/refused/", "")
    assert.equal(2, count)
  end)

  it("leaves by close, and with its tab, which ends its stream at once", function()
    serve()
    for how, leave in pairs { source = function() tab:run "source.close()" end, tab = function() tab = tab:close() end } do
      tab = browser.tab(url "/page")
      tab:run(LISTEN, "/quiet/" .. how)
      tab:await "seen.length === 1"
      leave()
      browser.eventually(how, function() return select(2, server:get("/closed?path=/quiet/" .. how)) == "client_closed" end)
      logs(("close [^\n]*target=/quiet/%s [^\n]*reason=client_closed"):format(how))
      if tab then tab = tab:close() end
    end
  end)

  describe("of another origin", function()
    local one, two
    before_each(function()
      server = process.serve(SHARED, { arguments = { "-l", "127.0.0.1:0", "-l", "127.0.0.1:0" } })
      one, two = ports()
    end)

    -- What the stream at port `two` hears of a page at port `one`.
    local function hear(host, with_cookies)
      tab:run(LISTEN, ("http://%s:%s/who"):format(host, two), with_cookies)
      tab:await "seen.length + failed.length > 0"
      local seen = tab:run "return seen"
      return seen[1] and json.decode(seen[1][3])
    end

    it("sends its cookies to its own, and to another only where it says so", function()
      tab = browser.tab(url("/login", "localhost"))
      assert.equal("", tab:run "return document.cookie") -- no script can read it
      tab:run(LISTEN, "/who")
      tab:await "seen.length > 0"
      assert.equal("ann", json.decode(tab:run "return seen[0][2]").sid)
      tab:run "source.close()"
      local origin = "http://localhost:" .. one
      assert.same({ origin = origin, sid = "ann" }, hear("localhost", true))
      tab:run "source.close()"
      assert.same({ origin = origin }, hear("localhost", false))
    end)

    it("hears nothing where it is not allowed to, and gives up", function()
      tab = browser.tab(url "/")
      assert.is_nil(hear("127.0.0.1", false))
      assert.same({ 2 }, tab:run "return failed")
      assert.is_true(tab:run "return source.readyState === 2")
    end)

    -- What fetch makes of it: status and the first bytes, or the error.
    local FETCH = [[
      window.answer = null
      fetch(arguments[0], { headers: { Authorization: 'Bearer x', 'Last-Event-ID': '7' } })
        .then(async r => { window.answer = { status: r.status, text: new TextDecoder().decode((await r.body.getReader().read()).value) } })
        .catch(e => { window.answer = { error: e.name } })
    ]]
    local function fetch(host, path)
      tab:run(FETCH, ("http://%s:%s%s"):format(host, two, path))
      return tab:await "answer"
    end

    it("fetches with fields of its own, after a preflight, and reads refusals", function()
      tab = browser.tab(url("/", "localhost"))
      local answer = fetch("localhost", "/who")
      assert.equal(200, answer.status)
      process.contains(answer.text, '"after":"7"', '"key":"Bearer x"')
      logs "method=OPTIONS target=/who status=204"
      answer = fetch("localhost", "/secret")
      assert.equal(401, answer.status)
      process.contains(answer.text, "not for you")
      tab:go(url "/")
      assert.same({ error = "TypeError" }, fetch("127.0.0.1", "/who"))
    end)
  end)

  it("loads itself again when what it shows is saved, while it is developed", function()
    local path = directory .. "/page.lua"
    local function save(text, more)
      process.write_file(path, process.PRELUDE .. (more or "") .. ([[
        app:get("/", function() return reply.html "<!doctype html><p>%s</p>" end)
        return app
      ]]):format(text))
    end
    local function shows(text) tab:await(("document.body.innerText.includes('%s')"):format(text)) end
    save "one"
    server = process.serve(path, { command = "dev" })
    tab = browser.tab(url "/")
    shows "one"
    save "two"
    shows "two"
    save("three", "local x = nil + 1\n")
    logs "page.lua:3: attempt to perform arithmetic"
    shows "two"
    save "four"
    shows "four"
  end)
end)
