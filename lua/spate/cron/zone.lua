-- SPDX-License-Identifier: MIT
-- A time zone as a row of spans with one offset each: of a file of the system's zoneinfo (TZif, RFC 9636), and behind what
-- that lists by the rule in its last line, which is one of TZ (POSIX). Knows no server; reads files when a zone is found.
local days_of = require("spate.cron.expression").days_of

local FOLDER = "/usr/share/zoneinfo"
local MISSING = "no time zone '%s' in %s (Debian: tzdata)"
local DAY = 86400

local Zone = {}
Zone.__index = Zone

-- A zone of changes, { { at, offset }, ... } in order, the offset before them, and a rule that goes on behind them.
local function new(changes, first, rule) return setmetatable({ changes = changes, first = first, rule = rule }, Zone) end

-- Seconds of "[+-]h[h[h]][:mm[:ss]]", and what is behind it.
local function time_at(text)
  local sign, h, rest = text:match "^([+-]?)(%d%d?%d?)(.*)$"
  if not h then return nil end
  local m, behind = rest:match "^:(%d%d)(.*)$"
  local s
  if m then
    rest = behind
    s, behind = rest:match "^:(%d%d)(.*)$"
    if s then rest = behind end
  end
  local seconds = tonumber(h) * 3600 + tonumber(m or 0) * 60 + tonumber(s or 0)
  return sign == "-" and -seconds or seconds, rest
end

-- fn(year): the local day, counted from 1970, of "M3.5.0", "J60" or "59"; and the time of "/2".
local function day_rule(text)
  local date, time = text:match "^([^/]+)/?(.*)$"
  if not date then return nil end
  local at, rest = 2 * 3600, ""
  if time ~= "" then at, rest = time_at(time) end
  if not at or rest ~= "" then return nil end
  local month, week, weekday = date:match "^M(%d%d?)%.([1-5])%.([0-6])$"
  local julian, zero = date:match "^J(%d%d?%d?)$", date:match "^(%d%d?%d?)$"
  if month then
    month, week, weekday = tonumber(month), tonumber(week), tonumber(weekday)
    if month < 1 or month > 12 then return nil end
    return function(year)
      local first, length = days_of(year, month, 1), days_of(month == 12 and year + 1 or year, month % 12 + 1, 1) - days_of(year, month, 1)
      local day = (weekday - first - 4) % 7 + (week - 1) * 7
      return first + (day >= length and day - 7 or day)
    end, at
  elseif julian then -- 29 February does not count
    local n = tonumber(julian)
    return function(year)
      local is_leap = days_of(year, 3, 1) - days_of(year, 2, 28) == 2
      return days_of(year, 1, 1) + n - 1 + (is_leap and n >= 60 and 1 or 0)
    end, at
  elseif zero then
    return function(year) return days_of(year, 1, 1) + tonumber(zero) end, at
  end
end

local function name_at(text)
  local rest = text:match "^<[%w+-]+>(.*)$" or text:match "^%a%a%a+(.*)$"
  return rest
end

-- The rule of a text as in TZ: { offset = seconds east, summer =, from =, from_time =, to =, to_time = }; nil.
local function parse_rule(text)
  local rest = name_at(text)
  if not rest then return nil end
  local west
  west, rest = time_at(rest)
  if not west then return nil end
  local rule = { offset = -west }
  if rest == "" then return rule end
  rest = name_at(rest)
  if not rest then return nil end
  local summer, behind = time_at(rest)
  rule.summer = summer and -summer or rule.offset + 3600
  local from, to = (behind or rest):match "^,([^,]+),([^,]+)$"
  if not from then return nil end
  rule.from, rule.from_time = day_rule(from)
  rule.to, rule.to_time = day_rule(to)
  return rule.from and rule.to and rule or nil
end

-- The two changes of a year, in order.
local function changes_of(rule, year)
  local summer = { at = rule.from(year) * DAY + rule.from_time - rule.offset, offset = rule.summer }
  local winter = { at = rule.to(year) * DAY + rule.to_time - rule.summer, offset = rule.offset }
  if summer.at < winter.at then return summer, winter end
  return winter, summer
end

