-- SPDX-License-Identifier: MIT
-- What five fields of cron say, and when that is next in a time zone. Times are seconds since 1970; a local time is counted
-- in the same way, as if its clock were that of UTC. Knows no server.
local USUAL = { daily = "0 0 * * *", midnight = "0 0 * * *", hourly = "0 * * * *", weekly = "0 0 * * 0", monthly = "0 0 1 * *",
  yearly = "0 0 1 1 *", annually = "0 0 1 1 *" }

local MONTHS = { JAN = 1, FEB = 2, MAR = 3, APR = 4, MAY = 5, JUN = 6, JUL = 7, AUG = 8, SEP = 9, OCT = 10, NOV = 11, DEC = 12 }
local DAYS = { SUN = 0, MON = 1, TUE = 2, WED = 3, THU = 4, FRI = 5, SAT = 6 }
local FIELDS = {
  { name = "minute", from = 0, to = 59 }, { name = "hour", from = 0, to = 23 }, { name = "day of the month", from = 1, to = 31 },
  { name = "month", from = 1, to = 12, names = MONTHS, also = ", or JAN to DEC" },
  { name = "day of the week", from = 0, to = 7, names = DAYS, also = ", or SUN to SAT" },
}
local EXPECTED = "expected five fields: minute, hour, day of the month, month, day of the week; got %s"
local FOUND_BY = 41 -- years: a 29 February that is a certain day of the week comes every 28, and around 2100 every 40

local Schedule = {}
Schedule.__index = Schedule

local expression = {}

-- Days since 1970 of a date of the Gregorian calendar.
local function days_of(year, month, day)
  if month <= 2 then year = year - 1 end
  local era, moved = year // 400, (month + 9) % 12
  local of_era = year - era * 400
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * moved + 2) // 5 + day - 1 - 719468
end

function expression.seconds(year, month, day, hour, minute) return (days_of(year, month, day) * 24 + hour) * 3600 + minute * 60 end

expression.days_of = days_of

local function value_of(field, text)
  local value = field.names and field.names[text:upper()] or text:find "^%d%d?$" and tonumber(text)
  if value and value >= field.from and value <= field.to then return value end
  return nil, ("%s: expected %d to %d%s, got %s"):format(field.name, field.from, field.to, field.also or "", text == "" and "nothing" or text)
end

-- First and last of "*", "3" or "3-5". A week that ends with a Sunday ends with its seventh day.
local function range_of(field, text)
  if text == "*" then return field.from, field.to end
  local first, last = text:match "^([^-]*)%-(.*)$"
  local from, why = value_of(field, first or text)
  if not from then return nil, why end
  if not first then return from end
  local to
  to, why = value_of(field, last)
  if not to then return nil, why end
  if to == 0 and from > 0 and field.names == DAYS then to = 7 end
  if to < from then return nil, ("%s: %s is backwards"):format(field.name, text) end
  return from, to
end

-- Puts what one item of a list says into the set; nil and what is wrong with it. "7/20" goes to the field's end.
local function add(field, item, set)
  local range, step = item:match "^([^/]*)/(.*)$"
  local n = step and (step:find "^%d+$" and tonumber(step) or 0) or 1
  if n < 1 then return nil, ("%s: expected a step of 1 or more, got %s"):format(field.name, step) end
  local from, to = range_of(field, range or item)
  if not from then return nil, to end
  for value = from, to or step and field.to or from, n do set[value] = true end
  return true
end

local function set_of(field, text)
  local set = {}
  for item in (text .. ","):gmatch "([^,]*)," do
    local ok, why = add(field, item, set)
    if not ok then return nil, why end
  end
  if field.names == DAYS then set[0] = set[0] or set[7] end
  return set
end

local function usual(name)
  if name:lower() == "reboot" then return nil, "@reboot is app:on_start(fn) here" end
  local text = USUAL[name:lower()]
  if text then return text end
  for known in pairs(USUAL) do
    if #known == #name and known:sub(1, 1) == name:sub(1, 1):lower() then return nil, ("unknown @%s; did you mean @%s?"):format(name, known) end
  end
  return nil, "unknown @" .. name
end

local function fields_of(text)
  local list = {}
  for field in text:gmatch "%S+" do list[#list + 1] = field end
  if #list == 5 then return list end
  return nil, EXPECTED:format(#list == 0 and "none" or #list) .. (#list == 6 and "; sse.every counts seconds" or "")
end

-- The schedule of a text; nil and what is wrong with it. A field that begins with * restricts no day: day of the month or
-- day of the week where neither does, else both.
function expression.parse(text)
  local name, why = text:match "^%s*@(%S*)%s*$", nil
  if name then text, why = usual(name) end
  if not text then return nil, why end
  local list, fault = fields_of(text)
  if not list then return nil, fault end
  local sets = {}
  for i, field in ipairs(FIELDS) do
    sets[i], why = set_of(field, list[i])
    if not sets[i] then return nil, why end
  end
  local self = setmetatable({ minutes = sets[1], hours = sets[2], days = sets[3], months = sets[4], weekdays = sets[5] }, Schedule)
  self.either = not list[3]:find "^%*" and not list[5]:find "^%*"
  self.is_fixed = not list[1]:find "^%*" and not list[2]:find "^%*$"
  if not self:local_next(0) then return nil, "no year has such a day" end
  return self
end

-- Whether a day, counted from 1970, is one of the schedule's; year, month and day of it are known.
local function has_day(self, day, days)
  local by_month, by_week = self.days[day], self.weekdays[(days + 4) % 7]
  if self.either then return by_month or by_week end
  return by_month and by_week
end

-- The first minute of a day from `minute` on, or nil.
local function minute_of(self, minute)
  for at = minute, 24 * 60 - 1 do
    if self.hours[at // 60] and self.minutes[at % 60] then return at end
  end
end

local function month_length(year, month)
  if month == 2 then return (year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)) and 29 or 28 end
  return (month == 4 or month == 6 or month == 9 or month == 11) and 30 or 31
end

-- The first local time of the schedule behind a local time; nil where there is none in a generation.
function Schedule:local_next(after)
  local start = after // 60 + 1 -- in minutes
  local first, minute = start // 1440, start % 1440
  local date = os.date("!*t", first * 86400)
  local year, month, day = date.year, date.month, date.day
  local last = year + FOUND_BY
  while year < last do
    if self.months[month] then
      for d = day, month_length(year, month) do
        local days = days_of(year, month, d)
        local at = has_day(self, d, days) and minute_of(self, days == first and minute or 0)
        if at then return days * 86400 + at * 60 end
      end
    end
    day, month = 1, month % 12 + 1
    if month == 1 then year = year + 1 end
  end
end

-- The first time behind `after`, in a zone. What has a fixed hour runs where the clock that goes forward has passed it, and
-- does not run a second time where the clock goes back.
function Schedule:next(after, zone)
  local at = after
  for _ = 1, FOUND_BY * 4 do -- spans of a zone
    local span = zone:span(at + 1)
    local shown = at + span.offset -- the last local time that is over
    if self.is_fixed and span.before > span.offset then shown = math.max(shown, span.from + span.before - 1) end
    local found = self:local_next(shown)
    if not found then return nil end
    if found - span.offset < span.to then return found - span.offset end
    if self.is_fixed and span.after > span.offset and found < span.to + span.after then return span.to end
    at = span.to - 1
  end
end

return expression
