-- SPDX-License-Identifier: MIT
-- What spate top does once it knows where to ask, in a task: it asks, draws, and obeys keys. What it shows is in
-- spate.cli.screen_views. The terminal is in a mode of its own meanwhile, in which Ctrl-C is a key; however this ends, it gets
-- its old one back.
local at_end = require "spate.at_end"
local core = require "spate.core"
local http = require "spate.http"
local json = require "spate.json"
local screen_views = require "spate.cli.screen_views"
local sse = require "spate.sse"

local short, printable = screen_views.short, screen_views.printable

local OK, FAILED = 0, 1
local COLUMNS, ROWS = 100, 40 -- where there is no terminal
local ROWS_MAX = 500
local BOLD, DIM, REVERSED, PLAIN = "\27[1m", "\27[2m", "\27[7m", "\27[0m"
local HELP = "1 overview  2 streams  3 channels  4 tasks  5 upstreams  6 log   r reverse  n next  p previous   q quit"

local Screen = {}
Screen.__index = Screen

-- The view of this number, by its own order, from the beginning on.
function Screen:open(view)
  self.view, self.sort, self.ascending, self.offset, self.seen = view, view.default, false, 0, nil
end

-- The address without what may stand before its host, which is a password.
function Screen:shown(path) return (self.url:gsub("^(%a[%w+.-]*://)[^/?#]*@", "%1")) .. path end

function Screen:refusal(path)
  if self.token then return self:shown(path) .. ": 401 Unauthorized, with the token of SPATE_ADMIN_TOKEN" end
  return self:shown(path) .. ": 401 Unauthorized; the token of an admin listener goes into SPATE_ADMIN_TOKEN"
end

function Screen:ask(path)
  local headers = self.token and { Authorization = "Bearer " .. self.token }
  local res, err = http.get(self.url .. path, { unix = self.unix, headers = headers, timeout = { total = 5 } })
  if not res then return nil, err end
  local body = res:body()
  if res.status == 401 then return nil, self:refusal(path) end
  if res.status ~= 200 then return nil, ("%s: %d %s"):format(self:shown(path), res.status, core.status_phrase(res.status)) end
  local value = body and json.decode(body)
  if type(value) ~= "table" then return nil, self:shown(path) .. ": expected JSON" end
  return value
end

-- How many rows of a view there is room for.
function Screen:room() return math.min(ROWS_MAX, math.max(self.rows - self.above - 3, 1)) end

-- What the server is now: numbers, and what the view shows. Nil and why where it does not say.
function Screen:look()
  local stats, err = self:ask "/api/stats"
  if not stats then return nil, err end
  local value
  value, err = self:ask(self.view.path(self, self:room()))
  if not value then return nil, err end
  local now = sse.now()
  local look = { at = now, stats = stats, value = value, before = self.seen }
  self.seen = { at = now, stats = stats, value = value }
  return look
end

-- So much of the line as there is room for; codes are added behind this.
local function cut(line, columns) return #line > columns and line:sub(1, columns - 1) .. "+" or line end

local function head(look, columns)
  local s, before = look.stats, look.before
  local function per_second(name)
    local seconds = before and look.at - before.at or 0
    return seconds > 0 and short(((s[name] or 0) - (before.stats[name] or 0)) / seconds) or "-"
  end
  local function n(name) return short(s[name] or 0) end
  local lines = {
    ("streams %s (%s opened/s)  connections %s  requests %s/s  generation %s"):format(n "streams", per_second "streams_total",
      n "connections", per_second "requests_total", n "generation"),
    ("events %s/s  bytes %s/s  slow %s  dropped %s  lost %s"):format(per_second "events_total", per_second "bytes_total",
      n "slow_total", n "dropped_total", n "lost_total"),
    ("channels %s  published %s/s  store: %s waiting, %s refused"):format(n "channels", per_second "published_total",
      n "store_waiting", n "store_refused_total"),
    ("tasks %s  timers %s  Lua %sB  held turns %s  upstreams %s"):format(n "tasks", n "timers", n "lua_bytes",
      n "long_turns_total", n "http_requests"),
  }
  for i, line in ipairs(lines) do lines[i] = cut(line, columns) end
  return lines
