-- SPDX-License-Identifier: MIT
-- Cuts a program down: nodes are left out as long as it still fails in the same way, those of a block in halves,
-- quarters and so on.
local function blocks_of(nodes, list)
  list[#list + 1] = nodes
  for _, node in ipairs(nodes) do
    for _, part in ipairs(node) do
      if type(part) == "table" then blocks_of(part.block, list) end
    end
  end
  return list
end

local function without(nodes, from, count)
  local taken = {}
  for _ = 1, math.min(count, #nodes - from + 1) do taken[#taken + 1] = table.remove(nodes, from) end
  return taken
end

local function put_back(nodes, from, taken)
  for i, node in ipairs(taken) do table.insert(nodes, from + i - 1, node) end
end

-- Leaves out what is not needed of one list; whether anything was.
local function cut_list(nodes, first, fails)
  local any, size = false, math.max(#nodes // 2, 1)
  while size >= 1 do
    local at = first
    while at <= #nodes do
      local taken = without(nodes, at, size)
      if fails() then any = true
      else
        put_back(nodes, at, taken)
        at = at + size
      end
    end
    size = size // 2
  end
  return any
end

-- A node of texts and one block becomes the block's nodes.
local function hoist(nodes, fails)
  local any = false
  for i = #nodes, 1, -1 do
    local node = nodes[i]
    for _, part in ipairs(node) do
      if type(part) == "table" then
        table.remove(nodes, i)
        put_back(nodes, i, part.block)
        if fails() then any = true break end
        without(nodes, i, #part.block)
        table.insert(nodes, i, node)
      end
    end
  end
  return any
end

-- `fails()` says whether the program as it is now still fails.
return function(program, fails)
  repeat
    local any = cut_list(program.steps, 1, fails)
    for _, app in ipairs(program.apps) do
      any = cut_list(app, 2, fails) or any
      for _, nodes in ipairs(blocks_of(app, {})) do
        if nodes ~= app then any = cut_list(nodes, 1, fails) or any end
      end
      for _, nodes in ipairs(blocks_of(app, {})) do
        if nodes ~= app then any = hoist(nodes, fails) or any end
      end
    end
    for _, group in pairs(program.settings) do
      for name, value in pairs(group) do
        group[name] = nil
        if not fails() then group[name] = value else any = true end
      end
    end
  until not any
end
