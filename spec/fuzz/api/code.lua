-- SPDX-License-Identifier: MIT
-- Code as a tree, so that it can be written out and cut down: a node is a list of parts, a part is a text or
-- { block = a list of nodes }.
local code = {}

local function add(node, part)
  if type(part) == "table" and not part.block then
    for _, inner in ipairs(part) do add(node, inner) end
  else
    node[#node + 1] = part
  end
end

-- One node of texts, blocks and other nodes.
function code.join(...)
  local node = {}
  for _, part in ipairs { ... } do add(node, part) end
  return node
end

function code.block(nodes) return { block = nodes } end

local render_block

local function render_node(node, indent, out)
  out[#out + 1] = indent
  for i, part in ipairs(node) do
    if type(part) == "string" then
      out[#out + 1] = i > 1 and type(node[i - 1]) == "table" and indent .. part or part
    else
      out[#out + 1] = "\n"
      render_block(part.block, indent .. "  ", out)
    end
  end
  out[#out + 1] = "\n"
end

function render_block(nodes, indent, out)
  for _, node in ipairs(nodes) do render_node(node, indent, out) end
end

-- The text of a list of nodes.
function code.render(nodes)
  local out = {}
  render_block(nodes, "", out)
  return table.concat(out)
end

-- A Lua expression that makes the value again: texts, numbers, booleans, tables of them.
function code.dump(value)
  if type(value) ~= "table" then return type(value) == "string" and ("%q"):format(value) or tostring(value) end
  local names, parts = {}, {}
  for name in pairs(value) do
    if math.type(name) ~= "integer" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = name .. " = " .. code.dump(value[name]) end
  for _, item in ipairs(value) do parts[#parts + 1] = code.dump(item) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

return code
