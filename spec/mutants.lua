-- SPDX-License-Identifier: MIT
-- make mutants: small changes of the core, one at a time, each built and run against the specs in memory that enter its
-- line. What no spec sees is printed: there a spec is missing, or the code is dead, or the change is one that nobody could
-- see. FOLDER (or a file of server/), COUNT (or "all"), SEED; AGAIN=1 takes the survivors of the run before. Where several
-- run at a time, each has a NAME.
local altered = require "spec.altered_build"
local changes = require "spec.mutants.changes"
local coverage = require "spec.mutants.coverage"

local NAME = (os.getenv "NAME" or "") ~= "" and os.getenv "NAME" or "one"
local DIR, SURVIVORS, KILLERS = "build/mutants/" .. NAME, "build/mutants/survivors." .. NAME, "build/mutants/killers"
-- Seconds, by what the traced harness took: of specs that one process runs, and of those that a change is shown to, the
-- quick ones first. A few lines are entered by thousands of specs.
local CHUNK, BUDGET = 1, tonumber(os.getenv "BUDGET") or 5
local FLAGS = "-w -g0 -ffile-prefix-map=" .. DIR .. "/src=server"

-- The two ways to run a change: what survives the first is shown to the quickest of the specs once more, under the
-- sanitizers, which see a byte too far and what is never freed. `slower`: than the traced harness, with room.
local plain = { build = "build/mutants/base", settings = "COMMIT=none CC=gcc CFLAGS=-O1", budget = BUDGET, slower = 3, limits = "ulimit -v 3000000;" }
local sanitized = {
  build = "build/mutants/asan", budget = BUDGET / 5, slower = 12, limits = "",
  settings = 'COMMIT=none CC=gcc CFLAGS=-O1 SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"',
  environment = 'LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"',
}
local FOLDER, SEED = os.getenv "FOLDER" or "event", tonumber(os.getenv "SEED") or 1
local COUNT, AGAIN = os.getenv "COUNT" or "200", os.getenv "AGAIN" == "1"

