-- SPDX-License-Identifier: MIT
-- What a browser's EventSource is to make of a stream (HTML 9.2), in Chromium and in Firefox: over HTTP/1.1, over TLS and over HTTP/2.
-- Each case is a body that comes as it is, and what the page hears of it.
local browser = require "spec.browser"
local certificates = require "spec.certificates"
local firefox = require "spec.firefox"
local helper = require "spec.helper"
local process = require "spec.process"

local APP = [[
local TYPE = "text/event-stream"
local function refuse(status) return function() return reply.status(status) end end
app:get("/", function() return reply.html "<p>page" end)
app:get("/raw", function(req) return reply.body(req.query.bytes, req.query.type or TYPE) end)
app:get("/none", refuse(204))
app:get("/fails", refuse(500))
app:get("/missing", refuse(404))
app:get("/moved", function() return reply.redirect("/raw?bytes=data:moved%0A%0A", 307) end)
app:get("/head", function(req)
  return sse.reply(sse.once(req.headers.accept .. " " .. req.headers["cache-control"] .. " " .. (req.headers["last-event-id"] or "none")))
end)
app:get("/again", function(req)
  local last = req.headers["last-event-id"]
  return reply.body(("retry: 10\nid: %d\ndata: %s\n\n"):format((tonumber(last) or 0) + 1, last or "first"), TYPE)
end)
app:get("/forgets", function(req)
  local last = req.headers["last-event-id"]
  return reply.body("retry: 10\nid: 1\ndata: " .. (last or "none") .. "\n\nid\ndata: " .. (last or "none") .. "\n\n", TYPE)
end)
app:get("/ticks", function() return sse.reply(sse.interval(0.02)) end)
app:get("/named", function() return sse.reply(sse.from { sse.event():event("a"):data("x\ny"):id("7"), sse.event():data("z") }) end)
app:get("/zipped", function() return sse.reply(sse.interval(0.02, function(n) return ("event %d "):format(n):rep(50) end), { compress = true }) end)
app:get("/open", function() return tostring(spate.stats().streams) end)
]]

-- Path or body, what is heard, and by whom not: data, or type:data#id; "error:2" is the end of it (CLOSED), "error:0" that it connects again.
local CASES = {
  { "lines of data", "data:a\ndata: b\ndata:  c\n\n", { "a\nb\n c" } },
  { "line ends of each kind", "data:a\r\ndata:b\ndata:c\r\rdata:d\n\n", { "a\nb\nc", "d" } },
  { "data without a colon", "data\n\ndata\ndata\n\ndata:x\n\n", { "", "\n", "x" } },
  { "an event that is not ended", "data:a\n\ndata:b\n", { "a", "error:0" } },
  { "comments and unknown fields", ":\n:x\ndata:a\nsmile:y\n data:n\nDATA:n\ndata :n\ndata:b\n\n", { "a\nb" } },
  { "a mark of the byte order", "\xef\xbb\xbfdata:a\n\n\xef\xbb\xbfdata:b\n\ndata:c\n\n", { "a", "c" } },
  { "a type, and an empty one", "event:b\ndata:x\n\nevent:\ndata:y\n\ndata:z\n\n", { "b:x", "y", "z" } },
  { "ids that stay", "id:1\ndata:a\n\ndata:b\n\nid\ndata:c\n\n", { "a#1", "b#1", "c" } },
  { "an id with a NUL", "id:1\ndata:a\n\nid:2\0\ndata:b\n\n", { "a#1", "b#1" }, "Firefox" }, -- which leaves out the whole event
  { "text beyond ASCII", "data: ö日\240\159\152\128\n\n", { "ö日😀" } },
  { "a field of nothing", "event:x\n\ndata:a\n\n", { "a" } },
  { "/none", false, { "error:2" } },
  { "/fails", false, { "error:2" } },
  { "/missing", false, { "error:2" } },
  { "/raw?type=text/plain&bytes=data:x%0A%0A", false, { "error:2" } },
  { "/moved", false, { "moved" } },
  { "/head", false, { "text/event-stream no-cache none" } },
  { "/again", false, { "first#1", "error:0", "1#2", "error:0", "2#3" } },
  { "/forgets", false, { "none#1", "none", "error:0", "none#1" } },
  { "/named", false, { "a:x\ny#7", "z#7" } },
  { "/ticks", false, { "1", "2", "3" } },
  { "/zipped", false, { ("event 1 "):rep(50), ("event 2 "):rep(50), ("event 3 "):rep(50) } },
}

