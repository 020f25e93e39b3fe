-- SPDX-License-Identifier: MIT
-- The simulator itself: a seed is a run, to the byte; and what it says of one that fails.
local checked = require "spec.simulate.checked"
local harness = require("spec.helper").harness
local http2_client = require "spec.simulate.http2_client"
local plan = require "spec.simulate.plan"
local print_plan = require "spec.simulate.print"
local reduce = require "spec.simulate.reduce"
local run = require "spec.simulate.run"

local COUNT = os.getenv "LD_PRELOAD" and 4 or 40 -- sanitizers have nothing to say of what is compared

-- The first seeds that fetch files by HTTP/2, where that is built in: what a head of theirs has may lie in the tables of a connection, where it changes the bytes behind it.
local function seeds_of_files()
  local list, seed = {}, 0
  while http2_client.is_there and #list < COUNT do
    seed = seed + 1
    local p = plan.of_seed(seed)
    local is_file = {}
    for _, app in ipairs(p.apps) do
      for _, it in ipairs(app.routes) do is_file[it.path] = is_file[it.path] or it.kind == "file" end
    end
    for _, step in ipairs(p.steps) do
      for _, request in ipairs(step.http2 and step[1] == "request" and step or {}) do
        if is_file[request.path] and list[#list] ~= seed then list[#list + 1] = seed end
      end
    end
  end
  return list
end

-- A process that has begun to print digests, in an environment of its own.
local function begin_digests(seeds, environment, descriptors)
  return assert(io.popen(("exec %s; exec env %s lua5.4 spec/simulate.lua digests %s"):format(descriptors, environment, table.concat(seeds, " "))))
end

local function reversed(list)
  local other = {}
  for i, each in ipairs(list) do other[#list + 1 - i] = each end
  return other
end

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

describe("the simulator", function()
  it("gives the same run for the same seed, in each process and whatever ran before it", function()
    local seeds = seeds_of_files()
    table.move({ 5, 77, 100 }, 1, 3, #seeds + 1, seeds)
    local one <close> = begin_digests(seeds, "A=1", "3</dev/null")
    local two <close> = begin_digests(reversed(seeds), ("TMPDIR=/var/tmp A=%s"):format(("x"):rep(20000)), "4</dev/null 5</dev/null 9</dev/null")
    local first, second, differ = {}, {}, {}
    for i = 1, #seeds do first[i], second[#seeds + 1 - i] = one:read "l", two:read "l" end
    assert.equal(#seeds, #first)
    for i, seed in ipairs(seeds) do
      if first[i] ~= second[i] then differ[#differ + 1] = seed end
    end
    assert.same({}, differ)
  end)

  it("gives other runs for other seeds", function()
    assert.not_equal(run(plan.of_seed(1)).digest, run(plan.of_seed(2)).digest)
  end)

  it("prints a program that runs the same", function()
    local p = plan.of_seed(7)
    local printed = assert(load("return " .. print_plan.program(p)))()
    assert.equal(run(p).digest, run(printed).digest)
  end)

  it("runs of a seed that has failed what failed", function()
    local other = {}
    for _, failed in ipairs(require "spec.simulate.seeds") do
      local seed, version, hash = table.unpack(failed)
      local has_all = http2_client.is_there or version < 4 -- which is when HTTP/2 came
      if has_all and print_plan.hash(plan.of_seed(seed)) ~= hash then other[#other + 1] = seed end
    end
    assert.same({}, other, "seeds whose programs are not what they were: what is drawn more belongs into ADDED of plan.lua")
  end)

  it("cuts a failing schedule down to the steps that matter", function()
    local p = plan.of_seed(9)
    local function fails()
      local resets = 0
      for _, step in ipairs(p.steps) do resets = resets + (step[1] == "window" and 1 or 0) end
      return resets >= 1
    end
    assert.is_true(fails())
    reduce(p, fails)
    assert.equal(1, #p.steps)
    assert.equal("window", p.steps[1][1])
  end)

  it("goes by sentences of the READMEs, and by each of them", function()
    local texts = {}
    for _, path in ipairs { "README.md", "lua/README.md" } do texts[#texts + 1] = (read(path):gsub("%s+", " ")) end
    local model = ""
    for path in io.popen("ls spec/simulate/*.lua spec/simulate/kinds/*.lua"):lines() do model = model .. read(path) end
    for name, sentence in pairs(require "spec.simulate.promises") do
      assert.truthy(texts[1]:find(sentence, 1, true) or texts[2]:find(sentence, 1, true), "not in a README: " .. sentence)
      assert.truthy(model:find("says%." .. name .. "%f[^%w_]"), "no assertion of " .. name)
    end
  end)

  it("fails where each run leaves bytes of the C heap, and not where the first does", function()
    local kept = {}
    local function keep() kept[#kept + 1] = harness.inflate() return #kept end
    assert.error_matches(function() checked({}, keep) end, "^FAIL: %d+ bytes are lost$")
    kept = {}
    assert.equal(1, checked({}, function() return kept[1] and 1 or keep() end))
    assert.equal(0, checked({}, function() kept = {} return 0 end))
  end)

  it("fails where a run leaves a descriptor open", function()
    local file
    assert.error_matches(function() checked({}, function() file = assert(io.open "/dev/null") end) end, "^FAIL: 1 descriptors are left open$")
    file:close()
  end)

  it("prints a spec that looks at these as well", function()
    local p = plan.of_seed(7)
    local printed, seen = print_plan.spec(p, "why"), nil
    local env = setmetatable({ describe = function(_, fn) fn() end, it = function(_, fn) fn() end, require = function(name)
      return function(program) seen = { name, print_plan.program(program) } end
    end }, { __index = _G })
    assert(load(printed, "printed", "t", env))()
    assert.same({ "spec.simulate.checked", print_plan.program(p) }, seen)
  end)

  -- What is not drawn, and why.
  local LEFT_OUT = { ["sse.wait_fd"] = "is for descriptors of the kernel, which simulated programs have none of", [":relay"] = "is for what other servers send" }

  it("draws every source and combinator of streams, and every method and option of channels, dictionaries, promises and tasks", function()
    local blocks = ""
    for path in io.popen("ls spec/simulate/*.lua spec/simulate/kinds/*.lua"):lines() do blocks = blocks .. read(path) end
    local types, missing = "", {}
    for _, path in ipairs { "types.lua", "types/sse.lua", "types/channel.lua" } do types = types .. read("lua/spate/" .. path) end
    local count = 0
    for of, name in types:gmatch "\nfunction (%w+[.:])([%w_]+)" do
      local call = of == "sse." and of .. name or (of == "Stream:" or of == "Channel:" or of == "Shared:" or of == "Promise:" or of == "Task:") and ":" .. name
      if call then count = count + 1 end
      if call and not LEFT_OUT[call] and not blocks:find(call:gsub("%p", "%%%0") .. "%f[^%w_]") then missing[#missing + 1] = of .. name end
    end
    for name in types:match("@class spate.ChannelOptions(.-)\n\n"):gmatch "@field ([%w_]+)" do
      count = count + 1
      if not blocks:find("%f[%w_]" .. name .. "%f[^%w_]") then missing[#missing + 1] = "option " .. name end
    end
    assert.same({}, missing)
    assert.is_true(count > 40)
  end)

  it("asks again when keep-alives come, once a stream has caught up with what made it late", function()
    local bounds = require "spec.simulate.bounds"
    local is_timed, last = bounds.is_timed, nil
    function bounds.is_timed(...)
      last = is_timed(...)
      return last
    end
    local p = plan.of_seed(1)
    p.apps = { { version = 1, channels = { { queue = 256, history = 10, ttl = 30, on_full = "disconnect" } }, every = {}, routes = { { kind = "channel", method = "GET", path = "/c", channel = 1, replay = 0 } } } }
    p.steps = { { "request", { method = "GET", path = "/c", number = 0 }, client = 1, worker = 1 }, { "jump", 2 }, { "advance", 40 } }
    p.settings = {}
    run(p)
    bounds.is_timed = is_timed
    assert.is_true(last)
  end)

  it("has hours in which each kind of fault is there for a while, and none for longer", function()
    local p, count, faulty = plan.of_hours(1, 12, 10), {}, 0
    for _, step in ipairs(p.steps) do
      local what = step.fault and step.fault[1] or step.refused and "refused" or step.fails and "fails" or step[1] == "reload" and p.apps[step.app].broken and "broken"
      if what then count[what], faulty = (count[what] or 0) + 1, faulty + 1 end
    end
    for _, what in ipairs { "task", "descriptors", "stress", "refused", "fails", "broken", "allocation" } do assert.is_true((count[what] or 0) > 0, what) end
    assert.is_true(faulty < #p.steps / 4)
  end)

  -- How a run ends in which the application has `to` for what it had.
  local function run_with(p, from, to)
    local application = require "spec.simulate.application"
    package.loaded["spec.simulate.application"] = function(...) return (application(...):gsub(from, to)) end
    package.loaded["spec.simulate.run"] = nil
    local ok, why = pcall(require "spec.simulate.run", p)
    package.loaded["spec.simulate.application"], package.loaded["spec.simulate.run"] = application, run
    return ok, why
  end

  local function small_plan()
    local p = plan.of_seed(1)
    p.apps = { { version = 1, channels = { {} }, every = {}, routes = { { kind = "text", method = "GET", path = "/x" } } } }
    p.steps = { { "request", { method = "GET", path = "/x" }, client = 1, worker = 1 } }
    return p
  end

  it("gives the same run however many bytes the garbage of a program has", function()
    local differ = {}
    for _, seed in ipairs { 203401010078, 203401010152, 203401010226, 203401010234 } do
      local p = plan.of_seed(seed)
      local _, other = run_with(p, "local function log%(%.%.%.%)", '%0 for i = 1, 200 do local _ = "garbage " .. i end')
      if other.digest ~= run(p).digest then differ[#differ + 1] = seed end
    end
    assert.same({}, differ)
  end)

  it("excuses nothing by a limit that has refused nothing", function()
    local p = small_plan()
    p.settings.limits = { tasks = 100, burst = 20, hang = 30 }
    run(p)
    local ok, why = run_with(p, 'return "text "', 'error "on purpose" return "text "')
    assert.is_false(ok)
    assert.matches("status 500", why, 1, true)
  end)

  it("excuses what memory was refused to, and nothing else later", function()
    local p = small_plan()
    p.settings.limits = { burst = 20, hang = 30 }
    p.steps[1].fault = { "allocation", worker = 1, after = 0, count = 1000 }
    p.steps[2] = { "advance", 40 }
    p.steps[3] = { "request", { method = "GET", path = "/x" }, client = 2, worker = 1 }
    run(p)
    local ok, why = run_with(p, 'return "text "', 'error "on purpose" return "text "')
    assert.is_false(ok)
    assert.matches("at 40.000000 s", why, 1, true)
  end)

  it("excuses nothing by a store that has answered all the time", function()
    local p = small_plan()
    p.store, p.settings.limits = true, { burst = 20, hang = 30 }
    p.apps[1].every = { { period = 1, channel = 1 } }
    p.apps[1].channels = { { history = 10, ttl = 30, queue = 256, on_full = "disconnect" } }
    p.apps[1].routes = { { kind = "channel", method = "GET", path = "/x", channel = 1, replay = 0, is_mapped = true } }
    p.steps[2] = { "advance", 5 }
    run(p)
    local ok, why = run_with(p, "return event end%)", 'error "on purpose" end)')
    assert.is_false(ok)
    assert.matches("the stream is cut", why, 1, true)
  end)

  it("fails where a client sees what it must not", function()
    local p = small_plan()
    run(p)
    local ok, why = run_with(p, '"text "', '"test "')
    assert.is_false(ok)
    assert.matches("expected: a string alone is the same", why, 1, true)
  end)

  it("fails where a task is left", function()
    local p = small_plan()
    run(p)
    local ok, why = run_with(p, "return app\n$", "sse.every(1e6, function() end)\n%0")
    assert.is_false(ok)
    assert.matches("worker 0: 1 tasks are left, at most 0 may be", why, 1, true)
  end)
end)
