-- SPDX-License-Identifier: MIT
-- spate dev: what a request shows that failed or found nothing, what answers while the script does not load, and a
-- warning for globals. Nothing of this is loaded by spate serve.
local core = require "spate.core"
local reply = require "spate.reply"
local report = require "spate.report"

local ROUTES_MAX = 100 -- of a 404

local dev = {}

local STYLE = [[
:root { color-scheme: light dark; --line: #ddd; --mark: #fde8e8; --hint: #e8f1fd }
@media (prefers-color-scheme: dark) { :root { --line: #444; --mark: #5a2323; --hint: #1d3350 } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.3rem; overflow-wrap: anywhere }
pre { font: 14px/1.5 ui-monospace, monospace; border: 1px solid var(--line); border-radius: 6px; padding: .7rem; overflow-x: auto }
mark { background: var(--mark); color: inherit; display: block; margin: 0 -.7rem; padding: 0 .7rem }
.hint { background: var(--hint); border-radius: 6px; padding: .5rem .7rem }
.request { opacity: .7 }]]

-- A status behind a text, where other servers take one.
function dev.advise_status(source, value, second)
  local is_status = math.type(second) == "integer" and second >= 100 and second <= 599
  if type(value) ~= "string" or not is_status then return end
  core.log.warn(("%s returned %d as a second value, which nobody takes; reply.text(text, %d) or reply.error(%d, text)"):format(source, second, second, second))
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local function escape(text) return (text:gsub("[&<>\"']", entities)) end

local PAGE = [[
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>%s</title>
<style>%s</style></head>
<body><h1>%s</h1>
<p class="request">%s</p>
%s
</body></html>
]]

local function page(title, request, parts)
  title = escape(title)
  return PAGE:format(title, STYLE, title, escape(request), table.concat(parts, "\n"))
end

-- The excerpt with its line marked; a block of its own needs no line break.
local function marked(excerpt)
  local lines = {}
  for line in excerpt:gmatch("[^\n]+") do
    local is_marked = line:find("^  >")
    lines[#lines + 1] = is_marked and "<mark>" .. escape(line) .. "</mark>" or escape(line) .. "\n"
  end
  return "<pre>" .. table.concat(lines) .. "</pre>"
end

local function html_of(r, request)
  local parts = {}
  if r.excerpt then parts[#parts + 1] = marked(r.excerpt) end
  if r.hint then parts[#parts + 1] = '<p class="hint">' .. escape(r.hint) .. "</p>" end
  if r.rest ~= "" then parts[#parts + 1] = "<pre>" .. escape(r.rest) .. "</pre>" end
  if r.traceback[1] then parts[#parts + 1] = "<pre>" .. escape(table.concat(r.traceback, "\n")) .. "</pre>" end
  return page(r.message, request, parts)
end

-- "html", "json" or "text": what the client asks for by name; anything will do is text.
local function wanted(req)
  local accept = (req.headers.accept or ""):lower()
  return accept:find("text/html", 1, true) and "html" or accept:find("application/json", 1, true) and "json" or "text"
end

local function uncached(r) return r:header("Cache-Control", "no-store") end

-- The 500 that shows a report.
function dev.failed(req, r)
  if not core.shows_errors(req) then return reply.error(500) end
  local kind = wanted(req)
  local line = ("%s %s - 500 %s"):format(req.method == "HEAD" and "GET" or req.method, req.path, core.status_phrase(500))
  if kind == "html" then return uncached(reply.html(html_of(r, line), 500)) end
  if kind == "json" then return uncached(reply.json({ error = r.message, where = r.where, hint = r.hint }, 500)) end
  return uncached(reply.text(report.text(r) .. "\n", 500))
end

local function by_distance(routes, path)
  local list = {}
  for i, route in ipairs(routes) do
    if not route.is_own then
      list[#list + 1] = { name = route.method .. " " .. route.path, where = route.where, d = core.distance(path, route.path), i = i }
    end
  end
  table.sort(list, function(a, b) return a.d < b.d or a.d == b.d and a.i < b.i end)
  return table.move(list, 1, ROUTES_MAX, 1, {})
end

-- The answer where no route matches: those that there are, the nearest first.
function dev.not_found(routes)
  return function(req)
    if not core.shows_errors(req) then return reply.error(404) end
    local kind, list, lines, names = wanted(req), by_distance(routes, req.path), {}, {}
    for i, route in ipairs(list) do lines[i], names[i] = ("%-30s %s"):format(route.name, route.where), route.name end
    local text = lines[1] and table.concat(lines, "\n") or 'the app has no routes; app:get("/", function(req) ... end) makes one'
    if kind == "json" then return reply.json({ error = "no route for " .. tostring(req), routes = names }, 404) end
    if kind == "text" then return reply.text(("no route for %s%s%s\n"):format(req, lines[1] and "; there are:\n" or ": ", text), 404) end
    local parts = { lines[1] and "<p>These there are, the nearest first:</p>" or "", "<pre>" .. escape(text) .. "</pre>" }
    return reply.html(page("no route for " .. tostring(req), "404 " .. core.status_phrase(404), parts), 404)
  end
end

-- A report's text taken apart again.
local function report_of(text)
  local r, excerpt, rest = { traceback = {} }, {}, {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if not r.message then r.message = line
    elseif line:find("^  [> ] +%d+ | ") and #rest == 0 then excerpt[#excerpt + 1] = line
    elseif line:find("^hint: ") and not r.hint then r.hint = line:sub(7)
    else rest[#rest + 1] = line end
  end
  r.excerpt, r.rest = excerpt[1] and table.concat(excerpt, "\n"), table.concat(rest, "\n")
  r.where = r.message:match("^(.-:%d+): ")
  return r
end

-- Installs an app in place of one that does not load: this report is its answer to everything.
function dev.stand_in(text)
  local app, r = require "spate.app", report_of(text)
  local self = app.new()
  self:before(function(req) return dev.failed(req, r) end)
  app.install(self, "the report")
end

local GLOBALS_MAX = 1000 -- names that are remembered

-- Warns once for each new global that is written from now on. Scripts with a metatable of their own are left alone.
local function watch_globals()
  if getmetatable(_G) ~= nil then return end
  local said, count = {}, 0
  setmetatable(_G, { __newindex = function(globals, name, value)
    rawset(globals, name, value)
    if said[name] or count >= GLOBALS_MAX then return end
    said[name], count = true, count + 1
    core.log.warn(("%s: global '%s' written; is a `local` missing?"):format(core.where(), tostring(name)))
  end })
end

local PAGES = { html = true, htm = true, etlua = true, tpl = true, tmpl = true, mustache = true, css = true, js = true, svg = true, md = true }

-- The results of io.NAME; its errors are at the line of the script that called it.
local function pass(name, ok, ...)
  if ok then return ... end
  local message = tostring((...)):gsub("'%?'", "'" .. name .. "'", 1)
  error(message, 2) -- the function that calls this has left by its tail call
end

-- Pages and templates that the application reads by itself: a save of one of them is a save of the application.
local function watch_reads(name)
  local original = io[name]
  rawset(io, name, function(path, ...)
    local mode = ...
    local is_read = mode == nil or mode == "r" or mode == "rb" or name == "lines"
    if type(path) == "string" and is_read and PAGES[path:match("%.(%w+)$")] then core.watch(path) end
    return pass(name, pcall(original, path, ...))
  end)
end

if core.dev then
  watch_reads "open"
  watch_reads "lines"
end

-- Called once the script has returned its app.
function dev.complete(root)
  if core.inject then require("spate.live").add_route(root) end
  watch_globals()
end

return dev
