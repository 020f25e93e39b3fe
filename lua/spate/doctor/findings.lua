-- SPDX-License-Identifier: MIT
-- What has been found about a stream: a list of { check =, level =, text =, seconds =, fixes = }. The level is "ok", "note" (worth
-- knowing) or "wrong"; fixes are the settings that mend it, by the names of proxies.
local proxies = require "spate.doctor.proxies"

local Findings = {}
Findings.__index = Findings

-- In this order they are shown.
local ORDER = { "reach", "answer", "certificate", "head", "first_event", "buffering", "compression", "idle", "half_open", "leaving", "http_version",
  "streams", "last_event_id", "headers", "cache", "address" }
local RANK = {}
for i, name in ipairs(ORDER) do RANK[name] = i end

-- "12 ms", "1.5 s"
function Findings.duration(seconds)
  if seconds < 1 then return ("%d ms"):format(math.floor(seconds * 1000 + 0.5)) end
  return seconds < 10 and ("%.1f s"):format(seconds):gsub("%.0 ", " ") or ("%d s"):format(math.floor(seconds + 0.5))
end

-- `fixes`: the name of what mends it, where that is not the check's own; false: nothing does.
function Findings:add(check, level, text, seconds, fixes)
  local mended = level ~= "ok" and fixes ~= false and proxies.fixes(fixes or check) or nil
  self[#self + 1] = { check = check, level = level, text = text, seconds = seconds and math.floor(seconds * 1000 + 0.5) / 1000, fixes = mended }
end

function Findings:sort()
  table.sort(self, function(a, b) return (RANK[a.check] or 99) < (RANK[b.check] or 99) end)
end

function Findings:wrong()
  local n = 0
  for _, each in ipairs(self) do n = n + (each.level == "wrong" and 1 or 0) end
  return n
end

function Findings.new() return setmetatable({}, Findings) end

return Findings
