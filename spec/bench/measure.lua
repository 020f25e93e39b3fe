-- SPDX-License-Identifier: MIT
-- The measurements: streams at a rate, memory per stream, short requests, churn. Servers that are compared
-- run in turn within a round, and a ratio is taken within its round: the machine's mood is then the same for
-- both. A measurement that fails is noted in its row and does not end the others.
local process, report, servers = require "process", require "report", require "servers"

local measure = { sections = { "streams", "memory", "hello", "churn", "fanout", "proxy", "connects" } }

measure.full = {
  streams = 5000, rate = 10, seconds = 10, settle = 1, rounds = 3, contention_max = 0.1,
  memory_streams = { 1000, 5000, 15000 }, memory_settle = 1,
  hello_seconds = 3, hello_rounds = 5, churn_streams = 15000, churn_rounds = 3,
  saturated_streams = 1000, saturated_messages = 3000, pairs = 10000,
  proxied = { streams = 1000, seconds = 5, short_seconds = 2, rounds = 3 }, connections = 15000,
}

measure.quick = {
  streams = 5000, rate = 10, seconds = 2, settle = 0.3, rounds = 2, short = true, contention_max = 0.1,
  memory_streams = { 1000, 5000 }, memory_settle = 0.3,
  hello_seconds = 1, hello_rounds = 2, churn_streams = 5000, churn_rounds = 3,
  saturated_streams = 1000, saturated_messages = 1000, pairs = 10000,
  proxied = { streams = 1000, seconds = 2, short_seconds = 1, rounds = 2 }, connections = 5000,
}

local function say(format, ...) io.stderr:write(format:format(...), "\n") end

