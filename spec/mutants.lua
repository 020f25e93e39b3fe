-- SPDX-License-Identifier: MIT
-- make mutants: small changes of the core, one at a time, each built and run against the specs in memory that enter its
-- line. What no spec sees is printed: there a spec is missing, or the code is dead, or the change is one that nobody could
-- see. FOLDER (or a file of server/), COUNT (or "all"), SEED; AGAIN=1 takes the survivors of the run before, QUICK=1 leaves
-- the sanitizers out. Where several run at a time, each has a NAME.
local altered = require "spec.altered_build"
local changes = require "spec.mutants.changes"
local coverage = require "spec.mutants.coverage"
local progress = require "spec.mutants.progress"
local variants = require "spec.mutants.variants"

local NAME = (os.getenv "NAME" or "") ~= "" and os.getenv "NAME" or "one"
local DIR, SURVIVORS, KILLERS = "build/mutants/" .. NAME, "build/mutants/survivors." .. NAME, "build/mutants/killers"
-- Seconds, by what the traced harness took: of specs that one process runs, and of those that a change is shown to, the
-- quick ones first. A few lines are entered by thousands of specs.
local CHUNK, BUDGET = 1, tonumber(os.getenv "BUDGET") or 5
-- That an assertion names its function and its file would make the same code another.
local FLAGS = [[-w -g0 -D__FILE__='""' -D__PRETTY_FUNCTION__='""']]

