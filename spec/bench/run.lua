-- SPDX-License-Identifier: MIT
-- The benchmark: measures what is installed, prints tables, writes build/bench.json. Started by spec/bench/run
-- from the root of the project, with build/spate built.
package.path = "spec/bench/?.lua;" .. package.path
local measure, process = require "measure", require "process"
local report, servers = require "report", require "servers"

local usage = [[
usage: spec/bench/run [--quick] [--only NAME]...
  --quick      less of everything: for a first look, not for a report
  --only NAME  one part (streams, memory, hello, churn, fanout, proxy, connects) or one server
               (spate, nginx-lua, nchan, node, better-sse)
]]

local parts, rivals = {}, { spate = true, ["nginx-lua"] = true, nchan = true, node = true, ["better-sse"] = true }
for _, name in ipairs(measure.sections) do parts[name] = true end

local function bad_usage(message)
  io.stderr:write(message, "\n", usage)
  os.exit(2)
end

local function parse(args)
  local options, i = { parts = {}, servers = {} }, 1
  while args[i] do
    local name = args[i + 1]
    if args[i] == "--quick" then options.quick = true
    elseif args[i] == "--only" and parts[name] then options.parts[name], i = true, i + 1
    elseif args[i] == "--only" and rivals[name] then options.servers[name], i = true, i + 1
    elseif args[i] == "--only" then bad_usage("--only does not know " .. tostring(name))
    else bad_usage("unknown argument " .. args[i]) end
    i = i + 1
  end
  return options
end

local function machine(run)
  local about = {
    cores = #process.cores(), server_core = run.server_core, client_core = run.client_core,
    cpu = process.line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"), kernel = process.line("uname -sr"),
    date = os.date("!%Y-%m-%dT%H:%M:%SZ"), open_files = process.line("ulimit -n"),
    load_before = process.line("cut -d' ' -f1-3 /proc/loadavg"), versions = {},
  }
  for name in pairs(run.servers) do
    if servers[name].version then about.versions[name] = process.line(servers[name].version) end
  end
  return about
end

-- Streams are limited by the files that a process may open; a smaller number is told.
local function fit_to_limit(run)
  local limit, s = tonumber(process.line("ulimit -n")) or math.huge, run.settings
  local most = limit - 200
  local function fit(n)
    if n <= most then return n end
    table.insert(run.skipped, ("%d streams: open files are limited to %d"):format(n, limit))
    return most
  end
  s.streams, s.churn_streams, s.pairs, s.connections = fit(s.streams), fit(s.churn_streams), fit(s.pairs), fit(s.connections)
  for i, n in ipairs(s.memory_streams) do s.memory_streams[i] = fit(n) end
end

local function choose_servers(run, only)
  for _, name in ipairs(servers.order) do
    local why = servers[name].missing()
    local wanted = not rivals[name] or next(only) == nil or only[name]
    if wanted and not why then run.servers[name] = true end
    if wanted and why then table.insert(run.skipped, name .. ": " .. why) end
  end
end

local function prepare(options)
  local cores = process.cores()
  local run = { settings = options.quick and measure.quick or measure.full, servers = {}, skipped = {} }
  run.server_core, run.client_core = cores[1], cores[2] or cores[1]
  if #cores < 2 then table.insert(run.skipped, "a core of its own for the client: there is only one") end
  for _, tool in ipairs { "taskset", "setpriv" } do
    if not process.installed(tool) then error(tool .. " is not installed (package util-linux)", 0) end
  end
  choose_servers(run, options.servers)
  fit_to_limit(run)
  for _, why in ipairs(run.skipped) do io.stderr:write("skipped: ", why, "\n") end
  return run
end

-- A figure against its target: both in the row, and a word.
local function judge(row, value, at_most)
  if not row.target or not value then return "" end
  row.reached = not row.too_few and (at_most and value <= row.target or not at_most and value >= row.target)
  return ("%s %g %s"):format(at_most and "<=" or ">=", row.target, row.reached and "reached" or "MISSED")
