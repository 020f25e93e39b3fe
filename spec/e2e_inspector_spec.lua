-- SPDX-License-Identifier: MIT
-- The inspector's page in a real browser: what it shows and does, by keyboard too, and that axe finds nothing in it.
local browser = require "spec.browser"
local clients = require "spec.clients"
local process = require "spec.process"

local FILE = "spec/e2e_inspector_spec.lua"
local can_run = browser.is_installed(FILE) and clients.are_installed(FILE)
local it = can_run and it or pending

local APP = [[
local news = sse.channel("news", { history = 50 })
app:get("/news/:user", function(req)
  req:tag("user:" .. req.params.user)
  return sse.reply(news:subscribe())
end)
app:get("/wait", function() return sse.reply(function(send) send "hello" sse.sleep(1000) end) end)
app:get("/broken", function() local t = nil return t.x end)]]

local MANY = "for i = 1, 1120 do sse.channel(('many%04d'):format(i)) end\n"

local VIEWS = { "overview", "streams", "channels", "channel/news", "tasks", "upstreams", "log" }

describe("the inspector's page", function()
  local server, tab, origin

  lazy_setup(function() -- not where all is skipped
    local directory = process.enter()
    browser.open(directory)
    server = process.serve(MANY .. APP, { arguments = { "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0" } })
    origin = process.eventually("the inspector's address", function() return server:stdout():match "inspector on (http://127%.0%.0%.1:%d+)\n" end)
    tab = browser.tab(origin .. "/")
    tab:run "window.refused = []; addEventListener('securitypolicyviolation', (e) => refused.push(e.violatedDirective + ' ' + e.blockedURI))"
    tab:run(process.read_file(clients.FOLDER .. "/node_modules/axe-core/axe.min.js"))
  end)

  lazy_teardown(function()
    browser.close()
    process.leave()
  end)

  local function stream(target)
    local client = server:ask(target)
    process.read_until(client, "\r\n\r\n")
    return client
  end

  local function press(key, text)
    for _, type in ipairs { "keyDown", "keyUp" } do
      tab:devtools("Input.dispatchKeyEvent", { type = type, key = key, text = type == "keyDown" and text or nil })
    end
  end

  local function open(name)
    tab:run("location.hash = arguments[0]; document.activeElement.blur()", "#" .. name)
    tab:await(("document.title !== '' && location.hash === '#%s'"):format(name))
  end

  local ROWS = "[...document.querySelectorAll('main tbody tr')].map((tr) => tr.textContent)"

  it("shows what there is, as it comes", function()
    local first, second = stream "/news/ann", stream "/wait"
    tab:await "document.querySelector('#state').textContent === 'serving'"
    tab:await "document.querySelector('#to-streams .n').textContent === '2'"
    tab:await "document.querySelectorAll('.tile path.area[d]').length === 8"
    open "streams"
    tab:await(ROWS .. ".filter((t) => t.includes('/news/ann') && t.includes('user:ann')).length === 1")
    local third = stream "/news/bob"
    tab:await(ROWS .. ".length === 3")
    tab:run "const e = document.querySelector('#filter'); e.value = 'bob'; e.dispatchEvent(new Event('input'))"
    tab:await(ROWS .. ".length === 1")
    tab:run "const e = document.querySelector('#filter'); e.value = ''; e.dispatchEvent(new Event('input'))"
    tab:await(ROWS .. ".length === 3")
    open "channels"
    tab:await(ROWS .. ".some((t) => t.includes('news') && t.includes('live'))")
    open "tasks"
    tab:await(ROWS .. ".some((t) => t.includes('app.lua:9') && t.includes('GET /wait'))")
    open "log"
    tab:await "[...document.querySelectorAll('.lines .line')].some((li) => li.textContent.includes('target=/news/bob'))"
    for _, client in ipairs { first, second, third } do client:close() end
  end)

  it("kicks a stream, a tag and a channel", function()
    local ann, bob, eve = stream "/news/ann", stream "/news/bob", stream "/news/eve"
    local function confirm(reason)
      tab:await "document.querySelector('#ask').open"
      tab:run("document.querySelector('#ask input').value = arguments[0]; document.querySelector('#ask form').requestSubmit()", reason)
      tab:await "!document.querySelector('#ask').open"
    end
    open "streams"
    tab:await(ROWS .. ".filter((t) => t.includes('/news/')).length === 3")
    tab:run "[...document.querySelectorAll('main tbody tr')].find((tr) => tr.textContent.includes('/news/ann')).querySelector('.danger').click()"
    confirm "one"
    process.contains(process.read_until(ann, "data: one\n"), "event: kick")
    tab:run "[...document.querySelectorAll('.chip')].find((b) => b.textContent === 'user:bob').click()"
    tab:await "[...document.querySelectorAll('.tools .danger')].some((b) => b.textContent === 'Kick all of user:bob' && !b.hidden)"
    tab:run "document.querySelector('.tools .danger').click()"
    confirm "two"
    process.contains(process.read_until(bob, "data: two\n"), "event: kick")
    tab:run "const e = document.querySelectorAll('.tools input')[1]; e.value = ''; e.dispatchEvent(new Event('input'))"
    tab:await(ROWS .. ".some((t) => t.includes('/news/eve'))")
    open "channel/news"
    tab:await "document.querySelector('aside > .danger')"
    tab:run "document.querySelector('aside > .danger').click()"
    confirm "three"
    process.contains(process.read_until(eve, "data: three\n"), "event: kick")
    server:says "kicked from the inspector"
  end)

  it("pages through all that there is", function()
    local function press_button(name) tab:run("[...document.querySelectorAll('.pager button')].find((b) => b.textContent === arguments[0]).click()", name) end
    local PAGE = "document.querySelector('.pager span').textContent"
    open "channels"
    tab:run "const e = document.querySelector('#filter'); e.value = 'many'; e.dispatchEvent(new Event('input'))"
    tab:await(PAGE .. " === '1 – 50 of 1,120'")
    press_button "Next"
    tab:await(PAGE .. " === '51 – 100 of 1,120'")
    press_button "Last"
    tab:await(PAGE .. " === '1,101 – 1,120 of 1,120'")
    tab:await(ROWS .. ".length === 20")
    press_button "Previous"
    tab:await(PAGE .. " === '1,051 – 1,100 of 1,120'")
    tab:await(ROWS .. ".some((t) => t.includes('many1100'))")
    press_button "First"
    tab:await(PAGE .. " === '1 – 50 of 1,120'")
    tab:run "const e = document.querySelector('#filter'); e.value = ''; e.dispatchEvent(new Event('input'))"
    tab:await(PAGE .. " === '1 – 50 of 1,121'")
  end)

  it("shows an entry of the log whole, also by its level", function()
    server:ask("/broken"):close()
    open "log"
    tab:await "[...document.querySelectorAll('.lines .line')].some((li) => li.textContent.includes('stack traceback:'))"
    tab:run "const e = document.querySelector('.tools select'); e.value = '3'; e.dispatchEvent(new Event('change'))"
    tab:await("[...document.querySelectorAll('.lines .line:not([hidden])')].some((li) => / error /.test(li.textContent) && li.textContent.includes('stack traceback:'))")
    tab:run "const e = document.querySelector('.tools select'); e.value = ''; e.dispatchEvent(new Event('change'))"
  end)

  it("follows a channel, and publishes to it", function()
    open "channel/news"
    tab:await "document.querySelector('main form')"
    local reader = stream "/news/ann"
    tab:run "document.querySelector('textarea').value = 'a < b\\nsecond'; document.querySelector('main form input').value = 'note'; document.querySelector('main form').requestSubmit()"
    tab:await "[...document.querySelectorAll('.lines .line')].some((li) => li.textContent.includes('a < b\\nsecond') && li.querySelector('b').textContent === 'note')"
    process.contains(process.read_until(reader, "data: second\n"), "event: note\n")
    reader:close()
  end)

  it("goes on where the address is none of its own", function()
    tab:run "window.raised = []; addEventListener('error', (e) => raised.push(e.message))"
    open "log"
    open "constructor"
    tab:await "document.querySelector('#to-overview').getAttribute('aria-current') === 'page'"
    open "channel/%zz"
    tab:await "document.querySelector('.crumb b').textContent === '%zz'"
    assert.same({}, tab:run "return raised")
  end)

  it("goes by keyboard", function()
    open "overview"
    press("2", "2")
    tab:await "location.hash === '#streams' && document.querySelector('#to-streams').getAttribute('aria-current') === 'page'"
    press("/", "/")
    tab:await "document.activeElement.id === 'filter'"
    press("3", "3") -- is text there
    tab:await "document.activeElement.value === '3'"
    tab:run "const e = document.activeElement; e.value = ''; e.dispatchEvent(new Event('input')); e.blur()"
    press("p", "p")
    tab:await "document.querySelector('#state').textContent === 'paused' && document.querySelector('#pause').getAttribute('aria-pressed') === 'true'"
    press("p", "p")
    tab:await "document.querySelector('#state').textContent === 'serving'"
    press("6", "6")
    tab:await "location.hash === '#log'"
  end)

  it("has nothing that axe finds, light and dark, wide and narrow, with a question open as well", function()
    local client, other = stream "/news/ann", stream "/wait"
    local CHECK = [[return axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) =>
      v.id + ': ' + v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(', ')))]]
    for i, look in ipairs { { 1280, 800, "light" }, { 360, 740, "dark" }, { 1280, 800, "dark" }, { 360, 740, "light" } } do
      tab:look(table.unpack(look))
      for _, name in ipairs(i < 3 and VIEWS or { "streams" }) do
        open(name)
        tab:await "document.querySelector('.view').childElementCount > 0 && document.querySelector('#state').textContent === 'serving'"
        if name == "streams" then tab:await "document.querySelector('td .danger')" end
        assert.same({}, tab:run(CHECK), name .. " " .. table.concat(look, " "))
        local wide = tab:run "return document.documentElement.scrollWidth - innerWidth"
        assert.is_true(wide <= 0, ("%s is %d wider than %d"):format(name, wide, look[1]))
      end
    end
    open "streams"
    tab:await "document.querySelector('td .danger')"
    tab:run "document.querySelector('td .danger').click()"
    assert.same({}, tab:run(CHECK))
    tab:run "document.querySelector('#ask').close()"
    client:close()
    other:close()
  end)

  it("has asked for nothing from elsewhere, and for nothing that its policy refuses", function()
    assert.same({}, tab:run "return refused")
    for _, name in ipairs(tab:run "return performance.getEntriesByType('resource').map((e) => e.name)") do
      assert.equal(origin .. "/", name:sub(1, #origin + 1))
    end
  end)

  it("says that the server has gone", function()
    server:kill "TERM"
    server:wait()
    tab:await "document.querySelector('#state').textContent === 'not connected'"
  end)
end)