local function say(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

local function key_of(mutant) return table.concat({ mutant.path, mutant.what, mutant.text }, "\t") end

-- All mutants of a folder or a file, in the order of the sources.
local function all_mutants()
  local list, texts = {}, {}
  local pattern = FOLDER:find("%.c$") and "server/" .. FOLDER or ("server/%s/*.c"):format((FOLDER:gsub("/$", "")))
  for path in altered.run("ls " .. pattern):gmatch("server/(%S+)") do
    texts[path] = altered.read("server/" .. path)
    for _, mutant in ipairs(changes.list(texts[path])) do
      mutant.path = path
      list[#list + 1] = mutant
    end
  end
  return list, texts
end

local function shuffled(list)
  math.randomseed(SEED)
  local copy = table.move(list, 1, #list, 1, {})
  for i = #copy, 2, -1 do
    local k = math.random(i)
    copy[i], copy[k] = copy[k], copy[i]
  end
  return copy
end

local function survivors_of_before(list)
  local wanted, chosen = {}, {}
  for line in io.lines(SURVIVORS) do wanted[line] = true end
  for _, mutant in ipairs(list) do
    if wanted[key_of(mutant)] then chosen[#chosen + 1] = mutant end
  end
  return chosen
end

local killers = {} -- C file -> spec file -> how many of its mutants that has killed, in all runs

local function add_kill(path, file)
  killers[path] = killers[path] or {}
  killers[path][file] = (killers[path][file] or 0) + 1
end

local function read_killers()
  local f <close> = io.open(KILLERS)
  for line in f and f:lines() or function() end do add_kill(line:match("^(%S+)\t(%S+)$")) end
end

local function note_kill(path, file)
  add_kill(path, file)
  local f <close> = assert(io.open(KILLERS, "a"))
  f:write(path, "\t", file, "\n")
end

-- Whether the name of a file of specs has a word of the source's.
local function is_about(file, stem)
  for word in stem:gmatch("[^_]+") do
    if file:find(word, 1, true) then return true end
  end
  return false
end

-- Files of specs with the names of those to run, those first that are likely to see it, in chunks of some seconds.
local function plan(mutant, specs, budget)
  local files, of = {}, {}
  local stem, left = mutant.path:match("([^/]+)%.c$"), budget
  table.sort(specs, function(a, b)
    local first, second = is_about(a.file, stem), is_about(b.file, stem)
    if first ~= second then return first end
    return a.seconds < b.seconds
  end)
  for _, spec in ipairs(specs) do
    left = left - spec.seconds
    if left < 0 and #files > 0 then break end
    if not of[spec.file] then
      of[spec.file] = { path = spec.file, seconds = 0, names = {} }
      files[#files + 1] = of[spec.file]
    end
    local file = of[spec.file]
    file.seconds = file.seconds + spec.seconds
    file.names[#file.names + 1] = spec.name
  end
  local kills = killers[mutant.path] or {}
  local function rank(file) return (kills[file.path] or 0) * 10 + (is_about(file.path, stem) and 5 or 0) - file.seconds end
  table.sort(files, function(a, b)
    local first, second = rank(a), rank(b)
    if first == second then return a.path < b.path end
    return first > second
  end)
  local chunks = {}
  for _, file in ipairs(files) do
    local chunk = chunks[#chunks]
    if not chunk or chunk.seconds + file.seconds > CHUNK then
      chunk = { files = {}, names = {}, seconds = 0 }
      chunks[#chunks + 1] = chunk
    end
    chunk.files[#chunk.files + 1] = file.path
    table.move(file.names, 1, #file.names, #chunk.names + 1, chunk.names)
    chunk.seconds = chunk.seconds + file.seconds
  end
  return chunks
end

-- Who sees it: the name of a spec, "timeout" or "crash", and in which file; nil where nobody does.
local function run_chunk(way, chunk, build)
  altered.write(DIR .. "/only", table.concat(chunk.names, "\n") .. "\n")
  local cpu = math.ceil(2 + way.slower * chunk.seconds)
  local command = coverage.busted(build, ("MUTANTS_ONLY=%s/only"):format(DIR), chunk.files,
    ("spec/mutants/run.sh %d env %s"):format(cpu * 10, way.environment or ""))
  local pipe = io.popen(("{ ( %s ulimit -t %d; ulimit -c 0; %s ) 2>&1; } 2> /dev/null"):format(way.limits, cpu, command))
  local text = pipe:read("a")
  local ok, _, code = pipe:close()
  if ok then return nil end
  local file, name = text:match("KILLED ([^\t\n]*)\t([^\n]*)")
  return name or ((code == 124 or code >= 137 and code ~= 139) and "timeout" or "crash"), file or chunk.files[1]
end

-- Shows what is built to the specs: who sees it, or nil.
local function show(way, mutant, specs)
  for _, chunk in ipairs(plan(mutant, specs, way.budget)) do
    local killer, file = run_chunk(way, chunk, DIR)
    -- A spec of the machine's memory, say, fails under the sanitizers whatever is changed.
    if killer and (way == plain or not run_chunk(way, chunk, way.build)) then
      note_kill(mutant.path, file)
      return killer
    end
  end
end

local originals = {} -- C file -> its object's bytes

local function compile(way, path, text)
  altered.run(("rm -rf %s && mkdir -p %s/src/%s"):format(DIR, DIR, path:match("^(.*)/")))
  altered.write(("%s/src/%s"):format(DIR, path), text)
  return altered.compile(way.commands, DIR, path, FLAGS)
end

-- What becomes of a mutant, and more about that.
local function try(mutant, texts, covering)
  local path, changed = mutant.path, changes.apply(texts[mutant.path], mutant)
  originals[path] = originals[path] or altered.read(assert(compile(plain, path, texts[path])))
  local object = compile(plain, path, changed)
  if not object then return "uncompilable" end
  if altered.read(object) == originals[path] then return "the same" end
  local specs = covering(path, mutant.line)
  if #specs == 0 then return "uncovered" end
  for _, way in ipairs { plain, sanitized } do
    object = way == plain and object or compile(way, path, changed)
    assert(altered.link(way.commands, DIR, { [path] = object }))
    local killer = show(way, mutant, specs)
    if killer then return way == plain and "killed" or "sanitized", killer end
  end
  return "survived", #specs .. " specs enter the line"
end

local function count(table_, name, outcome)
  table_[name] = table_[name] or {}
  table_[name][outcome] = (table_[name][outcome] or 0) + 1
end

local function score_line(name, counts)
  local killed, sanitizer = counts.killed or 0, counts.sanitized or 0
  local survived, uncovered = counts.survived or 0, counts.uncovered or 0
  local all = killed + sanitizer + survived + uncovered
  return ("| %-28s | %5d | %6d | %13d | %8d | %9d | %10d | %s |"):format(name, all, killed, sanitizer, survived, uncovered,
    counts["the same"] or 0, all > 0 and ("%.3f"):format((killed + sanitizer) / all) or "-")
end

local function report(counts, survivors)
  say ""
  for _, mutant in ipairs(survivors) do
    say(("server/%s:%d: %s: %s\n    %s"):format(mutant.path, mutant.line, mutant.outcome, mutant.what, mutant.text))
  end
  say "\n| file                         | count | killed | by sanitizers | survived | uncovered |   the same | score |"
  say "|---|---|---|---|---|---|---|---|"
  local names = {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do say(score_line(name, counts[name])) end
end

local function main()
  for _, way in ipairs { plain, sanitized } do
    assert(altered.run(("make -j2 BUILD=%s %s %s/lib/spate/harness.so"):format(way.build, way.settings, way.build)))
    way.commands = altered.commands(way.build, way.settings)
  end
  coverage.refresh(say)
  local covering = coverage.load()
  local all, texts = all_mutants()
  read_killers()
  local list = AGAIN and survivors_of_before(all) or shuffled(all)
  local wanted = (AGAIN or COUNT == "all") and #list or tonumber(COUNT)
  say(("%d possible changes in server/%s; %s of them, seed %d"):format(#all, FOLDER, AGAIN and "survivors" or wanted, SEED))
  local counts, survivors, done = {}, {}, 0
  for _, mutant in ipairs(list) do
    if done == wanted then break end
    local outcome, detail = try(mutant, texts, covering)
    if outcome ~= "uncompilable" then
      done = done + 1
      count(counts, mutant.path, outcome)
      count(counts, mutant.path:match("^(.*/)"), outcome)
      mutant.outcome = outcome
      if outcome == "survived" or outcome == "uncovered" then survivors[#survivors + 1] = mutant end
      say(("%d/%d %s:%d: %s: %s%s"):format(done, wanted, mutant.path, mutant.line, mutant.what, outcome, detail and " (" .. detail .. ")" or ""))
    end
  end
  table.sort(survivors, function(a, b)
    if a.path ~= b.path then return a.path < b.path end
    return a.line < b.line or a.line == b.line and a.first < b.first
  end)
  local keys = {}
  for i, mutant in ipairs(survivors) do keys[i] = key_of(mutant) .. "\n" end
  altered.write(SURVIVORS, table.concat(keys))
  report(counts, survivors)
end

main()
