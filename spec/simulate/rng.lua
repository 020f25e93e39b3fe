-- SPDX-License-Identifier: MIT
-- Numbers from a seed (splitmix64): the same on every machine and with every Lua 5.4. Nothing else in a simulation is
-- random.
local Rng = {}
Rng.__index = Rng

local function new(seed) return setmetatable({ state = seed * 0x2545F4914F6CDD1D + 0x632BE59BD9B4E019 }, Rng) end

function Rng:bits()
  self.state = self.state + 0x9E3779B97F4A7C15
  local z = self.state
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end

function Rng:int(from, to) return from + (self:bits() >> 1) % (to - from + 1) end

-- True so many times in a hundred.
function Rng:chance(percent) return self:int(1, 100) <= percent end

function Rng:pick(list) return list[self:int(1, #list)] end

-- The second of one of { weight, value } pairs.
function Rng:weighed(pairs_of)
  local sum = 0
  for _, pair in ipairs(pairs_of) do sum = sum + pair[1] end
  local at = self:int(1, sum)
  for _, pair in ipairs(pairs_of) do
    at = at - pair[1]
    if at <= 0 then return pair[2] end
  end
end

return new
