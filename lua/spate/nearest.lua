-- SPDX-License-Identifier: MIT
-- "Did you mean": which of the known names is close to a misspelt one.
local LENGTH_MAX = 100 -- of names that are compared: the time goes with the product of two

local nearest = {}

-- Levenshtein distance of two strings, by one row.
function nearest.distance(a, b)
  a, b = a:sub(1, LENGTH_MAX), b:sub(1, LENGTH_MAX)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local substitute = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal, row[j] = row[j], math.min(substitute, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

-- The one of `names` that is closest to `name`; nil where none is close.
function nearest.of(name, names)
  local best, least = nil, math.min(#name // 3 + 1, #name // 2) + 1 -- half of a name that is wrong is another name
  for _, known in ipairs(names) do
    local d = nearest.distance(name, known)
    if d < least then best, least = known, d end
  end
  return best
end

return nearest
