-- SPDX-License-Identifier: MIT
-- Header fields as replies have them: names and values in a flat list, or nil where there are none.
local fields = {}

function fields.copy(list) return list and table.move(list, 1, #list, 1, {}) end

-- The values of a name in lower case, in their order.
function fields.each(list, name)
  local i = -1
  return function()
    repeat
      i = i + 2
      if not list or i >= #list then return nil end
    until list[i]:lower() == name
    return list[i + 1]
  end
end

-- The first of them, or nil.
function fields.find(list, name) return fields.each(list, name)() end

-- Takes all of them out.
function fields.remove(list, name)
  for i = #list - 1, 1, -2 do
    if list[i]:lower() == name then
      table.remove(list, i)
      table.remove(list, i)
    end
  end
end

return fields