end

local function print_streams(rows, s)
  local cells, too_few = { { "", "CPU us/event", "events/s", "x floor", "target" } }, false
  for _, row in ipairs(rows) do
    too_few = too_few or row.too_few
    cells[#cells + 1] = {
      row.label, report.figure("%.2f", row.us_per_event),
      row.events_per_s and report.thousands(row.events_per_s) .. (row.too_few and "!" or "") or "failed",
      report.figure("%.2f", row.ratio_to_floor), judge(row, row.ratio_to_floor, true),
    }
  end
  report.table(("%s streams x %d events/s, %g s, medians of %d rounds (nginx-lua, node: 1)"):format(
    report.thousands(s.streams), s.rate, s.seconds, s.rounds), cells)
  if too_few then print("  ! fewer events arrived than the rate asks for") end
end

local function print_memory(rows)
  local cells = { { "" } }
  for _, row in ipairs(rows) do
    local line = { row.label }
    for i, r in ipairs(row.runs) do
      cells[1][i + 1] = report.thousands(r.conns)
      line[i + 1] = ("%.2f"):format(r.kb_per_conn)
    end
    line[#line + 1] = row.error and "failed" or judge(row, row.most_kb_per_stream, true)
    cells[#cells + 1] = line
  end
  report.table("resident kB per waiting stream, by number of streams", cells)
end

local function print_hello(rows, s)
  local cells = { { "", "requests/s", "x nginx-lua", "target" } }
  for _, row in ipairs(rows) do
    cells[#cells + 1] = {
      row.label, row.requests_per_s and report.thousands(row.requests_per_s) or "failed",
      report.figure("%.2f", row.ratio_to_nginx_lua), judge(row, row.ratio_to_nginx_lua, false),
    }
  end
  report.table(("hello with a query parameter, wrk -t1 -c64 -d%ds, medians of %d rounds"):format(
    s.hello_seconds, s.hello_rounds), cells)
end

local function print_churn(rows, s)
  local cells = { { "kB resident", "before" } }
  for _, row in ipairs(rows) do
    local line = { row.label, report.figure("%d", row.before_kb) }
    for i, kb in ipairs(row.after_kb or {}) do
      cells[1][i + 2] = "after " .. i
      line[i + 2] = ("%d"):format(kb)
    end
    line[#line + 1] = report.figure("last/first %.2f", row.last_to_first)
    line[#line + 1] = row.error and "failed" or judge(row, row.last_to_first, true)
    cells[#cells + 1] = line
  end
  report.table(("memory after %s streams came and went"):format(report.thousands(s.churn_streams)), cells)
end

local function of_kind(rows, kind)
  local list = {}
  for _, row in ipairs(rows) do list[#list + 1] = row.kind == kind and row or nil end
  return list
end

local function print_fanout_rate(rows, s)
  local cells = { { "", "CPU us/event", "x floor", "x floor -u", "p50 ms", "p99 ms", "x floor", "target" } }
  for _, row in ipairs(rows) do
    local cost, p99 = judge(row, row.ratio_to_floor, true), ""
    if row.target and row.ratio_to_together then
      row.together_target, row.together_reached = 1.12, row.ratio_to_together <= 1.12
      p99 = ("; floor -u <= 1.12 %s"):format(row.together_reached and "reached" or "MISSED")
    end
    if row.target and row.p99_to_floor then
      row.p99_target, row.p99_reached = 1, row.p99_to_floor <= 1
      p99 = p99 .. ("; p99 <= 1 %s"):format(row.p99_reached and "reached" or "MISSED")
    end
    cells[#cells + 1] = {
      row.label, row.server_us_per_event and report.figure("%.2f", row.server_us_per_event) or "failed",
      report.figure("%.2f", row.ratio_to_floor), report.figure("%.2f", row.ratio_to_together), report.figure("%.1f", row.p50_ms), report.figure("%.1f", row.p99_ms),
      report.figure("%.2f", row.p99_to_floor), cost .. p99,
    }
  end
  report.table(("fan-out: %s subscribers x %d events/s of 64 bytes, %g s, medians of %d rounds (Nchan, better-sse: 1)"):format(
    report.thousands(s.streams), s.rate, s.seconds, s.rounds), cells)
end

local function print_fanout_saturated(rows, s)
  local cells = { { "", "events/s", "x floor", "target" } }
  for _, row in ipairs(rows) do
    cells[#cells + 1] = {
      row.label, row.events_per_s and report.thousands(row.events_per_s) or "failed",
      report.figure("%.2f", row.ratio_to_floor), judge(row, row.ratio_to_floor, false),
    }
  end
  report.table(("fan-out: %s subscribers, 8 publishers as fast as they can, %s events of 64 bytes"):format(
    report.thousands(s.saturated_streams), report.thousands(s.saturated_messages)), cells)
end

local function print_fanout_memory(title, rows)
  local cells = { { "" } }
  for _, row in ipairs(rows) do
    local line = { row.label }
    for i, r in ipairs(row.runs) do
      cells[1][i + 1] = report.thousands(r.conns)
      line[i + 1] = ("%.2f"):format(r.kb_per_conn)
    end
    line[#line + 1] = row.error and "failed" or judge(row, row.most_kb, true)
    cells[#cells + 1] = line
  end
  report.table(title, cells)
end

local function print_fanout(rows, s)
  print_fanout_rate(of_kind(rows, "rate"), s)
  print_fanout_saturated(of_kind(rows, "saturated"), s)
  print_fanout_memory("fan-out: resident kB per subscriber, by number of subscribers", of_kind(rows, "memory"))
  print_fanout_memory("fan-out: resident kB per channel with one subscriber", of_kind(rows, "pairs"))
end

-- The targets of a row of proxied streams, and those that it misses.
local function judge_proxied(row)
  if not row.target then return "" end
  local missed = {}
  for _, each in ipairs { { row.ratio_to_nginx, row.target, "x nginx" }, { row.ratio_to_node, row.node_target, "x node" },
    { row.kb_per_conn, row.kb_target, "kB" }, { row.added_p99_ms, row.ms_target, "ms" } } do
    if each[1] and each[1] > each[2] then missed[#missed + 1] = each[3] end
  end
  row.reached = #missed == 0
  return ("<= %g x nginx, %g x node, %g kB, %g ms: %s"):format(row.target, row.node_target, row.kb_target, row.ms_target,
    row.reached and "reached" or table.concat(missed, ", ") .. " MISSED")
end

local function print_proxy(rows, s)
  local cells = { { "", "CPU us/event", "x nginx", "x node", "instructions", "kB per stream", "p99 ms at half", "added", "targets" } }
  local short = { { "", "requests/s", "per core-second", "x nginx", "instructions", "target" } }
  for _, row in ipairs(of_kind(rows, "streams")) do
    cells[#cells + 1] = { row.label, report.figure("%.2f", row.server_us_per_event), report.figure("%.2f", row.ratio_to_nginx),
      report.figure("%.2f", row.ratio_to_node), row.instructions and report.thousands(row.instructions) or "", report.figure("%.1f", row.kb_per_conn),
      report.figure("%.2f", row.half_p99_ms), report.figure("%.2f", row.added_p99_ms), judge_proxied(row) }
  end
  for _, row in ipairs(of_kind(rows, "hello")) do
    short[#short + 1] = { row.label, row.requests_per_s and report.thousands(row.requests_per_s) or row.error and "failed" or "",
      row.per_core_s and report.thousands(row.per_core_s) or "", report.figure("%.2f", row.ratio_to_nginx),
      row.instructions and report.thousands(row.instructions) or "", judge(row, row.ratio_to_nginx, false) }
  end
  report.table(("proxied: %s streams x 20 events/s of 60 bytes, %g s, medians of %d rounds"):format(report.thousands(s.proxied.streams), s.proxied.seconds, s.proxied.rounds), cells)
  if #short > 1 then report.table(("proxied hello, wrk -t1 -c64 -d%ds, medians of %d rounds"):format(s.proxied.short_seconds, s.proxied.rounds), short) end
end

local function print_connects(rows, s)
  local cells = { { "", "us each", "CPU us each", "worst gap of a stream, ms", "target" } }
  for _, row in ipairs(rows) do
    cells[#cells + 1] = {
      row.label, report.figure("%.2f", row.us_per_connection), row.cpu_us_per_connection and report.figure("%.2f", row.cpu_us_per_connection) or "failed",
      report.figure("%.1f", row.worst_gap_ms), row.target_ms and ("<= %g %s"):format(row.target_ms, row.reached and "reached" or "MISSED") or "",
    }
  end
  report.table(("%s connections as fast as they come, a short answer each, beside 100 streams x 10 events/s, medians of %d rounds"):format(
    report.thousands(s.connections), s.rounds), cells)
end

-- Other programs on the two cores take throughput and cache from whoever runs at that moment: by a factor of three
-- in hello when a compiler ran beside it; so does the host of a virtual machine. Such figures, and ratios with them, are not to be reported.
local function print_disturbed(result)
  local runs, disturbed, worst = 0, 0, 0
  for _, part in ipairs { "streams", "hello", "fanout", "proxy", "connects" } do
    for _, row in ipairs(result[part] or {}) do
      for _, figures in ipairs(row.runs) do
        local is_disturbed = (figures.contention or 0) > result.settings.contention_max
        runs, disturbed = runs + 1, disturbed + (is_disturbed and 1 or 0)
        worst = math.max(worst, figures.contention or 0)
      end
    end
  end
  result.disturbed_runs, result.worst_contention = disturbed, worst
  if disturbed == 0 then return end
  print(("DISTURBED: in %d of %d runs other programs, or the machine's host, had more than %d %% of a core (up to %d %%)"):format(
    disturbed, runs, result.settings.contention_max * 100 // 1, worst * 100 // 1))
end

local printers = { streams = print_streams, memory = print_memory, hello = print_hello, churn = print_churn,
  fanout = print_fanout, proxy = print_proxy, connects = print_connects }

local function print_all(result)
  local m = result.machine
  print(("\n%s, %d cores, %s, %s"):format(m.cpu, m.cores, m.kernel, m.date))
  for _, part in ipairs(measure.sections) do
    local rows = result[part]
    if rows and #rows > 0 then printers[part](rows, result.settings) end
  end
  print("")
  print_disturbed(result)
  for _, why in ipairs(result.skipped) do print("skipped: " .. why) end
end

local function has_failed(result)
  for _, part in ipairs(measure.sections) do
    for _, row in ipairs(result[part] or {}) do
      if row.error then return true end
    end
  end
  return false
end

local function main(args)
  local options = parse(args)
  local run = prepare(options)
  servers.build()
  local result = { machine = machine(run), settings = run.settings, quick = options.quick or false }
  local started = os.time()
  for _, part in ipairs(measure.sections) do
    if next(options.parts) == nil or options.parts[part] then result[part] = measure[part](run) end
  end
  result.skipped, result.commands, result.took_s = run.skipped, process.commands_list(), os.time() - started
  print_all(result)
  report.write_json("build/bench.json", result)
  print(("build/bench.json has every figure; took %d s"):format(result.took_s))
  return not has_failed(result)
end

-- A fault of this program shows its traceback, anything else its sentence.
local function explain(e)
  e = tostring(e)
  if e:find("interrupted!", 1, true) then return "interrupted" end
  return e:find("^[%w_/.]+%.lua:%d+:") and debug.traceback(e, 2) or e
end

local ok, done = xpcall(main, explain, arg)
if not ok then io.stderr:write("bench: ", done, "\n") end
os.exit(done == "interrupted" and 130 or ok and done and 0 or 1, true)
