-- SPDX-License-Identifier: MIT
-- A server's certificate, of what libcurl says of it: lines "Name:value".
local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

-- Days from 1970-01-01 in the calendar of now, whose year begins in March here, so that its last day is the one that may be missing.
local function days(year, month, day)
  if month < 3 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

-- "Nov 29 15:25:32 2026 GMT" as os.time has it; nil for anything else.
local function seconds_of(text)
  local month, day, hour, minute, second, year = (text or ""):match "^(%a%a%a) +(%d+) (%d+):(%d+):(%d+) (%d+) GMT"
  if not MONTHS[month] then return nil end
  return days(math.tointeger(year), MONTHS[month], math.tointeger(day)) * 86400 + hour * 3600 + minute * 60 + second
end

local function plain(name) return (name or ""):gsub(" = ", "=") end

-- { subject =, issuer =, names =, starts =, ends = }
return function(text)
  local fields, names = {}, {}
  for name, value in text:gmatch "([^:\n]+):([^\n]*)" do fields[name] = value end
  for name in (fields["X509v3 Subject Alternative Name"] or ""):gmatch "[^,%s][^,]*" do names[#names + 1] = name end
  return { subject = plain(fields.Subject), issuer = plain(fields.Issuer), names = names,
    starts = seconds_of(fields["Start date"]), ends = seconds_of(fields["Expire date"]) }
end