local LISTEN = [[
window.results = []
for (const [path, wanted] of arguments[0]) {
  const heard = [], source = new EventSource(path)
  const note = text => {
    if (heard.length < wanted) heard.push(text)
    if (heard.length === wanted) { source.close(); setTimeout(() => window.results.push([path, heard])) }
  }
  for (const type of ["message", "a", "b", "x"])
    source.addEventListener(type, event => note((type === "message" ? "" : type + ":") + event.data + (event.lastEventId ? "#" + event.lastEventId : "")))
  source.onerror = () => note("error:" + source.readyState)
}
]]

local function escaped(text) return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end)) end

describe("an EventSource", function()
  local FILE = "spec/e2e_eventsource_spec.lua"
  local directory, ways

  before_each(function()
    directory = process.enter()
    certificates.make(directory, "a", { names = { "DNS:localhost", "IP:127.0.0.1" } })
    local function serve(http2, address)
      return process.serve(APP, {
        settings = ("{ tls = { cert = %q, key = %q }, http2 = %s }"):format(directory .. "/a.pem", directory .. "/a.key", http2),
        arguments = { "-l", address },
      })
    end
    ways = { ["http/1.1"] = serve(true, "127.0.0.1:0"), ["http/1.1 by TLS"] = serve(false, "https://127.0.0.1:0") }
    if helper.harness.hpack then ways.h2 = serve(true, "https://127.0.0.1:0") end
  end)

  after_each(process.leave)

  -- Goes through all cases on a page of the server, some at a time: of HTTP/1.1 a browser opens six connections.
  local function listen(page, way, who)
    assert.equal(way:match "^%S+", page:run 'return performance.getEntriesByType("navigation")[0].nextHopProtocol')
    local asked, expected = {}, {}
    for _, case in ipairs(CASES) do
      local path = case[2] and "/raw?bytes=" .. escaped(case[2]) or case[1]
      expected[path] = case
      if case[4] ~= who then asked[#asked + 1] = helper.json.array { path, #case[3] } end
    end
    for from = 1, #asked, 3 do
      local some = helper.json.array { table.unpack(asked, from, math.min(from + 2, #asked)) }
      page:run(LISTEN, some)
      page:await(("window.results.length === %d"):format(#some))
      for _, result in ipairs(page:run "return window.results") do
        local case = expected[result[1]]
        assert.same(case[3], result[2], way .. ": " .. case[1])
      end
    end
  end

  local function stop()
    for _, server in pairs(ways) do server:stop() end
  end

  local in_chromium = browser.is_installed(FILE) and it or pending
  in_chromium("of Chromium hears what it should by HTTP/1.1, by TLS and by HTTP/2", function()
    browser.open(directory, { "--ignore-certificate-errors" })
    finally(browser.close)
    for way, server in pairs(ways) do
      local tab = browser.tab(server.addresses[1] .. "/")
      listen(tab, way, "Chromium")
      tab:close()
    end
    stop()
  end)

  local in_firefox = firefox.is_installed(FILE) and it or pending
  in_firefox("of Firefox hears the same", function()
    local page = firefox.open(directory)
    finally(function() page:close() end)
    for way, server in pairs(ways) do
      page:go(server.addresses[1] .. "/")
      listen(page, way, "Firefox")
    end
    page:go "about:blank"
    stop()
  end)
end)
