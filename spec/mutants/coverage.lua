-- SPDX-License-Identifier: MIT
-- Which specs in memory enter which lines of the core: a harness in build/mutants/trace whose blocks are counted (trace.c),
-- and build/mutants/covers/, where helper.lua has written the blocks of each spec. Only what is older than the harness or
-- its own spec is run again.
local altered = require "spec.altered_build"
local progress = require "spec.mutants.progress"
local run = altered.run

local coverage = {}
local BUILD, COVERS = "build/mutants/trace", "build/mutants/covers"
local HARNESS = BUILD .. "/lib/spate/harness.so"

local present -- as they were when a run began

-- Whether $SPECS, words that the names of files may have, wants it; where there are none, all are.
local function is_wanted(path)
  local words = os.getenv "SPECS" or ""
  for word in words:gmatch("%S+") do
    if path:find(word, 1, true) then return true end
  end
  return not words:find("%S")
end

function coverage.spec_files()
  if present then return present end
  local list = {}
  for path in run("ls spec/*_spec.lua spec/regress/*_spec.lua"):gmatch("%S+") do
    if not path:find("e2e_", 1, true) and is_wanted(path) then list[#list + 1] = path end
  end
  present = list
  return list
end

-- How busted is run on files of specs, under helper.lua; `limits` go before it.
function coverage.busted(build, environment, files, limits)
  return ("BUILD=%s %s %s lua5.4 /usr/bin/busted -o spec/summary.lua --helper=spec/mutants/helper.lua -p _spec %s"):format(
    build, environment, limits or "", table.concat(files, " "))
end

-- Where blocks begin, and to which block of the source's lines they belong: offsets in ascending order.
local function write_sites()
  local out, was_call = assert(io.open(BUILD .. "/sites", "w")), false
  for line in io.popen("objdump -d --no-show-raw-insn " .. HARNESS):lines() do
    local address = line:match("^%s+(%x+):")
    if was_call and address then out:write(tonumber(address, 16), "\n") end
    was_call = line:find("call%s.*<__sanitizer_cov_trace_pc@plt>") ~= nil
  end
  out:close()
  run(("objdump --dwarf=decodedline %s > %s/lines 2> /dev/null"):format(HARNESS, BUILD))
end

local function is_older(path, than) return os.execute(("test ! -e %s -o %s -ot %s"):format(path, path, than)) or false end

local function build(say)
  assert(run(("mkdir -p %s %s && gcc -O1 -fPIC $(pkg-config --cflags lua5.4) -c -o build/mutants/trace.o spec/mutants/trace.c"):format(BUILD, COVERS)))
  assert(progress.make(say, "traced", ('COMMIT=none BUILD=%s CC=gcc CFLAGS="-O0 -g" SANITIZE=-fsanitize-coverage=trace-pc LDFLAGS=build/mutants/trace.o %s'):format(BUILD, HARNESS)))
  if is_older(BUILD .. "/sites", HARNESS) then write_sites() end
end

local function cover_of(path) return ("%s/%s.txt"):format(COVERS, path:gsub("/", "+")) end

-- Brings everything up to date, so many files at a time; says what it does.
function coverage.refresh(say, jobs)
  local commands = {}
  build(say)
  for _, path in ipairs(coverage.spec_files()) do
    local cover = cover_of(path)
    if is_older(cover, HARNESS) or is_older(cover, path) then
      local busted = coverage.busted(BUILD, ("MUTANTS_TRACE=%s.new"):format(cover), { path }, "timeout 1200")
      commands[#commands + 1] = ("%s > %s.log 2>&1; touch %s.new && mv %s.new %s; echo %s\n"):format(busted, cover, cover, cover, cover, path)
    end
  end
  if #commands == 0 then return end
  altered.write(BUILD .. "/stale", table.concat(commands))
  progress.follow(say, ("tracing %d files of specs"):format(#commands), #commands, ("xargs -a %s/stale -d '\\n' -P %d -n 1 sh -c"):format(BUILD, jobs))
end

-- The specs that pass under the traced harness: { file, name, seconds, blocks }.
local function read_specs()
  local list = {}
  for _, path in ipairs(coverage.spec_files()) do
    for line in io.lines(cover_of(path)) do
      local status, seconds, name, blocks = line:match("^(%S+)\t(%S+)\t([^\t]*)\t(%x+)$")
      if status == "success" then list[#list + 1] = { file = path, name = name, seconds = tonumber(seconds), blocks = blocks } end
    end
  end
  return list
end

local function last_below(list, value)
  local low, high = 1, #list + 1
  while low < high do
    local middle = (low + high) // 2
    if list[middle] <= value then low = middle + 1 else high = middle end
  end
  return low - 1
end

-- file name -> line -> numbers of blocks.
local function read_lines()
  local sites, rows, lines = {}, {}, {}
  for offset in io.lines(BUILD .. "/sites") do sites[#sites + 1] = math.tointeger(offset) end
  for line in io.lines(BUILD .. "/lines") do
    local name, number, address = line:match("^(%S+%.c)%s+(%d+)%s+0x(%x+)")
    if address then rows[#rows + 1] = { name, math.tointeger(number), tonumber(address, 16) }
    else
      address = line:match("^%S+%s+%S+%s+0x(%x+)")
      if address then rows[#rows + 1] = { "", 0, tonumber(address, 16) } end
    end
  end
  for i, row in ipairs(rows) do
    local name, number, address = table.unpack(row)
    local stop = rows[i + 1] and rows[i + 1][3] or address
    local first, last = last_below(sites, address) , last_below(sites, stop)
    lines[name] = lines[name] or {}
    local set = lines[name][number] or {}
    lines[name][number] = set
    if first == last then set[first] = true end
    for id = first + 1, last do set[id] = true end
  end
  return lines
end

-- The last line of a file of specs that was given up is short.
local function has(blocks, id) return (tonumber(blocks:sub(id // 4 + 1, id // 4 + 1), 16) or 0) & (1 << id % 4) ~= 0 end

-- covering(path, line): the specs that enter it; a line without code is that of the code before it.
function coverage.load()
  local specs, lines = read_specs(), read_lines()
  return function(path, line)
    local of_file = lines[path:match("[^/]+$")] or {}
    while line > 0 and not of_file[line] do line = line - 1 end
    local list = {}
    for _, spec in ipairs(specs) do
      for id in pairs(of_file[line] or {}) do
        if id > 0 and has(spec.blocks, id) then
          list[#list + 1] = spec
          break
        end
      end
    end
    return list
  end
end

return coverage
