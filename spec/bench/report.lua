-- SPDX-License-Identifier: MIT
-- What is made of the figures: medians, a table for people, JSON for machines.
local report = {}

function report.median(list)
  if #list == 0 then return nil end
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = (#sorted + 1) // 2
  return (sorted[middle] + sorted[#sorted + 1 - middle]) / 2
end

-- One field of each record, without the records that lack it.
function report.column(records, name)
  local list = {}
  for _, record in ipairs(records) do list[#list + 1] = record[name] end
  return list
end

-- 50000 -> "50,000"
function report.thousands(n)
  local text = ("%d"):format(math.floor(n + 0.5))
  return (text:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

-- `format` of a number, "" of nothing.
function report.figure(format, n) return n and format:format(n) or "" end

-- The first column stands left, the others right.
function report.table(title, rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 1, #cell) end
  end
  print("\n" .. title)
  for _, row in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(row) do line[i] = ("%" .. (i == 1 and "-" or "") .. widths[i] .. "s"):format(cell) end
    print(("  " .. table.concat(line, "  "):gsub("%s+$", "")))
  end
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }

local function quote(text)
  return '"' .. text:gsub('["\\%c]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local encode

local function encode_table(value, indent)
  local deeper, parts = indent .. "  ", {}
  local is_list = #value > 0 or next(value) == nil
  if is_list then
    for i, v in ipairs(value) do parts[i] = deeper .. encode(v, deeper) end
  else
    local keys = {}
    for k in pairs(value) do keys[#keys + 1] = k end
    table.sort(keys)
    for i, k in ipairs(keys) do parts[i] = deeper .. quote(k) .. ": " .. encode(value[k], deeper) end
  end
  local open, close = is_list and "[" or "{", is_list and "]" or "}"
  if #parts == 0 then return open .. close end
  return ("%s\n%s\n%s%s"):format(open, table.concat(parts, ",\n"), indent, close)
end

-- Numbers that JSON does not have become null.
function encode(value, indent)
  if type(value) == "table" then return encode_table(value, indent) end
  if type(value) == "string" then return quote(value) end
  if math.type(value) == "float" then
    if value ~= value or value == math.huge or value == -math.huge then return "null" end
    return ("%.10g"):format(value)
  end
  return tostring(value)
end

function report.write_json(path, value)
  local f <close> = assert(io.open(path, "w"))
  f:write(encode(value, ""), "\n")
end

return report
