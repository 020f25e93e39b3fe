-- SPDX-License-Identifier: MIT
-- LCOV's tracefile of the lines that have run.
local lines_of = require "spate.test.lines"

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

local function write_file(out, path, hits)
  local lines = lines_of(path)
  if not lines then return 0, 0 end
  local found, hit = 0, 0
  out:write("TN:\nSF:", path, "\n")
  for _, line in ipairs(sorted(lines)) do
    out:write(("DA:%d,%d\n"):format(line, hits[line] or 0))
    found, hit = found + 1, hit + (hits[line] and 1 or 0)
  end
  out:write(("LF:%d\nLH:%d\nend_of_record\n"):format(found, hit))
  return found, hit
end

-- One file has several names where it is found by several paths.
local function by_path(hits)
  local all = {}
  for name, lines in pairs(hits) do
    local path = name
    repeat
      local count
      path, count = path:gsub("^%./", "")
    until count == 0
    all[path] = all[path] or {}
    for line, times in pairs(lines) do all[path][line] = (all[path][line] or 0) + times end
  end
  return all
end

return function(hits, path)
  local out, err = io.open(path, "w")
  if not out then
    io.stderr:write("spate: coverage: ", err, "\n")
    return
  end
  local files, found, hit = by_path(hits), 0, 0
  for _, name in ipairs(sorted(files)) do
    local f, h = write_file(out, name, files[name])
    found, hit = found + f, hit + h
  end
  out:close()
  print(("%s: %d of %d lines (%.1f %%)"):format(path, hit, found, found > 0 and hit / found * 100 or 100))
end
