-- SPDX-License-Identifier: MIT
-- One event for many: a channel published to by POST on connections that are kept alive, at a rate and as fast as
-- it goes; what a subscriber costs in memory, and a channel with one. `tools` are functions of measure.lua.
local report, servers = require "report", require "servers"

local rows = {
  { kind = "rate", label = "floor", server = "floor-post", get = "/", post = "/" },
  { kind = "rate", label = "floor -u", server = "floor-together", get = "/", post = "/" },
  { kind = "rate", label = "spate channel", server = "spate", get = "/sub", post = "/pub", target = 0.95 },
  { kind = "rate", label = "spate channel, history", server = "spate", get = "/past/sub", post = "/past/pub", target = 0.95 },
  { kind = "rate", label = "Nchan", server = "nchan", get = "/sub", post = "/pub", once = true },
  { kind = "rate", label = "better-sse", server = "better-sse", get = "/sub", post = "/pub", once = true },
  { kind = "saturated", label = "floor", server = "floor-post", get = "/", post = "/" },
  { kind = "saturated", label = "spate channel", server = "spate", get = "/sub", post = "/pub", target = 3 },
  { kind = "saturated", label = "spate channel, history", server = "spate", get = "/past/sub", post = "/past/pub", target = 3 },
  { kind = "saturated", label = "Nchan", server = "nchan", get = "/sub", post = "/pub", once = true },
  { kind = "saturated", label = "better-sse", server = "better-sse", get = "/sub", post = "/pub", once = true },
  { kind = "memory", label = "spate channel", server = "spate", get = "/sub", target = 1.5 },
  { kind = "memory", label = "Nchan", server = "nchan", get = "/sub" },
  { kind = "memory", label = "better-sse", server = "better-sse", get = "/sub" },
  { kind = "pairs", label = "spate", server = "spate", get = "/pair/#", target = 3 },
  { kind = "pairs", label = "Nchan", server = "nchan", get = "/pair/#" },
  { kind = "pairs", label = "better-sse", server = "better-sse", get = "/pair/#" },
}

return function(tools)
  local function load(run, row, options)
    local p <close> = servers.start(row.server, run.server_core)
    return tools.load_streams(run, p, row.get, options)
  end

  local function check(figures)
    if figures.publish_errors > 0 or figures.lost > 0 or figures.repeated > 0 then
      error(("%d not published, %d lost, %d repeated"):format(figures.publish_errors, figures.lost, figures.repeated), 0)
    end
    return figures
  end

  local kinds = {}

  function kinds.rate(run, row)
    local s = run.settings
    local figures = check(load(run, row, ("-c %d -P %s -n %d -r %d -s 64 -w %g"):format(
      s.streams, row.post, s.rate * s.seconds, s.rate, s.settle)))
    tools.say("  %-28s %7.3f us/event, p50 %.2f ms, p99 %.2f ms", row.label, figures.server_us_per_event,
      figures.p50_ms, figures.p99_ms)
    return figures
  end

  function kinds.saturated(run, row)
    local s = run.settings
    local figures = check(load(run, row, ("-c %d -P %s -n %d -r 1e9 -k 8 -s 64 -w %g"):format(
      s.saturated_streams, row.post, s.saturated_messages, s.settle)))
    tools.say("  %-28s %9s events/s", row.label, report.thousands(figures.events_per_s))
    return figures
  end

  local function per_stream(run, row, count)
    local p <close> = servers.start(row.server, run.server_core)
    local files = p:open_files()
    tools.load_streams(run, p, row.get, "-c 1 -d 0 -w 0.05")
    p:wait_idle(files)
    local figures = tools.load_streams(run, p, row.get, ("-c %d -d 0 -w %g"):format(count, run.settings.memory_settle))
    figures.contention = nil
    tools.say("  %-28s %6d subscribers %7.3f kB", row.label, count, figures.kb_per_conn)
    return figures
  end

  local function measure_memory(run, row, counts)
    for _, count in ipairs(counts) do
      local figures = not row.error and tools.attempt(row, per_stream, run, row, count)
      if figures then
        table.insert(row.runs, figures)
        row.most_kb = math.max(row.most_kb or 0, figures.kb_per_conn)
      end
    end
  end

  local function ratio(figures, floor, name) return floor and figures[name] / floor[name] end

  local function round(run, kind, list, first)
    local floor, together
    for _, row in ipairs(list) do
      local figures = row.kind == kind and not row.error and (first or not row.once)
        and tools.attempt(row, kinds[kind], run, row)
      if figures then
        if row.server == "floor-post" then floor = figures end
        if row.server == "floor-together" then together = figures end
        figures.ratio_to_floor = ratio(figures, floor, kind == "rate" and "server_us_per_event" or "events_per_s")
        figures.ratio_to_together = kind == "rate" and ratio(figures, together, "server_us_per_event") or nil
        figures.p99_to_floor = ratio(figures, floor, "p99_ms")
        table.insert(row.runs, figures)
      end
    end
  end

  local function finish(row)
    for _, name in ipairs { "server_us_per_event", "events_per_s", "ratio_to_floor", "ratio_to_together", "p50_ms", "p99_ms", "p99_to_floor" } do
      row[name] = report.median(report.column(row.runs, name))
    end
  end

  return function(run)
    local list, s = tools.available(run, rows), run.settings
    for _, row in ipairs(list) do row.runs = {} end
    for _, kind in ipairs { "rate", "saturated" } do
      for n = 1, s.rounds do
        tools.say("fan-out, %s, round %d of %d", kind, n, s.rounds)
        round(run, kind, list, n == 1)
      end
    end
    tools.say("fan-out, memory")
    for _, row in ipairs(list) do
      if row.kind == "memory" then measure_memory(run, row, s.memory_streams) end
      if row.kind == "pairs" then measure_memory(run, row, { s.pairs }) end
      finish(row)
    end
    return list
  end
end