end

-- The lines of a frame, no more and no longer than there is room for.
function Screen:frame(look)
  local lines, before = head(look, self.columns), look.before
  local below = self.view.lines(look.value, self, before and look.at - before.at or 0, before and before.value)
  for i = 1, math.min(#below, self.rows - #lines - 1) do lines[#lines + 1] = cut(below[i], self.columns) end
  return table.move(lines, 1, self.rows - 1, 1, {})
end

-- Rows and columns of the terminal, which may have become others.
function Screen:measure()
  local pipe <close> = assert(io.popen "stty size </dev/tty 2>/dev/null")
  local rows, columns = pipe:read("n", "n")
  if rows and rows > 1 and columns > 1 then self.rows, self.columns = rows, columns end
end

function Screen:draw(look, err)
  local lines = err and { cut("cannot look: " .. printable(err), self.columns) } or self:frame(look)
  local out = { "\27[H" }
  for i, line in ipairs(lines) do
    local is_title = not self.view.is_tail and i == self.above + 2
    local code = not err and (i == 1 and BOLD or is_title and REVERSED) or ""
    out[#out + 1] = ("%s%s%s\27[K\n"):format(code, line, PLAIN)
  end
  local keys = self.view.keys and self.view.keys .. "   " or ""
  out[#out + 1] = ("\27[J\27[%d;1H%s%s%s\27[K"):format(self.rows, DIM, cut(keys .. HELP, self.columns - 1), PLAIN)
  return io.stdout:write(table.concat(out)) and io.stdout:flush()
end

-- Another page of the view, if it has any.
function Screen:turn(pages)
  local count = self.seen and self.seen.value.count
  if not self.view.is_paged or not count then return end
  local room = self:room()
  local last = math.max(0, math.ceil(count / room) - 1) * room
  self.offset = math.min(math.max(0, self.offset + pages * room), last)
end

-- What a key does: true where it ends the program.
function Screen:press(key)
  if key == "q" or key == "\3" or key == "\4" then return true end
  local view = screen_views.list[math.tointeger(tonumber(key)) or 0]
  if view then return self:open(view) end
  if key == "n" then return self:turn(1) end
  if key == "p" then return self:turn(-1) end
  if key == "r" then self.ascending = not self.ascending end
  local sort = self.view.sorts and self.view.sorts[key]
  if sort then self.sort, self.offset = sort, 0 end
end

-- Keys until the time is over, or one of them wants another frame.
function Screen:obey(seconds)
  if not sse.wait_fd(0, "r", seconds) then return false end
  local key = io.stdin:read(1)
  return not key or self:press(key) or false
end

function Screen:run()
  io.stdin:setvbuf "no"
  io.stdout:setvbuf "full"
  assert(core.terminal_take())
  local _ <close> = at_end(function()
    io.stdout:flush()
    core.terminal_give_back()
  end)
  repeat
    self:measure()
    local drawn = self:draw(self:look())
  until not drawn or self:obey(self.interval)
  return OK
end

-- Two looks, so that there are rates, and the second as text.
function Screen:show_once()
  local look, err = self:look()
  if look then
    sse.sleep(self.interval)
    look, err = self:look()
  end
  if not look then return FAILED, err end
  local value = look.value
  value.stats = look.stats
  io.stdout:write(self.json and json.encode(value) or table.concat(self:frame(look), "\n"), "\n")
  io.stdout:flush()
  return OK
end

return function(text)
  local asked = json.decode(text)
  local screen = setmetatable(asked, Screen)
  local view, sort = screen_views.find(asked.view), asked.sort
  screen.rows, screen.columns, screen.above = ROWS, COLUMNS, 4
  screen:open(view)
  screen.sort = sort or screen.sort
  if asked.once then return screen:show_once() end
  return screen:run()
end
