-- SPDX-License-Identifier: MIT
-- Between a client and another server: 1,000 streams that each come from a connection of their own, what they cost and
-- how much later events are; short answers; and the instructions that both take, which a busy machine does not change. The
-- other server has the client's core. `tools` are functions of measure.lua.
local process, report, servers = require "process", require "report", require "servers"

local rows = {
  { label = "no proxy", direct = true },
  { label = "nginx proxy_pass, buffering off", server = "proxy-nginx", path = "/events" },
  { label = "node, undici, pipe", server = "proxy-node", path = "/events" },
  { label = "spate sse.reply(res:events())", server = "proxy-spate", path = "/events", target = 1.2, node_target = 0.6, kb_target = 22, ms_target = 2 },
  { label = "spate reply.pass(res)", server = "proxy-spate", path = "/pass", target = 1.2, node_target = 0.6, kb_target = 22, ms_target = 2 },
}

local hello_rows = {
  { label = "nginx proxy_pass", server = "proxy-nginx" },
  { label = "node, undici, pipe", server = "proxy-node" },
  { label = "spate reply.proxy", server = "proxy-spate", target = 0.8 },
}

return function(tools)
  -- The servers behind: events each 50 ms, spread, with the time in them; and short answers by nginx.
  local function start_behind(run)
    local events = process.free_port()
    local p = process.start { command = ("build/bench/floor -t 50 -s -l %d"):format(events), core = run.client_core, log = "build/bench/behind.log" }
    p.port = events
    p:wait_ready(events, "/")
    servers.behind = { events = events, hello = events }
    local hello = process.installed "nginx" and servers.start("behind-hello", run.client_core) or nil
    servers.behind.hello = hello and hello.port or events
    return setmetatable({ p, hello }, { __close = function(list)
      for _, each in pairs(list) do each:stop() end
    end })
  end

  local function streams(run, row, count, more)
    local s = run.settings
    if row.direct then
      return tools.load_streams(run, { port = servers.behind.events, pid = 1 }, "/", ("-c %d -d %g -w %g -L %s"):format(count, s.proxied.seconds, s.settle, more or ""))
    end
    local p <close> = servers.start(row.server, run.server_core)
    local files = p:open_files()
    tools.load_streams(run, p, row.path, "-c 1 -d 0 -w 0.05")
    p:wait_idle(files + 10)
    return tools.load_streams(run, p, row.path, ("-c %d -d %g -w %g -L"):format(count, s.proxied.seconds, s.settle))
  end

  local function load_line(p, path, options) return ("build/bench/sseload -p %d -g %s %s"):format(p.port, path, options) end

  -- What a server has executed, in a process of its own under callgrind; what `work` returns as well.
  local function counted(run, row, work)
    local p <close> = servers.start(row.server, run.server_core, "valgrind --tool=callgrind --trace-children=yes --callgrind-out-file=/dev/null ")
    local done = work(p)
    p:stop(60)
    local log <close> = assert(io.open(p.log))
    return tonumber(log:read "a":match "Collected : (%d+)") or error("no count of instructions in " .. p.log, 0), done
  end

  -- Instructions each: the difference of much and little, by the difference of what was done.
  local function count_each(run, row, work)
    local little, few = counted(run, row, function(p) return work(p, 1) end)
    local much, many = counted(run, row, function(p) return work(p, 4) end)
    return (much - little) / (many - few)
  end

  local function count_events(run, row)
    return count_each(run, row, function(p, seconds)
      local text = process.run(run.client_core, load_line(p, row.path, ("-c 50 -d %d -w 1"):format(seconds)))
      return tonumber(text:match '"events":(%d+)')
    end)
  end

  local function count_requests(run, row)
    return count_each(run, row, function(p, seconds)
      local text = process.run(run.client_core, ("wrk -t1 -c16 -d%ds http://127.0.0.1:%d/hello"):format(seconds, p.port))
      return tonumber(text:match "(%d+) requests in")
    end)
  end

  -- The same of libcurl alone, which only asks, with six fields.
  local function count_curl(run)
    local function asked(n)
      local command = ("valgrind --tool=callgrind --callgrind-out-file=/dev/null build/bench/curl_ask http://127.0.0.1:%d/text 16 %d 6 2>&1"):format(
        servers.behind.hello, n)
      return tonumber(process.run(run.client_core, command):match "Collected : (%d+)")
    end
    return (asked(1200) - asked(200)) / 1000
  end

  local function round(run, row)
    local s = run.settings
    local full = not row.direct and streams(run, row, s.proxied.streams)
    local half = streams(run, row, s.proxied.streams // 2)
    local figures = full or half
    figures.half_p50_ms, figures.half_p99_ms = half.p50_ms, half.p99_ms
    tools.say("  %-34s %7.3f us/event %6.2f kB per stream, at half load p50 %.2f p99 %.2f ms", row.label, row.direct and 0 or figures.server_us_per_event,
      row.direct and 0 or figures.kb_per_conn, half.p50_ms, half.p99_ms)
    return figures
  end

  local function finish(row)
    for _, name in ipairs { "server_us_per_event", "kb_per_conn", "half_p50_ms", "half_p99_ms", "ratio_to_nginx", "ratio_to_node", "added_p99_ms" } do
      row[name] = report.median(report.column(row.runs, name))
    end
    if row.direct then row.server_us_per_event, row.kb_per_conn = nil, nil end
  end

  local function cpu_seconds(p)
    local f <close> = assert(io.open(("/proc/%d/stat"):format(p.pid)))
    local user, system = f:read("a"):match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+) (%d+)"
    return (user + system) / 100
  end

  -- Requests a second of the proxy's core: wrk and the server behind have the other, which may be the slower.
  local function hello(run, row)
    local p <close> = servers.start(row.server, run.server_core)
    local before = cpu_seconds(p)
    local text = process.run(run.client_core, ("wrk -t1 -c64 -d%ds http://127.0.0.1:%d/hello"):format(run.settings.proxied.short_seconds, p.port))
    local trouble = text:match "Socket errors[^\n]*" or text:match "Non%-2xx[^\n]*"
    if trouble then error(trouble, 0) end
    local rate, count = tonumber(text:match "Requests/sec:%s*([%d.]+)"), tonumber(text:match "(%d+) requests in")
    local figures = { requests_per_s = rate, per_core_s = count / (cpu_seconds(p) - before) }
    tools.say("  %-34s %9s requests/s, %9s per second of its core", row.label, report.thousands(rate), report.thousands(figures.per_core_s))
    return figures
  end

  local function measure_hello(run, list)
    for _, row in ipairs(list) do row.kind, row.runs = "hello", {} end
    for n = 1, run.settings.proxied.rounds do
      local nginx
      for _, row in ipairs(list) do
        local figures = not row.error and tools.attempt(row, hello, run, row)
        if figures then
          if row.server == "proxy-nginx" then nginx = figures.per_core_s end
          figures.ratio_to_nginx = nginx and figures.per_core_s / nginx
          row.runs[n] = figures
        end
      end
    end
    for _, row in ipairs(list) do
      for _, name in ipairs { "requests_per_s", "per_core_s", "ratio_to_nginx" } do row[name] = report.median(report.column(row.runs, name)) end
    end
  end

  return function(run)
    local list = { rows[1], table.unpack(tools.available(run, table.move(rows, 2, #rows, 1, {}))) }
    if #list == 1 then return {} end
    local _ <close> = start_behind(run)
    for _, row in ipairs(list) do row.kind, row.runs = "streams", {} end
    local node
    for n = 1, run.settings.proxied.rounds do
      tools.say("proxy, round %d of %d", n, run.settings.proxied.rounds)
      local nginx, direct
      for _, row in ipairs(list) do
        local figures = not row.error and tools.attempt(row, round, run, row)
        if figures then
          if row.direct then direct = figures.half_p99_ms end
          if row.server == "proxy-nginx" then nginx = figures.server_us_per_event end
          if row.server == "proxy-node" then node = figures.server_us_per_event end
          figures.ratio_to_nginx = nginx and not row.direct and figures.server_us_per_event / nginx or nil
          figures.ratio_to_node = node and not row.direct and figures.server_us_per_event / node or nil
          figures.added_p99_ms = direct and not row.direct and figures.half_p99_ms - direct or nil
          table.insert(row.runs, figures)
        end
      end
    end
    for _, row in ipairs(list) do finish(row) end
    local can_count = process.installed "valgrind"
    if not can_count then table.insert(run.skipped, "instructions of proxies: valgrind is not installed") end
    for _, row in ipairs(can_count and list or {}) do
      if not row.direct and row.server ~= "proxy-node" then row.instructions = tools.attempt(row, count_events, run, row) end
    end
    local short = process.installed "wrk" and tools.available(run, hello_rows) or {}
    if #short > 0 then measure_hello(run, short) end
    for _, row in ipairs(can_count and short or {}) do
      if row.server ~= "proxy-node" then row.instructions = tools.attempt(row, count_requests, run, row) end
    end
    if can_count and #short > 0 then
      local curl = { label = "libcurl, asking and no more", kind = "hello", runs = {} }
      curl.instructions = tools.attempt(curl, count_curl, run)
      short[#short + 1] = curl
    end
    return table.move(short, 1, #short, #list + 1, list)
  end
end
