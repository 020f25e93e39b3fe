-- SPDX-License-Identifier: MIT
-- The pages that `spate new` makes, by keyboard in a real browser: what Tab reaches, in which order and whether that is seen; what Enter and
-- Space do; and that axe finds nothing, light and dark, wide and narrow.
local browser = require "spec.browser"
local clients = require "spec.clients"
local postgres = require "spec.postgres"
local process = require "spec.process"
local servers = require "spec.servers"

local FILE = "spec/e2e_template_pages_spec.lua"
local can_run = browser.is_installed(FILE) and clients.are_installed(FILE)
local it = can_run and it or pending

local AXE = [[return axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) =>
  v.id + ': ' + v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')))]]

-- What has the focus: its name, and whether that is seen.
local FOCUSED = [[
  const e = document.activeElement, look = getComputedStyle(e), box = e.getBoundingClientRect()
  return e === document.body ? null : { name: e.getAttribute('aria-label') || e.textContent.trim(),
    is_seen: look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 1 && box.width > 0 && box.top < innerHeight && box.bottom > 0 }]]

describe("the page of a template", function()
  local directory, database, server, tab

  lazy_setup(function() -- not where all is skipped
    directory = process.enter()
    browser.open(directory)
  end)

  lazy_teardown(function()
    browser.close()
    if database then database:stop() end
    process.leave()
  end)

  after_each(function()
    if tab then tab:close() end
    if server and not server:has_ended() then server:stop() end
    tab, server = nil, nil
  end)

  local function open(path)
    local page = browser.tab(("http://127.0.0.1:%d%s"):format(server.port, path or "/"))
    page:devtools("Emulation.setFocusEmulationEnabled", { enabled = true })
    return page
  end

  -- Makes an application of the template, serves it, and opens its page.
  local function begin(template, path, environment, arguments)
    local made = process.spawn({ "new", template, "-t", template })
    assert.equal(0, made:wait(), made:stderr())
    server = process.serve("app.lua", { command = "dev", dir = directory .. "/" .. template, environment = environment, arguments = arguments })
    tab = open(path)
  end

  local function focused() return (tab:run(FOCUSED) or {}).name end

  -- The names of what Tab reaches from the page's beginning to its end, all of which are seen to have the focus; and back.
  local function reaches(...)
    local expected = { ... }
    tab:run "const first = document.createElement('a'); first.tabIndex = -1; document.body.prepend(first); first.focus({ preventScroll: true }); first.remove()"
    for _, name in ipairs(expected) do
      tab:press "Tab"
      local found = tab:run(FOCUSED) or {}
      assert.same({ name = name, is_seen = true }, found)
    end
    for i = #expected - 1, 1, -1 do
      tab:press "Shift+Tab"
      assert.equal(expected[i], focused())
    end
  end

  local function has_nothing_that_axe_finds()
    tab:run(process.read_file(clients.FOLDER .. "/node_modules/axe-core/axe.min.js"))
    for _, look in ipairs { { 1280, 800, "light" }, { 360, 740, "dark" }, { 1280, 800, "dark" }, { 360, 740, "light" } } do
      tab:look(table.unpack(look))
      assert.same({}, tab:run(AXE), table.concat(look, " "))
      assert.is_true(tab:run "return document.documentElement.scrollWidth <= innerWidth", table.concat(look, " "))
      assert.equal("", tab:run "return [...document.querySelectorAll('p')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent).join()")
    end
  end

  it("chat: Enter says it, and the next can be typed", function()
    begin("chat", "/#lua")
    tab:await "document.getElementById('state').textContent === 'live'"
    assert.equal("Message", focused())
    reaches("Your name", "Message", "Say")
    tab:press("ann", "Tab", "hello", "Enter")
    tab:await "document.getElementById('log').textContent === 'ann: hello'"
    assert.equal("Message", focused())
    tab:press("again", "Tab", "Space")
    tab:await "document.getElementById('log').children.length === 2"
    has_nothing_that_axe_finds()
  end)

  it("htmx: is read without a key", function()
    begin "htmx"
    reaches()
    local client = server:connect("POST /news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\na < b")
    process.read_until(client, "202")
    client:close()
    tab:await "document.querySelector('li')?.textContent === 'a < b'"
    has_nothing_that_axe_finds()
  end)

  it("agent: Enter sends, Stop is reached while it answers, and the focus is not lost behind it", function()
    local port = servers.free_port()
    begin("agent", "/", ("LLM_URL=http://localhost:%d/demo/v1"):format(port), { "-l", "localhost:" .. port })
    assert.equal("Message", focused())
    reaches("Message", "Send")
    tab:press("6 * 7", "Enter")
    tab:await "document.querySelector('.tool') && document.getElementById('stop').disabled && document.getElementById('log').textContent.includes('42')"
    assert.equal("Message", focused())
    has_nothing_that_axe_finds()
    tab:press("tell me about the weather, and all that you know of it", "Enter")
    tab:await "!document.getElementById('stop').disabled"
    tab:press("Tab", "Tab")
    local name = focused()
    if name == "Stop" then tab:press "Space" end -- else the answer was the faster
    tab:await "document.getElementById('stop').disabled"
    tab:run "document.getElementById('stop').disabled = false; document.getElementById('stop').focus()"
    tab:press "Enter"
    assert.equal("Message", focused())
  end)

  it("mcp: what a client needs can be reached", function()
    begin "mcp"
    tab:await "document.querySelectorAll('dt').length > 0 && document.getElementById('state').textContent === 'live'"
    reaches "Settings of a client"
    has_nothing_that_axe_finds()
  end)

  it("jobs: a job is started and stopped, and the focus stays with it", function()
    begin "jobs"
    tab:await "document.querySelectorAll('li').length === 3"
    reaches("Start Count to ten", "Start Disk space", "Start Once a night", "Lines")
    tab:press "Enter"
    tab:await "document.getElementById('lines').textContent.includes('count: step 1')"
    tab:await "document.activeElement.getAttribute('aria-label') === 'Stop Count to ten'"
    has_nothing_that_axe_finds()
    tab:press "Space"
    tab:await "document.activeElement.getAttribute('aria-label') === 'Start Count to ten'"
  end)

  it("presence: Enter joins, and what is typed is seen by others", function()
    begin "presence"
    assert.equal("Your name", focused())
    reaches("Your name", "Join")
    has_nothing_that_axe_finds()
    tab:press("ann", "Enter")
    tab:await "document.querySelector('li')?.textContent === 'ann (you)'"
    reaches "What all of you write"
    tab:press("hello")
    local other = open()
    other:await "document.activeElement.id === 'user'"
    other:press("bob", "Enter")
    other:await "document.getElementById('text').value === 'hello'"
    other:await "document.querySelectorAll('li').length === 2"
    other:close()
    has_nothing_that_axe_finds()
  end)

  it("hub: Enter sets a price, and the hub tells of it", function()
    begin "hub"
    tab:await "document.querySelectorAll('li').length === 2 && document.getElementById('state').textContent === 'live'"
    reaches("Price of The Left Hand of Darkness", "Set the price of The Left Hand of Darkness", "Price of Solaris", "Set the price of Solaris", "Updates")
    tab:run "document.querySelectorAll('li input')[1].focus()"
    tab:run "document.activeElement.select()"
    tab:press("12.5", "Enter")
    tab:await "document.getElementById('log').textContent.includes('12.5')"
    assert.equal("Price of Solaris", focused())
    tab:press("Tab", "Space")
    tab:await "document.getElementById('log').textContent.split('12.5').length === 3"
    has_nothing_that_axe_finds()
  end)

  local with_postgres = can_run and postgres.is_there() and it or pending
  with_postgres("livetable: says what it needs without a database; Enter changes a row, and the focus stays", function()
    begin("livetable", "/", "DATABASE=postgres://localhost:1/none")
    tab:await "document.getElementById('state').textContent.includes('DATABASE=postgres://')"
    has_nothing_that_axe_finds()
    tab:close()
    server:stop()
    database = postgres.new()
    server = process.serve("app.lua", { command = "dev", dir = directory .. "/livetable", environment = "DATABASE=" .. process.quote(database:conninfo()) })
    tab = open()
    tab:await "document.querySelectorAll('tbody tr').length === 3 && document.getElementById('state').textContent === 'live'"
    reaches("cake less", "cake more", "coffee less", "coffee more", "tea less", "tea more")
    tab:run "document.querySelector('button').focus()"
    tab:press("Enter", "Space")
    tab:await "document.querySelector('tbody tr').cells[1].textContent === '1'"
    assert.equal("cake less", focused())
    has_nothing_that_axe_finds()
  end)
end)
