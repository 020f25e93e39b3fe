-- SPDX-License-Identifier: MIT
-- What is counted as Prometheus and OpenMetrics have it, and what an application counts for itself.
local helper = require "spec.helper"

local APP = [[
local jobs = spate.metrics.counter("jobs_total", { help = "Jobs done.", labels = { "kind" } })
local depth = spate.metrics.gauge("queue_depth", { help = "Jobs that wait." })
local level = spate.metrics.gauge("level", { help = "How full.", labels = { "tank" } })
local took = spate.metrics.histogram("job_seconds", { help = "How long a job takes.", buckets = { 0.1, 1 } })
app:get("/metrics", function(req) return reply.body(spate.metrics.text(req.query.open), "text/plain") end)
app:get("/rooms/:room", function(req) sse.sleep(tonumber(req.query.s or 0)) return "x" end)
app:get('/a"b\\c', function() return "x" end)
app:post("/levels", function()
  local list = {}
  for i = 1, 1001 do list[i] = level:set(i, { tank = i }) end
  return { first = list[1], last = list[1000], more = list[1001], inc = jobs:inc { kind = "x" } }
end)
app:get("/long", function() return ("x"):rep(5000) end)
app:get("/stream", function() return sse.reply(sse.once "x") end)
app:post("/took/:seconds", function(req) took:observe(tonumber(req.params.seconds)) return "" end)
app:post("/jobs/:kind", function(req)
  jobs:inc { kind = req.params.kind }
  depth:set(3) depth:inc(2) depth:dec()
  took:observe(0.05) took:observe(0.5) took:observe(7)
  return ""
end)
app:post("/many", function() for i = 1, 1001 do jobs:inc { kind = i } end return "" end)]]

