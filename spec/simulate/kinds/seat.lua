-- SPDX-License-Identifier: MIT
-- A key of all workers that one request gets at a time, for some seconds.
local says = require "spec.simulate.promises"

local TTL = 2
local EPS = 1e-6

local kind = { weight = 1, answer = "seat", method = "POST", lines = {}, prelude = 'local seats = spate.shared "seats"\n' }

function kind.code()
  return ([[local mine = seats:add("s", t, { ttl = %d })
  log("seat", t, tostring(mine), tostring(seats:get "s"))
  return "seat " .. t]]):format(TTL)
end

function kind.lines.seat(model, text)
  local token, is_mine, owner = text:match "^(%S+) (%S+) (%S+)$"
  model.seat = model.seat or { ends_at = -1, news = {} }
  model:expect(is_mine ~= "true" or owner == token, says.SEAT, "%s has it, and it is of %s", token, owner)
  table.insert(model.seat.news, is_mine == "true" and 1 or #model.seat.news + 1, { token = token, owner = owner, is_mine = is_mine == "true" })
end

-- The workers of a moment have logged in any order: who has got it comes first.
function kind.at_rest(model, now)
  local s = model.seat
  for i, each in ipairs(s and s.news or {}) do
    if each.is_mine then
      model:expect(now > s.ends_at - EPS, says.SEAT, "%s has it, which is taken until %.3f s", each.token, s.ends_at)
      s.owner, s.ends_at = each.token, now + TTL
    else
      local is_told = s.owner == each.owner and now < s.ends_at + EPS
      model:expect(is_told or model:excused(model.tokens[each.owner] or {}, "refused"), says.SEAT, "%s has it not, at %.3f s", each.token, s.ends_at)
    end
    s.news[i] = nil
  end
end

return kind
