-- SPDX-License-Identifier: MIT
-- A POST that publishes to a channel that comes and goes, and may finish it.
local kind = { weight = 1, answer = "passed", publishes = true, makes_channels = true, method = "POST", with = { "passing" } }

function kind.random(r) return { name = r:int(1, 2), ends = r:chance(30) or nil, collects = r:chance(50) or nil } end

function kind.code(r)
  local deed = r.ends and ('if channel and channel:finish() then log("over", "v%d") end'):format(r.name)
    or ([[local data = "v%d." .. passed:incr "n"
  local id = channel and channel:publish { data = data }
  if id then log("passed", "v%d", id, data) end]]):format(r.name, r.name)
  return ([[%slocal channel = passing(%d)
  %s
  return "passed " .. t]]):format(r.collects and "collectgarbage() " or "", r.name, deed)
end

return kind
