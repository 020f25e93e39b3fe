-- SPDX-License-Identifier: MIT
-- spate test --watch: each run is a process of its own, which tells what every spec has loaded. A save runs the specs
-- that loaded the file; a file that nobody knows runs all of them.
local harness = require "spate.harness"

local QUIET = 0.05 -- seconds without a save before a run

local function directory_of(path) return path:match("^(.*)/[^/]*$") or "." end

local function normal(path)
  repeat
    local count
    path, count = path:gsub("^%./", "")
  until count == 0
  return (path:gsub("/%./", "/"))
end

local function count(set)
  local n = 0
  for _ in pairs(set) do n = n + 1 end
  return n
end

local function say(...)
  print((...):format(select(2, ...)))
  io.stdout:flush()
end

-- Adds to specs_of, { [path] = { [spec] = true } }, what a run has loaded.
local function read_loaded(specs_of, path)
  for line in io.lines(path) do
    local spec, file = line:match("^(.-)\t(.*)$")
    if spec then
      file = normal(file)
      specs_of[file] = specs_of[file] or {}
      if spec ~= "" then specs_of[file][normal(spec)] = true end
    end
  end
end

local function forget(specs_of, specs)
  for _, by_spec in pairs(specs_of) do
    for _, spec in ipairs(specs) do by_spec[spec] = nil end
  end
end

local function watch_directories(watch, watched, specs_of)
  for file in pairs(specs_of) do
    local directory = directory_of(file)
    if not watched[directory] then watched[directory] = watch:add(directory) end
  end
end

-- The specs that a change of these paths touches; nil: all.
local function touched(specs_of, changed)
  local set, any = {}, false
  for path in pairs(changed) do
    path = normal(path)
    local by_spec = specs_of[path]
    if by_spec then
      any = true
      if not next(by_spec) then return nil, true end
      for spec in pairs(by_spec) do set[spec] = true end
    elseif path:find("%.lua$") then return nil, true end -- new, or read by other means than require
  end
  local list = {}
  for spec in pairs(set) do list[#list + 1] = spec end
  table.sort(list)
  return list, any
end

-- Options and directories of the command line, without files and directories of specs.
local function without_specs(rest)
  local list = {}
  local takes_value = { ["-p"] = true, ["-e"] = true, ["-o"] = true, ["-C"] = true, ["-f"] = true, ["-t"] = true, ["-m"] = true,
    ["-r"] = true, ["-Xoutput"] = true, ["-Xhelper"] = true }
  local i = 1
  while i <= #rest do
    if rest[i]:sub(1, 1) == "-" then
      list[#list + 1] = rest[i]
      if takes_value[rest[i]] then
        i = i + 1
        list[#list + 1] = rest[i]
      end
    end
    i = i + 1
  end
  return list
end

local function run_once(rest, own, specs, report)
  local command = { harness.program(), "test", "--loaded=" .. report }
  if own.coverage then command[#command + 1] = "--coverage=" .. own.coverage end
  local options = specs and without_specs(rest) or rest
  table.move(options, 1, #options, #command + 1, command)
  if specs then table.move(specs, 1, #specs, #command + 1, command) end
  return harness.execute(command)
end

return function(rest, own)
  local watch, watched, specs_of = harness.watch(), {}, {}
  local report = os.tmpname()
  watched["."] = watch:add "."
  watched.spec = watch:add "spec"
  local specs
  while true do
    local code, err = run_once(rest, own, specs, report)
    if not code then io.stderr:write("spate: ", err, "\n") end
    if code == 2 then
      os.remove(report)
      return code
    end
    forget(specs_of, specs or {})
    if not specs then specs_of = {} end
    read_loaded(specs_of, report)
    watch_directories(watch, watched, specs_of)
    say("-- watching %d files", count(specs_of))
    local any
    repeat
      specs, any = touched(specs_of, watch:wait(QUIET))
    until any
    say("-- changed: running %s", specs and table.concat(specs, " ") or "all")
  end
end
