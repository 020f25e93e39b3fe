-- SPDX-License-Identifier: MIT
-- Choices from a seed. The same seed makes the same choices, on any machine with this version of the generator.
local Dice = {}
Dice.__index = Dice

local function new(seed)
  math.randomseed(seed)
  return setmetatable({ depth = 0 }, Dice)
end

function Dice.int(_, from, to) return math.random(from, to) end

-- True so many times in a hundred.
function Dice.chance(_, percent) return math.random(100) <= percent end

function Dice.pick(_, list) return list[math.random(#list)] end

-- One of { weight, value } pairs.
function Dice.weighed(_, pairs_of)
  local sum = 0
  for _, pair in ipairs(pairs_of) do sum = sum + pair[1] end
  local at = math.random(sum)
  for _, pair in ipairs(pairs_of) do
    at = at - pair[1]
    if at <= 0 then return pair[2] end
  end
end

-- A place that tasks, requests and finalizers share.
function Dice.slot(_, kind) return ("S.%s%d"):format(kind, math.random(2)) end

-- Runs fn one level deeper.
function Dice:deeper(fn, ...)
  self.depth = self.depth + 1
  local value = fn(...)
  self.depth = self.depth - 1
  return value
end

return new