-- The value of a series by its line's beginning.
local function value(text, series)
  for line in text:gmatch "[^\n]+" do
    if line:sub(1, #series + 1) == series .. " " then return tonumber(line:sub(#series + 2)) end
  end
end

local function promtool(text)
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  local p = assert(io.popen("unset LD_PRELOAD; promtool check metrics < " .. path .. " 2>&1; echo $?"))
  local said = p:read "a"
  p:close()
  os.remove(path)
  return said
end

describe("the exposition", function()
  local server
  before_each(function() server = helper.serve(APP) end)
  after_each(function() server:close() end)

  local function text(query) return (server:get("/metrics" .. (query or "")):body()) end

  it("has what spate.stats() has", function()
    server:get "/stream"
    local cpu = os.clock()
    local all = text()
    local said = value(all, "process_cpu_seconds_total")
    assert.is_true(said > cpu - 0.01 and said < os.clock() + 0.01, said)
    assert.equal(1, value(all, "spate_streams_total"))
    assert.equal(0, value(all, "spate_streams_open"))
    assert.equal(2, value(all, "spate_connections_open"))
    assert.equal(1, value(all, 'spate_streams_closed_total{reason="finished"}'))
    assert.equal(0, value(all, 'spate_streams_closed_total{reason="kicked"}'))
    assert.equal(2, value(all, "spate_requests_total"))
    assert.truthy(value(all, "process_resident_memory_bytes") > 1e6)
    assert.truthy(value(all, "process_open_fds") > 3)
    assert.truthy(math.abs(value(all, "process_start_time_seconds") - os.time()) < 86400)
  end)

  -- What the file says, and what a pattern finds there.
  local function said_in(path, pattern)
    local f <close> = assert(io.open(path))
    return f:read("a"):match(pattern)
  end

  it("says of the process what the kernel does", function()
    local pages, resident = said_in("/proc/self/statm", "^(%d+) (%d+)")
    local all = text()
    assert.is_true(math.abs(value(all, "process_virtual_memory_bytes") - pages * 4096) < 1 << 20)
    assert.is_true(math.abs(value(all, "process_resident_memory_bytes") - resident * 4096) < 1 << 20)
    local ticks = said_in("/proc/self/stat", "%) %S" .. (" %S+"):rep(18) .. " (%d+)")
    local booted = said_in("/proc/stat", "btime (%d+)") -- whole seconds
    local began = value(all, "process_start_time_seconds") - booted - ticks / 100
    assert.is_true(began > -0.1 and began < 1.1, began)
    assert.equal(tonumber((said_in("/proc/self/limits", "Max open files +(%d+)"))), value(all, "process_max_fds"))
  end)

  -- Before Linux 6.2 the kernel does not say how many there are.
  it("counts the descriptors where they are only listed", function()
    local counted = value(text(), "process_open_fds")
    assert.equal(counted, value(helper.harness.refused("stat", "EPERM", text), "process_open_fds"))
    assert.equal(counted, helper.harness.descriptors() - 3) -- ".", ".." and that of its own listing
  end)

  it("has nothing of the process where there is no descriptor to read that by", function()
    local all = helper.harness.refused("openat", "EMFILE", text)
    for _, name in ipairs { "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds" } do
      assert.equal(0, value(all, "process_" .. name), name)
    end
    assert.is_true(value(all, "process_open_fds") > 3)
    all = helper.harness.refused("stat", "EPERM", function() return helper.harness.refused("openat", "EMFILE", text) end)
    assert.equal(0, value(all, "process_open_fds"))
    assert.equal(0, value(helper.harness.refused("prlimit", "EPERM", text), "process_max_fds"))
  end)

  it("counts the time that the kernel works for the process", function()
    local function seconds(field) return said_in("/proc/self/stat", "%) %S" .. (" %S+"):rep(field - 4) .. " (%d+)") / 100 end
    local until_then = seconds(15) + 0.05
    while seconds(15) < until_then do said_in("/proc/self/smaps", "^") end
    local before = seconds(14) + seconds(15)
    local said = value(text(), "process_cpu_seconds_total")
    assert.is_true(said > before - 0.03 and said < seconds(14) + seconds(15) + 0.03, said)
  end)

  it("leaves no descriptor open", function()
    local before = helper.harness.descriptors()
    for _ = 1, 3 do
      text()
      helper.harness.refused("stat", "EPERM", text)
    end
    assert.equal(before, helper.harness.descriptors())
  end)

  -- The families of a text, by name: { type, lines with their values }, in the order in which they stand.
  local function families(all)
    local list, family = {}, nil
    for line in all:gmatch "[^\n]+" do
      local name, kind = line:match "^# TYPE (%S+) (%S+)$"
      local helped = line:match "^# HELP (%S+) ."
      if helped then
        family = { name = helped, samples = {} }
        list[#list + 1] = family
      elseif name then
        assert.equal(family.name, name)
        family.type = kind
      elseif line ~= "# EOF" then
        table.insert(family.samples, (line:match "^[%w_]+"))
      end
    end
    return list
  end

  -- How the samples of a family may be called.
  local function is_its(family, sample, is_open)
    if family.type == "histogram" then return sample == family.name .. "_bucket" or sample == family.name .. "_sum" or sample == family.name .. "_count" end
    return sample == family.name .. (is_open and family.type == "counter" and "_total" or "")
  end

  it("has each family once, with its samples behind it, in both forms", function()
    server:get "/stream"
    server:post "/jobs/mail"
    server:get "/rooms/a"
    for _, query in ipairs { "", "?open=1" } do
      local seen, is_open = {}, query ~= ""
      for _, family in ipairs(families(text(query))) do
        assert.is_nil(seen[family.name], family.name)
        seen[family.name] = family.type
        for _, sample in ipairs(family.samples) do assert.is_true(is_its(family, sample, is_open), family.name .. " has " .. sample) end
      end
      local ending = is_open and "" or "_total"
      for _, name in ipairs { "process_cpu_seconds", "jobs", "spate_answers", "spate_streams_closed", "spate_requests" } do assert.equal("counter", seen[name .. ending], name) end
      for _, name in ipairs { "queue_depth", "level", "spate_streams_open", "spate_pool_limit", "process_open_fds" } do assert.equal("gauge", seen[name], name) end
      for _, name in ipairs { "job_seconds", "spate_answer_seconds", "spate_lag_bytes" } do assert.equal("histogram", seen[name], name) end
    end
  end)

  it("has answers by route and kind of status, and their times", function()
    local res = server:get "/rooms/a?s=0.02"
    server:advance(0.03)
    assert.equal(200, res:status())
    server:get "/rooms/b"
    server:get "/nowhere"
    local all = text()
    assert.equal(2, value(all, 'spate_answers_total{method="GET",route="/rooms/:room",status="2xx"}'))
    assert.equal(1, value(all, 'spate_answers_total{method="",route="",status="4xx"}'))
    assert.equal(1, value(all, 'spate_answer_seconds_bucket{method="GET",route="/rooms/:room",le="0.01"}'))
    assert.equal(2, value(all, 'spate_answer_seconds_bucket{method="GET",route="/rooms/:room",le="0.025"}'))
    assert.equal(2, value(all, 'spate_answer_seconds_count{method="GET",route="/rooms/:room"}'))
    assert.is_nil(all:find('route="/stream"', 1, true)) -- nobody has asked for it
  end)

  it("has answers of each kind of status", function()
    local answering = helper.serve [[
app:get("/status/:code", function(req) return reply.body("", "text/plain", tonumber(req.params.code)) end)
app:get("/metrics", function() return reply.body(spate.metrics.text(), "text/plain") end)]]
    for _, code in ipairs { 200, 299, 300, 399, 404, 499, 499, 500, 599 } do assert.equal(code, answering:get("/status/" .. code):status()) end
    local all, counts = answering:get("/metrics"):body(), {}
    for kind, count in all:gmatch 'spate_answers_total{method="GET",route="/status/:code",status="(%dxx)"} (%d+)' do counts[kind] = tonumber(count) end
    assert.same({ ["2xx"] = 2, ["3xx"] = 2, ["4xx"] = 3, ["5xx"] = 2 }, counts)
    answering:close()
  end)

  it("has 999 routes apart, and what is beyond without a name", function()
    local answering = helper.serve [[
for i = 1, 1001 do app:get("/" .. i, function() return "x" end) end
app:get("/metrics", function() return reply.body(spate.metrics.text(), "text/plain") end)]]
    for _, i in ipairs { 1, 998, 999, 1000, 1001 } do answering:get("/" .. i) end
    local all = answering:get("/metrics"):body()
    for _, i in ipairs { 1, 998, 999 } do assert.equal(1, value(all, ('spate_answers_total{method="GET",route="/%d",status="2xx"}'):format(i)), i) end
    assert.equal(2, value(all, 'spate_answers_total{method="",route="",status="2xx"}'))
    assert.equal(5, select(2, all:gsub("\nspate_answers_total{", "")) + 1)
    answering:close()
  end)

  it("has what clients did not take at once: for how long, and how many bytes", function()
    local slow = server:connect()
    server:advance(5)
    slow:window(1000)
    local res = server:get("/long", { client = slow })
    server:advance(2)
    slow:window()
    server:turn()
    local all = text()
    assert.equal(1, value(all, "spate_lag_seconds_count"))
    assert.equal(2, value(all, "spate_lag_seconds_sum"))
    assert.equal(0, value(all, 'spate_lag_seconds_bucket{le="1"}'))
    assert.equal(1, value(all, 'spate_lag_seconds_bucket{le="2.5"}'))
    assert.equal(#res:raw() - 1000, value(all, "spate_lag_bytes_sum"))
  end)

  it("has a route with its quotes and backslashes escaped", function()
    server:get '/a%22b%5Cc'
    assert.equal(1, value(text(), [[spate_answers_total{method="GET",route="/a\"b\\c",status="2xx"}]]))
  end)

  it("counts in a bucket what is as large as that", function()
    local res = server:get "/rooms/a?s=0.25"
    server:advance(0.25)
    assert.equal(200, res:status())
    local all = text()
    assert.equal(0, value(all, 'spate_answer_seconds_bucket{method="GET",route="/rooms/:room",le="0.1"}'))
    assert.equal(1, value(all, 'spate_answer_seconds_bucket{method="GET",route="/rooms/:room",le="0.25"}'))
    local at_once, late = server:get "/rooms/b", server:get "/rooms/b?s=11"
    server:advance(11)
    assert.equal(200, at_once:status())
    assert.equal(200, late:status())
    all = text()
    local bounds = { "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf" }
    local counts = {}
    for i, bound in ipairs(bounds) do counts[i] = value(all, ('spate_answer_seconds_bucket{method="GET",route="/rooms/:room",le="%s"}'):format(bound)) end
    assert.same({ 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3 }, counts)
    assert.equal(11.25, value(all, 'spate_answer_seconds_sum{method="GET",route="/rooms/:room"}'))
    server:post "/took/0.1"
    server:post "/took/1"
    all = text()
    assert.equal(1, value(all, 'job_seconds_bucket{le="0.1"}'))
    assert.equal(2, value(all, 'job_seconds_bucket{le="1"}'))
  end)

  it("has a route once, however often the code that has it is loaded", function()
    for _ = 1, 3 do
      server:get "/metrics"
      assert.is_true(server:reload(APP))
    end
    local all = text()
    assert.equal(3, value(all, 'spate_answers_total{method="GET",route="/metrics",status="2xx"}'))
    assert.equal(1, select(2, all:gsub('spate_answers_total{method="GET",route="/metrics"', "")))
  end)

  it("has what the application counts, kept over reloads", function()
    server:post "/jobs/mail"
    server:post "/jobs/mail"
    server:post '/jobs/a%22b%5C'
    assert.is_true(server:reload(APP))
    server:post "/jobs/mail"
    local all = text()
    assert.equal(3, value(all, 'jobs_total{kind="mail"}'))
    assert.equal(1, value(all, 'jobs_total{kind="a\\"b\\\\"}'))
    assert.equal(4, value(all, "queue_depth"))
    assert.equal(4, value(all, 'job_seconds_bucket{le="0.1"}'))
    assert.equal(8, value(all, 'job_seconds_bucket{le="1"}'))
    assert.equal(12, value(all, 'job_seconds_bucket{le="+Inf"}'))
    assert.equal(12, value(all, "job_seconds_count"))
    assert.equal(30.2, value(all, "job_seconds_sum"))
  end)

  it("says whether it has taken what is counted and set", function()
    assert.same({ first = true, last = true, more = false, inc = true }, server:post("/levels"):json())
    local all = text()
    assert.equal(1000, value(all, 'level{tank="1000"}'))
    assert.is_nil(value(all, 'level{tank="1001"}'))
  end)

  it("has the generations that still serve somebody", function()
    local res = server:get "/rooms/a?s=50"
    assert.equal(1, value(text(), "spate_generations"))
    assert.is_true(server:reload(APP))
    assert.equal(2, value(text(), "spate_generations"))
    server:advance(50)
    assert.equal(200, res:status())
    assert.equal(1, value(text(), "spate_generations"))
  end)

  it("has a thousand series of one name at most, and says so once", function()
    server:post "/many"
    server:post "/many"
    local _, count = text():gsub("\njobs_total{", "")
    assert.equal(1000, count)
    local _, told = server:log():gsub("jobs_total has 1000 series", "")
    assert.equal(1, told)
  end)

  it("ends as OpenMetrics has it where that is asked for", function()
    local all = text "?open=1"
    assert.truthy(all:find "# EOF\n$")
    assert.truthy(all:find "# TYPE spate_streams counter\nspate_streams_total 0\n")
    assert.truthy(all:find "# TYPE jobs counter\n")
  end)

  if os.execute "command -v promtool >/dev/null" then
    it("is clean by promtool", function()
      server:get "/stream"
      server:post "/jobs/mail"
      assert.equal("0\n", promtool(text()))
    end)
  else
    pending "there is no promtool"
  end
end)

describe("what is counted of", function()
  local PUBLISHES = [[
local kept = sse.channel("kept", { history = 2 })
app:get("/metrics", function() return reply.body(spate.metrics.text(), "text/plain") end)
app:post("/ok", function() return { kept:publish "x" } end)
app:post("/large", function() return { select(2, kept:publish(("x"):rep(2000))) } end)
app:post("/end", function() kept:finish() return { select(2, kept:publish "x") } end)
app:post("/many", function() for i = 1, 40 do sse.spawn(sse.sleep, 5) end return "" end)
app:post("/garbage", function() for _ = 1, 3 do collectgarbage() end return "" end)]]

  local function with(options, fn)
    local server = helper.serve(PUBLISHES, options)
    fn(server, function(series) return value(server:get("/metrics"):body(), series) end)
    server:close()
  end

  it("publishes in memory are what became of them", function()
    with({ settings = { limits = { event = 1500 } } }, function(server, read)
      server:post "/ok"
      server:post "/ok"
      assert.same({ "too large" }, server:post("/large"):json())
      assert.same({ "finished" }, server:post("/end"):json())
      assert.equal(2, read 'spate_publishes_total{store="memory",result="ok"}')
      assert.equal(1, read 'spate_publishes_total{store="memory",result="too_large"}')
      assert.equal(1, read 'spate_publishes_total{store="memory",result="finished"}')
      assert.equal(0, read "spate_publish_seconds_count")
    end)
  end)

  it("publishes to a store are what became of them, and how long that took", function()
    with({ store = true }, function(server, read)
      local store, res = server.core:store(), server:post "/ok"
      server:advance(0.2)
      while store:carry_out() > 0 do server:turn() end
      assert.equal(200, res:status())
      assert.equal(1, read 'spate_publishes_total{store="sqlite",result="ok"}')
      assert.equal(0, read 'spate_publishes_total{store="memory",result="ok"}')
      assert.equal(1, read "spate_publish_seconds_count")
      assert.equal(0, read 'spate_publish_seconds_bucket{le="0.1"}')
      assert.equal(1, read 'spate_publish_seconds_bucket{le="0.25"}')
    end)
  end)

  it("tasks and bytes of Lua is of all states", function()
    with({}, function(server, read)
      assert.equal(1, read "spate_tasks") -- the one that asks
      server:post "/many"
      assert.equal(41, read "spate_tasks")
      local other = helper.serve(PUBLISHES, { with = server.core, worker = 1 })
      other:post "/many"
      assert.equal(81, read "spate_tasks")
      local said, both = read "spate_lua_bytes", server:stats().lua_bytes + other:stats().lua_bytes
      assert.is_true(math.abs(said - both) < 300000 and both > 600000, said .. " of " .. both)
      assert.equal(0, read "spate_offload_states")
      other:advance(6)
      other:close()
      server:advance(6)
      assert.equal(1, read "spate_tasks")
    end)
  end)

  it("timers and collections are theirs", function()
    with({}, function(server, read)
      local timers, collections = read "spate_timers", read "spate_collections_total"
      server:post "/many"
      server:post "/garbage"
      assert.is_true(read "spate_timers" >= timers + 40)
      assert.is_true(read "spate_collections_total" >= collections + 3)
      server:advance(6)
      assert.is_true(read "spate_timers" < timers + 40)
    end)
  end)
end)

describe("in packaging", function()
  local function read(path)
    local f <close> = assert(io.open(path))
    return f:read "a"
  end

  -- Those that are neither a histogram's series nor another's than the server's.
  local function expect_known(text)
    local known, count = {}, 0
    local server = helper.serve(APP)
    server:get "/nowhere"
    for name in server:get("/metrics"):body():gmatch "\n([%a_:]+)[{ ]" do known[name] = true end
    server:close()
    for prefix, name in text:gmatch "%f[%a_](spate_)([%l_]+)" do
      assert.is_true(known[prefix .. name], prefix .. name)
      count = count + 1
    end
    for name in text:gmatch "%f[%a_](process_[%l_]+)" do assert.is_true(known[name], name) end
    assert.is_true(count > 10)
  end

  it("the alert rules name metrics that there are", function() expect_known(read "server/packaging/alerts.yml") end)

  it("so does the dashboard, whose panels have places and questions of their own", function()
    local text = read "server/packaging/dashboard.json"
    expect_known(text)
    local ids, places = {}, {}
    for _, panel in ipairs(helper.json.decode(text).panels) do
      local at = panel.gridPos
      local place = at.x .. "," .. at.y
      assert.is_nil(ids[panel.id])
      assert.is_nil(places[place], place)
      ids[panel.id], places[place] = true, true
      assert.is_true(at.x + at.w <= 24)
      assert.is_true(panel.type == "row" or #panel.targets > 0, panel.title)
    end
  end)

  if os.execute "command -v promtool >/dev/null" then
    it("the alert rules are good by promtool", function()
      local p <close> = assert(io.popen "unset LD_PRELOAD; promtool check rules server/packaging/alerts.yml 2>&1; echo $?")
      assert.matches("SUCCESS: %d+ rules found\n.*0\n$", p:read "a")
    end)
  else
    pending "there is no promtool for the rules"
  end
end)

describe("an application's metrics", function()
  -- What the application counts at its start, and what the exposition has of it.
  local function exposed(code, query)
    local server = helper.serve(code .. '\napp:get("/metrics", function(req) return reply.body(spate.metrics.text(req.query.open), "text/plain") end)')
    local all = server:get("/metrics" .. (query or "")):body()
    server:close()
    return all:match "\n(# HELP own_.*)# HELP process_cpu" or ""
  end

  it("are lines of their own, those of a histogram with labels too", function()
    assert.equal([[
# HELP own_seconds How long.
# TYPE own_seconds histogram
own_seconds_bucket{kind="a",le="1"} 1
own_seconds_bucket{kind="a",le="2"} 3
own_seconds_bucket{kind="a",le="4"} 3
own_seconds_bucket{kind="a",le="+Inf"} 5
own_seconds_count{kind="a"} 5
own_seconds_sum{kind="a"} 17.5
# HELP own_level How full.
# TYPE own_level gauge
own_level -1.5
# HELP own_total How many.
# TYPE own_total counter
own_total 2
]], exposed [[
local seconds = spate.metrics.histogram("own_seconds", { help = "How long.", labels = { "kind" }, buckets = { 1, 2, 4 } })
for _, value in ipairs { 1, 1.5, 2, 5, 8 } do seconds:observe(value, { kind = "a" }) end
spate.metrics.gauge("own_level", { help = "How full." }):set(-1.5)
local total = spate.metrics.counter("own_total", { help = "How many." })
total:inc() total:inc()]])
  end)

  it("of two names are the same only where OpenMetrics would call them the same", function()
    local all = exposed [[
for _, name in ipairs { "own_depths", "own_drains", "own_a_total", "own_b_total", "own_at", "own_att" } do
  local kind = name:find "_total$" and "counter" or "gauge"
  spate.metrics[kind](name, { help = "x" })
end]]
    for _, name in ipairs { "own_depths", "own_drains", "own_a_total", "own_b_total", "own_at", "own_att" } do assert.truthy(all:find("# HELP " .. name .. " x\n", 1, true), name) end
    helper.refuses {
      ["spate.metrics.counter('jobs_total', { help = 'x' }) spate.metrics.gauge('jobs', { help = 'x' })"] = "spate.metrics.gauge: jobs cannot be had: it has another type",
      ["spate.metrics.gauge('jobs', { help = 'x' }) spate.metrics.counter('jobs_total', { help = 'x' })"] = "spate.metrics.counter: jobs_total cannot be had: it has another type",
    }
  end)

  it("are two hundred at most, and the same again is none more", function()
    local many = "local made = 0 for round = 1, 2 do for i = 1, %d do spate.metrics.gauge('own_' .. i, { help = 'x' }) end end"
    local _, count = exposed(many:format(200)):gsub("# HELP own_", "")
    assert.equal(200, count)
    helper.refuses { [many:format(201)] = "spate.metrics.gauge: own_201 cannot be had: there are too many" }
  end)
end)

it("says what is no metric", function()
  helper.refuses {
    ["spate.metrics.counter()"] = "spate.metrics.counter: expected a name as a string, got nil",
    ["spate.metrics.counter('a b', { help = 'x' })"] = "spate.metrics.counter: a name has letters, digits and '_', got \"a b\"",
    ["spate.metrics.counter('jobs', { help = 'x' })"] = "spate.metrics.counter: a counter's name ends in _total, as jobs_total",
    ["spate.metrics.gauge('jobs_total', { help = 'x' })"] = "spate.metrics.gauge: only a counter's name ends in _total",
    ["spate.metrics.gauge('a_sum', { help = 'x' })"] = "spate.metrics.gauge: names that end in _sum are those of histograms' series",
    ["spate.metrics.gauge('spate_x', { help = 'x' })"] = "spate.metrics.gauge: names that begin with spate_ and process_ are the server's",
    ["spate.metrics.gauge('a')"] = "spate.metrics.gauge: help: expected a text that says what is counted",
    ["spate.metrics.gauge('a', { help = 'x', lables = {} })"] = "spate.metrics.gauge: unknown option 'lables'; did you mean 'labels'?",
    ["spate.metrics.gauge('a', { help = 'x', labels = { 'le' } })"] = "spate.metrics.gauge: labels[1]: \"le\" cannot be a label's name",
    ["spate.metrics.histogram('a', { help = 'x', buckets = { 2, 1 } })"] = "spate.metrics.histogram: buckets[2]: expected numbers that rise, got 1",
    ["local g = spate.metrics.gauge('a', { help = 'x', labels = { 'k' } }) g:set(1)"] = "metric:set: expected the labels { k = ... }, got nil",
    ["local g = spate.metrics.gauge('a', { help = 'x', labels = { 'k' } }) g:set(1, { k = {} })"] = "metric:set: label 'k': expected a string, got table",
    ["local g = spate.metrics.gauge('a', { help = 'x' }) g:set('1')"] = "metric:set: expected a number, got \"1\"",
    ["local g = spate.metrics.gauge('a', { help = 'x' }) g:observe(1)"] = "metric:observe: a is a gauge",
    ["local c = spate.metrics.counter('a_total', { help = 'x' }) c:inc(-1)"] = "metric:inc: expected 0 or more, got -1",
    ["spate.metrics.gauge('b', { help = 'x' }) spate.metrics.histogram('b', { help = 'x' })"] = "spate.metrics.histogram: b cannot be had: it has another type",
    ["for _, label in ipairs { 'k', 'k', 'j' } do spate.metrics.gauge('b', { help = 'x', labels = { label } }) end"] = "spate.metrics.gauge: b cannot be had: it has other labels",
    ["for _, bound in ipairs { 1, 1, 2 } do spate.metrics.histogram('b', { help = 'x', buckets = { bound } }) end"] = "spate.metrics.histogram: b cannot be had: it has other buckets",
  }
end)