-- Lists what the rule says until a year behind `at`. A span without length, as where it is summer all year, is none.
local function extend(self, at)
  local changes = self.changes
  local year = self.listed or os.date("!*t", #changes > 0 and changes[#changes].at or 0).year
  self.listed = math.max(year, os.date("!*t", at).year + 2)
  for each = year, self.listed - 1 do
    for _, change in ipairs { changes_of(self.rule, each) } do
      local last = changes[#changes]
      if last and change.at == last.at then changes[#changes] = nil end
      last = changes[#changes]
      if change.at > (last and last.at or -math.huge) and change.offset ~= (last and last.offset or self.first) then changes[#changes + 1] = change end
    end
  end
end

-- The span that a time is in: { from, to, offset }, and the offsets before and after it. Seconds of UTC.
function Zone:span(at)
  local changes = self.changes
  if self.rule and self.rule.summer and (#changes == 0 or changes[#changes].at <= at) then extend(self, at) end
  local low, high = 0, #changes -- the last one at or before `at`
  while low < high do
    local middle = (low + high + 1) // 2
    if changes[middle].at <= at then low = middle else high = middle - 1 end
  end
  local this, next_one = changes[low], changes[low + 1]
  local offset = this and this.offset or self.first
  return { from = this and this.at or -math.huge, to = next_one and next_one.at or math.huge, offset = offset,
    before = (changes[low - 1] or low > 0 and { offset = self.first } or { offset = offset }).offset, after = next_one and next_one.offset or offset }
end

local HEAD = ">c4 c1 c15 I4 I4 I4 I4 I4 I4"

-- Counts of a header at a place, and where its data begin and end.
local function header(bytes, at, size)
  if #bytes < at + 43 then return nil end
  local magic, version, _, utc, std, leaps, times, types, chars, data = HEAD:unpack(bytes, at)
  if magic ~= "TZif" then return nil end
  return { version = version, times = times, types = types, data = data,
    behind = data + times * (size + 1) + types * 6 + chars + leaps * (size + 4) + std + utc }
end

local function read_changes(bytes, head, size)
  local offsets, changes, types = {}, {}, head.data + head.times * (size + 1)
  for i = 0, head.types - 1 do offsets[i] = string.unpack(">i4", bytes, types + i * 6) end
  for i = 0, head.times - 1 do
    local offset = offsets[bytes:byte(head.data + head.times * size + i)]
    changes[#changes + 1] = { at = string.unpack(">i" .. size, bytes, head.data + i * size), offset = offset }
  end
  return changes, offsets[0] or 0
end

-- The zone of a TZif file's bytes; nil where they are none.
local function parse(bytes)
  local head = header(bytes, 1, 4)
  if not head then return nil end
  if head.version == "\0" then
    local changes, first = read_changes(bytes, head, 4)
    return new(changes, first)
  end
  head = header(bytes, head.behind, 8)
  if not head then return nil end
  local changes, first = read_changes(bytes, head, 8)
  return new(changes, first, parse_rule(bytes:match("^\n([^\n]*)\n", head.behind) or ""))
end

local function read(path)
  local f <close> = io.open(path, "rb")
  local bytes = f and f:read "a" -- nil of a folder
  local ok, made = pcall(parse, bytes or "")
  return ok and made or nil
end

local zone = {}

-- A rule alone.
function zone.of_rule(text)
  local rule = parse_rule(text)
  return rule and new({}, rule.offset, rule) or nil
end

local UTC = new({}, 0)

-- The zone of this name, such as "Europe/Berlin"; nil and why not.
function zone.find(name)
  if name == "UTC" then return UTC end
  local folder = os.getenv "TZDIR" or FOLDER
  local is_name = name:find "^[%w_+-][%w_+/-]*$" ~= nil
  local found = is_name and read(folder .. "/" .. name)
  if found then return found end
  return nil, MISSING:format(name, folder)
end

-- The machine's own: that of the variable TZ, else /etc/localtime; UTC where there is neither.
function zone.of_machine()
  local name = (os.getenv "TZ" or ""):gsub("^:", "")
  if name == "" then return read "/etc/localtime" or UTC end
  return name:sub(1, 1) == "/" and read(name) or zone.find(name) or zone.of_rule(name) or UTC
end

return zone