-- The two ways to run a change: what survives the first is shown to the quickest of the specs once more, under the
-- sanitizers, which see a byte too far and what is never freed. `slower`: than the traced harness, with room.
local plain = { name = "plain", build = "build/mutants/base", settings = "COMMIT=none CC=gcc CFLAGS=-O1", budget = BUDGET, slower = 3, limits = "ulimit -v 3000000;" }
local sanitized = {
  name = "asan", build = "build/mutants/asan", budget = BUDGET / 5, slower = 12, limits = "",
  settings = 'COMMIT=none CC=gcc CFLAGS=-O1 SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined"',
  environment = 'LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"',
}
local WAYS = os.getenv "QUICK" == "1" and { plain } or { plain, sanitized }
local FOLDER, SEED = os.getenv "FOLDER" or "event", tonumber(os.getenv "SEED") or 1
local JOBS = tonumber(os.getenv "JOBS") or 2
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
      if variants.can(mutant) then list[#list + 1] = mutant end
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
local witnesses = {} -- C file, spec file and name, with tabs between -> whether that has killed one

local function add_kill(path, file, name)
  killers[path] = killers[path] or {}
  killers[path][file] = (killers[path][file] or 0) + 1
  witnesses[path .. "\t" .. file .. "\t" .. name] = true
end

-- Names of a spec come with those of the blocks around it where they are traced, and without where they fail.
local function is_witness(path, spec)
  local first = 1
  while first do
    if witnesses[path .. "\t" .. spec.file .. "\t" .. spec.name:sub(first)] then return true end
    first = spec.name:find(" ", first, true)
    first = first and first + 1
  end
  return false
end

local function read_killers()
  local f <close> = io.open(KILLERS)
  for line in f and f:lines() or function() end do add_kill(line:match("^(%S+)\t(%S+)\t?(.*)$")) end
end

local function note_kill(path, file, name)
  name = name:gsub("%s+", " ")
  add_kill(path, file, name)
  local f <close> = assert(io.open(KILLERS, "a"))
  f:write(path, "\t", file, "\t", name, "\n")
end

-- Whether the name of a file of specs has a word of the source's.
local function is_about(file, stem)
  for word in stem:gmatch("[^_]+") do
    if file:find(word, 1, true) then return true end
  end
  return false
end

-- The specs to be shown a change, within a budget: those first that have seen another of this source, then of each file the
-- quick ones, and the more of a file the more changes of this source it has seen.
local function chosen(mutant, specs, budget)
  local of, kills, places = {}, killers[mutant.path] or {}, {}
  local stem = mutant.path:match("([^/]+)%.c$")
  table.sort(specs, function(a, b) return a.seconds < b.seconds end)
  for _, spec in ipairs(specs) do
    of[spec.file] = (of[spec.file] or 0) + 1
    places[spec] = of[spec.file] / (1 + (kills[spec.file] or 0) + (is_about(spec.file, stem) and 5 or 0))
    if is_witness(mutant.path, spec) then places[spec] = 0 end
  end
  table.sort(specs, function(a, b)
    if places[a] ~= places[b] then return places[a] < places[b] end
    return a.seconds < b.seconds
  end)
  local list = {}
  for _, spec in ipairs(specs) do
    budget = budget - spec.seconds
    if budget < 0 and list[1] then break end
    list[#list + 1] = spec
  end
  return list
end

-- Files of specs with the names of those to run, those first that are likely to see it, in chunks of some seconds.
local function plan(mutant, specs, budget)
  local files, of = {}, {}
  local stem = mutant.path:match("([^/]+)%.c$")
  for _, spec in ipairs(chosen(mutant, specs, budget)) do
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

-- Names but those of specs that fail whatever is changed. What has failed is known without the names of the blocks around it.
local function without(way, names)
  local list = {}
  for _, name in ipairs(names) do
    local is_left_out = false
    for failed in pairs(way.left_out) do is_left_out = is_left_out or (" " .. name):sub(-#failed - 1) == " " .. failed end
    if not is_left_out then list[#list + 1] = name end
  end
  return list
end

local runs = 0

-- Who sees the change `id`: the name of a spec, "timeout" or "crash", and in which file; nil where nobody does.
local function run_chunk(way, chunk, id)
  runs = runs + 1
  local only = ("%s/only.%d"):format(DIR, runs)
  altered.write(only, table.concat(without(way, chunk.names), "\n") .. "\n")
  local cpu = math.ceil(5 + way.slower * chunk.seconds) -- some files take two seconds before their first spec
  local command = coverage.busted(way.dir, ("MUTANTS_ONLY=%s MUTANT=%d"):format(only, id), chunk.files,
    ("spec/mutants/run.sh %d env %s"):format(cpu * 40, way.environment or ""))
  local pipe = io.popen(("{ ( %s ulimit -t %d; ulimit -c 0; %s ) 2>&1; } 2> /dev/null"):format(way.limits, cpu, command))
  coroutine.yield() -- others are begun before this one is waited for
  local text = pipe:read("a")
  local ok, _, code = pipe:close()
  os.remove(only)
  if ok or text:find("LeakSanitizer has encountered a fatal error", 1, true) then return nil end -- now and then, behind the last spec
  local file, name = text:match("KILLED ([^\t\n]*)\t([^\n]*)")
  return name or ((code == 124 or code >= 137 and code ~= 139) and "timeout" or "crash"), file or chunk.files[1]
end

-- What had run when a spec of `file` failed; all of it where nobody has said which.
local function as_far_as(chunk, killer, file)
  if killer == "timeout" or killer == "crash" then return chunk end
  local files = {}
  for i, path in ipairs(chunk.files) do
    files[i] = path
    if path == file then break end
  end
  return { files = files, names = chunk.names, seconds = chunk.seconds }
end

local function is_named(killer) return killer ~= "crash" and killer ~= "timeout" end

-- Who of a chunk sees a change, or nil. What fails whatever is changed, as a spec of the machine's memory may under the sanitizers,
-- is no witness, and is left out from then on, so that the others of its chunk still are. Where nobody says what has crashed, each
-- file is asked alone. What has been seen to pass without a change is asked no more.
local function seen_by(way, mutant, chunk)
  local killer, file = run_chunk(way, chunk, mutant.id)
  if not killer then return nil end
  local key = is_named(killer) and file .. killer or table.concat(chunk.files, " ") .. killer
  if not way.honest[key] then
    local failed, where = run_chunk(way, as_far_as(chunk, killer, file), 0)
    way.honest[key] = not failed
    if failed then
      failed = failed:gsub("%s+", " ")
      if is_named(failed) and not way.left_out[failed] then
        way.left_out[failed] = true
        say("fails by itself:", where, failed)
        return seen_by(way, mutant, chunk)
      end
      if not chunk.files[2] then return say("fails by itself:", where, failed) end
      for _, path in ipairs(chunk.files) do
        local witness = seen_by(way, mutant, { files = { path }, names = chunk.names, seconds = chunk.seconds })
        if witness then return witness end
      end
      return nil
    end
  end
  note_kill(mutant.path, file, killer)
  return killer
end

-- Shows a change to the specs: who sees it, or nil.
local function show(way, mutant, specs)
  for _, chunk in ipairs(plan(mutant, specs, way.budget)) do
    local killer = seen_by(way, mutant, chunk)
    if killer then return killer end
  end
end

-- Compiles the variants of a file; without those that no compiler takes, which it marks.
local function compile(way, path, text, list)
  local all = list
  while true do
    altered.write(("%s/src/%s"):format(way.dir, path), variants.source(text, path, list))
    local object, messages = altered.compile(way.commands, way.dir, path, FLAGS)
    if object then return object end
    local refused, left = variants.refused(messages), {}
    for _, one in ipairs(list) do
      if refused[one.id] then one.outcome = "uncompilable" else left[#left + 1] = one end
    end
    if #left == #list then error(messages) end
    list = left
    if #list == 0 then return nil, all end
  end
end

-- A harness with all of the changes in it, for each way.
local function build(list, texts)
  local of = {}
  for i, one in ipairs(list) do
    one.id = i
    of[one.path] = of[one.path] or {}
    table.insert(of[one.path], one)
  end
  for _, way in ipairs(WAYS) do
    say(("building the changes into the %s harness"):format(way.name))
    way.dir = ("%s/%s"):format(DIR, way.name)
    altered.run(("rm -rf %s && mkdir -p %s/src/%s"):format(way.dir, way.dir, FOLDER:match("^[^/]+")))
    local objects = {}
    for path, its in pairs(of) do
      local left = {}
      for _, one in ipairs(its) do
        if not one.outcome then left[#left + 1] = one end
      end
      objects[path] = #left > 0 and compile(way, path, texts[path], left) or nil
      local same = way == plain and objects[path] and variants.same(objects[path], left) or {}
      for _, one in ipairs(left) do
        if same[one.id] then one.outcome = "the same" end
      end
    end
    assert(altered.run(("%s -c -o %s/choice.o spec/mutants/choice.c"):format(way.commands.compile, way.dir)))
    way.commands.objects = way.commands.objects .. (" %s/choice.o"):format(way.dir)
    assert(altered.link(way.commands, way.dir, objects))
  end
end

-- What becomes of a change, and more about that.
local function try(mutant, covering)
  if mutant.outcome then return mutant.outcome end
  local specs = covering(mutant.path, mutant.line)
  if #specs == 0 then return "uncovered" end
  for _, way in ipairs(WAYS) do
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

-- Calls fn(one, i) for each of a list, `jobs` of them at a time, in coroutines that yield where they would wait.
local function each_by(jobs, list, fn)
  local running, at = {}, 0
  while at < #list or running[1] do
    while #running < jobs and at < #list do
      at = at + 1
      running[#running + 1] = coroutine.wrap(function(...) fn(...); return true end)
      if running[#running](list[at], at) then table.remove(running) end
    end
    for k = #running, 1, -1 do
      if running[k]() then table.remove(running, k) end
    end
  end
end

local function main()
  for _, way in ipairs(WAYS) do
    assert(progress.make(say, way.name, ("BUILD=%s %s %s/lib/spate/harness.so"):format(way.build, way.settings, way.build)))
    way.commands = altered.commands(way.build, way.settings)
    way.commands.link = way.commands.link .. " -Wl,-z,nodelete" -- what its own variables hold at a process's end is no leak
    way.honest, way.left_out = {}, {}
  end
  coverage.refresh(say, JOBS)
  local covering = coverage.load()
  local all, texts = all_mutants()
  read_killers()
  local list = AGAIN and survivors_of_before(all) or shuffled(all)
  list = table.move(list, 1, (AGAIN or COUNT == "all") and #list or math.min(tonumber(COUNT), #list), 1, {})
  say(("%d possible changes in server/%s; %s of them, seed %d"):format(#all, FOLDER, AGAIN and "survivors" or #list, SEED))
  build(list, texts)
  local counts, survivors = {}, {}
  each_by(JOBS, list, function(mutant, i)
    local outcome, detail = try(mutant, covering)
    if outcome == "uncompilable" then return end
    count(counts, mutant.path, outcome)
    count(counts, mutant.path:match("^(.*/)"), outcome)
    mutant.outcome = outcome
    if outcome == "survived" or outcome == "uncovered" then survivors[#survivors + 1] = mutant end
    say(("%d/%d %s:%d: %s: %s%s"):format(i, #list, mutant.path, mutant.line, mutant.what, outcome, detail and " (" .. detail .. ")" or ""))
  end)
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
