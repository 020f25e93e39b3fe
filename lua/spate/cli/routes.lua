-- SPDX-License-Identifier: MIT
-- spate routes: method, path, place and number of middleware functions of every route.
local json = require "spate.json"
local problems_of = require "spate.problems"

local FAILED = 1
local HEAD = { "METHOD", "PATH", "AT", "MIDDLEWARE" }

local function aligned(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell) end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = cell .. (" "):rep(widths[i] - (utf8.len(cell) or #cell)) end
    print((table.concat(cells, "  "):gsub("%s+$", "")))
  end
end

return function(arguments, native)
  local found, err = problems_of.application(arguments.app, native)
  if not found then return FAILED, err end
  if not found.loads then
    problems_of.print(found.problems, io.stderr)
    return FAILED
  end
  if arguments.json then print(json.encode(found.routes)) return 0 end
  local rows = { HEAD }
  for _, route in ipairs(found.routes) do
    rows[#rows + 1] = { route.method, route.path, ("%s:%d"):format(route.file, route.line), tostring(route.middleware) }
  end
  aligned(rows)
  return 0
end
