-- SPDX-License-Identifier: MIT
-- What spate doctor does once its arguments are known, in a task: it examines, and prints what was found.
local examine = require "spate.doctor.examine"
local json = require "spate.json"
local proxies = require "spate.doctor.proxies"

local OK, WRONG = 0, 1
local COLOURS = { ok = "\27[32m", note = "\27[33m", wrong = "\27[1;31m" }

local function coloured(text, level, is_coloured)
  return is_coloured and COLOURS[level] .. text .. "\27[0m" or text
end

local function say(...) io.stdout:write((...):format(select(2, ...)), "\n") end

-- Of what is wrong the settings of all, that of what is there first; of what is only worth knowing that one alone.
local function print_fixes(each, proxy)
  local names = each.level == "wrong" and proxies.ordered(proxy) or { proxy }
  for _, name in ipairs(names) do
    if each.fixes[name] then say("%s", ("           %-11s %s"):format(proxies.TITLES[name], each.fixes[name])) end
  end
end

-- Control characters of others are shown as what they are.
local function printable(text) return (text:gsub("%c", function(byte) return ("\\x%02X"):format(byte:byte()) end)) end

local function print_report(report, is_coloured)
  local who = report.is_doctor and ("spate.doctor %s answers"):format(printable(report.version or "")) or "no spate.doctor: less can be told"
  say("%s: %s%s", report.url, who, report.proxy and ", behind " .. proxies.TITLES[report.proxy] or "")
  for _, each in ipairs(report.findings) do
    say("  %s  %-13s %s", coloured(("%-5s"):format(each.level), each.level, is_coloured), (each.check:gsub("_", " ")), printable(each.text))
    if each.fixes then print_fixes(each, report.proxy) end
  end
  say("%s", report.wrong == 0 and "all well" or ("%d thing%s wrong"):format(report.wrong, report.wrong == 1 and " is" or "s are"))
end

return function(text)
  local asked = json.decode(text)
  if asked.talks and asked.wait > 5 then io.stderr:write(("spate: a stream is left silent for %g s (--wait)\n"):format(asked.wait)) end
  local report = examine(asked.url, { headers = asked.headers, wait = asked.wait, proxy = asked.proxy })
  if asked.json then
    local findings = json.array(table.move(report.findings, 1, #report.findings, 1, {}))
    say("%s", json.encode { url = report.url, doctor = report.is_doctor, version = report.version or json.null, proxy = report.proxy or json.null,
      wrong = report.wrong, findings = findings })
  else
    print_report(report, asked.coloured)
  end
  return report.wrong == 0 and OK or WRONG
end