-- Calls fn; a failure becomes row.error and is told. Ctrl-C goes on.
local function attempt(row, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local message = tostring(results[2])
  if message:find("interrupted!", 1, true) then error(message, 0) end
  row.error = message
  say("  %s: %s", row.label, message)
end

-- Runs a client; what else ran on the cores meanwhile is noted in `figures.contention`.
local function run_client(run, line, read)
  local figures, part = process.contention({ run.client_core, run.server_core }, function()
    return read(process.run(run.client_core, line))
  end)
  figures.contention = part
  return figures
end

local function read_figures(text)
  local figures = {}
  for name, value in text:gmatch('"([%w_]+)":([-%d.]+)') do figures[name] = tonumber(value) end
  if not figures.conns then error("the load client printed no figures", 0) end
  return figures
end

-- Runs the load client against a server; returns its figures.
local function load_streams(run, p, path, options)
  local line = ("build/bench/sseload -p %d -g %s -S %d %s"):format(p.port, path, p.pid, options)
  local figures = run_client(run, line, read_figures)
  if figures.ready ~= figures.conns or figures.dead > 0 then
    error(("%d of %d streams opened, %d lost"):format(figures.ready, figures.conns, figures.dead), 0)
  end
  return figures
end

-- The rows whose server is wanted and can run.
local function available(run, rows)
  local kept = {}
  for _, row in ipairs(rows) do
    if run.servers[row.server] then kept[#kept + 1] = row end
  end
  return kept
end

local stream_rows = {
  { label = "floor -t 100", server = "floor", path = "/" },
  { label = "floor -t 100 -s", server = "floor-spread", path = "/", once_if_short = true },
  { label = "spate sse.interval(0.1):map()", server = "spate", path = "/interval", target = 1.15 },
  { label = "spate send, sse.sleep(0.1)", server = "spate", path = "/sleep", target = 1.25 },
  { label = "nginx-lua print, ngx.sleep(0.1)", server = "nginx-lua", path = "/sleep", once = true },
  { label = "node setInterval(100)", server = "node", path = "/interval", once = true },
}

local function stream_round(run, row)
  local s = run.settings
  local p <close> = servers.start(row.server, run.server_core)
  local options = ("-c %d -d %g -w %g"):format(s.streams, s.seconds, s.settle)
  local figures = load_streams(run, p, row.path, options)
  local cost, speed = figures.server_us_per_event, report.thousands(figures.events_per_s)
  say("  %-32s %7.3f us/event %9s events/s", row.label, cost, speed)
  return figures
end

-- A window may cut half an event off each stream at its edges: 0.5 % of ten seconds, ten a second.
local function too_few(figures, s) return figures.events < figures.conns * (s.rate * figures.seconds - 0.5) end

local function finish_stream_row(row, s)
  for _, r in ipairs(row.runs) do
    row.too_few = row.too_few or too_few(r, s)
    row.least_part = math.min(row.least_part or 1, r.events / (r.conns * s.rate * r.seconds))
  end
  for _, name in ipairs { "events_per_s", "ratio_to_floor" } do
    row[name] = report.median(report.column(row.runs, name))
  end
  row.us_per_event = report.median(report.column(row.runs, "server_us_per_event"))
end

local function takes_part(run, row, round)
  local once = row.once or (row.once_if_short and run.settings.short)
  return not row.error and (round == 1 or not once)
end

-- 5,000 streams that each get ten events a second: the server's CPU time per event.
function measure.streams(run)
  local rows = available(run, stream_rows)
  for _, row in ipairs(rows) do row.runs = {} end
  for round = 1, run.settings.rounds do
    say("streams, round %d of %d", round, run.settings.rounds)
    local floor
    for _, row in ipairs(rows) do
      local figures = takes_part(run, row, round) and attempt(row, stream_round, run, row)
      if figures then
        if row.server == "floor" then floor = figures.server_us_per_event end
        figures.ratio_to_floor = floor and figures.server_us_per_event / floor
        table.insert(row.runs, figures)
      end
    end
  end
  for _, row in ipairs(rows) do finish_stream_row(row, run.settings) end
  return rows
end

local memory_rows = {
  { label = "coroutine stream", server = "spate", path = "/idle", target = 3 },
  { label = "sse.never()", server = "spate", path = "/never", target = 1.5 },
}

-- A fresh server that has served one stream already, so that only what a stream adds is counted.
local function memory_of(run, row, count)
  local p <close> = servers.start(row.server, run.server_core)
  local files = p:open_files()
  load_streams(run, p, row.path, "-c 1 -d 0 -w 0.05")
  p:wait_idle(files)
  local figures = load_streams(run, p, row.path, ("-c %d -d 0 -w %g"):format(count, run.settings.memory_settle))
  say("  %-32s %6d streams %7.3f kB per stream", row.label, count, figures.kb_per_conn)
  return figures
end

-- Resident memory that one waiting stream adds, at several numbers of streams.
function measure.memory(run)
  local rows = available(run, memory_rows)
  if #rows > 0 then say("memory") end
  for _, row in ipairs(rows) do
    row.runs = {}
    for _, count in ipairs(run.settings.memory_streams) do
      local figures = not row.error and attempt(row, memory_of, run, row, count)
      if figures then
        table.insert(row.runs, figures)
        row.most_kb_per_stream = math.max(row.most_kb_per_stream or 0, figures.kb_per_conn)
      end
    end
  end
  return rows
end

local hello_rows = {
  { label = "spate", server = "spate", target = 1.15 },
  { label = "nginx-lua", server = "nginx-lua" },
  { label = "node", server = "node" },
}

local function read_rate(text)
  local trouble = text:match("Socket errors[^\n]*") or text:match("Non%-2xx[^\n]*")
  if trouble then error(trouble, 0) end
  local rate = tonumber(text:match("Requests/sec:%s*([%d.]+)"))
  return { requests_per_s = rate or error("wrk printed no rate", 0) }
end

local function wrk(run, p, seconds)
  local line = ("wrk -t1 -c64 -d%ds 'http://127.0.0.1:%d/hello?name=you'"):format(seconds, p.port)
  return run_client(run, line, read_rate)
end

local function hello_round(run, rows, started)
  local seen, nginx = {}, nil
  for i, row in ipairs(rows) do
    seen[i] = not row.error and attempt(row, wrk, run, started[i], run.settings.hello_seconds) or nil
    if seen[i] then
      table.insert(row.runs, seen[i])
      say("  %-32s %9s requests/s", row.label, report.thousands(seen[i].requests_per_s))
      if row.server == "nginx-lua" then nginx = seen[i].requests_per_s end
    end
  end
  for _, figures in pairs(seen) do figures.ratio_to_nginx_lua = nginx and figures.requests_per_s / nginx end
end

local function stop_all(started)
  for _, p in pairs(started) do p:stop() end
end

-- Short requests with a query parameter. All servers stay up; an idle one takes no time from the others.
function measure.hello(run)
  local rows = available(run, hello_rows)
  if not process.installed("wrk") then
    table.insert(run.skipped, "hello: wrk is not installed")
    return {}
  end
  local started <close> = setmetatable({}, { __close = stop_all })
  for i, row in ipairs(rows) do
    row.runs = {}
    started[i] = attempt(row, servers.start, row.server, run.server_core)
    if started[i] then attempt(row, wrk, run, started[i], 1) end
  end
  for round = 1, run.settings.hello_rounds do
    say("hello, round %d of %d", round, run.settings.hello_rounds)
    hello_round(run, rows, started)
  end
  for _, row in ipairs(rows) do
    row.requests_per_s = report.median(report.column(row.runs, "requests_per_s"))
    row.ratio_to_nginx_lua = report.median(report.column(row.runs, "ratio_to_nginx_lua"))
  end
  return rows
end

local churn_rows = { { label = "coroutine stream", server = "spate", path = "/idle", target = 1.1 } }

local function churn_rounds(run, row)
  local s = run.settings
  local p <close> = servers.start(row.server, run.server_core)
  local files = p:open_files()
  load_streams(run, p, row.path, "-c 1 -d 0 -w 0.05")
  row.before_kb, row.peak_kb, row.after_kb = p:wait_idle(files), {}, {}
  for i = 1, s.churn_rounds do
    row.peak_kb[i] = load_streams(run, p, row.path, ("-c %d -d 0 -w 0.2"):format(s.churn_streams)).rss_idle_kb
    row.after_kb[i] = p:wait_idle(files)
    say("  round %d: %d kB with %d streams, %d kB after", i, row.peak_kb[i], s.churn_streams, row.after_kb[i])
  end
  row.last_to_first = row.after_kb[#row.after_kb] / row.after_kb[1]
end

-- Many streams come and go, several times: what memory is left each time.
function measure.churn(run)
  local rows = available(run, churn_rows)
  if #rows > 0 then say("churn") end
  for _, row in ipairs(rows) do attempt(row, churn_rounds, run, row) end
  return rows
end

measure.fanout = require "fanout" { say = say, attempt = attempt, load_streams = load_streams, available = available }
measure.proxy = require "proxy" { say = say, attempt = attempt, load_streams = load_streams, available = available }
measure.connects = require "connects" { say = say, attempt = attempt, available = available, run_client = run_client, read_figures = read_figures }

return measure
