-- SPDX-License-Identifier: MIT
-- An error as a person reads it: the message, the lines of the file around it, a hint, and those functions of the
-- traceback that a user wrote. Needs no other module at load, so that whichever state failed can make one.

-- Taken while they are Lua's own: a script may put others in their place.
local open, searchpath, loaded = io.open, package.searchpath, package.loaded

local CONTEXT = 2 -- lines of the file before and after
local LINE_MAX, FILE_LINES_MAX = 200, 200000

local report = {}

-- Modules that are asked for most, and Debian's packages of them.
local PACKAGES = {
  argparse = "lua-argparse", cjson = "lua-cjson", cqueues = "lua-cqueues", curl = "lua-curl", cURL = "lua-curl", dbi = "lua-dbi-common",
  dkjson = "lua-dkjson", http = "lua-http", iconv = "lua-iconv", inspect = "lua-inspect", lfs = "lua-filesystem", lpeg = "lua-lpeg",
  ltn12 = "lua-socket", luasql = "lua-sql-sqlite3", lxp = "lua-expat", lyaml = "lua-yaml", md5 = "lua-md5", mime = "lua-socket",
  openssl = "lua-luaossl", pl = "lua-penlight", posix = "lua-posix", redis = "lua-redis", socket = "lua-socket",
  ["luasql.mysql"] = "lua-sql-mysql", ["luasql.postgres"] = "lua-sql-postgres", lsqlite3 = "lua-sql-sqlite3", sqlite3 = "lua-sql-sqlite3",
  ssl = "lua-sec", zip = "lua-zip", zlib = "lua-zlib",
}

local function module_hint(message)
  local name = message:match("module '([^']+)' not found:")
  if not name then return nil end
  local package_name = PACKAGES[name] or PACKAGES[name:match("^[^.]*")]
  local where = "modules are looked for beside the script, then on LUA_PATH; "
  if not package_name then return where .. "Debian's are packages named lua-NAME" end
  local json = name:find("json") and "; spate.json needs no package" or ""
  return ("%sDebian has this one in %s: apt install %s%s"):format(where, package_name, package_name, json)
end

-- Names of functions in these tables; none where the one that was written is among them, and so another's.
local function names_in(tables, written)
  local names = {}
  for _, each in ipairs(tables) do
    if each[written] then return {} end
    for name, value in pairs(each) do
      if type(name) == "string" and type(value) == "function" and not name:find("^_") then names[#names + 1] = name end
    end
  end
  table.sort(names)
  return names
end

local function nearest_hint(written, names, otherwise)
  local core = loaded["spate.core"] -- not in a state that only reads the command line
  local close = core and core.nearest(written, names)
  return close and ("did you mean '%s'?"):format(close) or otherwise
end

-- The word before `name` in the line, and its mark: "req" of "return req:bdy()".
local function holder_of(name, mark, marked)
  return (marked or ""):match("%f[%w_]([%w_]+)%s*" .. mark .. "%s*" .. name:gsub("%W", "%%%0") .. "%f[^%w_]")
end

local function modules_named(holder)
  local core = loaded["spate.core"]
  if holder == "log" and core then return { core.log } end
  local one = loaded["spate." .. (holder or "")] or loaded[holder or ""]
  if type(one) == "table" then return { one } end
  return { loaded["spate"] or {}, loaded["spate.sse"] or {}, loaded["spate.json"] or {}, loaded["spate.reply"] or {}, core and core.log }
end

-- What others call it.
local FUNCTIONS_OF_OTHERS = { parse = "decode", loads = "decode", stringify = "encode", dumps = "encode" }

local function field_hint(message, marked)
  local name = message:match("%(field '([^']*)'") or ""
  local holder = holder_of(name, "%.", marked)
  if holder == "json" and FUNCTIONS_OF_OTHERS[name] then return ("did you mean '%s'?"):format(FUNCTIONS_OF_OTHERS[name]) end
  return nearest_hint(name, names_in(modules_named(holder), name), "that function does not exist: check its name against README's API")
end

local REQUEST_FIELDS = { "method", "path", "route", "host", "scheme", "tls", "url", "last_event_id", "closed", "remote_addr", "id", "trace_id",
  "params", "query", "headers", "cookies", "ctx", "session" }

-- A field of a request that is indexed and is not there, such as req.querry.a.
local function request_field_hint(message, marked)
  local name = message:match("%(field '([^']*)'") or ""
  return holder_of(name, "%.", marked) == "req" and nearest_hint(name, REQUEST_FIELDS) or nil
end

-- A table that is called, such as req.query("a").
local function table_hint(message, marked)
  local name = message:match("%(%a+ '([^']*)'") or ""
  if name == "log" then return 'spate.log is a table: spate.log.info "text"' end
  local is_field = name == "params" or name == "query" or name == "headers" or name == "cookies"
  return is_field and holder_of(name, "[.:]", marked) == "req" and ("req.%s is a table: req.%s.name"):format(name, name) or nil
end

local SERVES = "the script ends with `return app`; spate dev serves it, at an address of yours with -l HOST:PORT"
local PUBLISHES = "channel:publish(event) sends to all who have subscribed"
local READS_BODY = "req:body() and req:json() read the body"

-- Methods of other servers' objects, and where theirs is here.
local METHODS_OF_OTHERS = { listen = SERVES, run = SERVES, serve = SERVES, start = SERVES, send = PUBLISHES, broadcast = PUBLISHES, emit = PUBLISHES,
  json = "event:json_data(value) sets what an event says; a table that a handler returns is JSON" }
local OF_REQUEST = {
  header = 'req.headers["X-A"] is a field of the request; answer:header(name, value) sets one of the answer',
  param = "req.params.id is a part of the path, req.query.id one of the query", text = READS_BODY,
}

local function all_methods()
  local core, sse, app = loaded["spate.core"], loaded["spate.sse"], loaded["spate.app"]
  if not (core and sse and app) then return {} end
  return { app.App, core.request_methods, loaded["spate.reply"].Reply, sse.Stream, getmetatable(core.event()).__index,
    getmetatable(sse.keep_alive()), core.Channel or {}, loaded["spate.form"].File, core.shared_methods }
end

local function method_hint(message, marked)
  local name = message:match("%(method '([^']*)'") or ""
  local holder, core, app = holder_of(name, ":", marked), loaded["spate.core"], loaded["spate.app"]
  local of_others = holder == "req" and OF_REQUEST[name] or METHODS_OF_OTHERS[name]
  if of_others then return of_others end
  if holder == "redis" then return ('redis:command("%s", ...) asks by any command'):format(name:upper()) end
  local tables = core and app and (holder == "req" and { core.request_methods } or holder == "app" and { app.App }) or all_methods()
  return nearest_hint(name, names_in(tables, name), "that method does not exist: check its name against README's API")
end

local function global_hint(message)
  if message:find("'send'", 1, true) then return "send is what sse.reply(function(send) ... end) hands to its function" end
  return 'functions of the library come from require "spate" and require "spate.sse"'
end

local MODULES = { sse = true, spate = true, json = true, reply = true, log = true }

-- A module's function that is called as a method gets the module in place of its argument.
local function dot_hint(message, marked)
  if not marked or not (message:find(", got table", 1, true) or message:find("expected a table of fields", 1, true)) then return nil end
  for module, name in marked:gmatch("%f[%w_](%l+):([%w_]+)") do
    if MODULES[module] then return ("write %s.%s(...), with a dot: %s is a module"):format(module, name, module) end
  end
end

local COLON = "object:method(...) hands the object to its method, object.method(...) does not"

-- Parts of messages, the telling ones first.
local HINTS = {
  { "(global 'io')", "a settings file is read without io and os" },
  { "(global 'os')", "a settings file is read without io and os" },
  { "attempt to call a nil value (method", method_hint },
  { "attempt to call a nil value (field", field_hint },
  { "attempt to call a nil value (global", global_hint },
  { "attempt to call a table value", table_hint },
  { "attempt to index a spate.shared value", "dictionary:set(name, value) sets, dictionary:get(name) gets" },
  { "attempt to index a function value (field 'body')", READS_BODY },
  { "attempt to index a nil value (field", request_field_hint },
  { "attempt to index a nil value (global", "is a `local name = require ...` missing at the top?" },
  { "end it with `return app`", "the last line of the script is `return app`" },
  { "<eof> expected near", "an `end` too many, or something behind `return`: nothing may follow it" },
  { "<eof>", "something that begins above this line has no end: a function, an if, a loop or a bracket" },
  { " (to close '", "what begins at that line has no end, or lacks a comma" },
  { "error loading module", "that module's file is not Lua" },
  { "' not found:", module_hint },
  { ", column ", nil }, -- JSON's complaints, which are not Lua's
  { " near '", "Lua cannot read this line; the mistake may be at the end of the one before" },
  { "nothing can wait while the script is loaded", "app:on_start(function() ... end) runs once the server does" },
  { "cannot wait inside a coroutine of your own", "for value in sse.wrap(fn) do ... end: what fn waits for, the task around it waits for" },
  { "which calls back from C", "wait before the call, keep the result in a local, and use that in the function you hand over" },
  { "cannot wait inside", "wait in the handler, in a stream function or in sse.spawn(function() ... end)" },
  { "write it with a colon", COLON }, { ", with a colon", COLON },
  { "did you forget `return next()`?", "middleware ends with `return next()`, or with a reply of its own" },
  { "did you forget `return`?", "a handler ends with `return` and its answer: a text, a table, a reply or sse.reply(...)" },
  { "unknown event field", "an event has event, data, json, id, retry and comment" },
  { "expected seconds", "durations are seconds; 0.25 is a quarter of one" },
}

-- What to do about it, or nil. `marked` is the line of the script where it happened, if it is known.
function report.hint_of(message, marked)
  local hint = dot_hint(message, marked)
  if hint then return hint end
  for _, row in ipairs(HINTS) do
    if message:find(row[1], 1, true) then
      if type(row[2]) == "function" then return row[2](message, marked) end
      return row[2]
    end
  end
end

-- Lua writes "...tail" for a path of more than 60 bytes.
local function whole_path(path)
  if path:sub(1, 3) ~= "..." then return path end
  local tail = path:sub(4)
  local function ends_so(other) return other and #other >= #tail and other:sub(-#tail) == tail end
  if ends_so(report.app) then return report.app end
  for name in pairs(loaded) do
    local found = type(name) == "string" and type(package.path) == "string" and searchpath(name, package.path)
    if ends_so(found) then return found end
  end
  return path
end

local function marked_line(n, text, is_marked)
  text = text:gsub("\r$", "")
  if #text > LINE_MAX then text = text:sub(1, LINE_MAX):gsub("[\128-\255]*$", "") .. "..." end
  return ("  %s %4d | %s"):format(is_marked and ">" or " ", n, text)
end

-- The file's lines around this one, which is marked; nil where there are none.
function report.excerpt(path, line)
  local f <close> = line > 0 and line <= FILE_LINES_MAX and open(whole_path(path)) or nil
  if not f then return nil end
  local lines = {}
  for n = 1, line + CONTEXT do
    local text = f:read("l")
    if not text then break end
    if n >= line - CONTEXT then lines[#lines + 1] = marked_line(n, text, n == line) end
  end
  return lines[1] and table.concat(lines, "\n")
end

-- The number of the file's last line; nil where it cannot be read.
local function last_line(path)
  local f <close> = open(path)
  local n = 0
  while f and n < FILE_LINES_MAX and f:read("l") do n = n + 1 end
  return n > 0 and n or nil
end

-- "path:12: what" first; else a place that the message names; else the one given: path, line.
local function position_of(message, otherwise)
  local path, line = message:match("^([^\n]-):(%d+): ")
  if not path then path, line = message:match("[%( ]([^%s%(]+):(%d+)%f[%D][^\n]* returned") end
  if not path and otherwise then path, line = otherwise:match("^(.*):(%d+)$") end
  return path, tonumber(line)
end

local TRACEBACK = "\nstack traceback:"

-- The message of a module that cannot be read begins with the place.
local function turned(message)
  local name, what = message:match("^error loading module '([^\n]-)' from file '[^\n]-':\n\t([^\n]*)")
  return name and ("%s (in module '%s')"):format(what, name) or message
end

-- Takes a message with its traceback apart: { message, rest (lines that follow it), where, path, line, excerpt, hint,
-- traceback (a list) }. `otherwise` is the "file:line" of what failed, for messages without.
function report.of(text, otherwise)
  local at = text:find(TRACEBACK, 1, true)
  local message, frames = turned(at and text:sub(1, at - 1) or text), {}
  for frame in (at and text:sub(at + #TRACEBACK) or ""):gmatch("\n\t([^\n]*)") do frames[#frames + 1] = frame end
  local path, line = position_of(message, otherwise)
  if not path and report.app and message:sub(1, #report.app + 2) == report.app .. ": " then -- the script as a whole
    path, line = report.app, last_line(report.app)
    if line then message = ("%s:%d%s"):format(path, line, message:sub(#path + 1)) end
  end
  local first, rest = message:match("^([^\n]*)\n?(.*)$")
  local where, excerpt = line and ("%s:%d"):format(path, line), line and report.excerpt(path, line)
  if excerpt and #frames == 1 and frames[1]:sub(1, #where) == where then frames = {} end -- the excerpt shows it
  return {
    message = first, rest = rest, path = path, line = line, where = where, excerpt = excerpt,
    hint = report.hint_of(message, excerpt and excerpt:match("  > ([^\n]*)")), traceback = frames,
  }
end

-- A report as text: its first line is the message.
function report.text(r)
  local parts = { r.message }
  if r.excerpt then parts[#parts + 1] = r.excerpt end
  if r.hint then parts[#parts + 1] = "hint: " .. r.hint end
  if r.rest ~= "" then parts[#parts + 1] = r.rest end
  if r.traceback[1] then parts[#parts + 1] = "stack traceback:\n\t" .. table.concat(r.traceback, "\n\t") end
  return table.concat(parts, "\n")
end

-- What loading the script has to say. The excerpt shows what a traceback of one line would.
function report.of_loading(text, app)
  report.app = app
  return report.text(report.of(text))
end

-- An error for the log: as it is, and in spate dev with excerpt and hint.
function report.logged(text, otherwise)
  local core = loaded["spate.core"]
  return core and core.dev and report.text(report.of(text, otherwise)) or text
end

return report
